/* Division and remainder. The divisor of a division instruction is in a register and stays there: when the CPU faults,
 * code_trap_at reads it to tell zero from overflow. */
#include "engine/baseline/compiler.h"

static uint64_t truncate(unsigned type, uint64_t value)
{
    return type == TYPE_I32 ? (uint32_t)value : value;
}

static bool fold_division(enum division division, unsigned type, uint64_t a, uint64_t b, uint64_t *result)
{
    if (b == 0)
        return false;
    int64_t signed_a = type == TYPE_I32 ? (int32_t)a : (int64_t)a,
            signed_b = type == TYPE_I32 ? (int32_t)b : (int64_t)b;
    if (signed_b == -1 && (division == DIVIDE_SIGNED || division == REMAINDER_SIGNED))
        return false;
    switch (division) {
    case DIVIDE_SIGNED:
        *result = (uint64_t)(signed_a / signed_b);
        break;
    case DIVIDE_UNSIGNED:
        *result = a / b;
        break;
    case REMAINDER_SIGNED:
        *result = (uint64_t)(signed_a % signed_b);
        break;
    case REMAINDER_UNSIGNED:
        *result = a % b;
        break;
    }
    *result = truncate(type, *result);
    return true;
}

/* ---- Constant divisors ---- */
/* A division by a constant: the quotient goes to a register of its own, then the remainder is what is left. */
static void finish_constant(struct compiler *c, enum division division, unsigned type, unsigned dividend,
                            unsigned quotient, uint64_t divisor)
{
    bool wide = type == TYPE_I64;
    if (division == REMAINDER_SIGNED || division == REMAINDER_UNSIGNED) {
        emit_imul_immediate(&c->as, wide, quotient, operand_register(quotient), (int32_t)divisor);
        struct target target = target_find(c, type);
        unsigned reg = target_register(c, &target, type);
        if (reg == dividend) {
            emit_alu(&c->as, ALU_SUB, wide, reg, operand_register(quotient));
        } else {
            move_register(c, type, reg, dividend);
            emit_alu(&c->as, ALU_SUB, wide, reg, operand_register(quotient));
        }
        target_finish(c, &target, type, reg);
        return;
    }
    struct target target = target_find(c, type);
    target_finish(c, &target, type, quotient);
}

static unsigned logarithm_rounded_up(uint32_t value)
{
    return value <= 1 ? 0 : 32 - (unsigned)__builtin_clz(value - 1);
}

/* u32 / divisor = (n * M) >> k with M = 2^k / divisor, rounded up (Granlund and Montgomery, 1994). When M needs 33
 * bits, the high half of n * (2^64 / divisor, rounded up) is the quotient: the error, below n * divisor, is below 2^64.
 */
static void divide_unsigned_constant(struct compiler *c, enum division division, struct value *a, uint32_t divisor)
{
    unsigned k = 32 + logarithm_rounded_up(divisor) - 1;
    uint64_t power = UINT64_C(1) << k, multiplier = power / divisor + 1;
    if (multiplier * divisor - power <= UINT64_C(1) << (k - 32)) {
        unsigned dividend = value_register(c, a), quotient = take_register(c, false);
        emit_constant(&c->as, quotient, multiplier, false);
        emit_registers(&c->as, X64_IMUL | X64_WIDE, quotient, dividend);
        emit_shift_immediate(&c->as, SHIFT_SHR, true, quotient, k);
        finish_constant(c, division, TYPE_I32, dividend, quotient, divisor);
        return;
    }
    hold(c, RAX);
    hold(c, RDX);
    unsigned dividend = value_register(c, a);
    if (dividend == RAX || dividend == RDX) {
        unsigned other = take_register(c, false);
        move_register(c, TYPE_I32, other, dividend);
        dividend = other;
    }
    claim_register(c, RAX);
    claim_register(c, RDX);
    emit_constant(&c->as, RAX, UINT64_MAX / divisor + 1, false);
    emit_registers(&c->as, X64_GROUP_F7 | X64_WIDE, 4, dividend);
    unhold(c, RAX);
    finish_constant(c, division, TYPE_I32, dividend, RDX, divisor);
}

/* s32 / divisor = ((n * M) >> k) + (n < 0), with k large enough for 31-bit n, in 64-bit arithmetic. */
static void divide_signed_constant(struct compiler *c, enum division division, struct value *a, int32_t divisor)
{
    unsigned k = 31 + logarithm_rounded_up((uint32_t)divisor);
    uint64_t multiplier = (UINT64_C(1) << k) / (uint32_t)divisor + 1;
    unsigned dividend = value_register(c, a), quotient = take_register(c, false);
    emit_registers(&c->as, X64_MOVSXD, SCRATCH, dividend);
    emit_constant(&c->as, quotient, multiplier, false);
    emit_registers(&c->as, X64_IMUL | X64_WIDE, quotient, SCRATCH);
    emit_shift_immediate(&c->as, SHIFT_SHR, false, SCRATCH, 31);
    emit_shift_immediate(&c->as, SHIFT_SAR, true, quotient, k);
    emit_alu(&c->as, ALU_ADD, false, quotient, operand_register(SCRATCH));
    finish_constant(c, division, TYPE_I32, dividend, quotient, (uint32_t)divisor);
}

