/* The arena: blocks in a list, filled one after another; large requests get a block of their own. */
#include "engine/allocator.h"

#include "engine/base.h"

#define ARENA_BLOCK_BYTES_MINIMUM (UINT64_C(1) << 14)
#define ARENA_BLOCK_BYTES_MAXIMUM (UINT64_C(1) << 20)
/* From this size on a request does not share a block. */
#define ARENA_LARGE_BYTES (ARENA_BLOCK_BYTES_MAXIMUM / 4)

/* Followed by its bytes. */
struct arena_block {
    struct arena_block *next;
    size_t bytes; /* this header included */
};

_Static_assert(sizeof(struct arena_block) % 16 == 0, "contents follow the header and are 16-byte aligned");

void arena_initialize(struct arena *arena, const struct engine_allocator *allocator)
{
    *arena = (struct arena){.allocator = allocator};
}

/* A spare block of at least `needed` bytes, or a new one of `size`; NULL when refused. */
static struct arena_block *arena_take_block(struct arena *arena, size_t needed, size_t size)
{
    for (struct arena_block **link = &arena->spare; *link != NULL; link = &(*link)->next) {
        struct arena_block *block = *link;
        if (block->bytes >= needed) {
            *link = block->next;
            return block;
        }
    }
    struct arena_block *block = arena->allocator->allocate(arena->allocator->context, size);
    if (block != NULL) {
        block->bytes = size;
    }
    return block;
}

static void *arena_allocate_large(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena_take_block(arena, bytes + sizeof(*block), bytes + sizeof(*block));
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return memset(block + 1, 0, bytes);
}

void *arena_allocate(struct arena *arena, size_t bytes)
{
    if (UNLIKELY(bytes > SIZE_MAX / 2)) {
        return NULL;
    }
    size_t size = align_up(max_u64(bytes, 1), 16);
    if (UNLIKELY(size > (size_t)(arena->limit - arena->cursor))) {
        if (size >= ARENA_LARGE_BYTES) {
            return arena_allocate_large(arena, size);
        }
        size_t needed = size + sizeof(struct arena_block);
        size_t wanted = arena->next_block_bytes ? arena->next_block_bytes : ARENA_BLOCK_BYTES_MINIMUM;
        struct arena_block *block = arena_take_block(arena, needed, max_u64(wanted, needed));
        if (block == NULL) {
            return NULL;
        }
        arena->next_block_bytes = min_u64(wanted * 2, ARENA_BLOCK_BYTES_MAXIMUM);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->cursor = (uint8_t *)(block + 1);
        arena->limit = (uint8_t *)block + block->bytes;
    }
    void *memory = arena->cursor;
    arena->cursor += size;
    return memset(memory, 0, size);
}

void *arena_allocate_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return arena_allocate(arena, bytes);
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        block->next = arena->spare;
        arena->spare = block;
    }
    arena->cursor = NULL;
    arena->limit = NULL;
    arena->next_block_bytes = 0;
}

void arena_release(struct arena *arena)
{
    arena_reset(arena);
    while (arena->spare != NULL) {
        struct arena_block *block = arena->spare;
        arena->spare = block->next;
        arena->allocator->release(arena->allocator->context, block, block->bytes);
    }
}
