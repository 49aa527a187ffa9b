/* Waiting: the states of a wait, deadlines, streams.
 *
 * thread.wait goes BEGUN -> OVER, or BEGUN -> ASLEEP -> OVER, each step one compare-exchange. The step to ASLEEP is
 * made when the thread's stack is no longer in use, so whoever ends the wait of a sleeping thread may queue it at once.
 * A hand-over goes LEAVES -> ASLEEP by a plain store instead: nobody else touches LEAVES, who wants to end the wait
 * waits until it is ASLEEP, some hundred instructions later (or a copy of 64 KiB). The thread that leaves waits for
 * nobody meanwhile; when it must, it goes LEAVES -> BEGUN.
 *
 * Deadlines lie in the queue of the CPU on which the thread was when it fell asleep, and they are lazy: a thread that
 * is woken stays in the queue, so that the next wait with a deadline that is not before that one needs no change of it,
 * and no lock. When the time in the queue has come, the CPU looks at the thread's real deadline (thread.deadline) and
 * wakes it, queues it again, or takes it out. It must not end a wait by the deadline of another one: so it goes ASLEEP
 * -> LEAVES first, which holds the thread where it is, and looks at the deadline once more. A CPU goes through its
 * queue itself, and kernel code is not preempted: so its own threads see their places in the queue without the lock.
 */
#include "engine/base.h"
#include "kernel/hand_over.h"
#include "kernel/instance_parts.h"
#include "kernel/process_lock.h"
#include "kernel/trace.h"

static struct spinlock streams_lock = SPINLOCK(LOCK_STREAMS);
static struct thread *stream_waiters GUARDED_BY(streams_lock);
static uint32_t stream_waiter_count; /* read without the lock */

bool sleep_begin(struct thread *thread)
{
    uint32_t state = WAIT_BEGUN;
    if (__atomic_load_n(&thread->wait, __ATOMIC_RELAXED) == WAIT_LEAVES) {
        __atomic_store_n(&thread->wait, WAIT_ASLEEP, __ATOMIC_RELEASE);
        return true;
    }
    return atomic_change_u32(&thread->wait, &state, WAIT_ASLEEP);
}

/* Of a wait that is LEAVES: what it is next. Not inline, so that others need no registers for it. */
__attribute__((noinline)) static uint32_t state_when_left(const struct thread *thread)
{
    uint32_t state, count = 0;
    while ((state = __atomic_load_n(&thread->wait, __ATOMIC_SEQ_CST)) == WAIT_LEAVES) {
        platform_relax(count++);
    }
    return state;
}

bool sleep_end(struct thread *thread, enum wait_state why)
{
    uint32_t state = __atomic_load_n(&thread->wait, __ATOMIC_SEQ_CST);
    do {
        if (UNLIKELY(state == WAIT_LEAVES)) {
            state = state_when_left(thread);
        }
        if (state != WAIT_BEGUN && state != WAIT_ASLEEP) {
            return false;
        }
    } while (!atomic_change_u32(&thread->wait, &state, why));
    if (state == WAIT_ASLEEP) {
        TRACE(WAKE, thread->id, 0);
        scheduler_make_ready(thread);
    }
    return true;
}

/* ---- Deadlines ---- */

static struct thread *timer_thread(struct queue_node *timer)
{
    return (struct thread *)((uint8_t *)timer - offsetof(struct thread, timer));
}

static void timers_changed(struct cpu *cpu) REQUIRES(cpu->timers_lock)
{
    struct queue_node *first = cpu->timers.first;
    bool urgent = first && __atomic_load_n(&timer_thread(first)->priority, __ATOMIC_RELAXED) > PRIORITY_NORMAL;
    __atomic_store_n(&cpu->next_urgent, urgent, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->next_deadline, first ? first->key : UINT64_MAX, __ATOMIC_RELAXED);
}

static void queue_timer(struct cpu *cpu, struct thread *thread, uint64_t time) REQUIRES(cpu->timers_lock)
{
    queue_insert(&cpu->timers, &thread->timer, time);
    thread->timer_queued = true;
}

static void unqueue_timer(struct cpu *cpu, struct thread *thread) REQUIRES(cpu->timers_lock)
{
    if (thread->timer_queued) {
        queue_remove(&cpu->timers, &thread->timer);
        thread->timer_queued = false;
    }
}

void sleep_forget_timer(struct thread *thread)
{
    struct cpu *cpu = thread->timer_cpu;
    if (cpu) {
        spinlock_acquire(&cpu->timers_lock);
        unqueue_timer(cpu, thread);
        timers_changed(cpu);
        spinlock_release(&cpu->timers_lock);
    }
}

