/* Typed references (spec 3.3.4, 3.3.8) and garbage-collected types (spec 3.3.6 to 3.3.9 of version 3.0). */
#include "engine/validate_internal.h"

#include "engine/subtype.h"

/* ---- References of any type ---- */
/* Pop a reference; VALUE_BOTTOM in unreachable code. */
static bool pop_reference(struct validator *validator, value_type *type)
{
    char found[24];
    if (!validate_pop(validator, VALUE_BOTTOM, type)) {
        return false;
    }
    return *type == VALUE_BOTTOM || value_type_is_reference(*type) ||
           validate_fail(validator, ENGINE_INVALID, "type mismatch: expected a reference, found %s",
                         value_type_text(*type, found));
}

/* The same reference without null. */
static value_type not_null(value_type type)
{
    return type == VALUE_BOTTOM ? type : reference_type(value_type_heap(type), false);
}

static bool read_label(struct validator *validator, struct type_list *types)
{
    uint32_t label;
    if (!validate_u32(validator, &label)) {
        return false;
    }
    const struct control *target = validate_find_label(validator, label);
    if (target == NULL) {
        return false;
    }
    *types = validate_label_types(target);
    return true;
}

/* A branch that hands over the label's values and may be taken: check them and leave them typed as the label's. */
static bool pass_label(struct validator *validator, struct type_list types)
{
    return validate_pop_list(validator, types) && validate_push_list(validator, types);
}

static bool validate_br_on_null(struct validator *validator)
{
    struct type_list types;
    value_type type;
    return read_label(validator, &types) && pop_reference(validator, &type) && pass_label(validator, types) &&
           validate_push(validator, not_null(type));
}

static bool fail_branch(struct validator *validator)
{
    return validate_fail(validator, ENGINE_INVALID, "type mismatch: the label does not take the reference");
}

static bool validate_br_on_non_null(struct validator *validator)
{
    struct type_list types;
    value_type type;
    if (!read_label(validator, &types)) {
        return false;
    }
    if (types.count == 0 || !value_type_is_reference(types.types[types.count - 1])) {
        return fail_branch(validator);
    }
    if (!pop_reference(validator, &type)) {
        return false;
    }
    if (!value_type_matches(validator->module, not_null(type), types.types[types.count - 1])) {
        return fail_branch(validator);
    }
    types.count--;
    return pass_label(validator, types);
}

static bool validate_call_ref(struct validator *validator, bool tail)
{
    const struct module *module = validator->module;
    uint32_t type;
    if (!validate_u32(validator, &type)) {
        return false;
    }
    if (type >= module->type_count || module->defined_types[type].kind != DEFINED_FUNCTION) {
        return validate_fail(validator, ENGINE_INVALID, "unknown type %u", type);
    }
    validator->summary->has_indirect_calls = true;
    return validate_pop_expect(validator, reference_type(module->defined_types[type].canonical, true)) &&
           validate_call_type(validator, &module->types[type], tail);
}

/* ---- Casts ---- */
/* ref.test and ref.cast: the operand is of the same hierarchy as the target. */
static bool validate_cast(struct validator *validator, bool nullable, bool test)
{
    heap_type heap;
    if (!validate_read_heap_type(validator, &heap, "cast")) {
        return false;
    }
    value_type top = reference_type(heap_type_top(validator->module, heap), true);
    return validate_pop_expect(validator, top) &&
           validate_push(validator, test ? VALUE_I32 : reference_type(heap, nullable));
}

enum { CAST_SOURCE_NULLABLE = 1, CAST_TARGET_NULLABLE = 2 };

/* What of the source is left when the cast to the target fails (spec 3.3.8: "rt1 \ rt2"). */
static value_type difference(value_type source, value_type target)
{
    return value_type_is_nullable(target) ? not_null(source) : source;
}

