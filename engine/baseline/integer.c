/* Integer arithmetic, comparisons and select. */
#include "engine/baseline/compiler.h"

static bool both_constant(const struct value *a, const struct value *b)
{
    return a->place == PLACE_CONSTANT && b->place == PLACE_CONSTANT;
}

static void swap_values(struct value *a, struct value *b)
{
    struct value t = *a;
    *a = *b;
    *b = t;
}

static uint64_t truncate(unsigned type, uint64_t value)
{
    return type == TYPE_I32 ? (uint32_t)value : value;
}

/* The next instruction only asks whether the value is 0. */
static bool next_is_condition(const struct compiler *c, unsigned type)
{
    unsigned next = *c->pc;
    if (type == TYPE_I64)
        return next == OP_I64_EQZ;
    return next == OP_BR_IF || next == OP_IF || next == OP_I32_EQZ || next == OP_SELECT || next == OP_SELECT_TYPED;
}

/* Registers that `b` needs while `a` is moved into `reg`: true when that move would spoil it. */
static bool depends_on(struct compiler *c, const struct value *b, unsigned reg)
{
    return b->place == PLACE_MEMORY ? b->reg == reg : value_in(c, b) == reg;
}

/* The flags are those of an operation whose result is in `reg`, so it need not be compared with 0 again. */
static void remember_flags(struct compiler *c, unsigned type, unsigned reg, bool logical)
{
    c->flags_position = assembler_position(&c->as);
    c->flags_type = (uint8_t)type;
    c->flags_reg = (uint8_t)reg;
    c->flags_logical = logical;
}

static bool flags_are_of(const struct compiler *c, unsigned type, unsigned reg)
{
    return c->flags_position == assembler_position(&c->as) && c->flags_reg == reg && c->flags_type == type;
}

/* ---- Two operands ---- */
static uint64_t fold_alu(enum alu alu, uint64_t a, uint64_t b)
{
    switch (alu) {
    case ALU_ADD:
        return a + b;
    case ALU_SUB:
        return a - b;
    case ALU_AND:
        return a & b;
    case ALU_OR:
        return a | b;
    default:
        return a ^ b;
    }
}

/* Where a binary operation computes: the target, or an operand's register that is free. May swap. */
static unsigned binary_register(struct compiler *c, const struct target *target, struct value *a, struct value *b,
                                bool commutative, unsigned type)
{
    if (target->reg != NO_REGISTER)
        return target->reg;
    if (value_is_free(c, a))
        return a->reg;
    if (commutative && value_is_free(c, b)) {
        swap_values(a, b);
        return a->reg;
    }
    return take_register(c, type_is_float(type));
}

static void emit_test(struct compiler *c, unsigned type, struct value *a, struct value *b)
{
    bool wide = type == TYPE_I64;
    int32_t immediate;
    unsigned ra = value_register(c, a);
    if (value_is_immediate(b, &immediate)) {
        if (immediate >= 0)
            wide = false;
        emit_registers(&c->as, X64_GROUP_F7 | X64_IF(wide, X64_WIDE), 0, ra);
        emit_word32(&c->as, (uint32_t)immediate);
    } else {
        emit_instruction(&c->as, X64_TEST | X64_IF(wide, X64_WIDE), ra, value_operand(c, b));
    }
    if (type == TYPE_I64)
        c->pc++; /* i64.eqz */
    finish_condition(c, type == TYPE_I64 ? CONDITION_E : CONDITION_NE);
}

/* lea where the sum goes to a third register; false when it does not apply. */
static bool emit_lea(struct compiler *c, bool wide, unsigned reg, struct value *a, struct value *b)
{
    int32_t immediate;
    unsigned ra = value_in(c, a), rb;
    if (ra == NO_REGISTER || ra == reg)
        return false;
    if (value_is_immediate(b, &immediate)) {
        emit_instruction(&c->as, X64_LEA | X64_IF(wide, X64_WIDE), reg, operand_memory(ra, immediate));
        return true;
    }
    if (b->place == PLACE_CONSTANT || (rb = value_in(c, b)) == NO_REGISTER || rb == reg)
        return false;
    emit_instruction(&c->as, X64_LEA | X64_IF(wide, X64_WIDE), reg, operand_indexed(ra, rb, 0, 0));
    return true;
}