/* The current thread is about to sleep until then. */
static void set_timer(struct thread *thread, uint64_t deadline)
{
    struct cpu *cpu = platform_cpu();
    if (sleep_timer_is_set(thread, cpu, deadline)) {
        return;
    }
    if (thread->timer_cpu != cpu) {
        sleep_forget_timer(thread);
        thread->timer_cpu = cpu;
    }
    spinlock_acquire(&cpu->timers_lock);
    unqueue_timer(cpu, thread);
    queue_timer(cpu, thread, deadline);
    timers_changed(cpu);
    spinlock_release(&cpu->timers_lock);
}

/* How soon a thread is looked at again that is about to sleep. */
#define RETRY_NANOSECONDS UINT64_C(50000)

/* Its time in the queue has come, and it was taken out. When it is to be looked at again; UINT64_MAX: it need not be.
 */
static uint64_t expire(struct thread *thread, uint64_t now)
{
    uint64_t deadline = __atomic_load_n(&thread->deadline, __ATOMIC_RELAXED);
    if (deadline > now) {
        return deadline;
    }
    uint32_t state = WAIT_ASLEEP;
    if (!atomic_change_u32(&thread->wait, &state, WAIT_LEAVES)) {
        return state == WAIT_BEGUN || state == WAIT_LEAVES ? now + RETRY_NANOSECONDS : UINT64_MAX;
    }
    deadline = __atomic_load_n(&thread->deadline, __ATOMIC_RELAXED);
    if (deadline > now) {
        __atomic_store_n(&thread->wait, WAIT_ASLEEP, __ATOMIC_RELEASE);
        return deadline;
    }
    __atomic_store_n(&thread->wait, WAIT_OVER_TIME, __ATOMIC_RELEASE);
    TRACE(WAKE, thread->id, 0);
    scheduler_make_ready(thread);
    return UINT64_MAX;
}

static void expire_timers(struct cpu *cpu)
{
    if (__atomic_load_n(&cpu->next_deadline, __ATOMIC_RELAXED) == UINT64_MAX) {
        return;
    }
    uint64_t now = platform_monotonic_nanoseconds();
    spinlock_acquire(&cpu->timers_lock);
    while (cpu->timers.first && cpu->timers.first->key <= now) {
        struct thread *thread = timer_thread(cpu->timers.first);
        unqueue_timer(cpu, thread);
        if (__atomic_load_n(&thread->priority, __ATOMIC_RELAXED) <= PRIORITY_NORMAL) {
            cpu->expired_time = now;
        }
        uint64_t again = expire(thread, now);
        if (again != UINT64_MAX) {
            queue_timer(cpu, thread, again);
        }
    }
    timers_changed(cpu);
    spinlock_release(&cpu->timers_lock);
}

/* ---- Streams: CPU 0 alone hears of them ---- */

static void expire_streams(void)
{
    spinlock_acquire(&streams_lock);
    for (struct thread *thread = stream_waiters; thread; thread = thread->stream_next) {
        if (platform_stream_readable(thread->wait_stream)) {
            thread_wake(thread);
        }
    }
    spinlock_release(&streams_lock);
}

bool sleep_awaits_streams(void)
{
    return __atomic_load_n(&stream_waiter_count, __ATOMIC_RELAXED) != 0;
}

void sleep_expire(struct cpu *cpu)
{
    expire_timers(cpu);
    if (cpu->number == 0 && sleep_awaits_streams()) {
        expire_streams();
    }
}

void thread_stream_enter(enum stream stream)
{
    struct thread *thread = thread_current();
    spinlock_acquire(&streams_lock);
    thread->wait_stream = stream;
    thread->stream_next = stream_waiters;
    stream_waiters = thread;
    __atomic_store_n(&stream_waiter_count, stream_waiter_count + 1, __ATOMIC_RELAXED);
    spinlock_release(&streams_lock);
    if (platform_cpu()->number != 0) {
        platform_interrupt_cpu(0);
    }
}

void thread_stream_leave(void)
{
    struct thread *thread = thread_current();
    spinlock_acquire(&streams_lock);
    struct thread **link = &stream_waiters;
    while (*link != thread) {
        link = &(*link)->stream_next;
    }
    *link = thread->stream_next;
    __atomic_store_n(&stream_waiter_count, stream_waiter_count - 1, __ATOMIC_RELAXED);
    spinlock_release(&streams_lock);
}

/* ---- Waits ---- */

void thread_wait_begin(void)
{
    thread_wait_begin_here(thread_current());
}

void thread_wait_cancel(void)
{
    __atomic_store_n(&thread_current()->wait, WAIT_NONE, __ATOMIC_RELAXED);
}

