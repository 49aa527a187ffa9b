/* The test of the service manager that runs under it: its arguments name what is tried. It says what differed, and how
 * many checks there were. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interfaces/generated/init_client.h"
#include "interfaces/generated/log_reader.h"
#include "sdk/tessera.h"
#include "tests/supervision/generated/work_client.h"

static unsigned passed, failed;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            passed++;                                                                                                  \
        } else {                                                                                                       \
            printf("driver.c:%d: %s\n", __LINE__, #condition);                                                         \
            failed++;                                                                                                  \
        }                                                                                                              \
    } while (0)

static uint64_t now(void)
{
    int64_t time = tessera_clock_read(TESSERA_CLOCK);
    return (uint64_t)(time < 0 ? tessera_time_coarse() : time);
}

/* ---- What the manager says and does ---- */

struct unit {
    status_state_t state;
    uint64_t starts;
    uint32_t process;
    int32_t last_status;
};

static struct unit unit(const char *name)
{
    status_list_unit_t units;
    status_problem_t problem;
    struct unit result = {.state = 255};
    if (!status_units(&units, &problem)) {
        return result;
    }
    for (size_t i = 0; i < units.len; i++) {
        const status_unit_t *found = &units.ptr[i];
        if (found->name.len == strlen(name) && memcmp(found->name.ptr, name, found->name.len) == 0) {
            result = (struct unit){found->state, found->starts, found->process, found->last_status};
        }
    }
    status_list_unit_free(&units);
    return result;
}

static bool reaches(const char *name, status_state_t state, unsigned milliseconds)
{
    for (uint64_t end = now() + milliseconds * UINT64_C(1000000); now() < end; usleep(200)) {
        if (unit(name).state == state) {
            return true;
        }
    }
    printf("%s is %u instead of %u\n", name, (unsigned)unit(name).state, (unsigned)state);
    return false;
}

typedef bool simple_command(init_client_string_t *name, control_problem_t *problem);

static bool tell(simple_command *command, const char *name)
{
    init_client_string_t text = {(uint8_t *)name, strlen(name)};
    control_problem_t problem;
    return command(&text, &problem);
}

static int replace(const char *name, const char *module)
{
    init_client_string_t text = {(uint8_t *)name, strlen(name)}, path = {(uint8_t *)module, strlen(module)};
    control_problem_t problem;
    return control_replace(&text, &path, &problem) ? -1 : problem;
}

/* The worker's answer; -1: unavailable. */
static int64_t work(work_task_t task, uint32_t argument)
{
    uint32_t answer;
    work_problem_t problem;
    return work_do(task, argument, &answer, &problem) ? (int64_t)answer : -1;
}

/* ---- Tests ---- */

/* What a process made dies with it: its handles say so, and its successor never hears of them. */
static void resources(void)
{
    work_own_session_t old, new;
    work_problem_t problem;
    uint32_t count;
    CHECK(work_static_session_open(&old, &problem));
    CHECK(work_method_session_next(work_borrow_session(old), &count, &problem) && count == 1);
    CHECK(work_method_session_next(work_borrow_session(old), &count, &problem) && count == 2);
    CHECK(work(WORK_TASK_SESSIONS, 0) == 1 && work(WORK_TASK_TRAP, 0) == -1);
    CHECK(work_static_session_open(&new, &problem)); /* the first of the next process, as the old one was */
    CHECK(tessera_wait_one((uint32_t)old.__handle, TESSERA_SIGNAL_PEER_CLOSED, 0) == TESSERA_SIGNAL_PEER_CLOSED);
    CHECK(!work_method_session_next(work_borrow_session(old), &count, &problem) && problem == WORK_PROBLEM_UNAVAILABLE);
    CHECK(work_method_session_next(work_borrow_session(new), &count, &problem) && count == 1);
    work_session_drop_own(old);
    CHECK(work(WORK_TASK_SESSIONS, 0) == 1);
    work_session_drop_own(new);
    CHECK(work(WORK_TASK_SESSIONS, 0) == 0);
}

