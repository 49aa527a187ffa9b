/* Processes behind handles, from the side of a program: it starts itself, from its own file in /bin, with other
 * arguments. Without argument: all tests; prints what is wrong, its status is the number of that. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"
#include "tests/support/guest.h"

#define PAGE        4096
#define MILLISECOND INT64_C(1000000)

static int32_t module;
static uint8_t pages[8][PAGE] __attribute__((aligned(PAGE)));

/* ---- What the started ones do ---- */

static int32_t named(const char *name)
{
    return tessera_handle_named(name, (uint32_t)strlen(name));
}

static int run_loop(bool by_system);
static int nest(void);
static int leave_children(void);
static int what_is_left(void);
static int count_for_ever(int place);

static int child(int argc, char **argv)
{
    const char *what = argv[1];
    if (strcmp(what, "exit") == 0) {
        return argc > 2 ? atoi(argv[2]) : 0;
    }
    if (strcmp(what, "trap") == 0) {
        __builtin_trap();
    }
    if (strcmp(what, "loop") == 0) {
        int32_t started = named("started");
        if (started > 0) {
            tessera_event_signal((uint32_t)started);
        }
        for (volatile int i = 0;; i++) {
        }
    }
    if (strcmp(what, "wait") == 0) {
        tessera_event_signal((uint32_t)named("started"));
        return tessera_wait_one((uint32_t)named("never"), TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
    }
    if (strcmp(what, "environment") == 0) {
        const char *value = getenv("KEY");
        return argc == 4 && strcmp(argv[2], "two words") == 0 && strcmp(argv[3], "") == 0 && value &&
                       strcmp(value, "some=thing") == 0 && named("nothing") == -TESSERA_ENOTFOUND
                   ? 7
                   : 1;
    }
    if (strcmp(what, "starter") == 0) { /* run another one that loops; by a handle, or else by the system */
        return run_loop(argc > 2);
    }
    if (strcmp(what, "grow") == 0) { /* how many MiB it gets */
        int got = 0;
        while (got < 200 && __builtin_wasm_memory_grow(0, 16) != (size_t)-1) {
            got++;
        }
        return got;
    }
    if (strcmp(what, "handles") == 0) { /* how many it may have */
        int got = 0;
        while (got < 250 && tessera_event_create(0) > 0) {
            got++;
        }
        return got;
    }
    if (strcmp(what, "nest") == 0) {
        return nest();
    }
    if (strcmp(what, "leave") == 0) {
        return leave_children();
    }
    if (strcmp(what, "left") == 0) {
        return what_is_left();
    }
    if (strcmp(what, "count") == 0) { /* in the memory, at the place of the argument; lend half of the share to another */
        return count_for_ever(atoi(argv[2]));
    }
    if (strcmp(what, "memory") == 0) { /* look at what the parent wrote, answer, then touch it once it was revoked */
        int32_t memory = named("memory"), ready = named("ready"), go = named("go");
        if (tessera_memory_map((uint32_t)memory, pages[2], 0, 2 * PAGE, TESSERA_MAP_WRITE) || pages[2][0] != 42 ||
            pages[3][PAGE - 1] != 43) {
            return 1;
        }
        pages[2][1] = 44;
        tessera_event_signal((uint32_t)ready);
        tessera_wait_one((uint32_t)go, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
        if (argc > 2) { /* through a host call */
            return tessera_handle_information((uint32_t)go, (void *)pages[3], sizeof(pages[3]));
        }
        return ((volatile uint8_t *)pages[2])[0];
    }
    return 99;
}

/* ---- Starting ---- */

struct description {
    char text[512];
    uint32_t length;
};

static void add(struct description *description, const char *key, const char *value)
{
    description->length += 1 + (uint32_t)snprintf(description->text + description->length,
                                                  sizeof(description->text) - description->length, "%s=%s", key, value);
}

static struct description describe(const char *what, const char *argument)
{
    struct description description = {.length = 0};
    add(&description, "name", what);
    add(&description, "streams", "1");
    add(&description, "argument", "child");
    add(&description, "argument", what);
    if (argument) {
        add(&description, "argument", argument);
    }
    return description;
}

static int32_t create(const struct description *description, const uint32_t *handles, uint32_t count)
{
    return tessera_process_create((uint32_t)module, description->text, description->length, handles, count);
}

static struct tessera_process_status status_of(int32_t process)
{
    struct tessera_process_status status = {.state = 77};
    EXPECT(tessera_process_status((uint32_t)process, &status, sizeof(status)) == sizeof(status));
    return status;
}

/* Start, wait for the end, close: what it says at the end. */
static struct tessera_process_status finish(int32_t process)
{
    EXPECT(process > 0);
    EXPECT(status_of(process).state == TESSERA_PROCESS_CREATED);
    EXPECT(tessera_process_start((uint32_t)process) == 0);
    EXPECT(tessera_process_start((uint32_t)process) == -TESSERA_EBUSY);
    EXPECT(tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
    struct tessera_process_status status = status_of(process);
    EXPECT(tessera_handle_close((uint32_t)process) == 0);
    return status;
}

static uint32_t run(const char *what, const char *argument)
{
    struct description description = describe(what, argument);
    return finish(create(&description, NULL, 0)).conventional_status;
}

static int run_loop(bool by_system)
{
    static const char path[] = "/bin/guest.wasm";
    if (by_system) {
        static const char text[] = "module=/bin/guest.wasm\0name=victim\0argument=child\0argument=loop";
        return tessera_process_run(TESSERA_SYSTEM, text, sizeof(text));
    }
    module = tessera_module_load(path, sizeof(path) - 1);
    struct description description = {.length = 0};
    add(&description, "name", "victim");
    add(&description, "argument", "child");
    add(&description, "argument", "loop");
    return (int)finish(create(&description, NULL, 0)).conventional_status;
}

static void ends(void)
{
    EXPECT(run("exit", "5") == 5);
    EXPECT(run("exit", NULL) == 0);
    EXPECT(run("trap", NULL) == 134);
    struct description description = describe("trap", NULL);
    struct tessera_process_status status = finish(create(&description, NULL, 0));
    EXPECT(status.state == TESSERA_PROCESS_TRAPPED && strcmp(status.reason, "unreachable") == 0 && status.id > 0);
    description = describe("environment", "two words");
    add(&description, "argument", "");
    add(&description, "environment", "KEY=some=thing");
    status = finish(create(&description, NULL, 0));
    EXPECT(status.state == TESSERA_PROCESS_EXITED && status.exit_status == 7);
    description = describe("loop", NULL);
    add(&description, "timeout", "20000000");
    EXPECT(finish(create(&description, NULL, 0)).conventional_status == 124);
}

static uint32_t event(void)
{
    int32_t handle = tessera_event_create(0);
    EXPECT(handle > 0);
    return (uint32_t)handle;
}

static uint32_t duplicate(uint32_t handle)
{
    int32_t copy = tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME);
    EXPECT(copy > 0);
    return (uint32_t)copy;
}

/* In a loop, in a wait, before it runs, by closing its last handle. */
static void kills(void)
{
    static const char *const what[] = {"loop", "wait"};
    for (int i = 0; i < 20; i++) {
        uint32_t started = event(), never = event();
        uint32_t handles[] = {duplicate(started), duplicate(never)};
        struct description description = describe(what[i % 2], NULL);
        add(&description, "handle", "started");
        add(&description, "handle", "never");
        int32_t process = create(&description, handles, 2);
        EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
        EXPECT(tessera_handle_close(handles[0]) == -TESSERA_EHANDLE); /* it moved */
        if (i < 16) {
            EXPECT(tessera_wait_one(started, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER) == TESSERA_SIGNAL_SIGNALED);
        } /* else wherever it is by now */
        struct tessera_process_information information;
        EXPECT(i >= 16 || (tessera_process_information((uint32_t)process, &information, sizeof(information)) ==
                               sizeof(information) &&
                           information.id == status_of(process).id && information.threads == 1 &&
                           information.handles == 2 && strcmp(information.name, what[i % 2]) == 0));
        EXPECT(tessera_process_kill((uint32_t)process) == 0);
        EXPECT(tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
        EXPECT(tessera_process_information((uint32_t)process, &information, 4) == -TESSERA_EBUSY);
        struct tessera_process_status status = status_of(process);
        EXPECT(status.state == TESSERA_PROCESS_TRAPPED && strcmp(status.reason, "killed") == 0 &&
               status.conventional_status == 137);
        EXPECT(tessera_process_kill((uint32_t)process) == 0); /* again */
        tessera_handle_close((uint32_t)process);
        tessera_handle_close(started);
        tessera_handle_close(never);
    }
    struct description description = describe("exit", NULL);
    int32_t process = create(&description, NULL, 0);
    EXPECT(tessera_process_kill((uint32_t)process) == 0);
    EXPECT(tessera_process_start((uint32_t)process) == -TESSERA_EBUSY);
    EXPECT(tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, 0) == TESSERA_SIGNAL_EXITED);
    tessera_handle_close((uint32_t)process);
    /* Its end of the channel goes with it. */
    uint32_t pair[2];
    EXPECT(tessera_channel_create(0, 0, pair) == 0);
    description = describe("loop", NULL);
    add(&description, "handle", "channel");
    process = create(&description, &pair[1], 1);
    EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
    tessera_handle_close((uint32_t)process);
    EXPECT(tessera_wait_one(pair[0], TESSERA_SIGNAL_PEER_CLOSED, TESSERA_FOREVER) == TESSERA_SIGNAL_PEER_CLOSED);
    tessera_handle_close(pair[0]);
}

static void refusals(void)
{
    struct description description = describe("exit", NULL);
    uint32_t handle = event(), pair[] = {handle, handle};
    EXPECT(create(&description, pair, 1) == -TESSERA_EINVALID); /* without a name */
    add(&description, "handle", "one");
    EXPECT(create(&description, NULL, 0) == -TESSERA_EINVALID);
    add(&description, "handle", "two");
    EXPECT(create(&description, pair, 2) == -TESSERA_EHANDLE); /* twice the same */
    EXPECT(tessera_event_signal(handle) == 0);                 /* it is still here */
    uint32_t weak = (uint32_t)tessera_handle_duplicate(handle, TESSERA_RIGHT_WAIT);
    pair[1] = weak;
    EXPECT(create(&description, pair, 2) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_create(handle, description.text, description.length, pair, 2) == -TESSERA_EHANDLE);
    EXPECT(create(&description, pair, 17) == -TESSERA_EINVALID);
    description.text[description.length - 1] = 'x';
    EXPECT(create(&description, pair, 2) == -TESSERA_EINVALID);
    description = describe("exit", NULL);
    add(&description, "system", "1");
    EXPECT(create(&description, NULL, 0) == -TESSERA_EINVALID);
    description = describe("exit", NULL);
    add(&description, "directory", "/nowhere");
    EXPECT(create(&description, NULL, 0) == -TESSERA_EINVALID);
    static const char *const budgets[] = {"handles", "threads", "share", "objects", "memory"};
    for (int i = 0; i < 5; i++) {
        description = describe("exit", NULL);
        add(&description, budgets[i], "18446744073709551615");
        EXPECT(create(&description, NULL, 0) == -TESSERA_ELIMIT);
    }
    EXPECT(tessera_module_create("\0asm\1\0\0\0\7", 9) == -TESSERA_EMODULE);
    EXPECT(tessera_module_load("/bin/nothing.wasm", 17) == -TESSERA_ENOTFOUND);
    EXPECT(tessera_module_load("/etc/passwd", 11) == -TESSERA_ENOTFOUND);
    int32_t weak_module = tessera_handle_duplicate((uint32_t)module, TESSERA_RIGHT_INSPECT);
    description = describe("exit", NULL);
    EXPECT(tessera_process_create((uint32_t)weak_module, description.text, description.length, NULL, 0) ==
           -TESSERA_ERIGHT);
    tessera_handle_close((uint32_t)weak_module);
    int32_t process = create(&description, NULL, 0), inspect, wait;
    inspect = tessera_handle_duplicate((uint32_t)process, TESSERA_RIGHT_INSPECT);
    wait = tessera_handle_duplicate((uint32_t)process, TESSERA_RIGHT_WAIT);
    struct tessera_process_status status;
    EXPECT(tessera_process_start((uint32_t)inspect) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_kill((uint32_t)inspect) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_status((uint32_t)wait, &status, sizeof(status)) == -TESSERA_ERIGHT);
    struct tessera_process_information information;
    EXPECT(tessera_process_information((uint32_t)wait, &information, sizeof(information)) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_information((uint32_t)inspect, &information, sizeof(information)) == -TESSERA_EBUSY);
    EXPECT(tessera_process_status((uint32_t)inspect, &status, 4) == 4);
    tessera_handle_close((uint32_t)inspect);
    tessera_handle_close((uint32_t)wait);
    tessera_handle_close((uint32_t)process);
    /* An empty module is no program. */
    int32_t empty = tessera_module_create("\0asm\1\0\0\0", 8);
    process = tessera_process_create((uint32_t)empty, "", 0, NULL, 0);
    EXPECT(finish(process).state == TESSERA_PROCESS_REFUSED);
    tessera_handle_close((uint32_t)empty);
    tessera_handle_close(handle);
    tessera_handle_close(weak);
}

/* ---- Budgets ---- */

static const char self_path[] = "/bin/guest.wasm";

/* A program with a budget, which is not started. */
static int32_t create_with(const char *key, const char *value)
{
    struct description description = describe("exit", NULL);
    add(&description, "memory", "65536");
    add(&description, "objects", "20000");
    add(&description, "handles", "2");
    add(&description, "share", "10");
    if (strcmp(key, "threads") != 0) {
        add(&description, "threads", "1");
    }
    add(&description, key, value); /* the last one counts */
    return create(&description, NULL, 0);
}

/* What may it lend? It was lent 8 threads, 100 handles, share 1000, 8 MiB, and 1 MiB of objects. */
static int nest(void)
{
    static const char *const fits[][2] = {{"threads", "7"},         {"handles", "90"},     {"share", "999"},
                                          {"memory", "4194304"},    {"objects", "800000"}, {"priority", "1"}};
    static const char *const exceeds[][2] = {{"threads", "8"},      {"handles", "100"},     {"share", "1000"},
                                             {"memory", "8388608"}, {"objects", "1048576"}, {"priority", "2"}};
    module = tessera_module_load(self_path, sizeof(self_path) - 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            int32_t process = create_with(fits[i][0], fits[i][1]);
            if (process < 0 || create_with(exceeds[i][0], exceeds[i][1]) != -TESSERA_ELIMIT) {
                return 10 + i;
            }
            if (i < 5 && create_with(fits[i][0], fits[i][1]) != -TESSERA_ELIMIT) { /* it is lent */
                return 20 + i;
            }
            tessera_handle_close((uint32_t)process); /* and back */
        }
    }
    return 0;
}

static int events_until_limit(void)
{
    static uint32_t events[200];
    int count = 0;
    for (int32_t handle; count < 200 && (handle = tessera_event_create(0)) > 0; count++) {
        events[count] = (uint32_t)handle;
    }
    for (int i = 0; i < count; i++) {
        tessera_handle_close(events[i]);
    }
    return count;
}

/* What it lends it has no more, until the other one is gone. */
static int what_is_left(void)
{
    module = tessera_module_load(self_path, sizeof(self_path) - 1);
    int handles = events_until_limit();
    int32_t process = create_with("handles", "30");
    if (process < 0 || events_until_limit() != handles - 31) { /* and one is the handle to it */
        return 1;
    }
    tessera_handle_close((uint32_t)process);
    if (events_until_limit() != handles) {
        return 2;
    }
    process = create_with("memory", "5242880");
    if (process < 0 || __builtin_wasm_memory_grow(0, 48) != (size_t)-1) {
        return 3;
    }
    tessera_handle_close((uint32_t)process);
    if (__builtin_wasm_memory_grow(0, 48) == (size_t)-1) {
        return 4;
    }
    int32_t alive[8];
    int count = 0;
    while (count < 8 && (alive[count] = create_with("handles", "1")) > 0) { /* each is a thread */
        count++;
    }
    if (count != 7 || alive[count] != -TESSERA_ELIMIT) {
        return 5;
    }
    tessera_process_start((uint32_t)alive[0]);
    tessera_wait_one((uint32_t)alive[0], TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
    return create_with("handles", "1") > 0 ? 0 : 6; /* it has ended, though its handle is there */
}

/* A grandchild has no more than its parent has from this program, and what that has left. */
static void nested_budgets(void)
{
    static const char *const whats[] = {"nest", "left"};
    for (int i = 0; i < 2; i++) {
        struct description description = describe(whats[i], NULL);
        add(&description, "directory", "/bin");
        add(&description, "memory", "8388608");
        add(&description, "objects", "1048576");
        add(&description, "handles", "100");
        add(&description, "threads", "8");
        add(&description, "share", "1000");
        uint32_t status = finish(create(&description, NULL, 0)).conventional_status;
        if (status) {
            printf("%s: %u\n", whats[i], (unsigned)status);
            failures++;
        }
    }
}

static int count_for_ever(int place)
{
    volatile uint64_t *counter = (volatile uint64_t *)pages[2] + place;
    uint32_t memory = (uint32_t)named("memory");
    if (place == 1) { /* half of its share is another one's */
        uint32_t same = (uint32_t)tessera_handle_duplicate(memory, TESSERA_RIGHTS_SAME);
        struct description description = describe("count", "2");
        module = tessera_module_load(self_path, sizeof(self_path) - 1);
        add(&description, "handle", "memory");
        add(&description, "share", "5000");
        int32_t process = create(&description, &same, 1);
        if (process < 0 || tessera_process_start((uint32_t)process)) {
            return 1;
        }
    }
    if (tessera_memory_map(memory, pages[2], 0, PAGE, TESSERA_MAP_WRITE)) {
        return 2;
    }
    for (;;) {
        ++*counter;
    }
}

static bool about_equal(uint64_t a, uint64_t b)
{
    return a * 10 < b * 15 && b * 10 < a * 15;
}

/* Measured by what they get done on one CPU: 10,000 against 5,000 and 5,000 of what another 10,000 was divided into,
 * against 20,000. */
static void shares(void)
{
    static const char *const lent[] = {"10000", "10000", NULL, "20000"};
    uint32_t memory = (uint32_t)tessera_memory_create(PAGE), processes[4];
    volatile uint64_t *counters = (volatile uint64_t *)pages[0];
    EXPECT(tessera_memory_map(memory, pages[0], 0, PAGE, TESSERA_MAP_WRITE) == 0);
    for (int i = 0; i < 4; i++) {
        char place[4];
        snprintf(place, sizeof(place), "%d", i);
        if (lent[i]) {
            uint32_t handle = duplicate(memory);
            struct description description = describe("count", place);
            add(&description, "handle", "memory");
            add(&description, "directory", "/bin");
            add(&description, "share", lent[i]);
            processes[i] = (uint32_t)create(&description, &handle, 1);
            EXPECT((int32_t)processes[i] > 0 && tessera_process_start(processes[i]) == 0);
        }
    }
    for (int i = 0; i < 4; i++) {
        while (!counters[i]) {
            tessera_wait_many(NULL, 0, (uint64_t)(tessera_time_coarse() + MILLISECOND));
        }
    }
    uint64_t before[4], gained[4];
    bool fair = false;
    for (int i = 0; i < 4; i++) {
        before[i] = counters[i];
    }
    for (int round = 0; round < 20 && !fair; round++) { /* a machine that others use, too, takes longer to be fair */
        tessera_wait_many(NULL, 0, (uint64_t)(tessera_time_coarse() + 1000 * MILLISECOND));
        for (int i = 0; i < 4; i++) {
            gained[i] = counters[i] - before[i];
        }
        fair = about_equal(gained[0], gained[1] + gained[2]) && about_equal(gained[1], gained[2]) &&
               about_equal(gained[3], 2 * gained[0]);
    }
    if (!fair) {
        printf("gained %llu %llu %llu %llu\n", (unsigned long long)gained[0], (unsigned long long)gained[1],
               (unsigned long long)gained[2], (unsigned long long)gained[3]);
        failures++;
    }
    for (int i = 0; i < 4; i++) {
        if (lent[i]) {
            tessera_handle_close(processes[i]);
        }
    }
    EXPECT(tessera_memory_unmap(pages[0]) == 0);
    tessera_handle_close(memory);
}

/* The limit of the run is 64 MiB: what children have, this program has not, until they end. */
static void budgets(void)
{
    struct description description = describe("grow", NULL);
    add(&description, "memory", "8388608");
    for (int i = 0; i < 20; i++) { /* each gets it, after the other */
        uint32_t got = finish(create(&description, NULL, 0)).conventional_status;
        EXPECT(got >= 6 && got < 8);
    }
    description = describe("exit", NULL);
    add(&description, "memory", "25165824");
    int32_t first = create(&description, NULL, 0), second = create(&description, NULL, 0);
    EXPECT(first > 0 && second > 0);
    EXPECT(create(&description, NULL, 0) == -TESSERA_ELIMIT);
    EXPECT(__builtin_wasm_memory_grow(0, 256) == (size_t)-1);
    tessera_handle_close((uint32_t)first);
    first = create(&description, NULL, 0);
    EXPECT(first > 0);
    tessera_handle_close((uint32_t)first);
    tessera_handle_close((uint32_t)second);
    description = describe("handles", NULL);
    add(&description, "handles", "100");
    EXPECT(finish(create(&description, NULL, 0)).conventional_status == 100);
    for (int i = 0; i < 300; i++) { /* nothing is lost of what was lent by default */
        if (run("exit", "3") != 3) {
            EXPECT(!"the budget is still there");
            break;
        }
    }
}

static void mappings(void)
{
    int32_t memory = tessera_memory_create(4 * PAGE);
    uint32_t handle = (uint32_t)memory;
    EXPECT(memory > 0 && tessera_memory_size(handle) == 4 * PAGE);
    EXPECT(tessera_memory_create(100) == -TESSERA_EINVALID && tessera_memory_create(0) == -TESSERA_EINVALID);
    EXPECT(tessera_memory_create(UINT64_C(1) << 40) == -TESSERA_EINVALID);
    pages[0][5] = 1;
    EXPECT(tessera_memory_map(handle, pages[0], 0, 2 * PAGE, TESSERA_MAP_WRITE) == 0 && pages[0][5] == 0);
    EXPECT(tessera_memory_map(handle, pages[4], 0, 2 * PAGE, 0) == 0);
    EXPECT(tessera_memory_map(handle, pages[6], 0, 2 * PAGE, TESSERA_MAP_COPY) == 0);
    pages[0][0] = 42;
    pages[1][PAGE - 1] = 43;
    EXPECT(pages[4][0] == 42 && pages[5][PAGE - 1] == 43);
    pages[6][3] = 9;
    pages[7][PAGE - 1]++;
    EXPECT(pages[0][3] == 0 && pages[1][PAGE - 1] == 43 && pages[7][PAGE - 1] == 44 && pages[6][0] == 42);
    EXPECT(tessera_memory_map(handle, pages[1], 0, PAGE, 0) == -TESSERA_EEXISTS);
    EXPECT(tessera_memory_map(handle, pages[2] + 1, 0, PAGE, 0) == -TESSERA_EINVALID);
    EXPECT(tessera_memory_map(handle, pages[2], 3 * PAGE, 2 * PAGE, 0) == -TESSERA_EINVALID);
    EXPECT(tessera_memory_map(handle, pages[2], UINT64_MAX - PAGE + 1, 2 * PAGE, 0) == -TESSERA_EINVALID);
    EXPECT(tessera_memory_map(handle, (void *)(uintptr_t)0xfffff000u, 0, PAGE, 0) == -TESSERA_EINVALID);
    EXPECT(tessera_memory_map(handle, pages[2], 0, PAGE, 3) == -TESSERA_EINVALID);
    int32_t weak = tessera_handle_duplicate(handle, TESSERA_RIGHT_MAP | TESSERA_RIGHT_READ);
    EXPECT(tessera_memory_map((uint32_t)weak, pages[2], 0, PAGE, TESSERA_MAP_WRITE) == -TESSERA_ERIGHT);
    for (int i = 0; i < 2000; i++) { /* a place is used again and again */
        if (tessera_memory_map((uint32_t)weak, pages[2], 0, PAGE, 0) || pages[2][0] != 42 ||
            tessera_memory_unmap(pages[2]) || pages[2][0]) {
            EXPECT(!"map and unmap");
            break;
        }
    }
    EXPECT(tessera_memory_unmap(pages[2]) == -TESSERA_ENOTFOUND);
    EXPECT(tessera_memory_map((uint32_t)weak, pages[2], 0, PAGE, 0) == 0 && pages[2][0] == 42);
    EXPECT(tessera_handle_revoke(handle) == 0);
    EXPECT(tessera_memory_map((uint32_t)weak, pages[3], 0, PAGE, 0) == -TESSERA_EHANDLE);
    EXPECT(tessera_memory_unmap(pages[2]) == 0 && pages[2][0] == 0); /* it is gone, and the place can be had again */
    EXPECT(tessera_memory_unmap(pages[0]) == 0 && tessera_memory_unmap(pages[4]) == 0 &&
           tessera_memory_unmap(pages[6]) == 0);
    EXPECT(tessera_memory_map(handle, pages[0], 0, PAGE, 0) == 0 && pages[0][0] == 42);
    tessera_memory_unmap(pages[0]);
    tessera_handle_close((uint32_t)weak);
    tessera_handle_close(handle);
}

/* Start some, whose ends come with one's own. */
static int leave_children(void)
{
    struct description description = describe("exit", NULL);
    add(&description, "memory", "1048576");
    module = tessera_module_load(self_path, sizeof(self_path) - 1);
    for (int i = 0; i < 6; i++) {
        int32_t process = create(&description, NULL, 0);
        if (process < 0 || tessera_process_start((uint32_t)process)) {
            return 1;
        }
    }
    for (volatile int i = 0; i < 20000; i++) {
    }
    return 0;
}

/* What was lent goes back to a starter that is about to end. (The thread sanitizer sees if that is not guarded.) */
static void ends_of_families(void)
{
    struct description description = describe("leave", NULL);
    add(&description, "directory", "/bin");
    add(&description, "memory", "12582912");
    for (int i = 0; i < 25; i++) {
        int32_t starters[4];
        for (int k = 0; k < 4; k++) {
            starters[k] = create(&description, NULL, 0);
            EXPECT(starters[k] > 0 && tessera_process_start((uint32_t)starters[k]) == 0);
        }
        for (int k = 0; k < 4; k++) {
            EXPECT(tessera_wait_one((uint32_t)starters[k], TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) ==
                   TESSERA_SIGNAL_EXITED);
            EXPECT(status_of(starters[k]).conventional_status == 0);
            tessera_handle_close((uint32_t)starters[k]);
        }
    }
}

/* One that is shown and hidden in pieces, whose ends lie anywhere. */
static void large_mapping(void)
{
    enum { PAGES = 2307 };
    uint32_t memory = (uint32_t)tessera_memory_create(PAGES * PAGE), derived = duplicate(memory);
    uint8_t(*all)[PAGE] = aligned_alloc(PAGE, (PAGES + 1) * PAGE), (*place)[PAGE] = all + 1;
    uint8_t(*copy)[PAGE] = aligned_alloc(PAGE, PAGES * PAGE);
    uint32_t wrong = 0;
    memset(all, 7, (PAGES + 1) * PAGE);
    memset(copy, 8, PAGES * PAGE);
    EXPECT(tessera_memory_map(memory, place, 0, PAGES * PAGE, TESSERA_MAP_WRITE) == 0);
    EXPECT(tessera_memory_map(derived, copy, 0, PAGES * PAGE, 0) == 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        wrong += place[i][0] != 0 || place[i][PAGE - 1] != 0;
        place[i][i % PAGE] = (uint8_t)(i % 251 + 1);
    }
    for (uint32_t i = 0; i < PAGES; i++) {
        wrong += copy[i][i % PAGE] != i % 251 + 1;
    }
    EXPECT(wrong == 0 && all[0][PAGE - 1] == 7);
    EXPECT(tessera_memory_unmap(copy) == 0);
    EXPECT(tessera_memory_map(derived, copy, 0, PAGES * PAGE, TESSERA_MAP_COPY) == 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        wrong += copy[i][i % PAGE] != i % 251 + 1;
        copy[i][i % PAGE] = 0;
    }
    EXPECT(tessera_handle_revoke(memory) == 0);
    EXPECT(tessera_memory_unmap(copy) == 0 && tessera_memory_unmap(place) == 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        wrong += copy[i][i % PAGE] != 0 || place[i][i % PAGE] != 0;
    }
    EXPECT(wrong == 0);
    tessera_handle_close(derived);
    tessera_handle_close(memory);
    free(all);
    free(copy);
}

/* A child shows the memory; then its handle is revoked, and it touches the place. */
static void revocation(void)
{
    static const char *const arguments[] = {NULL, "call"};
    for (int i = 0; i < 2; i++) {
        uint32_t memory = (uint32_t)tessera_memory_create(2 * PAGE), ready = event(), go = event();
        EXPECT(tessera_memory_map(memory, pages[0], 0, 2 * PAGE, TESSERA_MAP_WRITE) == 0);
        pages[0][0] = 42;
        pages[1][PAGE - 1] = 43;
        uint32_t handles[] = {duplicate(memory), duplicate(ready), duplicate(go)};
        struct description description = describe("memory", arguments[i]);
        add(&description, "handle", "memory");
        add(&description, "handle", "ready");
        add(&description, "handle", "go");
        int32_t process = create(&description, handles, 3);
        EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
        tessera_wait_one(ready, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
        EXPECT(pages[0][1] == 44);
        EXPECT(tessera_memory_unmap(pages[0]) == 0);
        EXPECT(tessera_handle_revoke(memory) == 0);
        tessera_event_signal(go);
        tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
        struct tessera_process_status status = status_of(process);
        EXPECT(status.state == TESSERA_PROCESS_TRAPPED &&
               strcmp(status.reason, "access that a mapping does not allow") == 0);
        EXPECT(tessera_memory_map(memory, pages[0], 0, PAGE, 0) == 0 && pages[0][1] == 44);
        EXPECT(tessera_memory_unmap(pages[0]) == 0);
        tessera_handle_close((uint32_t)process);
        tessera_handle_close(memory);
        tessera_handle_close(ready);
        tessera_handle_close(go);
    }
}

/* The number of the process with this name; 0: there is none. */
static uint32_t find_process(const char *name)
{
    struct tessera_process_information list[8];
    uint64_t position = 0;
    for (int32_t count; (count = tessera_process_list(TESSERA_SYSTEM, &position, list, 8)) > 0;) {
        for (int32_t i = 0; i < count; i++) {
            const char *slash = strrchr(list[i].name, '/');
            if (strcmp(slash ? slash + 1 : list[i].name, name) == 0) {
                return list[i].id;
            }
        }
    }
    return 0;
}

/* A grandchild, to which this program has no handle, is found and killed; its parent sees how it ended. */
static void opens(void)
{
    for (int i = 0; i < 2; i++) {
        uint32_t handle = duplicate(TESSERA_SYSTEM), number = 0;
        struct description description = describe("starter", i ? "system" : NULL);
        add(&description, "handle", "system");
        add(&description, "directory", "/bin");
        int32_t process = create(&description, &handle, 1);
        EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
        while (!number) {
            number = find_process("victim");
        }
        int32_t victim = tessera_process_open(TESSERA_SYSTEM, number), same;
        while (victim == -TESSERA_ENOTFOUND) { /* it has just begun */
            victim = tessera_process_open(TESSERA_SYSTEM, number);
        }
        EXPECT(victim > 0 && status_of(victim).id == number && status_of(victim).state == TESSERA_PROCESS_RUNNING);
        same = tessera_process_open(TESSERA_SYSTEM, number);
        EXPECT(same > 0 && tessera_handle_close((uint32_t)same) == 0);
        EXPECT(tessera_wait_one((uint32_t)victim, TESSERA_SIGNAL_EXITED, 0) == -TESSERA_ETIMEOUT);
        EXPECT(tessera_process_start((uint32_t)victim) == -TESSERA_EBUSY);
        EXPECT(tessera_process_kill((uint32_t)victim) == 0);
        EXPECT(tessera_wait_one((uint32_t)victim, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
        EXPECT(status_of(victim).conventional_status == 137);
        tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
        EXPECT(status_of(process).exit_status == 137);
        EXPECT(tessera_process_open(TESSERA_SYSTEM, number) == -TESSERA_ENOTFOUND);
        tessera_handle_close((uint32_t)process);
        tessera_handle_close((uint32_t)victim);
    }
    int32_t weak = tessera_handle_duplicate(TESSERA_SYSTEM, TESSERA_RIGHT_INSPECT | TESSERA_RIGHT_EXECUTE);
    EXPECT(tessera_process_open((uint32_t)weak, 1) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_open(TESSERA_SYSTEM, 0) == -TESSERA_ENOTFOUND);
    int32_t self = tessera_process_open(TESSERA_SYSTEM, find_process("guest.wasm"));
    EXPECT(self > 0 && tessera_handle_close((uint32_t)self) == 0); /* and it lives on */
    tessera_handle_close((uint32_t)weak);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "child") == 0) {
        return child(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "read-only") == 0) {
        uint32_t memory = (uint32_t)tessera_memory_create(PAGE);
        tessera_memory_map(memory, pages[0], 0, PAGE, 0);
        pages[0][0] = 1;
        return 0;
    }
    static const char self[] = "/bin/guest.wasm";
    module = tessera_module_load(self, sizeof(self) - 1);
    EXPECT(module > 0);
    if (argc > 1 && strcmp(argv[1], "many") == 0) {
        for (int i = atoi(argv[2]); i > 0 && !failures; i--) {
            EXPECT(run("exit", "1") == 1);
        }
        return failures;
    }
    if (argc > 1 && strcmp(argv[1], "shares") == 0) {
        shares();
        return failures;
    }
    if (argc > 1 && strcmp(argv[1], "open") == 0) {
        opens();
        return failures;
    }
    ends();
    kills();
    refusals();
    budgets();
    nested_budgets();
    ends_of_families();
    mappings();
    large_mapping();
    revocation();
    return failures;
}
