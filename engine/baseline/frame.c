/* Which locals live in registers, the frame's layout, prologue and epilogue. */
#include "engine/baseline/compiler.h"

static const uint8_t callee_saved[] = {RBX, RBP, R12, R13, R14, R15};
static const uint8_t pinnable_volatile[] = {RSI, R8, R9, R10, RDI};

#define PINNED_GENERAL     (ARRAY_COUNT(callee_saved) + ARRAY_COUNT(pinnable_volatile))
#define PINNED_FLOAT       11
#define FIRST_PINNED_FLOAT XMM(4)

/* Below this many uses, saving and restoring the register costs more than the memory accesses that it spares. */
#define CALLEE_SAVED_WEIGHT 3
/* A function that calls nothing keeps its frame below rsp up to this size: no signal or interrupt writes there. */
#define LEAF_FRAME_MAXIMUM 4096

/* ---- Candidates: the locals of one class with the greatest weights ---- */
struct candidates {
    uint32_t count, limit;
    uint32_t locals[PINNED_FLOAT];
};

static void consider(struct compiler *c, struct candidates *candidates, uint32_t index)
{
    const uint32_t *weights = c->summary->local_weights;
    uint32_t weight = weights[index];
    if (weight == 0 ||
        (candidates->count == candidates->limit && weight <= weights[candidates->locals[candidates->limit - 1]]))
        return;
    uint32_t i = candidates->count < candidates->limit ? candidates->count++ : candidates->limit - 1;
    for (; i > 0 && weights[candidates->locals[i - 1]] < weight; i--)
        candidates->locals[i] = candidates->locals[i - 1];
    candidates->locals[i] = index;
}

static void pin(struct compiler *c, uint32_t index, unsigned reg)
{
    c->locals[index].pinned = (uint8_t)reg;
    c->pinned |= REGISTER_BIT(reg);
    c->pinned_local[reg] = index;
    if (REGISTER_BIT(reg) & CALLEE_SAVED_MASK)
        c->saved |= REGISTER_BIT(reg);
    else if (!c->leaf)
        c->pinned_volatile |= REGISTER_BIT(reg);
}

/* A parameter that arrives in a register which locals may keep stays there. */
static void pin_arrivals(struct compiler *c, const struct candidates *general, const struct candidates *floats)
{
    struct arguments arguments = {0};
    uint32_t word;
    uint32_t wanted = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(pinnable_volatile); i++)
        wanted |= REGISTER_BIT(pinnable_volatile[i]);
    for (unsigned i = 0; i < PINNED_FLOAT; i++)
        wanted |= REGISTER_BIT(FIRST_PINNED_FLOAT + i);
    for (uint32_t i = 0; i < c->type->parameter_count; i++) {
        unsigned reg = next_argument(&arguments, function_type_parameters(c->type)[i], &word);
        if (reg == NO_REGISTER || !(wanted & REGISTER_BIT(reg)))
            continue;
        const struct candidates *candidates = reg >= 16 ? floats : general;
        for (uint32_t k = 0; k < candidates->count; k++) {
            if (candidates->locals[k] == i)
                pin(c, i, reg);
        }
    }
}

static unsigned first_free(const struct compiler *c, const uint8_t *registers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!(c->pinned & REGISTER_BIT(registers[i])))
            return registers[i];
    }
    return NO_REGISTER;
}

static void pin_general(struct compiler *c, const struct candidates *candidates)
{
    uint64_t call_cost = (uint64_t)c->summary->call_weight * 3 / 2;
    for (uint32_t i = 0; i < candidates->count; i++) {
        uint32_t index = candidates->locals[i], weight = c->summary->local_weights[index];
        if (c->locals[index].pinned != NO_REGISTER)
            continue;
        unsigned reg = NO_REGISTER;
        if (c->leaf)
            reg = first_free(c, pinnable_volatile, ARRAY_COUNT(pinnable_volatile));
        if (reg == NO_REGISTER && weight >= CALLEE_SAVED_WEIGHT)
            reg = first_free(c, callee_saved, ARRAY_COUNT(callee_saved));
        if (reg == NO_REGISTER && !c->leaf && weight > call_cost)
            reg = first_free(c, pinnable_volatile, ARRAY_COUNT(pinnable_volatile));
        if (reg != NO_REGISTER)
            pin(c, index, reg);
    }
}

