/* The scheduler: who runs on each CPU, and for how long.
 *
 * Every process has a clock for each CPU, its virtual time: the nanoseconds that its threads ran there, over its
 * weight, times the CPUs that it can use at once. Every CPU has queues of its own, one for each priority, in which a
 * thread lies by its process's clock at that moment; a tick for each thread that is queued makes them take turns inside
 * of one. The process that had least runs next, so CPU time is shared fairly among processes, however many threads they
 * have, have ended, or wake up. While a thread waits in a queue the clock of its process goes on: who is first by what
 * it was then is queued again. Threads of the kernel have clocks of their own.
 *
 * Whose clock is behind by more than a slice, because it slept, comes back a slice behind; one that was never on the
 * CPU begins a part of a slice ahead, so that new ones, one after the other, do not stay in front of the others. A
 * small share has shorter slices.
 *
 * At the end of a slice a CPU hands the thread that waits longest to one that has at least two fewer, or one fewer and
 * is ahead in virtual time: so threads that are not a multiple of the CPUs change them, and get equal shares all the
 * same.
 *
 * A thread that is woken goes back to its CPU when that is idle or is the one that wakes it (a partner that is about to
 * wait leaves it the CPU and a warm cache), else to an idle one. One that stays queued for BALANCE_NANOSECONDS while
 * another CPU is idle is fetched by that one. A CPU with nothing to do takes from the longest queue before it idles.
 *
 * Further CPUs are started late, when a thread waited for START_NANOSECONDS: a short program never needs one. */
#include "engine/base.h"
#include "kernel/hand_over.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/process_lock.h"
#include "kernel/profile_hooks.h"
#include "kernel/stack.h"
#include "kernel/thread_object.h"
#include "kernel/trace.h"

#define STEAL_LOOKS 8 /* threads of a queue that are looked at for one that may move */
/* The shortest slice, of a process with a small share. */
#define SLICE_LEAST_NANOSECONDS (TIME_SLICE_NANOSECONDS / 16)
/* A clock begins ahead by this part of a slice, by its share, and a second at most. */
#define BEGIN_PART                4
#define BEGIN_NANOSECONDS_MAXIMUM UINT64_C(1000000000)
/* A queued thread keeps its place while its process's clock has not gone on further: it bounds how often they move. */
#define STALE_NANOSECONDS (TIME_SLICE_NANOSECONDS / 8)

struct cpu *kernel_cpus[PLATFORM_CPUS_MAXIMUM];
static struct spinlock start_lock = SPINLOCK(LOCK_CPUS);
static uint32_t started_count = 1; /* changed with start_lock; CPUs below are in kernel_cpus */
static uint64_t idle_cpus;         /* bits; atomic. A CPU sets its own, who wakes it clears it */

static inline uint64_t cpu_bit(const struct cpu *cpu)
{
    return UINT64_C(1) << cpu->number;
}

static uint32_t cpus_started(void)
{
    return __atomic_load_n(&started_count, __ATOMIC_ACQUIRE);
}

static struct thread *thread_of(struct queue_node *ready)
{
    return (struct thread *)((uint8_t *)ready - offsetof(struct thread, ready));
}

/* The CPUs that it may run on, of those that run. */
static uint64_t allowed_cpus(const struct thread *thread)
{
    uint64_t started = UINT64_MAX >> (64 - cpus_started());
    uint64_t allowed = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED) & started;
    return allowed ? allowed : started;
}

static bool is_movable(const struct thread *thread)
{
    uint64_t allowed = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED);
    return (allowed & (allowed - 1)) != 0;
}

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

/* ---- Shares ---- */

void scheduler_count_runnable(struct thread *thread, bool runnable)
{
    if (thread->process && thread->counted != runnable) {
        atomic_add_u32(&thread->process->runnable, runnable ? 1 : -1);
    }
    thread->counted = runnable && thread->process;
}