/* The worker is started on demand; it dies in several ways and is back each time. */
static void restart(void)
{
    CHECK(unit("work").state == STATUS_STATE_IDLE && unit("work").starts == 0);
    CHECK(work(WORK_TASK_COUNT, 0) == 1);
    CHECK(work(WORK_TASK_COUNT, 0) == 2);
    CHECK(unit("work").state == STATUS_STATE_RUNNING && unit("work").starts == 1 && unit("work").process != 0);
    CHECK(work(WORK_TASK_TRAP, 0) == -1);
    CHECK(work(WORK_TASK_COUNT, 0) == 1);
    CHECK(unit("work").starts == 2 && unit("work").last_status == 134);
    CHECK(work(WORK_TASK_EXIT, 7) == -1);
    CHECK(work(WORK_TASK_COUNT, 0) == 1); /* after a delay of 20 ms: it died twice in a row */
    CHECK(unit("work").starts == 3 && unit("work").last_status == 7);
    CHECK(tell(control_kill, "work"));
    CHECK(work(WORK_TASK_COUNT, 0) >= -1);
    CHECK(work(WORK_TASK_COUNT, 0) >= 1);
    CHECK(unit("work").starts == 4 && unit("work").last_status == 137);
    CHECK(!tell(control_kill, "nobody") && !tell(control_start, ""));
    resources();
}

/* One that dies at once, always: later and later, and then it has failed. Its callers do not hang. */
static void back_off(void)
{
    uint64_t start = now();
    CHECK(tell(control_start, "broken"));
    CHECK(reaches("broken", STATUS_STATE_DELAYED, 1000));
    CHECK(reaches("broken", STATUS_STATE_FAILED, 5000));
    CHECK(now() - start >= 20000000 + 40000000 + 50000000); /* its delays */
    CHECK(unit("broken").starts == 5 && unit("broken").last_status == 3);
}

static void stop(void)
{
    CHECK(work(WORK_TASK_VERSION, 0) == 1);
    CHECK(tell(control_stop, "work"));
    CHECK(reaches("work", STATUS_STATE_DOWN, 1000));
    CHECK(unit("work").last_status == 0); /* it was asked, and ended by itself */
    CHECK(work(WORK_TASK_VERSION, 0) == -1);
    CHECK(work(WORK_TASK_VERSION, 0) == -1);
    CHECK(tell(control_start, "work"));
    CHECK(work(WORK_TASK_COUNT, 0) == 1); /* by the same client end */
    CHECK(tell(control_restart, "work"));
    CHECK(work(WORK_TASK_COUNT, 0) == 1);
    CHECK(tell(control_stop, "stubborn")); /* has no port on which it could be asked */
    CHECK(reaches("stubborn", STATUS_STATE_DOWN, 1000));
    CHECK(unit("stubborn").last_status == 137);
}

static const char *const clients[] = {"client-1", "client-2", "client-3"};

static void start_clients(void)
{
    for (unsigned i = 0; i < 3; i++) {
        CHECK(tell(control_start, clients[i]));
    }
}

/* None of them may hang. */
static void finish_clients(void)
{
    CHECK(tell(control_start, "finish"));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(reaches(clients[i], STATUS_STATE_ENDED, 10000));
    }
}

/* While load is on it: no call may be lost. */
static void replace_running(void)
{
    start_clients();
    for (unsigned i = 0; i < 20; i++) {
        CHECK(replace("work", i % 2 ? "/tests/worker_1.wasm" : "/tests/worker_2.wasm") == -1);
        CHECK(work(WORK_TASK_VERSION, 0) == (i % 2 ? 1 : 2));
        usleep(3000);
    }
    CHECK(replace("work", "/tests/nothing.wasm") == CONTROL_PROBLEM_MODULE);
    CHECK(replace("work", "/system/manifest") == CONTROL_PROBLEM_MODULE);
    CHECK(work(WORK_TASK_VERSION, 0) == 1);
    CHECK(replace("work", "/examples/hello.wasm") == -1); /* ends at once, with status 0: it is nobody's failure */
    CHECK(replace("work", "/examples/crash.wasm") == -1); /* the one before comes back */
    finish_clients();
}

