/* What the files of the vector instructions (prefix 0xfd) share.
 *
 * With AVX every operation has three operands, and memory operands may lie anywhere; without it the first operand is
 * overwritten, and a memory operand of 16 bytes must be aligned, which only constants are. vector_operate and
 * vector_operand hide the difference. A sequence takes at most one temporary beyond its operands and its result;
 * besides it there is SCRATCH_XMM. */
#ifndef ENGINE_BASELINE_SIMD_H
#define ENGINE_BASELINE_SIMD_H

#include "engine/baseline/compiler.h"

/* ---- Opcodes ---- */
#define V0F(byte)          X64(PREFIX_66, MAP_0F, byte)
#define V38(byte)          X64(PREFIX_66, MAP_0F38, byte)
#define V3A(byte)          X64(PREFIX_66, MAP_0F3A, byte)
#define PACKED(wide, byte) X64((wide) ? PREFIX_66 : PREFIX_NONE, MAP_0F, byte)

#define X64_PSHUFB     V38(0x00)
#define X64_PTEST      V38(0x17)
#define X64_PSHUFD     V0F(0x70)
#define X64_PSHUFLW    X64(PREFIX_F2, MAP_0F, 0x70)
#define X64_PSHUFHW    X64(PREFIX_F3, MAP_0F, 0x70)
#define X64_SHUFPS     PACKED(false, 0xc6)
#define X64_PALIGNR    V3A(0x0f)
#define X64_PBLENDW    V3A(0x0e)
#define X64_PUNPCKLBW  V0F(0x60)
#define X64_PUNPCKLWD  V0F(0x61)
#define X64_PUNPCKLDQ  V0F(0x62)
#define X64_PACKSSWB   V0F(0x63)
#define X64_PACKUSWB   V0F(0x67)
#define X64_PUNPCKHBW  V0F(0x68)
#define X64_PUNPCKHWD  V0F(0x69)
#define X64_PUNPCKLQDQ V0F(0x6c)
#define X64_PUNPCKHQDQ V0F(0x6d)
#define X64_PCMPEQB    V0F(0x74)
#define X64_PCMPEQW    V0F(0x75)
#define X64_PCMPEQD    V0F(0x76)
#define X64_PCMPEQQ    V38(0x29)
#define X64_PCMPGTQ    V38(0x37)
#define X64_PMULUDQ    V0F(0xf4)
#define X64_PADDD      V0F(0xfe)
#define X64_PADDQ      V0F(0xd4)
#define X64_PSUBQ      V0F(0xfb)
#define X64_PAND       V0F(0xdb)
#define X64_PANDN      V0F(0xdf)
#define X64_POR        V0F(0xeb)
#define X64_PXOR       V0F(0xef)
#define X64_PMOVMSKB   V0F(0xd7)
#define X64_CVTDQ2PS   PACKED(false, 0x5b)
#define X64_CVTTPS2DQ  X64(PREFIX_F3, MAP_0F, 0x5b)
#define X64_CVTTPD2DQ  V0F(0xe6)
#define X64_MOVDDUP    X64(PREFIX_F2, MAP_0F, 0x12)
#define X64_CMP(wide)  PACKED(wide, 0xc2)
/* Shifts by a constant: group 71, 72, 73 for lanes of 16, 32, 64 bits; /2 shr, /4 sar, /6 shl. */
#define X64_SHIFT_GROUP(bits) V0F((bits) == 16 ? 0x71 : (bits) == 32 ? 0x72 : 0x73)
enum vector_shift { VECTOR_SHR = 2, VECTOR_SAR = 4, VECTOR_SHL = 6 };
/* Shifts by the low 64 bits of a register. */
#define X64_SHIFT(shift, bits)                                                                                         \
    V0F(((shift) == VECTOR_SHR ? 0xd0 : (shift) == VECTOR_SAR ? 0xe0 : 0xf0) + ((bits) == 16 ? 1 : (bits) == 32 ? 2 : 3))
enum float_predicate { PREDICATE_EQ, PREDICATE_LT, PREDICATE_LE, PREDICATE_UNORDERED, PREDICATE_NE };

/* ---- Writing; `to` may be any operand's register. Without AVX that of b costs the content of the scratch register. */
#define NO_IMMEDIATE UINT32_MAX
void vector_operate_immediate(struct compiler *c, uint32_t opcode, unsigned to, unsigned a, struct operand b,
                              unsigned immediate);
static inline void vector_operate(struct compiler *c, uint32_t opcode, unsigned to, unsigned a, struct operand b)
{
    vector_operate_immediate(c, opcode, to, a, b, NO_IMMEDIATE);
}
static inline void vector_registers(struct compiler *c, uint32_t opcode, unsigned to, unsigned a, unsigned b)
{
    vector_operate(c, opcode, to, a, operand_register(b));
}
void vector_single(struct compiler *c, uint32_t opcode, unsigned to, struct operand from, unsigned immediate);
void vector_shift(struct compiler *c, enum vector_shift shift, unsigned bits, unsigned to, unsigned from,
                  unsigned count);
void vector_zero(struct compiler *c, unsigned reg);
void vector_ones(struct compiler *c, unsigned reg);

