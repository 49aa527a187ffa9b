/* The type section (spec 5.5.4): recursion groups of function, structure and array types.
 *
 * Two groups that are equal but for the place where they stand define the same types (spec 3.2.9, "rolling up"). Each
 * type therefore has a canonical index, that of the first equal one, and no other index is kept in value types. Groups
 * are found by hash; while a group is compared, references into itself count by their distance from its start. */
#include "engine/base.h"
#include "engine/decode.h"
#include "engine/limits.h"
#include "engine/opcode.h"
#include "engine/subtype.h"

enum {
    TYPE_CODE_FUNCTION = 0x60,
    TYPE_CODE_STRUCT = 0x5f,
    TYPE_CODE_ARRAY = 0x5e,
    TYPE_CODE_SUB = 0x50,
    TYPE_CODE_SUB_FINAL = 0x4f,
    TYPE_CODE_RECURSIVE = 0x4e,
};

#define SUPERTYPE_DEPTH_MAXIMUM 63
#define STRUCT_FIELDS_MAXIMUM   10000

/* Groups by hash: open addressing, a power of two of slots, each the first index of a canonical group or NO_TYPE. */
struct group_table {
    uint32_t *slots;
    uint32_t capacity, used;
};

struct type_section {
    struct decoder *decoder;
    struct module *module;
    uint32_t capacity; /* of the module's arrays of types */
    struct group_table groups;
};

/* ---- Room ---- */
static void reserve_types(struct type_section *section, uint32_t count)
{
    struct module *module = section->module;
    if (count <= section->capacity) {
        return;
    }
    uint32_t used = module->type_count;
    uint32_t capacity = (uint32_t)max_u64(count, (uint64_t)section->capacity * 2);
    module->types = decode_extend(section->decoder, module->types, used, capacity - used, sizeof(*module->types));
    module->defined_types =
        decode_extend(section->decoder, module->defined_types, used, capacity - used, sizeof(*module->defined_types));
    section->capacity = capacity;
}

/* ---- Composite types ---- */
static void decode_function_type(struct decoder *decoder, struct function_type *type)
{
    /* Both vectors become one array, so the parameters are read again once the number of results is known. */
    uint32_t parameters = decode_count(decoder, 0, ENGINE_LIMIT_PARAMETERS, 1, "parameters");
    const uint8_t *first = decoder->reader.cursor;
    for (uint32_t i = 0; i < parameters && decode_goes_on(decoder); i++) {
        decode_value_type(decoder);
    }
    uint32_t results = decode_count(decoder, 0, ENGINE_LIMIT_RESULTS, 1, "results");
    const uint8_t *second = decoder->reader.cursor;
    value_type *types = decode_allocate(decoder, (size_t)parameters + results, sizeof(*types));
    if (!decode_ok(decoder)) {
        return;
    }
    decoder->reader.cursor = first;
    for (uint32_t i = 0; i < parameters; i++) {
        types[i] = decode_value_type(decoder);
    }
    decoder->reader.cursor = second;
    for (uint32_t i = 0; i < results; i++) {
        types[parameters + i] = decode_value_type(decoder);
    }
    *type = (struct function_type){types, parameters, results};
}

static void decode_field(struct decoder *decoder, struct field_type *field)
{
    const struct reader *reader = &decoder->reader;
    if (reader->cursor < reader->limit && (*reader->cursor == VALUE_I8 || *reader->cursor == VALUE_I16)) {
        field->storage = decode_byte(decoder, "packed type");
    } else {
        field->storage = decode_value_type(decoder);
    }
    uint32_t offset = decode_offset(decoder);
    uint8_t mutability = decode_byte(decoder, "mutability");
    if (mutability > 1) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed mutability 0x%x", mutability);
    }
    field->mutable_ = mutability == 1;
}

/* Fields in order, each at a multiple of its size (at most 8): a supertype's fields are where they are in the supertype. */
static void decode_fields(struct decoder *decoder, struct defined_type *type, uint32_t count)
{
    struct field_type *fields = decode_allocate(decoder, count, sizeof(*fields));
    uint32_t end = OBJECT_HEADER_BYTES;
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_field(decoder, &fields[i]);
        uint32_t bytes = storage_bytes(fields[i].storage);
        fields[i].offset = (uint32_t)align_up(end, min_u64(bytes, 8));
        end = fields[i].offset + bytes;
    }
    type->bytes = end;
    type->fields = fields;
    type->field_count = count;
}

static void decode_composite(struct decoder *decoder, uint32_t index, uint8_t code, uint32_t offset)
{
    struct defined_type *type = &decoder->module->defined_types[index];
    switch (code) {
    case TYPE_CODE_FUNCTION:
        type->kind = DEFINED_FUNCTION;
        decode_function_type(decoder, &decoder->module->types[index]);
        break;
    case TYPE_CODE_STRUCT:
        type->kind = DEFINED_STRUCT;
        decode_fields(decoder, type, decode_count(decoder, 0, STRUCT_FIELDS_MAXIMUM, 2, "fields"));
        break;
    case TYPE_CODE_ARRAY:
        type->kind = DEFINED_ARRAY;
        decode_fields(decoder, type, 1);
        type->bytes -= OBJECT_HEADER_BYTES;
        break;
    default:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed type definition 0x%x", code);
    }
}

