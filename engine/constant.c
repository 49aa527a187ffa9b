/* Constant expressions (spec 3.3.10, 5.4.9): read, validated and reduced to what they stand for. Arithmetic of known
 * values is done here; what depends on globals remains code, for constant_evaluate. */
#include "engine/decode.h"
#include "engine/opcode.h"
#include "engine/subtype.h"

bool decode_mark_reference(struct decoder *decoder, uint32_t function)
{
    struct module *module = decoder->module;
    if (function >= module->function_count) {
        return false;
    }
    /* Any number will do: module_decode gives the final ones in the order of the functions. */
    module->functions[function].reference = 0;
    return true;
}

static void constant_reader_fault(struct decoder *decoder)
{
    decode_fail(decoder, ENGINE_MALFORMED, decode_offset(decoder), "constant expression: %s",
                reader_fault_text(decoder->reader.fault));
}

static void constant_integer(struct decoder *decoder, value_type type, struct constant_expression *result)
{
    int64_t value = 0;
    if (!reader_signed(&decoder->reader, type == VALUE_I32 ? 32 : 64, &value)) {
        constant_reader_fault(decoder);
        return;
    }
    result->kind = CONSTANT_VALUE;
    result->type = type;
    result->bits[0] = type == VALUE_I32 ? (uint32_t)value : (uint64_t)value;
}

static void constant_bits(struct decoder *decoder, value_type type, struct constant_expression *result)
{
    size_t bytes = type == VALUE_F32 ? 4 : type == VALUE_F64 ? 8 : 16;
    const uint8_t *bits = reader_bytes(&decoder->reader, bytes);
    if (bits == NULL) {
        constant_reader_fault(decoder);
        return;
    }
    result->kind = CONSTANT_VALUE;
    result->type = type;
    memcpy(result->bits, bits, bytes);
}

static void constant_global_get(struct decoder *decoder, uint32_t offset, uint32_t global_limit,
                                struct constant_expression *result)
{
    struct module *module = decoder->module;
    uint32_t index = decode_u32(decoder, "global index");
    if (!decode_ok(decoder)) {
        return;
    }
    if (index >= global_limit) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown global %u", index);
        return;
    }
    if (module->globals[index].type.mutable_) {
        decode_fail(decoder, ENGINE_INVALID, offset, "constant expression required: global %u is mutable", index);
        return;
    }
    result->kind = CONSTANT_GLOBAL_GET;
    result->type = module->globals[index].type.value;
    result->index = index;
}

static void constant_ref_null(struct decoder *decoder, uint32_t offset, struct constant_expression *result)
{
    unsigned feature = FEATURE_CORE;
    heap_type heap;
    result->kind = CONSTANT_REF_NULL;
    switch (read_heap_type(decoder->module, &decoder->reader, &heap, &feature)) {
    case TYPE_READ:
        result->type = reference_type(heap, true);
        break;
    case TYPE_UNKNOWN:
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", heap);
        break;
    case TYPE_READER_FAULT:
        constant_reader_fault(decoder);
        break;
    case TYPE_MALFORMED:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed heap type");
        break;
    case TYPE_NEEDS_FEATURE:
        decode_unsupported(decoder, feature, offset, "ref.null");
        break;
    }
}

static void constant_ref_func(struct decoder *decoder, uint32_t offset, struct constant_expression *result)
{
    const struct module *module = decoder->module;
    result->kind = CONSTANT_REF_FUNC;
    result->index = decode_u32(decoder, "function index");
    if (!decode_ok(decoder)) {
        return;
    }
    if (!decode_mark_reference(decoder, result->index)) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown function %u", result->index);
        return;
    }
    result->type = function_reference_value_type(module, result->index);
}

/* ---- Arithmetic ---- */
struct constant_stack {
    struct constant_expression values[CONSTANT_DEPTH_MAXIMUM];
    unsigned depth;
};

