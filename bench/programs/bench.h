/* Frame of every benchmark program: `compute` does the work and `main` times it.
 *
 * Prints one line, "checksum HEX wall N processor N". The times, in nanoseconds, are those of `compute` alone, so that
 * loading and compiling are not in them. The checksum depends on all of the work and on `scale` only: the same on every
 * engine. */
#ifndef BENCH_PROGRAMS_BENCH_H
#define BENCH_PROGRAMS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Work proportional to `scale`; scale 1 takes about 0.1 s natively. */
uint64_t compute(uint32_t scale);

static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    return sum ^ (sum >> 29);
}

static inline uint64_t mix_double(uint64_t sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return mix(sum, bits);
}

/* xorshift32; the state must not be 0. */
static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static inline void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == NULL)
        abort();
    return memory;
}

/* 0 where the clock does not exist. */
static inline uint64_t clock_nanoseconds(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    uint64_t wall = clock_nanoseconds(CLOCK_MONOTONIC), processor = clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t checksum = compute(scale);
    processor = clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
    wall = clock_nanoseconds(CLOCK_MONOTONIC) - wall;
    printf("checksum %016llx wall %llu processor %llu\n", (unsigned long long)checksum, (unsigned long long)wall,
           (unsigned long long)processor);
    return 0;
}

#endif
