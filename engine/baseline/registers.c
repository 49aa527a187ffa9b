/* The operand stack's values and the registers that they are in. The rules stand in compiler.h. */
#include "engine/baseline/compiler.h"

static unsigned lowest_bit(uint32_t mask)
{
    return (unsigned)__builtin_ctz(mask);
}

/* ---- Moves ---- */
void move_register(struct compiler *c, unsigned type, unsigned to, unsigned from)
{
    if (to == from)
        return;
    if (type_is_float(type))
        emit_float_single(&c->as, X64_MOVAPS, to, operand_register(from));
    else
        emit_move(&c->as, type == TYPE_I64, to, from);
}

void emit_load_slot(struct compiler *c, unsigned type, unsigned reg, struct operand memory)
{
    if (type == TYPE_V128)
        emit_float_single(&c->as, X64_MOVUPS_LOAD, reg, memory);
    else if (type_is_float(type))
        emit_float_single(&c->as, X64_FLOAT(type == TYPE_F64, X64_FLOAT_LOAD), reg, memory);
    else
        emit_instruction(&c->as, X64_MOV_LOAD | X64_IF(type == TYPE_I64, X64_WIDE), reg, memory);
}

void emit_store_slot(struct compiler *c, unsigned type, unsigned reg, struct operand memory)
{
    if (type == TYPE_V128) {
        c->too_large |= c->slot_shift != 4; /* it would not fit in its place: the validator has not noted it */
        emit_float_single(&c->as, X64_MOVUPS_STORE, reg, memory);
    } else if (type_is_float(type)) {
        emit_float_single(&c->as, X64_FLOAT(type == TYPE_F64, X64_FLOAT_STORE), reg, memory);
    } else {
        emit_instruction(&c->as, X64_MOV_STORE | X64_IF(type == TYPE_I64, X64_WIDE), reg, memory);
    }
}

void copy_value(struct compiler *c, unsigned type, struct operand to, struct operand from)
{
    bool vector = type == TYPE_V128;
    unsigned scratch = vector ? SCRATCH_XMM : SCRATCH, moved = vector ? TYPE_V128 : TYPE_I64;
    emit_load_slot(c, moved, scratch, from);
    emit_store_slot(c, moved, scratch, to);
}

static struct operand home_operand(const struct compiler *c, uint32_t index)
{
    return operand_memory(RSP, c->locals[index].home);
}

/* ---- Pinned locals ---- */
void reload_local(struct compiler *c, uint32_t index)
{
    const struct local *local = &c->locals[index];
    emit_load_slot(c, local->type, local->pinned, home_operand(c, index));
    c->stale &= ~REGISTER_BIT(local->pinned);
}

void local_written(struct compiler *c, uint32_t index)
{
    uint32_t bit = REGISTER_BIT(c->locals[index].pinned);
    c->stale &= ~bit;
    c->home_valid &= ~bit;
}

void settle(struct compiler *c)
{
    while (c->stale)
        local_register(c, c->pinned_local[lowest_bit(c->stale)]);
}

void save_pinned(struct compiler *c)
{
    for (uint32_t mask = c->pinned_volatile & ~c->stale & ~c->home_valid; mask; mask &= mask - 1) {
        unsigned reg = lowest_bit(mask);
        uint32_t index = c->pinned_local[reg];
        emit_store_slot(c, c->locals[index].type, reg, home_operand(c, index));
    }
}

void forget_pinned(struct compiler *c)
{
    c->stale = c->home_valid = c->pinned_volatile;
}

/* ---- Caches ---- */
void forget_cache(struct compiler *c, unsigned reg)
{
    if (c->cached & REGISTER_BIT(reg)) {
        c->cached &= ~REGISTER_BIT(reg);
        c->locals[c->cached_local[reg]].cached = NO_REGISTER;
    }
}

void remember_cache(struct compiler *c, unsigned reg, uint32_t index)
{
    struct local *local = &c->locals[index];
    if (local->cached != NO_REGISTER)
        forget_cache(c, local->cached);
    forget_cache(c, reg);
    local->cached = (uint8_t)reg;
    c->cached_local[reg] = index;
    c->cached |= REGISTER_BIT(reg);
}

/* ---- Uses of registers ---- */

void entry_to_slot(struct compiler *c, uint32_t index)
{
    struct value *value = &c->stack[index];
    if (value->place == PLACE_REGISTER) {
        emit_store_slot(c, value->type, value->reg, slot_operand(c, index));
        unuse(c, value->reg);
    } else if (value->place == PLACE_LOCAL) {
        store_value(c, slot_operand(c, index), value);
        c->locals[value->index].lazy--;
    } else {
        return;
    }
    value->place = PLACE_SLOT;
    value->index = index;
}

void flush_registers(struct compiler *c, uint32_t below)
{
    if (!c->used)
        return;
    for (uint32_t i = c->stable; i < below; i++) {
        if (c->stack[i].place == PLACE_REGISTER)
            entry_to_slot(c, i);
    }
}

