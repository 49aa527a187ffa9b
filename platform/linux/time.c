/* Clocks and random numbers. */
#include "kernel/platform.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t clock_nanoseconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t platform_monotonic_nanoseconds(void)
{
    return clock_nanoseconds(CLOCK_MONOTONIC);
}

uint64_t platform_realtime_nanoseconds(void)
{
    return clock_nanoseconds(CLOCK_REALTIME);
}

void platform_random(void *buffer, size_t bytes)
{
    uint8_t *cursor = buffer;
    while (bytes > 0) {
        ssize_t got = getrandom(cursor, bytes, 0);
        if (got < 0 && errno != EINTR)
            platform_panic("no source of random numbers");
        if (got > 0) {
            cursor += got;
            bytes -= (size_t)got;
        }
    }
}
