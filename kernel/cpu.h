/* The CPUs' records, and threads: what the scheduler works on.
 *
 * A thread is on one CPU at a time and its stack is never in use twice: what becomes of a thread that is left (it is
 * queued, falls asleep, is dead) is done by the one that runs next, on its own stack (scheduler_switched). What an
 * interrupt may touch while kernel code runs is said at the member. After anything that switches threads,
 * platform_cpu() may be another. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/x64/abi.h"
#include "kernel/lock.h"
#include "kernel/place.h"
#include "kernel/platform.h"
#include "kernel/process.h"
#include "kernel/queue.h"
#include "kernel/sanitizer.h"
#include "kernel/statistics.h"
#include "kernel/thread.h"

#define WASM_STACK_BYTES       (UINT64_C(8) << 20) /* committed on touch */
#define TIME_SLICE_NANOSECONDS UINT64_C(10000000)
/* A thread that waits longer for its CPU while another one is idle, goes there. */
#define BALANCE_NANOSECONDS UINT64_C(100000)
/* A CPU that works is interrupted for deadlines of threads without high priority once in this time: they are many if somebody wants to keep others from
 * working. An idle one looks at once. */
#define EXPIRY_GAP_NANOSECONDS UINT64_C(500000)
/* A further CPU is started when somebody waited that long for one that is busy. */
#define START_NANOSECONDS UINT64_C(1000000)
/* When the timer comes while kernel code runs, it comes again after this time: a note that was made a moment before
 * wasm code goes on is then seen all the same. */
#define TIMER_RETRY_NANOSECONDS UINT64_C(200000)

/* Where a thread left its wasm code: at thread.interrupted, or in the host function that it called. */
enum guest_position { GUEST_INTERRUPTED, GUEST_IN_HOST };

/* THREAD_ENDING: its stack may still be in use. */
enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_ENDING, THREAD_DEAD };
/* Of one wait: sleep.c. The last three: it is over, and why. */
enum wait_state { WAIT_NONE, WAIT_BEGUN, WAIT_LEAVES, WAIT_ASLEEP, WAIT_OVER_WOKEN, WAIT_OVER_TIME, WAIT_OVER_END };
/* Of a CPU's idle thread: does not run, looks for work, polls for some, sleeps. */
enum idle_state { IDLE_NONE, IDLE_LOOKS, IDLE_POLLS, IDLE_SLEEPS };
/* Bits of thread_area.pending. */
enum {
    PENDING_NOTE = 1,
    PENDING_LOCKED = 2,   /* it holds the kernel lock of its process */
    PENDING_SUSPENDED = 4 /* no wasm code until it is gone: thread_object.c */
};

/* One call from kernel code into wasm, or into kernel code that may end as wasm does; on the kernel stack of the
 * caller. */
struct activation {
    struct activation *outer;
    struct process *process; /* that runs in it */
    struct process *outer_process;
    uint64_t outer_gs_base; /* of the instance that called the host function that makes this call; 0: none */
    uint32_t outer_host_function;
    bool without_gs;           /* it runs kernel code, and GS is nobody's */
    uint64_t service_deadline; /* of its calls to services; 0: none */
    /* What a host function for services holds, for when a fault in its memory ends the guest there (service_abandon):
     * buffers of messages, and who serves. NULL: nothing. */
    void *service_buffers[2];
    struct server *server;
};

struct thread {
    struct thread_area area;          /* what compiled code sees; first, so that its address is the thread's */
    struct machine_state interrupted; /* of wasm code, by the timer or a trap */
    void *extended_state;             /* its xsave area, 64-byte aligned */
    uint64_t saved_rsp;               /* of the kernel stack, while not running (kernel/hand_over.h) */
    uint64_t saved_gs_base;           /* the same; 0: not in wasm */

