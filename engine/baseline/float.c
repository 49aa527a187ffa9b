/* Floating point arithmetic. Results are exactly those of the specification (4.3.3): SSE arithmetic is IEEE 754 and
 * quiets NaNs; minimum, maximum and comparisons need care for NaN and signed zeros. */
#include "engine/baseline/compiler.h"

struct operand float_constant_operand(struct compiler *c, unsigned type, uint64_t bits)
{
    if (type == TYPE_V128)
        return vector_constant_operand(c, bits);
    uint32_t from = c->pool_count > 8 ? c->pool_count - 8 : 0;
    for (uint32_t i = from; i < c->pool_count; i++) {
        if (c->pool[i] == bits)
            return operand_pool(i);
    }
    if (c->pool_count < POOL_CONSTANTS) {
        c->pool[c->pool_count] = bits;
        c->pool_chains[c->pool_count] = 0;
        return operand_pool(c->pool_count++);
    }
    unsigned reg = take_register(c, true);
    emit_float_constant(c, type, reg, bits);
    return operand_register(reg);
}

void emit_float_constant(struct compiler *c, unsigned type, unsigned reg, uint64_t bits)
{
    if (type == TYPE_V128) {
        emit_vector_constant(c, reg, bits);
    } else if (bits == 0) {
        emit_float(&c->as, X64_XORPS, reg, reg, operand_register(reg));
    } else if (c->pool_count < POOL_CONSTANTS) {
        emit_float_single(&c->as, X64_FLOAT(type == TYPE_F64, X64_FLOAT_LOAD), reg,
                          float_constant_operand(c, type, bits));
    } else {
        emit_constant(&c->as, SCRATCH, bits, true);
        emit_float_single(&c->as, X64_MOVD_TO_XMM | X64_WIDE, reg, operand_register(SCRATCH));
    }
}

static unsigned result_register(struct compiler *c, const struct target *target, const struct value *a)
{
    return target->reg != NO_REGISTER ? target->reg : value_is_free(c, a) ? a->reg : take_register(c, true);
}

/* An operation with one source that leaves the rest of the register alone: with VEX the rest comes from the second
 * operand, which is the source itself, so that nothing else is waited for. */
static void emit_unary(struct compiler *c, uint32_t opcode, unsigned reg, struct operand from)
{
    if (c->as.avx)
        emit_vex(&c->as, opcode, reg, from.kind == OPERAND_REGISTER ? from.base : reg, from);
    else
        emit_instruction(&c->as, opcode, reg, from);
}

void compile_round(struct compiler *c, unsigned mode, unsigned type)
{
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a);
    unsigned reg = result_register(c, &target, &a);
    emit_unary(c, X64_ROUND(type == TYPE_F64), reg, operand_register(from));
    emit_byte(&c->as, mode);
    target_finish(c, &target, type, reg);
}

void compile_sqrt(struct compiler *c, unsigned type, UNUSED)
{
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    struct operand from = value_operand(c, &a);
    unsigned reg = result_register(c, &target, &a);
    emit_unary(c, X64_FLOAT(type == TYPE_F64, X64_FLOAT_SQRT), reg, from);
    target_finish(c, &target, type, reg);
}

/* abs and neg: a mask in the shared text. */
static void compile_mask(struct compiler *c, unsigned type, uint32_t opcode, uint32_t mask)
{
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a);
    unsigned reg = result_register(c, &target, &a);
    emit_float(&c->as, opcode, reg, from, operand_text(mask));
    target_finish(c, &target, type, reg);
}

void compile_absolute(struct compiler *c, unsigned type, UNUSED)
{
    compile_mask(c, type, X64_ANDPS, type == TYPE_F64 ? SHARED_ABS64 : SHARED_ABS32);
}

void compile_negate(struct compiler *c, unsigned type, UNUSED)
{
    compile_mask(c, type, X64_XORPS, type == TYPE_F64 ? SHARED_SIGN64 : SHARED_SIGN32);
}

void compile_copysign(struct compiler *c, unsigned type, UNUSED)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_F64;
    struct target target = target_find(c, type);
    unsigned magnitude = value_register(c, &a), sign = value_register(c, &b);
    unsigned reg = result_register(c, &target, &a);
    emit_float(&c->as, X64_ANDPS, SCRATCH_XMM, sign, operand_text(wide ? SHARED_SIGN64 : SHARED_SIGN32));
    emit_float(&c->as, X64_ANDPS, reg, magnitude, operand_text(wide ? SHARED_ABS64 : SHARED_ABS32));
    emit_float(&c->as, X64_ORPS, reg, reg, operand_register(SCRATCH_XMM));
    target_finish(c, &target, type, reg);
}

void compile_min_max(struct compiler *c, unsigned maximum, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_F64;
    struct target target = target_find(c, type);
    unsigned first = value_register(c, &a), second = value_register(c, &b);
    unsigned reg = result_register(c, &target, &a);
    if (reg == second) { /* the order does not matter, for a operand that is the result it does */
        second = first;
        first = reg;
    }
    emit_float_single(&c->as, X64_UCOMIS(wide), first, operand_register(second));
    struct cold *cold = cold_add(c, COLD_MIN_MAX);
    if (!cold)
        return;
    cold->a = (uint8_t)first;
    cold->b = (uint8_t)second;
    cold->c = (uint8_t)reg;
    cold->type = (uint8_t)type;
    cold->maximum = maximum;
    emit_jump_forward_if(&c->as, CONDITION_E, &cold->chain); /* equal, or unordered */
    emit_float(&c->as, X64_FLOAT(wide, maximum ? X64_FLOAT_MAX : X64_FLOAT_MIN), reg, first, operand_register(second));
    cold->resume = assembler_position(&c->as);
    target_finish(c, &target, type, reg);
}

void compile_float_binary(struct compiler *c, unsigned operation, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool commutative = operation == X64_FLOAT_ADD || operation == X64_FLOAT_MUL;
    uint32_t opcode = X64_FLOAT(type == TYPE_F64, operation);
    struct target target = target_find(c, type);
    if (commutative && value_in(c, &a) == NO_REGISTER && value_in(c, &b) != NO_REGISTER) {
        struct value t = a;
        a = b;
        b = t;
    }
    unsigned first = value_register(c, &a);
    struct operand second = value_operand(c, &b);
    unsigned reg = target.reg;
    if (reg == NO_REGISTER) {
        if (value_is_free(c, &a))
            reg = first;
        else if (value_is_free(c, &b) && (c->as.avx || commutative))
            reg = b.reg;
        else
            reg = take_register(c, true);
    }
    if (!c->as.avx && second.kind == OPERAND_REGISTER && second.base == reg && first != reg) {
        if (commutative) {
            second = operand_register(first);
            first = reg;
        } else {
            move_register(c, type, SCRATCH_XMM, reg);
            second = operand_register(SCRATCH_XMM);
        }
    }
    emit_float(&c->as, opcode, reg, first, second);
    target_finish(c, &target, type, reg);
}

/* ucomis sets CF for "less" and, with ZF and PF, for "unordered": so "less" is asked as "greater" the other way round,
 * which the caller's conditions B and BE stand for. */
void compile_float_compare(struct compiler *c, unsigned condition, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool swap = condition == CONDITION_B || condition == CONDITION_BE;
    struct value *first = swap ? &b : &a, *second = swap ? &a : &b;
    unsigned reg = value_register(c, first);
    emit_float_single(&c->as, X64_UCOMIS(type == TYPE_F64), reg, value_operand(c, second));
    finish_condition(c, condition == CONDITION_B ? CONDITION_A : condition == CONDITION_BE ? CONDITION_AE : condition);
}
