/* Numbers of function types: the part of kernel/type_registry.h that host functions and calls need. */
#ifndef KERNEL_SIGNATURE_H
#define KERNEL_SIGNATURE_H

#include <stdint.h>

#include "engine/types.h"

/* The number of `type` (which is copied) and a reference to it; 0, which no type has, when there is no memory. It is the
 * type that a type section defines by a plain function type: final, alone in its group. Only types made of numbers and
 * abstract references: a concrete reference type means nothing outside of its module. */
uint32_t signature_acquire(const struct function_type *type);
void signature_release(uint32_t number); /* 0 is allowed */
/* Valid while somebody holds the number, which may be any function type's. Its value types are kernel-wide. */
const struct function_type *signature_type(uint32_t number);
/* How many numbers are in use, for leak checks. */
uint32_t signature_count(void);

#endif
