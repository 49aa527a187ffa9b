/* Tables of references. A small table with a maximum lies in the process's arena; any other has a reservation for as
 * many entries as it may ever have, committed as it grows, so that it never moves. */
#include "engine/base.h"
#include "engine/limits.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"
#include "kernel/platform.h"

#define ARENA_ENTRIES 4096
#define COMMIT_BYTES  UINT64_C(65536)

static bool commit_entries(struct table_object *table, uint64_t entries)
{
    size_t needed = min_u64(align_up(entries * sizeof(uint32_t), COMMIT_BYTES), table->reservation_bytes);
    if (!table->reservation || needed <= table->committed_bytes) {
        return true;
    }
    size_t bytes = needed - table->committed_bytes;
    if (!process_charge_memory(table->process, bytes)) {
        return false;
    }
    if (platform_commit((uint8_t *)table->reservation + table->committed_bytes, bytes, PROTECTION_READ_WRITE) !=
        STATUS_OK) {
        process_credit_memory(table->process, bytes);
        return false;
    }
    table->committed_bytes = needed;
    return true;
}

enum status table_object_create(struct process *process, const struct table_type *type, struct table_slot *slot,
                                struct table_object **result)
{
    uint64_t capacity = min_u64(type->limits.maximum, ENGINE_LIMIT_TABLE_ENTRIES);
    if (type->limits.minimum > capacity) {
        return STATUS_LIMIT;
    }
    struct table_object *table = arena_allocate(&process->arena, sizeof(*table));
    if (!table) {
        return STATUS_NO_MEMORY;
    }
    table->process = process;
    table->type = *type;
    table->slot = slot ? slot : &table->own_slot;
    table->capacity = capacity;
    void *entries;
    if (capacity <= ARENA_ENTRIES) {
        entries = arena_allocate_array(&process->arena, max_u64(capacity, 1), sizeof(uint32_t));
    } else {
        table->reservation_bytes = align_up(capacity * sizeof(uint32_t), PLATFORM_PAGE_BYTES);
        entries = table->reservation = platform_reserve_for_guest(table->reservation_bytes);
        if (entries && !commit_entries(table, type->limits.minimum)) {
            platform_release(table->reservation, table->reservation_bytes);
            entries = NULL;
        }
    }
    if (!entries) {
        return STATUS_NO_MEMORY;
    }
    *table->slot = (struct table_slot){(uintptr_t)entries, type->limits.minimum};
    table->next = process->tables;
    __atomic_store_n(&process->tables, table, __ATOMIC_RELEASE); /* page faults look at it */
    *result = table;
    return STATUS_OK;
}

uint64_t table_object_grow(struct table_object *table, uint64_t entries, uint32_t reference)
{
    uint64_t old = table->slot->length;
    if (entries > table->capacity - old || !commit_entries(table, old + entries)) {
        return UINT64_MAX;
    }
    fill_elements(table_entries(table) + old, sizeof(reference), &reference, entries);
    table->slot->length = old + entries;
    return old;
}

void table_object_destroy(struct table_object *table)
{
    if (table->reservation) {
        platform_release(table->reservation, table->reservation_bytes);
    }
}

enum status table_create(struct process *process, const struct table_type *type, struct external *result)
{
    result->kind = EXTERNAL_TABLE;
    return table_object_create(process, type, NULL, &result->table);
}
