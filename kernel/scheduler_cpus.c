/* Where a thread runs: CPUs that have nothing to do, and those that have too much.
 *
 * A thread that is woken goes back to its CPU when that is idle or is the one that wakes it (a partner that is about to
 * wait leaves it the CPU and a warm cache), else to an idle one. One that stays queued for BALANCE_NANOSECONDS while
 * another CPU is idle is fetched by that one. A CPU with nothing to do takes from the longest queue before it idles.
 *
 * At the end of a slice a CPU hands the thread that waits longest to one that has at least two fewer, or one fewer and
 * is ahead in virtual time: so threads that are not a multiple of the CPUs change them, and get equal shares all the
 * same.
 *
 * Further CPUs are started late, when a thread waited for START_NANOSECONDS: a short program never needs one.
 *
 * Other CPUs' queues are looked at without their locks, and what was seen may be over when it is acted on: then a
 * thread runs elsewhere than it would best, and nothing else. That no wake-up is lost is said at "Idle" below. */
#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/profile_hooks.h"
#include "kernel/scheduler_parts.h"
#include "kernel/stack.h"
#include "kernel/trace.h"

struct cpu *kernel_cpus[PLATFORM_CPUS_MAXIMUM];
uint32_t scheduler_started_count = 1; /* changed with start_lock */
uint64_t scheduler_idle_cpus;
static struct spinlock start_lock = SPINLOCK(LOCK_CPUS);

void scheduler_initialize_cpu(struct cpu *cpu, uint32_t number)
{
    cpu->number = number;
    cpu->timer_armed = UINT64_MAX;
    profile_cpu_begin(cpu);
    cpu->next_deadline = UINT64_MAX;
    spinlock_initialize(&cpu->queue_lock, LOCK_RUN_QUEUE);
    spinlock_initialize(&cpu->timers_lock, LOCK_TIMERS);
    __atomic_store_n(&kernel_cpus[number], cpu, __ATOMIC_SEQ_CST);
}

/* ---- Waking CPUs ---- */

/* Make the CPU look for work, if it waits for some; only one that sleeps needs an interrupt. The bit goes first: so it
 * is never missing while the CPU waits on. */
static bool wake_waiting(struct cpu *cpu)
{
    uint32_t state = __atomic_load_n(&cpu->idle_state, __ATOMIC_SEQ_CST);
    while (state == IDLE_POLLS || state == IDLE_SLEEPS) {
        __atomic_and_fetch(&scheduler_idle_cpus, ~cpu_bit(cpu), __ATOMIC_SEQ_CST);
        if (atomic_change_u32(&cpu->idle_state, &state, IDLE_LOOKS)) {
            if (state == IDLE_SLEEPS) {
                platform_interrupt_cpu(cpu->number);
            }
            return true;
        }
    }
    return false;
}

/* The CPU finds what was queued there, because it waits, or is about to and looks at its queue once more. False: it
 * runs a thread. */
static bool wake_cpu(struct cpu *cpu)
{
    return wake_waiting(cpu) || __atomic_load_n(&cpu->idle_state, __ATOMIC_SEQ_CST) != IDLE_NONE;
}

/* Make one of these CPUs look for work, if it waits. */
static bool wake_one_of(uint64_t cpus)
{
    uint64_t idle = __atomic_load_n(&scheduler_idle_cpus, __ATOMIC_SEQ_CST) & cpus;
    for (; idle; idle &= idle - 1) {
        if (wake_waiting(kernel_cpus[__builtin_ctzll(idle)])) {
            return true;
        }
    }
    return false;
}

/* ---- Fetching and giving ---- */

struct thread *scheduler_steal(struct cpu *cpu)
{
    struct cpu *victim = NULL;
    uint32_t most = 0, count = cpus_started();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t movable = __atomic_load_n(&kernel_cpus[i]->movable_count, __ATOMIC_RELAXED);
        if (kernel_cpus[i] != cpu && movable > most) {
            most = movable;
            victim = kernel_cpus[i];
        }
    }
    if (!victim) {
        return NULL;
    }
    struct thread *thread = scheduler_take_movable(victim, cpu);
    if (thread) {
        spinlock_acquire(&cpu->queue_lock);
        scheduler_place(thread, cpu);
        spinlock_release(&cpu->queue_lock);
    }
    return thread;
}

