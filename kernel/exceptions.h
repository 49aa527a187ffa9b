/* Exceptions of compiled code (docs/abi.md, Exceptions): what the rest of the kernel needs of them.
 *
 * An exnref is a reference to an object of the process's collected heap (kernel/gc.h); 0 is null. Only exceptions that
 * were caught with a reference are there. */
#ifndef KERNEL_EXCEPTIONS_H
#define KERNEL_EXCEPTIONS_H

#include "engine/x64/abi.h"
#include "kernel/status.h"

#define PAYLOAD_BYTES UINT64_C(16384) /* of a thread; whole pages */
_Static_assert(PAYLOAD_BYTES >= ABI_PAYLOAD_VALUES * ABI_PAYLOAD_VALUE_BYTES, "what a tag may have");

struct process;

/* The identity of a tag (spec 4.2.10); in the process's arena. */
struct tag_object {
    uint32_t signature; /* canonical number of its type */
};
enum status tag_object_create(struct process *process, uint32_t signature, struct tag_object **result);

#endif
