#include "platform/pc/reservations.h"

#include "engine/base.h"
#include "kernel/platform.h"
#include "platform/pc/frames.h"
#include "platform/pc/paging.h"

/* What a window shows; belongs to the extent of the window. `source_serial` tells whether the source's extent is still
 * the same reservation. */
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
    uint64_t serial;                /* of the reservation; 0: free */
    struct window *windows;
};

#define SIZE_CLASSES 40

struct arena {
    uint64_t start, end;
    uint64_t unit;
    uint64_t free_classes;             /* a bit for each list that is not empty */
    struct extent *free[SIZE_CLASSES]; /* by log2 of the size in units */
    bool ready;
};

/* See paging.h about locks. */
static struct arena arenas[] = {
    {.start = SMALL_ARENA, .end = SMALL_ARENA_END, .unit = FRAME_BYTES},
    {.start = MIDDLE_ARENA, .end = MIDDLE_ARENA_END, .unit = HUGE_FRAME_BYTES},
    {.start = LARGE_ARENA, .end = LARGE_ARENA_END, .unit = UINT64_C(1) << 30},
    {.start = GUEST_ARENA, .end = GUEST_ARENA_END, .unit = UINT64_C(1) << 30},
};
enum { SMALL, MIDDLE, LARGE, GUEST };
#define RESERVATION_BYTES_MAXIMUM (UINT64_C(1) << 38)

static struct extent *unused_extents;
static uint64_t next_serial = 1;

/* Window records by number: pages of records, found through one page of pointers. */
#define WINDOWS_PER_PAGE (FRAME_BYTES / sizeof(struct window))
#define WINDOW_PAGES     (FRAME_BYTES / sizeof(void *))
static struct window **window_pages;
static uint32_t window_page_count;
static struct window *unused_windows;

/* Reserved extents by start; grows with their number. */
static struct extent **buckets;
static uint64_t bucket_count; /* a power of two */
static uint64_t reserved_count;

/* ---- Records ---- */

static struct extent *extent_create(uint64_t start, uint64_t bytes)
{
    if (!unused_extents) {
        struct extent *page = frame_allocate_metadata();
        if (!page)
            return NULL;
        for (uint32_t i = 0; i < FRAME_BYTES / sizeof *page; i++) {
            page[i].next = unused_extents;
            unused_extents = &page[i];
        }
    }
    struct extent *extent = unused_extents;
    unused_extents = extent->next;
    *extent = (struct extent){.start = start, .bytes = bytes};
    return extent;
}

static void extent_discard(struct extent *extent)
{
    extent->serial = 0;
    extent->next = unused_extents;
    unused_extents = extent;
}

static struct window *window_create(void)
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

static void window_discard(struct window *window)
{
    window->next = unused_windows;
    unused_windows = window;
}

/* ---- Hash of reserved extents ---- */

