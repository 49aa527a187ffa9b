/* What services/init decides, with processes and a clock that are made up: order, demand, back-off, stop, replace. Each
 * action leaves a mark: +unit started, ?unit asked to end, !unit killed, >unit and <unit its module exchanged and back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/init/supervisor.h"

#define MS UINT64_C(1000000)

static int failures;
static char marks[4000];
static struct manifest manifest;
static struct supervisor supervisor;
static uint64_t now;
static unsigned alive[MANIFEST_UNITS]; /* processes of each unit */
static uint64_t broken, deaf;          /* units that cannot be started, that cannot be asked */
static enum service_state calls_state[MANIFEST_UNITS];

static void mark(char what, unsigned unit)
{
    size_t length = strlen(marks);
    snprintf(marks + length, sizeof(marks) - length, "%c%s ", what, manifest.units[unit].name);
}

static bool start(void *context, unsigned unit)
{
    (void)context;
    mark('+', unit);
    alive[unit] += !(broken >> unit & 1);
    return !(broken >> unit & 1);
}

static bool ask(void *context, unsigned unit)
{
    (void)context;
    mark('?', unit);
    return !(deaf >> unit & 1);
}

static void kill_process(void *context, unsigned unit)
{
    (void)context;
    mark('!', unit);
}

static void calls(void *context, unsigned unit, enum service_state state)
{
    (void)context;
    calls_state[unit] = state;
}

static void exchange(void *context, unsigned unit, bool back)
{
    (void)context;
    mark(back ? '<' : '>', unit);
}

static void note(void *context, unsigned unit, bool warning, const char *text)
{
    (void)context;
    (void)unit;
    (void)warning;
    if (getenv("SHOW")) {
        printf("%s: %s\n", manifest.units[unit].name, text);
    }
}

static const struct supervisor_actions actions = {start, ask, kill_process, calls, exchange, note};

static void begin(const char *text)
{
    static char copy[1000];
    char message[200];
    unsigned line;
    snprintf(copy, sizeof(copy), "%s", text);
    if (!manifest_parse(copy, strlen(copy), &manifest, &line, message, sizeof(message))) {
        printf("line %u: %s\n", line, message);
        exit(1);
    }
    marks[0] = '\0';
    broken = deaf = 0;
    memset(alive, 0, sizeof(alive));
    now = 1000 * MS;
    supervisor_begin(&supervisor, &manifest, &actions, NULL, now);
}

static unsigned unit(const char *name)
{
    return (unsigned)(manifest_find(&manifest, name) - manifest.units);
}

static void ends(const char *name, int status)
{
    alive[unit(name)]--;
    supervisor_exited(&supervisor, unit(name), status, now);
}

static void check(int line, const char *expected, const char *name, enum service_state state)
{
    enum service_state is = supervisor.services[unit(name)].state;
    if (strcmp(marks, expected) || is != state || calls_state[unit(name)] != is) {
        printf("supervisor_test.c:%d: [%s] instead of [%s]; %s is %s instead of %s\n", line, marks, expected, name,
               service_state_texts[is], service_state_texts[state]);
        failures++;
    }
    for (unsigned i = 0; i < manifest.count; i++) {
        if (alive[i] > 1) {
            printf("supervisor_test.c:%d: %u processes of %s\n", line, alive[i], manifest.units[i].name);
            failures++;
        }
    }
    marks[0] = '\0';
}
#define CHECK(expected, name, state) check(__LINE__, expected, name, SERVICE_##state)
#define CHECK_THAT(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("supervisor_test.c:%d: %s\n", __LINE__, #condition);                                                \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static void order(void)
{
    begin("[web]\nModule=m\nRequires=store log\n[store]\nModule=m\nRequires=log\n[log]\nModule=m\nStart=manual\n"
          "[idle]\nModule=m\nStart=demand\nOffers=a:b/c\n[extra]\nModule=m\nStart=manual\nRequires=idle\n");
    CHECK("+log +store +web ", "web", RUNNING);
    CHECK("", "idle", IDLE);
    CHECK("", "extra", DOWN);
    supervisor_start(&supervisor, unit("extra"), now);
    CHECK("+idle +extra ", "extra", RUNNING);
    supervisor_start(&supervisor, unit("extra"), now);
    CHECK("", "extra", RUNNING);

    /* Stopping: who requires it goes first, and each waits for the one before. */
    supervisor_stop(&supervisor, unit("log"), now);
    CHECK("?web ", "log", STOPPING);
    ends("web", 0);
    CHECK("?store ", "web", DOWN);
    ends("store", 7);
    CHECK("?log ", "store", DOWN);
    ends("log", 0);
    CHECK("", "log", DOWN);
    supervisor_start(&supervisor, unit("web"), now);
    CHECK("+log +store +web ", "log", RUNNING);
    supervisor_stop_all(&supervisor, now);
    CHECK("?web ?extra ", "store", STOPPING);
    CHECK_THAT(!supervisor_all_down(&supervisor));
    ends("web", 0);
    ends("extra", 0);
    ends("store", 0);
    ends("idle", 0);
    ends("log", 0);
    CHECK("?store ?idle ?log ", "log", DOWN);
    CHECK_THAT(supervisor_all_down(&supervisor));
}

