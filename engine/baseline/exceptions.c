/* Exceptions, in both encodings (docs/abi.md, Exceptions). A try emits nothing: each call inside it is noted with its
 * return address, and the kernel finds the landing pad by that.
 *
 * At a landing pad rsp and the callee-saved registers are what they were at the call. So locals are in their homes or
 * callee-saved registers (those in other registers were saved before the call), and what the operand stack had when the
 * try began is constant or in slots. eax is the reference to the exception, where the clause wants one, and rdx the
 * address of its values. */
#include "engine/baseline/compiler.h"

enum { CATCH = 0, CATCH_REF = 1, CATCH_ALL = 2, CATCH_ALL_REF = 3 };

/* ---- The tables ---- */
bool baseline_exceptions(const struct compiler *c, struct arena *arena, struct code_exceptions *exceptions)
{
    const struct code_exceptions *from = &c->exceptions;
    struct code_exceptions to = *from;
    to.call_sites = arena_allocate_array(arena, (size_t)from->call_site_count + 1, sizeof *to.call_sites);
    to.tries = arena_allocate_array(arena, (size_t)from->try_count + 1, sizeof *to.tries);
    to.clauses = arena_allocate_array(arena, (size_t)from->clause_count + 1, sizeof *to.clauses);
    if (!to.call_sites || !to.tries || !to.clauses)
        return false;
    if (from->call_site_count)
        memcpy(to.call_sites, from->call_sites, from->call_site_count * sizeof *to.call_sites);
    if (from->try_count)
        memcpy(to.tries, from->tries, from->try_count * sizeof *to.tries);
    if (from->clause_count)
        memcpy(to.clauses, from->clauses, from->clause_count * sizeof *to.clauses);
    *exceptions = to;
    return true;
}

void call_site_add(struct compiler *c, uint32_t try_index)
{
    struct code_exceptions *table = &c->exceptions;
    if (table->call_site_count == c->call_site_capacity &&
        !compiler_grow(c, (void **)&table->call_sites, &c->call_site_capacity, table->call_site_count + 1,
                       sizeof *table->call_sites))
        return;
    table->call_sites[table->call_site_count++] =
        (struct code_call_site){.offset = assembler_position(&c->as), .try_index = try_index};
}

/* A new try inside the current one, which it becomes. */
static uint32_t try_add(struct compiler *c)
{
    struct code_exceptions *table = &c->exceptions;
    if (table->try_count == c->try_capacity &&
        !compiler_grow(c, (void **)&table->tries, &c->try_capacity, table->try_count + 1, sizeof *table->tries))
        return CODE_NO_TRY;
    table->tries[table->try_count] = (struct code_try){.parent = c->current_try, .first_clause = CODE_NO_CLAUSE};
    return c->current_try = table->try_count++;
}

/* A clause whose landing pad is here, behind the others of its try; `last` is the one before it, or CODE_NO_CLAUSE. */
static uint32_t clause_add(struct compiler *c, uint32_t try_index, uint32_t last, uint32_t tag, bool reference)
{
    struct code_exceptions *table = &c->exceptions;
    if (table->clause_count == c->clause_capacity && !compiler_grow(c, (void **)&table->clauses, &c->clause_capacity,
                                                                    table->clause_count + 1, sizeof *table->clauses))
        return CODE_NO_CLAUSE;
    uint32_t index = table->clause_count++;
    table->clauses[index] = (struct code_clause){
        .tag = tag, .pad = assembler_position(&c->as), .next = CODE_NO_CLAUSE, .reference = reference};
    if (last == CODE_NO_CLAUSE)
        table->tries[try_index].first_clause = index;
    else
        table->clauses[last].next = index;
    return index;
}

/* ---- Throwing ---- */
static void emit_throw(struct compiler *c, enum builtin builtin)
{
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_header(HEADER_OFFSET(builtins) + 8 * (int32_t)builtin));
    call_site(c, c->current_try);
    c->dead = true;
}

static struct operand payload_operand(unsigned base, uint32_t index)
{
    return operand_memory(base, (int32_t)index * ABI_PAYLOAD_VALUE_BYTES);
}

void compile_throw(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t tag = read_u32_trusted(&c->pc);
    const struct function_type *type = &c->module->types[c->module->tags[tag]];
    uint32_t first = c->count - type->parameter_count;
    constants_to_slots(c, first);
    save_pinned(c);
    if (type->parameter_count) {
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, RAX, operand_header(HEADER_OFFSET(thread)));
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, RAX,
                         operand_memory(RAX, offsetof(struct thread_area, payload)));
    }
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        copy_value(c, type_of(function_type_parameters(type)[i]), payload_operand(RAX, i), slot_operand(c, first + i));
    }
    drop_to(c, first);
    if (!compiler_room(c, ROOM))
        return;
    emit_constant(&c->as, RSI, tag, false);
    emit_throw(c, BUILTIN_THROW);
}

void compile_throw_ref(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value value = vpop(c);
    save_pinned(c);
    value_load(c, RSI, &value);
    emit_throw(c, BUILTIN_THROW_REF);
}

void compile_rethrow(struct compiler *c, UNUSED, UNUSED_TOO)
{
    const struct control *control = label(c, read_u32_trusted(&c->pc));
    save_pinned(c);
    emit_instruction(&c->as, X64_MOV_LOAD, RSI, slot_operand(c, control->height));
    emit_throw(c, BUILTIN_THROW_REF);
}

/* ---- Landing pads ---- */
static void begin_pad(struct compiler *c)
{
    forget_at_label(c);
    forget_pinned(c);
}

/* ---- try_table ---- */
void skip_clauses(const uint8_t **cursor)
{
    uint32_t count = read_u32_trusted(cursor);
    for (uint32_t i = 0; i < count; i++) {
        if (*(*cursor)++ <= CATCH_REF)
            read_u32_trusted(cursor);
        read_u32_trusted(cursor);
    }
}