    uint32_t id;            /* of no other thread; 0: the one of the boot */
    uint32_t state;         /* enum thread_state; atomic */
    struct process *shares; /* that it shares with other threads (kernel/process_lock.h); NULL: none */
    struct process *member; /* whose further thread it is, from before it runs; NULL: none's */
    uint32_t number;        /* as such, for messages */
    struct object *object;  /* thread_object.c: a reference; NULL: it has none. The thread's own */
    uint32_t end_request;   /* enum trap: it alone is to end; atomic */
    bool ends_later;        /* but not yet */
    struct activation *activation;
    struct spinlock lock; /* rank THREAD: for changing `process`, and from ENDING to DEAD */
    /* Of the innermost activation, or whose end ends this thread's wait; NULL: kernel's own. Changed by the thread
     * itself (thread_set_process), with the lock. */
    struct process *process;
    struct thread *process_next, *process_previous; /* of those with this process; its threads_lock */
    struct thread *joiner;                          /* the lock */

    /* Waiting: sleep.c. */
    uint32_t wait;           /* enum wait_state; atomic */
    bool wait_ends;          /* the wait is over too when its guest is to end */
    uint64_t deadline;       /* of the wait, once it sleeps; of the last one, if it does not; atomic */
    bool timer_queued;       /* these three: timer_cpu's timers_lock, and on that CPU */
    struct queue_node timer; /* by a time that is not after the deadline */
    struct cpu *timer_cpu;   /* where it was queued last; the thread's own */
    enum stream wait_stream; /* in the list of stream waiters; streams_lock */
    struct thread *stream_next;
    struct thread *mutex_next;  /* in the queue of a mutex, by that one's lock */
    bool mutex_waits;           /* in such a queue; the same lock */
    struct mutex *held_mutexes; /* by held_next; the thread's own */

    /* Scheduling: scheduler_queue.c. The thread's own while it runs, else its CPU's queue_lock's. */
    struct queue_node ready;  /* in the CPU's queue, by virtual time */
    struct cpu *cpu;          /* on which it runs, waits to run, or ran last; atomic */
    uint64_t virtual_time;    /* its place in the queue; without a process also its clock: scheduler_queue.c */
    uint64_t run_time;        /* nanoseconds; atomic */
    uint64_t handed_ticks;    /* that it ran before it handed its CPU over, and is not charged for yet; atomic */
    uint64_t affinity;        /* CPUs that it may run on */
    uint32_t priority;        /* enum thread_priority; others may set it */
    uint32_t own_priority;    /* without what others lent it */
    uint32_t queued_priority; /* in whose queue it is */
    struct cpu *queued_on;    /* that CPU's queue_lock; NULL: in none */
    bool queued_movable;      /* counted in movable_count */
    bool counted;             /* in process->runnable */
    bool lends;               /* it sleeps, and its share is used by the one that it handed the CPU to */

    /* In memory.atomic.wait: futex.c. By the memory's waiting_lock. */
    struct memory_object *futex_memory; /* in whose queue it is; NULL: none */
    struct thread *futex_next;
    uint64_t futex_address;
    bool futex_woken;

    /* A call that it received and has to answer: port.c. */
    struct port *call_port;                   /* a reference; the thread's own */
    const struct activation *call_activation; /* whose guest received it */
    struct call *call;                        /* NULL: the caller is gone. The port's lock */

    struct message *dropped_messages; /* to be destroyed by the channel.c that is at it further out */
    bool drops_messages;
    bool ends_programs;
    struct program *ended_programs; /* likewise, of program.c */
    struct message *held_message; /* message_hold */

    /* What kernel_exception gives to the trap entry. */
    enum trap trap;
    const char *trap_detail;
    enum guest_position trap_position;

    struct thread_counters counters; /* for `process`; its own, others read them */
    uint32_t profile_samples;        /* to be taken (kernel/profile.h); counted at interrupt time */
    uint32_t profile_phase;          /* enum profile_phase: what kernel code does in this thread */