static void demand(void)
{
    begin("[a]\nModule=m\nStart=demand\nOffers=x:y/z\nRequires=b\n[b]\nModule=m\nStart=manual\n");
    CHECK("", "a", IDLE);
    supervisor_called(&supervisor, unit("a"), now);
    CHECK("+b +a ", "a", RUNNING);
    supervisor_called(&supervisor, unit("a"), now);
    ends("a", 0);
    CHECK("", "a", IDLE); /* and the next call starts it again */
    supervisor_called(&supervisor, unit("a"), now);
    CHECK("+a ", "a", RUNNING);
    supervisor_stop(&supervisor, unit("a"), now);
    ends("a", 0);
    CHECK("?a ", "a", DOWN); /* but not when it was stopped */
    supervisor_called(&supervisor, unit("a"), now);
    CHECK("", "a", DOWN);

    begin("[a]\nModule=m\nStart=demand\nOffers=x:y/z\n"); /* one that answers nothing */
    for (unsigned i = 0; i < 5; i++) {
        CHECK("", "a", IDLE);
        supervisor_called(&supervisor, unit("a"), now);
        CHECK("+a ", "a", RUNNING);
        ends("a", 0);
    }
    CHECK("", "a", FAILED);
}

static void back_off(void)
{
    begin("[a]\nModule=m\nRestart=on-failure\nRestartSec=10ms\nRestartMaxDelaySec=35ms\nRestartResetSec=100ms\n");
    CHECK("+a ", "a", RUNNING);
    ends("a", 1);
    CHECK("+a ", "a", RUNNING); /* at once */
    static const unsigned delays[] = {10, 20, 35, 35};
    for (unsigned i = 0; i < 4; i++) {
        ends("a", 1);
        CHECK("", "a", DELAYED);
        CHECK_THAT(supervisor_deadline(&supervisor) == now + delays[i] * MS);
        now += delays[i] * MS - 1;
        supervisor_tick(&supervisor, now);
        CHECK("", "a", DELAYED);
        now++;
        supervisor_tick(&supervisor, now);
        CHECK("+a ", "a", RUNNING);
        CHECK_THAT(supervisor_deadline(&supervisor) == SUPERVISOR_NEVER);
    }
    now += 100 * MS; /* a long life: all is forgotten */
    ends("a", 1);
    CHECK("+a ", "a", RUNNING);
    ends("a", 1);
    CHECK_THAT(supervisor_deadline(&supervisor) == now + 10 * MS);
    supervisor_start(&supervisor, unit("a"), now); /* is on its way */
    CHECK("", "a", DELAYED);
    supervisor_stop(&supervisor, unit("a"), now);
    CHECK("", "a", DOWN);
    supervisor_start(&supervisor, unit("a"), now);
    CHECK("+a ", "a", RUNNING);
    ends("a", 0);
    CHECK("", "a", ENDED);

    begin("[a]\nModule=m\nRestart=always\nRestartSec=0\nStartLimitBurst=3\n[b]\nModule=m\nRequires=a\n");
    CHECK("+a +b ", "b", RUNNING);
    ends("a", 0);
    ends("a", 0);
    CHECK("+a +a ", "a", RUNNING);
    ends("a", 0);
    CHECK("", "a", FAILED);
    CHECK("", "b", RUNNING); /* its calls are refused; it is its business what it does */
    ends("b", 0);
    supervisor_start(&supervisor, unit("b"), now); /* which tries again */
    CHECK("+a +b ", "b", RUNNING);

    begin("[a]\nModule=m\nRestart=no\n[b]\nModule=m\nRequires=a\nStart=manual\n");
    ends("a", 1);
    CHECK("+a ", "a", FAILED);
    broken = 1;
    supervisor_start(&supervisor, unit("b"), now);
    CHECK("+a ", "b", FAILED);

    begin("[task]\nModule=m\n[after]\nModule=m\nStart=manual\nRequires=task\n");
    ends("task", 0);
    supervisor_start(&supervisor, unit("after"), now);
    CHECK("+task +after ", "after", RUNNING); /* it was done once, and that is enough */
    supervisor_start(&supervisor, unit("task"), now);
    CHECK("+task ", "task", RUNNING);
}