/* Nanoseconds of a tick, times 2^TICK_SHIFT: at first a guess, then as measured. */
#define TICK_SHIFT 20
static uint64_t tick_scale = (UINT64_C(1) << TICK_SHIFT) / 2;

uint64_t scheduler_tick_time(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * __atomic_load_n(&tick_scale, __ATOMIC_RELAXED) >> TICK_SHIFT);
}

/* The same time by both clocks; one that is short says little. */
static void calibrate(uint64_t time, uint64_t ticks)
{
    if (time > TIME_SLICE_NANOSECONDS / 10 && time < UINT64_C(1) << (63 - TICK_SHIFT) && ticks > time / 16) {
        __atomic_store_n(&tick_scale, (time << TICK_SHIFT) / ticks, __ATOMIC_RELAXED);
    }
}

/* Whose share of the CPUs it uses; NULL: the kernel's. */
static struct process *sharer(const struct thread *thread)
{
    return thread->process ? thread->process : thread->member;
}

/* Its own when the kernel runs; else others may set it too, when it begins or is far behind. Atomic; 0: it has not
 * begun. */
static uint64_t *clock_of(struct thread *thread, const struct cpu *cpu)
{
    struct process *process = sharer(thread);
    return process ? &process->virtual_times[cpu->number] : &thread->virtual_time;
}

static uint64_t clock_time(struct thread *thread, const struct cpu *cpu)
{
    return __atomic_load_n(clock_of(thread, cpu), __ATOMIC_RELAXED);
}

static uint64_t weighted(const struct process *process, uint64_t time)
{
    uint32_t weight = __atomic_load_n(&process->weight, __ATOMIC_RELAXED);
    return weight ? time * PROCESS_WEIGHT / weight : time;
}

/* How long a thread may run while others wait: all of a small share at once would be long for those. */
static uint64_t slice_of(const struct thread *thread)
{
    const struct process *process = sharer(thread);
    uint32_t weight = process ? __atomic_load_n(&process->weight, __ATOMIC_RELAXED) : 0;
    if (!weight || weight >= PROCESS_WEIGHT) {
        return TIME_SLICE_NANOSECONDS;
    }
    return max_u64(TIME_SLICE_NANOSECONDS * weight / PROCESS_WEIGHT, SLICE_LEAST_NANOSECONDS);
}

/* How many CPUs its threads can use at the same time. */
static uint32_t width(const struct process *process)
{
    uint32_t count = cpus_started();
    if (count == 1) {
        return 1;
    }
    uint64_t started = UINT64_MAX >> (64 - count);
    uint64_t cpus = __atomic_load_n(&process->affinity, __ATOMIC_RELAXED) & started;
    uint32_t runnable = __atomic_load_n(&process->runnable, __ATOMIC_RELAXED);
    return (uint32_t)max_u64(min_u64(runnable, (uint64_t)__builtin_popcountll(cpus ? cpus : started)), 1);
}

/* It ran on this CPU for so long, and for what it was not charged when it handed that over. */
static void charge(struct thread *thread, const struct cpu *cpu, uint64_t time)
{
    struct process *process = sharer(thread);
    if (thread->handed_ticks) {
        time += scheduler_tick_time(thread->handed_ticks);
        __atomic_store_n(&thread->handed_ticks, 0, __ATOMIC_RELAXED);
    }
    if (process) {
        atomic_add_u64(&process->run_time, time);
    }
    __atomic_store_n(&thread->run_time, thread->run_time + time, __ATOMIC_RELAXED);
    atomic_add_u64(clock_of(thread, cpu), process ? weighted(process, time * width(process)) : time);
}

