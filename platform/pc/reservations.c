#include "platform/pc/reservations.h"

#include "engine/base.h"
#include "kernel/platform.h"
#include "platform/pc/frames.h"
#include "platform/pc/paging.h"
#include "platform/pc/spinlock.h"

/* What a window shows; belongs to the extent of the window, and is not changed while pages name it. `source_serial`
 * tells whether the source's extent is still the same reservation. */
struct window {
    uint64_t start, bytes, source;
    struct extent *source_extent;
    uint64_t source_serial;
    struct window *next; /* of the same extent, or free */
    uint32_t number;
};

/* A part of an arena, reserved or free. Records are never given back, only used again, so a pointer to one stays valid.
 */
struct extent {
    uint64_t start, bytes;
    struct extent *below, *above;   /* neighbours by address, NULL at the arena's ends */
    struct extent *next, *previous; /* free: list of its size; reserved: chain of the hash (next only); unused: next */
    uint64_t serial;                /* of the reservation, atomic; 0: free */
    struct window *windows;
};

/* Serial of an extent that is being released: not reserved any more, not free yet. */
#define SERIAL_RELEASED UINT64_MAX

#define SIZE_CLASSES 40

struct arena {
    uint64_t start, end;
    uint64_t unit;
    struct spinlock lock;              /* of all that follows, and of the extents */
    uint64_t free_classes;             /* a bit for each list that is not empty */
    struct extent *free[SIZE_CLASSES]; /* by log2 of the size in units */
    struct extent *unused;             /* records */
    struct extent *fresh;              /* records that were never used: these, and so many behind them */
    uint64_t fresh_count;
    bool ready;
    /* Reserved extents by start; grows with their number. */
    struct extent **buckets;
    uint64_t bucket_count; /* a power of two */
    uint64_t reserved_count;
};

enum { SMALL, MIDDLE, LARGE, GUEST, ARENA_COUNT };

/* What each arena begins with. */
#define FIRST_EXTENTS 32
#define FIRST_BUCKETS 64
static struct extent first_extents[ARENA_COUNT][FIRST_EXTENTS];
static struct extent *first_buckets[ARENA_COUNT][FIRST_BUCKETS];

#define ARENA(NAME, unit_)                                                                                             \
    [NAME] = {.start = NAME##_ARENA,                                                                                   \
              .end = NAME##_ARENA_END,                                                                                 \
              .unit = unit_,                                                                                           \
              .fresh = first_extents[NAME],                                                                            \
              .fresh_count = FIRST_EXTENTS,                                                                            \
              .buckets = first_buckets[NAME],                                                                          \
              .bucket_count = FIRST_BUCKETS}
static struct arena arenas[ARENA_COUNT] = {
    ARENA(SMALL, FRAME_BYTES),
    ARENA(MIDDLE, HUGE_FRAME_BYTES),
    ARENA(LARGE, UINT64_C(1) << 30),
    ARENA(GUEST, UINT64_C(1) << 30),
};
#define RESERVATION_BYTES_MAXIMUM (UINT64_C(1) << 38)

static uint64_t next_serial = 1; /* atomic */

/* Window records by number: pages of records, found through one page of pointers. */
#define WINDOWS_PER_PAGE (FRAME_BYTES / sizeof(struct window))
#define WINDOW_PAGES     (FRAME_BYTES / sizeof(void *))
static struct spinlock window_lock;  /* also of the lists in extents */
static struct window **window_pages; /* written under the lock, before a record of the page gets into an entry */
static uint32_t window_page_count GUARDED_BY(window_lock);
static struct window *unused_windows GUARDED_BY(window_lock);

/* ---- Records ---- */

static struct extent *extent_create(struct arena *arena, uint64_t start, uint64_t bytes) REQUIRES(arena->lock)
{
    struct extent *extent = arena->unused;
    if (extent) {
        arena->unused = extent->next;
    } else {
        if (arena->fresh_count == 0) {
            arena->fresh = frame_allocate_metadata();
            if (!arena->fresh)
                return NULL;
            arena->fresh_count = FRAME_BYTES / sizeof *extent;
        }
        extent = arena->fresh++;
        arena->fresh_count--;
    }
    *extent = (struct extent){.start = start, .bytes = bytes};
    return extent;
}

static void serial_set(struct extent *extent, uint64_t serial)
{
    __atomic_store_n(&extent->serial, serial, __ATOMIC_RELEASE);
}

static void extent_discard(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    serial_set(extent, 0);
    extent->next = arena->unused;
    arena->unused = extent;
}

