/* Linear memories. A memory has one home, where its pages are committed, and any number of windows that show the same
 * pages. Every place is laid out alike: pages for an instance header, then room for as much as the memory may ever have
 * (`capacity`), and the guard. */
#include "engine/base.h"
#include "kernel/instance_parts.h"
#include "kernel/platform.h"

/* A memory with 32-bit addresses takes all that an address can reach, so that compiled code needs no check. One with
 * 64-bit addresses takes what it may grow to, and does not grow beyond ABI_MEMORY64_MAXIMUM_BYTES. */
static uint64_t memory_capacity(const struct memory_type *type)
{
    uint64_t page = memory_page_bytes(type);
    if (type->limits.is_64) {
        return min_u64(type->limits.maximum, ABI_MEMORY64_MAXIMUM_BYTES / page) * page;
    }
    return type->byte_pages ? UINT32_MAX : ABI_MEMORY_RESERVE_BYTES;
}

static size_t place_bytes(size_t header_bytes, uint64_t capacity)
{
    return align_up(header_bytes, PLATFORM_PAGE_BYTES) + align_up(capacity, PLATFORM_PAGE_BYTES) +
           align_up(ABI_MEMORY_GUARD_BYTES, PLATFORM_PAGE_BYTES);
}

/* A reservation with everything below its guard laid out; the header and `bytes` of memory are committed. */
static uint8_t *place_create(size_t header_bytes, uint64_t capacity, uint64_t bytes)
{
    uint8_t *reservation = platform_reserve_for_guest(place_bytes(header_bytes, capacity));
    size_t committed = align_up(header_bytes, PLATFORM_PAGE_BYTES) + align_up(bytes, PLATFORM_PAGE_BYTES);
    if (reservation && platform_commit(reservation, committed, PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(reservation, place_bytes(header_bytes, capacity));
        return NULL;
    }
    return reservation;
}

enum status memory_object_create(struct process *process, const struct memory_type *type, size_t header_bytes,
                                 struct memory_object **result)
{
    uint64_t page = memory_page_bytes(type), bytes = type->limits.minimum * page, capacity = memory_capacity(type);
    if (type->limits.minimum > capacity / page || !process_charge_memory(process, bytes)) {
        return STATUS_LIMIT;
    }
    struct memory_object *memory = arena_allocate(&process->arena, sizeof(*memory));
    uint8_t *reservation = memory ? place_create(header_bytes, capacity, bytes) : NULL;
    if (!reservation) {
        process->memory_bytes -= bytes;
        return STATUS_NO_MEMORY;
    }
    *memory = (struct memory_object){
        .next = process->memories,
        .process = process,
        .type = *type,
        .bytes = bytes,
        .capacity = capacity,
        .base = reservation + align_up(header_bytes, PLATFORM_PAGE_BYTES),
        .reservation = reservation,
        .reservation_bytes = place_bytes(header_bytes, capacity),
        .waiting_lock = SPINLOCK(LOCK_FUTEX),
    };
    process->memories = memory;
    *result = memory;
    return STATUS_OK;
}

enum status memory_object_window(struct memory_object *memory, size_t header_bytes, struct memory_window **result)
{
    struct memory_window *window = arena_allocate(&memory->process->arena, sizeof(*window));
    uint8_t *reservation = window ? place_create(header_bytes, memory->capacity, 0) : NULL;
    if (!reservation) {
        return STATUS_NO_MEMORY;
    }
    uint8_t *base = reservation + align_up(header_bytes, PLATFORM_PAGE_BYTES);
    uint64_t bytes = align_up(memory->bytes, PLATFORM_PAGE_BYTES);
    if (bytes && platform_alias(base, memory->base, bytes) != STATUS_OK) {
        platform_release(reservation, place_bytes(header_bytes, memory->capacity));
        return STATUS_NO_MEMORY;
    }
    *window = (struct memory_window){memory->windows, base, reservation, place_bytes(header_bytes, memory->capacity)};
    memory->windows = window;
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
        memory->process->memory_bytes -= bytes;
        return UINT64_MAX;
    }
    memory->bytes += bytes;
    for (struct memory_viewer *viewer = memory->viewers; viewer; viewer = viewer->next) {
        viewer->slot->bytes = memory->bytes;
    }
    return old;
}

void memory_object_destroy(struct memory_object *memory)
{
    for (struct memory_window *window = memory->windows; window; window = window->next) {
        platform_release(window->reservation, window->reservation_bytes);
    }
    platform_release(memory->reservation, memory->reservation_bytes);
}

bool memory_object_contains(const struct memory_object *memory, uint64_t address, bool *committed)
{
    const uint8_t *base = memory->base;
    if (address - (uintptr_t)memory->reservation >= memory->reservation_bytes) {
        const struct memory_window *window = memory->windows;
        while (window && address - (uintptr_t)window->reservation >= window->reservation_bytes) {
            window = window->next;
        }
        if (!window) {
            return false;
        }
        base = window->base;
    }
    *committed = address < (uintptr_t)base + memory->bytes;
    return true;
}

enum status memory_create(struct process *process, const struct memory_type *type, struct external *result)
{
    result->kind = EXTERNAL_MEMORY;
    return memory_object_create(process, type, 0, &result->memory);
}