/* Send every stack entry of this register to another one, or to its slot when `to` is NO_REGISTER. */
static void move_entries(struct compiler *c, unsigned reg, unsigned to)
{
    bool moved = false;
    for (uint32_t i = c->stable; i < c->count; i++) {
        struct value *value = &c->stack[i];
        if (value->place != PLACE_REGISTER || value->reg != reg)
            continue;
        if (to == NO_REGISTER) {
            entry_to_slot(c, i);
            continue;
        }
        if (!moved)
            move_register(c, type_is_float(value->type) ? TYPE_F64 : TYPE_I64, to, reg);
        moved = true;
        unuse(c, reg);
        value->reg = (uint8_t)to;
        use(c, to);
    }
}

/* A register to write to, without disturbing the stack: NO_REGISTER when there is none. */
static unsigned find_free(struct compiler *c, uint32_t class_mask)
{
    uint32_t free = c->temporaries & class_mask & ~c->used & ~c->held;
    if (!free)
        return NO_REGISTER;
    uint32_t plain = free & ~c->cached;
    unsigned reg;
    if (plain) {
        reg = lowest_bit(plain);
    } else { /* take turns, so that what was cached last stays longer */
        uint32_t later = free & ~(REGISTER_BIT(c->next_victim) - 1);
        reg = lowest_bit(later ? later : free);
        c->next_victim = (reg + 1) & 31;
        forget_cache(c, reg);
    }
    return reg;
}

unsigned take_register(struct compiler *c, bool is_float)
{
    uint32_t class_mask = is_float ? FLOAT_MASK : GENERAL_MASK;
    unsigned reg = find_free(c, class_mask);
    for (uint32_t i = c->stable; reg == NO_REGISTER && i < c->count; i++) {
        const struct value *value = &c->stack[i];
        if (value->place != PLACE_REGISTER || !(class_mask & ~c->held & REGISTER_BIT(value->reg)))
            continue;
        reg = value->reg;
        forget_cache(c, reg);
        move_entries(c, reg, NO_REGISTER);
    }
    if (UNLIKELY(reg == NO_REGISTER)) { /* no instruction takes so many */
        c->too_large = true;
        reg = is_float ? XMM(0) : RAX;
    }
    hold(c, reg);
    return reg;
}

void claim_register(struct compiler *c, unsigned reg)
{
    forget_cache(c, reg);
    hold(c, reg);
    if (c->used & REGISTER_BIT(reg)) {
        unsigned other = find_free(c, reg >= 16 ? FLOAT_MASK : GENERAL_MASK);
        move_entries(c, reg, other);
    }
}

/* ---- The stack ---- */

void push_slot(struct compiler *c, unsigned type)
{
    push(c, (struct value){.place = PLACE_SLOT, .type = (uint8_t)type, .index = c->count});
}

void push_memory(struct compiler *c, unsigned type, unsigned reg, uint32_t offset)
{
    if (reg != NO_REGISTER)
        use(c, reg);
    push(c, (struct value){.place = PLACE_MEMORY, .type = (uint8_t)type, .reg = (uint8_t)reg, .constant = offset});
}

void push_flags(struct compiler *c, unsigned condition)
{
    c->flags_live = true;
    push(c, (struct value){.place = PLACE_FLAGS, .type = TYPE_I32, .condition = (uint8_t)condition});
}

void push_value(struct compiler *c, struct value value)
{
    if (value.place == PLACE_REGISTER) {
        use(c, value.reg);
    } else if (value.place == PLACE_LOCAL) {
        c->locals[value.index].lazy++;
    } else if (value.place == PLACE_SLOT && value.index != c->count) {
        copy_value(c, value.type, slot_operand(c, c->count), slot_operand(c, value.index));
        value.index = c->count;
    }
    push(c, value);
}

/* ---- Reading values ---- */

static struct operand memory_operand(struct compiler *c, const struct value *value)
{
    switch (value->place) {
    case PLACE_SLOT:
        return slot_operand(c, value->index);
    case PLACE_MEMORY:
        return operand_gs(value->reg, (int32_t)value->constant);
    default:
        return home_operand(c, value->index);
    }
}

void value_load(struct compiler *c, unsigned reg, const struct value *value)
{
    if (value->place == PLACE_CONSTANT) {
        if (type_is_float(value->type))
            emit_float_constant(c, value->type, reg, value->constant);
        else
            emit_constant(&c->as, reg, value->constant, c->flags_live);
        return;
    }
    unsigned from = value_in(c, value);
    if (from == NO_REGISTER)
        emit_load_slot(c, value->type, reg, memory_operand(c, value));
    else
        move_register(c, value->type, reg, from);
}

unsigned value_register(struct compiler *c, struct value *value)
{
    unsigned reg = value_in(c, value);
    if (reg != NO_REGISTER) {
        hold(c, reg);
        return reg;
    }
    reg = take_register(c, type_is_float(value->type));
    value_load(c, reg, value);
    if (value->place == PLACE_LOCAL)
        remember_cache(c, reg, value->index);
    value->place = PLACE_REGISTER;
    value->reg = (uint8_t)reg;
    return reg;
}