static struct window *window_create(void) REQUIRES(window_lock)
{
    if (!unused_windows) {
        if (!window_pages)
            window_pages = frame_allocate_metadata();
        if (!window_pages || window_page_count == WINDOW_PAGES)
            return NULL;
        struct window *page = frame_allocate_metadata();
        if (!page)
            return NULL;
        window_pages[window_page_count] = page;
        for (uint32_t i = 0; i < WINDOWS_PER_PAGE; i++) {
            page[i].number = (uint32_t)(window_page_count * WINDOWS_PER_PAGE + i);
            page[i].next = unused_windows;
            unused_windows = &page[i];
        }
        window_page_count++;
    }
    struct window *window = unused_windows;
    unused_windows = window->next;
    return window;
}

static void window_discard(struct window *window) REQUIRES(window_lock)
{
    window->next = unused_windows;
    unused_windows = window;
}

/* ---- Hash of reserved extents ---- */

static struct extent **bucket_of(const struct arena *arena, uint64_t start) REQUIRES(arena->lock)
{
    return &arena->buckets[(start >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (arena->bucket_count - 1)];
}

/* More buckets when there are twice as many extents: a page of them, then a huge frame, which serves half a million. If
 * there is no memory, the chains become longer. */
static void buckets_grow(struct arena *arena) REQUIRES(arena->lock)
{
    const uint64_t page_count = FRAME_BYTES / sizeof(struct extent *);
    uint64_t old_count = arena->bucket_count;
    struct extent **old = arena->buckets, **grown = NULL;
    if (old_count < page_count)
        grown = frame_allocate_metadata();
    else if (old_count == page_count)
        grown = huge_frame_allocate_metadata();
    if (!grown)
        return;
    arena->bucket_count = old_count < page_count ? page_count : HUGE_FRAME_BYTES / sizeof *grown;
    arena->buckets = grown;
    for (uint64_t i = 0; i < old_count; i++) {
        for (struct extent *extent = old[i], *next; extent; extent = next) {
            next = extent->next;
            struct extent **bucket = bucket_of(arena, extent->start);
            extent->next = *bucket;
            *bucket = extent;
        }
    }
}

static void reserved_insert(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    if (arena->reserved_count >= 2 * arena->bucket_count)
        buckets_grow(arena);
    struct extent **bucket = bucket_of(arena, extent->start);
    extent->next = *bucket;
    *bucket = extent;
    serial_set(extent, __atomic_fetch_add(&next_serial, 1, __ATOMIC_RELAXED));
    arena->reserved_count++;
}

static struct extent *reserved_remove(struct arena *arena, uint64_t start) REQUIRES(arena->lock)
{
    for (struct extent **link = bucket_of(arena, start); *link; link = &(*link)->next) {
        struct extent *extent = *link;
        if (extent->start == start) {
            *link = extent->next;
            arena->reserved_count--;
            return extent;
        }
    }
    return NULL;
}

/* ---- Arenas ---- */

static struct arena *arena_for_size(uint64_t bytes)
{
    return &arenas[bytes < HUGE_FRAME_BYTES ? SMALL : bytes < UINT64_C(1) << 30 ? MIDDLE : LARGE];
}

static struct arena *arena_of(uint64_t address)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(arenas); i++) {
        if (address >= arenas[i].start && address < arenas[i].end)
            return &arenas[i];
    }
    return NULL;
}

static uint32_t size_class(const struct arena *arena, uint64_t bytes)
{
    return 63 - (uint32_t)__builtin_clzll(bytes / arena->unit);
}

static void free_insert(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    uint32_t class = size_class(arena, extent->bytes);
    serial_set(extent, 0);
    extent->previous = NULL;
    extent->next = arena->free[class];
    if (extent->next)
        extent->next->previous = extent;
    arena->free[class] = extent;
    arena->free_classes |= UINT64_C(1) << class;
}

static void free_remove(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    uint32_t class = size_class(arena, extent->bytes);
    if (extent->previous)
        extent->previous->next = extent->next;
    else
        arena->free[class] = extent->next;
    if (extent->next)
        extent->next->previous = extent->previous;
    if (!arena->free[class])
        arena->free_classes &= ~(UINT64_C(1) << class);
}

/* Look so far into the list in which some extents are too small. */
#define SEARCH_MAXIMUM 16

static struct extent *free_find(const struct arena *arena, uint64_t bytes) REQUIRES(arena->lock)
{
    uint32_t class = size_class(arena, bytes);
    struct extent *extent = arena->free[class];
    for (uint32_t i = 0; extent && i < SEARCH_MAXIMUM; i++, extent = extent->next) {
        if (extent->bytes >= bytes)
            return extent;
    }
    uint64_t larger = arena->free_classes >> class >> 1;
    return larger ? arena->free[class + 1 + (uint32_t)__builtin_ctzll(larger)] : NULL;
}

