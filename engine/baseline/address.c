/* How an access reaches linear memory (docs/abi.md, "Linear memory"). There are three ways:
 *
 *  - 32-bit addresses and pages of 64 KiB: no check, the reservation catches what is outside.
 *  - 64-bit addresses: the address is compared with the size; the guard behind the reservation catches an offset and a
 *    width that lead over the end.
 *  - Offsets beyond the guard, and pages of a byte, behind which no guard can lie: the end of the access is compared
 *    with the size.
 *
 * A compared value is also clamped to the size without a branch, so that a mispredicted check stays inside the
 * reservation. Memory 0 lies at GS; the base of any other is loaded right before the access. */
#include "engine/baseline/compiler.h"

static struct operand memory_slot(const struct compiler *c, uint32_t memory)
{
    return operand_header(memory == 0 ? HEADER_OFFSET(memory)
                                      : c->layout->memories + (int32_t)((memory - 1) * sizeof(struct memory_slot)));
}

static struct operand memory_size(const struct compiler *c, uint32_t memory)
{
    struct operand operand = memory_slot(c, memory);
    operand.displacement += (int32_t)offsetof(struct memory_slot, bytes);
    return operand;
}

/* [scratch + displacement] in this memory, the scratch register being an address there. */
static struct operand scratch_operand(struct compiler *c, uint32_t memory, int32_t displacement)
{
    if (memory == 0)
        return operand_gs(SCRATCH, displacement);
    emit_alu(&c->as, ALU_ADD, true, SCRATCH, memory_slot(c, memory));
    return operand_memory(SCRATCH, displacement);
}

/* Trap when the scratch register compares so with the memory's size; otherwise, speculation included, it is at most the
 * size. */
static void check_scratch(struct compiler *c, uint32_t memory, enum condition outside)
{
    struct operand size = memory_size(c, memory);
    emit_alu(&c->as, ALU_CMP, true, SCRATCH, size);
    trap_if(c, outside, TRAP_MEMORY_OUT_OF_BOUNDS);
    emit_instruction(&c->as, (X64_CMOVCC + outside) | X64_WIDE, SCRATCH, size);
}

/* The end of the access is compared. */
static struct operand check_end(struct compiler *c, unsigned reg, struct memory_argument argument, unsigned bytes)
{
    uint64_t end;
    if (__builtin_add_overflow(argument.offset, bytes,
                               &end)) { /* no memory is that large: what follows is not reached */
        emit_trap(&c->as, TRAP_MEMORY_OUT_OF_BOUNDS);
        end = bytes;
    }
    emit_constant(&c->as, SCRATCH, end, false);
    emit_alu(&c->as, ALU_ADD, true, SCRATCH, operand_register(reg));
    if (c->module->memories[argument.memory].limits.is_64)
        trap_if(c, CONDITION_B, TRAP_MEMORY_OUT_OF_BOUNDS);
    check_scratch(c, argument.memory, CONDITION_A);
    return scratch_operand(c, argument.memory, -(int32_t)bytes);
}

/* Whether an access at a known place needs no check: it is inside the smallest size, or the guard takes care of it. */
static bool constant_is_inside(const struct compiler *c, uint64_t address, struct memory_argument argument,
                               unsigned bytes)
{
    const struct limits *limits = &c->module->memories[argument.memory].limits;
    if (address >= ABI_OFFSET_MAXIMUM || argument.offset >= ABI_OFFSET_MAXIMUM - address)
        return false;
    if (!limits->is_64 && !c->module->memories[argument.memory].byte_pages)
        return true;
    uint64_t last = address + argument.offset + bytes - 1;
    return last / memory_page_bytes(&c->module->memories[argument.memory]) < limits->minimum;
}

struct operand address_operand(struct compiler *c, struct value *address, struct memory_argument argument,
                               unsigned bytes)
{
    if (address->place == PLACE_CONSTANT && constant_is_inside(c, address->constant, argument, bytes)) {
        int32_t start = (int32_t)(address->constant + argument.offset);
        if (argument.memory == 0)
            return operand_gs(NO_REGISTER, start);
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, memory_slot(c, argument.memory));
        return operand_memory(SCRATCH, start);
    }
    unsigned reg = value_register(c, address);
    if (LIKELY(memory_is_plain(c, argument)))
        return operand_gs(reg, (int32_t)argument.offset);
    if (argument.offset >= ABI_OFFSET_MAXIMUM || c->module->memories[argument.memory].byte_pages)
        return check_end(c, reg, argument, bytes);
    if (c->module->memories[argument.memory].limits.is_64) {
        emit_move(&c->as, true, SCRATCH, reg);
        check_scratch(c, argument.memory, CONDITION_AE);
        return scratch_operand(c, argument.memory, (int32_t)argument.offset);
    }
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, memory_slot(c, argument.memory));
    return operand_indexed(SCRATCH, reg, 0, (int32_t)argument.offset);
}

static unsigned address_type(const struct compiler *c, uint32_t memory)
{
    return c->module->memories[memory].limits.is_64 ? TYPE_I64 : TYPE_I32;
}

void compile_memory_size(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t memory = read_u32_trusted(&c->pc);
    unsigned type = address_type(c, memory);
    struct target target = target_find(c, type);
    unsigned reg = target_register(c, &target, type);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, reg, memory_size(c, memory));
    if (!c->module->memories[memory].byte_pages)
        emit_shift_immediate(&c->as, SHIFT_SHR, true, reg, 16);
    target_finish(c, &target, type, reg);
}

void compile_memory_grow(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t memory = read_u32_trusted(&c->pc);
    compile_builtin(c, BUILTIN_MEMORY_GROW, &memory, 1, 1, address_type(c, memory));
}