/* One more CPU, if there is one that did not start yet. */
static void start_cpu(void)
{
    if (!spinlock_try_acquire(&start_lock)) {
        return;
    }
    uint32_t number = scheduler_started_count;
    bool exists = number < min_u64(platform_cpu_count(), PLATFORM_CPUS_MAXIMUM);
    struct cpu *cpu = exists ? kernel_allocate_zeroed(sizeof(*cpu)) : NULL;
    struct thread *idle = cpu ? thread_create(NULL, NULL) : NULL;
    if (idle) {
        scheduler_initialize_cpu(cpu, number);
        idle->cpu = cpu;
        idle->priority = PRIORITY_BACKGROUND;
        cpu->idle_thread = idle;
        cpu->current = idle;
        uint8_t *stack_top = (uint8_t *)idle->kernel_stack + platform_kernel_stack_bytes();
        if (!kernel_has_cpus) {
            __atomic_store_n(&kernel_has_cpus, true, __ATOMIC_SEQ_CST);
        }
        if (platform_start_cpu(number, cpu, stack_top) == STATUS_OK) {
            __atomic_store_n(&scheduler_started_count, number + 1, __ATOMIC_RELEASE);
            wake_cpu(cpu); /* it may have looked around before it was counted */
            cpu = NULL;
        } else {
            thread_destroy(idle);
        }
    }
    kernel_free(cpu, sizeof(*cpu));
    spinlock_release(&start_lock);
}

void scheduler_balance(struct cpu *cpu)
{
    bool waits = __atomic_load_n(&cpu->ready_count, __ATOMIC_RELAXED) > 1 || cpu->switches == cpu->switches_seen;
    cpu->switches_seen = cpu->switches;
    if (waits && __atomic_load_n(&cpu->movable_count, __ATOMIC_RELAXED) && !wake_one_of(~cpu_bit(cpu)) &&
        cpus_started() < platform_cpu_count() &&
        platform_monotonic_nanoseconds() - cpu->run_start >= START_NANOSECONDS / 2) {
        start_cpu();
    }
}

/* ---- Where a thread is queued ---- */

/* For one of high priority: where it can run at once, best where it was; else where it was. */
static struct cpu *least_urgent_cpu(const struct thread *thread, uint64_t allowed, struct cpu *last)
{
    struct cpu *best = allowed & cpu_bit(last) ? last : kernel_cpus[__builtin_ctzll(allowed)];
    uint32_t lowest = __atomic_load_n(&best->running_priority, __ATOMIC_RELAXED), count = cpus_started();
    uint32_t wanted = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < count && lowest >= wanted; i++) {
        uint32_t priority = __atomic_load_n(&kernel_cpus[i]->running_priority, __ATOMIC_RELAXED);
        if (allowed & cpu_bit(kernel_cpus[i]) && priority < lowest) {
            lowest = priority;
            best = kernel_cpus[i];
        }
    }
    return best;
}

/* The CPU for a thread that can run from now on. */
static struct cpu *choose_cpu(const struct thread *thread, struct cpu *here)
{
    struct cpu *last = thread->cpu;
    uint64_t allowed = allowed_cpus(thread);
    if (__atomic_load_n(&thread->priority, __ATOMIC_RELAXED) > PRIORITY_NORMAL) {
        return least_urgent_cpu(thread, allowed, last ? last : here);
    }
    if (last == here && allowed & cpu_bit(here)) {
        return here;
    }
    uint64_t idle = __atomic_load_n(&scheduler_idle_cpus, __ATOMIC_RELAXED) & allowed;
    if (last && allowed & cpu_bit(last) && (!idle || idle & cpu_bit(last))) {
        return last;
    }
    if (!idle && allowed & cpu_bit(here)) {
        return here;
    }
    return kernel_cpus[__builtin_ctzll(idle ? idle : allowed)];
}