static bool arena_prepare(struct arena *arena) REQUIRES(arena->lock)
{
    if (!arena->ready) {
        struct extent *extent = extent_create(arena, arena->start, arena->end - arena->start);
        if (!extent)
            return false;
        free_insert(arena, extent);
        arena->ready = true;
    }
    return true;
}

static void *reserve_locked(struct arena *arena, size_t bytes) REQUIRES(arena->lock)
{
    struct extent *extent;
    if (!arena_prepare(arena) || !(extent = free_find(arena, bytes)))
        return NULL;
    struct extent *rest = NULL;
    if (extent->bytes > bytes && !(rest = extent_create(arena, extent->start + bytes, extent->bytes - bytes)))
        return NULL;
    free_remove(arena, extent);
    reserved_insert(arena, extent);
    if (rest) {
        extent->bytes = bytes;
        rest->below = extent;
        rest->above = extent->above;
        if (rest->above)
            rest->above->below = rest;
        extent->above = rest;
        free_insert(arena, rest);
    }
    return (void *)extent->start;
}

static void *reserve_in(struct arena *arena, size_t bytes)
{
    if (bytes == 0 || bytes > RESERVATION_BYTES_MAXIMUM)
        return NULL;
    spinlock_acquire(&arena->lock);
    void *start = reserve_locked(arena, align_up(bytes, arena->unit));
    spinlock_release(&arena->lock);
    return start;
}

void *platform_reserve(size_t bytes)
{
    return reserve_in(arena_for_size(bytes), bytes);
}

void *platform_reserve_for_guest(size_t bytes)
{
    return reserve_in(&arenas[GUEST], bytes);
}

/* Join a free extent with the free one above it. */
static void join_above(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    struct extent *above = extent->above;
    free_remove(arena, above);
    extent->bytes += above->bytes;
    extent->above = above->above;
    if (extent->above)
        extent->above->below = extent;
    extent_discard(arena, above);
}

/* Make what was released free. */
static void free_joined(struct arena *arena, struct extent *extent) REQUIRES(arena->lock)
{
    if (extent->above && extent->above->serial == 0)
        join_above(arena, extent);
    if (extent->below && extent->below->serial == 0) {
        struct extent *below = extent->below;
        free_remove(arena, below);
        below->bytes += extent->bytes;
        below->above = extent->above;
        if (below->above)
            below->above->below = below;
        extent_discard(arena, extent);
        extent = below;
    }
    free_insert(arena, extent);
}

/* First nobody finds it any more, as a reservation or as a source; then it is emptied; then it can be reserved again.
 */
void platform_release(void *address, size_t bytes)
{
    struct arena *arena = arena_of((uint64_t)address);
    (void)bytes;
    if (!arena)
        platform_panic("release of an address range that is not reserved");
    spinlock_acquire(&arena->lock);
    struct extent *extent = reserved_remove(arena, (uint64_t)address);
    if (extent)
        serial_set(extent, SERIAL_RELEASED);
    spinlock_release(&arena->lock);
    if (!extent)
        platform_panic("release of an address range that is not reserved");

    paging_decommit(extent->start, extent->bytes);
    if (extent->windows) {
        spinlock_acquire(&window_lock);
        for (struct window *window = extent->windows, *next; window; window = next) {
            next = window->next;
            window_discard(window);
        }
        spinlock_release(&window_lock);
        extent->windows = NULL;
    }
    spinlock_acquire(&arena->lock);
    free_joined(arena, extent);
    spinlock_release(&arena->lock);
}

/* ---- What is in them ---- */

enum status platform_commit(void *address, size_t bytes, enum protection protection)
{
    return paging_commit((uint64_t)address, bytes, protection);
}