/* The type that an arithmetic instruction works on; VALUE_BOTTOM for all other instructions. */
static value_type arithmetic_type(uint8_t opcode)
{
    switch (opcode) {
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
        return VALUE_I32;
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL:
        return VALUE_I64;
    default:
        return VALUE_BOTTOM;
    }
}

static uint64_t calculate(uint8_t opcode, uint64_t a, uint64_t b)
{
    switch (opcode) {
    case OP_I32_ADD:
        return (uint32_t)(a + b);
    case OP_I32_SUB:
        return (uint32_t)(a - b);
    case OP_I32_MUL:
        return (uint32_t)(a * b);
    case OP_I64_ADD:
        return a + b;
    case OP_I64_SUB:
        return a - b;
    default: /* OP_I64_MUL */
        return a * b;
    }
}

static void constant_arithmetic(struct decoder *decoder, uint32_t offset, uint8_t opcode, value_type type,
                                struct constant_stack *stack)
{
    if (stack->depth < 2 || stack->values[stack->depth - 1].type != type ||
        stack->values[stack->depth - 2].type != type) {
        decode_fail(decoder, ENGINE_INVALID, offset, "type mismatch: %s in a constant expression",
                    opcode_table[opcode].mnemonic);
        return;
    }
    const struct constant_expression *b = &stack->values[--stack->depth];
    struct constant_expression *a = &stack->values[stack->depth - 1];
    if (a->kind == CONSTANT_VALUE && b->kind == CONSTANT_VALUE) {
        a->bits[0] = calculate(opcode, a->bits[0], b->bits[0]);
    } else {
        *a = (struct constant_expression){.kind = CONSTANT_CODE, .type = type};
    }
}

/* ---- Evaluation of what was checked ---- */
struct evaluation {
    const struct module *module;
    const struct constant_environment *environment;
    const uint8_t *cursor;
    uint64_t (*values)[2];
    unsigned depth;
};

static void push_number(struct evaluation *evaluation, uint64_t number)
{
    evaluation->values[evaluation->depth][0] = number;
    evaluation->values[evaluation->depth++][1] = 0;
}

/* Take `operands` values and push an object made of `count` of them. */
static void push_object(struct evaluation *evaluation, uint32_t type, uint32_t length, uint32_t operands,
                        uint32_t count)
{
    evaluation->depth -= operands;
    const struct constant_environment *environment = evaluation->environment;
    uint32_t reference = environment->make_object(
        environment->context, type, length, (const uint64_t (*)[2]) & evaluation->values[evaluation->depth], count);
    push_number(evaluation, reference);
}

static void evaluate_object(struct evaluation *evaluation, unsigned opcode)
{
    uint32_t type = read_u32_trusted(&evaluation->cursor);
    uint32_t fields = evaluation->module->defined_types[type].field_count;
    uint32_t top = evaluation->depth ? (uint32_t)evaluation->values[evaluation->depth - 1][0] : 0;
    switch (opcode) {
    case OP_STRUCT_NEW:
        push_object(evaluation, type, 0, fields, fields);
        break;
    case OP_STRUCT_NEW_DEFAULT:
        push_object(evaluation, type, 0, 0, 0);
        break;
    case OP_ARRAY_NEW:
        push_object(evaluation, type, top, 2, 1);
        break;
    case OP_ARRAY_NEW_DEFAULT:
        push_object(evaluation, type, top, 1, 0);
        break;
    default: { /* OP_ARRAY_NEW_FIXED */
        uint32_t length = read_u32_trusted(&evaluation->cursor);
        push_object(evaluation, type, length, length, length);
    }
    }
}

