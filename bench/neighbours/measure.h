/* How much of its share a program gets beside others that want more than theirs: bench/neighbours, on every platform.
 */
#ifndef BENCH_NEIGHBOURS_MEASURE_H
#define BENCH_NEIGHBOURS_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* What runs beside the program: parts of guest.c. */
#define NEIGHBOURS(X)                                                                                                  \
    X(loop, "an endless loop")                                                                                         \
    X(threads, "256 threads that loop")                                                                                \
    X(messages, "a channel filled and emptied")                                                                        \
    X(memory, "programs that grow to 16 MiB, touch all of it and end")                                                 \
    X(programs, "programs that end at once")                                                                           \
    X(long_programs, "programs that loop for some ms, 8 at a time")                                                    \
    X(sleepers, "256 threads that sleep for 20 us at a time")                                                          \
    X(bursts, "256 threads that loop for some ms and sleep for 20 us")                                                 \
    X(fresh_threads, "threads that loop for some ms, 8 at a time")
enum neighbour {
#define NEIGHBOUR_NUMBER(name, what) NEIGHBOUR_##name,
    NEIGHBOURS(NEIGHBOUR_NUMBER)
#undef NEIGHBOUR_NUMBER
        NEIGHBOUR_COUNT
};

/* The module is guest.c; `rounds` is the program's work, and `clock` gives nanoseconds of the machine's time for the
 * kernel. Per mille of its fair share, which is a half, that the program has beside the neighbour; 0 and a message when
 * something fails. On one CPU. */
uint32_t measure_neighbour(enum neighbour neighbour, const uint8_t *module, size_t bytes, uint32_t rounds,
                           uint64_t (*clock)(void), const char **failure);

#endif
