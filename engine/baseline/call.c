/* Calls: arguments to their places, the call, results onto the stack (docs/abi.md). */
#include "engine/baseline/compiler.h"

static const uint8_t integer_arguments[ABI_INTEGER_ARGUMENTS] = ABI_INTEGER_ARGUMENT_REGISTERS;

unsigned next_argument(struct arguments *arguments, value_type type, uint32_t *word)
{
    if (value_type_is_float(type)) {
        if (arguments->floats < ABI_FLOAT_ARGUMENTS)
            return XMM(arguments->floats++);
    } else if (arguments->integers < ABI_INTEGER_ARGUMENTS) {
        return integer_arguments[arguments->integers++];
    }
    *word = arguments->words;
    arguments->words += type == VALUE_V128 ? 2 : 1;
    return NO_REGISTER;
}

unsigned next_result(struct arguments *results, value_type type, uint32_t *word)
{
    if (value_type_is_float(type)) {
        if (results->floats < ABI_FLOAT_RESULTS)
            return XMM(results->floats++);
    } else if (results->integers < ABI_INTEGER_RESULTS) {
        return results->integers++ == 0 ? RAX : RDX;
    }
    *word = results->words;
    results->words += type == VALUE_V128 ? 2 : 1;
    return NO_REGISTER;
}

uint32_t argument_words(const struct function_type *type)
{
    struct arguments arguments = {0};
    uint32_t word;
    for (uint32_t i = 0; i < type->parameter_count; i++)
        next_argument(&arguments, function_type_parameters(type)[i], &word);
    return arguments.words;
}

uint32_t result_words(const struct function_type *type)
{
    struct arguments results = {0};
    uint32_t word;
    if (LIKELY(type->result_count <= ABI_INTEGER_RESULTS))
        return 0;
    for (uint32_t i = 0; i < type->result_count; i++)
        next_result(&results, function_type_results(type)[i], &word);
    return results.words;
}

/* ---- Parallel moves ---- */
static void move_whole(struct compiler *c, unsigned to, unsigned from)
{
    move_register(c, to >= 16 ? TYPE_F64 : TYPE_I64, to, from);
}

/* Moves between registers of which some are read and written. */
static void run_dependent_moves(struct compiler *c, struct move *moves, unsigned count)
{
    uint8_t readers[32] = {0};
    unsigned pending = 0;
    for (unsigned i = 0; i < count; i++) {
        moves[i].done = moves[i].from == NO_REGISTER || moves[i].from == moves[i].to;
        if (!moves[i].done) {
            readers[moves[i].from]++;
            pending++;
        }
    }
    while (pending) {
        unsigned before = pending;
        for (unsigned i = 0; i < count; i++) {
            if (moves[i].done || readers[moves[i].to])
                continue;
            move_whole(c, moves[i].to, moves[i].from);
            readers[moves[i].from]--;
            moves[i].done = true;
            pending--;
        }
        if (pending < before)
            continue;
        /* only cycles are left: free one destination */
        unsigned i = 0;
        while (moves[i].done)
            i++;
        unsigned to = moves[i].to, scratch = to >= 16 ? SCRATCH_XMM : SCRATCH;
        move_whole(c, scratch, to);
        for (i = 0; i < count; i++) {
            if (!moves[i].done && moves[i].from == to) {
                moves[i].from = (uint8_t)scratch;
                readers[to]--;
                readers[scratch]++;
            }
        }
    }
}

/* Constants and values from memory: when no register is read any more. */
static void load_moves(struct compiler *c, const struct move *moves, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (moves[i].from == NO_REGISTER)
            value_load(c, moves[i].to, &moves[i].value);
    }
}

void run_moves(struct compiler *c, struct move *moves, unsigned count)
{
    uint32_t read = 0, written = 0;
    for (unsigned i = 0; i < count; i++) {
        if (moves[i].from == moves[i].to)
            continue;
        written |= REGISTER_BIT(moves[i].to);
        read |= moves[i].from == NO_REGISTER ? 0 : REGISTER_BIT(moves[i].from);
    }
    if (read & written) {
        run_dependent_moves(c, moves, count);
    } else {
        for (unsigned i = 0; i < count; i++) {
            if (moves[i].from != NO_REGISTER && moves[i].from != moves[i].to)
                move_whole(c, moves[i].to, moves[i].from);
        }
    }
    load_moves(c, moves, count);
}

/* A stale local is read from its home: its register may be an argument's place. */
void argument_move(struct compiler *c, struct move *move, unsigned to, const struct value *value)
{
    move->value = *value;
    move->to = (uint8_t)to;
    move->from = NO_REGISTER;
    if (value->place == PLACE_CONSTANT)
        return;
    bool local = value->place == PLACE_LOCAL;
    unsigned pinned = local ? c->locals[value->index].pinned : NO_REGISTER;
    if (pinned == NO_REGISTER || !(c->stale & REGISTER_BIT(pinned)))
        move->from = (uint8_t)value_in(c, value);
    if (move->from == NO_REGISTER && local) {
        move->value.place = PLACE_HOME;
        move->value.type = c->locals[value->index].type; /* an extended i32: its home's high half is unspecified */
    }
}