static bool validate_br_on_cast(struct validator *validator, bool on_failure)
{
    const uint8_t *flags = reader_bytes(&validator->reader, 1);
    struct type_list types;
    heap_type source_heap, target_heap;
    if (flags == NULL) {
        return validate_reader_fault(validator);
    }
    if (*flags > (CAST_SOURCE_NULLABLE | CAST_TARGET_NULLABLE)) {
        return validate_fail(validator, ENGINE_MALFORMED, "malformed br_on_cast flags 0x%x", *flags);
    }
    if (!read_label(validator, &types) || !validate_read_heap_type(validator, &source_heap, "br_on_cast") ||
        !validate_read_heap_type(validator, &target_heap, "br_on_cast")) {
        return false;
    }
    value_type source = reference_type(source_heap, *flags & CAST_SOURCE_NULLABLE);
    value_type target = reference_type(target_heap, *flags & CAST_TARGET_NULLABLE);
    if (!value_type_matches(validator->module, target, source)) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: br_on_cast to a type that is not below");
    }
    value_type rest = difference(source, target);
    value_type sent = on_failure ? rest : target, kept = on_failure ? target : rest;
    if (types.count == 0 || !value_type_matches(validator->module, sent, types.types[types.count - 1])) {
        return fail_branch(validator);
    }
    types.count--;
    return validate_pop_expect(validator, source) && pass_label(validator, types) && validate_push(validator, kept);
}

/* ---- Structures and arrays ---- */
static bool read_type(struct validator *validator, unsigned kind, const struct defined_type **type)
{
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    *type = &validator->module->defined_types[index];
    return (index < validator->module->type_count && (*type)->kind == kind) ||
           validate_fail(validator, ENGINE_INVALID, "unknown type %u", index);
}

static value_type type_reference(const struct defined_type *type, bool nullable)
{
    return reference_type(type->canonical, nullable);
}

static bool check_defaults(struct validator *validator, const struct defined_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (!value_type_is_nullable(type->fields[i].storage)) {
            return validate_fail(validator, ENGINE_INVALID, "type mismatch: a field has no default value");
        }
    }
    return true;
}

static bool check_mutable(struct validator *validator, const struct field_type *field, const char *what)
{
    return field->mutable_ || validate_fail(validator, ENGINE_INVALID, "immutable %s", what);
}

/* get_s and get_u are for packed fields, get is for all others. */
static bool check_packing(struct validator *validator, const struct field_type *field, bool extends)
{
    bool packed = field->storage != unpacked_type(field->storage);
    return packed == extends ||
           validate_fail(validator, ENGINE_INVALID,
                         packed ? "type mismatch: field is packed" : "type mismatch: field is not packed");
}

static bool validate_struct_new(struct validator *validator, bool defaults)
{
    const struct defined_type *type;
    validate_note_builtin(validator);
    if (!read_type(validator, DEFINED_STRUCT, &type) || (defaults && !check_defaults(validator, type))) {
        return false;
    }
    for (uint32_t i = type->field_count; i > 0 && !defaults; i--) {
        if (!validate_pop_expect(validator, unpacked_type(type->fields[i - 1].storage))) {
            return false;
        }
    }
    return validate_push(validator, type_reference(type, false));
}

static bool validate_struct_access(struct validator *validator, unsigned opcode)
{
    const struct defined_type *type;
    uint32_t index;
    if (!read_type(validator, DEFINED_STRUCT, &type) || !validate_u32(validator, &index)) {
        return false;
    }
    if (index >= type->field_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown field %u", index);
    }
    const struct field_type *field = &type->fields[index];
    if (opcode == OP_STRUCT_SET) {
        return check_mutable(validator, field, "field") &&
               validate_pop_expect(validator, unpacked_type(field->storage)) &&
               validate_pop_expect(validator, type_reference(type, true));
    }
    validator->summary->has_vectors |= field->storage == VALUE_V128;
    return check_packing(validator, field, opcode != OP_STRUCT_GET) &&
           validate_pop_expect(validator, type_reference(type, true)) &&
           validate_push(validator, unpacked_type(field->storage));
}

