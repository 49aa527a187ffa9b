/* Vector operations between lanes of different widths, and between integers and floats (spec 4.3.5). */
#include "engine/baseline/simd.h"

/* ---- Widening ---- */
/* The upper lanes, extended: interleaved with their signs or zeros. */
void compile_vector_extend_high(struct compiler *c, unsigned is_signed, unsigned bits)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (is_signed) { /* moved down first: there are instructions for the lower lanes */
        vector_single(c, X64_PSHUFD, reg, operand_register(from), 0xee);
        vector_single(c, V38(bits == 8 ? 0x20 : bits == 16 ? 0x23 : 0x25), reg, operand_register(reg), NO_IMMEDIATE);
    } else {
        vector_zero(c, SCRATCH_XMM);
        vector_registers(c, bits == 8 ? X64_PUNPCKHBW : bits == 16 ? X64_PUNPCKHWD : V0F(0x6a), reg, from, SCRATCH_XMM);
    }
    target_finish(c, &target, TYPE_V128, reg);
}

/* The four lower or upper lanes of 16 bits: low and high parts of the products, interleaved. */
void compile_vector_multiply_words(struct compiler *c, unsigned high, unsigned is_signed)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a);
    struct operand second = vector_operand(c, &b);
    unsigned reg = vector_result(c, &target, &a, NULL, operand_bit(second));
    vector_operate(c, V0F(is_signed ? 0xe5 : 0xe4), SCRATCH_XMM, first, second);
    vector_operate(c, V0F(0xd5), reg, first, second);
    vector_registers(c, high ? X64_PUNPCKHWD : X64_PUNPCKLWD, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

static void widen_bytes(struct compiler *c, unsigned to, unsigned from, unsigned high, unsigned is_signed)
{
    if (high) {
        vector_single(c, X64_PSHUFD, to, operand_register(from), 0xee);
        from = to;
    }
    vector_single(c, V38(is_signed ? 0x20 : 0x30), to, operand_register(from), NO_IMMEDIATE);
}

void compile_vector_multiply_bytes(struct compiler *c, unsigned high, unsigned is_signed)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a), second = value_register(c, &b);
    widen_bytes(c, SCRATCH_XMM, second, high, is_signed);
    unsigned reg = vector_result(c, &target, &a, &b, 0);
    widen_bytes(c, reg, first, high, is_signed);
    vector_registers(c, V0F(0xd5), reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_multiply_longs(struct compiler *c, unsigned high, unsigned is_signed)
{
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a), second = value_register(c, &b), lanes = high ? 0xfa : 0x50;
    vector_single(c, X64_PSHUFD, SCRATCH_XMM, operand_register(second), lanes);
    unsigned reg = vector_result(c, &target, &a, &b, 0);
    vector_single(c, X64_PSHUFD, reg, operand_register(first), lanes);
    vector_registers(c, is_signed ? V38(0x28) : X64_PMULUDQ, reg, reg, SCRATCH_XMM);
    target_finish(c, &target, TYPE_V128, reg);
}

/* Sums of neighbours are products with ones. Which operand counts as unsigned is the instruction's choice. */
void compile_vector_pairwise(struct compiler *c, unsigned bits, unsigned is_signed)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (bits == 8 && is_signed) {
        emit_load_slot(c, TYPE_V128, SCRATCH_XMM, SHARED_VECTOR(BYTES_01));
        vector_registers(c, V38(0x04), reg, SCRATCH_XMM, from);
    } else if (bits == 8) {
        vector_operate(c, V38(0x04), reg, from, SHARED_VECTOR(BYTES_01));
    } else if (is_signed) {
        vector_operate(c, V0F(0xf5), reg, from, SHARED_VECTOR(WORDS_ONE));
    } else { /* less 2^15 each, and 2^16 more afterwards */
        vector_operate(c, X64_PXOR, reg, from, SHARED_VECTOR(WORDS_SIGN));
        vector_operate(c, V0F(0xf5), reg, reg, SHARED_VECTOR(WORDS_ONE));
        vector_operate(c, X64_PADDD, reg, reg, SHARED_VECTOR(TWO16));
    }
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Float to integer: the instructions give the minimum for all that does not fit ---- */
/* NaN becomes 0 first; positive overflow is seen by the sign that the result should not have. */
static void truncate_signed(struct compiler *c, unsigned reg, unsigned from)
{
    vector_operate_immediate(c, X64_CMP(false), SCRATCH_XMM, from, operand_register(from), PREDICATE_EQ);
    vector_registers(c, X64_PAND, reg, from, SCRATCH_XMM);
    vector_registers(c, X64_PXOR, SCRATCH_XMM, SCRATCH_XMM, reg); /* top bit: not negative, and a number */
    vector_single(c, X64_CVTTPS2DQ, reg, operand_register(reg), NO_IMMEDIATE);
    vector_registers(c, X64_PAND, SCRATCH_XMM, SCRATCH_XMM, reg); /* but now negative */
    vector_shift(c, VECTOR_SAR, 32, SCRATCH_XMM, SCRATCH_XMM, 31);
    vector_registers(c, X64_PXOR, reg, reg, SCRATCH_XMM);
}

