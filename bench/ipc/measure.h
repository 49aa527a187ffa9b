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
    X(call_0_bytes_deadlines, "pipe round trip, 1 byte")                                                               \
    X(service_call_numbers, "pipe round trip, 1 byte")                                                                 \
    X(service_call_text, "pipe round trip, 1 byte")                                                                    \
    X(service_call_text_4096, "pipe round trip, 4096 bytes")                                                           \
    X(event_exchange, "futex round trip")                                                                              \
    X(channel_exchange, "socketpair round trip")                                                                       \
    X(thread_create_exit, "pthread_create and join")                                                                   \
    X(instantiate_1_mb, "fork and exit, 1 MB of data")                                                                 \
    X(process_create_exit, "fork, exec and exit")                                                                      \
    X(call_0_bytes_two_cpus_started, "pipe round trip, 1 byte")                                                        \
    X(call_0_bytes_deadlines_two_cpus_started, "pipe round trip, 1 byte")                                              \
    X(service_call_numbers_two_cpus_started, "pipe round trip, 1 byte")                                                \
    X(channel_exchange_two_cpus, "socketpair round trip, two CPUs")
enum measure_number {
#define MEASURE_NUMBER(name, rival) MEASURE_##name,
    MEASURES(MEASURE_NUMBER)
#undef MEASURE_NUMBER
        MEASURE_COUNT
};

#define MEASURE_ROUNDS 9
#define MEASURE_MAKING 10 /* what is made anew each time is made so many times less often */

static inline uint64_t measure_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* Compile the module made of guest.c; NULL, or a message. */
const char *measure_begin(const uint8_t *module, size_t bytes);
/* The median of the rounds of measure `number`, for one operation, `scale` being the work of one round; 0 when this
 * machine has too few CPUs. *failure is set to a message when something does not work, and left alone otherwise. */
uint64_t measure(enum measure_number number, uint32_t scale, const char **failure);

/* The middle one of MEASURE_ROUNDS values. */
uint64_t measure_median(uint64_t values[MEASURE_ROUNDS]);

#endif