/* reg = reg op b; false when nothing had to be done */
static bool emit_alu_value(struct compiler *c, enum alu alu, bool wide, unsigned reg, struct value *b)
{
    int32_t immediate;
    if (value_is_immediate(b, &immediate)) {
        if (immediate == 0 && alu != ALU_AND)
            return false;
        emit_alu_immediate(&c->as, alu, wide, operand_register(reg), immediate);
    } else {
        emit_alu(&c->as, alu, wide, reg, value_operand(c, b));
    }
    return true;
}

/* reg = a - reg */
static void emit_negate_add(struct compiler *c, bool wide, unsigned reg, struct value *a)
{
    emit_registers(&c->as, X64_GROUP_F7 | X64_IF(wide, X64_WIDE), 3, reg);
    emit_alu_value(c, ALU_ADD, wide, reg, a);
}

/* x & 0xff, x & 0xffff: a move that extends. */
static void compile_low_bits(struct compiler *c, unsigned type, struct value *a, uint64_t mask)
{
    if (a->place == PLACE_MEMORY) /* the whole of it must be there */
        value_register(c, a);
    struct target target = target_find(c, type);
    struct operand from = value_operand(c, a);
    unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, a) ? a->reg : take_register(c, false);
    emit_instruction(&c->as, mask == 0xff ? X64_MOVZX8 : X64_MOVZX16, reg, from);
    target_finish(c, &target, type, reg);
    push_bits(c, &target, mask == 0xff ? 8 : 16);
}

static unsigned significant_bits(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 1;
}

void compile_alu(struct compiler *c, unsigned alu, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_I64, commutative = alu != ALU_SUB;
    if (both_constant(&a, &b)) {
        push_constant(c, type, truncate(type, fold_alu(alu, a.constant, b.constant)));
        return;
    }
    if (alu == ALU_SUB && b.place == PLACE_CONSTANT) { /* as an addition it can be a lea */
        alu = ALU_ADD;
        commutative = true;
        b.constant = truncate(type, -b.constant);
    }
    if (commutative && (a.place == PLACE_CONSTANT || (a.place != PLACE_REGISTER && b.place == PLACE_REGISTER)))
        swap_values(&a, &b);
    if (alu == ALU_AND && next_is_condition(c, type) && a.place != PLACE_MEMORY) {
        emit_test(c, type, &a, &b);
        return;
    }
    if (alu == ALU_AND && b.place == PLACE_CONSTANT && (b.constant == 0xff || b.constant == 0xffff)) {
        compile_low_bits(c, type, &a, b.constant);
        return;
    }
    if (alu == ALU_ADD && type == TYPE_I32 && compile_indexed_load(c, &a, &b, 0))
        return;
    struct target target = target_find(c, type);
    if (alu == ALU_SUB && a.place == PLACE_CONSTANT) { /* constant - b */
        unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, &b) ? b.reg : take_register(c, false);
        value_load(c, reg, &b);
        emit_negate_add(c, wide, reg, &a);
        target_finish(c, &target, type, reg);
        return;
    }
    unsigned reg = binary_register(c, &target, &a, &b, commutative, type);
    if (value_in(c, &a) != reg && depends_on(c, &b, reg)) {
        if (b.place == PLACE_MEMORY) {
            value_register(c, &b);
        } else if (commutative) {
            swap_values(&a, &b);
        } else { /* reg = a - reg */
            emit_negate_add(c, wide, reg, &a);
            target_finish(c, &target, type, reg);
            return;
        }
    }
    if (alu != ALU_ADD || !emit_lea(c, wide, reg, &a, &b)) {
        value_load(c, reg, &a);
        if (emit_alu_value(c, alu, wide, reg, &b))
            remember_flags(c, type, reg, alu != ALU_ADD && alu != ALU_SUB);
    }
    unsigned bits = alu == ALU_AND && b.place == PLACE_CONSTANT ? significant_bits(b.constant) : 0;
    target_finish(c, &target, type, reg);
    push_bits(c, &target, bits);
}

