/* Threads as host functions and the kernel's own code see them: waiting, and starting threads of the kernel.
 *
 * Kernel code is not preempted: it gives the CPU away in the functions below and nowhere else. A wait by a process that
 * is to end (time limit, interrupt) does not return to its caller: the guest ends there. So nothing that needs undoing
 * may be held across a wait or a checkpoint. */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"
#include "kernel/status.h"

struct thread;

/* Let other threads run that can. */
void thread_yield(void);
/* Wait until this monotonic time (nanoseconds; UINT64_MAX: for ever). */
void thread_sleep_until(uint64_t deadline);
/* Wait until the stream is ready (platform_stream_readable), at the latest until `deadline`. True: ready. */
bool thread_wait_stream(enum stream stream, uint64_t deadline);
/* In long loops of host functions, every megabyte or millisecond: lets others run if the time slice is over, and ends
 * the guest if its process is to end. */
void thread_checkpoint(void);

/* Start `entry(argument)` on a thread of its own, which ends when the function returns. */
enum status thread_start(void (*entry)(void *argument), void *argument, struct thread **result);
/* Wait for its end and free it. Returns also to a guest whose process is to end. */
void thread_join(struct thread *thread);

#endif
