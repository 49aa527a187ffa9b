/* The insides of the scheduler, shared by its three files:
 *
 *     scheduler.c        who runs on this CPU: switching, the timer, what is pending
 *     scheduler_queue.c  whose turn it is: shares, and the queue of each CPU
 *     scheduler_cpus.c   where a thread runs: idle CPUs, waking, stealing, handing off
 *
 * What is inline here is on the way of each switch or wake-up. */
#ifndef KERNEL_SCHEDULER_PARTS_H
#define KERNEL_SCHEDULER_PARTS_H

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"

/* The shortest slice, of a process with a small share. */
#define SLICE_LEAST_NANOSECONDS (TIME_SLICE_NANOSECONDS / 16)

/* ---- CPUs and threads ---- */

extern uint32_t scheduler_started_count; /* of CPUs; those below are in kernel_cpus */
extern uint64_t scheduler_idle_cpus;     /* bits; atomic. A CPU sets its own, who wakes it clears it */

static inline uint64_t cpu_bit(const struct cpu *cpu)
{
    return UINT64_C(1) << cpu->number;
}

static inline uint32_t cpus_started(void)
{
    return __atomic_load_n(&scheduler_started_count, __ATOMIC_ACQUIRE);
}

/* The CPUs that it may run on, of those that run. */
static inline uint64_t allowed_cpus(const struct thread *thread)
{
    uint64_t started = UINT64_MAX >> (64 - cpus_started());
    uint64_t allowed = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED) & started;
    return allowed ? allowed : started;
}

/* ---- Shares and queues: scheduler_queue.c ---- */

/* Whose share of the CPUs it uses; NULL: the kernel's. */
static inline struct process *sharer(const struct thread *thread)
{
    return thread->process ? thread->process : thread->member;
}

/* Its own when the kernel runs; else others may set it too, when it begins or is far behind. Atomic; 0: it has not
 * begun. */
static inline uint64_t *clock_of(struct thread *thread, const struct cpu *cpu)
{
    struct process *process = sharer(thread);
    return process ? &process->virtual_times[cpu->number] : &thread->virtual_time;
}

static inline uint64_t clock_time(struct thread *thread, const struct cpu *cpu)
{
    return __atomic_load_n(clock_of(thread, cpu), __ATOMIC_RELAXED);
}

/* scheduler_count_runnable. */
static inline void count_runnable(struct thread *thread, bool runnable)
{
    if (thread->process && thread->counted != runnable) {
        atomic_add_u32(&thread->process->runnable, runnable ? 1 : -1);
    }
    thread->counted = runnable && thread->process;
}

/* How long a thread may run while others wait: all of a small share at once would be long for those. */
static inline uint64_t slice_of(const struct thread *thread)
{
    const struct process *process = sharer(thread);
    uint32_t weight = process ? __atomic_load_n(&process->weight, __ATOMIC_RELAXED) : 0;
    if (!weight || weight >= PROCESS_WEIGHT) {
        return TIME_SLICE_NANOSECONDS;
    }
    return max_u64(TIME_SLICE_NANOSECONDS * weight / PROCESS_WEIGHT, SLICE_LEAST_NANOSECONDS);
}

/* The same time by both clocks; one that is short says little. */
void scheduler_calibrate(uint64_t time, uint64_t ticks);
/* It ran on this CPU for so long, and for what it was not charged when it handed that over. */
void scheduler_charge(struct thread *thread, const struct cpu *cpu, uint64_t time);

/* The current thread has run until `now`: all the time since it was switched to, or since the CPU was handed to it. */
static inline void scheduler_account(struct cpu *cpu, uint64_t now)
{
    struct thread *thread = cpu->current;
    uint64_t time = now - cpu->run_start;
    if (cpu->handed_over) {
        uint64_t tick = __builtin_ia32_rdtsc();
        scheduler_calibrate(time, tick - cpu->handed_ticks);
        time = min_u64(time, scheduler_tick_time(tick - cpu->run_ticks));
        __atomic_store_n(&cpu->handed_over, false, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&cpu->run_start, now, __ATOMIC_RELAXED);
    if (thread != cpu->idle_thread) {
        scheduler_charge(thread, cpu, time);
        __atomic_store_n(&cpu->virtual_start, clock_time(thread, cpu), __ATOMIC_RELAXED);
    }
}

/* The CPU's virtual time is at least this. */
static inline void advance(struct cpu *cpu, uint64_t virtual_time)
{
    if ((int64_t)(virtual_time - __atomic_load_n(&cpu->virtual_time, __ATOMIC_RELAXED)) > 0) {
        __atomic_store_n(&cpu->virtual_time, virtual_time, __ATOMIC_RELAXED);
    }
}

static inline void move_to(struct thread *thread, struct cpu *cpu)
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

/* Its place in the CPU's queue, now that it comes there. */
void scheduler_place(struct thread *thread, struct cpu *cpu) REQUIRES(cpu->queue_lock);
/* Queue a thread, whose turn comes by its share. Returns how many there were before. */
uint32_t scheduler_queue_put(struct cpu *cpu, struct thread *thread);
/* The next of this CPU's own, taken out; with `than`, only one that is to run before that one. */
struct thread *scheduler_take_next(struct cpu *cpu, struct thread *than, bool yields);
/* The first of a queue that may run on `cpu`, as its own; or NULL. The counts stay right for those who look without the
 * lock, while some are taken out to look behind them. */
struct thread *scheduler_take_movable(struct cpu *from, struct cpu *cpu);

/* ---- Where: scheduler_cpus.c ---- */

/* A thread of the CPU with the longest queue, for this one. */
struct thread *scheduler_steal(struct cpu *cpu);
/* A thread of this CPU's queue may wait for it in vain while another one has nothing to do. Two that hand the CPU to
 * and fro are better off here: one queued thread is waiting only if nothing was switched since the last look. */
void scheduler_balance(struct cpu *cpu);
/* The slice is over: this CPU may have more to do than another one, or be behind it. */
void scheduler_hand_off(struct cpu *cpu);

/* ---- Who runs: scheduler.c ---- */

/* scheduler_arm_timer, when this thread runs on the CPU, the calling one. */
void scheduler_arm_timer_for(struct cpu *cpu, const struct thread *running);
/* What this CPU was interrupted for: sleepers whose time has come, and neighbours that may help. */
void scheduler_serve_notes(struct cpu *cpu);
/* Leave the current thread, whose state is set, for this one. Returns when it runs again, maybe on another CPU. */
void scheduler_switch_to(struct thread *next);

#endif