/* ---- Multiplication ---- */
static void compile_multiply_constant(struct compiler *c, unsigned type, struct value *a, int32_t factor)
{
    bool wide = type == TYPE_I64;
    struct target target = target_find(c, type);
    unsigned from = value_in(c, a);
    unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, a) ? a->reg : take_register(c, false);
    if (factor > 0 && (factor & (factor - 1)) == 0) {
        value_load(c, reg, a);
        if (factor != 1)
            emit_shift_immediate(&c->as, SHIFT_SHL, wide, reg, (unsigned)__builtin_ctz((unsigned)factor));
    } else if (from != NO_REGISTER && (factor == 3 || factor == 5 || factor == 9)) {
        emit_instruction(&c->as, X64_LEA | X64_IF(wide, X64_WIDE), reg,
                         operand_indexed(from, from,
                                         factor == 3   ? 1
                                         : factor == 5 ? 2
                                                       : 3,
                                         0));
    } else {
        emit_imul_immediate(&c->as, wide, reg, value_operand(c, a), factor);
    }
    target_finish(c, &target, type, reg);
}

void compile_multiply(struct compiler *c, unsigned type, UNUSED)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_I64;
    int32_t immediate;
    if (both_constant(&a, &b)) {
        push_constant(c, type, truncate(type, a.constant * b.constant));
        return;
    }
    if (a.place == PLACE_CONSTANT || (a.place != PLACE_REGISTER && b.place == PLACE_REGISTER))
        swap_values(&a, &b);
    if (value_is_immediate(&b, &immediate)) {
        compile_multiply_constant(c, type, &a, immediate);
        return;
    }
    struct target target = target_find(c, type);
    unsigned reg = binary_register(c, &target, &a, &b, true, type);
    if (value_in(c, &a) != reg && depends_on(c, &b, reg)) {
        if (b.place == PLACE_MEMORY)
            value_register(c, &b);
        else
            swap_values(&a, &b);
    }
    value_load(c, reg, &a);
    emit_instruction(&c->as, X64_IMUL | X64_IF(wide, X64_WIDE), reg, value_operand(c, &b));
    target_finish(c, &target, type, reg);
}

/* ---- Shifts and rotations ---- */
static uint64_t fold_shift(enum shift shift, unsigned type, uint64_t a, unsigned n)
{
    unsigned bits = type == TYPE_I32 ? 32 : 64;
    switch (shift) {
    case SHIFT_SHL:
        return truncate(type, a << n);
    case SHIFT_SHR:
        return a >> n;
    case SHIFT_SAR:
        return type == TYPE_I32 ? (uint32_t)((int32_t)a >> n) : (uint64_t)((int64_t)a >> n);
    case SHIFT_ROL:
        return n ? truncate(type, a << n) | a >> (bits - n) : a;
    default:
        return n ? truncate(type, a << (bits - n)) | a >> n : a;
    }
}

