/* CPUs with nothing to do: they take no time of the machine, whatever they did before, and two that wait for each other
 * all the time need no interrupts. */
#include <sched.h>
#include <sys/resource.h>

#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MILLISECOND UINT64_C(1000000)

/* Of the whole process. */
static uint64_t cpu_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    uint64_t seconds = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    return (seconds * 1000000 + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)) * 1000;
}

static void run_both(void (*entry)(void *argument), void *arguments[2])
{
    struct thread *threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(thread_start(entry, arguments[i], &threads[i]) == STATUS_OK);
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
}

static void spin(void *argument)
{
    (void)argument;
    uint64_t end = platform_monotonic_nanoseconds() + 20 * MILLISECOND;
    while (platform_monotonic_nanoseconds() < end)
        thread_checkpoint();
}

static void start_second_cpu(void)
{
    for (int i = 0; i < 100 && !kernel_cpus[1]; i++)
        run_both(spin, (void *[2]){NULL, NULL});
    CHECK(kernel_cpus[1] != NULL);
}

/* ---- Two threads on a CPU each hand a number to and fro ---- */

static struct {
    struct spinlock lock;
    uint64_t number, last;
    struct thread *waiter;
} exchange = {.lock = SPINLOCK(LOCK_OBJECT)};

NO_LOCK_ANALYSIS static void play(void *argument)
{
    uint64_t turn = *(const uint64_t *)argument, number;
    thread_set_affinity(thread_current(), UINT64_C(1) << turn);
    do {
        thread_wait_begin();
        spinlock_acquire(&exchange.lock);
        bool mine = exchange.number % 2 == turn || exchange.number >= exchange.last;
        if (mine) {
            exchange.number++;
            if (exchange.waiter)
                thread_wake(exchange.waiter);
        }
        exchange.waiter = mine ? NULL : thread_current();
        number = exchange.number;
        spinlock_release(&exchange.lock);
        if (mine)
            thread_wait_cancel();
        else
            thread_wait_finish(UINT64_MAX);
    } while (number < exchange.last);
}

static uint32_t polls(void)
{
    return __atomic_load_n(&kernel_cpus[0]->polls_ended, __ATOMIC_RELAXED) +
           __atomic_load_n(&kernel_cpus[1]->polls_ended, __ATOMIC_RELAXED);
}

/* How many of `count` waits were ended while the CPU polled. */
static uint32_t exchange_numbers(uint32_t count)
{
    uint64_t turns[2] = {0, 1};
    uint32_t before = polls();
    exchange.number = 0;
    exchange.last = count;
    exchange.waiter = NULL;
    run_both(play, (void *[2]){&turns[0], &turns[1]});
    return polls() - before;
}

/* Other work of the machine may come between, but not in each of so many tries. */
static void polling(void)
{
    uint32_t most = 0;
    for (int i = 0; i < 200 && most < 1000; i++) {
        uint32_t count = exchange_numbers(2000);
        most = count > most ? count : most;
    }
    printf("of 2000 waits, %u ended while the CPU polled\n", most);
    CHECK(platform_poll_nanoseconds() ? most >= 1000 : most == 0);
}

/* ---- What idling costs ---- */

static void idle(const char *after)
{
    thread_sleep_until(platform_monotonic_nanoseconds() + 10 * MILLISECOND);
    uint64_t before = cpu_time();
    thread_sleep_until(platform_monotonic_nanoseconds() + 400 * MILLISECOND);
    uint64_t used = cpu_time() - before;
    printf("idle after %s: %llu us in 400 ms\n", after, (unsigned long long)used / 1000);
    CHECK(used < 4 * MILLISECOND);
}

/* Whom nobody wakes but the time does not poll: that would be most of these 600 ms. */
static void sleep_shortly(void *argument)
{
    const uint64_t *cpu = argument;
    thread_set_affinity(thread_current(), UINT64_C(1) << *cpu);
    uint64_t end = platform_monotonic_nanoseconds() + 300 * MILLISECOND;
    while (platform_monotonic_nanoseconds() < end)
        thread_sleep_until(platform_monotonic_nanoseconds() + 150000);
}

static void short_sleeps(void)
{
    uint64_t cpus[2] = {0, 1}, before = cpu_time();
    run_both(sleep_shortly, (void *[2]){&cpus[0], &cpus[1]});
    uint64_t used = cpu_time() - before;
    printf("two threads that sleep 150 us at a time: %llu us in 300 ms\n", (unsigned long long)used / 1000);
    CHECK(used < 200 * MILLISECOND);
}

int main(int argc, char **argv)
{
    (void)argc;
    cpu_set_t set;
    guest_cpus = 2;
    guest_initialize(argv);
    start_second_cpu();
    idle("work");
    polling();
    idle("polling");
    short_sleeps();
    idle("short sleeps");
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < 2)
        CHECK(platform_poll_nanoseconds() == 0);
    return checks_report();
}
