/* The scheduler: who runs on this CPU, and for how long.
 *
 * Whose turn it is stands in scheduler_queue.c, where a thread runs in scheduler_cpus.c. Here one thread is left for
 * another, the timer is armed for what comes next, and what is pending for a thread is done: at the end of a host call,
 * at preemption points, and where a guest was interrupted.
 *
 * What becomes of a thread that was left (it sleeps, is queued, is dead) is done by the one that runs next, on its own
 * stack (scheduler_switched): so nobody finds a thread whose stack is still in use. All of this is the CPU's own, and
 * needs no lock; kernel code is not interrupted to run it. */
#include "engine/base.h"
#include "kernel/hand_over.h"
#include "kernel/process_lock.h"
#include "kernel/profile_hooks.h"
#include "kernel/scheduler_parts.h"
#include "kernel/thread_object.h"
#include "kernel/trace.h"

/* ---- The timer ---- */

static bool others_may_help(const struct cpu *cpu, uint64_t *patience)
{
    *patience = BALANCE_NANOSECONDS;
    if (!__atomic_load_n(&cpu->movable_count, __ATOMIC_RELAXED)) {
        return false;
    }
    if (__atomic_load_n(&scheduler_idle_cpus, __ATOMIC_RELAXED) & ~cpu_bit(cpu)) {
        return true;
    }
    *patience = START_NANOSECONDS;
    return cpus_started() < platform_cpu_count();
}

/* It is never armed for later: a timer that comes for nothing costs less than to arm it at each switch. */
void scheduler_arm_timer_for(struct cpu *cpu, const struct thread *running)
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
    scheduler_arm_timer_for(cpu, cpu->current);
}

/* ---- Switching ---- */

void scheduler_serve_notes(struct cpu *cpu)
{
    cpu->noted = false;
    scheduler_serve_interrupt_request();
    sleep_expire(cpu);
    scheduler_balance(cpu);
}

void scheduler_switch_to(struct thread *next)
{
    struct cpu *cpu = platform_cpu();
    uint64_t now = platform_monotonic_nanoseconds();
    scheduler_account(cpu, now);
    cpu->slice_end = now + slice_of(next);
    __atomic_store_n(&cpu->virtual_start, clock_time(next, cpu), __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->running_priority, __atomic_load_n(&next->priority, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    cpu->switches++;
    if (next == cpu->idle_thread || cpu->current == cpu->idle_thread) {
        __atomic_store_n(&cpu->idle_state, next == cpu->idle_thread ? IDLE_LOOKS : IDLE_NONE, __ATOMIC_SEQ_CST);
    }
    scheduler_arm_timer_for(cpu, next);
    thread_switch(cpu, cpu->current, next);
    scheduler_switched();
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
            count_runnable(previous, false);
        }
        if (!sleep_begin(previous)) {
            scheduler_make_ready(previous);
        }
        break;
    case THREAD_ENDING:
        count_runnable(previous, false);
        thread_died(previous);
        break;
    default:
        scheduler_make_ready(previous);
        break;
    }
    cpu->settles = false;
}

void scheduler_block(enum thread_state state)
{
    struct cpu *cpu = platform_cpu();
    __atomic_store_n(&cpu->current->state, state, __ATOMIC_RELAXED);
    if (cpu->noted) {
        scheduler_serve_notes(cpu);
    }
    struct thread *next = scheduler_take_next(cpu, NULL, false);
    if (!next) {
        next = scheduler_steal(cpu);
    }
    scheduler_switch_to(next ? next : cpu->idle_thread);
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
    scheduler_arm_timer_for(cpu, next); /* for the time limit of that one, and the deadline of this one */
    thread_switch(cpu, thread, next);
    scheduler_switched();
    thread->lends = false;
}

/* Let others run that have a better right to, or, if it yields, the same. */
static void give_way(bool yields)
{
    bool locked = process_lock_pause();
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    bool stays = allowed_cpus(thread) & cpu_bit(cpu);
    scheduler_account(cpu, platform_monotonic_nanoseconds());
    if (!yields) {
        scheduler_hand_off(cpu);
    }
    struct thread *next = scheduler_take_next(cpu, stays ? thread : NULL, yields);
    if (next || !stays) {
        __atomic_store_n(&thread->state, THREAD_READY, __ATOMIC_RELAXED);
        scheduler_switch_to(next ? next : cpu->idle_thread);
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

/* ---- Interrupts ---- */

static uint32_t interrupt_requested; /* atomic */

void scheduler_serve(void)
{
    struct cpu *cpu = platform_cpu();
    scheduler_serve_interrupt_request();
    if (cpu->noted) {
        scheduler_serve_notes(cpu);
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
    scheduler_serve_notes(cpu);
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
    scheduler_serve_notes(cpu);
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

void thread_set_affinity(struct thread *thread, uint64_t cpus)
{
    __atomic_store_n(&thread->affinity, cpus ? cpus : UINT64_MAX, __ATOMIC_RELAXED);
    if (thread == thread_current() && !scheduler_may_stay()) {
        give_way(false);
    }
}
