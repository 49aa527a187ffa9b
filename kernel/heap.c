/* Slabs of 32 KiB in reserved regions. A slab holds blocks of one size class behind a short header; its address is the
 * block's, rounded down. Slabs with free blocks are in a list of their class; a slab without blocks in use is freed,
 * but for one of each class, so that a block that comes and goes does not cost a slab each time. Slabs are committed in
 * groups of eight, and a group goes back to the platform when all of its slabs are free.
 *
 * In front of the slabs every CPU has a cache: a stack of free blocks of each class, filled from the slabs and emptied
 * to them by the half, so that most calls take no lock that another CPU wants. */
#include "kernel/heap.h"

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/instance.h"
#include "kernel/lock.h"
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
#define CACHE_BLOCKS      16   /* of a class, at most */
#define CACHE_BYTES       8192 /* in these, at most, but two blocks */

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

static struct spinlock heap_lock = SPINLOCK(LOCK_HEAP);
static struct {
    struct region regions[REGION_COUNT];
    struct slab *partial[CLASS_COUNT]; /* slabs with a free block */
    struct slab *empty[CLASS_COUNT];   /* the one that is kept; not in `partial` */
    uint64_t bytes_platform;
} heap GUARDED_BY(heap_lock);

/* Of one CPU. Others take the lock only to trim, and read the counters without it. */
static struct cache {
    struct spinlock lock; /* rank HEAP_CACHE */
    uint32_t counts[CLASS_COUNT];
    void *blocks[CLASS_COUNT][CACHE_BLOCKS];
    uint64_t allocated_blocks, allocated_bytes; /* less those given back here, wherever they came from */
    uint64_t large_bytes;                       /* the same, of large blocks, whole pages */
} caches[PLATFORM_CPUS_MAXIMUM];

static struct cache *own_cache(void)
{
    const struct cpu *cpu = platform_cpu();
    struct cache *cache = &caches[cpu ? cpu->number : 0];
    cache->lock.rank = LOCK_HEAP_CACHE;
    return cache;
}

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
static struct region *region_find(void) REQUIRES(heap_lock)
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

static struct slab *slab_create(uint32_t class) REQUIRES(heap_lock)
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
        heap.bytes_platform += GROUP_BYTES;
    }
    *word |= UINT64_C(1) << bit;
    struct slab *slab = (struct slab *)(region->base + index * SLAB_BYTES);
    *slab = (struct slab){
        .size_class = class, .fresh = SLAB_HEADER_BYTES, .block_bytes = class_bytes(class), .region = region};
    SANITIZER_FORBID((uint8_t *)slab + SLAB_HEADER_BYTES, SLAB_BYTES - SLAB_HEADER_BYTES);
    return slab;
}

static void slab_destroy(struct slab *slab) REQUIRES(heap_lock)
{
    struct region *region = slab->region;
    uint64_t index = (uint64_t)((uint8_t *)slab - region->base) / SLAB_BYTES;
    SANITIZER_ALLOW(slab, SLAB_BYTES);
    region->in_use[index / 64] &= ~(UINT64_C(1) << (index % 64));
    region->first_word = (uint32_t)min_u64(region->first_word, index / 64);
    if (group_is_free(region, index)) {
        platform_decommit(group_of(region, index), GROUP_BYTES);
        heap.bytes_platform -= GROUP_BYTES;
    }
}

static bool slab_is_full(const struct slab *slab)
{
    return !slab->free && slab->fresh + slab->block_bytes > SLAB_BYTES;
}

static void partial_insert(struct slab *slab) REQUIRES(heap_lock)
{
    struct slab **list = &heap.partial[slab->size_class];
    slab->previous = NULL;
    slab->next = *list;
    if (*list) {
        (*list)->previous = slab;
    }
    *list = slab;
}

static void partial_remove(struct slab *slab) REQUIRES(heap_lock)
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

/* A block, forbidden all but its first word. */
static void *slab_allocate(uint32_t class) REQUIRES(heap_lock)
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
    return block;
}

static void slab_free(void *memory) REQUIRES(heap_lock)
{
    struct slab *slab = (struct slab *)((uintptr_t)memory & ~(SLAB_BYTES - 1));
    struct free_block *block = memory;
    if (slab_is_full(slab)) {
        partial_insert(slab);
    }
    block->next = slab->free;
    slab->free = block;
    SANITIZER_FORBID(block, slab->block_bytes);
    if (--slab->used == 0) {
        partial_remove(slab);
        if (heap.empty[slab->size_class]) {
            slab_destroy(slab);
        } else {
            heap.empty[slab->size_class] = slab;
        }
    }
}

/* ---- Caches ---- */

static uint32_t cache_capacity(uint32_t class)
{
    return (uint32_t)max_u64(min_u64(CACHE_BYTES / class_bytes(class), CACHE_BLOCKS), 2);
}