/* One type of a group, with its supertype if it declares one. */
static void decode_subtype(struct decoder *decoder, uint32_t index)
{
    struct defined_type *type = &decoder->module->defined_types[index];
    uint32_t offset = decode_offset(decoder);
    uint8_t code = decode_byte(decoder, "type");
    type->supertype = NO_TYPE;
    type->final = code != TYPE_CODE_SUB;
    if ((code >= TYPE_CODE_RECURSIVE && code <= TYPE_CODE_STRUCT) && code != 0x51 && !feature_supported(FEATURE_GC)) {
        decode_unsupported(decoder, FEATURE_GC, offset, "type definition");
        return;
    }
    if (code == TYPE_CODE_SUB || code == TYPE_CODE_SUB_FINAL) {
        uint32_t supertypes = decode_u32(decoder, "supertypes");
        if (supertypes > 1) {
            decode_fail(decoder, ENGINE_INVALID, offset, "a type has at most one supertype, not %u", supertypes);
        } else if (supertypes == 1) {
            type->supertype = decode_u32(decoder, "supertype");
            if (decode_ok(decoder) && type->supertype >= index) {
                decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", type->supertype);
            }
        }
        code = decode_byte(decoder, "type");
    }
    if (decode_ok(decoder)) {
        decode_composite(decoder, index, code, offset);
    }
}

/* ---- Equality of groups ---- */
/* A type index as seen from a group: distances inside, canonical indices outside. */
static uint64_t relative_index(const struct defined_type *type, uint32_t index)
{
    return index - type->group < type->group_count ? UINT64_C(1) << 32 | (index - type->group) : index;
}

static uint64_t relative_value_type(const struct defined_type *type, value_type value)
{
    if (!value_type_is_reference(value) || heap_type_is_abstract(value_type_heap(value))) {
        return value;
    }
    return relative_index(type, value_type_heap(value)) << 8 | (uint8_t)value;
}

