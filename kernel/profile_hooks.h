/* What interrupts, scheduler and compiler do for the profiler (kernel/profile.h). */
#ifndef KERNEL_PROFILE_HOOKS_H
#define KERNEL_PROFILE_HOOKS_H

#include "kernel/cpu.h"
#include "kernel/profile.h"
#include "kernel/sanitizer.h"

/* A CPU's record is made. */
void profile_cpu_begin(struct cpu *cpu);

/* At a timer interrupt, before anything else is done. */
void profile_interrupt_due(struct cpu *cpu, const struct machine_state *state);
SANITIZER_AT_INTERRUPT static inline void profile_interrupt(struct cpu *cpu, const struct machine_state *state)
{
    if (cpu->profile_next != UINT64_MAX) {
        profile_interrupt_due(cpu, state);
    }
}

/* In kernel code, when the current thread is about to go on in wasm code, or leaves it for good: take the samples that
 * interrupts asked for. `position` is where it left its wasm code. */
void profile_sample_due(struct thread *thread, enum guest_position position);
static inline void profile_sample(struct thread *thread, enum guest_position position)
{
    if (thread->profile_samples) {
        profile_sample_due(thread, position);
    }
}

/* Around kernel code of the current thread that is to be told apart. Gives what the end wants. */
static inline uint32_t profile_phase_begin(enum profile_phase phase)
{
    struct thread *thread = thread_current();
    uint32_t outer = thread->profile_phase;
    thread->profile_phase = phase;
    return outer;
}
static inline void profile_phase_end(uint32_t outer)
{
    thread_current()->profile_phase = outer;
}

/* Around the time in which a CPU does nothing: it does not count. */
void profile_idle_begin(struct cpu *cpu);
void profile_idle_end(struct cpu *cpu);

#endif
