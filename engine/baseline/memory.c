/* Linear memory, globals and tables. */
#include "engine/baseline/compiler.h"

struct access {
    uint32_t opcode; /* of the machine instruction */
    uint8_t type, bytes;
};

static const struct access loads[] = {
    [OP_I32_LOAD - OP_I32_LOAD] = {X64_MOV_LOAD, TYPE_I32, 4},
    [OP_I64_LOAD - OP_I32_LOAD] = {X64_MOV_LOAD | X64_WIDE, TYPE_I64, 8},
    [OP_F32_LOAD - OP_I32_LOAD] = {X64_FLOAT(false, X64_FLOAT_LOAD), TYPE_F32, 4},
    [OP_F64_LOAD - OP_I32_LOAD] = {X64_FLOAT(true, X64_FLOAT_LOAD), TYPE_F64, 8},
    [OP_I32_LOAD8_S - OP_I32_LOAD] = {X64_MOVSX8, TYPE_I32, 1},
    [OP_I32_LOAD8_U - OP_I32_LOAD] = {X64_MOVZX8, TYPE_I32, 1},
    [OP_I32_LOAD16_S - OP_I32_LOAD] = {X64_MOVSX16, TYPE_I32, 2},
    [OP_I32_LOAD16_U - OP_I32_LOAD] = {X64_MOVZX16, TYPE_I32, 2},
    [OP_I64_LOAD8_S - OP_I32_LOAD] = {X64_MOVSX8 | X64_WIDE, TYPE_I64, 1},
    [OP_I64_LOAD8_U - OP_I32_LOAD] = {X64_MOVZX8, TYPE_I64, 1},
    [OP_I64_LOAD16_S - OP_I32_LOAD] = {X64_MOVSX16 | X64_WIDE, TYPE_I64, 2},
    [OP_I64_LOAD16_U - OP_I32_LOAD] = {X64_MOVZX16, TYPE_I64, 2},
    [OP_I64_LOAD32_S - OP_I32_LOAD] = {X64_MOVSXD, TYPE_I64, 4},
    [OP_I64_LOAD32_U - OP_I32_LOAD] = {X64_MOV_LOAD, TYPE_I64, 4},
};

static const struct access stores[] = {
    [OP_I32_STORE - OP_I32_STORE] = {X64_MOV_STORE, TYPE_I32, 4},
    [OP_I64_STORE - OP_I32_STORE] = {X64_MOV_STORE | X64_WIDE, TYPE_I64, 8},
    [OP_F32_STORE - OP_I32_STORE] = {X64_FLOAT(false, X64_FLOAT_STORE), TYPE_F32, 4},
    [OP_F64_STORE - OP_I32_STORE] = {X64_FLOAT(true, X64_FLOAT_STORE), TYPE_F64, 8},
    [OP_I32_STORE8 - OP_I32_STORE] = {X64_MOV_STORE8, TYPE_I32, 1},
    [OP_I32_STORE16 - OP_I32_STORE] = {X64_MOV_STORE16, TYPE_I32, 2},
    [OP_I64_STORE8 - OP_I32_STORE] = {X64_MOV_STORE8, TYPE_I64, 1},
    [OP_I64_STORE16 - OP_I32_STORE] = {X64_MOV_STORE16, TYPE_I64, 2},
    [OP_I64_STORE32 - OP_I32_STORE] = {X64_MOV_STORE, TYPE_I64, 4},
};

/* The next instruction can take this type of value from memory. */
static bool next_takes_memory(const struct compiler *c, unsigned opcode)
{
    unsigned next = *c->pc;
    switch (opcode) {
    case OP_I32_LOAD:
        return (next >= OP_I32_EQ && next <= OP_I32_GE_U) || (next >= OP_I32_ADD && next <= OP_I32_MUL) ||
               (next >= OP_I32_AND && next <= OP_I32_XOR);
    case OP_I64_LOAD:
        return (next >= OP_I64_EQ && next <= OP_I64_GE_U) || (next >= OP_I64_ADD && next <= OP_I64_MUL) ||
               (next >= OP_I64_AND && next <= OP_I64_XOR);
    case OP_F32_LOAD:
        return next >= OP_F32_ADD && next <= OP_F32_DIV;
    case OP_F64_LOAD:
        return next >= OP_F64_ADD && next <= OP_F64_DIV;
    default:
        return false;
    }
}

static void emit_access(struct compiler *c, const struct access *access, unsigned reg, struct operand memory)
{
    if (type_is_float(access->type))
        emit_float_single(&c->as, access->opcode, reg, memory);
    else
        emit_instruction(&c->as, access->opcode, reg, memory);
}

