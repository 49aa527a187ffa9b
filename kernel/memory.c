/* Linear memories. A memory has one home, where its pages are committed, and any number of windows that show the same
 * pages. Every place is laid out alike: pages for an instance header, then room for as much as the memory may ever have
 * (`capacity`), and the guard. */
#include "engine/base.h"
#include "kernel/instance_parts.h"
#include "kernel/place.h"
#include "kernel/platform.h"
#include "kernel/trace.h"

/* A memory with 32-bit addresses takes all that an address can reach, so that compiled code needs no check. One with
 * 64-bit addresses takes what it may grow to, and does not grow beyond ABI_MEMORY64_MAXIMUM_BYTES. At least a page,
 * since a place without capacity has no guard. */
static uint64_t memory_capacity(const struct memory_type *type)
{
    uint64_t page = memory_page_bytes(type);
    if (type->limits.is_64) {
        uint64_t maximum = min_u64(type->limits.maximum, ABI_MEMORY64_MAXIMUM_BYTES / page) * page;
        return max_u64(maximum, PLATFORM_PAGE_BYTES);
    }
    return type->byte_pages ? UINT32_MAX : ABI_MEMORY_RESERVE_BYTES;
}

enum status memory_object_create(struct process *process, const struct memory_type *type,
                                 const struct memory_home *home, struct memory_object **result)
{
    uint64_t page = memory_page_bytes(type), bytes = type->limits.minimum * page, capacity = memory_capacity(type);
    if (type->limits.minimum > capacity / page || !process_charge_memory(process, bytes)) {
        return STATUS_LIMIT;
    }
    struct memory_object *memory = arena_allocate(&process->arena, sizeof(*memory));
    struct place_shape shape = {home->header_bytes, bytes, capacity, home->image, home->stack};
    struct place *place = memory ? place_take(home->pool, &shape) : NULL;
    if (!place) {
        process_credit_memory(process, bytes);
        return STATUS_NO_MEMORY;
    }
    *memory = (struct memory_object){
        .next = process->memories,
        .process = process,
        .type = *type,
        .bytes = bytes,
        .capacity = capacity,
        .base = place->base,
        .place = place,
        .waiting_lock = SPINLOCK(LOCK_FUTEX),
    };
    __atomic_store_n(&process->memories, memory, __ATOMIC_RELEASE); /* page faults look at it */
    *result = memory;
    return STATUS_OK;
}

enum status memory_object_window(struct memory_object *memory, const struct memory_home *home,
                                 struct memory_window **result)
{
    struct memory_window *window = arena_allocate(&memory->process->arena, sizeof(*window));
    struct place_shape shape = {home->header_bytes, 0, memory->capacity, NULL, home->stack};
    struct place *place = window ? place_take(home->pool, &shape) : NULL;
    if (!place) {
        return STATUS_NO_MEMORY;
    }
    uint64_t bytes = align_up(memory->bytes, PLATFORM_PAGE_BYTES);
    place->shown = memory->place->shown = true;
    if (bytes && platform_alias(place->base, memory->base, bytes) != STATUS_OK) {
        place_release(place);
        return STATUS_NO_MEMORY;
    }
    *window = (struct memory_window){memory->windows, place->base, place};
    __atomic_store_n(&memory->windows, window, __ATOMIC_RELEASE); /* page faults look at it */
    *result = window;
    return STATUS_OK;
}

enum status memory_object_view(struct memory_object *memory, struct memory_slot *slot, uint8_t *base)
{
    struct memory_viewer *viewer = arena_allocate(&memory->process->arena, sizeof(*viewer));
    if (!viewer) {
        return STATUS_NO_MEMORY;
    }
    *viewer = (struct memory_viewer){memory->viewers, slot};
    memory->viewers = viewer;
    *slot = (struct memory_slot){(uintptr_t)base, memory->bytes};
    return STATUS_OK;
}

/* The pages that further bytes need, in the home and in all windows, or in none. */
static bool extend(struct memory_object *memory, uint64_t added)
{
    uint64_t offset = align_up(memory->bytes, PLATFORM_PAGE_BYTES);
    uint64_t bytes = align_up(memory->bytes + added, PLATFORM_PAGE_BYTES) - offset;
    uint8_t *end = memory->base + offset;
    struct memory_window *window = memory->windows;
    if (bytes == 0) { /* in a page that is there: a memory with pages of a byte */
        return true;
    }
    if (platform_commit(end, bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        return false;
    }
    while (window && platform_alias(window->base + offset, end, bytes) == STATUS_OK) {
        window = window->next;
    }
    if (!window) {
        return true;
    }
    for (struct memory_window *undo = memory->windows; undo != window; undo = undo->next) {
        platform_decommit(undo->base + offset, bytes);
    }
    platform_decommit(end, bytes);
    return false;
}

uint64_t memory_object_grow(struct memory_object *memory, uint64_t pages)
{
    uint64_t page = memory_page_bytes(&memory->type), old = memory->bytes / page;
    uint64_t maximum = min_u64(memory->type.limits.maximum, memory->capacity / page);
    uint64_t bytes = pages * page;
    if (pages == 0) {
        return old;
    }
    if (pages > maximum || old > maximum - pages || !process_charge_memory(memory->process, bytes)) {
        return UINT64_MAX;
    }
    if (!extend(memory, bytes)) {
        process_credit_memory(memory->process, bytes);
        return UINT64_MAX;
    }
    __atomic_store_n(&memory->bytes, memory->bytes + bytes, __ATOMIC_RELAXED);
    TRACE(MEMORY_GROW, memory->bytes, 0);
    for (struct memory_viewer *viewer = memory->viewers; viewer; viewer = viewer->next) {
        __atomic_store_n(&viewer->slot->bytes, memory->bytes, __ATOMIC_RELAXED);
    }
    return old;
}

void memory_object_destroy(struct memory_object *memory)
{
    for (struct memory_window *window = memory->windows; window; window = window->next) {
        place_release(window->place);
    }
    place_return(memory->place, memory->bytes);
}

bool memory_object_contains(const struct memory_object *memory, uint64_t address, bool *committed)
{
    const uint8_t *base = memory->base;
    if (!place_contains(memory->place, address)) {
        const struct memory_window *window = memory->windows;
        while (window && !place_contains(window->place, address)) {
            window = window->next;
        }
        if (!window) {
            return false;
        }
        base = window->base;
    }
    *committed = address < (uintptr_t)base + memory_object_bytes(memory);
    return true;
}

enum status memory_create(struct process *process, const struct memory_type *type, struct external *result)
{
    result->kind = EXTERNAL_MEMORY;
    return memory_object_create(process, type, &(struct memory_home){0}, &result->memory);
}
