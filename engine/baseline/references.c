/* References that may be null: tests and branches. Null is 0. */
#include "engine/baseline/compiler.h"

void compile_as_non_null(struct compiler *c, unsigned trap, UNUSED)
{
    struct value value = vpop(c);
    unsigned reg = value_register(c, &value);
    emit_registers(&c->as, X64_TEST, reg, reg);
    trap_if(c, CONDITION_E, trap);
    push_value(c, value);
}

/* Keep a popped value over a branch that may need its register for something else. */
static unsigned register_for_branch(struct compiler *c, struct value *value, uint32_t depth)
{
    unsigned reg = value_register(c, value);
    if (reg == branch_register(c, depth)) {
        unsigned other = take_register(c, false);
        move_register(c, TYPE_I32, other, reg);
        value->place = PLACE_REGISTER;
        value->reg = (uint8_t)(reg = other);
    }
    return reg;
}

void compile_br_on_null(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t depth = read_u32_trusted(&c->pc);
    struct value value = vpop(c);
    unsigned reg = register_for_branch(c, &value, depth);
    emit_registers(&c->as, X64_TEST, reg, reg);
    c->flags_live = true;
    branch_if(c, depth, CONDITION_E);
    push_value(c, value);
}

/* The reference is the last of the label's values. */
void compile_br_on_non_null(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t depth = read_u32_trusted(&c->pc);
    struct value value = vpop(c);
    unsigned reg = value_register(c, &value);
    push_value(c, value);
    emit_registers(&c->as, X64_TEST, reg, reg);
    c->flags_live = true;
    branch_if(c, depth, CONDITION_NE);
    vpop(c);
}
