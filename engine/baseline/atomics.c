/* Atomic accesses (proposal threads). x86-64's ordinary loads are already as ordered as wasm asks; stores, which must
 * not pass later loads, are exchanges; everything that reads and writes has the lock prefix. Every access compares its
 * address with its natural alignment first, and then goes where all accesses go (address.c).
 *
 * Waiting and waking are builtins: they need the kernel's threads. */
#include "engine/baseline/compiler.h"

/* Codes from OP_I32_ATOMIC_LOAD on come in groups of seven, one of each shape. */
enum group { GROUP_LOAD, GROUP_STORE, GROUP_ADD, GROUP_SUB, GROUP_AND, GROUP_OR, GROUP_XOR, GROUP_XCHG, GROUP_CMPXCHG };

struct shape {
    uint8_t type, bytes;
};
static const struct shape shapes[] = {{TYPE_I32, 4}, {TYPE_I64, 8}, {TYPE_I32, 1}, {TYPE_I32, 2},
                                      {TYPE_I64, 1}, {TYPE_I64, 2}, {TYPE_I64, 4}};

#define LOCK_PREFIX 0xf0
/* Opcodes of the byte form; the next one is that of the others. */
#define ATOMIC_XCHG    X64(0, MAP_ONE, 0x86)
#define ATOMIC_CMPXCHG X64(0, MAP_0F, 0xb0)
#define ATOMIC_XADD    X64(0, MAP_0F, 0xc0)

/* `op memory, reg` of this width. */
static void emit_sized(struct compiler *c, uint32_t opcode, unsigned bytes, unsigned reg, struct operand memory)
{
    opcode += bytes > 1;
    opcode |= X64_IF(bytes == 1, X64_BYTE) | X64_IF(bytes == 8, X64_WIDE) | X64_IF(bytes == 2, X64(PREFIX_66, 0, 0));
    emit_instruction(&c->as, opcode, reg, memory);
}

static void emit_locked(struct compiler *c, uint32_t opcode, unsigned bytes, unsigned reg, struct operand memory)
{
    emit_byte(&c->as, LOCK_PREFIX);
    emit_sized(c, opcode, bytes, reg, memory);
}

/* reg = the value in memory or in a register, zero-extended. */
static void emit_zero_extended(struct compiler *c, unsigned bytes, unsigned reg, struct operand from)
{
    static const uint32_t opcodes[] = {
        [1] = X64_MOVZX8, [2] = X64_MOVZX16, [4] = X64_MOV_LOAD, [8] = X64_MOV_LOAD | X64_WIDE};
    if (from.kind != OPERAND_REGISTER || bytes < 4)
        emit_instruction(&c->as, opcodes[bytes], reg, from);
}

static void check_alignment(struct compiler *c, struct value *address, uint64_t offset, unsigned bytes)
{
    uint32_t low = (uint32_t)offset & (bytes - 1);
    if (bytes == 1)
        return;
    if (address->place == PLACE_CONSTANT) {
        if ((address->constant + low) & (bytes - 1)) /* what follows is not reached */
            emit_trap(&c->as, TRAP_UNALIGNED_ATOMIC);
        return;
    }
    unsigned reg = value_register(c, address);
    if (low) {
        emit_instruction(&c->as, X64_LEA, SCRATCH, operand_memory(reg, (int32_t)low));
        reg = SCRATCH;
    }
    emit_registers(&c->as, X64_GROUP_F7, 0, reg); /* test reg, imm32 */
    emit_word32(&c->as, bytes - 1);
    trap_if(c, CONDITION_NE, TRAP_UNALIGNED_ATOMIC);
}

static struct operand atomic_operand(struct compiler *c, struct value *address, struct memory_argument argument,
                                     unsigned bytes)
{
    check_alignment(c, address, argument.offset, bytes);
    return address_operand(c, address, argument, bytes);
}

