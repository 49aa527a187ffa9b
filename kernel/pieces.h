/* Long copies and fills, in pieces with a checkpoint (kernel/thread.h) between them: the guest may end there, or others
 * run. So whoever calls these holds nothing that needs undoing, and keeps an object alive that is being filled. */
#ifndef KERNEL_PIECES_H
#define KERNEL_PIECES_H

#include <stdbool.h>
#include <stdint.h>

static inline bool range_is_inside(uint64_t start, uint64_t count, uint64_t size)
{
    return start <= size && count <= size - start;
}

/* `count` elements of `bytes` (1, 2, 4, 8 or 16) each become copies of `element`, which lies outside of them and does
 * not change meanwhile. */
void fill_elements(void *to, uint32_t bytes, const void *element, uint64_t count);

/* As memmove. */
void move_bytes(void *to, const void *from, uint64_t count);

/* As memcpy and memcmp of the kernel's own memory, with preemption points in between instead of checkpoints: the guest
 * does not end there. */
void copy_in_pieces(void *to, const void *from, uint64_t bytes);
bool equal_in_pieces(const void *a, const void *b, uint64_t bytes);

/* As platform_decommit, with preemption points in between, too. */
void decommit_in_pieces(void *address, uint64_t bytes);
/* The same for what is released next, if that is so much that it would take long in one go. */
void empty_before_release(void *address, uint64_t bytes);

#endif
