/* Linear memories. A memory has one home, where its pages are committed, and any number of windows that show the same
 * pages. Every place is laid out alike: pages for an instance header, then ABI_MEMORY_RESERVE_BYTES and the guard. */
#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/objects.h"
#include "kernel/platform.h"

static size_t place_bytes(size_t header_bytes)
{
    return align_up(header_bytes, PLATFORM_PAGE_BYTES) + ABI_MEMORY_RESERVE_BYTES +
           align_up(ABI_MEMORY_GUARD_BYTES, PLATFORM_PAGE_BYTES);
}

enum status memory_object_create(struct process *process, const struct memory_type *type, size_t header_bytes,
                                 struct memory_object **result)
{
    if (type->limits.minimum > WASM_PAGES_MAXIMUM) {
        return STATUS_LIMIT;
    }
    uint64_t bytes = type->limits.minimum * WASM_PAGE_BYTES;
    struct memory_object *memory = arena_allocate(&process->arena, sizeof(*memory));
    if (!memory || !process_charge_memory(process, bytes)) {
        return STATUS_NO_MEMORY;
    }
    size_t header_room = align_up(header_bytes, PLATFORM_PAGE_BYTES);
    size_t reserved = place_bytes(header_bytes);
    uint8_t *reservation = platform_reserve(reserved);
    if (!reservation) {
        return STATUS_NO_MEMORY;
    }
    if (platform_commit(reservation, header_room + bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(reservation, reserved);
        return STATUS_NO_MEMORY;
    }
    *memory = (struct memory_object){
        .next = process->memories,
        .process = process,
        .type = *type,
        .bytes = bytes,
        .base = reservation + header_room,
        .reservation = reservation,
        .reservation_bytes = reserved,
    };
    process->memories = memory;
    *result = memory;
    return STATUS_OK;
}

enum status memory_object_window(struct memory_object *memory, size_t header_bytes, struct memory_window **result)
{
    struct memory_window *window = arena_allocate(&memory->process->arena, sizeof(*window));
    size_t header_room = align_up(header_bytes, PLATFORM_PAGE_BYTES);
    size_t reserved = place_bytes(header_bytes);
    uint8_t *reservation = window ? platform_reserve(reserved) : NULL;
    if (!reservation) {
        return STATUS_NO_MEMORY;
    }
    if (platform_commit(reservation, header_room, PROTECTION_READ_WRITE) != STATUS_OK ||
        (memory->bytes && platform_alias(reservation + header_room, memory->base, memory->bytes) != STATUS_OK)) {
        platform_release(reservation, reserved);
        return STATUS_NO_MEMORY;
    }
    *window = (struct memory_window){memory->windows, reservation + header_room, reservation, reserved};
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

uint64_t memory_object_grow(struct memory_object *memory, uint64_t pages)
{
    uint64_t old = memory->bytes / WASM_PAGE_BYTES;
    uint64_t maximum = min_u64(memory->type.limits.maximum, WASM_PAGES_MAXIMUM);
    uint64_t bytes = pages * WASM_PAGE_BYTES;
    if (pages == 0) {
        return old;
    }
    if (pages > maximum || old > maximum - pages || !process_charge_memory(memory->process, bytes)) {
        return UINT64_MAX;
    }
    bool done = platform_commit(memory->base + memory->bytes, bytes, PROTECTION_READ_WRITE) == STATUS_OK;
    struct memory_window *window = done ? memory->windows : NULL;
    for (; window; window = window->next) {
        if (platform_alias(window->base + memory->bytes, memory->base + memory->bytes, bytes) != STATUS_OK) {
            break;
        }
    }
    if (!done || window) {
        for (struct memory_window *undo = memory->windows; done && undo != window; undo = undo->next) {
            platform_decommit(undo->base + memory->bytes, bytes);
        }
        if (done) {
            platform_decommit(memory->base + memory->bytes, bytes);
        }
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
