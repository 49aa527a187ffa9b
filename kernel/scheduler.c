/* The scheduler of one CPU: a queue of threads that can run, a list of those that wait, and the timer. There is no idle
 * thread: the one that finds nothing to run waits in its own name. */
#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/profile_hooks.h"

void scheduler_make_ready(struct thread *thread)
{
    struct cpu *cpu = platform_cpu();
    thread->state = THREAD_READY;
    thread->next = NULL;
    if (cpu->ready_first) {
        cpu->ready_last->next = thread;
    } else {
        cpu->ready_first = thread;
    }
    cpu->ready_last = thread;
}

void scheduler_wake(struct thread *thread)
{
    struct thread **link = &platform_cpu()->waiting;
    while (*link != thread) {
        link = &(*link)->next;
    }
    *link = thread->next;
    scheduler_make_ready(thread);
    scheduler_arm_timer();
}

static struct thread *take_ready(struct cpu *cpu)
{
    struct thread *thread = cpu->ready_first;
    cpu->ready_first = thread->next;
    return thread;
}

static bool wait_is_over(const struct thread *thread)
{
    return (thread->wait_deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= thread->wait_deadline) ||
           (thread->wait_stream != STREAM_COUNT && platform_stream_readable(thread->wait_stream)) ||
           (thread->wait_thread && thread->wait_thread->state == THREAD_DEAD) ||
           (thread->wait_ends && thread_end_is_due(thread));
}

static void wake_waiting(struct cpu *cpu)
{
    struct thread **link = &cpu->waiting;
    while (*link) {
        struct thread *thread = *link;
        if (wait_is_over(thread)) {
            *link = thread->next;
            scheduler_make_ready(thread);
        } else {
            link = &thread->next;
        }
    }
}

/* When one of the waiting threads is to be looked at, at the latest; streams tell by an interrupt only when idle. */
static uint64_t next_wait(const struct cpu *cpu, uint64_t stream_check)
{
    uint64_t next = UINT64_MAX;
    for (const struct thread *thread = cpu->waiting; thread; thread = thread->next) {
        next = min_u64(next, thread->wait_deadline);
        next = min_u64(next, thread->wait_stream != STREAM_COUNT ? stream_check : UINT64_MAX);
        next = min_u64(next, thread->wait_ends && thread->process ? thread->process->deadline : UINT64_MAX);
    }
    return next;
}

static void arm_timer(struct cpu *cpu, uint64_t deadline)
{
    if (cpu->timer_armed != deadline) {
        cpu->timer_armed = deadline;
        platform_timer_arm(deadline);
    }
}

void scheduler_arm_timer(void)
{
    struct cpu *cpu = platform_cpu();
    uint64_t deadline = cpu->ready_first ? cpu->slice_end : UINT64_MAX;
    deadline = min_u64(deadline, cpu->profile_next);
    deadline = min_u64(deadline, next_wait(cpu, cpu->slice_end));
    if (cpu->current->process) {
        deadline = min_u64(deadline, cpu->current->process->deadline);
    }
    arm_timer(cpu, deadline);
}

static void idle(struct cpu *cpu)
{
    cpu->idle = true;
    profile_idle_begin(cpu);
    arm_timer(cpu, UINT64_MAX);
    platform_idle(next_wait(cpu, UINT64_MAX));
    profile_idle_end(cpu);
    cpu->idle = false;
}

void schedule(void)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    lock_check_none("a wait");
    wake_waiting(cpu);
    while (!cpu->ready_first) {
        idle(cpu);
        wake_waiting(cpu);
    }
    struct thread *next = take_ready(cpu);
    cpu->slice_end = platform_monotonic_nanoseconds() + TIME_SLICE_NANOSECONDS;
    if (next == thread) {
        thread->state = THREAD_RUNNING;
    } else {
        thread_switch_to(next);
    }
    scheduler_arm_timer();
}

static void handle_pending(enum guest_position position)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu->current;
    thread->area.pending = 0;
    profile_sample(thread, position);
    thread_end_if_due(position);
    wake_waiting(cpu);
    if (cpu->ready_first && platform_monotonic_nanoseconds() >= cpu->slice_end) {
        scheduler_make_ready(thread);
        schedule();
        thread_end_if_due(position);
    } else {
        scheduler_arm_timer();
    }
}

void thread_pending_in_host_call(void)
{
    handle_pending(GUEST_IN_HOST);
}

void thread_pending_interrupted(void)
{
    handle_pending(GUEST_INTERRUPTED);
}
