/* Vector instructions: how one is written with and without AVX, where its operands come from, and the table that says
 * which function compiles which of them. */
#include "engine/baseline/simd.h"

/* ---- Writing ---- */
static void put_immediate(struct compiler *c, unsigned immediate)
{
    if (immediate != NO_IMMEDIATE)
        emit_byte(&c->as, immediate);
}

void vector_operate_immediate(struct compiler *c, uint32_t opcode, unsigned to, unsigned a, struct operand b,
                              unsigned immediate)
{
    if (c->as.avx || to == a || b.kind != OPERAND_REGISTER || b.base != to) {
        emit_float(&c->as, opcode, to, a, b);
        put_immediate(c, immediate);
        return;
    }
    move_register(c, TYPE_V128, SCRATCH_XMM, a);
    emit_instruction(&c->as, opcode, SCRATCH_XMM, b);
    put_immediate(c, immediate);
    move_register(c, TYPE_V128, to, SCRATCH_XMM);
}

void vector_single(struct compiler *c, uint32_t opcode, unsigned to, struct operand from, unsigned immediate)
{
    emit_float_single(&c->as, opcode, to, from);
    put_immediate(c, immediate);
}

void vector_shift(struct compiler *c, enum vector_shift shift, unsigned bits, unsigned to, unsigned from,
                  unsigned count)
{
    if (c->as.avx) {
        emit_vex(&c->as, X64_SHIFT_GROUP(bits), shift, to, operand_register(from));
    } else {
        move_register(c, TYPE_V128, to, from);
        emit_instruction(&c->as, X64_SHIFT_GROUP(bits), shift, operand_register(to));
    }
    emit_byte(&c->as, count);
}

void vector_zero(struct compiler *c, unsigned reg)
{
    emit_float(&c->as, X64_PXOR, reg, reg, operand_register(reg));
}

void vector_ones(struct compiler *c, unsigned reg)
{
    emit_float(&c->as, X64_PCMPEQD, reg, reg, operand_register(reg));
}

/* ---- Constants ---- */
void read_vector_constant(const struct compiler *c, uint64_t constant, uint64_t bits[2])
{
    memcpy(bits, c->module->bytes + constant, 16);
}

/* Where the pool is full: behind a jump. */
static struct operand inline_vector(struct compiler *c, const uint64_t bits[2])
{
    emit_byte(&c->as, 0xeb);
    uint32_t field = assembler_position(&c->as);
    emit_byte(&c->as, 0);
    while (assembler_position(&c->as) & 15)
        emit_byte(&c->as, 0xcc);
    struct operand operand = operand_text(assembler_position(&c->as));
    emit_word64(&c->as, bits[0]);
    emit_word64(&c->as, bits[1]);
    c->as.start[field - c->as.origin] = (uint8_t)(assembler_position(&c->as) - (field + 1));
    return operand;
}

struct operand vector_pool(struct compiler *c, const uint64_t bits[2])
{
    for (uint32_t i = c->vector_count; i-- > 0;) {
        if (c->vectors[i][0] == bits[0] && c->vectors[i][1] == bits[1])
            return operand_pool(POOL_CONSTANTS + i);
    }
    if (c->vector_count == POOL_VECTORS)
        return inline_vector(c, bits);
    c->vectors[c->vector_count][0] = bits[0];
    c->vectors[c->vector_count][1] = bits[1];
    c->pool_chains[POOL_CONSTANTS + c->vector_count] = 0;
    return operand_pool(POOL_CONSTANTS + c->vector_count++);
}

struct operand vector_constant_operand(struct compiler *c, uint64_t constant)
{
    uint64_t bits[2];
    read_vector_constant(c, constant, bits);
    return vector_pool(c, bits);
}

void emit_vector_constant(struct compiler *c, unsigned reg, uint64_t constant)
{
    uint64_t bits[2];
    read_vector_constant(c, constant, bits);
    if ((bits[0] | bits[1]) == 0)
        vector_zero(c, reg);
    else if ((bits[0] & bits[1]) == UINT64_MAX)
        vector_ones(c, reg);
    else
        emit_load_slot(c, TYPE_V128, reg, vector_pool(c, bits));
}

