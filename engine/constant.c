/* Constant expressions (spec 3.3.10, 5.4.9): read, validated and reduced to what they stand for. */
#include "engine/decode.h"
#include "engine/opcode.h"

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

static void constant_float(struct decoder *decoder, value_type type, struct constant_expression *result)
{
    size_t bytes = type == VALUE_F32 ? 4 : 8;
    const uint8_t *bits = reader_bytes(&decoder->reader, bytes);
    if (bits == NULL) {
        constant_reader_fault(decoder);
        return;
    }
    result->kind = CONSTANT_VALUE;
    result->type = type;
    memcpy(&result->bits[0], bits, bytes);
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
    result->kind = CONSTANT_REF_NULL;
    switch (read_heap_type(&decoder->reader, &result->type, &feature)) {
    case TYPE_READ:
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
    result->kind = CONSTANT_REF_FUNC;
    result->type = VALUE_FUNCREF;
    result->index = decode_u32(decoder, "function index");
    if (decode_ok(decoder) && !decode_mark_reference(decoder, result->index)) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown function %u", result->index);
    }
}

/* Whether WebAssembly 3.0 counts the instruction among the constant ones, and by which feature. */
static unsigned constant_feature(unsigned opcode)
{
    switch (opcode) {
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL:
        return FEATURE_EXTENDED_CONST;
    default:
        return opcode_table[opcode].feature;
    }
}

/* An instruction that is not handled here: illegal, of a later version, or not constant. */
static void constant_refuse(struct decoder *decoder, uint32_t offset, uint8_t byte)
{
    unsigned opcode = byte;
    if (opcode_is_prefix(byte)) {
        uint32_t code = decode_u32(decoder, "opcode");
        opcode = opcode_number(byte, code);
        if (!decode_ok(decoder)) {
            return;
        }
    }
    if (opcode >= OPCODE_COUNT || opcode_table[opcode].mnemonic == NULL) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "illegal opcode 0x%x", byte);
        return;
    }
    unsigned feature = constant_feature(opcode);
    if (feature != FEATURE_CORE) {
        decode_unsupported(decoder, feature, offset, opcode_table[opcode].mnemonic);
        return;
    }
    decode_fail(decoder, ENGINE_INVALID, offset, "constant expression required: %s is not constant",
                opcode_table[opcode].mnemonic);
}

void decode_constant(struct decoder *decoder, value_type expected, uint32_t global_limit,
                     struct constant_expression *result)
{
    uint32_t start = decode_offset(decoder);
    uint64_t values = 0;
    while (decode_ok(decoder)) {
        uint32_t offset = decode_offset(decoder);
        uint8_t byte = decode_byte(decoder, "constant expression");
        if (!decode_ok(decoder) || byte == OP_END) {
            break;
        }
        values++;
        switch (byte) {
        case OP_I32_CONST:
            constant_integer(decoder, VALUE_I32, result);
            break;
        case OP_I64_CONST:
            constant_integer(decoder, VALUE_I64, result);
            break;
        case OP_F32_CONST:
            constant_float(decoder, VALUE_F32, result);
            break;
        case OP_F64_CONST:
            constant_float(decoder, VALUE_F64, result);
            break;
        case OP_GLOBAL_GET:
            constant_global_get(decoder, offset, global_limit, result);
            break;
        case OP_REF_NULL:
            constant_ref_null(decoder, offset, result);
            break;
        case OP_REF_FUNC:
            constant_ref_func(decoder, offset, result);
            break;
        default:
            constant_refuse(decoder, offset, byte);
        }
    }
    if (!decode_ok(decoder)) {
        return;
    }
    char wanted[24], found[24];
    if (values != 1) {
        decode_fail(decoder, ENGINE_INVALID, start, "type mismatch: constant expression gives %llu values, not 1",
                    (unsigned long long)values);
    } else if (result->type != expected) {
        decode_fail(decoder, ENGINE_INVALID, start, "type mismatch: constant expression is %s, expected %s",
                    value_type_text(result->type, found), value_type_text(expected, wanted));
    }
}