void place_arguments(struct compiler *c, const struct function_type *type, struct move *moves, unsigned moves_count,
                     int32_t words)
{
    struct arguments arguments = {0};
    uint32_t first = c->count - type->parameter_count, word;
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        const struct value *value = &c->stack[first + i];
        unsigned reg = next_argument(&arguments, function_type_parameters(type)[i], &word);
        if (reg != NO_REGISTER) {
            argument_move(c, &moves[moves_count++], reg, value);
            continue;
        }
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        store_value(c, operand_memory(RSP, words + 8 * (int32_t)word), value);
    }
    run_moves(c, moves, moves_count);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        vpop(c);
}

/* The same for a call that comes back. */
static void place_call_arguments(struct compiler *c, const struct function_type *type, struct move *moves,
                                 unsigned moves_count)
{
    flush_registers(c, c->count - type->parameter_count);
    save_pinned(c);
    place_arguments(c, type, moves, moves_count, 8 * (int32_t)result_words(type));
}

/* All registers that are not callee-saved have lost their contents. */
static void forget_volatile(struct compiler *c)
{
    forget_caches(c, UINT32_MAX);
    forget_pinned(c);
}

static void push_results(struct compiler *c, const struct function_type *type, bool extend)
{
    struct arguments results = {0};
    uint32_t word;
    forget_volatile(c);
    for (uint32_t i = 0; i < type->result_count; i++) {
        value_type result = function_type_results(type)[i];
        unsigned reg = next_result(&results, result, &word), kind = type_of(result);
        if (reg == NO_REGISTER) {
            if ((i & 15) == 0 && !compiler_room(c, ROOM))
                return;
            copy_value(c, kind, slot_operand(c, c->count), operand_memory(RSP, 8 * (int32_t)word));
            push_slot(c, kind);
            continue;
        }
        if (extend && kind == TYPE_I32)
            emit_move(&c->as, false, reg, reg);
        push_register(c, kind, reg);
    }
}

/* ---- Direct calls and imports ---- */
void emit_direct_branch(struct compiler *c, unsigned opcode, uint32_t function)
{
    uint32_t index = function - c->module->function_import_count;
    emit_byte(&c->as, opcode);
    if (function == c->function || index < c->functions_done) {
        uint32_t target = function == c->function ? c->entry : c->functions[index].offset;
        emit_word32(&c->as, target - (assembler_position(&c->as) + 4));
        return;
    }
    if (c->call_count == c->call_capacity &&
        !compiler_grow(c, (void **)&c->calls, &c->call_capacity, c->call_count + 1, sizeof *c->calls))
        return;
    c->calls[c->call_count++] = assembler_position(&c->as);
    emit_word32(&c->as, index);
}

/* r11d = the target's instance: when it is another one, the cold code calls. */
static struct cold *emit_instance_check(struct compiler *c, struct operand instance)
{
    emit_instruction(&c->as, X64_MOV_LOAD, R11, instance);
    emit_alu(&c->as, ALU_CMP, false, R11, operand_header(HEADER_OFFSET(instance_index)));
    struct cold *cold = cold_add(c, COLD_SWITCH);
    if (cold)
        emit_jump_forward_if(&c->as, CONDITION_NE, &cold->chain);
    return cold;
}

static void emit_import_call(struct compiler *c, uint32_t function)
{
    int32_t slot = c->layout->imports + (int32_t)(function * sizeof(struct import_slot));
    struct cold *cold = emit_instance_check(c, operand_header(slot + (int32_t)offsetof(struct import_slot, instance)));
    if (!cold)
        return;
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_header(slot + (int32_t)offsetof(struct import_slot, code)));
    cold->slot = slot;
    cold->resume = assembler_position(&c->as);
}

void compile_call(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t function = read_u32_trusted(&c->pc);
    const struct function_type *type = &c->module->types[c->module->functions[function].type];
    bool import = function < c->module->function_import_count;
    struct move moves[MOVES_MAXIMUM];
    place_call_arguments(c, type, moves, 0);
    if (!compiler_room(c, ROOM))
        return;
    if (import)
        emit_import_call(c, function);
    else
        emit_direct_branch(c, X64_CALL_DIRECT, function);
    call_site(c, c->current_try);
    push_results(c, type, import);
}

