/* Vector arithmetic, comparisons, shifts and selection (spec 4.3.5, and the relaxed operations). */
#include "engine/baseline/simd.h"

/* ---- Two operands ---- */
/* Take them off the stack, as they are best used: a in a register. */
static struct operand pop_two(struct compiler *c, struct value *a, struct value *b, unsigned flags,
                              struct target *target)
{
    *b = vpop(c);
    *a = vpop(c);
    *target = target_find(c, TYPE_V128);
    if (flags & VECTOR_SWAPPED)
        swap_vectors(a, b);
    if ((flags & VECTOR_COMMUTES) && value_in(c, a) == NO_REGISTER && value_in(c, b) != NO_REGISTER)
        swap_vectors(a, b);
    value_register(c, a);
    return vector_operand(c, b);
}

void compile_vector_binary(struct compiler *c, unsigned opcode, unsigned flags)
{
    struct value a, b;
    struct target target;
    struct operand second = pop_two(c, &a, &b, flags, &target);
    unsigned first = value_in(c, &a);
    bool over_b = c->as.avx || flags & VECTOR_COMMUTES;
    unsigned reg = vector_result(c, &target, &a, over_b ? &b : NULL, 0);
    if ((flags & VECTOR_COMMUTES) && second.kind == OPERAND_REGISTER && second.base == reg && first != reg) {
        second.base = (uint8_t)first;
        first = reg;
    }
    vector_operate(c, opcode, reg, first, second);
    target_finish(c, &target, TYPE_V128, reg);
}

static void invert(struct compiler *c, unsigned reg)
{
    vector_ones(c, SCRATCH_XMM);
    vector_registers(c, X64_PXOR, reg, reg, SCRATCH_XMM);
}

void compile_vector_not_compare(struct compiler *c, unsigned opcode, unsigned flags)
{
    struct value a, b;
    struct target target;
    struct operand second = pop_two(c, &a, &b, flags, &target);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_operate(c, opcode, reg, value_in(c, &a), second);
    invert(c, reg);
    target_finish(c, &target, TYPE_V128, reg);
}

