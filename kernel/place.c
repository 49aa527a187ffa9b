#include "kernel/place.h"

#include "engine/base.h"
#include "engine/x64/abi.h"
#include "kernel/cpu.h"
#include "kernel/exceptions.h"
#include "kernel/heap.h"
#include "kernel/pieces.h"

#define PLACE_ALIGNMENT (UINT64_C(2) << 20)

/* A pool holds no more than this. */
#define POOL_PLACES_MAXIMUM 64

/* Of a stack that is used again, this much keeps its frames. */
#define STACK_KEPT_BYTES (UINT64_C(32) << 10)

static uint64_t pages_of(uint64_t bytes)
{
    return align_up(bytes, PLATFORM_PAGE_BYTES);
}

/* Everything below the base, at least. */
static size_t bytes_below(const struct place_shape *shape)
{
    return pages_of(shape->header_bytes) +
           (shape->stack ? WASM_STACK_BYTES + PAYLOAD_BYTES + ABI_STACK_GUARD_BYTES : 0);
}

static size_t bytes_above(const struct place_shape *shape)
{
    return shape->capacity ? pages_of(shape->capacity) + pages_of(ABI_MEMORY_GUARD_BYTES) : 0;
}

/* Commit what the shape says, around a base that is reserved. */
static bool commit(const struct place *place)
{
    const struct place_shape *shape = &place->shape;
    size_t below = shape->stack ? (size_t)(place->base - place->stack) : pages_of(shape->header_bytes);
    uint64_t shown = shape->image ? shape->image->bytes : 0, all = pages_of(shape->memory_bytes);
    uint8_t *zeros = place->base + shown;
    if (shown && platform_map_copy(place->base, shape->image->pages, shown) != STATUS_OK) {
        return false;
    }
    if (!shown) { /* in one piece */
        return platform_commit(place->base - below, below + all, PROTECTION_READ_WRITE) == STATUS_OK;
    }
    return platform_commit(place->base - below, below, PROTECTION_READ_WRITE) == STATUS_OK &&
           (all == shown || platform_commit(zeros, all - shown, PROTECTION_READ_WRITE) == STATUS_OK);
}

static void place_destroy(struct place *place)
{
    empty_before_release(place->base, pages_of(place->memory_bytes));
    platform_release(place->reservation, place->reservation_bytes);
    kernel_free(place, sizeof(*place));
}

static struct place *place_create(const struct place_shape *shape)
{
    struct place *place = kernel_allocate_zeroed(sizeof(*place));
    size_t below = bytes_below(shape);
    /* A reservation may begin at any page; a place without stack needs no more than that. */
    size_t slack = shape->stack ? 2 * PLACE_ALIGNMENT : 0;
    if (!place) {
        return NULL;
    }
    place->reservation_bytes = below + bytes_above(shape) + slack;
    place->reservation = platform_reserve_for_guest(place->reservation_bytes);
    if (!place->reservation) {
        kernel_free(place, sizeof(*place));
        return NULL;
    }
    place->base = place->reservation + below;
    if (shape->stack) {
        uintptr_t base = align_up((uintptr_t)place->base + PLACE_ALIGNMENT - PLACE_BELOW_BYTES, PLACE_ALIGNMENT) +
                         PLACE_BELOW_BYTES; /* at most `slack` above where it was */
        uintptr_t stack_end = base - pages_of(shape->header_bytes) - PAYLOAD_BYTES;
        place->base = (uint8_t *)base;
        place->stack = (uint8_t *)((stack_end - WASM_STACK_BYTES) & ~(PLACE_ALIGNMENT - 1));
        place->stack_end = (uint8_t *)stack_end;
    }
    place->shape = *shape;
    place->memory_bytes = shape->memory_bytes;
    if (!commit(place)) {
        place_destroy(place);
        return NULL;
    }
    return place;
}

/* ---- Pools ---- */

enum image_state { IMAGE_NOT_TRIED, IMAGE_IN_WORK, IMAGE_READY, IMAGE_NONE };

struct place_pool *place_pool_create(void)
{
    struct place_pool *pool = kernel_allocate_zeroed(sizeof(*pool));
    if (pool) {
        spinlock_initialize(&pool->lock, LOCK_LEAF);
        pool->references = 1;
    }
    return pool;
}

static void pool_release(struct place_pool *pool)
{
    if (pool && __atomic_sub_fetch(&pool->references, 1, __ATOMIC_ACQ_REL) == 0) {
        image_destroy(&pool->image);
        kernel_free(pool, sizeof(*pool));
    }
}

