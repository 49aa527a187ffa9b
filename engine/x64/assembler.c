/* Encodings: Intel SDM volume 2, chapter 2 (prefixes, ModRM, SIB, VEX). */
#include "engine/x64/assembler.h"

static const uint8_t mandatory_prefixes[4] = {0, 0x66, 0xf3, 0xf2};

static void emit_link(struct assembler *as, uint32_t *chain)
{
    uint32_t field = assembler_position(as);
    emit_word32(as, *chain);
    *chain = field;
}

/* ModRM and what follows it, for addresses without a base register. */
static void emit_absolute(struct assembler *as, const struct operand *rm, unsigned reg)
{
    if (rm->kind == OPERAND_MEMORY) { /* SIB without a base: disp32 */
        emit_byte(as, reg << 3 | 4);
        emit_byte(as, (unsigned)rm->scale << 6 | (rm->index & 7u) << 3 | 5);
        emit_word32(as, (uint32_t)rm->displacement);
        return;
    }
    emit_byte(as, reg << 3 | 5); /* relative to rip */
    if (rm->kind == OPERAND_POOL)
        emit_link(as, &as->pool_chains[rm->displacement]);
    else
        emit_word32(as, (uint32_t)rm->displacement - (assembler_position(as) + 4));
}

/* ModRM and what follows it. Which parts an instruction has is as good as random, so here and below all are written and
 * the cursor moves only behind those that it has: mispredicted branches would take longer. */
static inline void emit_operand(struct assembler *as, const struct operand *rm, unsigned reg)
{
    reg &= 7;
    unsigned base = rm->base & 7;
    if (rm->kind == OPERAND_REGISTER) {
        emit_byte(as, 0xc0 | reg << 3 | base);
        return;
    }
    if (UNLIKELY(rm->base == NO_REGISTER)) {
        emit_absolute(as, rm, reg);
        return;
    }
    uint8_t *p = as->cursor;
    int32_t displacement = rm->displacement;
    unsigned sib = (rm->index != NO_REGISTER) | (base == 4);
    unsigned large = displacement != (int8_t)displacement, mode = large ? 2u : (displacement != 0) | (base == 5);
    p[0] = (uint8_t)(mode << 6 | reg << 3 | (sib ? 4u : base));
    p[1] = (uint8_t)((unsigned)rm->scale << 6 | (rm->index & 7u) << 3 | base);
    p += 1 + sib;
    memcpy(p, &displacement, sizeof displacement);
    as->cursor = p + (mode == 2 ? 4u : mode);
}

/* Bits B and X of REX and VEX; NO_REGISTER has none. */
static inline unsigned operand_extension(const struct operand *rm)
{
    return (rm->base >> 3 & 1u) | (rm->index >> 3 & 1u) << 1;
}

static inline uint8_t *emit_legacy_prefixes(uint8_t *p, const struct operand *rm)
{
    *p = 0x65;
    p += rm->gs;
    *p = 0x67;
    return p + rm->address32;
}

void emit_instruction(struct assembler *as, uint32_t opcode, unsigned reg, struct operand rm)
{
    unsigned prefix = opcode >> 10 & 3, map = opcode >> 8 & 3;
    unsigned rex = (opcode & X64_WIDE ? 8u : 0u) | (reg >> 3 & 1) << 2 | operand_extension(&rm);
    unsigned byte_register =
        ((opcode & X64_BYTE) && reg >= 4) | ((opcode & X64_BYTE_RM) && rm.kind == OPERAND_REGISTER && rm.base >= 4);
    uint8_t *p = emit_legacy_prefixes(as->cursor, &rm);
    *p = mandatory_prefixes[prefix];
    p += prefix != 0;
    *p = (uint8_t)(0x40 | rex);
    p += (rex != 0) | byte_register;
    *p = 0x0f;
    p += map != MAP_ONE;
    *p = map == MAP_0F38 ? 0x38 : 0x3a;
    p += map > MAP_0F;
    *p = (uint8_t)opcode;
    as->cursor = p + 1;
    emit_operand(as, &rm, reg);
}

void emit_vex(struct assembler *as, uint32_t opcode, unsigned reg, unsigned second, struct operand rm)
{
    unsigned prefix = opcode >> 10 & 3, map = opcode >> 8 & 3, extension = operand_extension(&rm);
    unsigned low = (~second & 15) << 3 | prefix;
    as->cursor = emit_legacy_prefixes(as->cursor, &rm);
    if (extension || map != MAP_0F || (opcode & X64_WIDE)) {
        emit_byte(as, 0xc4);
        emit_byte(as, (~reg >> 3 & 1) << 7 | (~extension >> 1 & 1) << 6 | (~extension & 1) << 5 | map);
        emit_byte(as, (opcode & X64_WIDE ? 0x80u : 0u) | low);
    } else {
        emit_byte(as, 0xc5);
        emit_byte(as, (~reg >> 3 & 1) << 7 | low);
    }
    emit_byte(as, opcode & 0xff);
    emit_operand(as, &rm, reg);
}

