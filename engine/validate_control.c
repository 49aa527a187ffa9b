/* Structured control: blocks, branches, calls (spec 3.3.8, appendix A.3). */
#include "engine/validate_internal.h"

#include "engine/decode.h"
#include "engine/limits.h"
#include "engine/subtype.h"

/* ---- The control stack ---- */
bool validate_push_control(struct validator *validator, unsigned opcode, struct type_list parameters,
                           struct type_list results)
{
    if (validator->control_count > ENGINE_LIMIT_BLOCK_DEPTH) {
        return validate_fail(validator, ENGINE_LIMIT, "too many nested blocks: limit %u", ENGINE_LIMIT_BLOCK_DEPTH);
    }
    if (validator->control_count == validator->control_capacity) {
        const struct engine_allocator *allocator = validator->allocator;
        size_t capacity = validator->control_capacity * 2;
        struct control *controls = allocator->allocate(allocator->context, capacity * sizeof(*controls));
        if (controls == NULL) {
            return validate_fail(validator, ENGINE_NO_MEMORY, "out of memory while validating");
        }
        memcpy(controls, validator->controls, validator->control_count * sizeof(*controls));
        allocator->release(allocator->context, validator->controls, validator->control_capacity * sizeof(*controls));
        validator->controls = controls;
        validator->control_capacity = capacity;
    }
    uint8_t depth = validator->control_count > 0 ? validate_innermost(validator)->depth : 0;
    if (opcode == OP_LOOP && depth < SUMMARY_LOOP_DEPTH_MAXIMUM) {
        depth++;
        validator->weight *= SUMMARY_LOOP_FACTOR;
    }
    validator->controls[validator->control_count++] = (struct control){
        .parameters = parameters,
        .results = results,
        .height = (size_t)(validator->top - validator->operands),
        .weight = validator->weight,
        .opcode = (uint8_t)opcode,
        .depth = depth,
        .initialized = validator->initialized_count,
    };
    if (validator->control_count > validator->summary->maximum_controls) {
        validator->summary->maximum_controls = (uint32_t)validator->control_count;
    }
    validator->floor = validator->top;
    return validate_push_list(validator, parameters);
}

void validate_set_unreachable(struct validator *validator)
{
    validator->top = validator->floor;
    validator->weight = 0;
    validate_innermost(validator)->unreachable = true;
}

/* The operands at the end of a block must be its results and nothing else. */
bool validate_pop_results(struct validator *validator)
{
    if (!validate_pop_list(validator, validate_innermost(validator)->results)) {
        return false;
    }
    if (validator->top != validator->floor) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: %u values too many at the end of the block",
                             (unsigned)(validator->top - validator->floor));
    }
    return true;
}

/* ---- Blocks ---- */
/* A list of one type; the array behind it belongs to the module or stands for ever. */
static struct type_list single_type(const struct validator *validator, value_type type)
{
#define CODES(X)       X(0x69) X(0x6a) X(0x6b) X(0x6c) X(0x6d) X(0x6e) X(0x6f) X(0x70) X(0x71) X(0x72) X(0x73) X(0x74)
#define NULLABLE(code) [code] = (code),
#define NOT_NULL(code) [code] = (HEAP_ABSTRACT | (code)) << 8 | VALUE_REF,
    static const value_type types[128] = {[VALUE_I32] = VALUE_I32, [VALUE_I64] = VALUE_I64,   [VALUE_F32] = VALUE_F32,
                                          [VALUE_F64] = VALUE_F64, [VALUE_V128] = VALUE_V128, CODES(NULLABLE)};
    static const value_type references[128] = {CODES(NOT_NULL)};
#undef CODES
#undef NULLABLE
#undef NOT_NULL
    if (!value_type_is_reference(type)) {
        return (struct type_list){&types[type], 1};
    }
    heap_type heap = value_type_heap(type);
    bool nullable = value_type_is_nullable(type);
    if (heap_type_is_abstract(heap)) {
        return (struct type_list){nullable ? &types[heap & 0x7f] : &references[heap & 0x7f], 1};
    }
    return (struct type_list){&validator->module->type_references[heap][nullable], 1};
}

/* A block type that is not a type index: empty, or one value type. */
static bool read_short_block_type(struct validator *validator, struct type_list *results)
{
    value_type type;
    if (!validate_read_value_type(validator, &type, "block type")) {
        return false;
    }
    *results = single_type(validator, type);
    return true;
}

