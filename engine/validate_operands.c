/* The validator's operand stack (spec appendix A.3: push_val, pop_val and their plurals). */
#include "engine/validate_internal.h"

#include "engine/limits.h"
#include "engine/subtype.h"

bool validate_raise(struct validator *validator)
{
    size_t height = (size_t)(validator->top - validator->operands);
    if (height > ENGINE_LIMIT_OPERANDS) {
        return validate_fail(validator, ENGINE_LIMIT, "too many operands on the stack: limit %u",
                             ENGINE_LIMIT_OPERANDS);
    }
    if (height >= validator->operand_capacity) {
        size_t capacity = height * 2;
        const struct engine_allocator *allocator = validator->allocator;
        value_type *operands = allocator->allocate(allocator->context, capacity * sizeof(*operands));
        if (operands == NULL) {
            return validate_fail(validator, ENGINE_NO_MEMORY, "out of memory while validating");
        }
        memcpy(operands, validator->operands, height * sizeof(*operands));
        validator->floor = operands + (validator->floor - validator->operands);
        allocator->release(allocator->context, validator->operands, validator->operand_capacity * sizeof(*operands));
        validator->operands = operands;
        validator->operand_capacity = capacity;
        validator->top = operands + height;
    }
    validator->high = validator->top;
    return true;
}

bool validate_push(struct validator *validator, value_type type)
{
    *validator->top++ = type;
    return LIKELY(validator->top <= validator->high) || validate_raise(validator);
}

bool validate_push_list(struct validator *validator, struct type_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        if (!validate_push(validator, list.types[i])) {
            return false;
        }
    }
    return true;
}

void validate_note_vectors(struct validator *validator, struct type_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        validator->summary->has_vectors |= list.types[i] == VALUE_V128;
    }
}

/* Name of the instruction that asks for operands; its opcode has been read without a fault. */
static const char *current_mnemonic(const struct validator *validator)
{
    const uint8_t *cursor = validator->instruction;
    uint8_t byte = *cursor++;
    unsigned opcode = opcode_is_prefix(byte) ? opcode_number(byte, read_u32_trusted(&cursor)) : byte;
    return opcode_table[opcode].mnemonic;
}

static bool fail_mismatch(struct validator *validator, value_type expected, value_type actual)
{
    char wanted[24], found[24];
    return validate_fail(validator, ENGINE_INVALID, "type mismatch: %s expects %s, found %s",
                         current_mnemonic(validator), value_type_text(expected, wanted),
                         value_type_text(actual, found));
}

static bool fail_empty(struct validator *validator, value_type expected)
{
    char wanted[24];
    return validate_fail(validator, ENGINE_INVALID, "type mismatch: %s expects %s, but nothing is on the stack",
                         current_mnemonic(validator), value_type_text(expected, wanted));
}

bool validate_pop(struct validator *validator, value_type expected, value_type *actual)
{
    if (validator->top == validator->floor) {
        if (!validate_innermost(validator)->unreachable) {
            return fail_empty(validator, expected);
        }
        *actual = VALUE_BOTTOM;
        return true;
    }
    value_type type = *--validator->top;
    *actual = type;
    if (type != expected && expected != VALUE_BOTTOM && !value_type_matches(validator->module, type, expected)) {
        return fail_mismatch(validator, expected, type);
    }
    return true;
}

bool validate_pop_expect(struct validator *validator, value_type expected)
{
    value_type actual;
    return validate_pop(validator, expected, &actual);
}

bool validate_pop_list(struct validator *validator, struct type_list list)
{
    for (uint32_t i = list.count; i > 0; i--) {
        if (!validate_pop_expect(validator, list.types[i - 1])) {
            return false;
        }
    }
    return true;
}

bool validate_peek_list(struct validator *validator, struct type_list list)
{
    size_t present = (size_t)(validator->top - validator->floor);
    for (uint32_t i = 0; i < list.count; i++) {
        value_type expected = list.types[list.count - 1 - i];
        if (i >= present) {
            return validate_innermost(validator)->unreachable || fail_empty(validator, expected);
        }
        value_type actual = *(validator->top - 1 - i);
        if (!value_type_matches(validator->module, actual, expected)) {
            return fail_mismatch(validator, expected, actual);
        }
    }
    return true;
}

bool validate_by_signature(struct validator *validator, unsigned opcode)
{
    const struct signature *signature = &opcode_signatures[opcode_table[opcode].signature];
    for (unsigned i = signature->pop_count; i > 0; i--) {
        if (!validate_pop_expect(validator, signature->pops[i - 1])) {
            return false;
        }
    }
    return signature->push == 0 || validate_push(validator, signature->push);
}
