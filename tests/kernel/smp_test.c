/* Several CPUs, more than the machine has: threads move and work at the same time, no wake is lost, whoever is to end
 * ends wherever it runs, and what CPUs have in common stays whole. */
#include "kernel/instance_parts.h"
#include "kernel/launch.h"
#include "kernel/mutex.h"
#include "kernel/signature.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define CPUS 4

static const uint8_t loop_module[] = {/* (module (func (export "_start") (loop (br 0)))) */
                                      0, 'a', 's', 'm', 1, 0,  0, 0, 1,    4,   1,   0x60, 0,   0,
                                      3, 2,   1,   0,   7, 10, 1, 6, '_',  's', 't', 'a',  'r', 't',
                                      0, 0,   10,  9,   1, 7,  0, 3, 0x40, 12,  0,   11,   11};

static void run_all(void (*entry)(void *argument), void *arguments, size_t bytes, uint32_t count)
{
    struct thread *threads[64];
    for (uint32_t i = 0; i < count; i++)
        CHECK(thread_start(entry, (uint8_t *)arguments + i * bytes, &threads[i]) == STATUS_OK);
    for (uint32_t i = 0; i < count; i++)
        thread_join(threads[i]);
}

/* ---- Work on all CPUs ---- */

struct spin {
    uint64_t cpus; /* seen */
    uint64_t until;
    uint64_t run_time; /* that it was given */
};

static void spin(void *argument)
{
    struct spin *self = argument;
    while (platform_monotonic_nanoseconds() < self->until) {
        __atomic_or_fetch(&self->cpus, UINT64_C(1) << platform_cpu()->number, __ATOMIC_RELAXED);
        thread_checkpoint();
    }
    thread_yield(); /* takes the time */
    self->run_time = thread_current()->run_time;
}

static void all_cpus_work(void)
{
    struct spin spins[2 * CPUS];
    uint64_t cpus = 0;
    for (int i = 0; i < 2 * CPUS; i++)
        spins[i] = (struct spin){.until = platform_monotonic_nanoseconds() + 300000000};
    run_all(spin, spins, sizeof spins[0], 2 * CPUS);
    for (int i = 0; i < 2 * CPUS; i++)
        cpus |= spins[i].cpus;
    CHECK(cpus == (UINT64_C(1) << CPUS) - 1);
}

/* Threads that are not a multiple of the CPUs: nobody starves, and none has a CPU alone for good. */
static void fair_shares(void)
{
    struct spin spins[CPUS + 2];
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < CPUS + 2; i++)
        spins[i] = (struct spin){.until = platform_monotonic_nanoseconds() + 1500000000};
    run_all(spin, spins, sizeof spins[0], CPUS + 2);
    for (int i = 0; i < CPUS + 2; i++) {
        least = spins[i].run_time < least ? spins[i].run_time : least;
        most = spins[i].run_time > most ? spins[i].run_time : most;
    }
    printf("shares: %llu to %llu ms\n", (unsigned long long)least / 1000000, (unsigned long long)most / 1000000);
    CHECK(least * 3 >= most); /* the machine may have fewer CPUs, and other work for them */
}

/* ---- A thread stays where it may be ---- */

static void pinned(void *argument)
{
    uint64_t *wrong = argument;
    for (uint32_t i = 0; i < 2000; i++) {
        uint64_t cpu = UINT64_C(1) << i % CPUS;
        thread_set_affinity(thread_current(), cpu);
        *wrong += cpu != UINT64_C(1) << platform_cpu()->number;
        thread_yield();
        *wrong += cpu != UINT64_C(1) << platform_cpu()->number;
    }
}

static void affinity(void)
{
    uint64_t wrong[2 * CPUS] = {0}, sum = 0;
    run_all(pinned, wrong, sizeof wrong[0], 2 * CPUS);
    for (int i = 0; i < 2 * CPUS; i++)
        sum += wrong[i];
    CHECK(sum == 0);
}

/* ---- No wake is lost: two threads hand a number to and fro ---- */

#define ROUNDS 20000

