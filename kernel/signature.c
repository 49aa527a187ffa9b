/* An array from numbers to types, and a hash table from types to numbers with linear probing. Removing an entry moves
 * the entries behind it up, so there are no tombstones. */
#include "kernel/signature.h"

#include "engine/base.h"
#include "kernel/heap.h"

struct signature {
    struct function_type type; /* its array follows */
    uint32_t hash;
    uint32_t references;
    value_type types[];
};

/* Free numbers are chained through the array: the next one, shifted, with the low bit set. */
union entry {
    struct signature *signature;
    uintptr_t next_free;
};

static struct {
    union entry *entries; /* [capacity]; number 0 stays unused */
    uint32_t capacity;
    uint32_t fresh; /* numbers from here on were never used */
    uint32_t free;  /* first free number below, or 0 */
    uint32_t count;
    uint32_t *slots; /* [slot_count], a power of two: numbers, 0 is empty */
    uint32_t slot_count;
} table = {.fresh = 1};

static uint32_t type_hash(const struct function_type *type)
{
    uint64_t hash = type->parameter_count * UINT64_C(0x9e3779b97f4a7c15) + type->result_count;
    for (uint32_t i = 0; i < type->parameter_count + type->result_count; i++) {
        hash = (hash ^ type->types[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return (uint32_t)(hash ^ (hash >> 29));
}

static bool slots_resize(uint32_t slot_count)
{
    uint32_t *slots = kernel_allocate_zeroed(slot_count * sizeof(*slots));
    if (!slots) {
        return false;
    }
    for (uint32_t i = 0; i < table.slot_count; i++) {
        if (table.slots[i]) {
            uint32_t slot = table.entries[table.slots[i]].signature->hash & (slot_count - 1);
            while (slots[slot]) {
                slot = (slot + 1) & (slot_count - 1);
            }
            slots[slot] = table.slots[i];
        }
    }
    kernel_free(table.slots, table.slot_count * sizeof(*slots));
    table.slots = slots;
    table.slot_count = slot_count;
    return true;
}

static bool entries_grow(void)
{
    uint32_t capacity = table.capacity ? table.capacity * 2 : 64;
    union entry *entries = kernel_allocate(capacity * sizeof(*entries));
    if (!entries) {
        return false;
    }
    if (table.capacity) {
        memcpy(entries, table.entries, table.capacity * sizeof(*entries));
    }
    kernel_free(table.entries, table.capacity * sizeof(*entries));
    table.entries = entries;
    table.capacity = capacity;
    return true;
}

/* The slot that holds the type, or the empty one where it belongs. */
static uint32_t slot_find(const struct function_type *type, uint32_t hash)
{
    uint32_t slot = hash & (table.slot_count - 1);
    while (table.slots[slot]) {
        const struct signature *signature = table.entries[table.slots[slot]].signature;
        if (signature->hash == hash && function_type_equal(&signature->type, type)) {
            break;
        }
        slot = (slot + 1) & (table.slot_count - 1);
    }
    return slot;
}

static size_t signature_bytes(const struct function_type *type)
{
    return sizeof(struct signature) + ((size_t)type->parameter_count + type->result_count) * sizeof(value_type);
}

uint32_t signature_acquire(const struct function_type *type)
{
    if (table.count * 2 >= table.slot_count && !slots_resize(table.slot_count ? table.slot_count * 2 : 128)) {
        return 0;
    }
    uint32_t hash = type_hash(type);
    uint32_t slot = slot_find(type, hash);
    if (table.slots[slot]) {
        table.entries[table.slots[slot]].signature->references++;
        return table.slots[slot];
    }
    if (!table.free && table.fresh >= table.capacity && !entries_grow()) {
        return 0;
    }
    struct signature *signature = kernel_allocate(signature_bytes(type));
    if (!signature) {
        return 0;
    }
    signature->type = (struct function_type){signature->types, type->parameter_count, type->result_count};
    signature->hash = hash;
    signature->references = 1;
    memcpy(signature->types, type->types, signature_bytes(type) - sizeof(*signature));
    uint32_t number = table.free;
    if (number) {
        table.free = (uint32_t)(table.entries[number].next_free >> 1);
    } else {
        number = table.fresh++;
    }
    table.entries[number].signature = signature;
    table.slots[slot] = number;
    table.count++;
    return number;
}

/* Empty a slot and move up what was displaced behind it. */
static void slot_remove(uint32_t slot)
{
    uint32_t mask = table.slot_count - 1;
    for (uint32_t next = (slot + 1) & mask; table.slots[next]; next = (next + 1) & mask) {
        uint32_t home = table.entries[table.slots[next]].signature->hash & mask;
        if (((next - home) & mask) >= ((next - slot) & mask)) {
            table.slots[slot] = table.slots[next];
            slot = next;
        }
    }
    table.slots[slot] = 0;
}

void signature_release(uint32_t number)
{
    if (!number || --table.entries[number].signature->references) {
        return;
    }
    struct signature *signature = table.entries[number].signature;
    slot_remove(slot_find(&signature->type, signature->hash));
    kernel_free(signature, signature_bytes(&signature->type));
    table.entries[number].next_free = (uintptr_t)table.free << 1 | 1;
    table.free = number;
    table.count--;
    if (table.slot_count > 128 && table.count * 8 < table.slot_count) {
        slots_resize(table.slot_count / 2); /* without memory it just stays large */
    }
}

const struct function_type *signature_type(uint32_t number)
{
    return &table.entries[number].signature->type;
}

uint32_t signature_count(void)
{
    return table.count;
}