/* ---- Operands and results ---- */
struct operand vector_operand(struct compiler *c, struct value *value)
{
    if (c->as.avx || value->place == PLACE_CONSTANT)
        return value_operand(c, value);
    return operand_register(value_register(c, value));
}

struct operand vector_operand_near(struct compiler *c, struct value *value)
{
    return value->place == PLACE_CONSTANT ? operand_register(value_register(c, value)) : vector_operand(c, value);
}

unsigned vector_result(struct compiler *c, const struct target *target, const struct value *a, const struct value *b,
                       uint32_t avoid)
{
    if (target->reg != NO_REGISTER && !(avoid & REGISTER_BIT(target->reg)))
        return target->reg;
    if (a && value_is_free(c, a) && !(avoid & REGISTER_BIT(a->reg)))
        return a->reg;
    if (b && value_is_free(c, b) && !(avoid & REGISTER_BIT(b->reg)))
        return b->reg;
    return take_register(c, true);
}

/* ---- The table ---- */
static void compile_vector_constant(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_constant(c, TYPE_V128, (uint64_t)(c->pc - c->module->bytes));
    c->pc += 16;
}

#define ROW(name)                 [OP_##name - OPCODE_BASE_0xfd]
#define BINARY(name, opcode)      ROW(name) = {compile_vector_binary, opcode, 0}
#define COMMUTES(name, opcode)    ROW(name) = {compile_vector_binary, opcode, VECTOR_COMMUTES}
#define SWAPPED(name, opcode)     ROW(name) = {compile_vector_binary, opcode, VECTOR_SWAPPED}
#define UNARY(name, opcode)       ROW(name) = {compile_vector_unary, opcode, 0}
#define LOAD(name, opcode, bytes) ROW(name) = {compile_vector_load, opcode, bytes}

