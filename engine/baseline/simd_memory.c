/* Vector loads and stores (spec 4.4.7). Bounds are those of the reservation, as for every access. */
#include "engine/baseline/simd.h"

static void finish_vector(struct compiler *c, uint32_t opcode, struct operand memory)
{
    struct target target = target_find(c, TYPE_V128);
    unsigned reg = target_register(c, &target, TYPE_V128);
    emit_float_single(&c->as, opcode, reg, memory);
    target_finish(c, &target, TYPE_V128, reg);
}

/* Whole vectors, lanes that are extended, and lanes with zeros above: one instruction each. */
void compile_vector_load(struct compiler *c, unsigned opcode, unsigned bytes)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    struct value address = vpop(c);
    struct operand memory = address_operand(c, &address, argument, bytes);
    if (bytes == 16 && memory_is_plain(c, argument) && vector_next_takes_memory(c)) {
        push_memory(c, TYPE_V128, memory.base, (uint32_t)memory.displacement);
        return;
    }
    finish_vector(c, opcode, memory);
}

/* Lanes of 8 and 16 bits without AVX2: through the scratch register. */
static void load_splat_small(struct compiler *c, unsigned bits, unsigned reg, struct operand memory)
{
    emit_instruction(&c->as, bits == 8 ? X64_MOVZX8 : X64_MOVZX16, SCRATCH, memory);
    emit_float_single(&c->as, X64_MOVD_TO_XMM, reg, operand_register(SCRATCH));
    if (bits == 8) {
        vector_zero(c, SCRATCH_XMM);
        vector_registers(c, X64_PSHUFB, reg, reg, SCRATCH_XMM);
    } else {
        vector_single(c, X64_PSHUFLW, reg, operand_register(reg), 0);
        vector_registers(c, X64_PUNPCKLQDQ, reg, reg, reg);
    }
}

void compile_vector_load_splat(struct compiler *c, unsigned bits, UNUSED)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    struct value address = vpop(c);
    struct operand memory = address_operand(c, &address, argument, bits / 8);
    if (bits == 64) {
        finish_vector(c, X64_MOVDDUP, memory);
    } else if (bits == 32 && c->as.avx) {
        finish_vector(c, V38(0x18), memory);
    } else if (bits < 32 && c->as.avx && c->features & CPU_AVX2) {
        finish_vector(c, V38(bits == 8 ? 0x78 : 0x79), memory);
    } else {
        struct target target = target_find(c, TYPE_V128);
        unsigned reg = target_register(c, &target, TYPE_V128);
        if (bits == 32) {
            emit_float_single(&c->as, X64_FLOAT(false, X64_FLOAT_LOAD), reg, memory);
            vector_operate_immediate(c, X64_SHUFPS, reg, reg, operand_register(reg), 0);
        } else {
            load_splat_small(c, bits, reg, memory);
        }
        target_finish(c, &target, TYPE_V128, reg);
    }
}

void compile_vector_store(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    struct value value = vpop(c), address = vpop(c);
    unsigned reg = value_register(c, &value);
    struct operand memory = address_operand(c, &address, argument, 16);
    emit_float_single(&c->as, X64_MOVUPS_STORE, reg, memory);
}

void compile_vector_load_lane(struct compiler *c, unsigned bits, UNUSED)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    unsigned lane = *c->pc++;
    struct value a = vpop(c), address = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    struct operand memory = address_operand(c, &address, argument, bits / 8);
    if (bits == 64) /* movlps, movhps */
        vector_operate(c, PACKED(false, lane ? 0x16 : 0x12), reg, from, memory);
    else
        vector_operate_immediate(c,
                                 bits == 8    ? V3A(0x20)
                                 : bits == 16 ? V0F(0xc4)
                                              : V3A(0x22),
                                 reg, from, memory, lane);
    target_finish(c, &target, TYPE_V128, reg);
}

void compile_vector_store_lane(struct compiler *c, unsigned bits, UNUSED)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    unsigned lane = *c->pc++;
    struct value value = vpop(c), address = vpop(c);
    unsigned reg = value_register(c, &value);
    struct operand memory = address_operand(c, &address, argument, bits / 8);
    if (bits == 64)
        emit_float_single(&c->as, PACKED(false, lane ? 0x17 : 0x13), reg, memory);
    else if (bits == 32 && lane == 0)
        emit_float_single(&c->as, X64_FLOAT(false, X64_FLOAT_STORE), reg, memory);
    else
        vector_single(c, V3A(bits == 8 ? 0x14 : bits == 16 ? 0x15 : 0x16), reg, memory, lane);
}