static void evaluate_prefixed(struct evaluation *evaluation, uint8_t prefix)
{
    unsigned opcode = opcode_number(prefix, read_u32_trusted(&evaluation->cursor));
    uint64_t *top = evaluation->depth ? evaluation->values[evaluation->depth - 1] : NULL;
    switch (opcode) {
    case OP_V128_CONST:
        memcpy(evaluation->values[evaluation->depth++], evaluation->cursor, 16);
        evaluation->cursor += 16;
        break;
    case OP_REF_I31:
        top[0] = (uint32_t)top[0] << 1 | 1;
        top[0] = (uint32_t)top[0];
        break;
    case OP_ANY_CONVERT_EXTERN: /* both have the same references */
    case OP_EXTERN_CONVERT_ANY:
        break;
    default:
        evaluate_object(evaluation, opcode);
    }
}

static void evaluate_instruction(struct evaluation *evaluation, uint8_t opcode)
{
    const struct constant_environment *environment = evaluation->environment;
    const uint8_t **cursor = &evaluation->cursor;
    uint64_t *top = evaluation->values[evaluation->depth];
    switch (opcode) {
    case OP_I32_CONST:
        push_number(evaluation, (uint32_t)read_s32_trusted(cursor));
        break;
    case OP_I64_CONST:
        push_number(evaluation, (uint64_t)read_s64_trusted(cursor));
        break;
    case OP_F32_CONST:
        push_number(evaluation, read_fixed32_trusted(cursor));
        break;
    case OP_F64_CONST:
        push_number(evaluation, read_fixed64_trusted(cursor));
        break;
    case OP_REF_NULL:
        read_s33_trusted(cursor);
        push_number(evaluation, 0);
        break;
    case OP_REF_FUNC:
        push_number(evaluation, environment->function_reference(environment->context, read_u32_trusted(cursor)));
        break;
    case OP_GLOBAL_GET:
        environment->read_global(environment->context, read_u32_trusted(cursor), top);
        evaluation->depth++;
        break;
    default:
        if (opcode_is_prefix(opcode)) {
            evaluate_prefixed(evaluation, opcode);
            break;
        }
        evaluation->depth--;
        top = evaluation->values[evaluation->depth - 1];
        top[0] = calculate(opcode, top[0], evaluation->values[evaluation->depth][0]);
    }
}

void constant_evaluate(const struct module *module, const struct constant_expression *expression,
                       const struct constant_environment *environment, uint64_t value[2])
{
    struct evaluation evaluation;
    evaluation.module = module;
    evaluation.environment = environment;
    evaluation.values = environment->values;
    evaluation.cursor = module->bytes + expression->offset;
    evaluation.depth = 0;
    for (uint8_t opcode; (opcode = *evaluation.cursor++) != OP_END;) {
        evaluate_instruction(&evaluation, opcode);
    }
    value[0] = evaluation.values[0][0];
    value[1] = evaluation.values[0][1];
}

/* ---- References (spec 3.3.10: the constant instructions of 3.0) ---- */
/* Take an operand of a type; the expression is then no known value. */
static void constant_pop(struct decoder *decoder, uint32_t offset, struct constant_stack *stack, value_type expected)
{
    char wanted[24];
    if (decode_ok(decoder) &&
        (stack->depth == 0 || !value_type_matches(decoder->module, stack->values[stack->depth - 1].type, expected))) {
        decode_fail(decoder, ENGINE_INVALID, offset, "type mismatch: constant expression expects %s",
                    value_type_text(expected, wanted));
    }
    stack->depth -= decode_ok(decoder);
}

static void constant_push_code(struct decoder *decoder, uint32_t offset, struct constant_stack *stack, value_type type)
{
    if (stack->depth == CONSTANT_DEPTH_MAXIMUM) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "constant expression too deep: limit %u", CONSTANT_DEPTH_MAXIMUM);
    } else if (decode_ok(decoder)) {
        stack->values[stack->depth++] = (struct constant_expression){.kind = CONSTANT_CODE, .type = type};
    }
}