static void finish_load(struct compiler *c, const struct access *access, struct operand memory,
                        const struct value *free)
{
    struct target target = target_find(c, access->type);
    unsigned reg = target.reg != NO_REGISTER ? target.reg
                   : free && !type_is_float(access->type) && value_is_free(c, free)
                       ? free->reg
                       : take_register(c, type_is_float(access->type));
    emit_access(c, access, reg, memory);
    target_finish(c, &target, access->type, reg);
    bool is_unsigned = access->opcode == X64_MOVZX8 || access->opcode == X64_MOVZX16;
    push_bits(c, &target, is_unsigned ? 8u * access->bytes : 0);
}

void compile_load(struct compiler *c, unsigned opcode, UNUSED)
{
    const struct access *access = &loads[opcode - OP_I32_LOAD];
    struct memory_argument argument = read_memory_argument(&c->pc);
    struct value address = vpop(c);
    struct operand memory = address_operand(c, &address, argument, access->bytes);
    if (memory_is_plain(c, argument) && next_takes_memory(c, opcode)) {
        push_memory(c, access->type, memory.base, (uint32_t)memory.displacement);
        return;
    }
    finish_load(c, access, memory, &address);
}

/* index << scale that is the address of the next load, and cannot exceed 32 bits: the shift is part of the address. */
bool compile_scaled_load(struct compiler *c, struct value *index, unsigned scale)
{
    unsigned opcode = *c->pc;
    if (opcode < OP_I32_LOAD || opcode > OP_I64_LOAD32_U || scale > 3 || index->place != PLACE_REGISTER ||
        index->bits == 0 || index->bits + scale > 32)
        return false;
    const uint8_t *next = c->pc + 1;
    struct memory_argument argument = read_memory_argument(&next);
    if (!memory_is_plain(c, argument))
        return false;
    struct operand memory = operand_indexed(NO_REGISTER, index->reg, scale, (int32_t)argument.offset);
    memory.gs = true;
    c->pc = next;
    finish_load(c, &loads[opcode - OP_I32_LOAD], memory, index);
    return true;
}

/* i32.add(base, index << scale) that is the address of the next load, without an offset: one instruction with a 32-bit
 * address, which wraps as the addition does. */
bool compile_indexed_load(struct compiler *c, struct value *base, struct value *index, unsigned scale)
{
    unsigned opcode = *c->pc;
    if (opcode < OP_I32_LOAD || opcode > OP_I64_LOAD32_U)
        return false;
    const uint8_t *next = c->pc + 1;
    struct memory_argument argument = read_memory_argument(&next);
    if (!memory_is_plain(c, argument) || argument.offset != 0 || base->place == PLACE_MEMORY ||
        index->place == PLACE_MEMORY)
        return false;
    const struct access *access = &loads[opcode - OP_I32_LOAD];
    int32_t immediate;
    struct operand memory;
    if (scale == 0 && value_is_immediate(index, &immediate)) {
        memory = operand_gs(value_register(c, base), immediate);
    } else {
        unsigned base_register = value_register(c, base), index_register = value_register(c, index);
        memory = operand_indexed(base_register, index_register, scale, 0);
        memory.gs = true;
    }
    memory.address32 = true;
    c->pc = next;
    finish_load(c, access, memory, index->place == PLACE_REGISTER ? index : base);
    return true;
}

void compile_store(struct compiler *c, unsigned opcode, UNUSED)
{
    const struct access *access = &stores[opcode - OP_I32_STORE];
    struct memory_argument argument = read_memory_argument(&c->pc);
    struct value value = vpop(c), address = vpop(c);
    int32_t immediate;
    bool is_immediate = value_is_immediate(&value, &immediate);
    if (value.place == PLACE_CONSTANT && type_is_float(value.type)) { /* its bits */
        value.type = access->bytes == 8 ? TYPE_I64 : TYPE_I32;
        is_immediate = value_is_immediate(&value, &immediate);
    } else if (value.place == PLACE_CONSTANT && access->bytes < 8) {
        immediate = (int32_t)value.constant;
        is_immediate = true;
    }
    unsigned reg = is_immediate ? 0 : value_register(c, &value);
    struct operand memory = address_operand(c, &address, argument, access->bytes);
    if (!is_immediate) {
        if (type_is_float(value.type))
            emit_access(c, access, reg, memory);
        else
            emit_instruction(&c->as, type_is_float(access->type) ? X64_MOV_STORE | X64_WIDE : access->opcode, reg,
                             memory);
        return;
    }
    unsigned prefix = access->bytes == 2 ? PREFIX_66 : PREFIX_NONE;
    emit_instruction(&c->as,
                     X64(prefix, MAP_ONE, access->bytes == 1 ? 0xc6 : 0xc7) | X64_IF(access->bytes == 8, X64_WIDE), 0,
                     memory);
    if (access->bytes == 1)
        emit_byte(&c->as, (uint8_t)immediate);
    else if (access->bytes == 2) {
        emit_byte(&c->as, (uint8_t)immediate);
        emit_byte(&c->as, (uint8_t)((uint32_t)immediate >> 8));
    } else {
        emit_word32(&c->as, (uint32_t)immediate);
    }
}

