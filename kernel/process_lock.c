#include "kernel/process_lock.h"

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"

void process_share(struct process *process)
{
    thread_current()->shares = process;
    process_lock_enter();
}

void process_unshare(void)
{
    process_lock_leave();
    thread_current()->shares = NULL;
}

NO_LOCK_ANALYSIS void process_lock_enter(void)
{
    struct thread *thread = thread_current();
    struct process *process = thread->shares;
    if (!process || __atomic_load_n(&thread->area.pending, __ATOMIC_RELAXED) & PENDING_LOCKED) {
        return;
    }
    mutex_acquire(&process->kernel_lock);
    while (!scheduler_may_stay()) {
        mutex_release(&process->kernel_lock);
        scheduler_move();
        mutex_acquire(&process->kernel_lock);
    }
    __atomic_or_fetch(&thread->area.pending, PENDING_LOCKED, __ATOMIC_RELAXED);
}

NO_LOCK_ANALYSIS void process_lock_leave(void)
{
    struct thread *thread = thread_current();
    if (__atomic_load_n(&thread->area.pending, __ATOMIC_RELAXED) & PENDING_LOCKED) {
        __atomic_and_fetch(&thread->area.pending, ~PENDING_LOCKED, __ATOMIC_RELAXED);
        mutex_release(&thread->shares->kernel_lock);
    }
}

bool process_lock_pause(void)
{
    bool held = __atomic_load_n(&thread_current()->area.pending, __ATOMIC_RELAXED) & PENDING_LOCKED;
    process_lock_leave();
    return held;
}

void process_lock_resume(bool held)
{
    if (held) {
        process_lock_enter();
    }
}

void process_keep_together(struct process *process)
{
    uint64_t here = UINT64_C(1) << platform_cpu()->number;
    __atomic_store_n(&process->affinity, here, __ATOMIC_RELAXED);
    spinlock_acquire(&process->threads_lock);
    for (struct thread *thread = process->running; thread; thread = thread->process_next) {
        const struct cpu *cpu = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
        __atomic_store_n(&thread->affinity, here, __ATOMIC_SEQ_CST);
        if (cpu != platform_cpu()) { /* it moves now: in the kernel it would wait for this CPU all the same */
            __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_SEQ_CST);
            platform_interrupt_cpu(cpu->number);
        }
    }
    spinlock_release(&process->threads_lock);
}