static void compile_shift_constant(struct compiler *c, enum shift shift, unsigned type, struct value *a, unsigned n)
{
    bool wide = type == TYPE_I64;
    if (shift == SHIFT_SHL && !wide && compile_scaled_load(c, a, n))
        return;
    if (shift == SHIFT_SHL && !wide && n <= 3 && *c->pc == OP_I32_ADD) {
        const uint8_t *shifted = c->pc++;
        struct value base = vpop(c);
        if (compile_indexed_load(c, &base, a, n))
            return;
        push_value(c, base);
        c->pc = shifted;
    }
    struct target target = target_find(c, type);
    unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, a) ? a->reg : take_register(c, false);
    unsigned from = value_in(c, a);
    if ((shift == SHIFT_ROL || shift == SHIFT_ROR) && from != reg && n && c->features & CPU_BMI2) {
        emit_vex(&c->as, X64_RORX | X64_IF(wide, X64_WIDE), reg, 0, value_operand(c, a));
        emit_byte(&c->as, shift == SHIFT_ROR ? n : (wide ? 64u : 32u) - n);
    } else if (shift == SHIFT_SHL && n == 1 && from != NO_REGISTER && from != reg) {
        emit_instruction(&c->as, X64_LEA | X64_IF(wide, X64_WIDE), reg, operand_indexed(from, from, 0, 0));
    } else {
        value_load(c, reg, a);
        if (n)
            emit_shift_immediate(&c->as, shift, wide, reg, n);
    }
    target_finish(c, &target, type, reg);
    if (shift == SHIFT_SHR)
        push_bits(c, &target, (wide ? 64 : 32) - n);
}

void compile_shift(struct compiler *c, unsigned shift, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_I64;
    if (b.place == PLACE_CONSTANT) {
        unsigned n = b.constant & (wide ? 63 : 31);
        if (a.place == PLACE_CONSTANT)
            push_constant(c, type, fold_shift(shift, type, a.constant, n));
        else
            compile_shift_constant(c, shift, type, &a, n);
        return;
    }
    struct target target = target_find(c, type);
    if (c->features & CPU_BMI2 && shift >= SHIFT_SHL) {
        unsigned count = value_register(c, &b);
        struct operand from = value_operand(c, &a);
        unsigned reg = target.reg != NO_REGISTER ? target.reg
                       : value_is_free(c, &a)    ? a.reg
                       : value_is_free(c, &b)    ? b.reg
                                                 : take_register(c, false);
        uint32_t opcode = shift == SHIFT_SHL ? X64_SHLX : shift == SHIFT_SHR ? X64_SHRX : X64_SARX;
        emit_vex(&c->as, opcode | X64_IF(wide, X64_WIDE), reg, count, from);
        target_finish(c, &target, type, reg);
        return;
    }
    if (a.place == PLACE_REGISTER && a.reg == RCX) { /* the count needs cl */
        unsigned other = take_register(c, false);
        move_register(c, type, other, RCX);
        a.reg = (uint8_t)other;
    }
    if (value_in(c, &b) != RCX) {
        claim_register(c, RCX);
        value_load(c, RCX, &b);
        if (b.place == PLACE_REGISTER)
            unhold(c, b.reg);
    }
    hold(c, RCX); /* as a local's cache it would be free to take */
    unsigned reg = target.reg != NO_REGISTER              ? target.reg
                   : value_is_free(c, &a) && a.reg != RCX ? a.reg
                                                          : take_register(c, false);
    value_load(c, reg, &a);
    emit_registers(&c->as, X64(0, MAP_ONE, 0xd3) | X64_IF(wide, X64_WIDE), shift, reg);
    target_finish(c, &target, type, reg);
}

/* ---- One operand ---- */
static unsigned unary_register(struct compiler *c, const struct target *target, const struct value *a)
{
    return target->reg != NO_REGISTER ? target->reg : value_is_free(c, a) ? a->reg : take_register(c, false);
}

void compile_unary(struct compiler *c, unsigned opcode, unsigned type)
{
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    struct operand from = value_operand(c, &a);
    unsigned reg =
        a.type == TYPE_F32 || a.type == TYPE_F64 ? target_register(c, &target, type) : unary_register(c, &target, &a);
    emit_instruction(&c->as, opcode, reg, from);
    target_finish(c, &target, type, reg);
}

