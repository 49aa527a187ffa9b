/* Groups by hash, in a table with linear probing; types by number, in an array. Removing a group moves the ones behind
 * it up, so there are no tombstones. A group and all that its types have is one block.
 *
 * Whoever holds a number may look at its type without the lock: the array of types never moves, and a group goes with
 * its last holder. */
#include "kernel/type_registry.h"

#include "engine/base.h"
#include "engine/subtype.h"
#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/platform.h"

struct type_group {
    uint64_t hash;
    uint32_t references;
    uint32_t count;
    size_t bytes; /* of the block */
    struct runtime_type types[];
};

/* Free numbers are chained through the array: the next one, shifted, with the low bit set. */
union entry {
    struct runtime_type *type;
    uintptr_t next_free;
};

static struct spinlock registry_lock = SPINLOCK(LOCK_TYPES); /* for the registry, but as said above */
static struct {
    union entry *entries; /* reservation of TYPE_NUMBERS_MAXIMUM; number 0 stays unused */
    uint32_t fresh;       /* numbers from here on were never used */
    uint32_t free;        /* first free number below, or 0 */
    uint32_t count;
    struct type_group **slots; /* [slot_count], a power of two; NULL is empty */
    uint32_t slot_count, group_count;
    uint64_t *displays; /* as entries */
    uint32_t committed; /* numbers that both arrays have room for */
} registry = {.fresh = 1};

#define ARRAY_BYTES    (TYPE_NUMBERS_MAXIMUM * sizeof(uint64_t)) /* of each */
#define COMMIT_NUMBERS (PLATFORM_PAGE_BYTES / sizeof(uint64_t))
_Static_assert(sizeof(union entry) == sizeof(uint64_t), "both arrays are committed alike");

/* For the null function, whose signature is 0. */
static const uint32_t no_display[1 + TYPE_DISPLAY_MINIMUM];

/* A group to be looked for: types of a module, whose numbers so far are known. */
struct wanted_group {
    const struct function_type *functions; /* of the whole module, as are the next two */
    const struct defined_type *types;
    const uint32_t *numbers;
    uint32_t first, count;
};

static struct runtime_type *type_at(uint32_t number)
{
    return registry.entries[number].type;
}

const struct runtime_type *type_of_number(uint32_t number)
{
    return type_at(number);
}

uint32_t type_number_count(void)
{
    return __atomic_load_n(&registry.count, __ATOMIC_RELAXED);
}

const uint64_t *type_displays(void)
{
    return registry.displays;
}

/* ---- Types as seen from their group: places inside, numbers outside ---- */

#define INSIDE (UINT64_C(1) << 40)

static uint64_t wanted_index(const struct wanted_group *group, uint32_t index)
{
    return index - group->first < group->count ? INSIDE | (index - group->first) : group->numbers[index];
}

static uint64_t registered_index(const struct type_group *group, uint32_t number)
{
    const struct runtime_type *type = type_at(number);
    return type->group == group ? INSIDE | type->place : number;
}

static bool is_concrete(value_type type)
{
    return value_type_is_reference(type) && !heap_type_is_abstract(value_type_heap(type));
}

static uint64_t wanted_value(const struct wanted_group *group, value_type type)
{
    return is_concrete(type) ? wanted_index(group, value_type_heap(type)) << 8 | (uint8_t)type : type;
}

static uint64_t registered_value(const struct type_group *group, value_type type)
{
    return is_concrete(type) ? registered_index(group, value_type_heap(type)) << 8 | (uint8_t)type : type;
}