/* The current thread has run until `now`: all the time since it was switched to, or since the CPU was handed to it. */
static void account(struct cpu *cpu, uint64_t now)
{
    struct thread *thread = cpu->current;
    uint64_t time = now - cpu->run_start;
    if (cpu->handed_over) {
        uint64_t tick = __builtin_ia32_rdtsc();
        calibrate(time, tick - cpu->handed_ticks);
        time = min_u64(time, scheduler_tick_time(tick - cpu->run_ticks));
        __atomic_store_n(&cpu->handed_over, false, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&cpu->run_start, now, __ATOMIC_RELAXED);
    if (thread != cpu->idle_thread) {
        charge(thread, cpu, time);
        __atomic_store_n(&cpu->virtual_start, clock_time(thread, cpu), __ATOMIC_RELAXED);
    }
}

void scheduler_note_first_hand_over(struct cpu *cpu)
{
    account(cpu, platform_monotonic_nanoseconds());
    cpu->handed_ticks = __builtin_ia32_rdtsc();
    __atomic_store_n(&cpu->run_ticks, cpu->handed_ticks, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->handed_over, true, __ATOMIC_RELAXED);
}

/* Where a clock begins on this CPU. */
static uint64_t begin_ahead(const struct thread *thread, uint64_t time)
{
    const struct process *process = sharer(thread);
    uint64_t part = slice_of(thread) / BEGIN_PART;
    return time + min_u64(process ? weighted(process, part) : part, BEGIN_NANOSECONDS_MAXIMUM);
}

uint64_t scheduler_leave_share(void)
{
    struct cpu *cpu = platform_cpu();
    account(cpu, platform_monotonic_nanoseconds());
    return clock_time(cpu->current, cpu);
}

void scheduler_enter_share(uint64_t time)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    uint64_t *clock = clock_of(thread, cpu), none = 0;
    if (!sharer(thread)) {
        __atomic_store_n(clock, time, __ATOMIC_RELAXED);
    } else if (__atomic_compare_exchange_n(clock, &none, begin_ahead(thread, time), false, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED) &&
               __atomic_load_n(&cpu->ready_count, __ATOMIC_RELAXED)) { /* it may be the turn of others now */
        cpu->slice_end = cpu->run_start;
        __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
        scheduler_arm_timer();
    }
}

/* ---- Queues ---- */

/* Its place in the CPU's queue, now that it comes there. */
static void place(struct thread *thread, struct cpu *cpu) REQUIRES(cpu->queue_lock)
{
    uint64_t *clock = clock_of(thread, cpu), time = atomic_add_u64(clock, 1);
    uint64_t now = __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED);
    if (time == 1 || (int64_t)(now - time) > (int64_t)TIME_SLICE_NANOSECONDS) {
        time = time == 1 ? begin_ahead(thread, now) : now - TIME_SLICE_NANOSECONDS;
        __atomic_store_n(clock, time, __ATOMIC_RELAXED);
    }
    thread->virtual_time = time;
}

static void move_to(struct thread *thread, struct cpu *cpu)
{
    if (thread->cpu != cpu) {
        /* One of the kernel's takes its clock along, which another CPU may be far behind. */
        uint64_t most = __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED) + TIME_SLICE_NANOSECONDS;
        if (!sharer(thread) && (int64_t)(thread->virtual_time - most) > 0) {
            thread->virtual_time = most;
        }
        /* Whoever asks the thread's process to end looks at this behind its request; the thread looks at the request
         * behind this. */
        __atomic_exchange_n(&thread->cpu, cpu, __ATOMIC_SEQ_CST);
    }
}

/* How many threads were there before. */
static uint32_t queue_put(struct cpu *cpu, struct thread *thread)
{
    spinlock_acquire(&cpu->queue_lock);
    if (thread->handed_ticks) {
        charge(thread, thread->cpu, 0);
    }
    move_to(thread, cpu);
    place(thread, cpu);
    __atomic_store_n(&thread->state, THREAD_READY, __ATOMIC_RELAXED);
    thread->queued_priority = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED);
    thread->queued_on = cpu;
    thread->queued_movable = is_movable(thread);
    queue_insert(&cpu->ready[thread->queued_priority], &thread->ready, thread->virtual_time);
    uint32_t before = cpu->ready_count;
    atomic_store_u32(&cpu->ready_count, before + 1);
    __atomic_store_n(&cpu->movable_count, cpu->movable_count + thread->queued_movable, __ATOMIC_RELAXED);
    spinlock_release(&cpu->queue_lock);
    return before;
}

