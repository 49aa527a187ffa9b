#include "platform/pc/frames.h"

#include "engine/base.h"
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

/* All guarded by `lock`. */
static struct spinlock lock;
static struct block *blocks GUARDED_BY(lock);
static uint64_t *whole GUARDED_BY(lock); /* a bit for each block that is free as a whole */
static uint64_t whole_words GUARDED_BY(lock);
static uint64_t whole_hint GUARDED_BY(lock);         /* no word below this one has a bit set */
static uint32_t partial GUARDED_BY(lock) = NO_BLOCK; /* first block that has some frames free */
static uint64_t free_frames GUARDED_BY(lock);
static uint64_t promised GUARDED_BY(lock); /* of the free ones */
static uint64_t reserve GUARDED_BY(lock);
static struct frame_statistics counts GUARDED_BY(lock); /* `used`: without promises */

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

static void free_frame_locked(uint64_t frame) REQUIRES(lock)
{
    uint64_t index = frame / HUGE_FRAME_BYTES;
    uint32_t bit = frame / FRAME_BYTES % BLOCK_FRAMES;
    struct block *block = &blocks[index];
    block->free[bit / 64] |= UINT64_C(1) << bit % 64;
    free_frames++;
    if (block->free_count++ == 0) {
        partial_insert((uint32_t)index);
    } else if (block->free_count == BLOCK_FRAMES) {
        partial_remove((uint32_t)index);
        whole_set(index);
    }
}

static void add_locked(uint64_t start, uint64_t end) REQUIRES(lock)
{
    uint64_t frame = align_up(start, FRAME_BYTES);
    end &= ~(FRAME_BYTES - 1);
    while (frame < end) {
        if (frame % HUGE_FRAME_BYTES == 0 && end - frame >= HUGE_FRAME_BYTES) {
            whole_set(frame / HUGE_FRAME_BYTES);
            free_frames += BLOCK_FRAMES;
            frame += HUGE_FRAME_BYTES;
        } else {
            free_frame_locked(frame);
            frame += FRAME_BYTES;
        }
    }
}

void frames_add(uint64_t start, uint64_t end)
{
    spinlock_acquire(&lock);
    uint64_t before = free_frames;
    add_locked(start, end);
    counts.total += free_frames - before;
    spinlock_release(&lock);
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
    counts.metadata = bytes / FRAME_BYTES;
    spinlock_release(&lock);
    for (uint32_t i = 0; i < ram_count; i++)
        add_without(ram[i].start, ram[i].end, all_taken, taken_count + 1);

    spinlock_acquire(&lock);
    /* A 64th of all memory, between 1 and 16 MiB. */
    reserve = min_u64(max_u64(counts.total / 64, 256), 4096);
    spinlock_release(&lock);
    return true;
}

/* Free frames that are neither promised nor in reserve. */
static uint64_t unclaimed(void) REQUIRES(lock)
{
    return free_frames > promised + reserve ? free_frames - promised - reserve : 0;
}

bool frames_promise(uint64_t count)
{
    spinlock_acquire(&lock);
    bool done = count <= unclaimed();
    if (done)
        promised += count;
    spinlock_release(&lock);
    return done;
}

void frames_promise_back(uint64_t count)
{
    spinlock_acquire(&lock);
    promised -= count;
    spinlock_release(&lock);
}

uint64_t frame_allocate(enum frame_purpose purpose)
{
    uint64_t frame = NO_FRAME;
    spinlock_acquire(&lock);
    if ((purpose == FRAME_GUEST && unclaimed() == 0) || (purpose == FRAME_KERNEL && free_frames <= promised))
        goto out;
    if (partial == NO_BLOCK) {
        uint32_t index = whole_take();
        if (index == NO_BLOCK)
            goto out;
        memset(blocks[index].free, 0xff, sizeof blocks[index].free);
        blocks[index].free_count = BLOCK_FRAMES;
        partial_insert(index);
    }
    struct block *block = &blocks[partial];
    uint32_t word = 0;
    while (block->free[word] == 0)
        word++;
    uint32_t bit = (uint32_t)__builtin_ctzll(block->free[word]);
    frame = partial * HUGE_FRAME_BYTES + (word * 64 + bit) * FRAME_BYTES;
    block->free[word] &= block->free[word] - 1;
    if (--block->free_count == 0)
        partial_remove(partial);
    free_frames--;
    counts.used++;
    if (purpose == FRAME_PROMISED)
        promised--;
out:
    spinlock_release(&lock);
    return frame;
}

void frame_free(uint64_t frame)
{
    spinlock_acquire(&lock);
    free_frame_locked(frame);
    counts.used--;
    spinlock_release(&lock);
}

uint64_t huge_frame_allocate(void)
{
    uint64_t frame = NO_FRAME;
    spinlock_acquire(&lock);
    if (unclaimed() >= BLOCK_FRAMES) {
        uint32_t index = whole_take();
        if (index != NO_BLOCK) {
            frame = index * HUGE_FRAME_BYTES;
            memset(blocks[index].free, 0, sizeof blocks[index].free);
            blocks[index].free_count = 0;
            free_frames -= BLOCK_FRAMES;
            counts.used += BLOCK_FRAMES;
        }
    }
    spinlock_release(&lock);
    return frame;
}

void huge_frame_free(uint64_t frame)
{
    spinlock_acquire(&lock);
    whole_set(frame / HUGE_FRAME_BYTES);
    free_frames += BLOCK_FRAMES;
    counts.used -= BLOCK_FRAMES;
    spinlock_release(&lock);
}

static void *to_metadata(uint64_t frame, uint64_t bytes)
{
    if (frame == NO_FRAME)
        return NULL;
    frame_zero(frame, bytes);
    spinlock_acquire(&lock);
    counts.used -= bytes / FRAME_BYTES;
    counts.metadata += bytes / FRAME_BYTES;
    spinlock_release(&lock);
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

bool frames_plentiful(void)
{
    spinlock_acquire(&lock);
    bool plentiful = unclaimed() > 0;
    spinlock_release(&lock);
    return plentiful;
}

void frames_statistics(struct frame_statistics *statistics)
{
    spinlock_acquire(&lock);
    *statistics = counts;
    statistics->used += promised;
    spinlock_release(&lock);
}