/* clz and ctz where lzcnt and tzcnt are missing: bsr and bsf leave their result undefined for 0. */
void compile_bit_scan(struct compiler *c, unsigned leading, unsigned type)
{
    bool wide = type == TYPE_I64;
    uint32_t size = X64_IF(wide, X64_WIDE);
    if (c->features & (leading ? CPU_LZCNT : CPU_BMI1)) {
        compile_unary(c, (leading ? X64_LZCNT : X64_TZCNT) | size, type);
        return;
    }
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    struct operand from = value_operand(c, &a);
    unsigned reg = target_register(c, &target, type), bits = wide ? 64 : 32;
    emit_constant(&c->as, SCRATCH, leading ? 2 * bits - 1 : bits, false);
    emit_instruction(&c->as, (leading ? X64_BSR : X64_BSF) | size, reg, from);
    emit_registers(&c->as, (X64_CMOVCC + CONDITION_E) | size, reg, SCRATCH);
    if (leading)
        emit_alu_immediate(&c->as, ALU_XOR, false, operand_register(reg), (int32_t)bits - 1);
    target_finish(c, &target, type, reg);
}

void compile_extend_unsigned(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a = vpop(c);
    if (a.place == PLACE_CONSTANT) {
        push_constant(c, TYPE_I64, a.constant);
        return;
    }
    if (value_in(c, &a) == NO_REGISTER) {
        unsigned reg = take_register(c, false);
        value_load(c, reg, &a);
        push_register(c, TYPE_I64, reg);
        return;
    }
    a.type = TYPE_I64; /* the register's high half is 0 */
    if (a.place == PLACE_LOCAL && c->locals[a.index].pinned == NO_REGISTER) {
        a.reg = c->locals[a.index].cached;
        a.place = PLACE_REGISTER;
    }
    push_value(c, a);
}

/* ---- Conditions ---- */
static unsigned invert(unsigned condition)
{
    return condition ^ 1;
}

static unsigned swap_condition(unsigned condition)
{
    switch (condition) {
    case CONDITION_B:
        return CONDITION_A;
    case CONDITION_A:
        return CONDITION_B;
    case CONDITION_AE:
        return CONDITION_BE;
    case CONDITION_BE:
        return CONDITION_AE;
    case CONDITION_L:
        return CONDITION_G;
    case CONDITION_G:
        return CONDITION_L;
    case CONDITION_GE:
        return CONDITION_LE;
    case CONDITION_LE:
        return CONDITION_GE;
    default:
        return condition;
    }
}

static void emit_set(struct compiler *c, unsigned condition)
{
    c->flags_live = true;
    struct target target = target_find(c, TYPE_I32);
    unsigned reg = target_register(c, &target, TYPE_I32);
    if (condition >= CONDITION_FLOAT_E) { /* and "ordered", or "unordered" */
        bool equal = condition == CONDITION_FLOAT_E;
        emit_registers(&c->as, X64_SETCC + (equal ? CONDITION_NP : CONDITION_P), 0, SCRATCH);
        emit_registers(&c->as, X64_SETCC + (equal ? CONDITION_E : CONDITION_NE), 0, reg);
        emit_registers(&c->as, X64(0, MAP_ONE, equal ? 0x23 : 0x0b), reg, SCRATCH);
    } else {
        emit_registers(&c->as, X64_SETCC + condition, 0, reg);
    }
    emit_registers(&c->as, X64_MOVZX8, reg, reg);
    c->flags_live = false;
    target_finish(c, &target, TYPE_I32, reg);
}

void finish_condition(struct compiler *c, unsigned condition)
{
    while (*c->pc == OP_I32_EQZ) {
        c->pc++;
        condition = invert(condition);
    }
    unsigned next = *c->pc;
    if (next == OP_BR_IF || next == OP_IF || next == OP_SELECT || next == OP_SELECT_TYPED)
        push_flags(c, condition);
    else
        emit_set(c, condition);
}

