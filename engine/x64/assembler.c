/* Encodings: Intel SDM volume 2, chapter 2 (prefixes, ModRM, SIB, VEX). */
#include "engine/x64/assembler.h"

static const uint8_t mandatory_prefixes[4] = {0, 0x66, 0xf3, 0xf2};

static void emit_link(struct assembler *as, uint32_t *chain)
{
    uint32_t field = assembler_position(as);
    emit_word32(as, *chain);
    *chain = field;
}

static void emit_displacement(struct assembler *as, const struct operand *rm, unsigned reg)
{
    reg = (reg & 7) << 3;
    if (rm->kind == OPERAND_TEXT) {
        emit_byte(as, reg | 5);
        uint32_t next = assembler_position(as) + 4;
        emit_word32(as, (uint32_t)rm->displacement - next);
        return;
    }
    if (rm->kind == OPERAND_POOL) {
        emit_byte(as, reg | 5);
        emit_link(as, &as->pool_chains[rm->displacement]);
        return;
    }
    if (rm->base == NO_REGISTER) { /* SIB without a base: disp32 */
        emit_byte(as, reg | 4);
        emit_byte(as, (unsigned)rm->scale << 6 | (rm->index == NO_REGISTER ? 4u : rm->index & 7u) << 3 | 5);
        emit_word32(as, (uint32_t)rm->displacement);
        return;
    }
    unsigned base = rm->base & 7;
    int32_t displacement = rm->displacement;
    unsigned mode = displacement == 0 && base != 5 ? 0x00 : displacement == (int8_t)displacement ? 0x40 : 0x80;
    if (rm->index == NO_REGISTER && base != 4) {
        emit_byte(as, mode | reg | base);
    } else {
        emit_byte(as, mode | reg | 4);
        emit_byte(as, (unsigned)rm->scale << 6 | (rm->index == NO_REGISTER ? 4u : rm->index & 7u) << 3 | base);
    }
    if (mode == 0x40)
        emit_byte(as, (uint8_t)displacement);
    else if (mode == 0x80)
        emit_word32(as, (uint32_t)displacement);
}

/* Bits B and X of REX and VEX. */
static unsigned operand_extension(const struct operand *rm)
{
    unsigned bits = 0;
    if (rm->base != NO_REGISTER)
        bits |= rm->base >> 3 & 1;
    if (rm->index != NO_REGISTER)
        bits |= (rm->index >> 3 & 1) << 1;
    return bits;
}

static void emit_legacy_prefixes(struct assembler *as, const struct operand *rm)
{
    if (rm->gs)
        emit_byte(as, 0x65);
    if (rm->address32)
        emit_byte(as, 0x67);
}

void emit_instruction(struct assembler *as, uint32_t opcode, unsigned reg, struct operand rm)
{
    emit_legacy_prefixes(as, &rm);
    unsigned prefix = opcode >> 10 & 3, map = opcode >> 8 & 3;
    if (prefix)
        emit_byte(as, mandatory_prefixes[prefix]);
    unsigned rex = (opcode & X64_WIDE ? 8u : 0u) | (reg >> 3 & 1) << 2 | operand_extension(&rm);
    bool byte_register =
        ((opcode & X64_BYTE) && reg >= 4) || ((opcode & X64_BYTE_RM) && rm.kind == OPERAND_REGISTER && rm.base >= 4);
    if (rex || byte_register)
        emit_byte(as, 0x40 | rex);
    if (map != MAP_ONE) {
        emit_byte(as, 0x0f);
        if (map != MAP_0F)
            emit_byte(as, map == MAP_0F38 ? 0x38 : 0x3a);
    }
    emit_byte(as, opcode & 0xff);
    if (rm.kind == OPERAND_REGISTER)
        emit_byte(as, 0xc0 | (reg & 7) << 3 | (rm.base & 7u));
    else
        emit_displacement(as, &rm, reg);
}

void emit_vex(struct assembler *as, uint32_t opcode, unsigned reg, unsigned second, struct operand rm)
{
    emit_legacy_prefixes(as, &rm);
    unsigned prefix = opcode >> 10 & 3, map = opcode >> 8 & 3, extension = operand_extension(&rm);
    unsigned low = (~second & 15) << 3 | prefix;
    if (extension || map != MAP_0F || (opcode & X64_WIDE)) {
        emit_byte(as, 0xc4);
        emit_byte(as, (~reg >> 3 & 1) << 7 | (~extension >> 1 & 1) << 6 | (~extension & 1) << 5 | map);
        emit_byte(as, (opcode & X64_WIDE ? 0x80u : 0u) | low);
    } else {
        emit_byte(as, 0xc5);
        emit_byte(as, (~reg >> 3 & 1) << 7 | low);
    }
    emit_byte(as, opcode & 0xff);
    if (rm.kind == OPERAND_REGISTER)
        emit_byte(as, 0xc0 | (reg & 7) << 3 | (rm.base & 7u));
    else
        emit_displacement(as, &rm, reg);
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