static bool validate_array_new(struct validator *validator, unsigned opcode)
{
    const struct defined_type *type;
    uint32_t length;
    validate_note_builtin(validator);
    if (!read_type(validator, DEFINED_ARRAY, &type)) {
        return false;
    }
    value_type element = unpacked_type(type->fields[0].storage);
    if (opcode == OP_ARRAY_NEW_FIXED) {
        if (!validate_u32(validator, &length)) {
            return false;
        }
        if (length > 10000) { /* of the JavaScript embedding */
            return validate_fail(validator, ENGINE_LIMIT, "too many operands of array.new_fixed: limit 10000");
        }
        for (uint32_t i = 0; i < length; i++) {
            if (!validate_pop_expect(validator, element)) {
                return false;
            }
        }
    } else if (!validate_pop_expect(validator, VALUE_I32) ||
               (opcode == OP_ARRAY_NEW ? !validate_pop_expect(validator, element) : !check_defaults(validator, type))) {
        return false;
    }
    return validate_push(validator, type_reference(type, false));
}

static bool validate_array_access(struct validator *validator, unsigned opcode)
{
    const struct defined_type *type;
    if (!read_type(validator, DEFINED_ARRAY, &type)) {
        return false;
    }
    const struct field_type *field = &type->fields[0];
    if (opcode == OP_ARRAY_SET) {
        return check_mutable(validator, field, "array") &&
               validate_pop_expect(validator, unpacked_type(field->storage)) &&
               validate_pop_expect(validator, VALUE_I32) && validate_pop_expect(validator, type_reference(type, true));
    }
    validator->summary->has_vectors |= field->storage == VALUE_V128;
    return check_packing(validator, field, opcode != OP_ARRAY_GET) && validate_pop_expect(validator, VALUE_I32) &&
           validate_pop_expect(validator, type_reference(type, true)) &&
           validate_push(validator, unpacked_type(field->storage));
}

static bool pop_numbers(struct validator *validator, unsigned count)
{
    while (count-- > 0) {
        if (!validate_pop_expect(validator, VALUE_I32)) {
            return false;
        }
    }
    return true;
}

static bool validate_array_fill(struct validator *validator)
{
    const struct defined_type *type;
    validate_note_builtin(validator);
    return read_type(validator, DEFINED_ARRAY, &type) && check_mutable(validator, &type->fields[0], "array") &&
           validate_pop_expect(validator, VALUE_I32) &&
           validate_pop_expect(validator, unpacked_type(type->fields[0].storage)) &&
           validate_pop_expect(validator, VALUE_I32) && validate_pop_expect(validator, type_reference(type, true));
}

static bool validate_array_copy(struct validator *validator)
{
    const struct defined_type *to, *from;
    validate_note_builtin(validator);
    if (!read_type(validator, DEFINED_ARRAY, &to) || !read_type(validator, DEFINED_ARRAY, &from) ||
        !check_mutable(validator, &to->fields[0], "array")) {
        return false;
    }
    value_type wanted = to->fields[0].storage, found = from->fields[0].storage;
    if (!value_type_matches(validator->module, found, wanted)) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: array types do not match");
    }
    return pop_numbers(validator, 2) && validate_pop_expect(validator, type_reference(from, true)) &&
           pop_numbers(validator, 1) && validate_pop_expect(validator, type_reference(to, true));
}

/* array.new_data, array.new_elem, array.init_data and array.init_elem: elements out of a segment. */
static bool validate_array_segment(struct validator *validator, unsigned opcode)
{
    const struct module *module = validator->module;
    const struct defined_type *type;
    uint32_t segment;
    bool data = opcode == OP_ARRAY_NEW_DATA || opcode == OP_ARRAY_INIT_DATA;
    bool makes = opcode == OP_ARRAY_NEW_DATA || opcode == OP_ARRAY_NEW_ELEM;
    validate_note_builtin(validator);
    if (!read_type(validator, DEFINED_ARRAY, &type) || !validate_u32(validator, &segment) ||
        (!makes && !check_mutable(validator, &type->fields[0], "array"))) {
        return false;
    }
    value_type element = type->fields[0].storage;
    if (data && !module->has_data_count) {
        return validate_fail(validator, ENGINE_MALFORMED, "data count section required");
    }
    if (data && value_type_is_reference(element)) {
        return validate_fail(validator, ENGINE_INVALID, "array type is not numeric or vector");
    }
    if (segment >= (data ? module->data_segment_count : module->element_segment_count)) {
        return validate_fail(validator, ENGINE_INVALID, "unknown %s segment %u", data ? "data" : "elem", segment);
    }
    if (!data && !value_type_matches(module, module->element_segments[segment].type, element)) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: segment does not match the array");
    }
    if (makes) {
        return pop_numbers(validator, 2) && validate_push(validator, type_reference(type, false));
    }
    return pop_numbers(validator, 3) && validate_pop_expect(validator, type_reference(type, true));
}

