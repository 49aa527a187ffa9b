/* What the service manager does, and what it shall do:
 *
 *     svc                           how all units are
 *     svc start|stop|restart|kill UNIT
 *     svc replace UNIT MODULE       run another module from now on; no call is lost
 *     svc log [COUNT]               the last entries of the log
 *     svc shutdown [STATUS]
 *
 * It needs client ends of tessera:init/status and control, and of tessera:log/reader. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/init_client.h"
#include "interfaces/generated/log_reader.h"
#include "services/tools/tool.h"

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
        return TOOL_FAILED;
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

/* The last `shown` entries. */
static int show_log(uint64_t shown)
{
    reader_entry_t *all = NULL;
    size_t count = 0;
    uint64_t next = 0;
    for (;;) {
        reader_list_entry_t part;
        reader_problem_t problem;
        if (!reader_read(next, &part, &problem)) {
            fprintf(stderr, "svc: there is no log, or we may not read it\n");
            return TOOL_FAILED;
        }
        if (!part.len) {
            break;
        }
        all = realloc(all, (count + part.len) * sizeof(*all));
        if (!all) {
            fprintf(stderr, "svc: out of memory\n");
            return TOOL_FAILED;
        }
        memcpy(all + count, part.ptr, part.len * sizeof(*all));
        count += part.len;
        next = all[count - 1].number + 1;
    }
    qsort(all, count, sizeof(*all), by_time);
    for (size_t i = shown < count ? count - (size_t)shown : 0; i < count; i++) {
        show_entry(&all[i]);
    }
    return 0;
}

static int result(bool done, control_problem_t problem, const char *unit)
{
    static const char *const texts[] = {"no such unit; `svc` lists them", "the module cannot be read, or is refused",
                                        "there is no service manager, or we may not tell it anything"};
    if (!done) {
        fprintf(stderr, "svc: %s: %s\n", unit, texts[problem]);
    }
    return done ? 0 : TOOL_FAILED;
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

static const char usage[] =
    "Usage: svc\n"
    "       svc start|stop|restart|kill UNIT\n"
    "       svc replace UNIT MODULE\n"
    "       svc log [COUNT]\n"
    "       svc shutdown [STATUS]\n\n"
    "How the units of the service manager are; what they shall do; the last entries of the log;\n"
    "the end of everything.\n";

static int wrong_words(void)
{
    fputs(usage, stderr);
    return TOOL_USAGE;
}

static int replace(char *unit, char *path)
{
    init_client_string_t name, module;
    control_problem_t problem;
    init_client_string_set(&name, unit);
    init_client_string_set(&module, path);
    return result(control_replace(&name, &module, &problem), problem, unit);
}

static int shut_down(int32_t status)
{
    control_problem_t problem;
    return result(control_shut_down(status, &problem), problem, "shutdown");
}

/* `log` and `shutdown`, which may have a number; `*number` is what counts without it. */
static bool has_number(int count, char **words, uint64_t maximum, uint64_t *number)
{
    return count == 2 || (count == 3 && tool_number(words[2], 0, maximum, number));
}

int main(int count, char **words)
{
    uint64_t entries = UINT64_MAX, status = 0;
    if (tool_wants_help(count, words)) {
        fputs(usage, stdout);
        return 0;
    }
    if (count < 2) {
        return show_units();
    }
    if (strcmp(words[1], "log") == 0) {
        return has_number(count, words, UINT64_MAX, &entries) ? show_log(entries) : wrong_words();
    }
    if (strcmp(words[1], "shutdown") == 0) {
        return has_number(count, words, 255, &status) ? shut_down((int32_t)status) : wrong_words();
    }
    if (strcmp(words[1], "replace") == 0 && count == 4) {
        return replace(words[2], words[3]);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && count == 3; i++) {
        if (strcmp(words[1], commands[i].name) == 0) {
            return run_command(commands[i].command, words[2]);
        }
    }
    return wrong_words();
}
