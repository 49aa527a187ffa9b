/* The insides of the collected heap, shared by the files that make it.
 *
 * The 4 GiB of the heap are blocks. A block holds cells of one size class, or is part of a large object, or is free.
 * Cells are given out from runs: a sweep of a block finds the next row of dead cells, zeroes it, and its class
 * allocates from there upwards. So the header of a cell that holds no object is zero, with the exception of dead cells
 * that were not swept yet; those are dealt with before the next marking. One mark bit for each 8 bytes lies outside. */
#ifndef KERNEL_GC_HEAP_H
#define KERNEL_GC_HEAP_H

#include "kernel/gc.h"
#include "kernel/instance_parts.h"

#define GC_BLOCK_BYTES   65536
#define GC_BLOCKS        (HEAP_BYTES / GC_BLOCK_BYTES)
#define GC_FIRST_BLOCK   (HEAP_NULL_BYTES / GC_BLOCK_BYTES)
#define GC_MARK_WORDS    (GC_BLOCK_BYTES / 8 / 64) /* of a block */
#define GC_SMALL_MAXIMUM 32768
#define GC_CLASSES       39
#define GC_RECORD_TYPES  TYPE_NUMBERS_MAXIMUM /* type numbers from here on are kinds of records */

enum gc_block_state {
    GC_BLOCK_UNUSED,    /* not committed */
    GC_BLOCK_FREE,      /* committed, contents arbitrary */
    GC_BLOCK_CELLS,     /* of `class` */
    GC_BLOCK_LARGE,     /* first of `count` */
    GC_BLOCK_CONTINUED, /* a later one */
};

struct gc_block {
    uint8_t state;
    uint8_t class;
    bool swept;     /* since the last marking */
    uint32_t next;  /* GC_BLOCK_CELLS: of the class; 0: last */
    uint32_t count; /* GC_BLOCK_LARGE */
};

struct gc_class {
    uint32_t cursor, limit; /* the run: zeroed, from here to there */
    uint32_t bytes;         /* of a cell */
    uint32_t cells;         /* in a block */
    uint32_t reciprocal;    /* 2^32 / bytes, rounded up */
    uint32_t block;         /* that is being swept, or 0 */
    uint32_t position;      /* cells of it that are done with */
    uint32_t first;         /* of the class's blocks */
    uint32_t pending;       /* the next one to sweep */
};

struct gc_heap {
    struct gc_class classes[GC_CLASSES];
    uint8_t class_of[GC_SMALL_MAXIMUM / 8 + 1]; /* by bytes / 8, rounded up */
    struct process *process;
    uint64_t base;
    uint8_t *side;   /* reservation: mark bits, blocks, mark stack */
    uint64_t *marks; /* GC_MARK_WORDS for each block */
    struct gc_block *blocks;
    uint32_t *stack; /* of marked objects to be traced */
    uint32_t stack_count, stack_capacity;
    bool stack_overflowed;
    uint32_t frontier;               /* blocks from here on were never used */
    uint32_t search;                 /* no block below is free or unused */
    uint32_t side_blocks;            /* blocks for which the side arrays are committed */
    uint32_t committed, free_blocks; /* numbers of blocks */
    uint64_t allocated;              /* bytes since the last collection */
    uint64_t budget;                 /* collect when so many are */
    uint64_t live;                   /* bytes marked by the last collection */
    uint64_t collections;
};

static inline struct gc_block *gc_block_of(const struct gc_heap *heap, uint32_t reference)
{
    return &heap->blocks[reference / GC_BLOCK_BYTES];
}

static inline bool gc_is_marked(const struct gc_heap *heap, uint32_t reference)
{
    return heap->marks[reference >> 9] >> (reference >> 3 & 63) & 1;
}

/* Of the collector: for processes with one thread. */
void gc_preemption_point(void);

/* gc.c: back to what marking needs, and from what it left. */
void gc_before_marking(struct gc_heap *heap);
void gc_after_marking(struct gc_heap *heap);
/* gc_mark.c: everything reachable gets its mark. */
void gc_mark(struct gc_heap *heap);
/* Room for at least one more entry of the mark stack; false: there is none. */
bool gc_mark_stack_grow(struct gc_heap *heap);

#endif