unsigned pop_condition(struct compiler *c)
{
    struct value value = vpop(c);
    unsigned condition = CONDITION_NE;
    if (value.place == PLACE_FLAGS) {
        condition = value.condition;
    } else if (value.place == PLACE_CONSTANT || value_in(c, &value) != NO_REGISTER) {
        unsigned reg = value_register(c, &value);
        if (!flags_are_of(c, TYPE_I32, reg))
            emit_registers(&c->as, X64_TEST, reg, reg);
        unhold(c, reg);
    } else {
        emit_alu_immediate(&c->as, ALU_CMP, false, value_operand(c, &value), 0);
    }
    c->flags_live = true;
    return condition;
}

static bool fold_compare(unsigned condition, unsigned type, uint64_t a, uint64_t b)
{
    int64_t signed_a = type == TYPE_I32 ? (int32_t)a : (int64_t)a,
            signed_b = type == TYPE_I32 ? (int32_t)b : (int64_t)b;
    bool result = false;
    switch (condition & ~1u) {
    case CONDITION_B:
        result = a < b;
        break;
    case CONDITION_E:
        result = a == b;
        break;
    case CONDITION_BE:
        result = a <= b;
        break;
    case CONDITION_L:
        result = signed_a < signed_b;
        break;
    case CONDITION_LE:
        result = signed_a <= signed_b;
        break;
    }
    return result != (condition & 1);
}

/* Compare a register with 0, or use the flags of the operation that computed it; gives the condition to ask for. */
static unsigned compare_zero(struct compiler *c, unsigned condition, unsigned type, unsigned reg)
{
    if (flags_are_of(c, type, reg)) {
        if (c->flags_logical || condition == CONDITION_E || condition == CONDITION_NE)
            return condition;
        if (condition == CONDITION_L)
            return CONDITION_S;
        if (condition == CONDITION_GE)
            return CONDITION_NS;
    }
    emit_registers(&c->as, X64_TEST | X64_IF(type == TYPE_I64, X64_WIDE), reg, reg);
    return condition;
}

void compile_compare(struct compiler *c, unsigned condition, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_I64;
    int32_t immediate;
    if (both_constant(&a, &b)) {
        push_constant(c, TYPE_I32, fold_compare(condition, type, a.constant, b.constant));
        return;
    }
    if (a.place == PLACE_CONSTANT) {
        swap_values(&a, &b);
        condition = swap_condition(condition);
    }
    if (value_is_immediate(&b, &immediate)) {
        unsigned reg = value_in(c, &a);
        if (immediate == 0 && reg != NO_REGISTER && a.place != PLACE_MEMORY)
            condition = compare_zero(c, condition, type, reg);
        else
            emit_alu_immediate(&c->as, ALU_CMP, wide, value_operand(c, &a), immediate);
    } else if (value_in(c, &a) == NO_REGISTER && a.place != PLACE_CONSTANT && value_in(c, &b) != NO_REGISTER) {
        emit_instruction(&c->as, X64(0, MAP_ONE, 8 * ALU_CMP + 1) | X64_IF(wide, X64_WIDE), value_in(c, &b),
                         value_operand(c, &a));
    } else {
        unsigned reg = value_register(c, &a);
        emit_alu(&c->as, ALU_CMP, wide, reg, value_operand(c, &b));
    }
    finish_condition(c, condition);
}

/* ---- Select ---- */
static void select_float(struct compiler *c, unsigned condition, struct value *a, struct value *b)
{
    struct target target = target_find(c, a->type);
    unsigned reg = target.reg;
    if (reg == NO_REGISTER)
        reg = value_is_free(c, a) ? a->reg : take_register(c, true);
    if (value_in(c, b) == reg && value_in(c, a) != reg) {
        swap_values(a, b);
        condition = invert(condition);
    }
    value_in(c, b); /* a stale local is reloaded here, not behind the jump */
    value_load(c, reg, a);
    uint32_t keep = 0, other = 0;
    if (condition == CONDITION_FLOAT_E) {
        emit_jump_forward_if(&c->as, CONDITION_P, &other);
        emit_jump_forward_if(&c->as, CONDITION_E, &keep);
    } else if (condition == CONDITION_FLOAT_NE) {
        emit_jump_forward_if(&c->as, CONDITION_P, &keep);
        emit_jump_forward_if(&c->as, CONDITION_NE, &keep);
    } else {
        emit_jump_forward_if(&c->as, condition, &keep);
    }
    bind_chain(&c->as, other, assembler_position(&c->as));
    value_load(c, reg, b);
    bind_chain(&c->as, keep, assembler_position(&c->as));
    target_finish(c, &target, a->type, reg);
}