/* It may run, and be gone, when this returns. */
static void put_elsewhere(struct cpu *cpu, struct thread *thread)
{
    uint32_t priority = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED), before = scheduler_queue_put(cpu, thread);
    bool urgent = priority > __atomic_load_n(&cpu->running_priority, __ATOMIC_RELAXED);
    /* The first one: its timer is not armed for the end of the slice. */
    if (!wake_cpu(cpu) && (urgent || !before)) {
        platform_interrupt_cpu(cpu->number);
    }
}

void scheduler_make_ready(struct thread *thread)
{
    struct cpu *here = platform_cpu(), *cpu = choose_cpu(thread, here);
    count_runnable(thread, true);
    if (cpu != here) {
        put_elsewhere(cpu, thread);
        return;
    }
    bool urgent = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED) > here->running_priority;
    scheduler_queue_put(here, thread);
    if (urgent) {
        __atomic_or_fetch(&here->current->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
    }
    scheduler_arm_timer_for(here, here->current);
}

void scheduler_hand_off(struct cpu *cpu)
{
    uint32_t movable = __atomic_load_n(&cpu->movable_count, __ATOMIC_RELAXED), count = cpus_started();
    uint32_t own = movable ? __atomic_load_n(&cpu->ready_count, __ATOMIC_RELAXED) : 0;
    for (uint32_t i = 0; i < count && own; i++) {
        struct cpu *other = kernel_cpus[i];
        uint32_t ready = __atomic_load_n(&other->ready_count, __ATOMIC_RELAXED);
        if (ready == 0 && other != cpu) { /* one thread runs alone there, and nobody keeps the time */
            advance(other, __atomic_load_n(&other->virtual_start, __ATOMIC_RELAXED) + cpu->run_start -
                               __atomic_load_n(&other->run_start, __ATOMIC_RELAXED));
        }
        int64_t ahead = (int64_t)(__atomic_load_n(&other->virtual_time, __ATOMIC_RELAXED) -
                                  __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED));
        if (other != cpu && (own >= ready + 2 || (own == ready + 1 && ahead > 2 * (int64_t)TIME_SLICE_NANOSECONDS))) {
            struct thread *thread = scheduler_take_movable(cpu, other);
            if (thread) {
                put_elsewhere(other, thread);
            }
            return;
        }
    }
}

/* ---- Idle ----
 *
 * cpu->idle_state: NONE, LOOKS (the idle thread runs), POLLS or SLEEPS. The idle thread goes from LOOKS to POLLS,
 * SLEEPS or NONE, others from POLLS and SLEEPS back to LOOKS. Who queues a thread counts it first and looks at the
 * state then; the idle thread changes the state first and looks at the count then. So either it finds the thread, or
 * the other one finds that it waits; and behind NONE the timer is armed by what is queued. */

/* To sleep and be woken by an interrupt is dear, in a virtual machine above all. So a CPU that was woken soon several
 * times in a row does not sleep at once: it polls, and needs no interrupt. Each time that was in vain, it wants to see
 * twice as many early wakes before it tries again; so what it wastes is little beside what it sleeps. */
#define POLL_AFTER_LEAST 2
#define POLL_AFTER_MOST  64

static bool idle_continues(const struct cpu *cpu, uint32_t state)
{
    return __atomic_load_n(&cpu->idle_state, __ATOMIC_SEQ_CST) == state &&
           !__atomic_load_n(&cpu->noted, __ATOMIC_RELAXED) && !__atomic_load_n(&cpu->ready_count, __ATOMIC_SEQ_CST);
}

/* True: there is something to look at before `end`. */
static bool poll_until(struct cpu *cpu, uint64_t end)
{
    __atomic_store_n(&cpu->idle_state, IDLE_POLLS, __ATOMIC_SEQ_CST);
    __atomic_or_fetch(&scheduler_idle_cpus, cpu_bit(cpu), __ATOMIC_SEQ_CST);
    for (uint32_t round = 0; idle_continues(cpu, IDLE_POLLS); round++) {
        if (round % 16 == 15 && platform_monotonic_nanoseconds() >= end) {
            uint32_t state = IDLE_POLLS;
            return !atomic_change_u32(&cpu->idle_state, &state, IDLE_LOOKS);
        }
        platform_relax(round);
    }
    return true;
}