/* Put values where an instruction that needs rax wants them; the registers are its own then. */
static void place_operands(struct compiler *c, struct value *values, const uint8_t *registers, unsigned count)
{
    struct move moves[3];
    for (unsigned i = 0; i < count; i++) {
        argument_move(c, &moves[i], registers[i], &values[i]);
        hold(c, registers[i]);
        if (moves[i].from != NO_REGISTER)
            hold(c, moves[i].from);
    }
    for (unsigned i = 0; i < count; i++)
        claim_register(c, registers[i]);
    run_moves(c, moves, count);
    for (unsigned i = 0; i < count; i++) {
        values[i].place = PLACE_REGISTER;
        values[i].reg = registers[i];
    }
}

static void compile_atomic_load(struct compiler *c, const struct shape *shape, struct memory_argument argument)
{
    struct value address = vpop(c);
    struct operand memory = atomic_operand(c, &address, argument, shape->bytes);
    unsigned reg = take_register(c, false);
    emit_zero_extended(c, shape->bytes, reg, memory);
    push_register(c, shape->type, reg);
}

/* The value is exchanged with what is there: a store, or the instruction of that name. */
static void compile_exchange(struct compiler *c, const struct shape *shape, struct memory_argument argument, bool push)
{
    struct value value = vpop(c), address = vpop(c);
    unsigned reg = value_own(c, &value);
    struct operand memory = atomic_operand(c, &address, argument, shape->bytes);
    emit_sized(c, ATOMIC_XCHG, shape->bytes, reg, memory); /* locks by itself */
    if (push) {
        emit_zero_extended(c, shape->bytes, reg, operand_register(reg));
        push_register(c, shape->type, reg);
    }
}

/* `value` in a register to overwrite, which is not the address's. */
static unsigned own_beside(struct compiler *c, struct value *value, const struct value *address)
{
    if (value->place != PLACE_REGISTER || value_in(c, address) != value->reg)
        return value_own(c, value);
    unsigned reg = take_register(c, false);
    value_load(c, reg, value);
    return reg;
}

static void compile_fetch_add(struct compiler *c, const struct shape *shape, struct memory_argument argument,
                              bool subtract)
{
    struct value value = vpop(c), address = vpop(c);
    unsigned reg = own_beside(c, &value, &address);
    struct operand memory = atomic_operand(c, &address, argument, shape->bytes);
    if (subtract)
        emit_registers(&c->as, X64_GROUP_F7 | X64_IF(shape->bytes == 8, X64_WIDE), 3, reg);
    emit_locked(c, ATOMIC_XADD, shape->bytes, reg, memory);
    emit_zero_extended(c, shape->bytes, reg, operand_register(reg));
    push_register(c, shape->type, reg);
}

/* There is no instruction that gives the old value: compute, and exchange if nobody came between. */
static void compile_fetch_logic(struct compiler *c, const struct shape *shape, struct memory_argument argument,
                                enum alu alu)
{
    struct value operands[2];
    operands[0] = vpop(c);
    operands[1] = vpop(c);
    hold(c, RAX);
    place_operands(c, operands, (const uint8_t[]){RDX, RCX}, 2);
    claim_register(c, RAX);
    struct operand memory = atomic_operand(c, &operands[1], argument, shape->bytes);
    if (memory.base == SCRATCH) { /* which is wanted for the new value */
        bool gs = memory.gs;
        memory.gs = false;
        emit_instruction(&c->as, X64_LEA | X64_WIDE, RCX, memory);
        memory = operand_memory(RCX, 0);
        memory.gs = gs;
    }
    emit_zero_extended(c, shape->bytes, RAX, memory);
    uint32_t again = assembler_position(&c->as);
    emit_move(&c->as, true, SCRATCH, RAX);
    emit_alu(&c->as, alu, true, SCRATCH, operand_register(RDX));
    emit_locked(c, ATOMIC_CMPXCHG, shape->bytes, SCRATCH, memory);
    emit_jump_back_if(&c->as, CONDITION_NE, again);
    push_register(c, shape->type, RAX);
}