static struct exchange {
    struct spinlock lock;
    uint64_t number;
    struct thread *waiter;
} exchanges[CPUS];

struct player {
    struct exchange *exchange;
    uint64_t turn; /* plays on even or odd numbers */
    uint64_t cpus; /* 0: any */
};

NO_LOCK_ANALYSIS static void play(void *argument)
{
    struct player *self = argument;
    struct exchange *exchange = self->exchange;
    thread_set_affinity(thread_current(), self->cpus);
    for (;;) {
        thread_wait_begin();
        spinlock_acquire(&exchange->lock);
        bool mine = exchange->number % 2 == self->turn || exchange->number >= ROUNDS;
        if (mine) {
            exchange->number++;
            if (exchange->waiter)
                thread_wake(exchange->waiter);
            exchange->waiter = NULL;
        } else {
            exchange->waiter = thread_current();
        }
        uint64_t number = exchange->number;
        spinlock_release(&exchange->lock);
        if (mine)
            thread_wait_cancel();
        else
            thread_wait_finish(UINT64_MAX);
        if (number >= ROUNDS)
            return;
    }
}

static void wakes(uint64_t first, uint64_t second)
{
    struct player players[2 * CPUS];
    for (uint32_t i = 0; i < CPUS; i++) {
        exchanges[i] = (struct exchange){.lock = SPINLOCK(LOCK_OBJECT)};
        players[2 * i] = (struct player){&exchanges[i], 0, first};
        players[2 * i + 1] = (struct player){&exchanges[i], 1, second};
    }
    run_all(play, players, sizeof players[0], 2 * CPUS);
    for (uint32_t i = 0; i < CPUS; i++)
        CHECK(exchanges[i].number >= ROUNDS);
}

/* ---- A wait ends once: by a wake or by its time ---- */

static struct {
    struct spinlock lock;
    struct thread *waiter;
    uint64_t wakes, woken, late;
    bool done;
} race = {.lock = SPINLOCK(LOCK_OBJECT)};

NO_LOCK_ANALYSIS static void race_waiter(void *argument)
{
    (void)argument;
    for (int i = 0; i < 5000; i++) {
        thread_wait_begin();
        spinlock_acquire(&race.lock);
        race.waiter = thread_current();
        spinlock_release(&race.lock);
        enum wait_result result = thread_wait_finish(platform_monotonic_nanoseconds() + (uint64_t)(i % 8) * 1000);
        spinlock_acquire(&race.lock);
        race.waiter = NULL;
        race.woken += result == WAIT_WOKEN;
        race.late += result == WAIT_TIMED_OUT;
        spinlock_release(&race.lock);
    }
    __atomic_store_n(&race.done, true, __ATOMIC_RELAXED);
}

NO_LOCK_ANALYSIS static void race_waker(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&race.done, __ATOMIC_RELAXED)) {
        spinlock_acquire(&race.lock);
        if (race.waiter)
            race.wakes += thread_wake(race.waiter);
        spinlock_release(&race.lock);
        thread_checkpoint();
        platform_relax(0);
    }
}

static void race_entry(void *argument)
{
    (*(int *)argument ? race_waker : race_waiter)(NULL);
}

static void wake_or_time(void)
{
    int parts[2] = {0, 1};
    run_all(race_entry, parts, sizeof parts[0], 2);
    CHECK(race.woken + race.late == 5000);
    CHECK(race.wakes == race.woken);
}

/* ---- Mutexes ---- */

static struct mutex mutex;
static uint64_t counter;

static void count(void *argument)
{
    (void)argument;
    for (int i = 0; i < 3000; i++) {
        mutex_acquire(&mutex);
        uint64_t seen = counter;
        if (i % 64 == 0)
            for (int pause = 0; pause < 2000; pause++)
                platform_relax(0);
        counter = seen + 1;
        mutex_release(&mutex);
        thread_checkpoint();
    }
}

static void mutexes(void)
{
    char none[12];
    mutex_initialize(&mutex);
    run_all(count, none, 1, 12);
    CHECK(counter == 12 * 3000);
}

/* ---- The heap: blocks that go back on another CPU ---- */