static void queue_take(struct cpu *cpu, struct thread *thread) REQUIRES(cpu->queue_lock)
{
    queue_remove(&cpu->ready[thread->queued_priority], &thread->ready);
    thread->queued_on = NULL;
    __atomic_store_n(&cpu->ready_count, cpu->ready_count - 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->movable_count, cpu->movable_count - thread->queued_movable, __ATOMIC_RELAXED);
}

static struct thread *queue_first(const struct cpu *cpu) REQUIRES(cpu->queue_lock)
{
    for (uint32_t priority = PRIORITY_COUNT; priority-- > 0;) {
        if (cpu->ready[priority].first) {
            return thread_of(cpu->ready[priority].first);
        }
    }
    return NULL;
}

/* The first, behind those whose processes ran much since they were queued. */
static struct thread *queue_first_fresh(struct cpu *cpu) REQUIRES(cpu->queue_lock)
{
    for (;;) {
        struct thread *thread = queue_first(cpu);
        if (!thread || clock_time(thread, cpu) - thread->virtual_time <= STALE_NANOSECONDS) {
            return thread;
        }
        struct queue *queue = &cpu->ready[thread->queued_priority];
        queue_remove(queue, &thread->ready);
        place(thread, cpu);
        queue_insert(queue, &thread->ready, thread->virtual_time);
    }
}

/* The next of this CPU's own, taken out; with `than`, only one that is to run before that one. */
static struct thread *take_next(struct cpu *cpu, struct thread *than, bool yields)
{
    if (!__atomic_load_n(&cpu->ready_count, __ATOMIC_SEQ_CST)) {
        return NULL;
    }
    spinlock_acquire(&cpu->queue_lock);
    struct thread *thread = queue_first_fresh(cpu);
    uint32_t running = than ? __atomic_load_n(&than->priority, __ATOMIC_RELAXED) : 0;
    bool take = thread && (!than || thread->queued_priority > running ||
                           (thread->queued_priority == running &&
                            (yields || (int64_t)(thread->virtual_time - clock_time(than, cpu)) <= 0)));
    if (take) {
        queue_take(cpu, thread);
        if ((int64_t)(thread->virtual_time - __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED)) > 0) {
            __atomic_store_n(&cpu->virtual_time, thread->virtual_time, __ATOMIC_RELAXED);
        }
    }
    spinlock_release(&cpu->queue_lock);
    return take ? thread : NULL;
}

/* ---- Idle CPUs ---- */

/* Make the CPU look for work, if it waits for some; only one that sleeps needs an interrupt. The bit goes first: so it
 * is never missing while the CPU waits on. */
static bool wake_waiting(struct cpu *cpu)
{
    uint32_t state = __atomic_load_n(&cpu->idle_state, __ATOMIC_SEQ_CST);
    while (state == IDLE_POLLS || state == IDLE_SLEEPS) {
        __atomic_and_fetch(&idle_cpus, ~cpu_bit(cpu), __ATOMIC_SEQ_CST);
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
    uint64_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & cpus;
    for (; idle; idle &= idle - 1) {
        if (wake_waiting(kernel_cpus[__builtin_ctzll(idle)])) {
            return true;
        }
    }
    return false;
}

/* The CPU's virtual time is at least this. */
static void advance(struct cpu *cpu, uint64_t virtual_time)
{
    if ((int64_t)(virtual_time - __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED)) > 0) {
        __atomic_store_n(&cpu->virtual_time, virtual_time, __ATOMIC_RELAXED);
    }
}

/* The first of a queue that may run on `cpu`, as its own; or NULL. The counts stay right for those who look without the
 * lock, while some are taken out to look behind them. */
