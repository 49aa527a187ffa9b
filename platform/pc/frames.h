/* Physical memory in frames of 4 KiB and huge frames of 2 MiB.
 *
 * RAM is divided into blocks of 2 MiB. One bit for each block tells those that are free as a whole; a block of which
 * frames are taken has a bitmap of its own and, while any of it is free, stands in the list of partial blocks. Taking
 * and freeing a frame is a few instructions, free memory is never touched, and what is free again becomes whole again
 * by itself.
 *
 * That pool has a lock. Before it, each CPU has some frames at hand, which go to and from the pool by the dozen; when
 * memory is scarce they go back, and all is as if there were none. */
#ifndef PLATFORM_PC_FRAMES_H
#define PLATFORM_PC_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/pc/layout.h"

#define FRAME_BYTES      UINT64_C(4096)
#define HUGE_FRAME_BYTES UINT64_C(0x200000)
#define NO_FRAME         UINT64_MAX

/* A CPU's frames at hand; part of struct pc_cpu. Touched by that CPU only, with interrupts off; the numbers are also
 * read by others. */
#define FRAME_CACHE_FRAMES 64
struct frame_cache {
    uint32_t count;
    uint32_t kept; /* promises that were kept with frames from here, and still stand in the common count */
    uint64_t frames[FRAME_CACHE_FRAMES];
};

/* Physical range, end exclusive. */
struct memory_range {
    uint64_t start, end;
};

/* Take over RAM: everything in `ram` (sorted, disjoint) but what `taken` (any order) overlaps. The bookkeeping comes
 * from the first hole that is large enough. All of it below `reach` is already mapped in the direct map; frames are
 * given out from low addresses first. False: no room for the bookkeeping. */
bool frames_initialize(const struct memory_range *ram, uint32_t ram_count, const struct memory_range *taken,
                       uint32_t taken_count, uint64_t reach);
/* Hand a range to the allocator that was taken before (whole frames inside it). */
void frames_add(uint64_t start, uint64_t end);

/* What a frame is for. Frames can be *promised*: they stay free, but only FRAME_PROMISED takes them. All promises are
 * kept, so the first touch of a page that was promised never fails. Behind the promises lies a reserve, for page tables
 * and bookkeeping; guests and new promises stop before it. */
enum frame_purpose {
    FRAME_GUEST,    /* not promised: only from what is neither promised nor in reserve */
    FRAME_KERNEL,   /* page tables and bookkeeping: from the reserve, too */
    FRAME_PROMISED, /* takes one promise back */
};

/* Promise `count` frames more. False, and nothing is promised, when there are not as many. */
bool frames_promise(uint64_t count);
void frames_promise_back(uint64_t count);

/* Physical address of a frame, content arbitrary, or NO_FRAME. */
uint64_t frame_allocate(enum frame_purpose purpose);
void frame_free(uint64_t frame);
/* The same for 2 MiB, as FRAME_GUEST. A huge frame may also be freed frame by frame. */
uint64_t huge_frame_allocate(void);
void huge_frame_free(uint64_t frame);
/* Frames for bookkeeping that are never given back: not counted as used. Zeroed; NULL: none left. */
void *frame_allocate_metadata(void);
void *huge_frame_allocate_metadata(void);

/* Is there a frame for a guest? */
bool frames_plentiful(void);

/* In frames. A promised frame counts as used, taken or not: nobody else can have it. */
struct frame_statistics {
    uint64_t total, used, metadata;
};
void frames_statistics(struct frame_statistics *statistics);

static inline void *physical_pointer(uint64_t physical)
{
    return (void *)(physical + DIRECT_MAP);
}
static inline uint64_t physical_of(const void *pointer) /* of the direct map */
{
    return (uint64_t)pointer - DIRECT_MAP;
}

static inline void frame_zero(uint64_t frame, uint64_t bytes)
{
    void *to = physical_pointer(frame);
    uint64_t words = bytes / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(UINT64_C(0)) : "memory");
}

#endif