    void (*entry)(void *argument);
    void *argument;
    bool detached;              /* nobody joins it */
    void *kernel_stack;         /* lowest address; NULL: the boot thread's, which is the platform's */
    uint8_t *large_stack;       /* where an inner call runs; NULL: there is none */
    uint64_t small_stack_rsp;   /* then: from here on the kernel stack is in use */
    struct place *wasm_stack;   /* from the first call on */
    void *scratch;              /* thread_scratch */
    size_t scratch_bytes;
    void *extended_state_block; /* as allocated; NULL: beside the header of its stack's place */
    struct sanitizer_fiber fiber;
};

struct cpu {
    struct thread *current;     /* read at interrupt time */
    struct thread *previous;    /* that was left for it, until scheduler_switched has dealt with it */
    bool settles;               /* in scheduler_switched: no preemption point */
    struct thread *idle_thread; /* never queued */
    uint32_t number;
    bool idle;  /* in platform_idle, or about to be; read at interrupt time */
    bool noted; /* an interrupt came, and the scheduler has not looked at what it meant; set at interrupt time */
    uint32_t idle_state;       /* enum idle_state: scheduler_cpus.c; atomic */
    uint32_t early_wakes;      /* how many times in a row it was woken soon after it fell asleep */
    uint32_t polls_ended;      /* how many times something came while it polled; others read it, atomically */
    uint32_t poll_after;       /* as many of them, and it polls before it sleeps; 0: as few as possible */
    uint64_t timer_armed;      /* what platform_timer_arm was given last; changed at interrupt time */
    uint64_t profile_next;     /* monotonic time of the next sample, UINT64_MAX: none; changed at interrupt time */
    uint64_t profile_rest;     /* while the CPU idles: how long it was until then */
    uint32_t switches;         /* of threads */
    uint32_t switches_seen;    /* at the last look for threads that others may run */
    uint64_t virtual_start;    /* the clock of `current` at run_start; others read both */
    uint64_t run_start;        /* monotonic; when `current` was switched to */
    bool handed_over;          /* since run_start: from one thread to another; others read it, and run_ticks */
    uint64_t run_ticks;        /* then: time-stamp counter when `current` got the CPU */
    uint64_t handed_ticks;     /* and at run_start */
    uint64_t slice_end;        /* monotonic; when others wait for this CPU */
    uint32_t running_priority; /* of `current`; others read it */
    uint32_t text_lookups;     /* how many look-ups in the text map are under way; changed at interrupt time */

    struct spinlock queue_lock; /* rank RUN_QUEUE; for the next four, which others read without it */
    struct queue ready[PRIORITY_COUNT];
    uint32_t ready_count;
    uint32_t movable_count; /* of these, those that may run on another CPU */
    uint64_t virtual_time;  /* of whom it ran last: those that come are not far behind it */

    struct spinlock timers_lock; /* rank TIMERS; for the next two. Its own threads read theirs without */
    struct queue timers;         /* threads that sleep until a deadline, or did: sleep.c */
    uint64_t next_deadline;      /* of these; UINT64_MAX: none. Others read it without the lock */
    uint64_t expired_time;       /* when it last woke one of them of no high priority; its own */
    bool next_urgent;            /* the next one is of high priority: others read it */

    struct thread boot_thread; /* CPU 0: the context that cpu_initialize found; else unused */
#if KERNEL_CHECKS
    uint32_t held_count; /* locks that are held, for lock.c */
    const struct spinlock *held[8];
#endif
};

/* Make the calling context the boot CPU's first thread, with its stack as that thread's kernel stack: once, after the
 * platform is ready and before any other function of the kernel. kernel_main does it itself. */
void cpu_initialize(void);
static inline struct thread *thread_current(void)
{
    return platform_cpu()->current;
}
/* A wasm stack for this thread, if it has none yet: that of the place where it is going to run, if it is the process's
 * own thread and nobody else uses it, or else one of its own. */
enum status thread_prepare(struct thread *thread, struct process *process, struct place *place);
/* Is this address in it, above its guard, or in the payload of exceptions above it? */
bool thread_stack_contains(const struct thread *thread, uint64_t address);
/* Run kernel code for a process while the thread runs no guest: when the platform has no frame for the guest's memory,
 * or the process is to end at a checkpoint, this ends, and what it held stays as it is. Returns the trap, and its
 * report. */
