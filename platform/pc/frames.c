#include "platform/pc/frames.h"

#include "engine/base.h"
#include "platform/pc/cpu.h"
#include "platform/pc/spinlock.h"

#define BLOCK_FRAMES 512
#define BLOCK_WORDS  (BLOCK_FRAMES / 64)
#define NO_BLOCK     UINT32_MAX

/* A block of 2 MiB. While it is whole (its bit in `whole` is set), or wholly taken, the bitmap is not looked at. */
struct block {
    uint64_t free[BLOCK_WORDS]; /* a bit for each free frame */
    uint32_t free_count;
    uint32_t next, previous; /* in the list of partial blocks */
};

static struct spinlock lock;
static struct block *blocks GUARDED_BY(lock);
static uint64_t *whole GUARDED_BY(lock); /* a bit for each block that is free as a whole */
static uint64_t whole_words GUARDED_BY(lock);
static uint64_t whole_hint GUARDED_BY(lock);         /* no word below this one has a bit set */
static uint32_t partial GUARDED_BY(lock) = NO_BLOCK; /* first block that has some frames free */

/* Frames of the pool that are neither promised nor in reserve. Page tables and bookkeeping may make it negative, down
 * to -reserve. Atomic: whoever takes frames takes them from this number first, and then finds them. */
static int64_t claimable;
static int64_t reserve; /* set once */

/* Atomic. */
static uint64_t total;
static uint64_t metadata; /* of them, taken for bookkeeping */

/* Below this nobody keeps frames at hand. */
#define SCARCE_FRAMES 512
/* So many go to or from the pool at once. */
#define BATCH_FRAMES 32