unsigned value_own(struct compiler *c, struct value *value)
{
    if (value_is_free(c, value))
        return value->reg;
    unsigned reg = take_register(c, type_is_float(value->type));
    value_load(c, reg, value);
    value->place = PLACE_REGISTER;
    value->reg = (uint8_t)reg;
    return reg;
}

struct operand value_operand(struct compiler *c, struct value *value)
{
    if (value->place == PLACE_CONSTANT && type_is_float(value->type))
        return float_constant_operand(c, value->type, value->constant);
    if (value->place == PLACE_CONSTANT)
        return operand_register(value_register(c, value));
    unsigned reg = value_in(c, value);
    if (reg != NO_REGISTER) {
        hold(c, reg);
        return operand_register(reg);
    }
    return memory_operand(c, value);
}

void store_value(struct compiler *c, struct operand memory, const struct value *value)
{
    int32_t immediate;
    if (value_is_immediate(value, &immediate)) {
        emit_instruction(&c->as, X64(0, MAP_ONE, 0xc7) | X64_IF(value->type == TYPE_I64, X64_WIDE), 0, memory);
        emit_word32(&c->as, (uint32_t)immediate);
        return;
    }
    unsigned reg = value->place == PLACE_CONSTANT ? NO_REGISTER : value_in(c, value);
    if (reg != NO_REGISTER) {
        emit_store_slot(c, value->type, reg, memory);
        return;
    }
    if (value->type == TYPE_V128) {
        value_load(c, SCRATCH_XMM, value);
        emit_store_slot(c, TYPE_V128, SCRATCH_XMM, memory);
        return;
    }
    /* through the scratch register, floats as their bits */
    unsigned type = type_is_wide(value->type) ? TYPE_I64 : TYPE_I32;
    if (value->place == PLACE_CONSTANT)
        emit_constant(&c->as, SCRATCH, value->constant, c->flags_live);
    else
        emit_load_slot(c, type, SCRATCH, memory_operand(c, value));
    emit_store_slot(c, type, SCRATCH, memory);
}

/* ---- Locals ---- */
void release_local(struct compiler *c, uint32_t index)
{
    struct local *local = &c->locals[index];
    if (LIKELY(!local->lazy))
        return;
    struct value old = {.place = PLACE_LOCAL, .type = local->type, .index = index};
    unsigned reg = find_free(c, type_is_float(local->type) ? FLOAT_MASK : GENERAL_MASK);
    if (reg != NO_REGISTER)
        value_load(c, reg, &old);
    for (uint32_t i = c->count; local->lazy; i--) {
        struct value *value = &c->stack[i - 1];
        if (value->place != PLACE_LOCAL || value->index != index)
            continue;
        if (reg == NO_REGISTER) {
            entry_to_slot(c, i - 1);
            continue;
        }
        local->lazy--;
        value->place = PLACE_REGISTER;
        value->reg = (uint8_t)reg;
        use(c, reg);
    }
}

void set_local(struct compiler *c, uint32_t index, bool tee)
{
    struct local *local = &c->locals[index];
    struct value value = vpop(c);
    if (value.place == PLACE_LOCAL && value.index == index) {
        if (tee)
            push_local(c, index);
        return;
    }
    release_local(c, index);
    if (local->pinned != NO_REGISTER) {
        value_load(c, local->pinned, &value);
        local_written(c, index);
        if (tee)
            push_local(c, index);
        return;
    }
    if (value.place == PLACE_CONSTANT && !tee) {
        store_value(c, home_operand(c, index), &value);
        if (local->cached != NO_REGISTER)
            forget_cache(c, local->cached);
        return;
    }
    unsigned reg = value_register(c, &value);
    emit_store_slot(c, local->type, reg, home_operand(c, index));
    if (local->cached != NO_REGISTER)
        forget_cache(c, local->cached);
    if (c->temporaries & REGISTER_BIT(reg) && !(c->cached & REGISTER_BIT(reg)))
        remember_cache(c, reg, index);
    if (tee)
        push_value(c, value);
}

/* ---- Where results go ---- */
struct target target_of_local(struct compiler *c, unsigned type)
{
    struct target target = {.reg = NO_REGISTER};
    const uint8_t *next = c->pc + 1;
    uint32_t index = read_u32_trusted(&next);
    if (c->locals[index].pinned == NO_REGISTER || c->locals[index].type != type)
        return target;
    release_local(c, index);
    target.reg = c->locals[index].pinned;
    target.tee = *c->pc == OP_LOCAL_TEE;
    target.local = index;
    target.next = next;
    return target;
}

void target_finish(struct compiler *c, const struct target *target, unsigned type, unsigned reg)
{
    if (target->reg == NO_REGISTER) {
        push_register(c, type, reg);
        return;
    }
    move_register(c, type, target->reg, reg);
    local_written(c, target->local);
    c->pc = target->next;
    if (target->tee)
        push_local(c, target->local);
}