void emit_alu_immediate(struct assembler *as, enum alu alu, bool wide, struct operand rm, int32_t immediate)
{
    bool small = immediate == (int8_t)immediate;
    emit_instruction(as, X64(0, MAP_ONE, small ? 0x83 : 0x81) | X64_IF(wide, X64_WIDE), alu, rm);
    if (small)
        emit_byte(as, (uint8_t)immediate);
    else
        emit_word32(as, (uint32_t)immediate);
}

void emit_shift_immediate(struct assembler *as, enum shift shift, bool wide, unsigned reg, unsigned count)
{
    emit_registers(as, X64(0, MAP_ONE, 0xc1) | X64_IF(wide, X64_WIDE), shift, reg);
    emit_byte(as, count);
}

void emit_imul_immediate(struct assembler *as, bool wide, unsigned reg, struct operand rm, int32_t immediate)
{
    bool small = immediate == (int8_t)immediate;
    emit_instruction(as, X64(0, MAP_ONE, small ? 0x6b : 0x69) | X64_IF(wide, X64_WIDE), reg, rm);
    if (small)
        emit_byte(as, (uint8_t)immediate);
    else
        emit_word32(as, (uint32_t)immediate);
}

void emit_constant(struct assembler *as, unsigned reg, uint64_t value, bool keep_flags)
{
    if (value == 0 && !keep_flags) {
        emit_registers(as, X64(0, MAP_ONE, 0x33), reg, reg);
    } else if (value <= UINT32_MAX) {
        if (reg >= 8)
            emit_byte(as, 0x41);
        emit_byte(as, 0xb8 | (reg & 7));
        emit_word32(as, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        emit_registers(as, X64(0, MAP_ONE, 0xc7) | X64_WIDE, 0, reg);
        emit_word32(as, (uint32_t)value);
    } else {
        emit_byte(as, reg >= 8 ? 0x49 : 0x48);
        emit_byte(as, 0xb8 | (reg & 7));
        emit_word64(as, value);
    }
}

void emit_move(struct assembler *as, bool wide, unsigned to, unsigned from)
{
    emit_registers(as, X64_MOV_LOAD | X64_IF(wide, X64_WIDE), to, from);
}

void emit_float(struct assembler *as, uint32_t opcode, unsigned to, unsigned a, struct operand b)
{
    if (as->avx) {
        emit_vex(as, opcode, to, a, b);
        return;
    }
    if (to != a)
        emit_registers(as, X64_MOVAPS, to, a);
    emit_instruction(as, opcode, to, b);
}

void emit_float_single(struct assembler *as, uint32_t opcode, unsigned reg, struct operand rm)
{
    if (as->avx)
        emit_vex(as, opcode, reg, 0, rm);
    else
        emit_instruction(as, opcode, reg, rm);
}

/* ---- Jumps ---- */
void emit_jump_forward(struct assembler *as, uint32_t *chain)
{
    emit_byte(as, 0xe9);
    emit_link(as, chain);
}

void emit_jump_forward_if(struct assembler *as, enum condition condition, uint32_t *chain)
{
    emit_byte(as, 0x0f);
    emit_byte(as, 0x80 | condition);
    emit_link(as, chain);
}

void emit_jump_back(struct assembler *as, uint32_t target)
{
    int32_t distance = (int32_t)(target - (assembler_position(as) + 2));
    if (distance == (int8_t)distance) {
        emit_byte(as, 0xeb);
        emit_byte(as, (uint8_t)distance);
    } else {
        emit_byte(as, 0xe9);
        emit_word32(as, (uint32_t)distance - 3);
    }
}

void emit_jump_back_if(struct assembler *as, enum condition condition, uint32_t target)
{
    int32_t distance = (int32_t)(target - (assembler_position(as) + 2));
    if (distance == (int8_t)distance) {
        emit_byte(as, 0x70 | condition);
        emit_byte(as, (uint8_t)distance);
    } else {
        emit_byte(as, 0x0f);
        emit_byte(as, 0x80 | condition);
        emit_word32(as, (uint32_t)distance - 4);
    }
}

void bind_chain(struct assembler *as, uint32_t chain, uint32_t target)
{
    while (chain) {
        uint32_t previous = text_word32(as, chain);
        text_set_word32(as, chain, target - (chain + 4));
        chain = previous;
    }
}

void emit_trap(struct assembler *as, unsigned trap)
{
    emit_byte(as, 0x0f);
    emit_byte(as, 0x0b);
    emit_byte(as, trap);
}

/* The long forms of nop that the Intel SDM recommends, by length. */
void emit_alignment(struct assembler *as, unsigned alignment)
{
    static const uint8_t nops[][8] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0},
        {0x0f, 0x1f, 0x44, 0, 0},
        {0x66, 0x0f, 0x1f, 0x44, 0, 0},
        {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
        {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    };
    unsigned bytes = -assembler_position(as) & (alignment - 1);
    while (bytes) {
        unsigned length = bytes < ARRAY_COUNT(nops) ? bytes : ARRAY_COUNT(nops);
        memcpy(as->cursor, nops[length - 1], length);
        as->cursor += length;
        bytes -= length;
    }
}