/* The type index of a structure or array; `*type` NULL after an error. */
static uint32_t constant_type(struct decoder *decoder, uint32_t offset, unsigned kind, const struct defined_type **type)
{
    uint32_t index = decode_u32(decoder, "type index");
    *type = NULL;
    if (!decode_ok(decoder)) {
        return 0;
    }
    if (index >= decoder->module->type_count || decoder->module->defined_types[index].kind != kind) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", index);
        return 0;
    }
    *type = &decoder->module->defined_types[index];
    return (*type)->canonical;
}

static void check_defaultable(struct decoder *decoder, uint32_t offset, const struct defined_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (!value_type_is_nullable(type->fields[i].storage)) {
            decode_fail(decoder, ENGINE_INVALID, offset, "type mismatch: a field has no default value");
            return;
        }
    }
}

static void constant_struct(struct decoder *decoder, uint32_t offset, unsigned opcode, struct constant_stack *stack)
{
    const struct defined_type *type;
    uint32_t index = constant_type(decoder, offset, DEFINED_STRUCT, &type);
    if (type == NULL) {
        return;
    }
    if (opcode == OP_STRUCT_NEW_DEFAULT) {
        check_defaultable(decoder, offset, type);
    }
    for (uint32_t i = type->field_count; i > 0 && opcode == OP_STRUCT_NEW && decode_ok(decoder); i--) {
        constant_pop(decoder, offset, stack, unpacked_type(type->fields[i - 1].storage));
    }
    constant_push_code(decoder, offset, stack, reference_type(index, false));
}

static void constant_array(struct decoder *decoder, uint32_t offset, unsigned opcode, struct constant_stack *stack)
{
    const struct defined_type *type;
    uint32_t index = constant_type(decoder, offset, DEFINED_ARRAY, &type);
    if (type == NULL) {
        return;
    }
    uint32_t elements = opcode == OP_ARRAY_NEW;
    if (opcode == OP_ARRAY_NEW_FIXED) {
        elements = decode_u32(decoder, "array length");
    } else {
        constant_pop(decoder, offset, stack, VALUE_I32);
    }
    if (opcode == OP_ARRAY_NEW_DEFAULT) {
        check_defaultable(decoder, offset, type);
    }
    for (uint32_t i = 0; i < elements && decode_ok(decoder); i++) {
        constant_pop(decoder, offset, stack, unpacked_type(type->fields[0].storage));
    }
    constant_push_code(decoder, offset, stack, reference_type(index, false));
}

/* An instruction of prefix 0xfb; false when it is not constant. */
static bool constant_reference(struct decoder *decoder, uint32_t offset, unsigned opcode, struct constant_stack *stack)
{
    bool nullable = stack->depth > 0 && value_type_is_nullable(stack->values[stack->depth - 1].type);
    switch (opcode) {
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
        constant_struct(decoder, offset, opcode, stack);
        return true;
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
        constant_array(decoder, offset, opcode, stack);
        return true;
    case OP_REF_I31:
        constant_pop(decoder, offset, stack, VALUE_I32);
        constant_push_code(decoder, offset, stack, reference_type(HEAP_I31, false));
        return true;
    case OP_ANY_CONVERT_EXTERN:
        constant_pop(decoder, offset, stack, VALUE_EXTERNREF);
        constant_push_code(decoder, offset, stack, reference_type(HEAP_ANY, nullable));
        return true;
    case OP_EXTERN_CONVERT_ANY:
        constant_pop(decoder, offset, stack, reference_type(HEAP_ANY, true));
        constant_push_code(decoder, offset, stack, reference_type(HEAP_EXTERN, nullable));
        return true;
    default:
        return false;
    }
}

/* ---- Whole expressions ---- */
/* An instruction that is not handled here: illegal, of a later version, or not constant. */
static void constant_refuse(struct decoder *decoder, uint32_t offset, unsigned opcode)
{
    if (opcode >= OPCODE_COUNT || opcode_table[opcode].mnemonic == NULL) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "illegal opcode 0x%x", decoder->module->bytes[offset]);
        return;
    }
    unsigned feature = opcode_table[opcode].feature;
    if (!feature_supported(feature)) {
        decode_unsupported(decoder, feature, offset, opcode_table[opcode].mnemonic);
        return;
    }
    decode_fail(decoder, ENGINE_INVALID, offset, "constant expression required: %s is not constant",
                opcode_table[opcode].mnemonic);
}