/* 10,000 kills: it is back each time, at once, whatever the back-off. */
static void kills(void)
{
    begin("[a]\nModule=m\nRestart=on-failure\nStartLimitBurst=3\n[b]\nModule=m\nRestart=no\n");
    marks[0] = '\0';
    for (unsigned i = 0; i < 10000; i++) {
        supervisor_kill(&supervisor, unit("a"), now);
        ends("a", 137);
        CHECK("!a +a ", "a", RUNNING);
    }
    supervisor_kill(&supervisor, unit("b"), now);
    ends("b", 137);
    CHECK("!b ", "b", DOWN);
    supervisor_kill(&supervisor, unit("b"), now);
    CHECK("", "b", DOWN);
}

static void stop(void)
{
    begin("[a]\nModule=m\nRestart=always\nTimeoutStopSec=50ms\n[b]\nModule=m\n");
    marks[0] = '\0';
    supervisor_stop(&supervisor, unit("a"), now);
    CHECK("?a ", "a", STOPPING);
    supervisor_stop(&supervisor, unit("a"), now);
    CHECK("", "a", STOPPING);
    now += 50 * MS;
    supervisor_tick(&supervisor, now);
    CHECK("!a ", "a", STOPPING);
    now += 5000 * MS;
    supervisor_tick(&supervisor, now);
    CHECK_THAT(supervisor_deadline(&supervisor) == SUPERVISOR_NEVER);
    CHECK("", "a", STOPPING);
    ends("a", 137);
    CHECK("", "a", DOWN);
    deaf = 2;
    supervisor_stop(&supervisor, unit("b"), now);
    CHECK("?b !b ", "b", STOPPING);
    supervisor_start(&supervisor, unit("b"), now); /* somebody changed his mind */
    CHECK("", "b", STOPPING);
    ends("b", 137);
    CHECK("+b ", "b", RUNNING);
    supervisor_restart(&supervisor, unit("b"), now);
    ends("b", 137);
    CHECK("?b !b +b ", "b", RUNNING);
    supervisor_restart(&supervisor, unit("a"), now);
    CHECK("+a ", "a", RUNNING);
}