/* ---- Globals ---- */
static bool global_is_indirect(const struct compiler *c, uint32_t index)
{
    return index < c->module->global_import_count && c->module->globals[index].type.mutable_;
}

/* The global's place; loads an imported one's address into the scratch register. */
static struct operand global_operand(struct compiler *c, uint32_t index)
{
    struct operand slot = operand_header(c->layout->globals + (int32_t)index * HEADER_GLOBAL_BYTES);
    if (!global_is_indirect(c, index))
        return slot;
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, slot);
    return operand_memory(SCRATCH, 0);
}

void compile_global_get(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t index = read_u32_trusted(&c->pc);
    unsigned type = type_of(c->module->globals[index].type.value);
    struct target target = target_find(c, type);
    unsigned reg = target_register(c, &target, type);
    emit_load_slot(c, type, reg, global_operand(c, index));
    target_finish(c, &target, type, reg);
}

void compile_global_set(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t index = read_u32_trusted(&c->pc);
    struct value value = vpop(c);
    int32_t immediate;
    if (!value_is_immediate(&value, &immediate)) /* not through the scratch register, which may have the address */
        value_register(c, &value);
    struct operand place = global_operand(c, index);
    store_value(c, place, &value);
}

/* ---- Tables ---- */
/* Bounds check of a table access; afterwards the scratch register has the entries' address and `index` is masked: 0 on
 * a mispredicted path, too. */
static void emit_table_check(struct compiler *c, uint32_t table, unsigned index)
{
    struct operand slot = operand_header(c->layout->tables + (int32_t)table * HEADER_TABLE_BYTES);
    struct operand length = slot;
    length.displacement += (int32_t)offsetof(struct table_slot, length);
    if (table < c->module->table_import_count) {
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, slot);
        slot = operand_memory(SCRATCH, 0);
        length = operand_memory(SCRATCH, (int32_t)offsetof(struct table_slot, length));
    }
    unsigned mask = take_register(c, false);
    emit_alu(&c->as, ALU_CMP, true, index, length);
    emit_registers(&c->as, X64(0, MAP_ONE, 0x1b) | X64_WIDE, mask, mask); /* sbb: -1 when below */
    trap_if(c, CONDITION_AE, TRAP_TABLE_OUT_OF_BOUNDS);
    emit_alu(&c->as, ALU_AND, false, index, operand_register(mask));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, slot);
}

void compile_table_get(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t table = read_u32_trusted(&c->pc);
    struct value index = vpop(c);
    unsigned reg = value_own(c, &index);
    forget_cache(c, reg);
    emit_table_check(c, table, reg);
    emit_instruction(&c->as, X64_MOV_LOAD, reg, operand_indexed(SCRATCH, reg, 2, 0));
    struct target target = target_find(c, TYPE_I32);
    target_finish(c, &target, TYPE_I32, reg);
}

void compile_table_set(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t table = read_u32_trusted(&c->pc);
    struct value value = vpop(c), index = vpop(c);
    unsigned reference = value_register(c, &value);
    unsigned reg = take_register(c, false);
    value_load(c, reg, &index);
    if (index.place == PLACE_REGISTER && index.reg != reference)
        unhold(c, index.reg);
    emit_table_check(c, table, reg);
    emit_instruction(&c->as, X64_MOV_STORE, reference, operand_indexed(SCRATCH, reg, 2, 0));
}

unsigned table_address_type(const struct compiler *c, uint32_t table)
{
    return c->module->tables[table].type.limits.is_64 ? TYPE_I64 : TYPE_I32;
}

void compile_table_size(struct compiler *c, uint32_t table)
{
    struct operand slot = operand_header(c->layout->tables + (int32_t)table * HEADER_TABLE_BYTES);
    unsigned type = table_address_type(c, table);
    struct target target = target_find(c, type);
    unsigned reg = target_register(c, &target, type);
    if (table < c->module->table_import_count) {
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, slot);
        slot = operand_memory(SCRATCH, 0);
    }
    slot.displacement += (int32_t)offsetof(struct table_slot, length);
    emit_instruction(&c->as, X64_MOV_LOAD, reg, slot);
    target_finish(c, &target, type, reg);
}

void compile_reference_function(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t index = read_u32_trusted(&c->pc);
    struct target target = target_find(c, TYPE_I32);
    unsigned reg = target_register(c, &target, TYPE_I32);
    if (index < c->module->function_import_count) {
        int32_t slot = c->layout->imports + (int32_t)(index * sizeof(struct import_slot));
        emit_instruction(&c->as, X64_MOV_LOAD, reg,
                         operand_header(slot + (int32_t)offsetof(struct import_slot, reference)));
    } else {
        emit_instruction(&c->as, X64_MOV_LOAD, reg, operand_header(HEADER_OFFSET(reference_base)));
        emit_alu_immediate(&c->as, ALU_ADD, false, operand_register(reg),
                           (int32_t)c->module->functions[index].reference);
    }
    target_finish(c, &target, TYPE_I32, reg);
}