static void pin_floats(struct compiler *c, const struct candidates *candidates)
{
    uint64_t call_cost = c->leaf ? 0 : (uint64_t)c->summary->call_weight * 3 / 2;
    uint8_t registers[PINNED_FLOAT];
    for (unsigned i = 0; i < PINNED_FLOAT; i++)
        registers[i] = (uint8_t)(FIRST_PINNED_FLOAT + i);
    for (uint32_t i = 0; i < candidates->count; i++) {
        uint32_t index = candidates->locals[i];
        if (c->locals[index].pinned != NO_REGISTER || c->summary->local_weights[index] <= call_cost)
            continue;
        unsigned reg = first_free(c, registers, PINNED_FLOAT);
        if (reg != NO_REGISTER)
            pin(c, index, reg);
    }
}

static bool create_locals(struct compiler *c)
{
    const struct function_summary *summary = c->summary;
    c->local_count = summary->local_count;
    if (!compiler_grow(c, (void **)&c->locals, &c->local_capacity, c->local_count, sizeof *c->locals) ||
        !compiler_grow(c, (void **)&c->stack, &c->stack_capacity, summary->maximum_operands + summary->maximum_catches + 16,
                       sizeof *c->stack))
        return false;
    for (uint32_t i = 0; i < c->local_count; i++) {
        c->locals[i] = (struct local){
            .type = (uint8_t)type_of(summary->local_types[i]), .pinned = NO_REGISTER, .cached = NO_REGISTER};
    }
    return true;
}

static void pin_locals(struct compiler *c)
{
    struct candidates general = {.limit = PINNED_GENERAL}, floats = {.limit = PINNED_FLOAT};
    for (uint32_t i = 0; i < c->local_count; i++)
        consider(c, type_is_float(c->locals[i].type) ? &floats : &general, i);
    if (c->leaf)
        pin_arrivals(c, &general, &floats);
    pin_general(c, &general);
    pin_floats(c, &floats);
}

/* ---- Layout ---- */
static unsigned home_bytes(const struct local *local)
{
    return local->type == TYPE_V128 ? 16 : 8;
}

/* Homes of locals; those that start as zero in memory come first, `*zeroed` bytes of them. */
static uint64_t lay_out_homes(struct compiler *c, uint64_t at, uint64_t *zeroed)
{
    uint32_t parameters = c->type->parameter_count;
    uint64_t start = at;
    for (uint32_t i = parameters; i < c->local_count; i++) {
        if (c->locals[i].pinned != NO_REGISTER)
            continue;
        c->locals[i].home = (int32_t)at;
        at += home_bytes(&c->locals[i]);
    }
    *zeroed = at - start;
    for (uint64_t mask = c->pinned_volatile; mask; mask &= mask - 1) {
        struct local *local = &c->locals[c->pinned_local[__builtin_ctzll(mask)]];
        local->home = (int32_t)at;
        at += home_bytes(local);
    }
    struct arguments arguments = {0};
    uint32_t word;
    for (uint32_t i = 0; i < parameters; i++) {
        if (next_argument(&arguments, function_type_parameters(c->type)[i], &word) == NO_REGISTER ||
            c->locals[i].pinned != NO_REGISTER)
            continue;
        c->locals[i].home = (int32_t)at;
        at += home_bytes(&c->locals[i]);
    }
    c->incoming_words = arguments.words;
    return at;
}

static uint64_t outgoing_bytes(const struct function_summary *summary)
{
    uint64_t words = 0;
    if (summary->maximum_call_parameters > ABI_INTEGER_ARGUMENTS)
        words += summary->maximum_call_parameters;
    if (summary->maximum_call_results > ABI_INTEGER_RESULTS)
        words += summary->maximum_call_results;
    return words * (summary->has_vectors ? 16 : 8);
}

