/* Whose turn it is: shares of processes, and the queue of each CPU.
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
 * Clocks are atomic: a process's is charged by all its threads. A queue, and what lies in it, is guarded by the
 * queue_lock of its CPU; its counts are read without. No two of these locks are held at once. */
#include "engine/base.h"
#include "kernel/scheduler_parts.h"

#define STEAL_LOOKS 8 /* threads of a queue that are looked at for one that may move */
/* A clock begins ahead by this part of a slice, by its share, and a second at most. */
#define BEGIN_PART                4
#define BEGIN_NANOSECONDS_MAXIMUM UINT64_C(1000000000)
/* A queued thread keeps its place while its process's clock has not gone on further: it bounds how often they move. */
#define STALE_NANOSECONDS (TIME_SLICE_NANOSECONDS / 8)

static struct thread *thread_of(struct queue_node *ready)
{
    return (struct thread *)((uint8_t *)ready - offsetof(struct thread, ready));
}

static bool is_movable(const struct thread *thread)
{
    uint64_t allowed = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED);
    return (allowed & (allowed - 1)) != 0;
}

/* ---- Shares ---- */

void scheduler_count_runnable(struct thread *thread, bool runnable)
{
    count_runnable(thread, runnable);
}

/* Nanoseconds of a tick, times 2^TICK_SHIFT: at first a guess, then as measured. */
#define TICK_SHIFT 20
static uint64_t tick_scale = (UINT64_C(1) << TICK_SHIFT) / 2;

uint64_t scheduler_tick_time(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * __atomic_load_n(&tick_scale, __ATOMIC_RELAXED) >> TICK_SHIFT);
}

void scheduler_calibrate(uint64_t time, uint64_t ticks)
{
    if (time > TIME_SLICE_NANOSECONDS / 10 && time < UINT64_C(1) << (63 - TICK_SHIFT) && ticks > time / 16) {
        __atomic_store_n(&tick_scale, (time << TICK_SHIFT) / ticks, __ATOMIC_RELAXED);
    }
}

static uint64_t weighted(const struct process *process, uint64_t time)
{
    uint32_t weight = __atomic_load_n(&process->weight, __ATOMIC_RELAXED);
    return weight ? time * PROCESS_WEIGHT / weight : time;
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

void scheduler_charge(struct thread *thread, const struct cpu *cpu, uint64_t time)
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

void scheduler_note_first_hand_over(struct cpu *cpu)
{
    scheduler_account(cpu, platform_monotonic_nanoseconds());
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
    scheduler_account(cpu, platform_monotonic_nanoseconds());
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

void scheduler_place(struct thread *thread, struct cpu *cpu) REQUIRES(cpu->queue_lock)
{
    uint64_t *clock = clock_of(thread, cpu), time = atomic_add_u64(clock, 1);
    uint64_t now = __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED);
    if (time == 1 || (int64_t)(now - time) > (int64_t)TIME_SLICE_NANOSECONDS) {
        time = time == 1 ? begin_ahead(thread, now) : now - TIME_SLICE_NANOSECONDS;
        __atomic_store_n(clock, time, __ATOMIC_RELAXED);
    }
    thread->virtual_time = time;
}

uint32_t scheduler_queue_put(struct cpu *cpu, struct thread *thread)
{
    spinlock_acquire(&cpu->queue_lock);
    if (thread->handed_ticks) {
        scheduler_charge(thread, thread->cpu, 0);
    }
    move_to(thread, cpu);
    scheduler_place(thread, cpu);
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
        scheduler_place(thread, cpu);
        queue_insert(queue, &thread->ready, thread->virtual_time);
    }
}

struct thread *scheduler_take_next(struct cpu *cpu, struct thread *than, bool yields)
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

struct thread *scheduler_take_movable(struct cpu *from, struct cpu *cpu)
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

/* ---- Lent priorities ---- */

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
