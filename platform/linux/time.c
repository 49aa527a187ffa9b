/* Clocks and random numbers. */
#include "kernel/platform.h"
#include "kernel/sanitizer.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

SANITIZER_AT_INTERRUPT static uint64_t clock_nanoseconds(clockid_t clock)
{
    struct timespec time;
#if __has_feature(thread_sanitizer)
    syscall(SYS_clock_gettime, clock, &time); /* at interrupt time, too: not through the sanitizer's own code */
#else
    clock_gettime(clock, &time);
#endif
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

SANITIZER_AT_INTERRUPT uint64_t platform_monotonic_nanoseconds(void)
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