enum trap run_for_process(struct process *process, void (*function)(void *argument), void *argument);
/* GS base of the instance that runs, or that called the running host function; only inside an activation. */
static inline uint64_t running_gs_base(void)
{
    uint64_t base;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(base) : "i"(HEADER_OFFSET(gs_base)));
    return base;
}
/* thread_current, where that works. */
static inline struct thread *running_thread(void)
{
    struct thread *thread;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(thread) : "i"(HEADER_OFFSET(thread)));
    return thread;
}

/* Must the guest that runs on this thread end: asked for, or past its time limit? And with which trap? */
bool thread_end_is_due(const struct thread *thread);
enum trap thread_end_trap(const struct thread *thread);
/* TRAP_NONE, or what this thread alone is to end with. */
static inline enum trap thread_end_request(const struct thread *thread)
{
    return (enum trap)__atomic_load_n(&thread->end_request, __ATOMIC_RELAXED);
}
/* Put off an end that is asked of this thread alone, until it is called with false. */
void thread_end_later(bool later);
/* Something is pending for a thread whose end the caller's lock prevents: if it runs, it looks now. And: the same, and
 * its wait is over if its guest is to end. */
void thread_interrupt(struct thread *thread);
void thread_notice(struct thread *thread);
/* End it if it is due. */
void thread_end_if_due(enum guest_position position);
/* The thread runs for this process from now on (NULL: for none): the current thread, or one that does not run yet. */
void thread_set_process(struct thread *thread, struct process *process);
/* A thread that is not queued yet, or NULL. */
struct thread *thread_create(void (*entry)(void *argument), void *argument);
/* As thread_start, for certain CPUs (thread_set_affinity), on the share of a process (NULL: the kernel's) whose member it
 * is. */
enum status thread_start_on(uint64_t cpus, struct process *member, void (*entry)(void *argument), void *argument,
                            struct thread **result);
void thread_destroy(struct thread *thread); /* one that is dead, or never ran */
/* It was left for the last time. */
void thread_died(struct thread *thread);
void thread_interruption_initialize(void); /* interrupt.c */

/* ---- scheduler.c, scheduler_queue.c, scheduler_cpus.c ---- */
extern struct cpu *kernel_cpus[PLATFORM_CPUS_MAXIMUM]; /* those that were started; NULL behind them; atomic */
/* For those who go through all of them: that CPU, which may be starting; NULL: it is none yet, and will see what was
 * stored sequentially consistent before. */
static inline struct cpu *cpu_if_started(uint32_t number)
{
    return number < PLATFORM_CPUS_MAXIMUM ? __atomic_load_n(&kernel_cpus[number], __ATOMIC_SEQ_CST) : (struct cpu *)0;
}
void scheduler_initialize_cpu(struct cpu *cpu, uint32_t number);
void scheduler_start_idle_thread(void); /* of CPU 0 */
/* Give the CPU away for good (THREAD_ENDING), or until the wait is over that has begun. */
void scheduler_block(enum thread_state state);
/* The thread can run, or cannot: for its process's share. The thread itself, or who has it in hand while it does not
 * run. */
void scheduler_count_runnable(struct thread *thread, bool runnable);
/* Around a change of the current thread's process: the time that it ran until now is the old one's. What the first one
 * returns is where a process that is new to this CPU begins, and the thread when it has none any more. */