static bool poll(struct cpu *cpu, uint64_t now, uint64_t poll_nanoseconds)
{
    if (cpu->early_wakes < max_u64(cpu->poll_after, POLL_AFTER_LEAST)) {
        return false;
    }
    uint64_t deadline = __atomic_load_n(&cpu->next_deadline, __ATOMIC_RELAXED);
    if (poll_until(cpu, min_u64(now + poll_nanoseconds, deadline))) {
        cpu->poll_after = POLL_AFTER_LEAST;
        __atomic_store_n(&cpu->polls_ended, cpu->polls_ended + 1, __ATOMIC_RELAXED);
        return true;
    }
    cpu->early_wakes = 0;
    cpu->poll_after = (uint32_t)min_u64(2 * max_u64(cpu->poll_after, POLL_AFTER_LEAST), POLL_AFTER_MOST);
    return false;
}

/* Did another CPU wake it? */
static bool sleep_until_woken(struct cpu *cpu)
{
    __atomic_store_n(&cpu->idle_state, IDLE_SLEEPS, __ATOMIC_SEQ_CST);
    __atomic_or_fetch(&scheduler_idle_cpus, cpu_bit(cpu), __ATOMIC_SEQ_CST);
    cpu->idle = true;
    if (idle_continues(cpu, IDLE_SLEEPS)) {
        platform_idle(__atomic_load_n(&cpu->next_deadline, __ATOMIC_RELAXED));
    }
    cpu->idle = false;
    return __atomic_load_n(&cpu->idle_state, __ATOMIC_RELAXED) != IDLE_SLEEPS;
}

/* Until there may be something to do. */
static void wait_for_work(struct cpu *cpu)
{
    uint64_t poll_nanoseconds = cpus_started() > 1 ? platform_poll_nanoseconds() : 0;
    uint64_t start = poll_nanoseconds ? platform_monotonic_nanoseconds() : 0;
    TRACE(IDLE_BEGIN, 0, 0);
    profile_idle_begin(cpu);
    if (!poll_nanoseconds || !poll(cpu, start, poll_nanoseconds)) {
        bool woken = sleep_until_woken(cpu);
        bool early = woken && poll_nanoseconds && platform_monotonic_nanoseconds() - start < 2 * poll_nanoseconds;
        cpu->early_wakes = early ? cpu->early_wakes + 1 : 0;
    }
    profile_idle_end(cpu);
    TRACE(IDLE_END, 0, 0);
}

_Noreturn static void idle_loop(void *argument)
{
    struct cpu *cpu = platform_cpu();
    (void)argument;
    for (;;) {
        __atomic_store_n(&cpu->idle_state, IDLE_LOOKS, __ATOMIC_SEQ_CST);
        scheduler_serve_notes(cpu);
        struct thread *next = scheduler_take_next(cpu, NULL, false);
        if (!next) {
            next = scheduler_steal(cpu);
        }
        if (next) {
            scheduler_switch_to(next);
        } else {
            wait_for_work(cpu);
            __atomic_and_fetch(&scheduler_idle_cpus, ~cpu_bit(cpu), __ATOMIC_SEQ_CST);
        }
    }
}

void scheduler_start_idle_thread(void)
{
    struct cpu *cpu = platform_cpu();
    cpu->idle_thread = thread_create(idle_loop, NULL);
    if (!cpu->idle_thread) {
        platform_panic("no memory for the idle thread");
    }
    cpu->idle_thread->cpu = cpu;
    cpu->idle_thread->priority = PRIORITY_BACKGROUND;
}

_Noreturn void kernel_cpu_main(struct cpu *cpu)
{
    __atomic_store_n(&cpu->run_start, platform_monotonic_nanoseconds(), __ATOMIC_RELAXED);
    sanitizer_fiber_adopt(&cpu->idle_thread->fiber);
    idle_loop(NULL);
}