static uint64_t hash_step(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_type(const struct module *module, uint32_t index)
{
    const struct defined_type *type = &module->defined_types[index];
    const struct function_type *function = &module->types[index];
    uint64_t hash = hash_step(type->kind, type->final);
    hash = hash_step(hash, type->supertype == NO_TYPE ? UINT64_MAX : relative_index(type, type->supertype));
    hash = hash_step(hash, (uint64_t)function->parameter_count << 32 | function->result_count);
    for (uint32_t i = 0; i < function->parameter_count + function->result_count; i++) {
        hash = hash_step(hash, relative_value_type(type, function->types[i]));
    }
    for (uint32_t i = 0; i < type->field_count; i++) {
        hash = hash_step(hash, relative_value_type(type, type->fields[i].storage) << 1 | type->fields[i].mutable_);
    }
    return hash;
}

static bool types_equal(const struct module *module, uint32_t a_index, uint32_t b_index)
{
    const struct defined_type *a = &module->defined_types[a_index], *b = &module->defined_types[b_index];
    const struct function_type *f = &module->types[a_index], *g = &module->types[b_index];
    if (a->kind != b->kind || a->final != b->final || a->field_count != b->field_count ||
        f->parameter_count != g->parameter_count || f->result_count != g->result_count ||
        (a->supertype == NO_TYPE) != (b->supertype == NO_TYPE) ||
        (a->supertype != NO_TYPE && relative_index(a, a->supertype) != relative_index(b, b->supertype))) {
        return false;
    }
    for (uint32_t i = 0; i < f->parameter_count + f->result_count; i++) {
        if (relative_value_type(a, f->types[i]) != relative_value_type(b, g->types[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (a->fields[i].mutable_ != b->fields[i].mutable_ ||
            relative_value_type(a, a->fields[i].storage) != relative_value_type(b, b->fields[i].storage)) {
            return false;
        }
    }
    return true;
}

static bool groups_equal(const struct module *module, uint32_t a, uint32_t b, uint32_t count)
{
    if (module->defined_types[b].group_count != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!types_equal(module, a + i, b + i)) {
            return false;
        }
    }
    return true;
}

static uint64_t hash_group(const struct module *module, uint32_t first, uint32_t count)
{
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++) {
        hash = hash_step(hash, hash_type(module, first + i));
    }
    return hash;
}

static void grow_groups(struct type_section *section)
{
    struct group_table *table = &section->groups;
    struct group_table old = *table;
    table->capacity = old.capacity ? old.capacity * 2 : 64;
    table->slots = decode_allocate(section->decoder, table->capacity, sizeof(*table->slots));
    if (!decode_ok(section->decoder)) {
        return;
    }
    memset(table->slots, 0xff, table->capacity * sizeof(*table->slots));
    for (uint32_t i = 0; i < old.capacity; i++) {
        uint32_t first = old.slots[i];
        if (first != NO_TYPE) {
            uint64_t at = hash_group(section->module, first, section->module->defined_types[first].group_count);
            while (table->slots[at & (table->capacity - 1)] != NO_TYPE) {
                at++;
            }
            table->slots[at & (table->capacity - 1)] = first;
        }
    }
}

/* The first group equal to the one at `first`: an earlier one, or itself. */
static uint32_t find_group(struct type_section *section, uint32_t first, uint32_t count)
{
    struct group_table *table = &section->groups;
    if (table->used * 2 >= table->capacity) {
        grow_groups(section);
        if (!decode_ok(section->decoder)) {
            return first;
        }
    }
    uint64_t at = hash_group(section->module, first, count);
    for (;; at++) {
        uint32_t *slot = &table->slots[at & (table->capacity - 1)];
        if (*slot == NO_TYPE) {
            *slot = first;
            table->used++;
            return first;
        }
        if (groups_equal(section->module, first, *slot, count)) {
            return *slot;
        }
    }
}

/* ---- Groups ---- */
static void check_supertypes(struct type_section *section, uint32_t first, uint32_t count, uint32_t offset)
{
    struct module *module = section->module;
    for (uint32_t i = first; i < first + count; i++) {
        struct defined_type *type = &module->defined_types[i];
        if (type->supertype == NO_TYPE) {
            continue;
        }
        type->depth = (uint16_t)(module->defined_types[type->supertype].depth + 1);
        if (type->depth > SUPERTYPE_DEPTH_MAXIMUM) {
            decode_fail(section->decoder, ENGINE_INVALID, offset, "type %u has more than %u supertypes", i,
                        SUPERTYPE_DEPTH_MAXIMUM);
        } else if (!defined_type_extends(module, i, type->supertype)) {
            decode_fail(section->decoder, ENGINE_INVALID, offset, "sub type %u does not match super type %u", i,
                        type->supertype);
        }
    }
}

static void decode_group(struct type_section *section, uint32_t count, uint32_t offset)
{
    struct decoder *decoder = section->decoder;
    struct module *module = section->module;
    uint32_t first = module->type_count;
    if (count > ENGINE_LIMIT_TYPES - first) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "too many types: limit %u", ENGINE_LIMIT_TYPES);
        return;
    }
    reserve_types(section, first + count);
    if (!decode_ok(decoder)) {
        return;
    }
    module->type_count = first + count;
    for (uint32_t i = first; i < first + count; i++) {
        module->types[i] = (struct function_type){NULL, 0, 0};
        module->defined_types[i] =
            (struct defined_type){.canonical = i, .group = first, .group_count = count, .supertype = NO_TYPE};
    }
    for (uint32_t i = first; i < first + count && decode_goes_on(decoder); i++) {
        decode_subtype(decoder, i);
        uint32_t supertype = module->defined_types[i].supertype;
        if (decode_ok(decoder) && supertype != NO_TYPE) {
            module->defined_types[i].supertype = module->defined_types[supertype].canonical;
        }
    }
    if (!decode_ok(decoder) || count == 0) {
        return;
    }
    check_supertypes(section, first, count, offset);
    uint32_t canonical = find_group(section, first, count);
    for (uint32_t i = 0; i < count && canonical != first; i++) {
        module->types[first + i] = module->types[canonical + i];
        module->defined_types[first + i] = module->defined_types[canonical + i];
    }
}

void decode_type_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    struct type_section section = {.decoder = decoder, .module = module};
    uint32_t groups = decode_count(decoder, 0, ENGINE_LIMIT_TYPES, 2, "types");
    reserve_types(&section, groups);
    for (uint32_t i = 0; i < groups && decode_goes_on(decoder); i++) {
        uint32_t offset = decode_offset(decoder);
        uint32_t count = 1;
        const struct reader *reader = &decoder->reader;
        if (reader->cursor < reader->limit && *reader->cursor == TYPE_CODE_RECURSIVE) {
            if (!feature_supported(FEATURE_GC)) {
                decode_unsupported(decoder, FEATURE_GC, offset, "type definition");
                return;
            }
            decode_byte(decoder, "type");
            count = decode_count(decoder, 0, ENGINE_LIMIT_TYPES, 2, "types");
        }
        decode_group(&section, count, offset);
    }
    module->type_references = decode_allocate(decoder, module->type_count, sizeof(*module->type_references));
    for (uint32_t i = 0; i < module->type_count && decode_goes_on(decoder); i++) {
        module->type_references[i][0] = reference_type(i, false);
        module->type_references[i][1] = reference_type(i, true);
    }
}

uint32_t decode_function_type_index(struct decoder *decoder)
{
    uint32_t offset = decode_offset(decoder);
    uint32_t type = decode_u32(decoder, "type index");
    if (!decode_ok(decoder)) {
        return 0;
    }
    if (type >= decoder->module->type_count) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", type);
        return 0;
    }
    if (decoder->module->defined_types[type].kind != DEFINED_FUNCTION) {
        decode_fail(decoder, ENGINE_INVALID, offset, "type %u is not a function type", type);
        return 0;
    }
    return type;
}