/* Parameters that arrive on the stack have their homes there. */
static void place_incoming(struct compiler *c)
{
    struct arguments arguments = {0};
    uint32_t word;
    for (uint32_t i = 0; i < c->type->parameter_count; i++) {
        if (next_argument(&arguments, function_type_parameters(c->type)[i], &word) == NO_REGISTER &&
            (c->locals[i].pinned == NO_REGISTER || c->pinned_volatile & REGISTER_BIT(c->locals[i].pinned)))
            c->locals[i].home = c->incoming + 8 * (int32_t)word;
    }
}

bool choose_places(struct compiler *c)
{
    const struct function_summary *summary = c->summary;
    c->leaf = !summary->has_calls;
    c->slot_shift = summary->has_vectors ? 4 : 3;
    c->pinned = c->pinned_volatile = c->saved = 0;
    if (!create_locals(c))
        return false;
    pin_locals(c);
    c->temporaries =
        ~(REGISTER_BIT(RSP) | REGISTER_BIT(SCRATCH) | REGISTER_BIT(SCRATCH_XMM) | CALLEE_SAVED_MASK) & ~c->pinned;

    uint64_t at = outgoing_bytes(summary);
    c->saved_home = (int32_t)at;
    at += 8 * (uint64_t)__builtin_popcount(c->saved);
    c->instance_home = (int32_t)at;
    at += summary->has_indirect_calls ? 8 : 0;
    uint64_t zeroed, homes = at;
    at = lay_out_homes(c, at, &zeroed);
    c->zeroed_home = (int32_t)homes;
    c->zeroed_bytes = (uint32_t)zeroed;
    c->slots = (int32_t)at;
    at += ((uint64_t)summary->maximum_operands + summary->maximum_catches + 1) << c->slot_shift;
    if (at > INT32_MAX / 2) {
        c->too_large = true;
        return false;
    }
    bool below = c->leaf && at <= LEAF_FRAME_MAXIMUM;
    c->frame_bytes = below ? 0 : (uint32_t)at;
    c->incoming_results = (int32_t)c->frame_bytes + 8;
    c->incoming = c->incoming_results + 8 * (int32_t)result_words(c->type);
    c->outgoing = 0;
    if (below) {
        int32_t shift = (int32_t)at;
        c->outgoing -= shift;
        c->saved_home -= shift;
        c->zeroed_home -= shift;
        c->slots -= shift;
        for (uint32_t i = 0; i < c->local_count; i++)
            c->locals[i].home -= shift;
    }
    place_incoming(c);
    return true;
}

/* ---- Prologue ---- */
static void check_stack(struct compiler *c)
{
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, RAX, operand_header(HEADER_OFFSET(thread)));
    emit_instruction(&c->as, X64_LEA | X64_WIDE, SCRATCH, operand_memory(RSP, -(int32_t)c->frame_bytes));
    emit_alu(&c->as, ALU_CMP, true, SCRATCH, operand_memory(RAX, offsetof(struct thread_area, stack_limit)));
    trap_if(c, CONDITION_B, TRAP_STACK_OVERFLOW);
}

static void transfer_saved(struct compiler *c, uint32_t opcode)
{
    int32_t at = c->saved_home;
    for (uint32_t mask = c->saved; mask; mask &= mask - 1, at += 8)
        emit_instruction(&c->as, opcode | X64_WIDE, (unsigned)__builtin_ctz(mask), operand_memory(RSP, at));
}

#define ZERO_INLINE_BYTES 256