static struct thread *take_movable(struct cpu *from, struct cpu *cpu)
{
    struct thread *passed[STEAL_LOOKS], *found = NULL;
    uint32_t passed_count = 0;
    spinlock_acquire(&from->queue_lock);
    for (struct thread *thread; !found && passed_count < STEAL_LOOKS && (thread = queue_first(from));) {
        if (allowed_cpus(thread) & cpu_bit(cpu)) {
            queue_take(from, thread);
            found = thread;
        } else {
            queue_remove(&from->ready[thread->queued_priority], &thread->ready);
            passed[passed_count++] = thread;
        }
    }
    for (uint32_t i = 0; i < passed_count; i++) {
        queue_insert(&from->ready[passed[i]->queued_priority], &passed[i]->ready, passed[i]->virtual_time);
    }
    spinlock_release(&from->queue_lock);
    if (found) {
        bool idles = __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) == cpu->idle_thread;
        if (idles || cpu == platform_cpu()) { /* it had nothing to do, and stood still */
            advance(cpu, found->virtual_time);
        }
        move_to(found, cpu);
    }
    return found;
}

/* A thread of the CPU with the longest queue, for this one. */
static struct thread *steal(struct cpu *cpu)
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
    struct thread *thread = take_movable(victim, cpu);
    if (thread) {
        spinlock_acquire(&cpu->queue_lock);
        place(thread, cpu);
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
    uint32_t number = started_count;
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
            __atomic_store_n(&started_count, number + 1, __ATOMIC_RELEASE);
            wake_cpu(cpu); /* it may have looked around before it was counted */
            cpu = NULL;
        } else {
            thread_destroy(idle);
        }
    }
    kernel_free(cpu, sizeof(*cpu));
    spinlock_release(&start_lock);
}

/* A thread of this CPU's queue may wait for it in vain while another one has nothing to do. Two that hand the CPU to
 * and fro are better off here: one queued thread is waiting only if nothing was switched since the last look. */
static void balance(struct cpu *cpu)
{
    bool waits = __atomic_load_n(&cpu->ready_count, __ATOMIC_RELAXED) > 1 || cpu->switches == cpu->switches_seen;
    cpu->switches_seen = cpu->switches;
    if (waits && __atomic_load_n(&cpu->movable_count, __ATOMIC_RELAXED) && !wake_one_of(~cpu_bit(cpu)) &&
        cpus_started() < platform_cpu_count() &&
        platform_monotonic_nanoseconds() - cpu->run_start >= START_NANOSECONDS / 2) {
        start_cpu();
    }
}

/* ---- The timer ---- */

static bool others_may_help(const struct cpu *cpu, uint64_t *patience)
{
    *patience = BALANCE_NANOSECONDS;
    if (!__atomic_load_n(&cpu->movable_count, __ATOMIC_RELAXED)) {
        return false;
    }
    if (__atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & ~cpu_bit(cpu)) {
        return true;
    }
    *patience = START_NANOSECONDS;
    return cpus_started() < platform_cpu_count();
}

/* It is never armed for later: a timer that comes for nothing costs less than to arm it at each switch. */
static void arm_timer(struct cpu *cpu, const struct thread *running)
{
    uint64_t deadline = __atomic_load_n(&cpu->next_deadline, __ATOMIC_RELAXED), patience;
    if (!__atomic_load_n(&cpu->next_urgent, __ATOMIC_RELAXED)) {
        deadline = max_u64(deadline, cpu->expired_time + EXPIRY_GAP_NANOSECONDS);
    }
    if (running == cpu->idle_thread) { /* it looks at everything before it waits, and platform_idle knows till when */
        return;
    }
    deadline = min_u64(deadline, __atomic_load_n(&cpu->profile_next, __ATOMIC_RELAXED));
    if (running->process) {
        deadline = min_u64(deadline, running->process->deadline);
    }
    if (__atomic_load_n(&cpu->ready_count, __ATOMIC_SEQ_CST) || (cpu->number == 0 && sleep_awaits_streams())) {
        deadline = min_u64(deadline, cpu->slice_end);
    }
    if (others_may_help(cpu, &patience) && cpu->timer_armed > cpu->run_start + patience) {
        deadline = min_u64(deadline, platform_monotonic_nanoseconds() + patience);
    }
    if (deadline < cpu->timer_armed) {
        cpu->timer_armed = deadline;
        platform_timer_arm(deadline);
    }
}

