/* The builtins of engine/builtins.h: what compiled code asks of the kernel for its own memories and tables. Each has
 * its C function here, with the instance first; indices are those of the module and were validated. Out of bounds ends
 * the guest before anything is written (spec 4.4.6, 4.4.7). */
#include "engine/base.h"
#include "kernel/builtins.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"

static uint8_t *memory_range(struct instance *instance, uint32_t memory, uint64_t start, uint64_t count)
{
    struct memory_object *object = instance->memories[memory];
    if (!range_is_inside(start, count, memory_object_bytes(object))) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, NULL);
    }
    return object->base + start;
}

static uint32_t *table_range(struct instance *instance, uint32_t table, uint64_t start, uint64_t count)
{
    struct table_object *object = instance->tables[table];
    if (!range_is_inside(start, count, object->slot->length)) {
        instance_trap(instance, TRAP_TABLE_OUT_OF_BOUNDS, NULL);
    }
    return table_entries(object) + start;
}

uint64_t builtin_memory_grow(struct instance *instance, uint32_t memory, uint64_t pages)
{
    return memory_object_grow(instance->memories[memory], pages);
}

void builtin_memory_fill(struct instance *instance, uint32_t memory, uint64_t address, uint32_t byte, uint64_t count)
{
    uint8_t element = (uint8_t)byte;
    fill_elements(memory_range(instance, memory, address, count), 1, &element, count);
}

void builtin_memory_copy(struct instance *instance, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                         uint64_t from, uint64_t count)
{
    uint8_t *target = memory_range(instance, to_memory, to, count);
    move_bytes(target, memory_range(instance, from_memory, from, count), count);
}

void builtin_memory_init(struct instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint32_t from,
                         uint32_t count)
{
    if (!instance_memory_init(instance, memory, segment, to, from, count)) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, NULL);
    }
}

void builtin_data_drop(struct instance *instance, uint32_t segment)
{
    instance->dropped_data[segment] = 1;
}

uint64_t builtin_table_grow(struct instance *instance, uint32_t table, uint32_t reference, uint64_t entries)
{
    return table_object_grow(instance->tables[table], entries, reference);
}

void builtin_table_fill(struct instance *instance, uint32_t table, uint64_t index, uint32_t reference, uint64_t count)
{
    fill_elements(table_range(instance, table, index, count), sizeof(reference), &reference, count);
}

void builtin_table_copy(struct instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to, uint64_t from,
                        uint64_t count)
{
    uint32_t *target = table_range(instance, to_table, to, count);
    move_bytes(target, table_range(instance, from_table, from, count), count * sizeof(uint32_t));
}

void builtin_table_init(struct instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint32_t from,
                        uint32_t count)
{
    if (!instance_table_init(instance, table, segment, to, from, count)) {
        instance_trap(instance, TRAP_TABLE_OUT_OF_BOUNDS, NULL);
    }
}

void builtin_elem_drop(struct instance *instance, uint32_t segment)
{
    instance->dropped_elements[segment] = 1;
}
