/* The running CPU's record, and threads: what the scheduler works on.
 *
 * Everything here belongs to one CPU and is touched by its kernel code only, which is not preempted; what an interrupt
 * may touch while kernel code runs is said at the member. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/x64/abi.h"
#include "kernel/platform.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define KERNEL_STACK_BYTES (UINT64_C(128) << 10) /* of each thread, plus a page of guard below */
#define WASM_STACK_BYTES (UINT64_C(8) << 20)     /* committed on touch */
#define TIME_SLICE_NANOSECONDS UINT64_C(10000000)
/* When the timer comes while kernel code runs, it comes again after this time: a note that was made a moment before
 * wasm code goes on is then seen all the same. */
#define TIMER_RETRY_NANOSECONDS UINT64_C(200000)

enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_DEAD };

/* One call from kernel code into wasm; on the kernel stack of the caller. */
struct activation {
    struct activation *outer;
    struct process *process; /* that runs in it */
    uint64_t outer_wasm_rsp; /* the outer activation's wasm code: where it called the host */
    uint64_t outer_gs_base;
    uint32_t outer_host_function;
};

struct thread {
    struct thread_area area;          /* what compiled code sees; first, so that its address is the thread's */
    struct machine_state interrupted; /* of wasm code, by the timer or a trap */
    void *extended_state;             /* its xsave area, 64-byte aligned */
    uint64_t saved_rsp;               /* of the kernel stack, while not running */
    uint64_t saved_gs_base;           /* the same; 0: not in wasm */

    enum thread_state state;
    struct thread *next; /* in the queue of its state */
    struct activation *activation;
    struct process *process; /* of the innermost activation, or whose end ends this thread's wait; NULL: kernel's own */

    /* THREAD_WAITING: ready when one of these holds. */
    uint64_t wait_deadline;
    enum stream wait_stream; /* STREAM_COUNT: none */
    struct thread *wait_thread; /* for its death; NULL: none */

    enum trap trap; /* given to the trap entry by kernel_exception */
    void (*entry)(void *argument);
    void *argument;
    void *kernel_stack; /* reservation; NULL: the boot thread's, which is the platform's */
    void *wasm_stack;   /* reservation, from the first call on */
    void *extended_state_block; /* as allocated */
};

struct cpu {
    struct thread *current; /* read at interrupt time */
    struct thread *ready_first, *ready_last;
    struct thread *waiting;
    uint64_t slice_end;       /* monotonic; when others wait for this CPU */
    uint64_t timer_armed;     /* what platform_timer_arm was given last; changed at interrupt time */
    struct thread boot_thread;
};

/* Before anything else of the kernel: make the calling context the boot CPU's first thread. */
void cpu_initialize(void);
static inline struct thread *thread_current(void)
{
    return platform_cpu()->current;
}
/* A wasm stack for this thread, if it has none yet. */
enum status thread_prepare(struct thread *thread);
/* Address and size of the guard below the wasm stack and of the stack: is it a stack overflow? */
bool thread_stack_guard_hit(const struct thread *thread, uint64_t address);

/* ---- scheduler.c ---- */
/* Give the CPU away until the current thread, whose state is set, is chosen again. */
void schedule(void);
void scheduler_make_ready(struct thread *thread);
/* Arm the timer for what comes next on this CPU: end of slice, end of a wait, time limit. */
void scheduler_arm_timer(void);
/* Called by the host-call stubs when `pending` is set, and by the preemption entry. */
void thread_handle_pending(void);

/* ---- trap.c ---- */
/* End the innermost activation of the current thread: backtrace, then wasm_leave. */
_Noreturn void thread_end_guest(enum trap trap, const char *detail, bool in_host_function);

#endif