static uint64_t hash_step(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_wanted(const struct wanted_group *group)
{
    uint64_t hash = group->count;
    for (uint32_t k = group->first; k < group->first + group->count; k++) {
        const struct defined_type *type = &group->types[k];
        const struct function_type *function = &group->functions[k];
        hash = hash_step(hash, (uint64_t)type->kind << 1 | type->final);
        hash = hash_step(hash, type->supertype == NO_TYPE ? UINT64_MAX : wanted_index(group, type->supertype));
        hash = hash_step(hash, (uint64_t)function->parameter_count << 32 | function->result_count);
        for (uint32_t i = 0; i < function->parameter_count + function->result_count; i++) {
            hash = hash_step(hash, wanted_value(group, function->types[i]));
        }
        for (uint32_t i = 0; i < type->field_count; i++) {
            hash = hash_step(hash, wanted_value(group, type->fields[i].storage) << 1 | type->fields[i].mutable_);
        }
    }
    return hash;
}

static bool type_is_wanted(const struct type_group *group, const struct runtime_type *a,
                           const struct wanted_group *wanted, uint32_t index)
{
    const struct defined_type *b = &wanted->types[index];
    const struct function_type *f = &a->function, *g = &wanted->functions[index];
    if (a->kind != b->kind || a->final != b->final || a->field_count != b->field_count ||
        f->parameter_count != g->parameter_count || f->result_count != g->result_count ||
        (a->supertype == 0) != (b->supertype == NO_TYPE) ||
        (a->supertype && registered_index(group, a->supertype) != wanted_index(wanted, b->supertype))) {
        return false;
    }
    for (uint32_t i = 0; i < f->parameter_count + f->result_count; i++) {
        if (registered_value(group, f->types[i]) != wanted_value(wanted, g->types[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (a->fields[i].mutable_ != b->fields[i].mutable_ ||
            registered_value(group, a->fields[i].storage) != wanted_value(wanted, b->fields[i].storage)) {
            return false;
        }
    }
    return true;
}

static bool group_is_wanted(const struct type_group *group, const struct wanted_group *wanted)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (!type_is_wanted(group, &group->types[i], wanted, wanted->first + i)) {
            return false;
        }
    }
    return true;
}

/* ---- The table of groups ---- */

static bool slots_resize(uint32_t slot_count)
{
    struct type_group **slots = kernel_allocate_zeroed(slot_count * sizeof(*slots));
    if (!slots) {
        return false;
    }
    for (uint32_t i = 0; i < registry.slot_count; i++) {
        if (registry.slots[i]) {
            uint64_t slot = registry.slots[i]->hash;
            while (slots[slot & (slot_count - 1)]) {
                slot++;
            }
            slots[slot & (slot_count - 1)] = registry.slots[i];
        }
    }
    kernel_free(registry.slots, registry.slot_count * sizeof(*slots));
    registry.slots = slots;
    registry.slot_count = slot_count;
    return true;
}

/* The slot that holds the group, or the empty one where it belongs. */
static struct type_group **slot_find(const struct wanted_group *wanted, uint64_t hash)
{
    for (uint64_t slot = hash;; slot++) {
        struct type_group **at = &registry.slots[slot & (registry.slot_count - 1)];
        if (!*at || ((*at)->hash == hash && (*at)->count == wanted->count && group_is_wanted(*at, wanted))) {
            return at;
        }
    }
}

/* Empty the group's slot and move up what was displaced behind it. */
static void slot_remove(const struct type_group *group)
{
    uint64_t mask = registry.slot_count - 1, slot = group->hash & mask;
    while (registry.slots[slot] != group) {
        slot = (slot + 1) & mask;
    }
    for (uint64_t next = (slot + 1) & mask; registry.slots[next]; next = (next + 1) & mask) {
        uint64_t home = registry.slots[next]->hash & mask;
        if (((next - home) & mask) >= ((next - slot) & mask)) {
            registry.slots[slot] = registry.slots[next];
            slot = next;
        }
    }
    registry.slots[slot] = NULL;
    registry.group_count--;
    if (registry.slot_count > 128 && registry.group_count * 8 < registry.slot_count) {
        slots_resize(registry.slot_count / 2); /* without memory it just stays large */
    }
}

/* ---- Numbers ---- */

static bool arrays_grow(uint32_t needed)
{
    uint32_t target = (uint32_t)align_up(needed, COMMIT_NUMBERS), more = target - registry.committed;
    if (!registry.entries) {
        registry.entries = platform_reserve(2 * ARRAY_BYTES);
        registry.displays = (uint64_t *)registry.entries + TYPE_NUMBERS_MAXIMUM;
    }
    if (!registry.entries || platform_commit(registry.entries + registry.committed, more * sizeof(uint64_t),
                                             PROTECTION_READ_WRITE) != STATUS_OK) {
        return false;
    }
    if (platform_commit(registry.displays + registry.committed, more * sizeof(uint64_t), PROTECTION_READ_WRITE) !=
        STATUS_OK) {
        platform_decommit(registry.entries + registry.committed, more * sizeof(uint64_t));
        return false;
    }
    registry.committed = target;
    registry.displays[0] = (uintptr_t)(no_display + 1);
    return true;
}

/* Room for `count` more numbers: free ones are taken first. */
static bool numbers_reserve(uint32_t count)
{
    uint32_t needed = (uint32_t)max_u64(registry.fresh, (uint64_t)1 + registry.count + count);
    return needed <= TYPE_NUMBERS_MAXIMUM && (needed <= registry.committed || arrays_grow(needed));
}

static uint32_t number_take(struct runtime_type *type)
{
    uint32_t number = registry.free;
    if (number) {
        registry.free = (uint32_t)(registry.entries[number].next_free >> 1);
    } else {
        number = registry.fresh++;
    }
    registry.entries[number].type = type;
    registry.displays[number] = (uintptr_t)type->display;
    __atomic_store_n(&registry.count, registry.count + 1, __ATOMIC_RELAXED);
    return number;
}

static void number_give_back(uint32_t number)
{
    registry.entries[number].next_free = (uintptr_t)registry.free << 1 | 1;
    registry.displays[number] = registry.displays[0];
    registry.free = number;
    __atomic_store_n(&registry.count, registry.count - 1, __ATOMIC_RELAXED);
}

/* ---- Making a group ---- */

static uint32_t display_words(const struct defined_type *type)
{
    return 1 + (uint32_t)max_u64(type->depth + UINT64_C(1), TYPE_DISPLAY_MINIMUM);
}

static size_t group_bytes(const struct wanted_group *wanted)
{
    size_t bytes = sizeof(struct type_group) + wanted->count * sizeof(struct runtime_type);
    for (uint32_t k = wanted->first; k < wanted->first + wanted->count; k++) {
        const struct function_type *function = &wanted->functions[k];
        bytes += wanted->types[k].field_count * (sizeof(struct field_type) + sizeof(uint32_t));
        bytes += ((size_t)function->parameter_count + function->result_count) * sizeof(value_type);
        bytes += display_words(&wanted->types[k]) * sizeof(uint32_t);
    }
    return bytes;
}

/* The types' arrays, which follow in the block, and all that does not need the numbers. */
static void group_lay_out(struct type_group *group, const struct wanted_group *wanted)
{
    uint8_t *at = (uint8_t *)&group->types[wanted->count];
    for (uint32_t i = 0; i < wanted->count; i++) {
        const struct defined_type *from = &wanted->types[wanted->first + i];
        const struct function_type *function = &wanted->functions[wanted->first + i];
        struct runtime_type *type = &group->types[i];
        *type = (struct runtime_type){.kind = from->kind,
                                      .final = from->final,
                                      .depth = from->depth,
                                      .field_count = from->field_count,
                                      .bytes = from->bytes,
                                      .group = group,
                                      .place = i};
        type->fields = (void *)at;
        at += from->field_count * sizeof(struct field_type);
        type->references = (void *)at;
        at += from->field_count * sizeof(uint32_t);
        type->function = (struct function_type){(void *)at, function->parameter_count, function->result_count};
        at += ((size_t)function->parameter_count + function->result_count) * sizeof(value_type);
        uint32_t *display = (void *)at;
        at += display_words(from) * sizeof(uint32_t);
        memset(display, 0, display_words(from) * sizeof(uint32_t));
        display[0] = from->depth;
        type->display = display + 1;
    }
}

static void fill_type(struct runtime_type *type, const struct wanted_group *wanted, const uint32_t *numbers)
{
    const struct defined_type *from = &wanted->types[wanted->first + type->place];
    const struct function_type *function = &wanted->functions[wanted->first + type->place];
    value_type *types = (value_type *)type->function.types;
    struct field_type *fields = (struct field_type *)type->fields;
    uint32_t *references = (uint32_t *)type->references, *display = (uint32_t *)type->display;
    for (uint32_t i = 0; i < function->parameter_count + function->result_count; i++) {
        types[i] = type_translate(numbers, function->types[i]);
    }
    for (uint32_t i = 0; i < from->field_count; i++) {
        fields[i] = from->fields[i];
        fields[i].storage = type_translate(numbers, from->fields[i].storage);
        if (type_may_refer_to_objects(fields[i].storage)) {
            references[type->reference_count++] = fields[i].offset;
        }
    }
    type->holds_references = type->reference_count != 0;
    if (from->supertype != NO_TYPE) {
        type->supertype = numbers[from->supertype];
        memcpy(display, type_at(type->supertype)->display, from->depth * sizeof(*display));
    }
    display[from->depth] = numbers[wanted->first + type->place];
}

/* The group in the registry, with a reference; its numbers are written. NULL without room. */
static struct type_group *group_find_or_make(const struct wanted_group *wanted, uint32_t *numbers)
    REQUIRES(registry_lock)
{
    if (registry.group_count * 2 >= registry.slot_count &&
        !slots_resize(registry.slot_count ? registry.slot_count * 2 : 128)) {
        return NULL;
    }
    uint64_t hash = hash_wanted(wanted);
    struct type_group **slot = slot_find(wanted, hash), *group = *slot;
    if (group) {
        group->references++;
        for (uint32_t i = 0; i < group->count; i++) {
            numbers[wanted->first + i] = group->types[i].display[group->types[i].depth];
        }
        return group;
    }
    size_t bytes = group_bytes(wanted);
    group = numbers_reserve(wanted->count) ? kernel_allocate(bytes) : NULL;
    if (!group) {
        return NULL;
    }
    group->hash = hash;
    group->references = 1;
    group->count = wanted->count;
    group->bytes = bytes;
    group_lay_out(group, wanted);
    for (uint32_t i = 0; i < group->count; i++) {
        numbers[wanted->first + i] = number_take(&group->types[i]);
    }
    for (uint32_t i = 0; i < group->count; i++) { /* supertypes stand before their subtypes */
        fill_type(&group->types[i], wanted, numbers);
    }
    *slot = group;
    registry.group_count++;
    return group;
}

static struct type_group *group_acquire(const struct wanted_group *wanted, uint32_t *numbers)
{
    spinlock_acquire(&registry_lock);
    struct type_group *group = group_find_or_make(wanted, numbers);
    spinlock_release(&registry_lock);
    return group;
}

static void group_remove(struct type_group *group) REQUIRES(registry_lock)
{
    slot_remove(group);
    for (uint32_t i = 0; i < group->count; i++) {
        number_give_back(group->types[i].display[group->types[i].depth]);
    }
    kernel_free(group, group->bytes);
}

static void group_release(struct type_group *group)
{
    spinlock_acquire(&registry_lock);
    if (--group->references == 0) {
        group_remove(group);
    }
    spinlock_release(&registry_lock);
}

/* ---- Modules ---- */

/* Release the groups of the first `count` types. */
static void release_first(const struct module *module, const uint32_t *numbers, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) { /* types of later groups refer to earlier ones */
        const struct defined_type *type = &module->defined_types[i];
        if (type->canonical == i && type->group == i) {
            group_release(type_at(numbers[i])->group);
        }
    }
}

bool type_numbers_acquire(const struct module *module, uint32_t *numbers)
{
    for (uint32_t i = 0; i < module->type_count; i++) {
        const struct defined_type *type = &module->defined_types[i];
        if (type->canonical != i) {
            numbers[i] = numbers[type->canonical];
        } else if (type->group == i) {
            struct wanted_group wanted = {module->types, module->defined_types, numbers, i, type->group_count};
            if (!group_acquire(&wanted, numbers)) {
                release_first(module, numbers, i);
                return false;
            }
        }
    }
    return true;
}

void type_numbers_release(const struct module *module, const uint32_t *numbers)
{
    release_first(module, numbers, module->type_count);
}

uint32_t type_number_acquire_function(const struct function_type *function)
{
    static const struct defined_type plain = {
        .kind = DEFINED_FUNCTION, .final = true, .supertype = NO_TYPE, .group_count = 1};
    uint32_t number = 0;
    struct wanted_group wanted = {function, &plain, &number, 0, 1};
    return group_acquire(&wanted, &number) ? number : 0;
}

void type_number_release(uint32_t number)
{
    if (number) {
        group_release(type_at(number)->group);
    }
}

/* ---- Subtyping ---- */

value_type type_translate(const uint32_t *numbers, value_type type)
{
    return is_concrete(type) ? reference_type(numbers[value_type_heap(type)], value_type_is_nullable(type)) : type;
}

bool type_number_matches(uint32_t number, uint32_t wanted)
{
    if (number == wanted) {
        return true;
    }
    const struct runtime_type *type = type_at(number), *above = type_at(wanted);
    return type->depth > above->depth && type->display[above->depth] == wanted;
}

static bool heap_matches(heap_type heap, heap_type wanted)
{
    if (heap == wanted) {
        return true;
    }
    if (!heap_type_is_abstract(wanted)) {
        return heap_type_is_abstract(heap) ? heap == heap_type_bottom(type_at(wanted)->kind)
                                           : type_number_matches(heap, wanted);
    }
    if (!heap_type_is_abstract(heap)) {
        heap = heap_type_of_kind(type_at(heap)->kind);
    }
    return heap == wanted || heap_type_abstract_matches(heap, wanted);
}

bool type_matches(value_type type, value_type wanted)
{
    if (type == wanted) {
        return true;
    }
    return value_type_is_reference(type) && value_type_is_reference(wanted) &&
           (value_type_is_nullable(wanted) || !value_type_is_nullable(type)) &&
           heap_matches(value_type_heap(type), value_type_heap(wanted));
}

bool type_may_refer_to_objects(value_type type)
{
    if (!value_type_is_reference(type)) {
        return false;
    }
    heap_type heap = value_type_heap(type);
    if (!heap_type_is_abstract(heap)) {
        return type_at(heap)->kind != DEFINED_FUNCTION;
    }
    return heap != HEAP_FUNC && heap != HEAP_NOFUNC;
}
