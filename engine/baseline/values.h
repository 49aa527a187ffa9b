/* The small functions of registers.c that every instruction needs, to be compiled into their callers. Contracts stand
 * with the prototypes in compiler.h, which includes this file. */
#ifndef ENGINE_BASELINE_VALUES_H
#define ENGINE_BASELINE_VALUES_H

/* Only so many entries at the top of the stack stay lazy. It bounds every search, whatever the guest writes. */
#define WINDOW 48

static inline bool compiler_room(struct compiler *c, size_t bytes)
{
    if (LIKELY(assembler_room(&c->as, bytes)))
        return true;
    c->too_large = true;
    return false;
}

static inline struct operand slot_operand(const struct compiler *c, uint32_t index)
{
    return operand_memory(RSP, c->slots + (int32_t)(index << c->slot_shift));
}

static inline void hold(struct compiler *c, unsigned reg)
{
    c->held |= REGISTER_BIT(reg);
}

static inline void unhold(struct compiler *c, unsigned reg)
{
    c->held &= ~REGISTER_BIT(reg);
}

static inline void use(struct compiler *c, unsigned reg)
{
    c->uses[reg]++;
    c->used |= REGISTER_BIT(reg);
}

static inline void unuse(struct compiler *c, unsigned reg)
{
    if (--c->uses[reg] == 0)
        c->used &= ~REGISTER_BIT(reg);
}

static inline void flush_stack(struct compiler *c, uint32_t below)
{
    for (; c->stable < below; c->stable++)
        entry_to_slot(c, c->stable);
}

static inline void push(struct compiler *c, struct value value)
{
    c->stack[c->count++] = value;
    if (UNLIKELY(c->count - c->stable > WINDOW))
        flush_stack(c, c->stable + 1);
}

static inline void push_constant(struct compiler *c, unsigned type, uint64_t bits)
{
    push(c, (struct value){.place = PLACE_CONSTANT, .type = (uint8_t)type, .constant = bits});
}

static inline void push_register(struct compiler *c, unsigned type, unsigned reg)
{
    use(c, reg);
    push(c, (struct value){.place = PLACE_REGISTER, .type = (uint8_t)type, .reg = (uint8_t)reg});
}

static inline void push_local(struct compiler *c, uint32_t index)
{
    struct local *local = &c->locals[index];
    if (local->cached != NO_REGISTER) {
        push_register(c, local->type, local->cached);
        return;
    }
    local->lazy++;
    push(c, (struct value){.place = PLACE_LOCAL, .type = local->type, .index = index});
}

static inline void push_bits(struct compiler *c, const struct target *target, unsigned bits)
{
    if (target->reg == NO_REGISTER)
        c->stack[c->count - 1].bits = (uint8_t)bits;
}

static inline struct value vpop(struct compiler *c)
{
    struct value value = c->stack[--c->count];
    if (c->stable > c->count)
        c->stable = c->count;
    if (value.place == PLACE_REGISTER || (value.place == PLACE_MEMORY && value.reg != NO_REGISTER)) {
        unuse(c, value.reg);
        hold(c, value.reg);
    } else if (value.place == PLACE_LOCAL) {
        c->locals[value.index].lazy--;
    }
    return value;
}

static inline unsigned local_register(struct compiler *c, uint32_t index)
{
    unsigned reg = c->locals[index].pinned;
    if (UNLIKELY(c->stale & REGISTER_BIT(reg)))
        reload_local(c, index);
    return reg;
}

static inline unsigned value_in(struct compiler *c, const struct value *value)
{
    if (value->place == PLACE_REGISTER)
        return value->reg;
    if (value->place == PLACE_LOCAL) {
        const struct local *local = &c->locals[value->index];
        if (local->pinned != NO_REGISTER)
            return local_register(c, value->index);
        return local->cached;
    }
    return NO_REGISTER;
}

static inline bool value_is_free(const struct compiler *c, const struct value *value)
{
    return value->place == PLACE_REGISTER && !((c->used | c->cached | c->pinned) & REGISTER_BIT(value->reg));
}

static inline bool value_is_immediate(const struct value *value, int32_t *immediate)
{
    if (value->place != PLACE_CONSTANT || type_is_float(value->type))
        return false;
    *immediate = (int32_t)value->constant;
    return value->type == TYPE_I32 || (int64_t)value->constant == *immediate;
}

static inline void forget_caches(struct compiler *c, uint32_t mask)
{
    for (mask &= c->cached; mask; mask &= mask - 1)
        forget_cache(c, (unsigned)__builtin_ctz(mask));
}

static inline struct memory_argument read_memory_argument(const uint8_t **cursor)
{
    struct memory_argument argument = {.memory = 0};
    if (UNLIKELY(read_u32_trusted(cursor) & 64)) /* the alignment, and whether a memory follows */
        argument.memory = read_u32_trusted(cursor);
    argument.offset = read_u64_trusted(cursor);
    return argument;
}

static inline bool memory_is_plain(const struct compiler *c, struct memory_argument argument)
{
    return argument.offset < ABI_OFFSET_MAXIMUM && argument.memory == 0 && c->plain_memory;
}

static inline struct target target_find(struct compiler *c, unsigned type)
{
    if (*c->pc == OP_LOCAL_SET || *c->pc == OP_LOCAL_TEE)
        return target_of_local(c, type);
    return (struct target){.reg = NO_REGISTER};
}

static inline unsigned target_register(struct compiler *c, const struct target *target, unsigned type)
{
    return target->reg != NO_REGISTER ? target->reg : take_register(c, type_is_float(type));
}

#endif