/* Take `count` from `claimable` if it does not fall below `least` then. */
static bool claim(int64_t count, int64_t least)
{
    int64_t now = __atomic_load_n(&claimable, __ATOMIC_RELAXED);
    do {
        if (now - count < least)
            return false;
    } while (!__atomic_compare_exchange_n(&claimable, &now, now - count, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

static void unclaim(int64_t count)
{
    __atomic_fetch_add(&claimable, count, __ATOMIC_RELAXED);
}

static bool is_scarce(void)
{
    return __atomic_load_n(&claimable, __ATOMIC_RELAXED) < SCARCE_FRAMES;
}

static void partial_insert(uint32_t index) REQUIRES(lock)
{
    blocks[index].previous = NO_BLOCK;
    blocks[index].next = partial;
    if (partial != NO_BLOCK)
        blocks[partial].previous = index;
    partial = index;
}

static void partial_remove(uint32_t index) REQUIRES(lock)
{
    struct block *block = &blocks[index];
    if (block->previous != NO_BLOCK)
        blocks[block->previous].next = block->next;
    else
        partial = block->next;
    if (block->next != NO_BLOCK)
        blocks[block->next].previous = block->previous;
}

static void whole_set(uint64_t index) REQUIRES(lock)
{
    whole[index / 64] |= UINT64_C(1) << index % 64;
    if (index / 64 < whole_hint)
        whole_hint = index / 64;
}

/* Take a block that is free as a whole, or NO_BLOCK. */
static uint32_t whole_take(void) REQUIRES(lock)
{
    while (whole_hint < whole_words && whole[whole_hint] == 0)
        whole_hint++;
    if (whole_hint == whole_words)
        return NO_BLOCK;
    uint32_t bit = (uint32_t)__builtin_ctzll(whole[whole_hint]);
    whole[whole_hint] &= whole[whole_hint] - 1;
    return (uint32_t)whole_hint * 64 + bit;
}

static void pool_put(uint64_t frame) REQUIRES(lock)
{
    uint64_t index = frame / HUGE_FRAME_BYTES;
    uint32_t bit = frame / FRAME_BYTES % BLOCK_FRAMES;
    struct block *block = &blocks[index];
    block->free[bit / 64] |= UINT64_C(1) << bit % 64;
    if (block->free_count++ == 0) {
        partial_insert((uint32_t)index);
    } else if (block->free_count == BLOCK_FRAMES) {
        partial_remove((uint32_t)index);
        whole_set(index);
    }
}

/* A frame, or NO_FRAME. */
static uint64_t pool_take(void) REQUIRES(lock)
{
    if (partial == NO_BLOCK) {
        uint32_t index = whole_take();
        if (index == NO_BLOCK)
            return NO_FRAME;
        memset(blocks[index].free, 0xff, sizeof blocks[index].free);
        blocks[index].free_count = BLOCK_FRAMES;
        partial_insert(index);
    }
    struct block *block = &blocks[partial];
    uint32_t word = 0;
    while (block->free[word] == 0)
        word++;
    uint32_t bit = (uint32_t)__builtin_ctzll(block->free[word]);
    uint64_t frame = partial * HUGE_FRAME_BYTES + (word * 64 + bit) * FRAME_BYTES;
    block->free[word] &= block->free[word] - 1;
    if (--block->free_count == 0)
        partial_remove(partial);
    return frame;
}

/* Bits of one word of a block's bitmap; only the first and the last can concern the lists. */
static void pool_put_some(uint64_t frame, uint32_t count) REQUIRES(lock)
{
    uint32_t bit = frame / FRAME_BYTES % BLOCK_FRAMES;
    struct block *block = &blocks[frame / HUGE_FRAME_BYTES];
    pool_put(frame);
    if (count > 2) {
        block->free[bit / 64] |= UINT64_MAX >> (64 - count + 2) << (bit % 64 + 1);
        block->free_count += count - 2;
    }
    if (count > 1)
        pool_put(frame + (count - 1) * FRAME_BYTES);
}

void frames_add(uint64_t start, uint64_t end)
{
    uint64_t frame = align_up(start, FRAME_BYTES), added = 0;
    end &= ~(FRAME_BYTES - 1);
    spinlock_acquire(&lock);
    while (frame < end) {
        uint64_t count = BLOCK_FRAMES;
        if (frame % HUGE_FRAME_BYTES == 0 && end - frame >= HUGE_FRAME_BYTES) {
            whole_set(frame / HUGE_FRAME_BYTES);
        } else {
            count = min_u64((end - frame) / FRAME_BYTES, 64 - frame / FRAME_BYTES % 64);
            pool_put_some(frame, (uint32_t)count);
        }
        frame += count * FRAME_BYTES;
        added += count;
    }
    spinlock_release(&lock);
    __atomic_fetch_add(&total, added, __ATOMIC_RELAXED);
    unclaim((int64_t)added);
}

/* Add [start, end) without the parts that stand in `taken`. */
static void add_without(uint64_t start, uint64_t end, const struct memory_range *taken, uint32_t taken_count)
{
    while (start < end) {
        uint64_t stop = end; /* of the hole that begins at `start` */
        bool inside = false;
        for (uint32_t i = 0; i < taken_count; i++) {
            if (taken[i].start <= start && taken[i].end > start) {
                start = align_up(taken[i].end, FRAME_BYTES);
                inside = true;
                break;
            }
            if (taken[i].start > start)
                stop = min_u64(stop, taken[i].start);
        }
        if (inside)
            continue;
        frames_add(start, stop);
        start = stop;
    }
}

/* Lowest place for `bytes` bytes, in RAM and not taken. */
static uint64_t find_hole(const struct memory_range *ram, uint32_t ram_count, const struct memory_range *taken,
                          uint32_t taken_count, uint64_t reach, uint64_t bytes)
{
    for (uint32_t r = 0; r < ram_count; r++) {
        uint64_t start = align_up(ram[r].start, FRAME_BYTES), end = min_u64(ram[r].end, reach);
        for (uint32_t i = 0; i < taken_count && start + bytes <= end; i++) {
            if (taken[i].start < start + bytes && taken[i].end > start) {
                start = align_up(taken[i].end, FRAME_BYTES);
                i = UINT32_MAX; /* from the first again */
            }
        }
        if (start + bytes <= end)
            return start;
    }
    return NO_FRAME;
}

/* Ranges that frames_initialize can have to step around. */
#define TAKEN_MAXIMUM 40

bool frames_initialize(const struct memory_range *ram, uint32_t ram_count, const struct memory_range *taken,
                       uint32_t taken_count, uint64_t reach)
{
    struct memory_range all_taken[TAKEN_MAXIMUM];
    if (ram_count == 0 || taken_count >= TAKEN_MAXIMUM)
        return false;
    memcpy(all_taken, taken, taken_count * sizeof *taken);

    uint64_t block_count = align_up(ram[ram_count - 1].end, HUGE_FRAME_BYTES) / HUGE_FRAME_BYTES;
    uint64_t words = align_up(block_count, 64) / 64;
    uint64_t bytes = align_up(block_count * sizeof(struct block) + words * 8, FRAME_BYTES);
    uint64_t place = find_hole(ram, ram_count, taken, taken_count, reach, bytes);
    if (place == NO_FRAME)
        return false;
    all_taken[taken_count] = (struct memory_range){place, place + bytes};
    frame_zero(place, bytes);

    spinlock_acquire(&lock);
    whole = physical_pointer(place);
    whole_words = words;
    whole_hint = words;
    blocks = (struct block *)(whole + words);
    spinlock_release(&lock);
    for (uint32_t i = 0; i < ram_count; i++)
        add_without(ram[i].start, ram[i].end, all_taken, taken_count + 1);

    /* A 64th of all memory, between 1 and 16 MiB. */
    reserve = (int64_t)min_u64(max_u64(total / 64, 256), 4096);
    unclaim(-reserve);
    return true;
}

/* ---- What a CPU has at hand; interrupts are off ---- */

/* Give back all but `rest`, and say which promises were kept. */
static void cache_drain(struct frame_cache *cache, uint32_t rest)
{
    uint32_t given = cache->count - rest;
    if (given == 0 && cache->kept == 0)
        return;
    spinlock_acquire(&lock);
    for (uint32_t i = 0; i < given; i++)
        pool_put(cache->frames[rest + i]);
    spinlock_release(&lock);
    unclaim(given + cache->kept);
    __atomic_store_n(&cache->count, rest, __ATOMIC_RELAXED);
    __atomic_store_n(&cache->kept, 0, __ATOMIC_RELAXED);
}

static void cache_fill(struct frame_cache *cache)
{
    if (!claim(BATCH_FRAMES, SCARCE_FRAMES))
        return;
    spinlock_acquire(&lock);
    for (uint32_t i = 0; i < BATCH_FRAMES; i++)
        cache->frames[BATCH_FRAMES - 1 - i] = pool_take(); /* the lowest comes out first */
    spinlock_release(&lock);
    __atomic_store_n(&cache->count, BATCH_FRAMES, __ATOMIC_RELAXED);
}

/* With one of its frames. */
static void cache_promise_kept(struct frame_cache *cache)
{
    uint32_t kept = cache->kept + 1;
    if (kept == BATCH_FRAMES) {
        unclaim(kept);
        kept = 0;
    }
    __atomic_store_n(&cache->kept, kept, __ATOMIC_RELAXED);
}

/* ---- Promises ---- */

bool frames_promise(uint64_t count)
{
    if (count > INT64_MAX / 2)
        return false;
    if (claim((int64_t)count, 0))
        return true;
    bool interrupts = interrupts_disable();
    cache_drain(&pc_cpu()->frames, 0);
    interrupts_restore(interrupts);
    return claim((int64_t)count, 0);
}

void frames_promise_back(uint64_t count)
{
    if (count > 0)
        unclaim((int64_t)count);
}

bool frames_plentiful(void)
{
    return __atomic_load_n(&claimable, __ATOMIC_RELAXED) > 0;
}

/* ---- Frames ---- */

/* One that is not at hand. (What is promised was claimed then.) */
static uint64_t allocate_one(enum frame_purpose purpose)
{
    if (purpose != FRAME_PROMISED && !claim(1, purpose == FRAME_GUEST ? 0 : -reserve))
        return NO_FRAME;
    spinlock_acquire(&lock);
    uint64_t frame = pool_take();
    spinlock_release(&lock);
    return frame;
}

uint64_t frame_allocate(enum frame_purpose purpose)
{
    bool interrupts = interrupts_disable();
    struct frame_cache *cache = &pc_cpu()->frames;
    if (is_scarce())
        cache_drain(cache, 0);
    else if (cache->count == 0)
        cache_fill(cache);
    uint64_t frame;
    if (cache->count > 0) {
        frame = cache->frames[cache->count - 1];
        __atomic_store_n(&cache->count, cache->count - 1, __ATOMIC_RELAXED);
        if (purpose == FRAME_PROMISED)
            cache_promise_kept(cache);
    } else {
        frame = allocate_one(purpose);
    }
    interrupts_restore(interrupts);
    return frame;
}

void frame_free(uint64_t frame)
{
    bool interrupts = interrupts_disable();
    struct frame_cache *cache = &pc_cpu()->frames;
    if (cache->count == FRAME_CACHE_FRAMES)
        cache_drain(cache, FRAME_CACHE_FRAMES - BATCH_FRAMES);
    cache->frames[cache->count] = frame;
    __atomic_store_n(&cache->count, cache->count + 1, __ATOMIC_RELAXED);
    if (is_scarce())
        cache_drain(cache, 0);
    interrupts_restore(interrupts);
}

uint64_t huge_frame_allocate(void)
{
    if (!claim(BLOCK_FRAMES, 0))
        return NO_FRAME;
    uint64_t frame = NO_FRAME;
    spinlock_acquire(&lock);
    uint32_t index = whole_take();
    if (index != NO_BLOCK) {
        frame = index * HUGE_FRAME_BYTES;
        memset(blocks[index].free, 0, sizeof blocks[index].free);
        blocks[index].free_count = 0;
    }
    spinlock_release(&lock);
    if (frame == NO_FRAME)
        unclaim(BLOCK_FRAMES);
    return frame;
}

void huge_frame_free(uint64_t frame)
{
    spinlock_acquire(&lock);
    whole_set(frame / HUGE_FRAME_BYTES);
    spinlock_release(&lock);
    unclaim(BLOCK_FRAMES);
}

static void *to_metadata(uint64_t frame, uint64_t bytes)
{
    if (frame == NO_FRAME)
        return NULL;
    frame_zero(frame, bytes);
    __atomic_fetch_add(&metadata, bytes / FRAME_BYTES, __ATOMIC_RELAXED);
    return physical_pointer(frame);
}

void *frame_allocate_metadata(void)
{
    return to_metadata(frame_allocate(FRAME_KERNEL), FRAME_BYTES);
}

void *huge_frame_allocate_metadata(void)
{
    return to_metadata(huge_frame_allocate(), HUGE_FRAME_BYTES);
}

void frames_statistics(struct frame_statistics *statistics)
{
    int64_t rest = __atomic_load_n(&claimable, __ATOMIC_RELAXED) + reserve;
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM; i++) {
        if (cpus[i])
            rest += __atomic_load_n(&cpus[i]->frames.count, __ATOMIC_RELAXED) +
                    __atomic_load_n(&cpus[i]->frames.kept, __ATOMIC_RELAXED);
    }
    statistics->total = __atomic_load_n(&total, __ATOMIC_RELAXED);
    statistics->metadata = __atomic_load_n(&metadata, __ATOMIC_RELAXED);
    statistics->used = statistics->total - statistics->metadata - (uint64_t)rest;
}