void compile_select(struct compiler *c, UNUSED, UNUSED_TOO)
{
    unsigned condition = pop_condition(c);
    struct value b = vpop(c), a = vpop(c);
    unsigned type = a.type;
    uint32_t size = X64_IF(type == TYPE_I64, X64_WIDE);
    if (type_is_float(type)) {
        select_float(c, condition, &a, &b);
        c->flags_live = false;
        return;
    }
    struct target target = target_find(c, type);
    if (condition == CONDITION_FLOAT_NE) {
        swap_values(&a, &b);
        condition = CONDITION_FLOAT_E;
    }
    if (condition != CONDITION_FLOAT_E) { /* keep what is in place already; constants are loaded, the other one moved */
        unsigned wanted = target.reg;
        bool b_in_place =
            wanted != NO_REGISTER ? value_in(c, &b) == wanted : !value_is_free(c, &a) && value_is_free(c, &b);
        bool a_in_place = wanted != NO_REGISTER ? value_in(c, &a) == wanted : value_is_free(c, &a);
        if (b_in_place || (b.place == PLACE_CONSTANT && a.place != PLACE_CONSTANT && !a_in_place)) {
            swap_values(&a, &b);
            condition = invert(condition);
        }
    }
    unsigned reg = target.reg != NO_REGISTER ? target.reg : value_is_free(c, &a) ? a.reg : take_register(c, false);
    if (value_in(c, &b) == reg && value_in(c, &a) != reg) {
        unsigned other = take_register(c, false);
        move_register(c, type, other, reg);
        b.place = PLACE_REGISTER;
        b.reg = (uint8_t)other;
    }
    struct operand second = value_operand(c, &b);
    value_load(c, reg, &a);
    if (condition == CONDITION_FLOAT_E) {
        emit_instruction(&c->as, (X64_CMOVCC + CONDITION_NE) | size, reg, second);
        emit_instruction(&c->as, (X64_CMOVCC + CONDITION_P) | size, reg, second);
    } else {
        emit_instruction(&c->as, (X64_CMOVCC + invert(condition)) | size, reg, second);
    }
    c->flags_live = false;
    target_finish(c, &target, type, reg);
}

void compile_zero_test(struct compiler *c, unsigned type, UNUSED)
{
    push_constant(c, type, 0);
    compile_compare(c, CONDITION_E, type);
}

/* ---- Sign extension: `bits` low bits of the operand ---- */
void compile_extend_signed(struct compiler *c, unsigned bits, unsigned type)
{
    if (c->stack[c->count - 1].place == PLACE_CONSTANT) {
        uint64_t a = vpop(c).constant << (64 - bits);
        push_constant(c, type, truncate(type, (uint64_t)((int64_t)a >> (64 - bits))));
        return;
    }
    uint32_t opcode = bits == 8 ? X64_MOVSX8 : bits == 16 ? X64_MOVSX16 : X64_MOVSXD;
    compile_unary(c, opcode | X64_IF(type == TYPE_I64, X64_WIDE), type);
}

void compile_wrap(struct compiler *c, UNUSED, UNUSED_TOO)
{
    if (c->stack[c->count - 1].place == PLACE_CONSTANT) {
        push_constant(c, TYPE_I32, (uint32_t)vpop(c).constant);
        return;
    }
    compile_unary(c, X64_MOV_LOAD, TYPE_I32);
}
