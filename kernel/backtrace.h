/* Backtraces: the frames of a thread's guest code, for trap reports and for the profiler. */
#ifndef KERNEL_BACKTRACE_H
#define KERNEL_BACKTRACE_H

#include <stdbool.h>

#include "kernel/cpu.h"
#include "kernel/process.h"

#define BACKTRACE_NAME_BYTES 120

/* False: that is enough. `frame->module` is NULL for a host function or a builtin, whose number is `frame->function`.
 */
typedef bool backtrace_visitor(void *context, const struct trap_frame *frame);

/* Every frame of the thread's activations, from the innermost one outwards. The thread is the current one, and
 * `position` says where it left its wasm code. Not at interrupt time. */
void backtrace_walk(const struct thread *thread, enum guest_position position, backtrace_visitor *visit, void *context);

/* The function's name as its module gives it, cut to BACKTRACE_NAME_BYTES - 1 bytes and with '?' for control
 * characters, or else func[INDEX]. Returns its length. Not for host functions. */
size_t backtrace_function_name(const struct trap_frame *frame, char name[BACKTRACE_NAME_BYTES]);

#endif
