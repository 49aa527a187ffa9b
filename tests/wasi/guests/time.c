/* What a program sees of time: with a handle to the clock in steps of 1 us, else (argument "coarse") of 1 ms. */
#include "tests/wasi/guests/check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sdk/tessera.h"

#define ROUNDS 200

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* How often a clock's time is no multiple of `step` while some time passes. */
static int odd(clockid_t clock, uint64_t step)
{
    int count = 0;
    for (int i = 0; i < ROUNDS; i++)
        count += now(clock) % step != 0;
    return count;
}

static int odd_file_times(void)
{
    int count = 0;
    for (int i = 0; i < 20; i++) {
        struct stat stat;
        int fd = open("/work/time", O_CREAT | O_WRONLY | O_TRUNC, 0666);
        CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &stat) == 0 && close(fd) == 0);
        count += stat.st_mtim.tv_nsec % 1000000 != 0;
        CHECK(stat.st_mtim.tv_sec > 1600000000);
    }
    unlink("/work/time");
    return count;
}

static int odd_waits(void)
{
    int timer = tessera_timer_create(), count = 0;
    CHECK(timer > 0);
    for (int i = 0; i < 20; i++) { /* 1.1 ms from the last tick: rounded up, this takes to the next but one */
        uint64_t begin = (uint64_t)tessera_time_coarse(), due = begin + 1100000;
        CHECK(tessera_timer_set((uint32_t)timer, due, 0) == 0);
        CHECK(tessera_wait_one((uint32_t)timer, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER) == TESSERA_SIGNAL_SIGNALED);
        CHECK((uint64_t)tessera_time_coarse() >= begin + 1000000);
        count += (uint64_t)tessera_time_coarse() < begin + 2000000;
    }
    return count;
}

/* What waits takes no CPU time, and what computes does. */
static void check_cpu_time(clockid_t clock)
{
    uint64_t before = now(clock), wall = now(CLOCK_MONOTONIC);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    CHECK(now(clock) - before < 150000000 && now(CLOCK_MONOTONIC) - wall >= 300000000);
    before = now(clock);
    for (int i = 0; i < 2000 && now(clock) - before < 20000000; i++)
        for (volatile int work = 0; work < 1000000; work++) {
        }
    CHECK(now(clock) - before >= 20000000);
}

int main(int argc, char **argv)
{
    bool coarse = argc > 1 && !strcmp(argv[1], "coarse");
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 2; i++) {
        struct timespec resolution;
        CHECK(clock_getres(clocks[i], &resolution) == 0 && resolution.tv_sec == 0);
        CHECK(resolution.tv_nsec == (coarse ? 1000000 : 1000));
        CHECK(odd(clocks[i], 1000) == 0);
        CHECK(coarse ? odd(clocks[i], 1000000) == 0 : odd(clocks[i], 1000000) > ROUNDS / 2);
    }
    CHECK(coarse ? odd_file_times() == 0 : odd_file_times() > 10);
    CHECK(coarse ? odd_waits() == 0 : odd_waits() >= 0);
    int64_t fine = tessera_clock_read(TESSERA_CLOCK);
    CHECK(coarse ? fine == -TESSERA_EHANDLE : fine > 0 && (uint64_t)fine <= now(CLOCK_MONOTONIC) + 1000000);
    CHECK(tessera_time_coarse() % 1000000 == 0);
    check_cpu_time(CLOCK_PROCESS_CPUTIME_ID);
    check_cpu_time(CLOCK_THREAD_CPUTIME_ID);
    return summary();
}
