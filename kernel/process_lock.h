/* The kernel lock of a process with several threads. A thread of such a process that is in the kernel holds it, but
 * where it waits or gives way: so between two waits nothing else of the process runs in the kernel, as for a process
 * with one thread, which has no lock and pays one comparison for that in a host call. Guest code runs without it, on
 * all CPUs.
 *
 * thread.shares names the process that a thread shares with others; NULL: with none, and all of this does nothing. */
#ifndef KERNEL_PROCESS_LOCK_H
#define KERNEL_PROCESS_LOCK_H

#include <stdbool.h>

struct process;

/* The process, whose only thread so far is the current one, is about to get another one. And: the current thread,
 * which runs no guest, is the only one again, or leaves it. */
void process_share(struct process *process);
void process_unshare(void);

/* Take the lock unless it is held, and be on a CPU where the process may be: from here on the current thread is in the
 * kernel. Called by the host-call stub; the stub gives it back, as do the next two. */
void process_lock_enter(void);
/* Guest code runs from here on. */
void process_lock_leave(void);
/* Around a wait: leave, saying whether it was held, and enter again if it was. */
bool process_lock_pause(void);
void process_lock_resume(bool held);

/* Keep the threads of the process on this CPU from now on: what they have in common cannot be shared between CPUs (the
 * collected heap). None of them runs elsewhere when it is next in the kernel. */
void process_keep_together(struct process *process);

#endif