/* Comparisons and bounds of integer lanes: by "equal", "greater" and the minima and maxima. */
#define COMPARISONS(shape, equal, greater, minimum_s, maximum_s, minimum_u, maximum_u)                                 \
    COMMUTES(shape##_EQ, equal),                                                                                       \
        ROW(shape##_NE) = {compile_vector_not_compare, equal, VECTOR_COMMUTES}, BINARY(shape##_GT_S, greater),         \
        SWAPPED(shape##_LT_S, greater), ROW(shape##_LE_S) = {compile_vector_bound, minimum_s, equal},                  \
        ROW(shape##_GE_S) = {compile_vector_bound, maximum_s, equal},                                                  \
        ROW(shape##_LE_U) = {compile_vector_bound, minimum_u, equal},                                                  \
        ROW(shape##_GE_U) = {compile_vector_bound, maximum_u, equal},                                                  \
        ROW(shape##_GT_U) = {compile_vector_bound, minimum_u, (equal) | VECTOR_INVERT},                                \
        ROW(shape##_LT_U) = {compile_vector_bound, maximum_u, (equal) | VECTOR_INVERT},                                \
        COMMUTES(shape##_MIN_S, minimum_s), COMMUTES(shape##_MAX_S, maximum_s), COMMUTES(shape##_MIN_U, minimum_u),    \
        COMMUTES(shape##_MAX_U, maximum_u)

#define SHIFTS(shape, bits)                                                                                            \
    ROW(shape##_SHL) = {compile_vector_shift, VECTOR_SHL, bits},                                                       \
    ROW(shape##_SHR_S) = {compile_vector_shift, VECTOR_SAR, bits},                                                     \
    ROW(shape##_SHR_U) = {compile_vector_shift, VECTOR_SHR, bits}

#define EXTENSIONS(shape, from, bits, opcode_s, opcode_u)                                                              \
    UNARY(shape##_EXTEND_LOW_##from##_S, opcode_s), UNARY(shape##_EXTEND_LOW_##from##_U, opcode_u),                    \
        ROW(shape##_EXTEND_HIGH_##from##_S) = {compile_vector_extend_high, true, bits},                                \
        ROW(shape##_EXTEND_HIGH_##from##_U) = {compile_vector_extend_high, false, bits}

#define PRODUCTS(shape, from, function)                                                                                \
    ROW(shape##_EXTMUL_LOW_##from##_S) = {function, false, true},                                                      \
    ROW(shape##_EXTMUL_LOW_##from##_U) = {function, false, false},                                                     \
    ROW(shape##_EXTMUL_HIGH_##from##_S) = {function, true, true},                                                      \
    ROW(shape##_EXTMUL_HIGH_##from##_U) = {function, true, false}

#define LANES(shape, bits, type)                                                                                       \
    ROW(shape##_SPLAT) = {compile_vector_splat, bits, type},                                                           \
    ROW(shape##_REPLACE_LANE) = {compile_vector_replace, bits, type}
#define WHOLE_LANES(shape, bits, type)                                                                                 \
    LANES(shape, bits, type), ROW(shape##_EXTRACT_LANE) = {compile_vector_extract, bits, type}
#define SMALL_LANES(shape, bits)                                                                                       \
    LANES(shape, bits, TYPE_I32),                                                                                      \
        ROW(shape##_EXTRACT_LANE_U) = {compile_vector_extract, bits, TYPE_I32},                                        \
        ROW(shape##_EXTRACT_LANE_S) = {compile_vector_extract, (bits) | LANE_SIGNED, TYPE_I32}

#define LANE_ACCESS(bits)                                                                                              \
    ROW(V128_LOAD##bits##_LANE) = {compile_vector_load_lane, bits, 0},                                                 \
    ROW(V128_STORE##bits##_LANE) = {compile_vector_store_lane, bits, 0},                                               \
    ROW(V128_LOAD##bits##_SPLAT) = {compile_vector_load_splat, bits, 0}

#define FLOATS(shape, wide)                                                                                            \
    ROW(shape##_EQ) = {compile_vector_float_compare, PREDICATE_EQ, wide},                                              \
    ROW(shape##_NE) = {compile_vector_float_compare, PREDICATE_NE, wide},                                              \
    ROW(shape##_LT) = {compile_vector_float_compare, PREDICATE_LT, wide},                                              \
    ROW(shape##_LE) = {compile_vector_float_compare, PREDICATE_LE, wide},                                              \
    ROW(shape##_GT) = {compile_vector_float_compare, PREDICATE_LT, (wide) | VECTOR_SWAPPED},                           \
    ROW(shape##_GE) = {compile_vector_float_compare, PREDICATE_LE, (wide) | VECTOR_SWAPPED},                           \
    ROW(shape##_ABS) = {compile_vector_masked, X64_ANDPS, (wide) ? SHARED_ABS64 : SHARED_ABS32},                       \
    ROW(shape##_NEG) = {compile_vector_masked, X64_XORPS, (wide) ? SHARED_SIGN64 : SHARED_SIGN32},                     \
    ROW(shape##_CEIL) = {compile_vector_round, 8 + 2, wide}, ROW(shape##_FLOOR) = {compile_vector_round, 8 + 1, wide}, \
    ROW(shape##_TRUNC) = {compile_vector_round, 8 + 3, wide},                                                          \
    ROW(shape##_NEAREST) = {compile_vector_round, 8 + 0, wide}, UNARY(shape##_SQRT, PACKED(wide, X64_FLOAT_SQRT)),     \
    COMMUTES(shape##_ADD, PACKED(wide, X64_FLOAT_ADD)), BINARY(shape##_SUB, PACKED(wide, X64_FLOAT_SUB)),              \
    COMMUTES(shape##_MUL, PACKED(wide, X64_FLOAT_MUL)), BINARY(shape##_DIV, PACKED(wide, X64_FLOAT_DIV)),              \
    ROW(shape##_MIN) = {compile_vector_min_max, false, wide}, ROW(shape##_MAX) = {compile_vector_min_max, true, wide}, \
    SWAPPED(shape##_PMIN, PACKED(wide, X64_FLOAT_MIN)), SWAPPED(shape##_PMAX, PACKED(wide, X64_FLOAT_MAX)),            \
    BINARY(shape##_RELAXED_MIN, PACKED(wide, X64_FLOAT_MIN)),                                                          \
    BINARY(shape##_RELAXED_MAX, PACKED(wide, X64_FLOAT_MAX)),                                                          \
    ROW(shape##_RELAXED_MADD) = {compile_vector_multiply_add, false, wide},                                            \
    ROW(shape##_RELAXED_NMADD) = {compile_vector_multiply_add, true, wide}

static const struct instruction vector_instructions[OPCODE_COUNT - OPCODE_BASE_0xfd] = {
    /* memory and constants */
    LOAD(V128_LOAD, X64_MOVUPS_LOAD, 16),
    LOAD(V128_LOAD8X8_S, V38(0x20), 8),
    LOAD(V128_LOAD8X8_U, V38(0x30), 8),
    LOAD(V128_LOAD16X4_S, V38(0x23), 8),
    LOAD(V128_LOAD16X4_U, V38(0x33), 8),
    LOAD(V128_LOAD32X2_S, V38(0x25), 8),
    LOAD(V128_LOAD32X2_U, V38(0x35), 8),
    LOAD(V128_LOAD32_ZERO, X64_FLOAT(false, X64_FLOAT_LOAD), 4),
    LOAD(V128_LOAD64_ZERO, X64_FLOAT(true, X64_FLOAT_LOAD), 8),
    LANE_ACCESS(8),
    LANE_ACCESS(16),
    LANE_ACCESS(32),
    LANE_ACCESS(64),
    ROW(V128_STORE) = {compile_vector_store, 0, 0},
    ROW(V128_CONST) = {compile_vector_constant, 0, 0},

    /* lanes */
    SMALL_LANES(I8X16, 8),
    SMALL_LANES(I16X8, 16),
    WHOLE_LANES(I32X4, 32, TYPE_I32),
    WHOLE_LANES(I64X2, 64, TYPE_I64),
    WHOLE_LANES(F32X4, 32, TYPE_F32),
    WHOLE_LANES(F64X2, 64, TYPE_F64),
    ROW(I8X16_SHUFFLE) = {compile_vector_shuffle, 0, 0},
    ROW(I8X16_SWIZZLE) = {compile_vector_swizzle, false, 0},
    ROW(I8X16_RELAXED_SWIZZLE) = {compile_vector_swizzle, true, 0},

    /* bits */
    ROW(V128_NOT) = {compile_vector_not, 0, 0},
    COMMUTES(V128_AND, X64_PAND),
    SWAPPED(V128_ANDNOT, X64_PANDN),
    COMMUTES(V128_OR, X64_POR),
    COMMUTES(V128_XOR, X64_PXOR),
    ROW(V128_BITSELECT) = {compile_vector_bitselect, 0, 0},
    ROW(I8X16_RELAXED_LANESELECT) = {compile_vector_laneselect, V3A(0x4c), 0},
    ROW(I16X8_RELAXED_LANESELECT) = {compile_vector_bitselect, 0, 0},
    ROW(I32X4_RELAXED_LANESELECT) = {compile_vector_laneselect, V3A(0x4a), 0},
    ROW(I64X2_RELAXED_LANESELECT) = {compile_vector_laneselect, V3A(0x4b), 0},
    ROW(V128_ANY_TRUE) = {compile_vector_any_true, 0, 0},
    ROW(I8X16_ALL_TRUE) = {compile_vector_all_true, X64_PCMPEQB, 0},
    ROW(I16X8_ALL_TRUE) = {compile_vector_all_true, X64_PCMPEQW, 0},
    ROW(I32X4_ALL_TRUE) = {compile_vector_all_true, X64_PCMPEQD, 0},
    ROW(I64X2_ALL_TRUE) = {compile_vector_all_true, X64_PCMPEQQ, 0},
    ROW(I8X16_BITMASK) = {compile_vector_bitmask, X64_PMOVMSKB, 16},
    ROW(I16X8_BITMASK) = {compile_vector_bitmask, X64_PMOVMSKB, 8},
    ROW(I32X4_BITMASK) = {compile_vector_bitmask, PACKED(false, 0x50), 4},
    ROW(I64X2_BITMASK) = {compile_vector_bitmask, PACKED(true, 0x50), 2},

    /* integers of 8 bits */
    COMPARISONS(I8X16, X64_PCMPEQB, V0F(0x64), V38(0x38), V38(0x3c), V0F(0xda), V0F(0xde)),
    UNARY(I8X16_ABS, V38(0x1c)),
    ROW(I8X16_NEG) = {compile_vector_negate, V0F(0xf8), 0},
    ROW(I8X16_POPCNT) = {compile_vector_popcount, 0, 0},
    BINARY(I8X16_NARROW_I16X8_S, X64_PACKSSWB),
    BINARY(I8X16_NARROW_I16X8_U, X64_PACKUSWB),
    ROW(I8X16_SHL) = {compile_vector_shift_bytes, VECTOR_SHL, 0},
    ROW(I8X16_SHR_S) = {compile_vector_shift_bytes, VECTOR_SAR, 0},
    ROW(I8X16_SHR_U) = {compile_vector_shift_bytes, VECTOR_SHR, 0},
    COMMUTES(I8X16_ADD, V0F(0xfc)),
    COMMUTES(I8X16_ADD_SAT_S, V0F(0xec)),
    COMMUTES(I8X16_ADD_SAT_U, V0F(0xdc)),
    BINARY(I8X16_SUB, V0F(0xf8)),
    BINARY(I8X16_SUB_SAT_S, V0F(0xe8)),
    BINARY(I8X16_SUB_SAT_U, V0F(0xd8)),
    COMMUTES(I8X16_AVGR_U, V0F(0xe0)),

    /* integers of 16 bits */
    COMPARISONS(I16X8, X64_PCMPEQW, V0F(0x65), V0F(0xea), V0F(0xee), V38(0x3a), V38(0x3e)),
    UNARY(I16X8_ABS, V38(0x1d)),
    ROW(I16X8_NEG) = {compile_vector_negate, V0F(0xf9), 0},
    BINARY(I16X8_NARROW_I32X4_S, V0F(0x6b)),
    BINARY(I16X8_NARROW_I32X4_U, V38(0x2b)),
    EXTENSIONS(I16X8, I8X16, 8, V38(0x20), V38(0x30)),
    PRODUCTS(I16X8, I8X16, compile_vector_multiply_bytes),
    ROW(I16X8_EXTADD_PAIRWISE_I8X16_S) = {compile_vector_pairwise, 8, true},
    ROW(I16X8_EXTADD_PAIRWISE_I8X16_U) = {compile_vector_pairwise, 8, false},
    SHIFTS(I16X8, 16),
    COMMUTES(I16X8_ADD, V0F(0xfd)),
    COMMUTES(I16X8_ADD_SAT_S, V0F(0xed)),
    COMMUTES(I16X8_ADD_SAT_U, V0F(0xdd)),
    BINARY(I16X8_SUB, V0F(0xf9)),
    BINARY(I16X8_SUB_SAT_S, V0F(0xe9)),
    BINARY(I16X8_SUB_SAT_U, V0F(0xd9)),
    COMMUTES(I16X8_MUL, V0F(0xd5)),
    COMMUTES(I16X8_AVGR_U, V0F(0xe3)),
    ROW(I16X8_Q15MULR_SAT_S) = {compile_vector_q15, 0, 0},
    COMMUTES(I16X8_RELAXED_Q15MULR_S, V38(0x0b)),
    SWAPPED(I16X8_RELAXED_DOT_I8X16_I7X16_S, V38(0x04)),

    /* integers of 32 bits */
    COMPARISONS(I32X4, X64_PCMPEQD, V0F(0x66), V38(0x39), V38(0x3d), V38(0x3b), V38(0x3f)),
    UNARY(I32X4_ABS, V38(0x1e)),
    ROW(I32X4_NEG) = {compile_vector_negate, V0F(0xfa), 0},
    EXTENSIONS(I32X4, I16X8, 16, V38(0x23), V38(0x33)),
    PRODUCTS(I32X4, I16X8, compile_vector_multiply_words),
    ROW(I32X4_EXTADD_PAIRWISE_I16X8_S) = {compile_vector_pairwise, 16, true},
    ROW(I32X4_EXTADD_PAIRWISE_I16X8_U) = {compile_vector_pairwise, 16, false},
    SHIFTS(I32X4, 32),
    COMMUTES(I32X4_ADD, X64_PADDD),
    BINARY(I32X4_SUB, V0F(0xfa)),
    COMMUTES(I32X4_MUL, V38(0x40)),
    COMMUTES(I32X4_DOT_I16X8_S, V0F(0xf5)),
    ROW(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S) = {compile_vector_relaxed_dot_add, 0, 0},

    /* integers of 64 bits */
    COMMUTES(I64X2_EQ, X64_PCMPEQQ),
    ROW(I64X2_NE) = {compile_vector_not_compare, X64_PCMPEQQ, VECTOR_COMMUTES},
    BINARY(I64X2_GT_S, X64_PCMPGTQ),
    SWAPPED(I64X2_LT_S, X64_PCMPGTQ),
    ROW(I64X2_LE_S) = {compile_vector_not_compare, X64_PCMPGTQ, 0},
    ROW(I64X2_GE_S) = {compile_vector_not_compare, X64_PCMPGTQ, VECTOR_SWAPPED},
    ROW(I64X2_ABS) = {compile_vector_absolute_64, 0, 0},
    ROW(I64X2_NEG) = {compile_vector_negate, X64_PSUBQ, 0},
    EXTENSIONS(I64X2, I32X4, 32, V38(0x25), V38(0x35)),
    PRODUCTS(I64X2, I32X4, compile_vector_multiply_longs),
    ROW(I64X2_SHL) = {compile_vector_shift, VECTOR_SHL, 64},
    ROW(I64X2_SHR_S) = {compile_vector_shift_signed_64, 0, 0},
    ROW(I64X2_SHR_U) = {compile_vector_shift, VECTOR_SHR, 64},
    COMMUTES(I64X2_ADD, X64_PADDQ),
    BINARY(I64X2_SUB, X64_PSUBQ),
    ROW(I64X2_MUL) = {compile_vector_multiply_64, 0, 0},

    /* floats */
    FLOATS(F32X4, false),
    FLOATS(F64X2, true),
    ROW(I32X4_TRUNC_SAT_F32X4_S) = {compile_vector_truncate, true, false},
    ROW(I32X4_TRUNC_SAT_F32X4_U) = {compile_vector_truncate, false, false},
    ROW(I32X4_TRUNC_SAT_F64X2_S_ZERO) = {compile_vector_truncate, true, true},
    ROW(I32X4_TRUNC_SAT_F64X2_U_ZERO) = {compile_vector_truncate, false, true},
    UNARY(I32X4_RELAXED_TRUNC_F32X4_S, X64_CVTTPS2DQ),
    ROW(I32X4_RELAXED_TRUNC_F32X4_U) = {compile_vector_truncate, false, false},
    UNARY(I32X4_RELAXED_TRUNC_F64X2_S_ZERO, X64_CVTTPD2DQ),
    ROW(I32X4_RELAXED_TRUNC_F64X2_U_ZERO) = {compile_vector_truncate, false, true},
    UNARY(F32X4_CONVERT_I32X4_S, X64_CVTDQ2PS),
    ROW(F32X4_CONVERT_I32X4_U) = {compile_vector_from_u32, false, 0},
    UNARY(F64X2_CONVERT_LOW_I32X4_S, X64(PREFIX_F3, MAP_0F, 0xe6)),
    ROW(F64X2_CONVERT_LOW_I32X4_U) = {compile_vector_from_u32, true, 0},
    UNARY(F32X4_DEMOTE_F64X2_ZERO, PACKED(true, X64_FLOAT_CONVERT)),
    UNARY(F64X2_PROMOTE_LOW_F32X4, PACKED(false, X64_FLOAT_CONVERT)),
};

void compile_prefix_fd(struct compiler *c, UNUSED, UNUSED_TOO)
{
    const struct instruction *row = &vector_instructions[read_u32_trusted(&c->pc)];
    row->compile(c, row->first, row->second);
}

bool vector_next_takes_memory(const struct compiler *c)
{
    const uint8_t *next = c->pc;
    if (!c->as.avx || *next++ != 0xfd)
        return false;
    const struct instruction *row = &vector_instructions[read_u32_trusted(&next)];
    return row->compile == compile_vector_binary && !(row->second & VECTOR_SWAPPED);
}
