/* Slabs of 32 KiB in reserved regions. A slab holds blocks of one size class behind a short header; its address is the
 * block's, rounded down. Slabs with free blocks are in a list of their class; a slab without blocks in use is freed,
 * but for one of each class, so that a block that comes and goes does not cost a slab each time. Slabs are committed in
 * groups of eight, and a group goes back to the platform when all of its slabs are free. */
#include "kernel/heap.h"

#include "engine/base.h"
#include "kernel/platform.h"
#include "kernel/sanitizer.h"

#define SLAB_BYTES        UINT64_C(32768)
#define REGION_BYTES      (UINT64_C(256) << 20)
#define REGION_COUNT      64
#define REGION_SLABS      (REGION_BYTES / SLAB_BYTES)
#define REGION_WORDS      (REGION_SLABS / 64)
#define GROUP_SLABS       8 /* one byte of region.in_use; committed while it is not 0 */
#define GROUP_BYTES       (GROUP_SLABS * SLAB_BYTES)
#define SLAB_HEADER_BYTES 64
#define SMALL_BYTES       8192 /* largest class */
#define CLASS_COUNT       32   /* eight steps of 16 bytes, then four steps in each power of two */

struct free_block {
    struct free_block *next;
};

struct slab {
    struct slab *next, *previous; /* in the class's list, while it has free blocks */
    struct free_block *free;
    uint32_t size_class;
    uint32_t used;  /* blocks */
    uint32_t fresh; /* offset from which on no block was ever given out */
    uint32_t block_bytes;
    struct region *region;
};
_Static_assert(sizeof(struct slab) <= SLAB_HEADER_BYTES, "blocks start behind the header");

struct region {
    uint8_t *base; /* slab-aligned; NULL: not reserved yet */
    uint64_t in_use[REGION_WORDS];
    uint32_t first_word; /* no bit is clear in the words before */
};

static struct {
    struct region regions[REGION_COUNT];
    struct slab *partial[CLASS_COUNT]; /* slabs with a free block */
    struct slab *empty[CLASS_COUNT];   /* the one that is kept; not in `partial` */
    struct heap_statistics statistics;
} heap;

