/* Threads as host functions and the kernel's own code see them: waiting, and starting threads of the kernel.
 *
 * Kernel code is not preempted: it gives the CPU away in the functions below and nowhere else. No spinlock is held
 * there (kernel/lock.h). Those marked "ends the guest" do not return to their caller when the guest's process is to end
 * (time limit, interrupt, kill): so nothing that needs undoing may be held across them. */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"
#include "kernel/status.h"

struct thread;

/* Let other threads run that can. Ends the guest. */
void thread_yield(void);
/* Wait until this monotonic time (nanoseconds; UINT64_MAX: for ever). Ends the guest. */
void thread_sleep_until(uint64_t deadline);
/* Wait until the stream is ready (platform_stream_readable), at the latest until `deadline`. True: ready. Ends the
 * guest. */
bool thread_wait_stream(enum stream stream, uint64_t deadline);
/* In long loops of host functions, every megabyte or millisecond: lets others run if the time slice is over, and ends
 * the guest. */
void thread_checkpoint(void);
/* In long loops of the kernel's that must be gone through to the end, every ten microseconds or so: lets others run if
 * the time slice is over, or somebody urgent waits. Does not end the guest, which hears of that when the host call
 * returns. No spinlock is held; between thread_wait_begin and _finish it does nothing. The kernel lock of the process is
 * given back meanwhile. */
void thread_preemption_point(void);

/* ---- How anything is waited for ----
 *     thread_wait_begin();
 *     take the lock of what is waited for; already there: give it back and thread_wait_cancel();
 *     else put the current thread into the queue of what is waited for; give the lock back
 *     thread_wait_finish(deadline);
 *     take the lock; leave the queue if still in it; give the lock back
 *     thread_end_if_asked();
 * From thread_wait_begin on a wake counts, so none is lost between the look and the sleep. A thread may be in several
 * queues; who wakes it does so with the lock of the queue held where he found it, and it is woken once. */
enum wait_result { WAIT_WOKEN, WAIT_TIMED_OUT, WAIT_ENDS };

void thread_wait_begin(void);
/* Not to wait after all. A wake that came meanwhile is forgotten. */
void thread_wait_cancel(void);
/* Sleep until somebody wakes this thread (at once if that has happened), until `deadline` (monotonic; UINT64_MAX: none;
 * 0: do not sleep), or until its guest is to end: WAIT_ENDS, and the guest still has to be ended, thread_end_if_asked.
 */
enum wait_result thread_wait_finish(uint64_t deadline);
/* The queue of the machine's streams: a thread in it is woken when its stream can be read. */
void thread_stream_enter(enum stream stream);
void thread_stream_leave(void);
/* End the wait of a thread that is between thread_wait_begin and thread_wait_finish. True: it was this call that did.
 * False: it does not wait, or its wait is over already (the time, another wake). With locks held up to rank STREAMS.
 * The caller knows that the thread lives: its lock keeps it in the queue. */
bool thread_wake(struct thread *thread);
/* End the running guest here if its process is to end. Ends the guest. */
void thread_end_if_asked(void);

/* ---- Threads of the kernel ---- */

/* Start `entry(argument)` on a thread of its own, which ends when the function returns. */
enum status thread_start(void (*entry)(void *argument), void *argument, struct thread **result);
/* The same for one that nobody waits for: it frees itself. */
enum status thread_start_detached(void (*entry)(void *argument), void *argument);
/* Wait for its end and free it. Returns also to a guest whose process is to end; the process of the joined thread is
 * then made to end, too. */
void thread_join(struct thread *thread);

/* ---- What is too large for a kernel stack ----
 * `bytes` for this host call, with arbitrary contents; NULL: no memory. The next call of this function takes them back.
 * They are kept until the thread ends, so nothing needs undoing. */
void *thread_scratch(size_t bytes);

/* ---- Scheduling ---- */

/* Strict: a thread runs only while no thread of a higher priority can on its CPU. Within one, shares are fair. */
enum thread_priority { PRIORITY_BACKGROUND, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_URGENT, PRIORITY_COUNT };
enum thread_priority thread_priority(const struct thread *thread);
void thread_set_priority(struct thread *thread, enum thread_priority priority); /* counts when it is queued next */
/* The CPUs that it may run on, as bits; none that is there: any. It moves when it is queued next; the current thread
 * moves at once. */
void thread_set_affinity(struct thread *thread, uint64_t cpus);

#endif
