/* A program that computes, and what others do beside it to have more than their share: bench/neighbours/measure.c.
 * NAME of the part to play, and for "work" the number of rounds. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define CLOCK        TESSERA_CLOCK
#define MICROSECOND  INT64_C(1000)
#define THREADS_MOST 300

static void work(uint32_t rounds)
{
    static volatile uint32_t words[4096];
    uint32_t value = 1;
    for (uint32_t i = 0; i < rounds; i++) {
        value = value * 1664525 + 1013904223;
        words[value >> 20] += value;
    }
}

_Noreturn static void loop(void)
{
    for (volatile uint32_t i = 0;; i++) {
    }
}

static void *loop_thread(void *argument)
{
    (void)argument;
    loop();
}

/* As many threads as it gets. */
static void start_threads(void *(*function)(void *))
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8192);
    for (int i = 0; i < THREADS_MOST && pthread_create(&thread, &attributes, function, NULL) == 0; i++) {
    }
}

_Noreturn static void threads(void)
{
    start_threads(loop_thread);
    loop();
}

/* Fills a channel and empties it, and calls a port that nobody serves. */
_Noreturn static void messages(void)
{
    static uint8_t bytes[1024];
    uint32_t ends[2];
    if (tessera_channel_create(0, 0, ends) != 0)
        abort();
    for (;;) {
        while (tessera_channel_write(ends[0], bytes, sizeof bytes, NULL, 0, 0) == 0) {
        }
        while (tessera_channel_read(ends[1], bytes, sizeof bytes, NULL, 0, 0) > 0) {
        }
    }
}

/* One program after the other, `alive` at a time. */
_Noreturn static void programs(const uint8_t *code, uint32_t bytes, uint32_t alive)
{
    int32_t module = tessera_module_create(code, bytes), processes[16] = {0};
    if (module < 0)
        abort();
    for (uint32_t i = 0;; i = (i + 1) % alive) {
        if (processes[i] > 0) {
            tessera_wait_one((uint32_t)processes[i], TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
            tessera_handle_close((uint32_t)processes[i]);
        }
        processes[i] = tessera_process_create((uint32_t)module, "name=child\0share=4000",
                                              sizeof "name=child\0share=4000", NULL, 0);
        if (processes[i] < 0 || tessera_process_start((uint32_t)processes[i]) != 0)
            abort();
    }
}

/* (module (func (export "_start"))) */
static const uint8_t empty[] = {0, 'a', 's', 'm', 1,   0,   0,   0,   1,   4,   1, 0x60, 0,  0, 3, 2, 1, 0,
                                7, 10,  1,   6,   '_', 's', 't', 'a', 'r', 't', 0, 0,    10, 4, 1, 2, 0, 11};

/* (module (func (export "_start") (local i32)
 *   (loop (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 4000000)))))) */
static const uint8_t spin[] = {0,  97, 115, 109, 1,   0,   0,  0,   1,   4,   1,   96,  0,  0,  3,  2, 1,  0,   7,
                               10, 1,  6,   95,  115, 116, 97, 114, 116, 0,   0,   10,  24, 1,  22, 1, 1,  127, 3,
                               64, 32, 0,   65,  1,   106, 34, 0,   65,  128, 146, 244, 1,  71, 13, 0, 11, 11};

/* (module (memory 1 1024) (func (export "_start") (local i32)
 *   (drop (memory.grow (i32.const 255)))
 *   (loop
 *     (i32.store (local.get 0) (i32.const 1))
 *     (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4096))) (i32.const 16777216)))))) */
static const uint8_t grow[] = {0,  97, 115, 109, 1,   0,   0,  0,  1,   4,   1,   96,  0,  0,   3,   2,  1,  0,  5,  5,
                               1,  1,  1,   128, 8,   7,   10, 1,  6,   95,  115, 116, 97, 114, 116, 0,  0,  10, 38, 1,
                               36, 1,  1,   127, 65,  255, 1,  64, 0,   26,  3,   64,  32, 0,   65,  1,  54, 2,  0,  32,
                               0,  65, 128, 32,  106, 34,  0,  65, 128, 128, 128, 8,   73, 13,  0,   11, 11};

static void sleep_for(int64_t nanoseconds)
{
    uint32_t never = (uint32_t)tessera_event_create(0);
    tessera_wait_one(never, TESSERA_SIGNAL_SIGNALED, (uint64_t)(tessera_clock_read(CLOCK) + nanoseconds));
    tessera_handle_close(never);
}

static void *sleep_thread(void *argument)
{
    (void)argument;
    for (;;)
        sleep_for(20 * MICROSECOND);
}

_Noreturn static void sleepers(void)
{
    start_threads(sleep_thread);
    sleep_thread(NULL);
    __builtin_unreachable();
}

/* Runs for most of a time slice, and sleeps a moment to come back as one who slept. */
static void *burst_thread(void *argument)
{
    (void)argument;
    for (;;) {
        work(1000000);
        sleep_for(20 * MICROSECOND);
    }
}

_Noreturn static void bursts(void)
{
    start_threads(burst_thread);
    burst_thread(NULL);
    __builtin_unreachable();
}

/* Threads that end, and new ones. */
static void *short_thread(void *argument)
{
    (void)argument;
    work(1000000);
    return NULL;
}

_Noreturn static void fresh_threads(void)
{
    pthread_t running[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&running[i], NULL, short_thread, NULL);
    for (int i = 0;; i = (i + 1) % 8) {
        pthread_join(running[i], NULL);
        pthread_create(&running[i], NULL, short_thread, NULL);
    }
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    if (strcmp(part, "work") == 0 && argc > 2)
        work((uint32_t)strtoul(argv[2], NULL, 10));
    else if (strcmp(part, "loop") == 0)
        loop();
    else if (strcmp(part, "threads") == 0)
        threads();
    else if (strcmp(part, "messages") == 0)
        messages();
    else if (strcmp(part, "memory") == 0)
        programs(grow, sizeof grow, 4);
    else if (strcmp(part, "programs") == 0)
        programs(empty, sizeof empty, 4);
    else if (strcmp(part, "long_programs") == 0)
        programs(spin, sizeof spin, 8);
    else if (strcmp(part, "sleepers") == 0)
        sleepers();
    else if (strcmp(part, "bursts") == 0)
        bursts();
    else if (strcmp(part, "fresh_threads") == 0)
        fresh_threads();
    else
        return 2;
    return 0;
}