static uint32_t size_class(size_t bytes)
{
    if (bytes <= 128) {
        return bytes ? (uint32_t)(bytes - 1) >> 4 : 0;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(bytes - 1); /* 2^power <= bytes - 1 */
    return 8 + (power - 7) * 4 + ((uint32_t)(bytes - 1) >> (power - 2)) - 4;
}

static uint32_t class_bytes(uint32_t index)
{
    if (index < 8) {
        return (index + 1) * 16;
    }
    uint32_t power = 7 + (index - 8) / 4;
    return (1u << power) + (((index - 8) % 4 + 1) << (power - 2));
}

/* A region with a free slab, whose word is region->first_word; or NULL. */
static struct region *region_find(void)
{
    for (struct region *region = heap.regions; region < heap.regions + REGION_COUNT; region++) {
        if (!region->base) {
            uint8_t *reservation = platform_reserve(REGION_BYTES + SLAB_BYTES);
            if (!reservation) {
                return NULL;
            }
            region->base = (uint8_t *)align_up((uintptr_t)reservation, SLAB_BYTES);
        }
        while (region->first_word < REGION_WORDS && region->in_use[region->first_word] == UINT64_MAX) {
            region->first_word++;
        }
        if (region->first_word < REGION_WORDS) {
            return region;
        }
    }
    return NULL;
}

static bool group_is_free(const struct region *region, uint64_t slab_index)
{
    return (uint8_t)(region->in_use[slab_index / 64] >> (slab_index % 64 / GROUP_SLABS * GROUP_SLABS)) == 0;
}

static void *group_of(const struct region *region, uint64_t slab_index)
{
    return region->base + slab_index / GROUP_SLABS * GROUP_BYTES;
}

static struct slab *slab_create(uint32_t class)
{
    struct region *region = region_find();
    if (!region) {
        return NULL;
    }
    uint64_t *word = &region->in_use[region->first_word];
    uint64_t bit = (uint64_t)__builtin_ctzll(~*word), index = region->first_word * 64 + bit;
    if (group_is_free(region, index)) {
        if (platform_commit(group_of(region, index), GROUP_BYTES, PROTECTION_READ_WRITE) != STATUS_OK) {
            return NULL;
        }
        heap.statistics.bytes_platform += GROUP_BYTES;
    }
    *word |= UINT64_C(1) << bit;
    struct slab *slab = (struct slab *)(region->base + index * SLAB_BYTES);
    *slab = (struct slab){
        .size_class = class, .fresh = SLAB_HEADER_BYTES, .block_bytes = class_bytes(class), .region = region};
    SANITIZER_FORBID((uint8_t *)slab + SLAB_HEADER_BYTES, SLAB_BYTES - SLAB_HEADER_BYTES);
    return slab;
}

static void slab_destroy(struct slab *slab)
{
    struct region *region = slab->region;
    uint64_t index = (uint64_t)((uint8_t *)slab - region->base) / SLAB_BYTES;
    SANITIZER_ALLOW(slab, SLAB_BYTES);
    region->in_use[index / 64] &= ~(UINT64_C(1) << (index % 64));
    region->first_word = (uint32_t)min_u64(region->first_word, index / 64);
    if (group_is_free(region, index)) {
        platform_decommit(group_of(region, index), GROUP_BYTES);
        heap.statistics.bytes_platform -= GROUP_BYTES;
    }
}

static bool slab_is_full(const struct slab *slab)
{
    return !slab->free && slab->fresh + slab->block_bytes > SLAB_BYTES;
}

static void partial_insert(struct slab *slab)
{
    struct slab **list = &heap.partial[slab->size_class];
    slab->previous = NULL;
    slab->next = *list;
    if (*list) {
        (*list)->previous = slab;
    }
    *list = slab;
}

static void partial_remove(struct slab *slab)
{
    if (slab->previous) {
        slab->previous->next = slab->next;
    } else {
        heap.partial[slab->size_class] = slab->next;
    }
    if (slab->next) {
        slab->next->previous = slab->previous;
    }
}

static void *allocate_small(uint32_t class)
{
    struct slab *slab = heap.partial[class];
    if (!slab) {
        slab = heap.empty[class];
        heap.empty[class] = NULL;
        if (!slab && !(slab = slab_create(class))) {
            return NULL;
        }
        partial_insert(slab);
    }
    struct free_block *block = slab->free;
    if (block) {
        SANITIZER_ALLOW(block, sizeof(*block));
        slab->free = block->next;
    } else {
        block = (struct free_block *)((uint8_t *)slab + slab->fresh);
        slab->fresh += slab->block_bytes;
    }
    slab->used++;
    if (slab_is_full(slab)) {
        partial_remove(slab);
    }
    heap.statistics.bytes += slab->block_bytes;
    return block;
}

static void free_small(void *memory)
{
    struct slab *slab = (struct slab *)((uintptr_t)memory & ~(SLAB_BYTES - 1));
    struct free_block *block = memory;
    if (slab_is_full(slab)) {
        partial_insert(slab);
    }
    block->next = slab->free;
    slab->free = block;
    SANITIZER_FORBID(block, slab->block_bytes);
    heap.statistics.bytes -= slab->block_bytes;
    if (--slab->used == 0) {
        partial_remove(slab);
        if (heap.empty[slab->size_class]) {
            slab_destroy(slab);
        } else {
            heap.empty[slab->size_class] = slab;
        }
    }
}

static void *allocate_large(size_t bytes)
{
    if (bytes > SIZE_MAX - PLATFORM_PAGE_BYTES) {
        return NULL;
    }
    size_t rounded = align_up(bytes, PLATFORM_PAGE_BYTES);
    void *memory = platform_reserve(rounded);
    if (!memory) {
        return NULL;
    }
    if (platform_commit(memory, rounded, PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(memory, rounded);
        return NULL;
    }
    heap.statistics.bytes += rounded;
    heap.statistics.bytes_platform += rounded;
    SANITIZER_FORBID(memory, rounded);
    return memory;
}

void *kernel_allocate(size_t bytes)
{
    void *memory = bytes <= SMALL_BYTES ? allocate_small(size_class(bytes)) : allocate_large(bytes);
    if (memory) {
        heap.statistics.blocks++;
        SANITIZER_ALLOW(memory, bytes);
    }
    return memory;
}

void *kernel_allocate_zeroed(size_t bytes)
{
    void *memory = kernel_allocate(bytes);
    if (memory && bytes <= SMALL_BYTES) { /* large blocks are fresh pages */
        memset(memory, 0, bytes);
    }
    return memory;
}

void kernel_free(void *memory, size_t bytes)
{
    if (!memory) {
        return;
    }
    heap.statistics.blocks--;
    SANITIZER_ALLOW(memory, sizeof(struct free_block)); /* for the list; a block of 0 bytes was not */
    if (bytes <= SMALL_BYTES) {
        free_small(memory);
        return;
    }
    size_t rounded = align_up(bytes, PLATFORM_PAGE_BYTES);
    heap.statistics.bytes -= rounded;
    heap.statistics.bytes_platform -= rounded;
    SANITIZER_ALLOW(memory, rounded);
    platform_release(memory, rounded);
}

void kernel_heap_trim(void)
{
    for (uint32_t class = 0; class < CLASS_COUNT; class++) {
        if (heap.empty[class]) {
            slab_destroy(heap.empty[class]);
            heap.empty[class] = NULL;
        }
    }
}

char *kernel_copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = kernel_allocate(bytes);
    if (copy) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void kernel_heap_statistics(struct heap_statistics *statistics)
{
    *statistics = heap.statistics;
}

static void *engine_allocate(void *context, size_t bytes)
{
    (void)context;
    return kernel_allocate(bytes);
}

static void engine_release(void *context, void *memory, size_t bytes)
{
    (void)context;
    kernel_free(memory, bytes);
}

const struct engine_allocator kernel_engine_allocator = {NULL, engine_allocate, engine_release};
