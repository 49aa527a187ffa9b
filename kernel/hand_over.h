/* Leaving a thread for another one: the change of stacks, which every switch makes, and the hand-over, by which a call
 * through a port goes to and fro without the scheduler. Inline, because a hand-over is little more than these moves:
 * the registers that its caller does not need are not kept, and no return is predicted wrongly. */
#ifndef KERNEL_HAND_OVER_H
#define KERNEL_HAND_OVER_H

#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/trace.h"

#define INLINED             static inline __attribute__((always_inline))
#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Go on where `next` left its stack, until somebody comes back to this one. On top of a stack that was left lies the
 * address where to go on. rbx and rbp are kept on it, too: everything that a guest's registers may hold has to be on
 * the kernel stack (gc_mark.c). It must be inlined into a function that makes calls: one that makes none may keep
 * variables below rsp. */
static inline void thread_switch_stack(uint64_t *save, uint64_t load)
{
    __asm__ volatile("pushq %%rbp\n"
                     "pushq %%rbx\n"
                     "leaq 1f(%%rip), %%rax\n"
                     "pushq %%rax\n"
                     "movq %%rsp, (%0)\n"
                     "movq %1, %%rsp\n"
                     "popq %%rax\n"
                     "jmpq *%%rax\n"
                     "1: popq %%rbx\n"
                     "popq %%rbp\n"
                     : "+D"(save), "+S"(load)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
}

/* Leave `previous`, which runs on this CPU and whose state is set, for `next`. When this returns `previous` runs again,
 * maybe on another CPU, and has to deal with the one that was left for it (scheduler_switched). */
static inline void thread_switch(struct cpu *cpu, struct thread *previous, struct thread *next)
{
    const struct activation *activation = previous->activation;
    previous->area.switched = 1;
    previous->saved_gs_base = activation && !activation->without_gs ? running_gs_base() : 0;
    __atomic_store_n(&next->state, THREAD_RUNNING, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->current, next, __ATOMIC_RELAXED);
    cpu->previous = previous;
    COUNT_OF(next, switches);
    TRACE(SWITCH, previous->id, previous->state);
    if (next->saved_gs_base) {
        platform_set_gs(next->saved_gs_base);
    }
    sanitizer_fiber_switch(&next->fiber);
    thread_switch_stack(&previous->saved_rsp, next->saved_rsp);
}

/* thread_wait_begin, for who knows the current thread. */
static inline void thread_wait_begin_here(struct thread *thread)
{
    __atomic_store_n(&thread->wait_ends, true, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->wait, WAIT_BEGUN, __ATOMIC_RELEASE);
}

/* thread_claim, for a thread that most likely sleeps. */
static inline bool thread_claim_here(struct thread *thread)
{
    uint32_t state = WAIT_ASLEEP;
    return LIKELY(atomic_change_u32(&thread->wait, &state, WAIT_OVER_WOKEN)) || thread_claim(thread);
}

/* thread_wait_begin for the current thread, which is about to claim another one (thread_claim_leaving) and to hand its
 * CPU over to that one: WAIT_LEAVES. Until it sleeps, which takes no locked instruction then, others wait for that if
 * they want to end the wait; so from here on it waits for nothing, no lock either, or leaves that state
 * (thread_stop_leaving). */
static inline void thread_begin_leaving(struct thread *thread)
{
    __atomic_store_n(&thread->wait_ends, true, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->wait, WAIT_LEAVES, __ATOMIC_RELEASE);
}

/* It goes on with its wait as one that began with thread_wait_begin, if it is not that already. */
static inline void thread_stop_leaving(struct thread *thread)
{
    if (__atomic_load_n(&thread->wait, __ATOMIC_RELAXED) == WAIT_LEAVES) {
        __atomic_store_n(&thread->wait, WAIT_BEGUN, __ATOMIC_RELEASE);
    }
}

/* thread_claim_here; behind it, the current thread may leave if it still says so. */
static inline bool thread_claim_leaving(struct thread *thread, struct thread *next)
{
    uint32_t state = WAIT_ASLEEP;
    if (LIKELY(atomic_change_u32(&next->wait, &state, WAIT_OVER_WOKEN))) {
        return true;
    }
    thread_stop_leaving(thread);
    return thread_claim(next);
}

/* Is the current thread, on this CPU, looked at by this time (kernel/sleep.c)? */
static inline bool sleep_timer_is_set(const struct thread *thread, const struct cpu *cpu, uint64_t deadline)
{
    return deadline == UINT64_MAX ||
           (thread->timer_cpu == cpu && thread->timer_queued && thread->timer.key <= deadline);
}

/* May `thread`, the current one of a process, leave the CPU to `next` as it is: nobody asks for its end, the timer
 * comes by any time that is to be watched, and `next` may run here and did so before? */
static inline bool hand_over_is_plain(const struct thread *thread, const struct thread *next, uint64_t deadline)
{
    const struct process *process = thread->process, *next_process = next->process;
    const struct cpu *cpu = thread->cpu;
    return !thread->shares && sleep_timer_is_set(thread, cpu, deadline) && !process_end_request(process) &&
           !thread_end_request(thread) && __atomic_load_n(&thread->wait, __ATOMIC_RELAXED) == WAIT_LEAVES &&
           next_process && next_process->deadline >= cpu->timer_armed &&
           __atomic_load_n(&next->cpu, __ATOMIC_RELAXED) == cpu &&
           (__atomic_load_n(&next->affinity, __ATOMIC_RELAXED) >> cpu->number & 1);
}

/* As thread_wait_finish, giving the CPU to a thread that was claimed: it goes on in the rest of this thread's time
 * slice, whatever its virtual time is. Each is charged for what it runs itself. The wait began with
 * thread_begin_leaving. Who asks for the thread's end looks at thread.wait behind his request, and this at the request
 * behind thread.wait: between the two was the claim. */
INLINED enum wait_result thread_wait_hand_over(struct thread *thread, struct thread *next, uint64_t deadline)
{
    struct cpu *cpu = thread->cpu;
    uint64_t limit = thread->process ? thread->process->deadline : UINT64_MAX;
    uint64_t end = deadline < limit ? deadline : limit;
    lock_check_none("a wait");
    if (UNLIKELY(!thread->process || !hand_over_is_plain(thread, next, end))) {
        thread_stop_leaving(thread);
        return sleep_hand_over(next, deadline);
    }
    __atomic_store_n(&thread->deadline, end, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->state, THREAD_WAITING, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->running_priority, __atomic_load_n(&next->priority, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    thread->lends = true;
    scheduler_note_hand_over(cpu, thread);
    thread_switch(cpu, thread, next);
    thread->lends = false;
    struct thread *previous = thread->cpu->previous;
    if (LIKELY(__atomic_load_n(&previous->wait, __ATOMIC_RELAXED) == WAIT_LEAVES)) {
        __atomic_store_n(&previous->wait, WAIT_ASLEEP, __ATOMIC_RELEASE);
    } else {
        scheduler_switched();
    }
    if (UNLIKELY(__atomic_load_n(&thread->wait, __ATOMIC_ACQUIRE) != WAIT_OVER_WOKEN)) {
        return sleep_result(thread);
    }
    __atomic_store_n(&thread->wait, WAIT_NONE, __ATOMIC_RELAXED);
    return WAIT_WOKEN;
}

#endif
