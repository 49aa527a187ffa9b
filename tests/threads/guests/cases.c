/* One case for each argument; tests/threads/run knows how each must end. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 8
#define LOAD(place)         __atomic_load_n(place, __ATOMIC_SEQ_CST)
#define STORE(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)
#define ADD(place, value)   __atomic_fetch_add(place, value, __ATOMIC_SEQ_CST)
#define PAGE                65536

static int wait_for(int *place, int expected, int64_t nanoseconds)
{
    return __builtin_wasm_memory_atomic_wait32(place, expected, nanoseconds);
}

static void start(void *(*function)(void *), int count)
{
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, function, (void *)i) != 0)
            exit(99);
    }
}

static int done;
static void thread_is_done(void)
{
    ADD(&done, 1);
    __builtin_wasm_memory_atomic_notify(&done, 1);
}
static void wait_for_all(int count)
{
    for (int now; (now = LOAD(&done)) < count;)
        wait_for(&done, now, -1);
}

/* ---- All at one counter, with every kind of instruction, for several time slices ---- */
static uint32_t sum, difference, flags, exchanged, compared;
static uint16_t narrow;

static void *count(void *argument)
{
    uint32_t bit = 1u << (long)argument;
    for (int i = 0; i < 500000; i++) {
        ADD(&sum, 3);
        __atomic_fetch_sub(&difference, 1, __ATOMIC_SEQ_CST);
        ADD(&narrow, 1);
        if (__atomic_fetch_xor(&flags, bit, __ATOMIC_SEQ_CST) & bit && i % 2 == 0)
            exit(2);
        uint32_t seen = LOAD(&compared);
        while (!__atomic_compare_exchange_n(&compared, &seen, seen + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        if (__atomic_exchange_n(&exchanged, bit, __ATOMIC_SEQ_CST) > 1u << (THREADS - 1))
            exit(3);
    }
    thread_is_done();
    return NULL;
}

static int run_counters(void)
{
    start(count, THREADS);
    wait_for_all(THREADS);
    uint32_t all = THREADS * 500000;
    return sum == 3 * all && difference == -all && narrow == (uint16_t)all && flags == 0 && compared == all ? 0 : 1;
}

/* ---- One place of one word, by wait and notify ---- */
static int slot;
static long taken;

static void *give(void *argument)
{
    for (int i = 1; i <= 20000; i++) {
        while (LOAD(&slot) != 0)
            wait_for(&slot, LOAD(&slot), 1000000);
        STORE(&slot, i);
        __builtin_wasm_memory_atomic_notify(&slot, 1);
    }
    return argument;
}

static int run_wait_notify(void)
{
    start(give, 1);
    for (int i = 1; i <= 20000; i++) {
        while (LOAD(&slot) == 0)
            wait_for(&slot, 0, -1);
        taken += LOAD(&slot);
        STORE(&slot, 0);
        __builtin_wasm_memory_atomic_notify(&slot, 1);
    }
    return taken == 20000L * 20001 / 2 ? 0 : 1;
}

/* ---- Timeouts; and notify wakes as many as it is told, at this address only ---- */
static int gate, other, woken;

static void *pass_gate(void *argument)
{
    if (wait_for(&gate, 0, -1) == 0)
        ADD(&woken, 1);
    thread_is_done();
    return argument;
}

static int run_timeout(void)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (wait_for(&gate, 1, -1) != 1 || wait_for(&gate, 0, 0) != 2 || wait_for(&gate, 0, 30000000) != 2)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &after);
    if ((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec < 30000000)
        return 2;
    start(pass_gate, 5);
    wait_for(&other, 0, 50000000); /* all of them wait now */
    if (__builtin_wasm_memory_atomic_notify(&other, 9) != 0 || __builtin_wasm_memory_atomic_notify(&gate, 2) != 2)
        return 3;
    wait_for_all(2);
    if (woken != 2 || __builtin_wasm_memory_atomic_notify(&gate, 9) != 3)
        return 4;
    wait_for_all(5);
    return woken == 5 && __builtin_wasm_memory_atomic_notify(&gate, 1) == 0 ? 0 : 5;
}

/* ---- Ends ---- */
static void *spin(void *argument)
{
    for (volatile int i = 0;; i++) {
    }
    return argument;
}
static void *sleep_for_ever(void *argument)
{
    wait_for(&gate, 0, -1);
    return argument;
}
__attribute__((noinline)) static void *trap_here(void *argument)
{
    wait_for(&gate, 0, 20000000);
    if (argument == NULL)
        __builtin_trap();
    return argument;
}
static void *exit_here(void *argument)
{
    (void)argument;
    exit(33);
}
static void *unaligned(void *argument)
{
    volatile uintptr_t address = (uintptr_t)&gate + 1 + (uintptr_t)argument;
    return (void *)(intptr_t)LOAD((int *)address);
}

static int run_others(void *(*function)(void *))
{
    start(spin, 2);
    start(sleep_for_ever, 2);
    start(function, 1);
    wait_for(&gate, 0, -1);
    return 1;
}
static int run_trap(void)
{
    return run_others(trap_here);
}
static int run_exit(void)
{
    return run_others(exit_here);
}
static int run_unaligned(void)
{
    return run_others(unaligned);
}
static int run_spin(void)
{
    start(spin, THREADS);
    spin(NULL);
    return 1;
}
static int run_return(void)
{
    start(spin, THREADS);
    start(sleep_for_ever, THREADS);
    return 44;
}

/* ---- Too many ---- */
static int run_bomb(void)
{
    int count_started = 0;
    pthread_t thread;
    pthread_attr_t attributes = {.stack_bytes = 4096};
    while (pthread_create(&thread, &attributes, sleep_for_ever, NULL) == 0)
        count_started++;
    printf("%d\n", count_started);
    return 0;
}

/* ---- Memory grows while others write into what there is, and where it grew ---- */
static unsigned char *grown;

static void *write_all(void *argument)
{
    unsigned value = (unsigned)(long)argument + 1;
    for (int round = 0; round < 200; round++) {
        unsigned char *start_of = LOAD(&grown);
        size_t bytes = __builtin_wasm_memory_size(0) * PAGE - (size_t)start_of;
        for (size_t i = value; i + THREADS < bytes; i += 509)
            start_of[i / THREADS * THREADS + value - 1] = (unsigned char)value;
    }
    thread_is_done();
    return NULL;
}

static int run_grow(void)
{
    STORE(&grown, (unsigned char *)(__builtin_wasm_memory_grow(0, 1) * PAGE));
    start(write_all, THREADS);
    size_t pages = __builtin_wasm_memory_size(0);
    for (int i = 0; i < 200; i++) {
        if (__builtin_wasm_memory_grow(0, 1) != pages + (size_t)i)
            return 1;
        grown[(size_t)i * PAGE] = 1;
        wait_for(&gate, 0, 1000000);
    }
    wait_for_all(THREADS);
    return __builtin_wasm_memory_size(0) == pages + 200 ? 0 : 2;
}

int main(int count_arguments, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"counters", run_counters}, {"wait_notify", run_wait_notify}, {"timeout", run_timeout}, {"trap", run_trap},
        {"exit", run_exit},         {"unaligned", run_unaligned},     {"spin", run_spin},       {"return", run_return},
        {"bomb", run_bomb},         {"grow", run_grow},
    };
    for (size_t i = 0; count_arguments > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(arguments[1], cases[i].name) == 0)
            return cases[i].run();
    return 98;
}
