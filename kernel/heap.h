/* The kernel heap: memory for kernel objects.
 *
 * Small blocks come from slabs of one size class; a slab whose last block is freed goes back to the platform (one of
 * each class is kept). Large ones are platform ranges of their own. With locks held below rank HEAP_CACHE; never at
 * interrupt time. A platform may bring a file of its own in place of heap.c (a
 * checking allocator). */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/allocator.h"

/* `bytes` bytes aligned to 16, not zeroed, or NULL. 0 bytes are a block too. */
void *kernel_allocate(size_t bytes);
/* The same, zeroed. */
void *kernel_allocate_zeroed(size_t bytes);
/* `bytes` as given to kernel_allocate. NULL is allowed. */
void kernel_free(void *memory, size_t bytes);
/* A terminated copy of a text; free it with length + 1 bytes. */
char *kernel_copy_text(const char *text);

struct heap_statistics {
    uint64_t blocks;         /* allocated and not freed */
    uint64_t bytes;          /* in them, rounded up to their size class */
    uint64_t bytes_platform; /* committed for them */
};
void kernel_heap_statistics(struct heap_statistics *statistics);

/* Give back what is only kept to be quick; done before counting. */
void kernel_heap_trim(void);

/* The heap as the engine's allocator. */
extern const struct engine_allocator kernel_engine_allocator;

#endif
