/* Copying between the linear memories of two guests, or between one and the kernel, where a page may turn out to have
 * no frame or to be gone: unlike any other access of kernel code, this one comes back and says where it stopped. So it
 * may be done with locks held and in the name of a process that does not run. */
#ifndef KERNEL_GUEST_COPY_H
#define KERNEL_GUEST_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/platform.h"

/* Copy upwards, from the lowest byte on (ranges that overlap get what that makes of them). Returns 0, or the address
 * that could not be accessed; what lies before it may have been copied. */
uint64_t guest_copy(void *to, const void *from, size_t bytes);

/* For kernel_exception: a page fault at `address`; true when it was guest_copy's, and `state` lets that return. */
bool guest_copy_faulted(struct machine_state *state, uint64_t address);

#endif