/* ---- Calls through a table ---- */
void emit_table_record(struct compiler *c, uint32_t type, uint32_t table)
{
    struct operand slot = operand_header(c->layout->tables + (int32_t)table * HEADER_TABLE_BYTES);
    struct operand length = slot;
    length.displacement += (int32_t)offsetof(struct table_slot, length);
    bool imported = table < c->module->table_import_count;
    if (imported) {
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R11, slot);
        slot = operand_memory(R11, 0);
        length = operand_memory(R11, (int32_t)offsetof(struct table_slot, length));
    }
    emit_alu(&c->as, ALU_CMP, true, RAX, length);
    emit_registers(&c->as, X64(0, MAP_ONE, 0x1b) | X64_WIDE, R10, R10); /* sbb: -1 when below */
    trap_if(c, CONDITION_AE, TRAP_INDIRECT_OUT_OF_BOUNDS);
    emit_alu(&c->as, ALU_AND, false, RAX, operand_register(R10));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10, slot);
    emit_instruction(&c->as, X64_MOV_LOAD, RAX, operand_indexed(R10, RAX, 2, 0));
    emit_shift_immediate(&c->as, SHIFT_SHL, true, RAX, FUNCTION_REFERENCE_SHIFT);
    emit_alu(&c->as, ALU_ADD, true, RAX, operand_header(HEADER_OFFSET(function_references)));
    struct operand wanted = operand_header(c->layout->signatures + (int32_t)(type * sizeof(struct signature_slot)));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10, wanted);
    emit_alu(&c->as, ALU_CMP, true, R10, operand_memory(RAX, offsetof(struct function_reference, signature)));
}

void compile_call_indirect(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t type_index = read_u32_trusted(&c->pc), table = read_u32_trusted(&c->pc);
    const struct function_type *type = &c->module->types[type_index];
    struct value index = vpop(c);
    struct move moves[MOVES_MAXIMUM];
    argument_move(c, &moves[0], RAX, &index);
    /* the stack's entries in rax are arguments, which move, or are flushed; but not before the index is read */
    place_call_arguments(c, type, moves, 1);
    if (!compiler_room(c, ROOM))
        return;
    emit_table_record(c, type_index, table);
    struct cold *cold = cold_add(c, COLD_INDIRECT);
    if (!cold)
        return;
    cold->a = type->result_count && type_of(function_type_results(type)[0]) == TYPE_I32;
    if (!c->module->defined_types[type_index].final)
        cold->slot = 1 + c->module->defined_types[type_index].depth;
    emit_jump_forward_if(&c->as, CONDITION_NE, &cold->chain);
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_memory(RAX, offsetof(struct function_reference, code)));
    cold->resume = assembler_position(&c->as);
    call_site(c, c->current_try);
    push_results(c, type, false);
}

/* ---- Calls through a reference ---- */
/* The null function's record is of instance 0, which is nobody's own. */
void emit_reference_record(struct compiler *c)
{
    emit_shift_immediate(&c->as, SHIFT_SHL, true, RAX, FUNCTION_REFERENCE_SHIFT);
    emit_alu(&c->as, ALU_ADD, true, RAX, operand_header(HEADER_OFFSET(function_references)));
    emit_instruction(&c->as, X64_MOV_LOAD, R11, operand_memory(RAX, offsetof(struct function_reference, instance)));
    emit_alu(&c->as, ALU_CMP, false, R11, operand_header(HEADER_OFFSET(instance_index)));
}

void compile_call_reference(struct compiler *c, UNUSED, UNUSED_TOO)
{
    const struct function_type *type = &c->module->types[read_u32_trusted(&c->pc)];
    struct value reference = vpop(c);
    struct move moves[MOVES_MAXIMUM];
    argument_move(c, &moves[0], RAX, &reference);
    place_call_arguments(c, type, moves, 1);
    if (!compiler_room(c, ROOM))
        return;
    emit_reference_record(c);
    struct cold *cold = cold_add(c, COLD_REFERENCE);
    if (!cold)
        return;
    cold->a = type->result_count && type_of(function_type_results(type)[0]) == TYPE_I32;
    emit_jump_forward_if(&c->as, CONDITION_NE, &cold->chain);
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_memory(RAX, offsetof(struct function_reference, code)));
    cold->resume = assembler_position(&c->as);
    call_site(c, c->current_try);
    push_results(c, type, false);
}

/* ---- Builtins ---- */
void compile_builtin(struct compiler *c, enum builtin builtin, const uint32_t *constants, unsigned constant_count,
                     unsigned operands, unsigned result)
{
    struct move moves[MOVES_MAXIMUM];
    uint32_t first = c->count - operands;
    flush_registers(c, first);
    save_pinned(c);
    for (unsigned i = 0; i < constant_count; i++) {
        struct value constant = {.place = PLACE_CONSTANT, .type = TYPE_I32, .constant = constants[i]};
        argument_move(c, &moves[i], integer_arguments[i], &constant);
    }
    for (unsigned i = 0; i < operands; i++)
        argument_move(c, &moves[constant_count + i], integer_arguments[constant_count + i], &c->stack[first + i]);
    run_moves(c, moves, constant_count + operands);
    for (unsigned i = 0; i < operands; i++)
        vpop(c);
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_header(HEADER_OFFSET(builtins) + 8 * (int32_t)builtin));
    forget_volatile(c);
    if (result != NO_RESULT) {
        if (result == TYPE_I32)
            emit_move(&c->as, false, RAX, RAX);
        push_register(c, result, RAX);
    }
}