bool validate_read_block_type(struct validator *validator, struct type_list *parameters, struct type_list *results)
{
    struct reader *reader = &validator->reader;
    *parameters = *results = (struct type_list){NULL, 0};
    if (reader->cursor < reader->limit && (*reader->cursor & 0xc0) == 0x40) {
        if (*reader->cursor == 0x40) {
            reader->cursor++;
            return true;
        }
        return read_short_block_type(validator, results);
    }
    int64_t index;
    if (!reader_s33(reader, &index)) {
        return validate_reader_fault(validator);
    }
    if (index < 0) {
        return validate_fail(validator, ENGINE_MALFORMED, "malformed block type");
    }
    if (index >= validator->module->type_count || validator->module->defined_types[index].kind != DEFINED_FUNCTION) {
        return validate_fail(validator, ENGINE_INVALID, "unknown type %u", (unsigned)index);
    }
    const struct function_type *type = &validator->module->types[index];
    *parameters = (struct type_list){function_type_parameters(type), type->parameter_count};
    *results = (struct type_list){function_type_results(type), type->result_count};
    return true;
}

bool validate_block(struct validator *validator, unsigned opcode)
{
    struct type_list parameters, results;
    if (!validate_read_block_type(validator, &parameters, &results)) {
        return false;
    }
    if (opcode == OP_IF && !validate_pop_expect(validator, VALUE_I32)) {
        return false;
    }
    if (opcode == OP_LOOP) {
        validator->summary->has_loops = true;
    }
    return validate_pop_list(validator, parameters) && validate_push_control(validator, opcode, parameters, results);
}

bool validate_else(struct validator *validator)
{
    struct control *control = validate_innermost(validator);
    if (control->opcode != OP_IF) {
        return validate_fail(validator, ENGINE_MALFORMED, "else without if");
    }
    if (!validate_pop_results(validator)) {
        return false;
    }
    control->opcode = OP_ELSE;
    validator->initialized_count = control->initialized;
    control->unreachable = false;
    validator->weight = control->weight;
    return validate_push_list(validator, control->parameters);
}

/* An `if` without `else` passes its parameters on. */
static bool check_missing_else(struct validator *validator, const struct control *control)
{
    bool same = control->parameters.count == control->results.count;
    for (uint32_t i = 0; same && i < control->results.count; i++) {
        same = value_type_matches(validator->module, control->parameters.types[i], control->results.types[i]);
    }
    return same || validate_fail(validator, ENGINE_INVALID,
                                 "type mismatch: if without else, but parameters and results differ");
}

bool validate_end(struct validator *validator, bool *finished)
{
    struct control *control = validate_innermost(validator);
    if (!validate_pop_results(validator) || (control->opcode == OP_IF && !check_missing_else(validator, control))) {
        return false;
    }
    struct type_list results = control->results;
    validator->initialized_count = control->initialized;
    validator->catch_count -= control->opcode == OP_CATCH || control->opcode == OP_CATCH_ALL;
    validator->control_count--;
    if (validator->control_count == 0) {
        *finished = true;
        return true;
    }
    struct control *outer = control - 1;
    validator->floor = validator->operands + outer->height;
    validator->weight = outer->unreachable ? 0 : outer->weight;
    return validate_push_list(validator, results);
}

/* ---- Branches ---- */
struct control *validate_find_label(struct validator *validator, uint32_t label)
{
    if (label >= validator->control_count) {
        validate_fail(validator, ENGINE_INVALID, "unknown label %u", label);
        return NULL;
    }
    return &validator->controls[validator->control_count - 1 - label];
}

struct type_list validate_label_types(const struct control *control)
{
    return control->opcode == OP_LOOP ? control->parameters : control->results;
}

bool validate_branch(struct validator *validator, unsigned opcode)
{
    uint32_t label;
    if (!validate_u32(validator, &label)) {
        return false;
    }
    struct control *target = validate_find_label(validator, label);
    if (target == NULL || (opcode == OP_BR_IF && !validate_pop_expect(validator, VALUE_I32))) {
        return false;
    }
    struct type_list types = validate_label_types(target);
    if (!validate_pop_list(validator, types)) {
        return false;
    }
    if (opcode == OP_BR_IF) {
        return validate_push_list(validator, types);
    }
    validate_set_unreachable(validator);
    return true;
}

/* One target of a br_table that has `arity` operands. A label that the same table had before is not checked again, so
 * that a long table costs its length and not length times arity. */
static bool check_table_target(struct validator *validator, struct control *target, uint32_t arity)
{
    if (target->branch_mark == validator->instruction) {
        return true;
    }
    struct type_list types = validate_label_types(target);
    if (types.count != arity) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: br_table labels take %u and %u values", arity,
                             types.count);
    }
    target->branch_mark = validator->instruction;
    return validate_peek_list(validator, types);
}

