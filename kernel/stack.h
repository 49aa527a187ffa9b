/* Kernel stacks. Every thread has a small one, whose pages are committed: kernel code never meets a page without a
 * frame there. What needs more than it is known for (compiling; guests that host functions call) runs on a large one,
 * which is the thread's for that long. Below each stack lies a guard page.
 *
 * Stacks that are given back are kept for the next ones. */
#ifndef KERNEL_STACK_H
#define KERNEL_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/lock.h"

/* Enough for any host call, with what it calls; docs/kernel.md tells what was measured. AddressSanitizer needs far
 * more. */
#if KERNEL_CHECKS
#define KERNEL_STACK_BYTES ((size_t)128 << 10)
#else
#define KERNEL_STACK_BYTES ((size_t)16 << 10)
#endif
#define KERNEL_LARGE_STACK_BYTES ((size_t)128 << 10)

/* Lowest usable address of a small stack, or NULL. */
void *kernel_stack_take(void);
void kernel_stack_give(void *stack);

/* Call function(argument, lowest address of the stack) on a large stack. False: there is no memory for one, and it was not
 * called. */
bool kernel_stack_call_large(void (*function)(void *argument, void *stack), void *argument);

/* Give back to the platform what is only kept. */
void kernel_stacks_trim(void);

#endif
