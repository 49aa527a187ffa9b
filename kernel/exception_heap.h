/* Exceptions that guests refer to (kernel/exceptions.h): objects of the process's collected heap. */
#ifndef KERNEL_EXCEPTION_HEAP_H
#define KERNEL_EXCEPTION_HEAP_H

#include <stdint.h>

struct process;
struct tag_object;

/* A new exception with a copy of the values that its tag's type tells (16 bytes each): its reference, or 0 when there is
 * no room. Called on the kernel stack of a thread that runs the process; references among the values are safe while they
 * are in that thread's payload or in another exception. */
uint32_t exception_heap_add(struct process *process, const struct tag_object *tag, const uint64_t (*values)[2]);
/* The values and the tag of an exception that is there. */
const uint64_t (*exception_heap_values(struct process *process, uint32_t reference, const struct tag_object **tag))[2];

#endif