static void replace(void)
{
    begin("[a]\nModule=m\nRestart=always\nRestartResetSec=100ms\n[b]\nModule=m\nRequires=a\n");
    marks[0] = '\0';
    supervisor_replace(&supervisor, unit("a"), now);
    CHECK("?a ", "a", STOPPING);
    ends("a", 0);
    CHECK(">a +a ", "a", RUNNING);
    CHECK("", "b", RUNNING); /* who requires it does not notice */
    now += 100 * MS;
    ends("a", 1);
    CHECK("+a ", "a", RUNNING); /* a failure like any other */

    supervisor_replace(&supervisor, unit("a"), now);
    ends("a", 0);
    now += 99 * MS;
    ends("a", 134);
    CHECK("?a >a +a <a +a ", "a", RUNNING); /* no good: the one before is back */

    supervisor_replace(&supervisor, unit("a"), now);
    ends("a", 0);
    supervisor_kill(&supervisor, unit("a"), now);
    ends("a", 137);
    CHECK("?a >a +a !a +a ", "a", RUNNING); /* that was not the module's fault */

    supervisor_replace(&supervisor, unit("a"), now);
    broken = 1;
    ends("a", 0);
    CHECK("?a >a +a <a +a ", "a", FAILED);
    broken = 0;
    supervisor_replace(&supervisor, unit("a"), now);
    CHECK(">a ", "a", FAILED);
    supervisor_start(&supervisor, unit("a"), now);
    CHECK("+a ", "a", RUNNING);
}

/* Requests, deaths and time in any order: never two processes of a unit, never one that nobody knows of, and whoever is
 * to run comes to run when nothing is in the way. */
static void random_events(void)
{
    uint32_t random = 1;
    for (unsigned round = 0; round < 300; round++) {
        begin("[a]\nModule=m\nRestart=always\n[b]\nModule=m\nRequires=a\nRestart=on-failure\nStartLimitBurst=4\n"
              "[c]\nModule=m\nRequires=a b\n[d]\nModule=m\nStart=demand\nOffers=x:y/z\nRequires=b\nRestart=always\n");
        for (unsigned step = 0; step < 200; step++) {
            random = random * 1664525 + 1013904223;
            unsigned i = (random >> 10) % manifest.count, what = (random >> 20) % 12;
            now += random >> 28 ? (random >> 24) * MS : 0;
            marks[0] = '\0';
            switch (what) {
            case 0:
                supervisor_start(&supervisor, i, now);
                break;
            case 1:
                supervisor_stop(&supervisor, i, now);
                break;
            case 2:
                supervisor_restart(&supervisor, i, now);
                break;
            case 3:
                supervisor_replace(&supervisor, i, now);
                break;
            case 4:
                supervisor_kill(&supervisor, i, now);
                break;
            case 5:
                supervisor_called(&supervisor, i, now);
                break;
            case 6:
                supervisor_tick(&supervisor, now);
                break;
            case 7:
                broken ^= random >> 30 ? 0 : UINT64_C(1) << i;
                break;
            case 8:
                deaf ^= UINT64_C(1) << i;
                break;
            default:
                if (alive[i]) {
                    ends(manifest.units[i].name, (random >> 16) % 3 == 0);
                }
            }
            for (unsigned u = 0; u < manifest.count; u++) {
                enum service_state state = supervisor.services[u].state;
                bool known = state == SERVICE_RUNNING || state == SERVICE_STOPPING;
                if (alive[u] != known || calls_state[u] != state) {
                    printf("round %u, step %u: %u processes of %s, which is %s\n", round, step, alive[u],
                           manifest.units[u].name, service_state_texts[state]);
                    failures++;
                    return;
                }
            }
        }
        broken = deaf = 0;
        for (unsigned i = 0; i < manifest.count; i++) {
            supervisor_start(&supervisor, i, now);
        }
        for (unsigned turns = 0; turns < 8; turns++) { /* those that are stopping end, delays are over */
            now += 20000 * MS;
            supervisor_tick(&supervisor, now);
            for (unsigned i = 0; i < manifest.count; i++) {
                if (supervisor.services[i].state == SERVICE_STOPPING) {
                    ends(manifest.units[i].name, 0);
                }
            }
        }
        for (unsigned i = 0; i < manifest.count; i++) {
            enum service_state state = supervisor.services[i].state;
            if (state != SERVICE_RUNNING) {
                printf("round %u: %s is %s in the end\n", round, manifest.units[i].name, service_state_texts[state]);
                failures++;
            }
        }
    }
}

int main(void)
{
    order();
    demand();
    back_off();
    kills();
    stop();
    replace();
    random_events();
    return failures != 0;
}