/* A narrow access compares as many bits as it has, whatever is above them in the expectation. */
static void compile_compare_exchange(struct compiler *c, const struct shape *shape, struct memory_argument argument)
{
    struct value operands[3];
    for (unsigned i = 0; i < 3; i++)
        operands[i] = vpop(c);
    place_operands(c, operands, (const uint8_t[]){RDX, RAX, RCX}, 3);
    struct operand memory = atomic_operand(c, &operands[2], argument, shape->bytes);
    emit_locked(c, ATOMIC_CMPXCHG, shape->bytes, RDX, memory);
    if (shape->bytes == 4)
        emit_move(&c->as, false, RAX, RAX);
    else
        emit_zero_extended(c, shape->bytes, RAX, operand_register(RAX));
    push_register(c, shape->type, RAX);
}

static void compile_atomic_access(struct compiler *c, unsigned n)
{
    static const uint8_t logic[] = {[GROUP_AND] = ALU_AND, [GROUP_OR] = ALU_OR, [GROUP_XOR] = ALU_XOR};
    const struct shape *shape = &shapes[n % ARRAY_COUNT(shapes)];
    enum group group = n / ARRAY_COUNT(shapes);
    struct memory_argument argument = read_memory_argument(&c->pc);
    switch (group) {
    case GROUP_LOAD:
        compile_atomic_load(c, shape, argument);
        break;
    case GROUP_STORE:
    case GROUP_XCHG:
        compile_exchange(c, shape, argument, group == GROUP_XCHG);
        break;
    case GROUP_ADD:
    case GROUP_SUB:
        compile_fetch_add(c, shape, argument, group == GROUP_SUB);
        break;
    case GROUP_AND:
    case GROUP_OR:
    case GROUP_XOR:
        compile_fetch_logic(c, shape, argument, logic[group]);
        break;
    case GROUP_CMPXCHG:
        compile_compare_exchange(c, shape, argument);
        break;
    }
}

/* The builtins take one address: add the offset to the lowest of the top `operands` entries of the stack. */
static void add_offset(struct compiler *c, struct memory_argument argument, unsigned operands)
{
    struct value above[2];
    flush_registers(c, c->count);
    for (unsigned i = operands - 1; i-- > 0;)
        above[i] = vpop(c);
    struct value address = vpop(c);
    unsigned reg = value_own(c, &address);
    emit_constant(&c->as, SCRATCH, argument.offset, false);
    emit_alu(&c->as, ALU_ADD, true, reg, operand_register(SCRATCH));
    if (c->module->memories[argument.memory].limits.is_64)
        trap_if(c, CONDITION_B, TRAP_MEMORY_OUT_OF_BOUNDS);
    push_register(c, TYPE_I64, reg);
    for (unsigned i = 0; i < operands - 1; i++)
        push_value(c, above[i]);
}

static void compile_waiting(struct compiler *c, enum builtin builtin, unsigned operands)
{
    struct memory_argument argument = read_memory_argument(&c->pc);
    if (argument.offset)
        add_offset(c, argument, operands);
    compile_builtin(c, builtin, &argument.memory, 1, operands, TYPE_I32);
}

void compile_prefix_fe(struct compiler *c, UNUSED, UNUSED_TOO)
{
    unsigned opcode = opcode_number(0xfe, read_u32_trusted(&c->pc));
    switch (opcode) {
    case OP_MEMORY_ATOMIC_NOTIFY:
        compile_waiting(c, BUILTIN_MEMORY_NOTIFY, 2);
        break;
    case OP_MEMORY_ATOMIC_WAIT32:
        compile_waiting(c, BUILTIN_MEMORY_WAIT32, 3);
        break;
    case OP_MEMORY_ATOMIC_WAIT64:
        compile_waiting(c, BUILTIN_MEMORY_WAIT64, 3);
        break;
    case OP_ATOMIC_FENCE:
        c->pc++;                 /* which order: there is one */
        emit_byte(&c->as, 0x0f); /* mfence */
        emit_byte(&c->as, 0xae);
        emit_byte(&c->as, 0xf0);
        break;
    default:
        compile_atomic_access(c, opcode - OP_I32_ATOMIC_LOAD);
        break;
    }
}
