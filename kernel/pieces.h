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

#endif
