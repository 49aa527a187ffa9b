/* Wide arithmetic: 128-bit sums, differences and products in halves of 64 bits, the low one first. */
#include "engine/baseline/compiler.h"

/* Room for all four operands and both results, whatever the locals have taken. */
#define WIDE_REGISTERS 6

/* Where the registers are few, only the first half stays in one: three are always there, and the results take two. */
static void spare_registers(struct compiler *c)
{
    if (__builtin_popcount(c->temporaries & GENERAL_MASK) >= WIDE_REGISTERS)
        return;
    for (uint32_t i = c->count - 3; i < c->count; i++) {
        if (c->stack[i].place == PLACE_REGISTER)
            entry_to_slot(c, i);
    }
}

/* An operand that is read in place; leaves the flags as they are. Constants go through the scratch register. */
static struct operand source_operand(struct compiler *c, struct value *value)
{
    if (value->place != PLACE_CONSTANT)
        return value_operand(c, value);
    emit_constant(&c->as, SCRATCH, value->constant, true);
    return operand_register(SCRATCH);
}

static void compile_sum(struct compiler *c, enum alu low_operation, enum alu high_operation)
{
    spare_registers(c);
    struct value b_high = vpop(c), b_low = vpop(c), a_high = vpop(c), a_low = vpop(c);
    unsigned low = take_register(c, false);
    value_load(c, low, &a_low);
    unsigned high = take_register(c, false);
    value_load(c, high, &a_high);
    emit_alu(&c->as, low_operation, true, low, source_operand(c, &b_low));
    emit_alu(&c->as, high_operation, true, high, source_operand(c, &b_high));
    push_register(c, TYPE_I64, low);
    push_register(c, TYPE_I64, high);
}

/* rdx:rax = rax * operand. */
static void compile_product(struct compiler *c, bool is_signed)
{
    struct value b = vpop(c), a = vpop(c);
    hold(c, RAX);
    hold(c, RDX);
    if (value_in(c, &b) == RAX) { /* the other one is loaded there */
        struct value other = a;
        a = b;
        b = other;
    }
    claim_register(c, RAX);
    claim_register(c, RDX);
    struct operand operand = source_operand(c, &b);
    value_load(c, RAX, &a);
    emit_instruction(&c->as, X64_GROUP_F7 | X64_WIDE, is_signed ? 5 : 4, operand);
    push_register(c, TYPE_I64, RAX);
    push_register(c, TYPE_I64, RDX);
}

void compile_wide(struct compiler *c, unsigned opcode)
{
    switch (opcode) {
    case OP_I64_ADD128:
        compile_sum(c, ALU_ADD, ALU_ADC);
        break;
    case OP_I64_SUB128:
        compile_sum(c, ALU_SUB, ALU_SBB);
        break;
    default:
        compile_product(c, opcode == OP_I64_MUL_WIDE_S);
        break;
    }
}
