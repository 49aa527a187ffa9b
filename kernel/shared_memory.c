#include "kernel/shared_memory.h"

#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/handle.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"
#include "kernel/place.h"
#include "kernel/platform.h"
#include "kernel/thread.h"

struct shared_memory {
    struct object object; /* its lock guards the mappings, and what is in their places */
    uint8_t *pages;
    uint64_t bytes;
    struct account *account; /* that pays for the pages */
    struct mapping *mappings;
};

/* One place in the array of a process. Its pages come and go in pieces, from the first to the last and back, each of
 * them with the object locked; in between others run, and others of the process's threads leave it alone (`busy`). */
struct mapping {
    struct mapping *next;         /* of the object; itself: it is in no list, and nothing is shown */
    uint8_t *start;               /* in the linear memory */
    uint64_t bytes;               /* 0: a free place */
    uint64_t shown;               /* of these; the object's lock */
    bool busy;                    /* being created or removed */
    struct shared_memory *memory; /* a reference; NULL: nothing is shown any more */
    struct grant *grant;          /* derived from the handle; NULL as above */
};

static struct shared_memory *memory_of(struct object *object)
{
    return (struct shared_memory *)object;
}

/* ---- Objects ---- */

enum status shared_memory_create(struct account *account, uint64_t bytes, struct object **result)
{
    struct object *object;
    if (bytes == 0 || bytes % PLATFORM_PAGE_BYTES || bytes > SHARED_MEMORY_BYTES_MAXIMUM) {
        return STATUS_INVALID;
    }
    if (!account_charge(account, bytes)) {
        return STATUS_LIMIT;
    }
    enum status status = object_allocate(OBJECT_MEMORY, sizeof(struct shared_memory), account, 0, &object);
    if (status != STATUS_OK) {
        account_credit(account, bytes);
        return status;
    }
    struct shared_memory *memory = memory_of(object);
    memory->bytes = bytes;
    memory->account = account;
    memory->pages = platform_reserve_for_guest(bytes);
    if (!memory->pages || platform_commit(memory->pages, bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        object_release(object);
        return STATUS_NO_MEMORY;
    }
    *result = object;
    return STATUS_OK;
}

uint64_t shared_memory_bytes(struct object *object)
{
    return memory_of(object)->bytes;
}

void shared_memory_object_closed(struct object *object)
{
    (void)object; /* mappings have references of their own */
}

void shared_memory_object_destroy(struct object *object)
{
    struct shared_memory *memory = memory_of(object);
    if (memory->pages) {
        empty_before_release(memory->pages, memory->bytes);
        platform_release(memory->pages, memory->bytes);
    }
    account_credit(memory->account, memory->bytes);
    object_free(object);
}

/* ---- Mappings ---- */

#define PIECE_BYTES (UINT64_C(2) << 20)

static void unlist(struct shared_memory *memory, struct mapping *mapping)
{
    struct mapping **link = &memory->mappings;
    while (*link != mapping) {
        link = &(*link)->next;
    }
    *link = mapping->next;
    mapping->next = mapping;
}

/* Take the last pages away; the place stays reserved. True: there are more. */
static bool hide_piece(struct shared_memory *memory, struct mapping *mapping)
{
    uint8_t *end = mapping->start + mapping->shown;
    uint64_t beyond = (uintptr_t)end % PIECE_BYTES, piece = min_u64(beyond ? beyond : PIECE_BYTES, mapping->shown);
    platform_decommit(end - piece, piece);
    mapping->shown -= piece;
    if (!mapping->shown) {
        unlist(memory, mapping);
    }
    return mapping->shown;
}

/* The handle, or one that it came from, was revoked. Who removes the mapping, or ends, holds the object's lock for
 * that, as the caller does, so the place is still there. */
static bool undo(struct grant *grant)
{
    struct shared_memory *memory = memory_of(grant->object);
    struct mapping *mapping = memory->mappings;
    while (mapping && mapping->grant != grant) {
        mapping = mapping->next;
    }
    return mapping && hide_piece(memory, mapping);
}

/* What the mapping holds goes back. */
static void let_go(struct mapping *mapping)
{
    struct shared_memory *memory = mapping->memory;
    if (!memory) {
        return;
    }
    for (bool more = true; more;) {
        spinlock_acquire(&memory->object.lock);
        more = mapping->next != mapping && hide_piece(memory, mapping);
        spinlock_release(&memory->object.lock);
        thread_preemption_point();
    }
    grant_drop(mapping->grant);
    mapping->memory = NULL;
    mapping->grant = NULL;
    object_release(&memory->object);
}

/* The next piece of the mapping, in place of what was there. */
static enum status show_piece(struct mapping *mapping, struct shared_memory *memory, uint64_t offset,
                              enum mapping_mode mode)
{
    uint8_t *start = mapping->start + mapping->shown, *source = memory->pages + offset + mapping->shown;
    uint64_t piece = min_u64(PIECE_BYTES - (uintptr_t)start % PIECE_BYTES, mapping->bytes - mapping->shown);
    platform_decommit(start, piece);
    enum status status =
        mode == MAPPING_COPY ? platform_map_copy(start, source, piece) : platform_alias(start, source, piece);
    if (status == STATUS_OK && mode == MAPPING_READ) {
        status = platform_protect(start, piece, PROTECTION_READ);
        if (status != STATUS_OK) {
            platform_decommit(start, piece);
        }
    }
    if (status == STATUS_OK && !mapping->shown) {
        mapping->next = memory->mappings;
        memory->mappings = mapping;
    }
    mapping->shown += status == STATUS_OK ? piece : 0;
    return status;
}

static bool overlaps(const struct mapping *mapping, const uint8_t *start, uint64_t bytes)
{
    return mapping->bytes && start < mapping->start + mapping->bytes && mapping->start < start + bytes;
}

/* A free place in the array of the process, if nothing overlaps. */
static enum status find_place(struct process *process, const uint8_t *start, uint64_t bytes, struct mapping **result)
{
    if (!process->mappings) {
        struct mapping *mappings = arena_allocate_array(&process->arena, MAPPINGS_MAXIMUM, sizeof(*mappings));
        if (!mappings) {
            return STATUS_NO_MEMORY;
        }
        __atomic_store_n(&process->mappings, mappings, __ATOMIC_RELEASE);
    }
    *result = NULL;
    for (uint32_t i = 0; i < MAPPINGS_MAXIMUM; i++) {
        struct mapping *mapping = &process->mappings[i];
        if (overlaps(mapping, start, bytes)) {
            return STATUS_EXISTS;
        }
        *result = mapping->bytes || *result ? *result : mapping;
    }
    return *result ? STATUS_OK : STATUS_LIMIT;
}

/* Each piece under the object's lock, so that a revocation comes before or after: through a grant that is revoked
 * nothing is shown. */
static enum status enter(struct mapping *mapping, struct shared_memory *memory, uint64_t offset, enum mapping_mode mode)
{
    enum status status = STATUS_OK;
    for (bool more = true; more;) {
        spinlock_acquire(&memory->object.lock);
        status = grant_is_revoked(mapping->grant) ? STATUS_BAD_HANDLE : show_piece(mapping, memory, offset, mode);
        more = status == STATUS_OK && mapping->shown < mapping->bytes;
        spinlock_release(&memory->object.lock);
        thread_preemption_point();
    }
    return status;
}

static bool is_inside(uint64_t start, uint64_t bytes, uint64_t size)
{
    return bytes && start % PLATFORM_PAGE_BYTES == 0 && bytes % PLATFORM_PAGE_BYTES == 0 && start <= size &&
           bytes <= size - start;
}

enum status mapping_create(struct instance *instance, struct grant *grant, uint64_t address, uint64_t offset,
                           uint64_t bytes, enum mapping_mode mode)
{
    struct shared_memory *memory = memory_of(grant->object);
    const struct memory_object *linear = instance->types->memory_count ? instance->memories[0] : NULL;
    /* None in a shared memory: memory.atomic.wait looks at it with a lock held, when no page may go. */
    bool takes = linear && !linear->windows && linear->base == instance->gs_base && !linear->type.byte_pages &&
                 !linear->type.limits.shared;
    if (!takes || !is_inside(address, bytes, linear->bytes) || !is_inside(offset, bytes, memory->bytes)) {
        return STATUS_INVALID;
    }
    struct mapping *mapping;
    enum status status = find_place(instance->process, linear->base + address, bytes, &mapping);
    struct grant *derived = NULL;
    if (status == STATUS_OK) {
        status = grant_derive(grant, grant->rights, false, undo, &derived);
    }
    if (status != STATUS_OK) {
        return status;
    }
    linear->place->shown = true; /* it is not for others afterwards */
    object_acquire(&memory->object);
    *mapping = (struct mapping){
        .next = mapping, .start = linear->base + address, .memory = memory, .grant = derived, .busy = true};
    __atomic_store_n(&mapping->bytes, bytes, __ATOMIC_RELEASE);
    status = enter(mapping, memory, offset, mode);
    mapping->busy = false;
    if (status != STATUS_OK) {
        mapping_remove(instance, address);
    }
    return status;
}

enum status mapping_remove(struct instance *instance, uint64_t address)
{
    struct process *process = instance->process;
    const uint8_t *start = instance->gs_base + address;
    struct mapping *mapping = process->mappings;
    while (mapping && mapping < process->mappings + MAPPINGS_MAXIMUM && (mapping->start != start || !mapping->bytes)) {
        mapping++;
    }
    if (!mapping || mapping == process->mappings + MAPPINGS_MAXIMUM || mapping->busy) {
        return STATUS_NOT_FOUND;
    }
    mapping->busy = true;
    let_go(mapping);
    mapping->busy = false;
    platform_decommit(mapping->start, mapping->bytes);
    enum status status = platform_commit(mapping->start, mapping->bytes, PROTECTION_READ_WRITE);
    if (status == STATUS_OK) {
        __atomic_store_n(&mapping->bytes, 0, __ATOMIC_RELEASE);
    }
    return status;
}

bool mapping_contains(const struct process *process, uint64_t address)
{
    const struct mapping *mappings = __atomic_load_n(&process->mappings, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; mappings && i < MAPPINGS_MAXIMUM; i++) {
        if (address - (uintptr_t)mappings[i].start < __atomic_load_n(&mappings[i].bytes, __ATOMIC_ACQUIRE)) {
            return true;
        }
    }
    return false;
}

void mappings_release(struct process *process)
{
    for (uint32_t i = 0; process->mappings && i < MAPPINGS_MAXIMUM; i++) {
        let_go(&process->mappings[i]);
    }
}