void compile_try_table(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control control = read_block(c, CONTROL_TRY_TABLE);
    control.height = c->count - control.parameter_count;
    flush_stack(c, control.height);
    control.clauses = c->pc;
    skip_clauses(&c->pc);
    control.own_try = control.inner_try = try_add(c);
    push_control(c, control);
}

/* Value `i` of a label, of which `count` come from the exception and the last may be its reference, in ecx. */
static void load_pad_value(struct compiler *c, unsigned type, unsigned reg, uint32_t i, uint32_t count)
{
    if (i < count)
        emit_load_slot(c, type, reg, payload_operand(RDX, i));
    else
        emit_move(&c->as, false, reg, RCX);
}

static void store_pad_value(struct compiler *c, unsigned type, struct operand to, uint32_t i, uint32_t count)
{
    if (i < count)
        copy_value(c, type, to, payload_operand(RDX, i));
    else
        emit_instruction(&c->as, X64_MOV_STORE, RCX, to);
}

/* The values of the function's own label go to where the ABI wants the results; rdx last, it has been the address. */
static void load_function_results(struct compiler *c, const struct control *control, uint32_t count)
{
    struct arguments results = {0};
    uint32_t arity = label_arity(control), second = arity, word;
    for (uint32_t i = 0; i < arity; i++) {
        value_type type = label_type(control, i);
        unsigned reg = next_result(&results, type, &word);
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        if (reg == RDX) {
            second = i;
            continue;
        }
        if (reg == NO_REGISTER)
            store_pad_value(c, type_of(type), operand_memory(RSP, c->incoming_results + 8 * (int32_t)word), i, count);
        else
            load_pad_value(c, type_of(type), reg, i, count);
    }
    if (second < arity)
        load_pad_value(c, type_of(label_type(control, second)), RDX, second, count);
}

/* From the exception to the places of a label, and there. */
static void emit_clause(struct compiler *c, struct control *target, uint32_t count, bool reference)
{
    uint32_t arity = count + reference;
    begin_pad(c);
    if (reference)
        emit_move(&c->as, false, RCX, RAX);
    if (target->kind == CONTROL_FUNCTION) {
        load_function_results(c, target, count);
    } else if (arity == 1 && is_single(target)) {
        unsigned type = type_of(label_type(target, 0));
        load_pad_value(c, type, type_is_float(type) ? XMM(0) : RAX, 0, count);
    } else {
        for (uint32_t i = 0; i < arity; i++) {
            if ((i & 15) == 0 && !compiler_room(c, ROOM))
                return;
            store_pad_value(c, type_of(label_type(target, i)), slot_operand(c, target->height + i), i, count);
        }
    }
    settle_for(c, target);
    jump(c, target);
}

void end_try_table(struct compiler *c, struct control *control)
{
    const uint8_t *cursor = control->clauses;
    uint32_t count = read_u32_trusted(&cursor), last = CODE_NO_CLAUSE;
    if (count == 0)
        return;
    if (!c->dead) {
        settle(c);
        move_results(c, control);
        emit_jump_forward(&c->as, &control->chain);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t kind = *cursor++;
        uint32_t tag = kind <= CATCH_REF ? read_u32_trusted(&cursor) : CODE_TAG_ALL;
        struct control *target = label(c, read_u32_trusted(&cursor) + 1); /* counted from outside */
        bool reference = kind == CATCH_REF || kind == CATCH_ALL_REF;
        if (!compiler_room(c, ROOM))
            return;
        last = clause_add(c, control->own_try, last, tag, reference);
        if (last == CODE_NO_CLAUSE)
            return;
        emit_clause(c, target, tag == CODE_TAG_ALL ? 0 : c->module->types[c->module->tags[tag]].parameter_count,
                    reference);
    }
    c->dead = true;
}

/* ---- The older encoding ---- */
void compile_try(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control control = read_block(c, CONTROL_TRY);
    control.height = c->count - control.parameter_count;
    flush_stack(c, control.height);
    control.own_try = control.inner_try = try_add(c);
    control.last_clause = CODE_NO_CLAUSE;
    push_control(c, control);
}

/* The handler's code follows: its landing pad is the code itself. */
void compile_catch(struct compiler *c, unsigned all, UNUSED)
{
    struct control *control = label(c, 0);
    uint32_t tag = all ? CODE_TAG_ALL : read_u32_trusted(&c->pc);
    if (!c->dead) {
        settle(c);
        move_results(c, control);
        emit_jump_forward(&c->as, &control->chain);
    }
    c->dead = false;
    drop_to(c, control->height);
    begin_pad(c);
    control->kind = CONTROL_CATCH;
    c->current_try = control->inner_try = (control - 1)->inner_try;
    control->last_clause = clause_add(c, control->own_try, control->last_clause, tag, true);
    if (control->last_clause == CODE_NO_CLAUSE)
        return;
    push_slot(c, TYPE_I32);
    emit_store_slot(c, TYPE_I32, RAX, slot_operand(c, c->count - 1));
    if (all)
        return;
    const struct function_type *type = &c->module->types[c->module->tags[tag]];
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        unsigned kind = type_of(function_type_parameters(type)[i]);
        push_slot(c, kind);
        copy_value(c, kind, slot_operand(c, c->count - 1), payload_operand(RDX, i));
    }
}

/* The end of a try that hands its exceptions to the try that a label outside is in. */
void compile_delegate(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t depth = read_u32_trusted(&c->pc);
    c->exceptions.tries[label(c, 0)->own_try].parent = label(c, depth + 1)->inner_try;
    compile_end(c, 0, 0);
}