/* Take the operands for the label and leave the rest of the block unreachable. */
bool validate_branch_table(struct validator *validator)
{
    uint32_t count, label;
    if (!validate_pop_expect(validator, VALUE_I32) || !validate_u32(validator, &count)) {
        return false;
    }
    if (count >= (size_t)(validator->reader.limit - validator->reader.cursor)) {
        return validate_fail(validator, ENGINE_MALFORMED, "unexpected end: br_table of %u labels", count);
    }
    if (count > ENGINE_LIMIT_BR_TABLE_TARGETS) {
        return validate_fail(validator, ENGINE_LIMIT, "too many br_table targets: %u, limit %u", count,
                             ENGINE_LIMIT_BR_TABLE_TARGETS);
    }
    uint32_t arity = 0;
    for (uint32_t i = 0; i <= count; i++) {
        if (!validate_u32(validator, &label)) {
            return false;
        }
        struct control *target = validate_find_label(validator, label);
        if (target == NULL) {
            return false;
        }
        if (i == 0) {
            arity = validate_label_types(target).count;
        }
        if (!check_table_target(validator, target, arity)) {
            return false;
        }
    }
    validate_set_unreachable(validator);
    return true;
}

bool validate_return(struct validator *validator)
{
    if (!validate_pop_list(validator, validator->controls[0].results)) {
        return false;
    }
    validate_set_unreachable(validator);
    return true;
}

/* ---- Calls ---- */
/* A tail call's results are those of the function (spec 3.3.8.14). */
static bool check_tail_results(struct validator *validator, const struct function_type *type)
{
    struct type_list own = validator->controls[0].results;
    bool same = type->result_count == own.count;
    for (uint32_t i = 0; same && i < own.count; i++) {
        same = value_type_matches(validator->module, function_type_results(type)[i], own.types[i]);
    }
    return same || validate_fail(validator, ENGINE_INVALID,
                                 "type mismatch: results of the tail call are not those of the function");
}

static void note_call(struct validator *validator)
{
    struct function_summary *summary = validator->summary;
    summary->has_calls = true;
    if (__builtin_add_overflow(summary->call_weight, validator->weight, &summary->call_weight)) {
        summary->call_weight = UINT32_MAX;
    }
}

bool validate_call_type(struct validator *validator, const struct function_type *type, bool tail)
{
    struct function_summary *summary = validator->summary;
    if (!tail) { /* a tail call leaves nothing behind that it could disturb */
        note_call(validator);
    }
    if (type->parameter_count > summary->maximum_call_parameters) {
        summary->maximum_call_parameters = type->parameter_count;
    }
    if (type->result_count > summary->maximum_call_results) {
        summary->maximum_call_results = type->result_count;
    }
    if (!validate_pop_list(validator, (struct type_list){function_type_parameters(type), type->parameter_count})) {
        return false;
    }
    if (tail) {
        summary->has_tail_calls = true;
        if (!check_tail_results(validator, type)) {
            return false;
        }
        validate_set_unreachable(validator);
        return true;
    }
    struct type_list results = {function_type_results(type), type->result_count};
    validate_note_vectors(validator, results);
    return validate_push_list(validator, results);
}

bool validate_call(struct validator *validator, unsigned opcode)
{
    const struct module *module = validator->module;
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (index >= module->function_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown function %u", index);
    }
    if (index < module->function_import_count) {
        validator->summary->has_indirect_calls = true;
    }
    return validate_call_type(validator, &module->types[module->functions[index].type], opcode == OP_RETURN_CALL);
}

bool validate_call_indirect(struct validator *validator, unsigned opcode)
{
    const struct module *module = validator->module;
    uint32_t type, table;
    if (!validate_u32(validator, &type) || !validate_u32(validator, &table)) {
        return false;
    }
    if (table >= module->table_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown table %u", table);
    }
    if (!value_type_matches(module, module->tables[table].type.element, VALUE_FUNCREF)) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: call_indirect needs a table of funcref");
    }
    if (type >= module->type_count || module->defined_types[type].kind != DEFINED_FUNCTION) {
        return validate_fail(validator, ENGINE_INVALID, "unknown type %u", type);
    }
    validator->summary->has_indirect_calls = true;
    return validate_pop_expect(validator, limits_address_type(&module->tables[table].type.limits)) &&
           validate_call_type(validator, &module->types[type], opcode == OP_RETURN_CALL_INDIRECT);
}