bool thread_wake(struct thread *thread)
{
    return sleep_end(thread, WAIT_OVER_WOKEN);
}

bool thread_claim(struct thread *thread)
{
    for (uint32_t count = 0;; count++) {
        uint32_t state = WAIT_ASLEEP;
        if (atomic_change_u32(&thread->wait, &state, WAIT_OVER_WOKEN)) {
            return true;
        }
        if (state != WAIT_BEGUN && state != WAIT_LEAVES) {
            return false;
        }
        platform_relax(count);
    }
}

void thread_unclaim(struct thread *thread, uint64_t deadline)
{
    __atomic_store_n(&thread->wait, WAIT_ASLEEP, __ATOMIC_SEQ_CST);
    if (thread->wait_ends && thread_end_is_due(thread)) {
        sleep_end(thread, WAIT_OVER_END);
    } else if (deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= deadline) {
        sleep_end(thread, WAIT_OVER_TIME);
    }
}

/* `next`: claimed, to be given the CPU, or NULL. */
static void fall_asleep(struct thread *thread, struct thread *next, uint64_t deadline)
{
    __atomic_store_n(&thread->deadline, deadline, __ATOMIC_RELAXED);
    if (deadline != UINT64_MAX) {
        set_timer(thread, deadline);
    }
    if (next) {
        scheduler_hand_over(next);
    } else {
        scheduler_block(THREAD_WAITING);
    }
}

enum wait_result sleep_result(struct thread *thread)
{
    uint32_t state = __atomic_load_n(&thread->wait, __ATOMIC_ACQUIRE); /* over: nobody else changes it */
    __atomic_store_n(&thread->wait, WAIT_NONE, __ATOMIC_RELAXED);
    if (state == WAIT_OVER_WOKEN) {
        return WAIT_WOKEN;
    }
    return thread->wait_ends && thread_end_is_due(thread) ? WAIT_ENDS : WAIT_TIMED_OUT;
}

static enum wait_result finish_here(struct thread *thread, struct thread *next, uint64_t deadline)
{
    lock_check_none("a wait");
    if (!next) { /* who asks for the end looks at thread.wait behind his request; claiming `next` did it, too */
        atomic_fence();
    }
    if (thread->wait_ends && thread->process) {
        if (thread_end_is_due(thread)) {
            sleep_end(thread, WAIT_OVER_END);
        }
        deadline = min_u64(deadline, thread->process->deadline);
    }
    if (__atomic_load_n(&thread->wait, __ATOMIC_SEQ_CST) == WAIT_BEGUN) {
        if (deadline == UINT64_MAX || (deadline && platform_monotonic_nanoseconds() < deadline)) {
            fall_asleep(thread, next, deadline);
            next = NULL;
        } else {
            sleep_end(thread, WAIT_OVER_TIME);
        }
    }
    if (next) {
        scheduler_make_ready(next);
    }
    return sleep_result(thread);
}

/* Others of the process are in the kernel meanwhile. */
static enum wait_result finish(struct thread *thread, struct thread *next, uint64_t deadline)
{
    if (!thread->shares) {
        return finish_here(thread, next, deadline);
    }
    bool locked = process_lock_pause();
    enum wait_result result = finish_here(thread, next, deadline);
    process_lock_resume(locked);
    return result;
}

enum wait_result thread_wait_finish(uint64_t deadline)
{
    return finish(thread_current(), NULL, deadline);
}

enum wait_result sleep_finish_always(uint64_t deadline)
{
    struct thread *thread = thread_current();
    __atomic_store_n(&thread->wait_ends, false, __ATOMIC_RELAXED);
    return finish(thread, NULL, deadline);
}

void sleep_finish_locked(void)
{
    struct thread *thread = thread_current();
    __atomic_store_n(&thread->wait_ends, false, __ATOMIC_RELAXED);
    finish_here(thread, NULL, UINT64_MAX);
}

enum wait_result sleep_hand_over(struct thread *next, uint64_t deadline)
{
    return finish(thread_current(), next, deadline);
}

void thread_sleep_until(uint64_t deadline)
{
    TRACE(SLEEP, deadline, 0);
    thread_wait_begin();
    thread_wait_finish(deadline);
    thread_end_if_asked();
}

bool thread_wait_stream(enum stream stream, uint64_t deadline)
{
    if (!platform_stream_readable(stream)) {
        TRACE(WAIT_STREAM, deadline, stream);
        thread_wait_begin();
        thread_stream_enter(stream);
        thread_wait_finish(deadline);
        thread_stream_leave();
        thread_end_if_asked();
    }
    return platform_stream_readable(stream);
}