/* ---- Conversions between hierarchies keep nullness ---- */
static bool validate_conversion(struct validator *validator, heap_type from, heap_type to)
{
    value_type type;
    if (!validate_pop(validator, reference_type(from, true), &type)) {
        return false;
    }
    return validate_push(validator, reference_type(to, type != VALUE_BOTTOM && value_type_is_nullable(type)));
}

static bool validate_ref_eq(struct validator *validator)
{
    value_type eq = reference_type(HEAP_EQ, true);
    return validate_pop_expect(validator, eq) && validate_pop_expect(validator, eq) &&
           validate_push(validator, VALUE_I32);
}

bool validate_reference(struct validator *validator, unsigned opcode)
{
    value_type type;
    switch (opcode) {
    case OP_CALL_REF:
    case OP_RETURN_CALL_REF:
        return validate_call_ref(validator, opcode == OP_RETURN_CALL_REF);
    case OP_REF_AS_NON_NULL:
        return pop_reference(validator, &type) && validate_push(validator, not_null(type));
    case OP_BR_ON_NULL:
        return validate_br_on_null(validator);
    case OP_BR_ON_NON_NULL:
        return validate_br_on_non_null(validator);
    case OP_REF_EQ:
        return validate_ref_eq(validator);
    case OP_REF_TEST:
    case OP_REF_TEST_NULL:
        return validate_cast(validator, opcode == OP_REF_TEST_NULL, true);
    case OP_REF_CAST:
    case OP_REF_CAST_NULL:
        return validate_cast(validator, opcode == OP_REF_CAST_NULL, false);
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL:
        return validate_br_on_cast(validator, opcode == OP_BR_ON_CAST_FAIL);
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
        return validate_struct_new(validator, opcode == OP_STRUCT_NEW_DEFAULT);
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U:
    case OP_STRUCT_SET:
        return validate_struct_access(validator, opcode);
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
        return validate_array_new(validator, opcode);
    case OP_ARRAY_NEW_DATA:
    case OP_ARRAY_NEW_ELEM:
    case OP_ARRAY_INIT_DATA:
    case OP_ARRAY_INIT_ELEM:
        return validate_array_segment(validator, opcode);
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U:
    case OP_ARRAY_SET:
        return validate_array_access(validator, opcode);
    case OP_ARRAY_LEN:
        return validate_pop_expect(validator, reference_type(HEAP_ARRAY, true)) && validate_push(validator, VALUE_I32);
    case OP_ARRAY_FILL:
        return validate_array_fill(validator);
    case OP_ARRAY_COPY:
        return validate_array_copy(validator);
    case OP_ANY_CONVERT_EXTERN:
        return validate_conversion(validator, HEAP_EXTERN, HEAP_ANY);
    case OP_EXTERN_CONVERT_ANY:
        return validate_conversion(validator, HEAP_ANY, HEAP_EXTERN);
    case OP_REF_I31:
        return validate_pop_expect(validator, VALUE_I32) && validate_push(validator, reference_type(HEAP_I31, false));
    case OP_I31_GET_S:
    case OP_I31_GET_U:
        return validate_pop_expect(validator, reference_type(HEAP_I31, true)) && validate_push(validator, VALUE_I32);
    default:
        return validate_unsupported(validator, opcode_table[opcode].feature, opcode_table[opcode].mnemonic);
    }
}
