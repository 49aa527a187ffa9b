/* Memory for the engine, given by the embedder, and the arena that it is used through.
 *
 * Nothing in the engine calls malloc. An arena belongs to one thread at a time and is freed as a whole. */
#ifndef ENGINE_ALLOCATOR_H
#define ENGINE_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>

struct engine_allocator {
    void *context;
    void *(*allocate)(void *context, size_t bytes);           /* NULL when refused; 16-byte aligned, not zeroed */
    void (*release)(void *context, void *memory, size_t bytes); /* `bytes` as given to allocate */
    /* Called by long work of the engine every few microseconds, so that others may run; may be NULL. */
    void (*pause)(void *context);
};

#define ENGINE_PAUSE_BYTES 1024 /* of functions' bodies, between two pauses */

struct arena_block;
struct arena {
    const struct engine_allocator *allocator;
    struct arena_block *blocks; /* in use, the latest in front */
    struct arena_block *spare;  /* kept by arena_reset */
    uint8_t *cursor;            /* free part of the block that is being filled */
    uint8_t *limit;
    size_t next_block_bytes; /* 0: as many as are usual; may be set before the first allocation */
};

void arena_initialize(struct arena *arena, const struct engine_allocator *allocator);
/* `bytes` zeroed bytes aligned to 16, or NULL. Lives until arena_release. */
void *arena_allocate(struct arena *arena, size_t bytes);
/* The same for `count` elements of `size` bytes; NULL on overflow too. */
void *arena_allocate_array(struct arena *arena, size_t count, size_t size);
/* Keep the memory, forget the contents: the arena is empty again. */
void arena_reset(struct arena *arena);
void arena_release(struct arena *arena);

#endif
