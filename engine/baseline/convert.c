/* Conversions between integers and floats. */
#include "engine/baseline/compiler.h"

/* ---- Float to integer ----
 * The conversion instructions give the minimum for everything that does not fit, so the fast path is the conversion and
 * one check, and the cold code finds out what it was. */
struct truncation {
    bool from_wide, to_wide, is_signed, saturate;
};

static void emit_truncate_instruction(struct compiler *c, const struct truncation *t, bool wide, unsigned reg,
                                      unsigned from)
{
    emit_float_single(&c->as, X64_FLOAT(t->from_wide, X64_FLOAT_TO_INT) | X64_IF(wide, X64_WIDE), reg,
                      operand_register(from));
}

/* u64: above 2^63 the sign bit is added after the conversion. */
static void emit_truncate_u64(struct compiler *c, const struct truncation *t, unsigned reg, unsigned from,
                              uint32_t *failed)
{
    struct operand limit = operand_text(t->from_wide ? SHARED_TWO63_F64 : SHARED_TWO63_F32);
    uint32_t large = 0, done = 0;
    emit_float_single(&c->as, X64_UCOMIS(t->from_wide), from, limit);
    emit_jump_forward_if(&c->as, CONDITION_AE, &large);
    emit_truncate_instruction(c, t, true, reg, from);
    emit_registers(&c->as, X64_TEST | X64_WIDE, reg, reg);
    emit_jump_forward_if(&c->as, CONDITION_S, failed);
    emit_jump_forward(&c->as, &done);
    bind_chain(&c->as, large, assembler_position(&c->as));
    emit_float(&c->as, X64_FLOAT(t->from_wide, X64_FLOAT_SUB), SCRATCH_XMM, from, limit);
    emit_truncate_instruction(c, t, true, reg, SCRATCH_XMM);
    emit_registers(&c->as, X64_TEST | X64_WIDE, reg, reg);
    emit_jump_forward_if(&c->as, CONDITION_S, failed);
    emit_constant(&c->as, SCRATCH, UINT64_C(1) << 63, false);
    emit_alu(&c->as, ALU_XOR, true, reg, operand_register(SCRATCH));
    bind_chain(&c->as, done, assembler_position(&c->as));
}

void compile_truncate(struct compiler *c, unsigned flags, unsigned type)
{
    struct truncation t = {.from_wide = flags & TRUNCATE_F64,
                           .to_wide = type == TYPE_I64,
                           .is_signed = !(flags & TRUNCATE_UNSIGNED),
                           .saturate = flags & TRUNCATE_SATURATE};
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a), reg = target_register(c, &target, type);
    struct cold *cold = cold_add(c, COLD_TRUNCATE);
    if (!cold)
        return;
    cold->a = (uint8_t)from;
    cold->b = (uint8_t)reg;
    cold->c = (uint8_t)(t.from_wide | t.to_wide << 1 | t.is_signed << 2 | t.saturate << 3);
    if (t.is_signed) {
        emit_truncate_instruction(c, &t, t.to_wide, reg, from);
        emit_alu_immediate(&c->as, ALU_CMP, t.to_wide, operand_register(reg), 1); /* overflows for the minimum only */
        emit_jump_forward_if(&c->as, CONDITION_O, &cold->chain);
    } else if (t.to_wide) {
        emit_truncate_u64(c, &t, reg, from, &cold->chain);
    } else {
        emit_truncate_instruction(c, &t, true, reg, from);
        emit_move(&c->as, false, SCRATCH, reg);
        emit_alu(&c->as, ALU_CMP, true, SCRATCH, operand_register(reg));
        emit_jump_forward_if(&c->as, CONDITION_NE, &cold->chain);
    }
    cold->resume = assembler_position(&c->as);
    target_finish(c, &target, type, reg);
}

/* ---- Integer to float ---- */
void compile_from_integer(struct compiler *c, unsigned is_signed, unsigned type)
{
    struct value a = vpop(c);
    bool from_wide = a.type == TYPE_I64;
    struct target target = target_find(c, type);
    uint32_t opcode = X64_FLOAT(type == TYPE_F64, X64_FLOAT_FROM_INT);
    bool wide = from_wide || !is_signed; /* a u32 is a 64-bit number in its register */
    struct operand from = is_signed ? value_operand(c, &a) : operand_register(value_register(c, &a));
    unsigned reg = target_register(c, &target, type);
    struct cold *cold = NULL;
    if (from_wide && !is_signed) {
        unsigned other = take_register(c, false);
        cold = cold_add(c, COLD_CONVERT);
        if (!cold)
            return;
        cold->a = from.base;
        cold->b = (uint8_t)reg;
        cold->c = (uint8_t)other;
        cold->type = (uint8_t)type;
        emit_registers(&c->as, X64_TEST | X64_WIDE, from.base, from.base);
        emit_jump_forward_if(&c->as, CONDITION_S, &cold->chain);
    }
    emit_float(&c->as, X64_XORPS, reg, reg, operand_register(reg)); /* do not wait for its old value */
    emit_float(&c->as, opcode | X64_IF(wide, X64_WIDE), reg, reg, from);
    if (cold)
        cold->resume = assembler_position(&c->as);
    target_finish(c, &target, type, reg);
}

/* ---- Between floats, and bit patterns ---- */
void compile_float_width(struct compiler *c, unsigned type, UNUSED)
{
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a);
    unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, &a) ? a.reg : take_register(c, true);
    uint32_t opcode = X64_FLOAT(a.type == TYPE_F64, X64_FLOAT_CONVERT);
    if (c->as.avx)
        emit_vex(&c->as, opcode, reg, from, operand_register(from));
    else
        emit_instruction(&c->as, opcode, reg, operand_register(from));
    target_finish(c, &target, type, reg);
}

void compile_reinterpret(struct compiler *c, unsigned type, UNUSED)
{
    struct value a = vpop(c);
    uint32_t size = X64_IF(type_is_wide(type), X64_WIDE);
    if (a.place == PLACE_CONSTANT) {
        push_constant(c, type, a.constant);
        return;
    }
    struct target target = target_find(c, type);
    struct operand from = value_operand(c, &a);
    unsigned reg = target_register(c, &target, type);
    if (from.kind != OPERAND_REGISTER)
        emit_load_slot(c, type, reg, from);
    else if (type_is_float(type))
        emit_float_single(&c->as, X64_MOVD_TO_XMM | size, reg, from);
    else
        emit_float_single(&c->as, X64_MOVD_FROM_XMM | size, from.base, operand_register(reg));
    target_finish(c, &target, type, reg);
}