/* Unsigned division by 2^n, and the remainder. */
static void divide_unsigned_power(struct compiler *c, enum division division, unsigned type, struct value *a,
                                  uint64_t divisor)
{
    bool quotient = division == DIVIDE_UNSIGNED;
    push_value(c, *a);
    push_constant(c, type, quotient ? (uint64_t)__builtin_ctzll(divisor) : divisor - 1);
    if (quotient)
        compile_shift(c, SHIFT_SHR, type);
    else
        compile_alu(c, ALU_AND, type);
}

/* Signed division by 2^n, n > 0: rounds to zero, so a negative dividend gets 2^n - 1 added first. */
static void divide_signed_power(struct compiler *c, enum division division, unsigned type, struct value *a,
                                uint64_t divisor)
{
    bool wide = type == TYPE_I64;
    unsigned bits = wide ? 64 : 32, n = (unsigned)__builtin_ctzll(divisor);
    unsigned dividend = value_register(c, a), reg = take_register(c, false);
    move_register(c, type, reg, dividend);
    if (n > 1)
        emit_shift_immediate(&c->as, SHIFT_SAR, wide, reg, bits - 1);
    emit_shift_immediate(&c->as, SHIFT_SHR, wide, reg, bits - n);
    emit_alu(&c->as, ALU_ADD, wide, reg, operand_register(dividend));
    if (division == DIVIDE_SIGNED) {
        emit_shift_immediate(&c->as, SHIFT_SAR, wide, reg, n);
        struct target target = target_find(c, type);
        target_finish(c, &target, type, reg);
        return;
    }
    emit_shift_immediate(&c->as, SHIFT_SAR, wide, reg, n);
    emit_shift_immediate(&c->as, SHIFT_SHL, wide, reg, n);
    move_register(c, type, SCRATCH, dividend);
    emit_alu(&c->as, ALU_SUB, wide, SCRATCH, operand_register(reg));
    move_register(c, type, reg, SCRATCH);
    struct target target = target_find(c, type);
    target_finish(c, &target, type, reg);
}

/* False when only the general division will do. */
static bool divide_constant(struct compiler *c, enum division division, unsigned type, struct value *a,
                            uint64_t divisor)
{
    bool is_unsigned = division == DIVIDE_UNSIGNED || division == REMAINDER_UNSIGNED,
         power = (divisor & (divisor - 1)) == 0;
    if (divisor == 0)
        return false;
    if (is_unsigned && power) {
        divide_unsigned_power(c, division, type, a, divisor);
        return true;
    }
    if (!is_unsigned && power && divisor > 1 && divisor <= (type == TYPE_I32 ? 1u << 30 : UINT64_C(1) << 62)) {
        divide_signed_power(c, division, type, a, divisor);
        return true;
    }
    if (type == TYPE_I64 || divisor == 1)
        return false;
    if (is_unsigned) {
        divide_unsigned_constant(c, division, a, (uint32_t)divisor);
        return true;
    }
    if (divisor > INT32_MAX)
        return false;
    divide_signed_constant(c, division, a, (int32_t)divisor);
    return true;
}

/* ---- The general division ---- */
static void emit_divide(struct compiler *c, enum division division, bool wide, unsigned divisor, bool may_be_minus_one)
{
    uint32_t group = X64_GROUP_F7 | X64_IF(wide, X64_WIDE);
    if (division == DIVIDE_UNSIGNED || division == REMAINDER_UNSIGNED) {
        emit_constant(&c->as, RDX, 0, false);
        emit_registers(&c->as, group, 6, divisor);
        return;
    }
    uint32_t minus_one = 0;
    if (division == REMAINDER_SIGNED && may_be_minus_one) { /* the CPU would fault for the minimum; the result is 0 */
        emit_alu_immediate(&c->as, ALU_CMP, wide, operand_register(divisor), -1);
        emit_constant(&c->as, RDX, 0, true);
        emit_jump_forward_if(&c->as, CONDITION_E, &minus_one);
    }
    if (wide)
        emit_byte(&c->as, 0x48);
    emit_byte(&c->as, 0x99); /* cdq, cqo */
    emit_registers(&c->as, group, 7, divisor);
    bind_chain(&c->as, minus_one, assembler_position(&c->as));
}

void compile_divide(struct compiler *c, unsigned division, unsigned type)
{
    struct value b = vpop(c), a = vpop(c);
    bool wide = type == TYPE_I64;
    uint64_t folded;
    if (a.place == PLACE_CONSTANT && b.place == PLACE_CONSTANT &&
        fold_division(division, type, a.constant, b.constant, &folded)) {
        push_constant(c, type, folded);
        return;
    }
    if (b.place == PLACE_CONSTANT && divide_constant(c, division, type, &a, b.constant))
        return;
    bool may_be_minus_one = b.place != PLACE_CONSTANT || b.constant == truncate(type, UINT64_MAX);
    hold(c, RAX);
    hold(c, RDX);
    unsigned divisor = value_in(c, &b);
    if (divisor == NO_REGISTER || divisor == RAX || divisor == RDX) {
        value_load(c, SCRATCH, &b);
        divisor = SCRATCH;
    }
    hold(c, divisor); /* as a local's cache it would be free to take */
    claim_register(c, RAX);
    claim_register(c, RDX);
    value_load(c, RAX, &a);
    emit_divide(c, division, wide, divisor, may_be_minus_one);
    struct target target = target_find(c, type);
    target_finish(c, &target, type, division == DIVIDE_SIGNED || division == DIVIDE_UNSIGNED ? RAX : RDX);
}
