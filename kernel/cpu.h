/* The running CPU's record, and threads: what the scheduler works on.
 *
 * Everything here belongs to one CPU and is touched by its kernel code only, which is not preempted; what an interrupt
 * may touch while kernel code runs is said at the member. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/x64/abi.h"
#include "kernel/lock.h"
#include "kernel/platform.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define KERNEL_STACK_BYTES     (UINT64_C(128) << 10) /* of each thread, plus a page of guard below */
#define WASM_STACK_BYTES       (UINT64_C(8) << 20)   /* committed on touch */
#define TIME_SLICE_NANOSECONDS UINT64_C(10000000)
/* When the timer comes while kernel code runs, it comes again after this time: a note that was made a moment before
 * wasm code goes on is then seen all the same. */
#define TIMER_RETRY_NANOSECONDS UINT64_C(200000)

/* Where a thread left its wasm code: at thread.interrupted, or in the host function that it called. */
enum guest_position { GUEST_INTERRUPTED, GUEST_IN_HOST };

enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_DEAD };

/* One call from kernel code into wasm; on the kernel stack of the caller. */
struct activation {
    struct activation *outer;
    struct process *process; /* that runs in it */
    struct process *outer_process;
    uint64_t outer_gs_base; /* of the instance that called the host function that makes this call; 0: none */
    uint32_t outer_host_function;
};

struct thread {
    struct thread_area area;          /* what compiled code sees; first, so that its address is the thread's */
    struct machine_state interrupted; /* of wasm code, by the timer or a trap */
    void *extended_state;             /* its xsave area, 64-byte aligned */
    uint64_t saved_rsp;               /* of the kernel stack, while not running */
    uint64_t saved_gs_base;           /* the same; 0: not in wasm */

    enum thread_state state;
    struct process *member;  /* whose further thread it is; NULL: none's */
    uint32_t number;         /* as such, for messages */
    struct thread *next; /* in the queue of its state */
    struct activation *activation;
    struct process *process; /* of the innermost activation, or whose end ends this thread's wait; NULL: kernel's own */

    /* THREAD_WAITING: ready when one of these holds. */
    uint64_t wait_deadline;
    enum stream wait_stream;    /* STREAM_COUNT: none */
    struct thread *wait_thread; /* for its death; NULL: none */
    bool wait_ends;             /* ready too when its guest is to end */

    /* In memory.atomic.wait. The thread leaves the memory's queue when it is woken, or else when its wait is over. */
    struct memory_object *futex_memory; /* in whose queue it is; NULL: none */
    struct thread *futex_next;
    uint64_t futex_address;
    bool futex_woken;

    /* What kernel_exception gives to the trap entry. */
    enum trap trap;
    const char *trap_detail;
    enum guest_position trap_position;

    uint32_t profile_samples; /* to be taken (kernel/profile.h); counted at interrupt time */
    uint32_t profile_phase;   /* enum profile_phase: what kernel code does in this thread */

    void (*entry)(void *argument);
    void *argument;
    void *kernel_stack;         /* reservation; NULL: the boot thread's, which is the platform's */
    void *wasm_stack;           /* reservation, from the first call on */
    void *extended_state_block; /* as allocated */
};

struct cpu {
    struct thread *current; /* read at interrupt time */
    struct thread *ready_first, *ready_last;
    struct thread *waiting;
    uint64_t slice_end;   /* monotonic; when others wait for this CPU */
    uint64_t timer_armed; /* what platform_timer_arm was given last; changed at interrupt time */
    uint64_t profile_next; /* monotonic time of the next sample, UINT64_MAX: none; changed at interrupt time */
    bool idle;            /* in platform_idle; read at interrupt time */
    struct thread boot_thread;
    uint32_t held_count; /* locks that are held, for lock.c */
    const struct spinlock *held[8];
};

/* Make the calling context the boot CPU's first thread, with its stack as that thread's kernel stack: once, after the
 * platform is ready and before any other function of the kernel. kernel_main does it itself. */
void cpu_initialize(void);
static inline struct thread *thread_current(void)
{
    return platform_cpu()->current;
}
/* A wasm stack for this thread, if it has none yet. */
enum status thread_prepare(struct thread *thread);
/* Around each wasm_enter: who runs, and, at the end, GS as it was. */
void activation_begin(struct activation *activation, struct thread *thread, struct process *process);
void activation_end(struct activation *activation, struct thread *thread);
/* GS base of the instance that runs, or that called the running host function; only inside an activation. */
static inline uint64_t running_gs_base(void)
{
    uint64_t base;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(base) : "i"(HEADER_OFFSET(gs_base)));
    return base;
}

/* Must the guest that runs on this thread end: asked for, or past its time limit? And with which trap? */
bool thread_end_is_due(const struct thread *thread);
enum trap thread_end_trap(const struct thread *thread);
/* End it if it is due. */
void thread_end_if_due(enum guest_position position);
/* For the scheduler: leave the current thread, whose state is set, for another one. */
void thread_switch_to(struct thread *next);
void thread_interruption_initialize(void); /* interrupt.c */

/* ---- scheduler.c ---- */
/* Give the CPU away until the current thread, whose state is set, is chosen again. */
void schedule(void);
void scheduler_make_ready(struct thread *thread);
/* End the wait of a thread that is THREAD_WAITING. */
void scheduler_wake(struct thread *thread);
/* Arm the timer for what comes next on this CPU: end of slice, end of a wait, time limit. */
void scheduler_arm_timer(void);
/* What is pending, before wasm code goes on: called by the host-call stubs and by the preemption entry. */
void thread_pending_in_host_call(void);
void thread_pending_interrupted(void);

/* ---- futex.c ---- */
/* Out of the queue that it is in, if any. */
void futex_leave(struct thread *thread);

/* ---- trap.c ---- */
/* End the innermost activation of the current thread: note what happened with a backtrace, and let its wasm_enter
 * return. `detail` may be NULL. */
_Noreturn void thread_end_guest(enum trap trap, const char *detail, enum guest_position position);

#endif