static void zero_homes(struct compiler *c)
{
    uint32_t bytes = c->zeroed_bytes;
    int32_t at = c->zeroed_home;
    if (bytes == 0)
        return;
    if (bytes == 8) {
        emit_instruction(&c->as, X64(0, MAP_ONE, 0xc7) | X64_WIDE, 0, operand_memory(RSP, at));
        emit_word32(&c->as, 0);
        return;
    }
    emit_float(&c->as, X64_XORPS, SCRATCH_XMM, SCRATCH_XMM, operand_register(SCRATCH_XMM));
    if (bytes > ZERO_INLINE_BYTES) { /* rax and r11 hold nothing yet */
        emit_instruction(&c->as, X64_LEA | X64_WIDE, RAX, operand_memory(RSP, at));
        emit_instruction(&c->as, X64_LEA | X64_WIDE, SCRATCH, operand_memory(RSP, at + (int32_t)(bytes & ~15u)));
        uint32_t loop = assembler_position(&c->as);
        emit_float_single(&c->as, X64_MOVUPS_STORE, SCRATCH_XMM, operand_memory(RAX, 0));
        emit_alu_immediate(&c->as, ALU_ADD, true, operand_register(RAX), 16);
        emit_alu(&c->as, ALU_CMP, true, RAX, operand_register(SCRATCH));
        emit_jump_back_if(&c->as, CONDITION_B, loop);
        at += (int32_t)(bytes & ~15u);
        bytes &= 15;
    }
    for (; bytes >= 16; bytes -= 16, at += 16)
        emit_float_single(&c->as, X64_MOVUPS_STORE, SCRATCH_XMM, operand_memory(RSP, at));
    if (bytes)
        emit_float_single(&c->as, X64_FLOAT(true, X64_FLOAT_STORE), SCRATCH_XMM, operand_memory(RSP, at));
}

/* Parameters from where they arrive to where they live. */
static void place_parameters(struct compiler *c)
{
    struct arguments arguments = {0};
    struct move moves[MOVES_MAXIMUM];
    unsigned count = 0;
    uint32_t word;
    for (uint32_t i = 0; i < c->type->parameter_count; i++) {
        const struct local *local = &c->locals[i];
        unsigned reg = next_argument(&arguments, function_type_parameters(c->type)[i], &word);
        if (reg == NO_REGISTER)
            continue;
        if (local->pinned != NO_REGISTER)
            moves[count++] = (struct move){.to = local->pinned, .from = (uint8_t)reg};
        else if (c->summary->local_weights[i])
            emit_store_slot(c, local->type, reg, operand_memory(RSP, local->home));
    }
    run_moves(c, moves, count);
    arguments = (struct arguments){0};
    for (uint32_t i = 0; i < c->type->parameter_count; i++) {
        const struct local *local = &c->locals[i];
        unsigned reg = next_argument(&arguments, function_type_parameters(c->type)[i], &word);
        if (reg == NO_REGISTER && local->pinned != NO_REGISTER)
            emit_load_slot(c, local->type, local->pinned, operand_memory(RSP, c->incoming + 8 * (int32_t)word));
        else if (reg != NO_REGISTER && local->pinned == NO_REGISTER && c->summary->local_weights[i] &&
                 c->temporaries & REGISTER_BIT(reg))
            remember_cache(c, reg, i);
    }
}

void prologue(struct compiler *c)
{
    if (c->frame_bytes > ABI_FRAME_UNCHECKED)
        check_stack(c);
    if (c->frame_bytes)
        emit_alu_immediate(&c->as, ALU_SUB, true, operand_register(RSP), (int32_t)c->frame_bytes);
    c->prologue_end = assembler_position(&c->as);
    transfer_saved(c, X64_MOV_STORE);
    zero_homes(c);
    place_parameters(c);
    for (uint32_t mask = c->pinned; mask; mask &= mask - 1) {
        unsigned reg = (unsigned)__builtin_ctz(mask);
        if (c->pinned_local[reg] < c->type->parameter_count)
            continue;
        if (reg >= 16)
            emit_float(&c->as, X64_XORPS, reg, reg, operand_register(reg));
        else
            emit_constant(&c->as, reg, 0, false);
    }
}

bool epilogue_is_trivial(const struct compiler *c)
{
    return c->frame_bytes == 0 && c->saved == 0;
}

void restore_saved(struct compiler *c)
{
    transfer_saved(c, X64_MOV_LOAD);
}

void epilogue(struct compiler *c)
{
    restore_saved(c);
    if (c->frame_bytes)
        emit_alu_immediate(&c->as, ALU_ADD, true, operand_register(RSP), (int32_t)c->frame_bytes);
    emit_byte(&c->as, 0xc3);
}