/* What is above 2^31 is converted separately, and both are added. */
static void truncate_unsigned(struct compiler *c, unsigned reg, unsigned from)
{
    unsigned above = take_register(c, true);
    vector_zero(c, SCRATCH_XMM);
    vector_registers(c, PACKED(false, X64_FLOAT_MAX), reg, from, SCRATCH_XMM); /* NaN and negative: 0 */
    vector_operate(c, PACKED(false, X64_FLOAT_SUB), above, reg, SHARED_VECTOR(TWO31_F32));
    emit_load_slot(c, TYPE_V128, SCRATCH_XMM, SHARED_VECTOR(TWO31_F32));
    vector_operate_immediate(c, X64_CMP(false), SCRATCH_XMM, SCRATCH_XMM, operand_register(above), PREDICATE_LE);
    vector_single(c, X64_CVTTPS2DQ, above, operand_register(above), NO_IMMEDIATE);
    vector_registers(c, X64_PXOR, above, above, SCRATCH_XMM); /* too large even so: 2^31 - 1 */
    vector_zero(c, SCRATCH_XMM);
    vector_registers(c, V38(0x3d), above, above, SCRATCH_XMM);
    vector_single(c, X64_CVTTPS2DQ, reg, operand_register(reg), NO_IMMEDIATE);
    vector_registers(c, X64_PADDD, reg, reg, above);
}

/* Doubles are brought into the range first. The upper two results are 0. */
static void truncate_wide_signed(struct compiler *c, unsigned reg, unsigned from)
{
    vector_operate_immediate(c, X64_CMP(true), SCRATCH_XMM, from, operand_register(from), PREDICATE_EQ);
    vector_operate(c, X64_PAND, SCRATCH_XMM, SCRATCH_XMM, SHARED_VECTOR(MAX_S32_F64));
    vector_registers(c, PACKED(true, X64_FLOAT_MIN), reg, from, SCRATCH_XMM); /* NaN: 0 */
    vector_single(c, X64_CVTTPD2DQ, reg, operand_register(reg), NO_IMMEDIATE);
}

/* Added to 2^52, the integer is the lower half of the sum. */
static void truncate_wide_unsigned(struct compiler *c, unsigned reg, unsigned from)
{
    vector_zero(c, SCRATCH_XMM);
    vector_registers(c, PACKED(true, X64_FLOAT_MAX), reg, from, SCRATCH_XMM);
    vector_operate(c, PACKED(true, X64_FLOAT_MIN), reg, reg, SHARED_VECTOR(MAX_U32_F64));
    vector_single(c, V3A(0x09), reg, operand_register(reg), 8 + 3);
    vector_operate(c, PACKED(true, X64_FLOAT_ADD), reg, reg, SHARED_VECTOR(TWO52_F64));
    vector_operate_immediate(c, X64_SHUFPS, reg, reg, operand_register(SCRATCH_XMM), 0x88);
}

void compile_vector_truncate(struct compiler *c, unsigned is_signed, unsigned wide)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (wide)
        (is_signed ? truncate_wide_signed : truncate_wide_unsigned)(c, reg, from);
    else
        (is_signed ? truncate_signed : truncate_unsigned)(c, reg, from);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Unsigned integer to float ---- */
void compile_vector_from_u32(struct compiler *c, unsigned wide, UNUSED)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (wide) { /* lower half of a double between 2^52 and 2^53 */
        vector_operate(c, X64_PUNPCKLDQ, reg, from, SHARED_VECTOR(TWO52_HIGH));
        vector_operate(c, PACKED(true, X64_FLOAT_SUB), reg, reg, SHARED_VECTOR(TWO52_F64));
    } else { /* lower 16 bits, and half of the upper ones twice: exact both, so that only the sum is rounded */
        vector_zero(c, SCRATCH_XMM);
        vector_operate_immediate(c, X64_PBLENDW, SCRATCH_XMM, SCRATCH_XMM, operand_register(from), 0x55);
        vector_registers(c, V0F(0xfa), reg, from, SCRATCH_XMM);
        vector_single(c, X64_CVTDQ2PS, SCRATCH_XMM, operand_register(SCRATCH_XMM), NO_IMMEDIATE);
        vector_shift(c, VECTOR_SHR, 32, reg, reg, 1);
        vector_single(c, X64_CVTDQ2PS, reg, operand_register(reg), NO_IMMEDIATE);
        vector_registers(c, PACKED(false, X64_FLOAT_ADD), reg, reg, reg);
        vector_registers(c, PACKED(false, X64_FLOAT_ADD), reg, reg, SCRATCH_XMM);
    }
    target_finish(c, &target, TYPE_V128, reg);
}
