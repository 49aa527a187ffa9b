/* Kernel stacks. Every thread has a small one, of platform_kernel_stack_bytes(), on which every host call fits: what is
 * large goes to the thread's scratch, and tests/kernel/stack_depth adds up the frames. What needs more than that
 * (compiling; guests that host functions call) runs on a large one, which is the thread's for that long. All pages have
 * their frames from the beginning: a first touch may come in the middle of the platform's giving out frames. Below each
 * stack lies a guard page.
 *
 * Stacks that are given back are kept for the next ones. */
#ifndef KERNEL_STACK_H
#define KERNEL_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/lock.h"

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