/* a <= b is min(a, b) == a, and a >= b is max(a, b) == a. */
void compile_vector_bound(struct compiler *c, unsigned opcode, unsigned equal)
{
    struct value a, b;
    struct target target;
    struct operand second = pop_two(c, &a, &b, 0, &target);
    unsigned first = value_in(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    vector_operate(c, opcode, SCRATCH_XMM, first, second);
    vector_registers(c, equal & ~VECTOR_INVERT, reg, SCRATCH_XMM, first);
    if (equal & VECTOR_INVERT)
        invert(c, reg);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_float_compare(struct compiler *c, unsigned predicate, unsigned wide_and_flags)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    if (wide_and_flags & VECTOR_SWAPPED)
        swap_vectors(&a, &b);
    unsigned first = value_register(c, &a);
    struct operand second = vector_operand_near(c, &b);
    unsigned reg = vector_result(c, &target, &a, c->as.avx ? &b : NULL, 0);
    vector_operate_immediate(c, X64_CMP(wide_and_flags & 1), reg, first, second, predicate);
    target_finish(c, &target, TYPE_V128, reg);
}

/* The instructions give their second operand for NaN and for two zeros, so they are asked both ways round, and what
 * differs is put together: a zero's sign, and NaN, whose payload is then cut to that of a canonical one. */
void compile_vector_min_max(struct compiler *c, unsigned maximum, unsigned wide)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a), second = value_register(c, &b);
    unsigned reg = vector_result(c, &target, NULL, &b, REGISTER_BIT(first));
    uint32_t opcode = PACKED(wide, maximum ? 0x5f : 0x5d);
    vector_registers(c, opcode, SCRATCH_XMM, first, second);
    vector_registers(c, opcode, reg, second, first);
    if (maximum) {
        vector_registers(c, X64_XORPS, reg, reg, SCRATCH_XMM); /* a sign, or bits of a NaN */
        vector_registers(c, X64_ORPS, SCRATCH_XMM, SCRATCH_XMM, reg);
        vector_registers(c, PACKED(wide, 0x5c), SCRATCH_XMM, SCRATCH_XMM, reg); /* -0 - -0 is +0 */
    } else {
        vector_registers(c, X64_ORPS, SCRATCH_XMM, SCRATCH_XMM, reg);
    }
    vector_operate_immediate(c, X64_CMP(wide), reg, reg, operand_register(SCRATCH_XMM), PREDICATE_UNORDERED);
    if (!maximum)
        vector_registers(c, X64_ORPS, SCRATCH_XMM, SCRATCH_XMM, reg);
    vector_shift(c, VECTOR_SHR, wide ? 64 : 32, reg, reg, wide ? 13 : 10);
    vector_registers(c, X64_ANDNPS, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* Saturated product: the instruction's only wrong result is that of the two minima. */
void compile_vector_q15(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a, b;
    struct target target;
    struct operand second = pop_two(c, &a, &b, VECTOR_COMMUTES, &target);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_operate(c, V38(0x0b), reg, value_in(c, &a), second);
    vector_operate(c, X64_PCMPEQW, SCRATCH_XMM, reg, SHARED_VECTOR(WORDS_SIGN));
    vector_registers(c, X64_PXOR, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* high(a) * low(b) + low(a) * high(b), moved up, + low(a) * low(b) */
void compile_vector_multiply_64(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a), second = value_register(c, &b), other = take_register(c, true);
    vector_shift(c, VECTOR_SHR, 64, SCRATCH_XMM, first, 32);
    vector_registers(c, X64_PMULUDQ, SCRATCH_XMM, SCRATCH_XMM, second);
    vector_shift(c, VECTOR_SHR, 64, other, second, 32);
    vector_registers(c, X64_PMULUDQ, other, other, first);
    vector_registers(c, X64_PADDQ, other, other, SCRATCH_XMM);
    vector_shift(c, VECTOR_SHL, 64, other, other, 32);
    vector_registers(c, X64_PMULUDQ, SCRATCH_XMM, first, second);
    unsigned reg = target.reg != NO_REGISTER ? target.reg : other;
    vector_registers(c, X64_PADDQ, reg, other, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- One operand ---- */
void compile_vector_unary(struct compiler *c, unsigned opcode, UNUSED)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    struct operand from = vector_operand(c, &a);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_single(c, opcode, reg, from, NO_IMMEDIATE);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_masked(struct compiler *c, unsigned opcode, unsigned mask)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    vector_operate(c, opcode, reg, from, operand_text(mask));
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_round(struct compiler *c, unsigned mode, unsigned wide)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    struct operand from = vector_operand_near(c, &a);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_single(c, V3A(wide ? 0x09 : 0x08), reg, from, mode);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_negate(struct compiler *c, unsigned subtract, UNUSED)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    struct operand from = vector_operand(c, &a);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_zero(c, SCRATCH_XMM);
    vector_operate(c, subtract, reg, SCRATCH_XMM, from);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_not(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    vector_ones(c, SCRATCH_XMM);
    vector_registers(c, X64_PXOR, reg, from, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_absolute_64(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    vector_zero(c, SCRATCH_XMM);
    vector_registers(c, X64_PCMPGTQ, SCRATCH_XMM, SCRATCH_XMM, from);
    vector_registers(c, X64_PXOR, reg, from, SCRATCH_XMM);
    vector_registers(c, X64_PSUBQ, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* The counts of both halves of each byte, looked up. */
void compile_vector_popcount(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), high = take_register(c, true);
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_shift(c, VECTOR_SHR, 16, SCRATCH_XMM, from, 4);
    vector_operate(c, X64_PAND, SCRATCH_XMM, SCRATCH_XMM, SHARED_VECTOR(BYTES_0F));
    emit_load_slot(c, TYPE_V128, high, SHARED_VECTOR(BIT_COUNTS));
    vector_registers(c, X64_PSHUFB, high, high, SCRATCH_XMM);
    vector_operate(c, X64_PAND, SCRATCH_XMM, from, SHARED_VECTOR(BYTES_0F));
    emit_load_slot(c, TYPE_V128, reg, SHARED_VECTOR(BIT_COUNTS));
    vector_registers(c, X64_PSHUFB, reg, reg, SCRATCH_XMM);
    vector_registers(c, V0F(0xfc), reg, reg, high);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Shifts ---- */
/* The count of a shift, modulo the lanes' width. False: constant, in `*constant`; true: in the scratch register. */
static bool pop_count(struct compiler *c, unsigned bits, unsigned added, unsigned *constant)
{
    struct value count = vpop(c);
    if (count.place == PLACE_CONSTANT) {
        *constant = (unsigned)count.constant & (bits - 1);
        return false;
    }
    unsigned reg = value_register(c, &count);
    emit_move(&c->as, false, SCRATCH, reg);
    emit_alu_immediate(&c->as, ALU_AND, false, operand_register(SCRATCH), (int32_t)bits - 1);
    if (added)
        emit_alu_immediate(&c->as, ALU_ADD, false, operand_register(SCRATCH), (int32_t)added);
    emit_float_single(&c->as, X64_MOVD_TO_XMM, SCRATCH_XMM, operand_register(SCRATCH));
    return true;
}

void compile_vector_shift(struct compiler *c, unsigned shift, unsigned bits)
{
    unsigned constant;
    bool variable = pop_count(c, bits, 0, &constant);
    struct value a = vpop(c);
    if (!variable && constant == 0) {
        push_value(c, a);
        return;
    }
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (variable)
        vector_registers(c, X64_SHIFT(shift, bits), reg, from, SCRATCH_XMM);
    else
        vector_shift(c, shift, bits, reg, from, constant);
    target_finish(c, &target, TYPE_V128, reg);
}

/* 64-bit lanes have no arithmetic shift: the sign bit's place after a logical one is extended by xor and subtract. */
void compile_vector_shift_signed_64(struct compiler *c, UNUSED, UNUSED_TOO)
{
    unsigned constant;
    bool variable = pop_count(c, 64, 0, &constant);
    struct value a = vpop(c);
    if (!variable && constant == 0) {
        push_value(c, a);
        return;
    }
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a);
    unsigned sign = take_register(c, true), reg = vector_result(c, &target, &a, NULL, 0);
    emit_load_slot(c, TYPE_V128, sign, operand_text(SHARED_SIGN64));
    if (variable) {
        vector_registers(c, X64_SHIFT(VECTOR_SHR, 64), sign, sign, SCRATCH_XMM);
        vector_registers(c, X64_SHIFT(VECTOR_SHR, 64), reg, from, SCRATCH_XMM);
    } else {
        vector_shift(c, VECTOR_SHR, 64, sign, sign, constant);
        vector_shift(c, VECTOR_SHR, 64, reg, from, constant);
    }
    vector_registers(c, X64_PXOR, reg, reg, sign);
    vector_registers(c, X64_PSUBQ, reg, reg, sign);
    target_finish(c, &target, TYPE_V128, reg);
}

static uint64_t splat_byte(uint64_t byte)
{
    return (byte & 0xff) * UINT64_C(0x0101010101010101);
}

/* Logical shifts by a constant: as words, then the bits that came from the neighbour are masked. */
static void shift_bytes_masked(struct compiler *c, unsigned shift, unsigned count)
{
    struct value a = vpop(c);
    if (count == 0) {
        push_value(c, a);
        return;
    }
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    uint64_t mask = splat_byte(shift == VECTOR_SHL ? 0xffu << count : 0xffu >> count);
    vector_shift(c, shift, 16, reg, from, count);
    vector_operate(c, X64_PAND, reg, reg, vector_pool(c, (uint64_t[2]){mask, mask}));
    target_finish(c, &target, TYPE_V128, reg);
}

/* All others: each byte as the upper half of a word, shifted, and as lower half packed again. */
void compile_vector_shift_bytes(struct compiler *c, unsigned shift, UNUSED)
{
    unsigned count, unpacked = shift == VECTOR_SHL ? 0 : 8;
    bool variable = pop_count(c, 8, unpacked, &count);
    if (!variable && shift != VECTOR_SAR) {
        shift_bytes_masked(c, shift, count);
        return;
    }
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), low = take_register(c, true);
    unsigned high = vector_result(c, &target, NULL, NULL, REGISTER_BIT(from));
    if (shift == VECTOR_SHL) { /* with zeros below */
        vector_zero(c, low);
        vector_registers(c, X64_PUNPCKHBW, high, low, from);
        vector_registers(c, X64_PUNPCKLBW, low, low, from);
    } else {
        vector_registers(c, X64_PUNPCKHBW, high, from, from);
        vector_registers(c, X64_PUNPCKLBW, low, from, from);
    }
    if (variable) {
        vector_registers(c, X64_SHIFT(shift, 16), low, low, SCRATCH_XMM);
        vector_registers(c, X64_SHIFT(shift, 16), high, high, SCRATCH_XMM);
    } else {
        vector_shift(c, shift, 16, low, low, count + 8);
        vector_shift(c, shift, 16, high, high, count + 8);
    }
    if (shift == VECTOR_SHL) {
        vector_shift(c, VECTOR_SHR, 16, low, low, 8);
        vector_shift(c, VECTOR_SHR, 16, high, high, 8);
    }
    unsigned reg = target.reg != NO_REGISTER ? target.reg : low;
    vector_registers(c, shift == VECTOR_SAR ? X64_PACKSSWB : X64_PACKUSWB, reg, low, high);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Three operands ---- */
void compile_vector_bitselect(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value mask = vpop(c), b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned selector = value_register(c, &mask);
    struct operand first = vector_operand(c, &a);
    vector_operate(c, X64_PAND, SCRATCH_XMM, selector, first);
    struct operand second = vector_operand(c, &b);
    unsigned reg = vector_result(c, &target, &mask, c->as.avx ? &b : NULL, c->as.avx ? 0 : operand_bit(second));
    vector_operate(c, X64_PANDN, reg, selector, second);
    vector_registers(c, X64_POR, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* By the top bits of the mask, where one instruction does it; else by all. */
void compile_vector_laneselect(struct compiler *c, unsigned blend, UNUSED)
{
    if (!c->as.avx) {
        compile_vector_bitselect(c, 0, 0);
        return;
    }
    struct value mask = vpop(c), b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a), second = value_register(c, &b), selector = value_register(c, &mask);
    unsigned reg = vector_result(c, &target, &a, &b, 0);
    emit_vex(&c->as, blend, reg, second, operand_register(first));
    emit_byte(&c->as, (selector & 15) << 4);
    target_finish(c, &target, TYPE_V128, reg);
}

/* a * b + c or c - a * b, rounded once where the CPU can: forms by which register is overwritten. */
static unsigned emit_fused(struct compiler *c, const struct target *target, struct value *a, struct value *b,
                           struct value *addend, bool negate, uint32_t size)
{
    unsigned first = value_register(c, a), second = value_register(c, b), third = value_register(c, addend);
    if (target->reg != NO_REGISTER && target->reg == second) {
        second = first;
        first = target->reg;
    }
    if (target->reg != NO_REGISTER && target->reg == first && first != third) {
        emit_vex(&c->as, V38(negate ? 0xac : 0xa8) | size, first, second, operand_register(third));
        return first;
    }
    unsigned reg = vector_result(c, target, addend, NULL, REGISTER_BIT(first) | REGISTER_BIT(second));
    move_register(c, TYPE_V128, reg, third);
    emit_vex(&c->as, V38(negate ? 0xbc : 0xb8) | size, reg, first, operand_register(second));
    return reg;
}

void compile_vector_multiply_add(struct compiler *c, unsigned negate, unsigned wide)
{
    struct value addend = vpop(c), b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned reg;
    if (c->as.avx && c->features & CPU_FMA) {
        reg = emit_fused(c, &target, &a, &b, &addend, negate, X64_IF(wide, X64_WIDE));
    } else {
        unsigned first = value_register(c, &a), third = value_register(c, &addend);
        vector_operate(c, PACKED(wide, X64_FLOAT_MUL), SCRATCH_XMM, first, vector_operand(c, &b));
        reg = vector_result(c, &target, &addend, NULL, 0);
        vector_registers(c, PACKED(wide, negate ? X64_FLOAT_SUB : X64_FLOAT_ADD), reg, third, SCRATCH_XMM);
    }
    target_finish(c, &target, TYPE_V128, reg);
}

/* i32x4.relaxed_dot_i8x16_i7x16_add_s: the second operand's bytes are below 128, so they may be the unsigned ones. */
void compile_vector_relaxed_dot_add(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value addend = vpop(c), b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned second = value_register(c, &b);
    vector_operate(c, V38(0x04), SCRATCH_XMM, second, vector_operand(c, &a));
    vector_operate(c, V0F(0xf5), SCRATCH_XMM, SCRATCH_XMM, SHARED_VECTOR(WORDS_ONE));
    unsigned third = value_register(c, &addend), reg = vector_result(c, &target, &addend, NULL, 0);
    vector_registers(c, X64_PADDD, reg, third, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}
