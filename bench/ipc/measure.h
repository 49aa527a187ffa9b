/* What the kernel's own operations cost, in ticks of the time-stamp counter: the part of bench/ipc that is the same on
 * every platform. */
#ifndef BENCH_IPC_MEASURE_H
#define BENCH_IPC_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* name, what of Linux does the same. In the order of the table. */
#define MEASURES(X)                                                                                                    \
    X(null_host_call, "getppid")                                                                                       \
    X(checked_host_call, "eventfd write")                                                                              \
    X(call_0_bytes, "pipe round trip, 1 byte")                                                                         \
    X(call_4096_bytes, "pipe round trip, 4096 bytes")                                                                  \
    X(event_exchange, "futex round trip")
enum measure_number {
#define MEASURE_NUMBER(name, rival) MEASURE_##name,
    MEASURES(MEASURE_NUMBER)
#undef MEASURE_NUMBER
        MEASURE_COUNT
};

#define MEASURE_ROUNDS 9

static inline uint64_t measure_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Run those whose bit is set in `chosen`, with a module made of guest.c, `scale` being the work of one round; ticks[n]
 * becomes the median of the rounds of measure n, for one operation. Returns a message when something does not work,
 * else NULL. */
const char *measure_all(const uint8_t *module, size_t bytes, uint32_t scale, uint32_t chosen,
                        uint64_t ticks[MEASURE_COUNT]);

/* The middle one of MEASURE_ROUNDS values. */
uint64_t measure_median(uint64_t values[MEASURE_ROUNDS]);

#endif
