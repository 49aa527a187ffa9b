/* Exceptions (spec 3.3.8.6 to 3.3.8.8), and the older encoding with try, catch, delegate and rethrow. */
#include "engine/validate_internal.h"

#include "engine/subtype.h"

/* The parameters of a tag that is read. */
static bool read_tag(struct validator *validator, struct type_list *types)
{
    const struct module *module = validator->module;
    uint32_t tag;
    if (!validate_u32(validator, &tag)) {
        return false;
    }
    if (tag >= module->tag_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown tag %u", tag);
    }
    const struct function_type *type = &module->types[module->tags[tag]];
    *types = (struct type_list){function_type_parameters(type), type->parameter_count};
    validate_note_vectors(validator, *types);
    return true;
}

/* A throw leaves the function as a call may, and needs its registers as much. */
static void note_throw(struct validator *validator)
{
    validator->summary->has_calls = true;
}

/* ---- try_table ---- */
enum { CATCH = 0, CATCH_REF = 1, CATCH_ALL = 2, CATCH_ALL_REF = 3 };

/* The values that a clause hands over must fit its label. */
static bool check_clause(struct validator *validator, struct type_list values, bool reference, uint32_t label)
{
    struct control *target = validate_find_label(validator, label);
    if (target == NULL) {
        return false;
    }
    struct type_list wanted = validate_label_types(target);
    bool same = wanted.count == values.count + reference;
    for (uint32_t i = 0; same && i < values.count; i++) {
        same = value_type_matches(validator->module, values.types[i], wanted.types[i]);
    }
    if (same && reference) {
        same = value_type_matches(validator->module, reference_type(HEAP_EXN, false), wanted.types[values.count]);
    }
    return same || validate_fail(validator, ENGINE_INVALID, "type mismatch: catch clause for label %u", label);
}

/* One clause; labels count from outside of the try_table. */
static bool validate_clause(struct validator *validator)
{
    const uint8_t *kind = reader_bytes(&validator->reader, 1);
    struct type_list values = {NULL, 0};
    uint32_t label;
    if (kind == NULL) {
        return validate_reader_fault(validator);
    }
    if (*kind > CATCH_ALL_REF) {
        return validate_fail(validator, ENGINE_MALFORMED, "malformed catch clause 0x%x", *kind);
    }
    if (*kind <= CATCH_REF && !read_tag(validator, &values)) {
        return false;
    }
    return validate_u32(validator, &label) &&
           check_clause(validator, values, *kind == CATCH_REF || *kind == CATCH_ALL_REF, label);
}

static bool validate_try_table(struct validator *validator)
{
    struct type_list parameters, results;
    uint32_t clauses;
    if (!validate_read_block_type(validator, &parameters, &results) || !validate_u32(validator, &clauses)) {
        return false;
    }
    for (uint32_t i = 0; i < clauses; i++) {
        if (!validate_clause(validator)) {
            return false;
        }
    }
    return validate_pop_list(validator, parameters) && validate_push_control(validator, OP_BLOCK, parameters, results);
}

/* ---- The older encoding ---- */
static bool validate_try(struct validator *validator)
{
    struct type_list parameters, results;
    return validate_read_block_type(validator, &parameters, &results) && validate_pop_list(validator, parameters) &&
           validate_push_control(validator, OP_TRY, parameters, results);
}

/* catch and catch_all end the code before them and go on with the tag's values. */
static bool validate_catch(struct validator *validator, unsigned opcode)
{
    struct type_list values = {NULL, 0};
    struct control *control = validate_innermost(validator);
    if (control->opcode != OP_TRY && control->opcode != OP_CATCH) {
        return validate_fail(validator, ENGINE_MALFORMED, "%s without try", opcode_table[opcode].mnemonic);
    }
    if (!validate_pop_results(validator) || (opcode == OP_CATCH && !read_tag(validator, &values))) {
        return false;
    }
    if (control->opcode == OP_TRY && ++validator->catch_count > validator->summary->maximum_catches) {
        validator->summary->maximum_catches = validator->catch_count;
    }
    control->opcode = (uint8_t)opcode;
    control->unreachable = false;
    validator->initialized_count = control->initialized;
    validator->weight = control->weight;
    return validate_push_list(validator, values);
}

/* delegate ends the try; its label counts from outside of it. */
static bool validate_delegate(struct validator *validator)
{
    uint32_t label;
    bool finished;
    if (validate_innermost(validator)->opcode != OP_TRY) {
        return validate_fail(validator, ENGINE_MALFORMED, "delegate without try");
    }
    if (!validate_u32(validator, &label)) {
        return false;
    }
    if (label + 1 >= validator->control_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown label %u", label);
    }
    return validate_end(validator, &finished);
}

static bool validate_rethrow(struct validator *validator)
{
    uint32_t label;
    if (!validate_u32(validator, &label)) {
        return false;
    }
    const struct control *target = validate_find_label(validator, label);
    if (target == NULL) {
        return false;
    }
    if (target->opcode != OP_CATCH && target->opcode != OP_CATCH_ALL) {
        return validate_fail(validator, ENGINE_INVALID, "invalid rethrow label %u: not in a catch", label);
    }
    note_throw(validator);
    validate_set_unreachable(validator);
    return true;
}

bool validate_exception(struct validator *validator, unsigned opcode)
{
    struct type_list values;
    switch (opcode) {
    case OP_TRY_TABLE:
        return validate_try_table(validator);
    case OP_TRY:
        return validate_try(validator);
    case OP_CATCH:
    case OP_CATCH_ALL:
        return validate_catch(validator, opcode);
    case OP_DELEGATE:
        return validate_delegate(validator);
    case OP_RETHROW:
        return validate_rethrow(validator);
    case OP_THROW:
        if (!read_tag(validator, &values) || !validate_pop_list(validator, values)) {
            return false;
        }
        break;
    default: /* OP_THROW_REF */
        if (!validate_pop_expect(validator, reference_type(HEAP_EXN, true))) {
            return false;
        }
    }
    note_throw(validator);
    validate_set_unreachable(validator);
    return true;
}