static void cache_fill(struct cache *cache, uint32_t class) REQUIRES(cache->lock)
{
    uint32_t wanted = cache_capacity(class) / 2;
    spinlock_acquire(&heap_lock);
    while (cache->counts[class] < wanted) {
        void *block = slab_allocate(class);
        if (!block) {
            break;
        }
        cache->blocks[class][cache->counts[class]++] = block;
    }
    spinlock_release(&heap_lock);
}

/* Down to `left` blocks of the class: the oldest go. */
static void cache_empty(struct cache *cache, uint32_t class, uint32_t left) REQUIRES(cache->lock)
{
    uint32_t gone = cache->counts[class] - left;
    spinlock_acquire(&heap_lock);
    for (uint32_t i = 0; i < gone; i++) {
        SANITIZER_ALLOW(cache->blocks[class][i], sizeof(struct free_block)); /* for the slab's list */
        slab_free(cache->blocks[class][i]);
    }
    spinlock_release(&heap_lock);
    memmove(cache->blocks[class], cache->blocks[class] + gone, left * sizeof(cache->blocks[class][0]));
    cache->counts[class] = left;
}

static void cache_count(struct cache *cache, uint64_t blocks, uint64_t bytes)
{
    __atomic_store_n(&cache->allocated_blocks, cache->allocated_blocks + blocks, __ATOMIC_RELAXED);
    __atomic_store_n(&cache->allocated_bytes, cache->allocated_bytes + bytes, __ATOMIC_RELAXED);
}

static void *allocate_small(uint32_t class)
{
    struct cache *cache = own_cache();
    void *block = NULL;
    spinlock_acquire(&cache->lock);
    if (!cache->counts[class]) {
        cache_fill(cache, class);
    }
    if (cache->counts[class]) {
        block = cache->blocks[class][--cache->counts[class]];
        cache_count(cache, 1, class_bytes(class));
    }
    spinlock_release(&cache->lock);
    return block;
}

static void free_small(void *memory, uint32_t class)
{
    struct cache *cache = own_cache();
    SANITIZER_FORBID(memory, class_bytes(class));
    spinlock_acquire(&cache->lock);
    if (cache->counts[class] == cache_capacity(class)) {
        cache_empty(cache, class, cache_capacity(class) / 2);
    }
    cache->blocks[class][cache->counts[class]++] = memory;
    cache_count(cache, -UINT64_C(1), -(uint64_t)class_bytes(class));
    spinlock_release(&cache->lock);
}

/* ---- Large blocks ---- */

static void count_large(uint64_t blocks, uint64_t bytes)
{
    struct cache *cache = own_cache();
    spinlock_acquire(&cache->lock);
    cache_count(cache, blocks, bytes);
    __atomic_store_n(&cache->large_bytes, cache->large_bytes + bytes, __ATOMIC_RELAXED);
    spinlock_release(&cache->lock);
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
    count_large(1, rounded);
    SANITIZER_FORBID(memory, rounded);
    return memory;
}

void *kernel_allocate(size_t bytes)
{
    void *memory = bytes <= SMALL_BYTES ? allocate_small(size_class(bytes)) : allocate_large(bytes);
    if (memory) {
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
    if (bytes <= SMALL_BYTES) {
        free_small(memory, size_class(bytes));
        return;
    }
    size_t rounded = align_up(bytes, PLATFORM_PAGE_BYTES);
    count_large(-UINT64_C(1), -(uint64_t)rounded);
    SANITIZER_ALLOW(memory, rounded);
    platform_release(memory, rounded);
}

void kernel_heap_trim(void)
{
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM && (i == 0 || cpu_if_started(i)); i++) {
        spinlock_acquire(&caches[i].lock);
        for (uint32_t class = 0; class < CLASS_COUNT; class++) {
            cache_empty(&caches[i], class, 0);
        }
        spinlock_release(&caches[i].lock);
    }
    spinlock_acquire(&heap_lock);
    for (uint32_t class = 0; class < CLASS_COUNT; class++) {
        if (heap.empty[class]) {
            slab_destroy(heap.empty[class]);
            heap.empty[class] = NULL;
        }
    }
    spinlock_release(&heap_lock);
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
    *statistics = (struct heap_statistics){0};
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM; i++) {
        statistics->blocks += __atomic_load_n(&caches[i].allocated_blocks, __ATOMIC_RELAXED);
        statistics->bytes += __atomic_load_n(&caches[i].allocated_bytes, __ATOMIC_RELAXED);
        statistics->bytes_platform += __atomic_load_n(&caches[i].large_bytes, __ATOMIC_RELAXED);
    }
    spinlock_acquire(&heap_lock);
    statistics->bytes_platform += heap.bytes_platform;
    spinlock_release(&heap_lock);
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

const struct engine_allocator kernel_engine_allocator = {NULL, engine_allocate, engine_release, compiled_module_pause};
