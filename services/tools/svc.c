/* What the service manager does, and what it shall do:
 *
 *     svc                           how all units are
 *     svc start|stop|restart|kill UNIT
 *     svc replace UNIT MODULE       run another module from now on; no call is lost
 *     svc log [COUNT]               the last entries of the log
 *     svc shutdown [STATUS]
 *
 * It needs client ends of tessera:init/status and control, and for `log` of tessera:log/reader. Under the name `kill`
 * it takes a unit, or the number of any process; for one that is no unit's it needs the system's handle with the right
 * MANAGE. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/init_client.h"
#include "interfaces/generated/log_reader.h"
#include "sdk/tessera.h"

static const char *const states[] = {"down", "idle", "waiting", "running", "stopping", "delayed", "ended", "failed"};
static const char *const levels[] = {"debug", "info", "warning", "error"};

static bool get_units(status_list_unit_t *units)
{
    status_problem_t problem;
    if (!status_units(units, &problem)) {
        fprintf(stderr, "svc: there is no service manager, or we may not ask it\n");
        return false;
    }
    return true;
}

static int show_units(void)
{
    status_list_unit_t units;
    if (!get_units(&units)) {
        return 1;
    }
    printf("%-16s %-9s %7s %7s %10s %6s %9s  %s\n", "unit", "state", "process", "starts", "since", "status", "back in",
           "description");
    for (size_t i = 0; i < units.len; i++) {
        const status_unit_t *unit = &units.ptr[i];
        char worst[24] = "-";
        if (unit->worst_microseconds) {
            snprintf(worst, sizeof(worst), "%" PRIu64 " us", unit->worst_microseconds);
        }
        printf("%-16.*s %-9s %7u %7" PRIu64 " %7" PRIu64 " ms %6d %9s  %.*s\n", (int)unit->name.len,
               (char *)unit->name.ptr, states[unit->state], (unsigned)unit->process, unit->starts, unit->milliseconds,
               (int)unit->last_status, worst, (int)unit->description.len, (char *)unit->description.ptr);
    }
    status_list_unit_free(&units);
    return 0;
}

static int by_time(const void *left, const void *right)
{
    uint64_t a = ((const reader_entry_t *)left)->time, b = ((const reader_entry_t *)right)->time;
    return a < b ? -1 : a > b;
}

/* Whatever programs wrote: what could move a terminal's cursor is shown as a space. */
static void show_entry(const reader_entry_t *entry)
{
    printf("[%5" PRIu64 ".%06u] %-7s %.*s: ", entry->time / 1000000000, (unsigned)(entry->time % 1000000000 / 1000),
           levels[entry->level], (int)entry->name.len, (char *)entry->name.ptr);
    for (size_t i = 0; i < entry->message.len; i++) {
        uint8_t byte = entry->message.ptr[i];
        putchar(byte < 32 || byte == 127 ? ' ' : byte);
    }
    putchar('\n');
}

static int show_log(const char *wanted)
{
    reader_entry_t *all = NULL;
    size_t count = 0, shown = wanted ? strtoul(wanted, NULL, 10) : SIZE_MAX;
    uint64_t next = 0;
    for (;;) {
        reader_list_entry_t part;
        reader_problem_t problem;
        if (!reader_read(next, &part, &problem)) {
            fprintf(stderr, "svc: there is no log, or we may not read it\n");
            return 1;
        }
        if (!part.len) {
            break;
        }
        all = realloc(all, (count + part.len) * sizeof(*all));
        if (!all) {
            return 1;
        }
        memcpy(all + count, part.ptr, part.len * sizeof(*all));
        count += part.len;
        next = all[count - 1].number + 1;
    }
    qsort(all, count, sizeof(*all), by_time);
    for (size_t i = shown < count ? count - shown : 0; i < count; i++) {
        show_entry(&all[i]);
    }
    return 0;
}

static int result(bool done, control_problem_t problem, const char *unit)
{
    static const char *const texts[] = {"no such unit", "the module cannot be read, or is refused",
                                        "there is no service manager, or we may not tell it anything"};
    if (!done) {
        fprintf(stderr, "svc: %s: %s\n", unit, texts[problem]);
    }
    return done ? 0 : 1;
}

typedef bool simple_command(init_client_string_t *name, control_problem_t *problem);

static const struct {
    const char *name;
    simple_command *command;
} commands[] = {
    {"start", control_start},
    {"stop", control_stop},
    {"restart", control_restart},
    {"kill", control_kill},
};

static int run_command(simple_command *command, char *unit)
{
    init_client_string_t name;
    control_problem_t problem;
    init_client_string_set(&name, unit);
    return result(command(&name, &problem), problem, unit);
}

/* Any process, by the system's handle. */
static int kill_process(uint32_t number)
{
    int32_t process = tessera_process_open(TESSERA_SYSTEM, number);
    if (process < 0) {
        fprintf(stderr, "kill: process %u: %s\n", (unsigned)number,
                process == -TESSERA_ENOTFOUND ? "there is none" : "we may not");
        return 1;
    }
    tessera_process_kill((uint32_t)process);
    tessera_handle_close((uint32_t)process);
    return 0;
}

/* `kill` WHAT: a unit, or the number of a process. The manager is told of one of its units'. */
static int kill_named(char *what)
{
    char *end, name[64];
    status_list_unit_t units;
    unsigned long process = strtoul(what, &end, 10);
    if (*end || !process) {
        return run_command(control_kill, what);
    }
    if (process > UINT32_MAX || !get_units(&units)) {
        return 1;
    }
    for (size_t i = 0; i < units.len; i++) {
        if (units.ptr[i].process == process) {
            snprintf(name, sizeof(name), "%.*s", (int)units.ptr[i].name.len, (char *)units.ptr[i].name.ptr);
            return run_command(control_kill, name);
        }
    }
    status_list_unit_free(&units);
    return kill_process((uint32_t)process);
}

static bool named_kill(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return strcmp(name, "kill") == 0 || strcmp(name, "kill.wasm") == 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: svc [start|stop|restart|kill UNIT | replace UNIT MODULE | log [COUNT] | shutdown [STATUS]]\n");
    return 2;
}

int main(int count, char **words)
{
    control_problem_t problem;
    if (count && named_kill(words[0])) {
        return count == 2 ? kill_named(words[1]) : usage();
    }
    if (count < 2) {
        return show_units();
    }
    if (strcmp(words[1], "log") == 0) {
        return show_log(count > 2 ? words[2] : NULL);
    }
    if (strcmp(words[1], "shutdown") == 0) {
        return result(control_shut_down(count > 2 ? atoi(words[2]) : 0, &problem), problem, "shutdown");
    }
    if (strcmp(words[1], "replace") == 0 && count == 4) {
        init_client_string_t name, module;
        init_client_string_set(&name, words[2]);
        init_client_string_set(&module, words[3]);
        return result(control_replace(&name, &module, &problem), problem, words[2]);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && count == 3; i++) {
        if (strcmp(words[1], commands[i].name) == 0) {
            return run_command(commands[i].command, words[2]);
        }
    }
    return usage();
}