uint64_t scheduler_leave_share(void);
void scheduler_enter_share(uint64_t time);
/* Ticks of the time-stamp counter, which is quicker to read than the clock, in nanoseconds: about. */
uint64_t scheduler_tick_time(uint64_t ticks);
void scheduler_note_first_hand_over(struct cpu *cpu);
/* The current thread, `thread`, hands its CPU over: what it ran until now is noted. */
static inline void scheduler_note_hand_over(struct cpu *cpu, struct thread *thread)
{
    if (!cpu->handed_over) {
        scheduler_note_first_hand_over(cpu);
        return;
    }
    uint64_t now = __builtin_ia32_rdtsc();
    __atomic_store_n(&thread->handed_ticks, thread->handed_ticks + (now - cpu->run_ticks), __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->run_ticks, now, __ATOMIC_RELAXED);
}
/* Queue a thread that slept, or is new. */
void scheduler_make_ready(struct thread *thread);
/* May the current thread be on this CPU? If not: go to one where it may. */
bool scheduler_may_stay(void);
void scheduler_move(void);
/* What is pending for the current thread, but for the end of a host call. */
void scheduler_handle_pending(enum guest_position position);
/* What is to be done for the one that was left: first thing after each switch, on the stack of the one that runs now.
 */
void scheduler_switched(void);
/* Give the CPU to a thread that was claimed (thread_claim), and sleep, as scheduler_block(THREAD_WAITING); that one
 * goes on in the rest of this thread's time slice (kernel/hand_over.h). */
void scheduler_hand_over(struct thread *next);
/* Run with this priority if the own one is lower; back to the own one. It counts at once, in a queue as well. */
void scheduler_lend_priority(struct thread *thread, uint32_t priority);
static inline void scheduler_return_priority(struct thread *thread)
{
    __atomic_store_n(&thread->priority, thread->own_priority, __ATOMIC_RELAXED);
}
/* Arm the timer for what comes next on this CPU: end of slice, end of a wait, time limit. */
void scheduler_arm_timer(void);
/* Somebody asked for the foreground process to end: allowed at interrupt time. The second does what was asked for, in
 * kernel code that holds no lock. */
void scheduler_note_interrupt_request(void);
void scheduler_serve_interrupt_request(void);
/* In long kernel code that cannot give way: what interrupts of this CPU meant for others is done. */
void scheduler_serve(void);

/* ---- sleep.c ---- */
/* A thread that was left in a wait: false when the wait is over already, else it sleeps. */
bool sleep_begin(struct thread *thread);
/* As thread_wake, saying why. */
bool sleep_end(struct thread *thread, enum wait_state why);
/* Take the sleep of a thread into one's hands: true when it sleeps (or is about to: then this waits until it does);
 * from then on nobody else wakes it, whatever happens, until it is resumed (scheduler_make_ready,
 * thread_wait_hand_over), which counts as woken, or put back. Under the lock that keeps it in a queue; that lock, or
 * one that it takes before it sleeps, must not be what it still waits for. */
bool thread_claim(struct thread *thread);
/* Let it sleep on. `deadline` is that of its wait; what came meanwhile ends the wait now. */
void thread_unclaim(struct thread *thread, uint64_t deadline);
/* thread_wait_hand_over (kernel/hand_over.h), whatever has to be looked at on the way. */
enum wait_result sleep_hand_over(struct thread *next, uint64_t deadline);
/* The wait of the current thread is over: why. */
enum wait_result sleep_result(struct thread *thread);
/* A thread is about to end. */
void sleep_forget_timer(struct thread *thread);
/* Wake those of this CPU whose time has come, and those whose streams are ready. */
void sleep_expire(struct cpu *cpu);
/* Does anybody wait for a stream? */
bool sleep_awaits_streams(void);
/* The same as thread_wait_finish, but the end of the guest does not end the wait. */
enum wait_result sleep_finish_always(uint64_t deadline);
/* And the kernel lock of the process, if it is held, stays so. */
void sleep_finish_locked(void);

/* What is pending, before wasm code goes on: called by the host-call stubs and by the preemption entry. */
void thread_pending_in_host_call(void);
void thread_pending_interrupted(void);

/* ---- trap.c ---- */
/* End the innermost activation of the current thread: note what happened with a backtrace, and let its wasm_enter
 * return. `detail` may be NULL. */
_Noreturn void thread_end_guest(enum trap trap, const char *detail, enum guest_position position);
/* A guest's function that a host function called (function_call) ended with this trap: so does who called the host
 * function, with the report that there is. */
_Noreturn void thread_pass_trap_on(enum trap trap);

#endif
