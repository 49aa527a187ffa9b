#include "kernel/pieces.h"

#include "engine/base.h"
#include "kernel/thread.h"

#define PIECE_BYTES UINT64_C(1048576)

/* One element, then copies of what is there already, twice as much each time. */
static void fill_piece(uint8_t *to, uint32_t bytes, const void *element, uint64_t total)
{
    if (total) {
        memcpy(to, element, bytes);
    }
    for (uint64_t done = bytes, step; done < total; done += step) {
        step = min_u64(done, total - done);
        memcpy(to + done, to, step);
    }
}

void fill_elements(void *to, uint32_t bytes, const void *element, uint64_t count)
{
    uint8_t *at = to;
    uint64_t total = count * bytes;
    for (; total > PIECE_BYTES; total -= PIECE_BYTES, at += PIECE_BYTES) {
        fill_piece(at, bytes, element, PIECE_BYTES);
        thread_checkpoint();
    }
    fill_piece(at, bytes, element, total);
}

/* From the end when the target overlaps the source from above. */
void move_bytes(void *to, const void *from, uint64_t count)
{
    bool backwards = (uintptr_t)to - (uintptr_t)from < count;
    uint8_t *target = to;
    const uint8_t *source = from;
    while (count > PIECE_BYTES) {
        count -= PIECE_BYTES;
        if (backwards) {
            memmove(target + count, source + count, PIECE_BYTES);
        } else {
            memmove(target, source, PIECE_BYTES);
            target += PIECE_BYTES;
            source += PIECE_BYTES;
        }
        thread_checkpoint();
    }
    memmove(target, source, count);
}