enum status platform_populate(void *address, size_t bytes)
{
    return paging_populate((uint64_t)address, bytes) ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status platform_protect(void *address, size_t bytes, enum protection protection)
{
    return bytes > 0 ? paging_protect((uint64_t)address, bytes, protection) : STATUS_OK;
}

/* The reserved extent that holds [address, address + bytes), or NULL. Walks down by units of the arena: a few steps for
 * linear memories, which are what has windows. */
static struct extent *find_holding(const struct arena *arena, uint64_t address, uint64_t bytes) REQUIRES(arena->lock)
{
    uint64_t start = address & ~(arena->unit - 1);
    for (; start >= arena->start; start -= arena->unit) {
        for (struct extent *extent = *bucket_of(arena, start); extent; extent = extent->next) {
            if (extent->start == start)
                return address + bytes <= start + extent->bytes ? extent : NULL;
        }
    }
    return NULL;
}

static struct extent *reserved_holding(uint64_t address, uint64_t bytes)
{
    struct arena *arena = arena_of(address);
    if (!arena)
        return NULL;
    spinlock_acquire(&arena->lock);
    struct extent *extent = find_holding(arena, address, bytes);
    spinlock_release(&arena->lock);
    return extent;
}

/* Records of windows that are gone as a whole. */
static void forget_windows(struct extent *extent, uint64_t start, uint64_t end)
{
    spinlock_acquire(&window_lock);
    for (struct window **link = &extent->windows, *window; (window = *link);) {
        if (window->start >= start && window->start + window->bytes <= end) {
            *link = window->next;
            window_discard(window);
        } else {
            link = &window->next;
        }
    }
    spinlock_release(&window_lock);
}

void platform_decommit(void *address, size_t bytes)
{
    uint64_t start = (uint64_t)address;
    if (bytes == 0)
        return;
    paging_decommit(start, bytes);
    struct extent *extent = arena_of(start) == &arenas[GUEST] ? reserved_holding(start, bytes) : NULL;
    if (extent && extent->windows)
        forget_windows(extent, start, start + bytes);
}

/* A record that tells where [start, start + bytes) comes from, in the extent's list; NULL: no memory. The next part of
 * a growing memory continues the record of the part before it. */
static struct window *window_record(struct extent *extent, uint64_t start, uint64_t source,
                                    struct extent *source_extent, uint64_t bytes) REQUIRES(window_lock)
{
    uint64_t serial = __atomic_load_n(&source_extent->serial, __ATOMIC_ACQUIRE);
    struct window *last = extent->windows;
    if (last && last->start + last->bytes == start && last->source + last->bytes == source &&
        last->source_extent == source_extent && last->source_serial == serial) {
        last->bytes += bytes;
        return last;
    }
    struct window *window = window_create();
    if (window) {
        *window = (struct window){start, bytes, source, source_extent, serial, extent->windows, window->number};
        extent->windows = window;
    }
    return window;
}

static enum status show(void *window_address, void *source_address, size_t bytes, bool copy)
{
    uint64_t start = (uint64_t)window_address, source = (uint64_t)source_address;
    struct extent *extent = reserved_holding(start, bytes), *source_extent = reserved_holding(source, bytes);
    if (!extent || !source_extent || bytes == 0)
        return STATUS_INVALID;
    spinlock_acquire(&window_lock);
    struct window *window = window_record(extent, start, source, source_extent, bytes);
    uint32_t number = window ? window->number : 0;
    spinlock_release(&window_lock);
    if (!window)
        return STATUS_NO_MEMORY;
    enum status status = paging_window(start, bytes, number, copy);
    if (status != STATUS_OK) {
        spinlock_acquire(&window_lock);
        window->bytes -= bytes; /* if nothing is left, the record goes with the reservation */
        spinlock_release(&window_lock);
    }
    return status;
}

enum status platform_alias(void *window, void *source, size_t bytes)
{
    return show(window, source, bytes, false);
}

enum status platform_map_copy(void *window, void *source, size_t bytes)
{
    return show(window, source, bytes, true);
}

enum status platform_discard(void *address, size_t bytes)
{
    return bytes == 0 || paging_renew((uint64_t)address, bytes, 0) ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Number of the record of a window that begins at `start`. */
static bool find_window(uint64_t start, uint64_t bytes, uint32_t *number)
{
    const struct extent *extent = reserved_holding(start, bytes);
    spinlock_acquire(&window_lock);
    const struct window *window = extent ? extent->windows : NULL;
    while (window && (window->start != start || window->bytes < bytes))
        window = window->next;
    if (window)
        *number = window->number;
    spinlock_release(&window_lock);
    return window != NULL;
}

/* So many pages of zeros keep their frames. */
#define RESET_PAGES_KEPT 32

enum status platform_reset(void *address, size_t bytes, const void *source, size_t source_bytes)
{
    uint64_t start = (uint64_t)address;
    uint32_t number;
    (void)source;
    if (source_bytes &&
        (!find_window(start, source_bytes, &number) || !paging_renew_window(start, source_bytes, number)))
        return STATUS_NO_MEMORY;
    return bytes == source_bytes || paging_renew(start + source_bytes, bytes - source_bytes, RESET_PAGES_KEPT)
               ? STATUS_OK
               : STATUS_NO_MEMORY;
}

bool reservation_window_source(uint32_t number, uint64_t address, uint64_t *source)
{
    const struct window *window = &window_pages[number / WINDOWS_PER_PAGE][number % WINDOWS_PER_PAGE];
    if (__atomic_load_n(&window->source_extent->serial, __ATOMIC_ACQUIRE) != window->source_serial)
        return false;
    *source = window->source + (address - window->start);
    return true;
}

void platform_memory_statistics(struct platform_memory *statistics)
{
    struct frame_statistics frames;
    frames_statistics(&frames);
    statistics->frames_total = frames.total;
    statistics->frames_used = frames.used;
}