const struct image *place_pool_image(struct place_pool *pool, const struct module *module)
{
    uint32_t expected = IMAGE_NOT_TRIED;
    if (__atomic_load_n(&pool->image_state, __ATOMIC_ACQUIRE) == IMAGE_READY) {
        return &pool->image;
    }
    if (__atomic_fetch_add(&pool->uses, 1, __ATOMIC_RELAXED) == 0 ||
        !__atomic_compare_exchange_n(&pool->image_state, &expected, IMAGE_IN_WORK, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return NULL;
    }
    bool made = image_is_possible(module) && image_create(module, &pool->image);
    __atomic_store_n(&pool->image_state, made ? IMAGE_READY : IMAGE_NONE, __ATOMIC_RELEASE);
    return made ? &pool->image : NULL;
}

static struct place *pool_take_any(struct place_pool *pool)
{
    spinlock_acquire(&pool->lock);
    struct place *place = pool->idle;
    if (place) {
        pool->idle = place->next;
        pool->count--;
    }
    spinlock_release(&pool->lock);
    return place;
}

void place_pool_trim(struct place_pool *pool)
{
    for (struct place *place; (place = pool_take_any(pool));) {
        place_destroy(place);
    }
}

void place_pool_close(struct place_pool *pool)
{
    spinlock_acquire(&pool->lock);
    pool->closed = true;
    spinlock_release(&pool->lock);
    place_pool_trim(pool);
    pool_release(pool);
}

static bool shapes_equal(const struct place_shape *a, const struct place_shape *b)
{
    return a->header_bytes == b->header_bytes && a->memory_bytes == b->memory_bytes && a->capacity == b->capacity &&
           a->image == b->image && a->stack == b->stack;
}

static struct place *pool_take(struct place_pool *pool, const struct place_shape *shape)
{
    struct place *place;
    spinlock_acquire(&pool->lock);
    struct place **link = &pool->idle;
    while ((place = *link) && !shapes_equal(&place->shape, shape)) {
        link = &place->next;
    }
    if (place) {
        *link = place->next;
        pool->count--;
    }
    spinlock_release(&pool->lock);
    return place;
}

struct place *place_take(struct place_pool *pool, const struct place_shape *shape)
{
    struct place *place = pool ? pool_take(pool, shape) : NULL;
    if (!place) {
        place = place_create(shape);
    }
    if (place) {
        place->pool = pool;
        place->references = 1;
    }
    if (place && pool) {
        __atomic_add_fetch(&pool->references, 1, __ATOMIC_RELAXED);
    }
    return place;
}

/* Back to what it was when it was made, but for the header, and the contents of the stack. False: it is good for
 * nothing any more. */
static bool place_clean(struct place *place)
{
    const struct place_shape *shape = &place->shape;
    uint64_t first = pages_of(shape->memory_bytes), grown = pages_of(place->memory_bytes);
    if (grown > first) {
        decommit_in_pieces(place->base + first, grown - first);
    }
    place->memory_bytes = shape->memory_bytes;
    return (!first || platform_reset(place->base, first, shape->image ? shape->image->pages : NULL,
                                     shape->image ? shape->image->bytes : 0) == STATUS_OK) &&
           (!place->stack ||
            platform_discard(place->stack, (size_t)(place->stack_end - place->stack) - STACK_KEPT_BYTES) == STATUS_OK);
}

static bool pool_has_room(struct place_pool *pool)
{
    spinlock_acquire(&pool->lock);
    bool room = !pool->closed && pool->count < POOL_PLACES_MAXIMUM;
    spinlock_release(&pool->lock);
    return room;
}

/* False: the pool was closed in between. */
static bool pool_put(struct place_pool *pool, struct place *place)
{
    spinlock_acquire(&pool->lock);
    bool open = !pool->closed;
    if (open) {
        place->next = pool->idle;
        pool->idle = place;
        pool->count++;
    }
    spinlock_release(&pool->lock);
    return open;
}

void place_release(struct place *place)
{
    if (__atomic_sub_fetch(&place->references, 1, __ATOMIC_ACQ_REL)) {
        return;
    }
    struct place_pool *pool = place->pool;
    bool kept = pool && !place->shown && pool_has_room(pool);
    if (!kept || !place_clean(place) || !pool_put(pool, place)) {
        place_destroy(place);
    }
    pool_release(pool);
}

void place_return(struct place *place, uint64_t memory_bytes)
{
    place->memory_bytes = memory_bytes;
    place_release(place);
}

bool place_take_stack(struct place *place)
{
    if (!place->stack || __atomic_exchange_n(&place->stack_used, 1, __ATOMIC_ACQUIRE)) {
        return false;
    }
    __atomic_add_fetch(&place->references, 1, __ATOMIC_RELAXED);
    return true;
}

void *place_spare(const struct place *place, size_t bytes)
{
    size_t header = place->shape.header_bytes; /* its last bytes are always written, so the page has its frame */
    return header && header + bytes <= PLATFORM_PAGE_BYTES ? place->base - PLATFORM_PAGE_BYTES : NULL;
}

void place_leave_stack(struct place *place)
{
    __atomic_store_n(&place->stack_used, 0, __ATOMIC_RELEASE);
    place_release(place);
}