void scheduler_arm_timer(void)
{
    struct cpu *cpu = platform_cpu();
    arm_timer(cpu, cpu->current);
}

/* ---- Queueing ---- */

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
    uint64_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & allowed;
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
    uint32_t priority = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED), before = queue_put(cpu, thread);
    bool urgent = priority > __atomic_load_n(&cpu->running_priority, __ATOMIC_RELAXED);
    /* The first one: its timer is not armed for the end of the slice. */
    if (!wake_cpu(cpu) && (urgent || !before)) {
        platform_interrupt_cpu(cpu->number);
    }
}

void scheduler_make_ready(struct thread *thread)
{
    struct cpu *here = platform_cpu(), *cpu = choose_cpu(thread, here);
    scheduler_count_runnable(thread, true);
    if (cpu != here) {
        put_elsewhere(cpu, thread);
        return;
    }
    bool urgent = __atomic_load_n(&thread->priority, __ATOMIC_RELAXED) > here->running_priority;
    queue_put(here, thread);
    if (urgent) {
        __atomic_or_fetch(&here->current->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
    }
    scheduler_arm_timer();
}

void scheduler_switched(void)
{
    struct cpu *cpu = platform_cpu();
    struct thread *previous = cpu->previous;
    cpu->previous = NULL;
    if (previous == cpu->idle_thread) {
        return;
    }
    cpu->settles = true;
    switch ((enum thread_state)previous->state) {
    case THREAD_WAITING:
        if (!previous->lends) {
            scheduler_count_runnable(previous, false);
        }
        if (!sleep_begin(previous)) {
            scheduler_make_ready(previous);
        }
        break;
    case THREAD_ENDING:
        scheduler_count_runnable(previous, false);
        thread_died(previous);
        break;
    default:
        scheduler_make_ready(previous);
        break;
    }
    cpu->settles = false;
}

/* ---- Switching ---- */

/* What this CPU was interrupted for: sleepers whose time has come, and neighbours that may help. */
static void serve_notes(struct cpu *cpu)
{
    cpu->noted = false;
    scheduler_serve_interrupt_request();
    sleep_expire(cpu);
    balance(cpu);
}

static void switch_to(struct thread *next)
{
    struct cpu *cpu = platform_cpu();
    uint64_t now = platform_monotonic_nanoseconds();
    account(cpu, now);
    cpu->slice_end = now + slice_of(next);
    __atomic_store_n(&cpu->virtual_start, clock_time(next, cpu), __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->running_priority, __atomic_load_n(&next->priority, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    cpu->switches++;
    if (next == cpu->idle_thread || cpu->current == cpu->idle_thread) {
        __atomic_store_n(&cpu->idle_state, next == cpu->idle_thread ? IDLE_LOOKS : IDLE_NONE, __ATOMIC_SEQ_CST);
    }
    arm_timer(cpu, next);
    thread_switch(cpu, cpu->current, next);
    scheduler_switched();
}

void scheduler_block(enum thread_state state)
{
    struct cpu *cpu = platform_cpu();
    __atomic_store_n(&cpu->current->state, state, __ATOMIC_RELAXED);
    if (cpu->noted) {
        serve_notes(cpu);
    }
    struct thread *next = take_next(cpu, NULL, false);
    if (!next) {
        next = steal(cpu);
    }
    switch_to(next ? next : cpu->idle_thread);
}

void scheduler_hand_over(struct thread *next)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    if (!(allowed_cpus(next) & cpu_bit(cpu)) || thread == cpu->idle_thread) {
        scheduler_make_ready(next);
        scheduler_block(THREAD_WAITING);
        return;
    }
    move_to(next, cpu);
    __atomic_store_n(&thread->state, THREAD_WAITING, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->running_priority, __atomic_load_n(&next->priority, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    thread->lends = true;
    scheduler_note_hand_over(cpu, thread);
    arm_timer(cpu, next); /* for the time limit of that one, and the deadline of this one */
    thread_switch(cpu, thread, next);
    scheduler_switched();
    thread->lends = false;
}

/* The slice is over: this CPU may have more to do than another one, or be behind it. */
static void hand_off(struct cpu *cpu)
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
            struct thread *thread = take_movable(cpu, other);
            if (thread) {
                put_elsewhere(other, thread);
            }
            return;
        }
    }
}

/* Let others run that have a better right to, or, if it yields, the same. */
static void give_way(bool yields)
{
    bool locked = process_lock_pause();
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    bool stays = allowed_cpus(thread) & cpu_bit(cpu);
    account(cpu, platform_monotonic_nanoseconds());
    if (!yields) {
        hand_off(cpu);
    }
    struct thread *next = take_next(cpu, stays ? thread : NULL, yields);
    if (next || !stays) {
        __atomic_store_n(&thread->state, THREAD_READY, __ATOMIC_RELAXED);
        switch_to(next ? next : cpu->idle_thread);
    } else {
        cpu->slice_end = platform_monotonic_nanoseconds() + slice_of(thread);
        scheduler_arm_timer();
    }
    process_lock_resume(locked);
}

bool scheduler_may_stay(void)
{
    const struct cpu *cpu = platform_cpu();
    return allowed_cpus(cpu->current) & cpu_bit(cpu);
}

void scheduler_move(void)
{
    give_way(false);
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
    __atomic_or_fetch(&idle_cpus, cpu_bit(cpu), __ATOMIC_SEQ_CST);
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
        cpu->polls_ended++;
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
    __atomic_or_fetch(&idle_cpus, cpu_bit(cpu), __ATOMIC_SEQ_CST);
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
        serve_notes(cpu);
        struct thread *next = take_next(cpu, NULL, false);
        if (!next) {
            next = steal(cpu);
        }
        if (next) {
            switch_to(next);
        } else {
            wait_for_work(cpu);
            __atomic_and_fetch(&idle_cpus, ~cpu_bit(cpu), __ATOMIC_SEQ_CST);
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

/* ---- Interrupts ---- */

static uint32_t interrupt_requested; /* atomic */

void scheduler_serve(void)
{
    struct cpu *cpu = platform_cpu();
    scheduler_serve_interrupt_request();
    if (cpu->noted) {
        serve_notes(cpu);
    }
}

SANITIZER_AT_INTERRUPT void scheduler_note_interrupt_request(void)
{
    __atomic_store_n(&interrupt_requested, 1, __ATOMIC_SEQ_CST);
}

void scheduler_serve_interrupt_request(void)
{
    if (__atomic_load_n(&interrupt_requested, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&interrupt_requested, 0, __ATOMIC_SEQ_CST)) {
        foreground_request_end(TRAP_INTERRUPTED);
    }
}

static bool urgent_one_waits(struct cpu *cpu)
{
    uint32_t priority = __atomic_load_n(&cpu->current->priority, __ATOMIC_RELAXED) + 1;
    bool found = false;
    if (!__atomic_load_n(&cpu->ready_count, __ATOMIC_RELAXED)) {
        return false;
    }
    spinlock_acquire(&cpu->queue_lock);
    for (; priority < PRIORITY_COUNT && !found; priority++) {
        found = cpu->ready[priority].first != NULL;
    }
    spinlock_release(&cpu->queue_lock);
    return found;
}

void scheduler_handle_pending(enum guest_position position)
{
    struct cpu *cpu = platform_cpu();
    profile_sample(cpu->current, position);
    __atomic_and_fetch(&cpu->current->area.pending, ~PENDING_NOTE, __ATOMIC_SEQ_CST);
    scheduler_serve_interrupt_request();
    thread_end_if_due(position);
    serve_notes(cpu);
    if (platform_monotonic_nanoseconds() >= cpu->slice_end || urgent_one_waits(cpu) || !scheduler_may_stay()) {
        give_way(false);
        thread_end_if_due(position);
    } else {
        scheduler_arm_timer();
    }
}

void thread_preemption_point(void)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    bool waits = __atomic_load_n(&thread->wait, __ATOMIC_RELAXED) != WAIT_NONE;
    /* Also not in what is done for a thread that was left. */
    if (!(__atomic_load_n(&thread->area.pending, __ATOMIC_RELAXED) & PENDING_NOTE) || waits || cpu->settles ||
        thread == cpu->idle_thread) {
        return;
    }
    lock_check_none("a preemption point");
    __atomic_and_fetch(&thread->area.pending, ~PENDING_NOTE, __ATOMIC_SEQ_CST);
    serve_notes(cpu);
    if (platform_monotonic_nanoseconds() >= cpu->slice_end || urgent_one_waits(cpu)) {
        give_way(false);
    } else {
        scheduler_arm_timer();
    }
    if (thread_end_is_due(thread)) { /* who leaves the kernel is to look at it */
        __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_SEQ_CST);
    }
}

/* What the thread is asked for itself, before wasm code goes on. */
static void follow_requests(enum guest_position position)
{
    struct thread *thread = thread_current();
    while (__atomic_load_n(&thread->area.pending, __ATOMIC_RELAXED) & PENDING_SUSPENDED) {
        thread_object_stay(thread);
        thread_end_if_due(position);
    }
    if (!scheduler_may_stay()) {
        scheduler_move();
    }
}

void thread_pending_in_host_call(void)
{
    if (__atomic_load_n(&thread_current()->area.pending, __ATOMIC_RELAXED) & PENDING_NOTE) {
        scheduler_handle_pending(GUEST_IN_HOST);
    }
    if (__atomic_load_n(&thread_current()->area.pending, __ATOMIC_RELAXED) & PENDING_SUSPENDED) {
        follow_requests(GUEST_IN_HOST);
    }
    process_lock_leave();
}

void thread_pending_interrupted(void)
{
    if (thread_current()->profile_samples) { /* what was counted belongs to the process */
        process_lock_enter();
    }
    scheduler_handle_pending(GUEST_INTERRUPTED);
    follow_requests(GUEST_INTERRUPTED);
    process_lock_leave();
}

/* ---- For threads ---- */

void thread_yield(void)
{
    lock_check_none("a yield");
    give_way(true);
    thread_end_if_asked();
}

enum thread_priority thread_priority(const struct thread *thread)
{
    return __atomic_load_n(&thread->priority, __ATOMIC_RELAXED);
}

void thread_set_priority(struct thread *thread, enum thread_priority priority)
{
    thread->own_priority = priority;
    __atomic_store_n(&thread->priority, priority, __ATOMIC_RELAXED);
}

/* Where it is queued, if it is: in the queue of its new priority. */
static void requeue(struct thread *thread)
{
    struct cpu *cpu = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
    bool queued = false;
    if (cpu) {
        spinlock_acquire(&cpu->queue_lock);
        queued =
            thread->queued_on == cpu && thread->queued_priority != __atomic_load_n(&thread->priority, __ATOMIC_RELAXED);
        if (queued) {
            queue_take(cpu, thread);
        }
        spinlock_release(&cpu->queue_lock);
    }
    if (queued) {
        scheduler_make_ready(thread);
    }
}

void scheduler_lend_priority(struct thread *thread, uint32_t priority)
{
    if (__atomic_load_n(&thread->priority, __ATOMIC_RELAXED) < priority) {
        __atomic_store_n(&thread->priority, priority, __ATOMIC_RELAXED);
        if (thread != thread_current()) {
            requeue(thread);
        }
    }
}

void thread_set_affinity(struct thread *thread, uint64_t cpus)
{
    __atomic_store_n(&thread->affinity, cpus ? cpus : UINT64_MAX, __ATOMIC_RELAXED);
    if (thread == thread_current() && !scheduler_may_stay()) {
        give_way(false);
    }
}