/* One instruction that pushes a value. */
static void constant_push(struct decoder *decoder, uint32_t offset, uint8_t opcode, uint32_t global_limit,
                          struct constant_stack *stack)
{
    if (stack->depth == CONSTANT_DEPTH_MAXIMUM) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "constant expression too deep: limit %u", CONSTANT_DEPTH_MAXIMUM);
        return;
    }
    struct constant_expression *value = &stack->values[stack->depth++];
    *value = (struct constant_expression){0};
    switch (opcode) {
    case OP_I32_CONST:
        constant_integer(decoder, VALUE_I32, value);
        break;
    case OP_I64_CONST:
        constant_integer(decoder, VALUE_I64, value);
        break;
    case OP_F32_CONST:
        constant_bits(decoder, VALUE_F32, value);
        break;
    case OP_F64_CONST:
        constant_bits(decoder, VALUE_F64, value);
        break;
    case OP_GLOBAL_GET:
        constant_global_get(decoder, offset, global_limit, value);
        break;
    case OP_REF_NULL:
        constant_ref_null(decoder, offset, value);
        break;
    case OP_REF_FUNC:
        constant_ref_func(decoder, offset, value);
        break;
    default:
        constant_refuse(decoder, offset, opcode);
    }
}

static void constant_prefixed(struct decoder *decoder, uint32_t offset, uint8_t prefix, struct constant_stack *stack)
{
    unsigned opcode = opcode_number(prefix, decode_u32(decoder, "opcode"));
    if (!decode_ok(decoder)) {
        return;
    }
    bool supported = opcode < OPCODE_COUNT && feature_supported(opcode_table[opcode].feature);
    if (supported && opcode == OP_V128_CONST && stack->depth < CONSTANT_DEPTH_MAXIMUM) {
        struct constant_expression *value = &stack->values[stack->depth++];
        *value = (struct constant_expression){0};
        constant_bits(decoder, VALUE_V128, value);
    } else if (!supported || !constant_reference(decoder, offset, opcode, stack)) {
        constant_refuse(decoder, offset, opcode);
    }
}

void decode_constant(struct decoder *decoder, value_type expected, uint32_t global_limit,
                     struct constant_expression *result)
{
    uint32_t start = decode_offset(decoder);
    struct constant_stack stack;
    stack.depth = 0;
    while (decode_ok(decoder)) {
        uint32_t offset = decode_offset(decoder);
        uint8_t opcode = decode_byte(decoder, "constant expression");
        if (!decode_ok(decoder) || opcode == OP_END) {
            break;
        }
        value_type type = arithmetic_type(opcode);
        if (opcode_is_prefix(opcode)) {
            constant_prefixed(decoder, offset, opcode, &stack);
        } else if (type != VALUE_BOTTOM) {
            constant_arithmetic(decoder, offset, opcode, type, &stack);
        } else {
            constant_push(decoder, offset, opcode, global_limit, &stack);
        }
    }
    if (!decode_ok(decoder)) {
        return;
    }
    char wanted[24], found[24];
    if (stack.depth != 1) {
        decode_fail(decoder, ENGINE_INVALID, start, "type mismatch: constant expression gives %u values, not 1",
                    stack.depth);
        return;
    }
    *result = stack.values[0];
    if (result->kind == CONSTANT_CODE) {
        result->offset = start;
        result->length = decode_offset(decoder) - start;
    }
    if (!value_type_matches(decoder->module, result->type, expected)) {
        decode_fail(decoder, ENGINE_INVALID, start, "type mismatch: constant expression is %s, expected %s",
                    value_type_text(result->type, found), value_type_text(expected, wanted));
    }
}
