#include "kernel/pieces.h"

#include "engine/base.h"
#include "kernel/platform.h"
#include "kernel/thread.h"

#define PIECE_BYTES    UINT64_C(262144)
#define DECOMMIT_BYTES (UINT64_C(4) << 20)

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

void copy_in_pieces(void *to, const void *from, uint64_t bytes)
{
    uint64_t piece;
    for (uint64_t done = 0; done < bytes; done += piece) {
        piece = min_u64(bytes - done, PIECE_BYTES);
        memcpy((uint8_t *)to + done, (const uint8_t *)from + done, piece);
        thread_preemption_point();
    }
}

bool equal_in_pieces(const void *a, const void *b, uint64_t bytes)
{
    bool equal = true;
    uint64_t piece;
    for (uint64_t done = 0; equal && done < bytes; done += piece) {
        piece = min_u64(bytes - done, PIECE_BYTES);
        equal = memcmp((const uint8_t *)a + done, (const uint8_t *)b + done, piece) == 0;
        thread_preemption_point();
    }
    return equal;
}

void decommit_in_pieces(void *address, uint64_t bytes)
{
    uint8_t *at = address;
    while (bytes) {
        /* Up to a multiple of a piece, so that no border comes to lie in a huge page. */
        uint64_t piece = min_u64(DECOMMIT_BYTES - (uintptr_t)at % DECOMMIT_BYTES, bytes);
        platform_decommit(at, piece);
        at += piece;
        bytes -= piece;
        if (bytes) {
            thread_preemption_point();
        }
    }
}

void empty_before_release(void *address, uint64_t bytes)
{
    if (bytes > DECOMMIT_BYTES) {
        decommit_in_pieces(address, bytes);
    }
}
