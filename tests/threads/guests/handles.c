/* Threads as objects. It starts itself from its own file in /bin, with other arguments, where a program of its own is
 * needed; not as `handles alone`. As `handles high` it may use the priority HIGH. Prints what is wrong; the status is
 * the number of that. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sdk/tessera.h"
#include "tests/support/guest.h"

static uint32_t event, pair[2];
static uint64_t progress[2]; /* of spinning threads */
static int futex;

#define MILLISECOND INT64_C(1000000)

static void sleep_for(int64_t nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

static uint64_t progress_of(int i)
{
    return __atomic_load_n(&progress[i], __ATOMIC_SEQ_CST);
}

/* ---- What threads do ---- */

static void *end(void *argument)
{
    return argument;
}

static void *spin(void *argument)
{
    for (;;) {
        __atomic_add_fetch(&progress[(uintptr_t)argument], 1, __ATOMIC_SEQ_CST);
    }
}

static void *spin_in_calls(void *argument)
{
    for (;;) {
        tessera_time_coarse();
        __atomic_add_fetch(&progress[(uintptr_t)argument], 1, __ATOMIC_SEQ_CST);
    }
}

static void *wait_for_event(void *argument)
{
    tessera_wait_one(event, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
    return spin(argument);
}

static void *wait_for_futex(void *argument)
{
    __builtin_wasm_memory_atomic_wait32(&futex, 0, -1);
    return argument;
}

static void *read_channel(void *argument)
{
    char byte;
    tessera_channel_read(pair[0], &byte, 1, NULL, 0, TESSERA_FOREVER);
    return argument;
}

static void *sleep_long(void *argument)
{
    sleep(1000);
    return argument;
}

static void *trap(void *argument)
{
    (void)argument;
    __builtin_trap();
}

/* ---- Starting and ending ---- */

static pthread_t last;

static uint32_t start(void *(*function)(void *), uintptr_t argument)
{
    int handle = -1;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8192);
    EXPECT(pthread_create_with_handle_np(&last, &attributes, function, (void *)argument, &handle) == 0 && handle > 0);
    return (uint32_t)handle;
}

static struct tessera_thread_information about(uint32_t handle)
{
    struct tessera_thread_information information = {.state = 99};
    EXPECT(tessera_thread_information(handle, &information, sizeof(information)) == sizeof(information));
    return information;
}

static void await_end(uint32_t handle, const char *reason)
{
    EXPECT(tessera_wait_one(handle, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
    struct tessera_thread_information information = about(handle);
    EXPECT(information.state == TESSERA_THREAD_EXITED && strcmp(information.reason, reason) == 0);
    EXPECT(tessera_handle_close(handle) == 0);
}

static void kill_it(uint32_t handle)
{
    EXPECT(tessera_thread_kill(handle) == 0);
    await_end(handle, "killed");
    pthread_free_killed_np(last);
}

static void await_state(uint32_t handle, uint32_t state)
{
    for (int i = 0; i < 10000 && about(handle).state != state; i++) {
        sleep_for(MILLISECOND / 10);
    }
    EXPECT(about(handle).state == state);
}

static void await_progress(int i)
{
    uint64_t before = progress_of(i);
    while (progress_of(i) == before) {
        sleep_for(MILLISECOND / 10);
    }
}

/* Where others use the machine, too, the CPU that is to look at what it is asked for may be away for a while. */
static bool stands_still(int i)
{
    uint64_t before;
    int tries = 0;
    do {
        before = progress_of(i);
        sleep_for(5 * MILLISECOND);
    } while (progress_of(i) != before && tries++ < 200);
    return progress_of(i) == before;
}

static void ends(void)
{
    void *result = NULL;
    for (uintptr_t i = 1; i < 50; i++) {
        uint32_t handle = start(end, i);
        struct tessera_thread_information information = about(handle);
        EXPECT(information.number > 0 || information.state == TESSERA_THREAD_CREATED);
        EXPECT(pthread_join(last, &result) == 0 && result == (void *)i);
        EXPECT(tessera_wait_one(handle, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
        EXPECT(tessera_thread_kill(handle) == 0); /* nothing */
        EXPECT(tessera_thread_suspend(handle) == -TESSERA_EPEER && tessera_thread_resume(handle) == -TESSERA_EPEER);
        EXPECT(tessera_thread_set_priority(handle, TESSERA_PRIORITY_NORMAL) == -TESSERA_EPEER);
        EXPECT(tessera_thread_set_affinity(handle, 1) == -TESSERA_EPEER);
        await_end(handle, "returned");
    }
    uint32_t handle = start(end, 0); /* it goes on without a handle */
    tessera_handle_close(handle);
    EXPECT(pthread_join(last, &result) == 0);
}

/* Wherever they are, at any moment; the program and its other threads go on. */
static void kills(int count)
{
    static void *(*const functions[])(void *) = {
        spin, spin_in_calls, wait_for_event, wait_for_futex, read_channel, sleep_long, end};
    enum { COUNT = sizeof(functions) / sizeof(*functions) };
    uint32_t other = start(spin, 0);
    pthread_t other_thread = last;
    for (int i = 0; i < count; i++) {
        uint32_t handle = start(functions[i % COUNT], 1);
        if (i % 3) {
            sleep_for(i % 40 * (MILLISECOND / 10));
        } /* else before it begins, or when it does */
        EXPECT(tessera_thread_kill(handle) == 0);
        EXPECT(tessera_wait_one(handle, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
        EXPECT(functions[i % COUNT] == end || strcmp(about(handle).reason, "killed") == 0);
        pthread_free_killed_np(last);
        tessera_handle_close(handle);
    }
    await_progress(0);
    last = other_thread;
    kill_it(other);
}

static void suspensions(void)
{
    uint32_t handle = start(spin, 0);
    for (int i = 0; i < 20; i++) {
        await_progress(0);
        EXPECT(tessera_thread_suspend(handle) == 0 && tessera_thread_suspend(handle) == 0);
        EXPECT(stands_still(0) && about(handle).state == TESSERA_THREAD_SUSPENDED);
        EXPECT(tessera_thread_resume(handle) == 0);
    }
    await_progress(0);
    tessera_thread_suspend(handle);
    kill_it(handle);
    /* In a wait: that ends, and the thread stays. */
    handle = start(wait_for_event, 0);
    await_state(handle, TESSERA_THREAD_WAITING);
    tessera_thread_suspend(handle);
    tessera_event_signal(event);
    EXPECT(stands_still(0));
    tessera_thread_resume(handle);
    await_progress(0);
    kill_it(handle);
    tessera_event_clear(event);
    /* By itself. */
    int32_t self = tessera_thread_self();
    EXPECT(self > 0 && about((uint32_t)self).number == 0 && about((uint32_t)self).state == TESSERA_THREAD_RUNNING);
    tessera_handle_close((uint32_t)self);
}

/* Two threads on one CPU, of which one may run only when the other does not. */
static void scheduling(bool high)
{
    uint32_t low = start(spin, 0), normal;
    pthread_t low_thread = last;
    EXPECT(tessera_thread_set_priority(low, 9) == -TESSERA_EINVALID);
    EXPECT(tessera_thread_set_priority(low, TESSERA_PRIORITY_URGENT) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_set_priority(low, TESSERA_PRIORITY_HIGH) == (high ? 0 : -TESSERA_ERIGHT));
    EXPECT(tessera_thread_set_priority(low, TESSERA_PRIORITY_BACKGROUND) == 0);
    EXPECT(tessera_thread_set_affinity(low, 0) == -TESSERA_EINVALID && tessera_thread_set_affinity(low, 1) == 0);
    EXPECT(about(low).priority == TESSERA_PRIORITY_BACKGROUND && about(low).affinity == 1);
    await_progress(0);
    normal = start(spin, 1);
    EXPECT(tessera_thread_set_affinity(normal, 1) == 0);
    await_progress(1);
    sleep_for(50 * MILLISECOND); /* it may have a slice yet */
    uint64_t before[] = {progress_of(0), progress_of(1)};
    uint64_t cpu = about(normal).cpu_nanoseconds;
    sleep_for(300 * MILLISECOND);
    uint64_t gained[] = {progress_of(0) - before[0], progress_of(1) - before[1]};
    if (gained[0] * 20 > gained[1]) {
        printf("background %llu, normal %llu\n", (unsigned long long)gained[0], (unsigned long long)gained[1]);
        failures++;
    }
    EXPECT(about(normal).cpu_nanoseconds > cpu + 20 * (uint64_t)MILLISECOND);
    kill_it(normal);
    last = low_thread;
    await_progress(0);
    kill_it(low);
}

static void rights(void)
{
    uint32_t handle = start(spin, 0);
    uint32_t inspect = (uint32_t)tessera_handle_duplicate(handle, TESSERA_RIGHT_INSPECT);
    uint32_t manage = (uint32_t)tessera_handle_duplicate(handle, TESSERA_RIGHT_MANAGE);
    struct tessera_handle_information information;
    EXPECT(tessera_handle_information(handle, &information, sizeof(information)) > 0 &&
           information.type == TESSERA_OBJECT_THREAD);
    EXPECT(tessera_thread_kill(inspect) == -TESSERA_ERIGHT && tessera_thread_suspend(inspect) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_resume(inspect) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_set_priority(inspect, 0) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_set_affinity(inspect, 1) == -TESSERA_ERIGHT);
    struct tessera_thread_information thread;
    EXPECT(tessera_thread_information(manage, &thread, 4) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_information(inspect, &thread, 4) == 4);
    EXPECT(tessera_wait_one(inspect, TESSERA_SIGNAL_EXITED, 0) == -TESSERA_ERIGHT);
    EXPECT(tessera_thread_kill(event) == -TESSERA_EHANDLE && tessera_thread_kill(0) == -TESSERA_EHANDLE);
    EXPECT(tessera_thread_kill(manage) == 0);
    await_end(handle, "killed");
    tessera_handle_close(inspect);
    tessera_handle_close(manage);
    pthread_free_killed_np(last);
}

/* ---- Programs ---- */

static uint32_t module;

static uint32_t create(const char *what, const char *more, uint32_t handle)
{
    char text[200];
    int length = snprintf(text, sizeof(text), "streams=1%cargument=child%cargument=%s%chandle=it%c%s", 0, 0, what, 0, 0, more);
    length += *more != 0;
    int32_t process = tessera_process_create(module, text, (uint32_t)length, &handle, 1);
    EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
    return (uint32_t)process;
}

/* As many as it may have; an ended one makes room for another. */
static int fill_up(void)
{
    int count = 0, handle, handles[300];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 4096);
    while (count < 300 && pthread_create_with_handle_np(&last, &attributes, sleep_long, NULL, &handle) == 0) {
        handles[count++] = handle;
    }
    if (handle != -TESSERA_ELIMIT) {
        return 99;
    }
    for (int i = 0; i < 20; i++) {
        tessera_thread_kill((uint32_t)handles[i % count]);
        tessera_wait_one((uint32_t)handles[i % count], TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
        if (pthread_create_with_handle_np(&last, &attributes, sleep_long, NULL, &handles[i % count])) {
            return 98;
        }
    }
    return count;
}

static int child(const char *what)
{
    uint32_t it = (uint32_t)tessera_handle_named("it", 2);
    event = it;
    if (strcmp(what, "fill") == 0) {
        return fill_up();
    }
    if (strcmp(what, "self") == 0) {
        tessera_thread_kill((uint32_t)tessera_thread_self());
    }
    if (strcmp(what, "send") == 0) { /* its first thread, to whoever has the channel's other end */
        uint32_t self = (uint32_t)tessera_thread_self();
        tessera_channel_write(it, "", 0, &self, 1, TESSERA_FOREVER);
        tessera_wait_one(it, TESSERA_SIGNAL_READABLE, TESSERA_FOREVER);
    }
    if (strcmp(what, "trap") == 0) {
        start(trap, 0);
        sleep(1000);
    }
    return 0;
}

static void programs(void)
{
    static const char self[] = "/bin/handles.wasm";
    module = (uint32_t)tessera_module_load(self, sizeof(self) - 1);
    EXPECT((int32_t)module > 0);
    EXPECT(finish_program(create("fill", "threads=6", (uint32_t)tessera_event_create(0))) == 5); /* and the first */
    EXPECT(finish_program(create("self", "", (uint32_t)tessera_event_create(0))) == 137);
    EXPECT(finish_program(create("trap", "", (uint32_t)tessera_event_create(0))) == 134);
    uint32_t ends[2], thread = 0;
    EXPECT(tessera_channel_create(0, 0, ends) == 0);
    uint32_t process = create("send", "", ends[1]);
    EXPECT(tessera_channel_read(ends[0], NULL, 0, &thread, 1, TESSERA_FOREVER) == 0 && thread);
    EXPECT(about(thread).number == 0 && about(thread).state != TESSERA_THREAD_EXITED);
    EXPECT(tessera_thread_kill(thread) == 0);
    EXPECT(finish_program(process) == 137);
    await_end(thread, "killed");
    tessera_handle_close(ends[0]);
    tessera_handle_close(module);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "child") == 0) {
        return child(argv[1]);
    }
    event = (uint32_t)tessera_event_create(0);
    tessera_channel_create(0, 0, pair);
    ends();
    bool alone = argc > 1 && strcmp(argv[1], "alone") == 0; /* again and again, to see what is left: a few will do */
    kills(alone ? 70 : 280);
    suspensions();
    scheduling(argc > 1 && strcmp(argv[1], "high") == 0);
    rights();
    if (!alone) {
        programs();
    }
    tessera_handle_close(event);
    tessera_handle_close(pair[0]);
    tessera_handle_close(pair[1]);
    return failures;
}