/* Kill the worker while clients call it. Each time it must be back: the time is that from the kill to the first call
 * that the next process got, which says so itself, since the driver may have to wait for its turn on the CPU. */
static void kills(unsigned count)
{
    uint64_t worst = 0, sum = 0;
    start_clients();
    CHECK(work(WORK_TASK_VERSION, 0) == 1);
    for (unsigned i = 0; i < count; i++) {
        uint64_t starts = unit("work").starts, start = now();
        if (!tell(control_kill, "work")) {
            CHECK(!"killed");
        }
        int64_t first;
        while ((first = work(WORK_TASK_FIRST, 0)) < 0 || unit("work").starts == starts) {
            if (now() - start > 5000000000) {
                CHECK(!"back");
                return;
            }
        }
        uint32_t time = (uint32_t)first - (uint32_t)(start / 1000);
        worst = time > worst ? time : worst;
        sum += time;
    }
    CHECK(unit("work").starts == count + 1);
    finish_clients();
    CHECK(work(WORK_TASK_SESSIONS, 0) == 0); /* the clients' ended with them */
    fprintf(stderr, "back after %" PRIu64 " us on average, at most %" PRIu64 " us\n", sum / (count ? count : 1), worst);
}

/* What the log has. */
struct seen {
    unsigned mine;  /* this text of the driver's, written since `since` */
    unsigned inits; /* what the manager had to say */
    uint64_t next;  /* the number behind the last one */
};

static struct seen read_log(const char *text, uint64_t since)
{
    struct seen seen = {0};
    reader_list_entry_t entries;
    reader_problem_t problem;
    for (bool more = true; more;) {
        while (!reader_read(seen.next, &entries, &problem)) { /* it comes back */
        }
        more = entries.len > 0;
        for (size_t i = 0; i < entries.len; i++) {
            const reader_entry_t *entry = &entries.ptr[i];
            seen.mine += entry->level == LOG_LEVEL_WARNING && entry->name.len == 6 &&
                         !memcmp(entry->name.ptr, "driver", 6) && entry->message.len == strlen(text) &&
                         !memcmp(entry->message.ptr, text, entry->message.len) && entry->time >= since &&
                         entry->time <= now();
            seen.inits += entry->name.len == 4 && !memcmp(entry->name.ptr, "init", 4);
            seen.next = entry->number + 1;
        }
        reader_list_entry_free(&entries);
    }
    return seen;
}

static void write_log(const char *line)
{
    log_reader_string_t text;
    log_problem_t problem;
    log_reader_string_set(&text, line);
    while (!log_write(LOG_LEVEL_WARNING, &text, &problem)) { /* it comes back */
    }
}

static void logs(void)
{
    static const char first[] = "a line of the driver's", second[] = "another one";
    uint64_t before = now();
    write_log(first);
    struct seen seen = read_log(first, before), again;
    CHECK(seen.mine == 1);
    CHECK(tell(control_kill, "log"));
    write_log(second); /* the next process goes on where the one before was */
    again = read_log(first, before);
    CHECK(again.mine == 1 && again.inits == seen.inits + 1 && again.next == seen.next + 2); /* that it was killed */
    CHECK(unit("log").starts == 2 && read_log(second, before).mine == 1);
    /* one that fills its memory with anything and ends: the one before comes back, and keeps what is none of that */
    CHECK(replace("log", "/tests/scribble.wasm") == -1);
    write_log(second);
    seen = read_log(second, before);
    CHECK(seen.mine == 2 && read_log(first, before).mine == 1 && seen.next > again.next);
    CHECK(tell(control_kill, "log"));
    CHECK(read_log(second, before).mine == 2);
}

int main(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "restart")) {
            restart();
        } else if (!strcmp(words[i], "back-off")) {
            back_off();
        } else if (!strcmp(words[i], "stop")) {
            stop();
        } else if (!strcmp(words[i], "replace")) {
            replace_running();
        } else if (!strcmp(words[i], "kill") && i + 1 < count) {
            kills((unsigned)atoi(words[++i]));
        } else if (!strcmp(words[i], "log")) {
            logs();
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
