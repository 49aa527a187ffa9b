/* Frame of every benchmark program: `compute` does the work and `main` times it.
 *
 * Prints one line, "checksum HEX nanoseconds N". The time is that of `compute` alone, so that loading and compiling are
 * not in it. The checksum depends on all of the work and on `scale` only: the same on every engine. */
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

static inline uint64_t monotonic_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    uint64_t start = monotonic_nanoseconds();
    uint64_t checksum = compute(scale);
    uint64_t nanoseconds = monotonic_nanoseconds() - start;
    printf("checksum %016llx nanoseconds %llu\n", (unsigned long long)checksum, (unsigned long long)nanoseconds);
    return 0;
}

#endif