static struct extent **bucket_of(uint64_t start)
{
    return &buckets[(start >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (bucket_count - 1)];
}

/* More buckets when there are twice as many extents. The first page serves 1024 extents; then huge frames come, which
 * serve half a million. Failing to grow only makes the chains longer. */
static bool buckets_grow(void)
{
    uint64_t old_count = bucket_count;
    struct extent **old = buckets, **grown;
    if (old_count == 0) {
        grown = frame_allocate_metadata();
        bucket_count = FRAME_BYTES / sizeof *grown;
    } else if (old_count == FRAME_BYTES / sizeof *grown) {
        grown = huge_frame_allocate_metadata();
        bucket_count = HUGE_FRAME_BYTES / sizeof *grown;
    } else {
        return true;
    }
    if (!grown) {
        bucket_count = old_count;
        return old_count != 0;
    }
    buckets = grown;
    for (uint64_t i = 0; i < old_count; i++) {
        for (struct extent *extent = old[i], *next; extent; extent = next) {
            next = extent->next;
            struct extent **bucket = bucket_of(extent->start);
            extent->next = *bucket;
            *bucket = extent;
        }
    }
    return true;
}

static bool reserved_insert(struct extent *extent)
{
    if (reserved_count >= 2 * bucket_count && !buckets_grow())
        return false;
    struct extent **bucket = bucket_of(extent->start);
    extent->next = *bucket;
    *bucket = extent;
    extent->serial = next_serial++;
    reserved_count++;
    return true;
}

static struct extent *reserved_remove(uint64_t start)
{
    if (bucket_count == 0)
        return NULL;
    for (struct extent **link = bucket_of(start); *link; link = &(*link)->next) {
        struct extent *extent = *link;
        if (extent->start == start) {
            *link = extent->next;
            reserved_count--;
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
    struct arena *arena = arenas;
    while (address < arena->start || address >= arena->end)
        arena++;
    return arena;
}

static uint32_t size_class(const struct arena *arena, uint64_t bytes)
{
    return 63 - (uint32_t)__builtin_clzll(bytes / arena->unit);
}

static void free_insert(struct arena *arena, struct extent *extent)
{
    uint32_t class = size_class(arena, extent->bytes);
    extent->serial = 0;
    extent->previous = NULL;
    extent->next = arena->free[class];
    if (extent->next)
        extent->next->previous = extent;
    arena->free[class] = extent;
    arena->free_classes |= UINT64_C(1) << class;
}

static void free_remove(struct arena *arena, struct extent *extent)
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

static struct extent *free_find(const struct arena *arena, uint64_t bytes)
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

static bool arena_prepare(struct arena *arena)
{
    if (!arena->ready) {
        struct extent *extent = extent_create(arena->start, arena->end - arena->start);
        if (!extent)
            return false;
        free_insert(arena, extent);
        arena->ready = true;
    }
    return true;
}

static void *reserve_in(struct arena *arena, size_t bytes)
{
    if (bytes == 0 || bytes > RESERVATION_BYTES_MAXIMUM)
        return NULL;
    bytes = align_up(bytes, arena->unit);
    struct extent *extent;
    if (!arena_prepare(arena) || !(extent = free_find(arena, bytes)))
        return NULL;
    struct extent *rest = NULL;
    if (extent->bytes > bytes && !(rest = extent_create(extent->start + bytes, extent->bytes - bytes)))
        return NULL;
    free_remove(arena, extent);
    if (!reserved_insert(extent)) {
        free_insert(arena, extent);
        if (rest)
            extent_discard(rest);
        return NULL;
    }
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

void *platform_reserve(size_t bytes)
{
    return reserve_in(arena_for_size(bytes), bytes);
}

void *platform_reserve_for_guest(size_t bytes)
{
    return reserve_in(&arenas[GUEST], bytes);
}

/* Join a free extent with the free one above it. */
static void join_above(struct arena *arena, struct extent *extent)
{
    struct extent *above = extent->above;
    free_remove(arena, above);
    extent->bytes += above->bytes;
    extent->above = above->above;
    if (extent->above)
        extent->above->below = extent;
    extent_discard(above);
}

void platform_release(void *address, size_t bytes)
{
    struct extent *extent = reserved_remove((uint64_t)address);
    if (!extent)
        platform_panic("release of an address range that is not reserved");
    struct arena *arena = arena_of(extent->start);
    (void)bytes;
    paging_decommit(extent->start, extent->bytes);
    for (struct window *window = extent->windows, *next; window; window = next) {
        next = window->next;
        window_discard(window);
    }
    extent->windows = NULL;
    extent->serial = 0;
    if (extent->above && extent->above->serial == 0)
        join_above(arena, extent);
    if (extent->below && extent->below->serial == 0) {
        struct extent *below = extent->below;
        free_remove(arena, below);
        below->bytes += extent->bytes;
        below->above = extent->above;
        if (below->above)
            below->above->below = below;
        extent_discard(extent);
        extent = below;
    }
    free_insert(arena, extent);
}

/* ---- What is in them ---- */

enum status platform_commit(void *address, size_t bytes, enum protection protection)
{
    return paging_commit((uint64_t)address, bytes, protection);
}

void platform_decommit(void *address, size_t bytes)
{
    if (bytes > 0)
        paging_decommit((uint64_t)address, bytes);
}

enum status platform_protect(void *address, size_t bytes, enum protection protection)
{
    return bytes > 0 ? paging_protect((uint64_t)address, bytes, protection) : STATUS_OK;
}

/* The reserved extent that holds [address, address + bytes), or NULL. Walks down by units of the arena: a few steps for
 * linear memories, which are what has windows. */
static struct extent *reserved_holding(uint64_t address, uint64_t bytes)
{
    for (uint32_t a = 0; a < ARRAY_COUNT(arenas); a++) {
        const struct arena *arena = &arenas[a];
        if (!arena->ready || address < arena->start || address >= arena->end)
            continue;
        uint64_t start = address & ~(arena->unit - 1);
        for (; start >= arena->start; start -= arena->unit) {
            for (struct extent *extent = bucket_count ? *bucket_of(start) : NULL; extent; extent = extent->next) {
                if (extent->start == start)
                    return address + bytes <= start + extent->bytes ? extent : NULL;
            }
        }
    }
    return NULL;
}

enum status platform_alias(void *window_address, void *source_address, size_t bytes)
{
    uint64_t start = (uint64_t)window_address, source = (uint64_t)source_address;
    struct extent *extent = reserved_holding(start, bytes), *source_extent = reserved_holding(source, bytes);
    if (!extent || !source_extent || bytes == 0)
        return STATUS_INVALID;

    /* The next part of a growing memory continues the record of the part before it. */
    struct window *last = extent->windows;
    bool continues = last && last->start + last->bytes == start && last->source + last->bytes == source &&
                     last->source_extent == source_extent && last->source_serial == source_extent->serial;
    struct window *window = continues ? last : window_create();
    if (!window)
        return STATUS_NO_MEMORY;
    enum status status = paging_window(start, bytes, window->number);
    if (status != STATUS_OK) {
        if (!continues)
            window_discard(window);
        return status;
    }
    if (continues) {
        window->bytes += bytes;
        return STATUS_OK;
    }
    window->start = start;
    window->bytes = bytes;
    window->source = source;
    window->source_extent = source_extent;
    window->source_serial = source_extent->serial;
    window->next = extent->windows;
    extent->windows = window;
    return STATUS_OK;
}

bool reservation_window_source(uint32_t number, uint64_t address, uint64_t *source)
{
    const struct window *window = &window_pages[number / WINDOWS_PER_PAGE][number % WINDOWS_PER_PAGE];
    if (window->source_extent->serial != window->source_serial)
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