#define SLOTS 64
static void *slots[SLOTS];

static void mix(void *argument)
{
    uint64_t random = (uintptr_t)argument * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t slot = random % SLOTS, bytes = 16 + slot * 60;
        uint64_t *block = kernel_allocate(bytes);
        block[0] = block[bytes / 8 - 1] = slot;
        block = __atomic_exchange_n(&slots[slot], block, __ATOMIC_ACQ_REL);
        if (block && (block[0] != slot || block[bytes / 8 - 1] != slot))
            __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
        kernel_free(block, bytes);
        if (i % 64 == 0)
            thread_checkpoint();
    }
}

static void heap(void)
{
    char names[8];
    counter = 0;
    run_all(mix, names, 1, 8);
    for (size_t i = 0; i < SLOTS; i++) {
        kernel_free(slots[i], 16 + i * 60);
        slots[i] = NULL;
    }
    CHECK(counter == 0);
}

/* ---- Programs: compiled, run and ended on all CPUs at the same time ---- */

struct program {
    uint64_t seed;
    uint32_t wrong;
};

static void run_programs(void *argument)
{
    struct program *self = argument;
    for (uint64_t i = 0; i < 12; i++) {
        uint64_t limit = 1000000 + (self->seed * 7919 + i * 104729) % 4000000;
        struct launch launch = {.name = "loop",
                                .module_bytes = loop_module,
                                .module_size = sizeof loop_module - (i % 4 == 3),
                                .timeout_nanoseconds = i % 4 == 3 ? 0 : limit};
        struct launch_result result;
        launch_run(&launch, &result);
        self->wrong += result.outcome != (i % 4 == 3 ? LAUNCH_REFUSED : LAUNCH_TRAPPED);
        self->wrong += i % 4 != 3 && result.trap != TRAP_TIMEOUT;
    }
}

static void programs(void)
{
    struct program running[3 * CPUS];
    for (uint32_t i = 0; i < 3 * CPUS; i++)
        running[i] = (struct program){.seed = i};
    run_all(run_programs, running, sizeof running[0], 3 * CPUS);
    for (uint32_t i = 0; i < 3 * CPUS; i++)
        CHECK(running[i].wrong == 0);
}

/* Of those that loop for ever, one after the other is asked to end by a thread of another CPU. */
static void interrupted(void *argument)
{
    struct launch_result *result = argument;
    struct launch launch = {.name = "loop", .module_bytes = loop_module, .module_size = sizeof loop_module};
    launch_run(&launch, result);
}

static void kills(void)
{
    struct launch_result results[16];
    struct thread *threads[16];
    for (int i = 0; i < 16; i++)
        CHECK(thread_start(interrupted, &results[i], &threads[i]) == STATUS_OK);
    for (int i = 0; i < 16; i++) {
        thread_sleep_until(platform_monotonic_nanoseconds() + 3000000);
        foreground_request_end(TRAP_INTERRUPTED);
    }
    /* Whoever had not begun when his turn was. */
    for (int round = 0; round < 200; round++) {
        thread_sleep_until(platform_monotonic_nanoseconds() + 1000000);
        foreground_request_end(TRAP_INTERRUPTED);
    }
    for (int i = 0; i < 16; i++) {
        thread_join(threads[i]);
        CHECK(results[i].outcome == LAUNCH_TRAPPED && results[i].trap == TRAP_INTERRUPTED);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    struct heap_statistics before, after;
    guest_cpus = CPUS;
    guest_initialize(argv);
    all_cpus_work();                            /* all are started from here on */
    run_programs(&(struct program){.seed = 0}); /* what is kept for ever is there from here on */
    kernel_heap_statistics(&before);
    fair_shares();
    affinity();
    wakes(0, 0);
    wakes(1, 2);
    wakes(3, 3);
    wake_or_time();
    mutexes();
    heap();
    uint32_t signatures = signature_count();
    programs();
    kills();
    CHECK(signature_count() == signatures);
    kernel_heap_statistics(&after);
    CHECK(after.blocks == before.blocks);
    return checks_report();
}
