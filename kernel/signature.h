/* Canonical numbers of function types, one space for the whole kernel: two types are equal exactly when their numbers
 * are, so that compiled code compares types across modules with one instruction. Counted references: a number is used
 * again only after everyone who had it gave it back. */
#ifndef KERNEL_SIGNATURE_H
#define KERNEL_SIGNATURE_H

#include <stdint.h>

#include "engine/types.h"

/* The number of `type` (which is copied) and a reference to it; 0, which no type has, when there is no memory. Only
 * types made of numbers and abstract references: a concrete reference type means nothing outside of its module. */
uint32_t signature_acquire(const struct function_type *type);
void signature_release(uint32_t number); /* 0 is allowed */
/* Valid while somebody holds the number. */
const struct function_type *signature_type(uint32_t number);
/* How many numbers are in use, for leak checks. */
uint32_t signature_count(void);

#endif