/* ---- Operands and results ---- */
/* The value as the last operand of an instruction that reads all 16 bytes. */
struct operand vector_operand(struct compiler *c, struct value *value);
/* The same for an instruction with an immediate, which cannot have a constant of the pool. */
struct operand vector_operand_near(struct compiler *c, struct value *value);
/* Where the result goes: to the target, over `a` or `b` (which may be NULL) if nothing else needs them, or elsewhere;
 * never to one of `avoid`. */
unsigned vector_result(struct compiler *c, const struct target *target, const struct value *a, const struct value *b,
                       uint32_t avoid);
static inline uint32_t operand_bit(struct operand operand)
{
    return operand.kind == OPERAND_REGISTER ? REGISTER_BIT(operand.base) : 0;
}
static inline void swap_vectors(struct value *a, struct value *b)
{
    struct value t = *a;
    *a = *b;
    *b = t;
}
/* Any constant as a memory operand. */
struct operand vector_pool(struct compiler *c, const uint64_t bits[2]);
void read_vector_constant(const struct compiler *c, uint64_t constant, uint64_t bits[2]);

/* ---- Instructions: `first` and `second` of their rows in simd.c ---- */
/* simd_arithmetic.c */
enum { VECTOR_COMMUTES = 1, VECTOR_SWAPPED = 2 };
void compile_vector_binary(struct compiler *c, unsigned opcode, unsigned flags);
void compile_vector_unary(struct compiler *c, unsigned opcode, unsigned);
void compile_vector_masked(struct compiler *c, unsigned opcode, unsigned mask);
void compile_vector_round(struct compiler *c, unsigned mode, unsigned wide);
void compile_vector_negate(struct compiler *c, unsigned subtract, unsigned);
void compile_vector_not(struct compiler *c, unsigned, unsigned);
void compile_vector_not_compare(struct compiler *c, unsigned opcode, unsigned flags);
#define VECTOR_INVERT (1u << 16)
void compile_vector_bound(struct compiler *c, unsigned opcode, unsigned equal);
void compile_vector_float_compare(struct compiler *c, unsigned predicate, unsigned wide_and_flags);
void compile_vector_min_max(struct compiler *c, unsigned maximum, unsigned wide);
void compile_vector_shift(struct compiler *c, unsigned shift, unsigned bits);
void compile_vector_shift_bytes(struct compiler *c, unsigned shift, unsigned);
void compile_vector_shift_signed_64(struct compiler *c, unsigned, unsigned);
void compile_vector_bitselect(struct compiler *c, unsigned, unsigned);
void compile_vector_laneselect(struct compiler *c, unsigned blend, unsigned);
void compile_vector_multiply_add(struct compiler *c, unsigned negate, unsigned wide);
void compile_vector_absolute_64(struct compiler *c, unsigned, unsigned);
void compile_vector_multiply_64(struct compiler *c, unsigned, unsigned);
void compile_vector_popcount(struct compiler *c, unsigned, unsigned);
void compile_vector_q15(struct compiler *c, unsigned, unsigned);
void compile_vector_relaxed_dot_add(struct compiler *c, unsigned, unsigned);

/* simd_convert.c */
void compile_vector_extend_high(struct compiler *c, unsigned is_signed, unsigned bits);
void compile_vector_multiply_words(struct compiler *c, unsigned high, unsigned is_signed);
void compile_vector_multiply_bytes(struct compiler *c, unsigned high, unsigned is_signed);
void compile_vector_multiply_longs(struct compiler *c, unsigned high, unsigned is_signed);
void compile_vector_pairwise(struct compiler *c, unsigned bits, unsigned is_signed);
void compile_vector_truncate(struct compiler *c, unsigned is_signed, unsigned wide);
void compile_vector_from_u32(struct compiler *c, unsigned wide, unsigned);

/* simd_lanes.c */
void compile_vector_splat(struct compiler *c, unsigned bits, unsigned type);
enum { LANE_SIGNED = 1 << 8 };
void compile_vector_extract(struct compiler *c, unsigned bits, unsigned type);
void compile_vector_replace(struct compiler *c, unsigned bits, unsigned type);
void compile_vector_swizzle(struct compiler *c, unsigned relaxed, unsigned);
void compile_vector_shuffle(struct compiler *c, unsigned, unsigned);
void compile_vector_any_true(struct compiler *c, unsigned, unsigned);
void compile_vector_all_true(struct compiler *c, unsigned equal, unsigned);
void compile_vector_bitmask(struct compiler *c, unsigned opcode, unsigned bits);

/* simd_memory.c */
void compile_vector_load(struct compiler *c, unsigned opcode, unsigned bytes);
void compile_vector_load_splat(struct compiler *c, unsigned bits, unsigned);
void compile_vector_store(struct compiler *c, unsigned, unsigned);
void compile_vector_load_lane(struct compiler *c, unsigned bits, unsigned);
void compile_vector_store_lane(struct compiler *c, unsigned bits, unsigned);

/* The instruction that `c->pc` points to takes its last operand, a whole vector, from any memory. */
bool vector_next_takes_memory(const struct compiler *c);

#endif
