/* Blocks, branches and their labels.
 *
 * At a label the results are in agreed places: a single one in rax or xmm0; several in the slots of the label's stack
 * height upwards; a loop's parameters always in those slots. The function's own label has them where the ABI wants the
 * results. */
#include "engine/baseline/compiler.h"

bool push_control(struct compiler *c, struct control control)
{
    if (c->control_count == c->control_capacity &&
        !compiler_grow(c, (void **)&c->controls, &c->control_capacity, c->control_count + 1, sizeof *c->controls))
        return false;
    if (control.kind < CONTROL_TRY)
        control.inner_try = c->current_try;
    c->controls[c->control_count++] = control;
    return true;
}

value_type label_type(const struct control *control, uint32_t i)
{
    return control->kind == CONTROL_LOOP ? control->types[i] : result_type(control, i);
}

static value_type parameter_type(const struct control *control, uint32_t i)
{
    return control->types[i];
}

value_type result_type(const struct control *control, uint32_t i)
{
    return control->types ? control->types[control->parameter_count + i] : control->result;
}

uint32_t label_arity(const struct control *control)
{
    return control->kind == CONTROL_LOOP ? control->parameter_count : control->result_count;
}

struct control *label(struct compiler *c, uint32_t depth)
{
    return &c->controls[c->control_count - 1 - depth];
}

/* One value that goes to a register, as at most labels. */
bool is_single(const struct control *control)
{
    return control->kind != CONTROL_LOOP && control->result_count == 1;
}

/* No local's place is known beyond its home or register any more: control comes from elsewhere, too. */
void forget_at_label(struct compiler *c)
{
    forget_caches(c, UINT32_MAX);
    c->home_valid = 0;
    c->flags_position = 0;
}

/* ---- Values at labels ---- */
void constants_to_slots(struct compiler *c, uint32_t from)
{
    flush_stack(c, c->count);
    for (uint32_t i = from; i < c->count; i++) {
        struct value *value = &c->stack[i];
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        if (value->place != PLACE_CONSTANT)
            continue;
        store_value(c, slot_operand(c, i), value);
        value->place = PLACE_SLOT;
        value->index = i;
    }
}

static unsigned single_register(value_type type)
{
    return value_type_is_float(type) ? XMM(0) : RAX;
}

/* The top value to its register; with `keep` the stack goes on in use. */
static void move_single(struct compiler *c, value_type type, bool keep)
{
    unsigned reg = single_register(type);
    const struct value *top = &c->stack[c->count - 1];
    if (top->place == PLACE_REGISTER && top->reg == reg)
        return;
    if (keep)
        claim_register(c, reg);
    value_load(c, reg, &c->stack[c->count - 1]);
}

static void copy_slot(struct compiler *c, uint32_t to, uint32_t from)
{
    if (to != from)
        copy_value(c, c->slot_shift == 4 ? TYPE_V128 : TYPE_I64, slot_operand(c, to), slot_operand(c, from));
}

/* Several values, all in their slots already (constants_to_slots). */
static void move_slots(struct compiler *c, const struct control *control)
{
    uint32_t arity = label_arity(control), first = c->count - arity, word;
    struct arguments results = {0};
    if (is_single(control)) { /* a target of br_table beside others that are not */
        value_type type = result_type(control, 0);
        emit_load_slot(c, type_of(type), single_register(type), slot_operand(c, first));
        return;
    }
    for (uint32_t i = 0; i < arity; i++) {
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        if (control->kind != CONTROL_FUNCTION) {
            copy_slot(c, control->height + i, first + i);
            continue;
        }
        value_type type = result_type(control, i);
        unsigned reg = next_result(&results, type, &word);
        if (reg != NO_REGISTER) {
            emit_load_slot(c, type_of(type), reg, slot_operand(c, first + i));
            continue;
        }
        copy_value(c, type_of(type), operand_memory(RSP, c->incoming_results + 8 * (int32_t)word),
                   slot_operand(c, first + i));
    }
}

/* All of a label's values to their places; the stack is not used any more. */
void move_results(struct compiler *c, const struct control *control)
{
    uint32_t arity = label_arity(control);
    if (arity == 0)
        return;
    if (is_single(control)) {
        move_single(c, result_type(control, 0), false);
        return;
    }
    constants_to_slots(c, c->count - arity);
    move_slots(c, control);
}

/* Behind a label: what was moved there is on the stack. */
static void push_label_values(struct compiler *c, const struct control *control)
{
    if (is_single(control)) {
        value_type type = result_type(control, 0);
        push_register(c, type_of(type), single_register(type));
        return;
    }
    for (uint32_t i = 0; i < control->result_count; i++)
        push_slot(c, type_of(result_type(control, i)));
}

void drop_to(struct compiler *c, uint32_t height)
{
    while (c->count > height)
        vpop(c);
}

/* ---- Jumps ---- */
void jump(struct compiler *c, struct control *control)
{
    if (control->kind == CONTROL_LOOP)
        emit_jump_back(&c->as, control->target);
    else if (control->kind == CONTROL_FUNCTION && epilogue_is_trivial(c))
        emit_byte(&c->as, 0xc3);
    else
        emit_jump_forward(&c->as, &control->chain);
}

static void jump_hardware(struct compiler *c, struct control *control, unsigned condition)
{
    if (control->kind == CONTROL_LOOP)
        emit_jump_back_if(&c->as, condition, control->target);
    else
        emit_jump_forward_if(&c->as, condition, &control->chain);
}

static void jump_if(struct compiler *c, struct control *control, unsigned condition)
{
    uint32_t over = 0;
    switch (condition) {
    case CONDITION_FLOAT_E:
        emit_jump_forward_if(&c->as, CONDITION_P, &over);
        jump_hardware(c, control, CONDITION_E);
        bind_chain(&c->as, over, assembler_position(&c->as));
        break;
    case CONDITION_FLOAT_NE:
        jump_hardware(c, control, CONDITION_P);
        jump_hardware(c, control, CONDITION_NE);
        break;
    default:
        jump_hardware(c, control, condition);
        break;
    }
}

/* The locals must be in their registers where anything but the end of the function follows. */
void settle_for(struct compiler *c, const struct control *control)
{
    if (control->kind != CONTROL_FUNCTION)
        settle(c);
}

static void branch(struct compiler *c, uint32_t depth)
{
    struct control *control = label(c, depth);
    if (depth == 0 && *c->pc == OP_END && control->kind != CONTROL_LOOP &&
        c->count == control->height + control->result_count)
        return; /* to where it would go anyway */
    settle_for(c, control);
    move_results(c, control);
    jump(c, control);
    c->dead = true;
}

void compile_br(struct compiler *c, UNUSED, UNUSED_TOO)
{
    branch(c, read_u32_trusted(&c->pc));
}

void branch_if(struct compiler *c, uint32_t depth, unsigned condition)
{
    struct control *control = label(c, depth);
    settle_for(c, control);
    if (label_arity(control) == 0) {
        jump_if(c, control, condition);
    } else if (is_single(control)) {
        move_single(c, result_type(control, 0), true);
        jump_if(c, control, condition);
    } else {
        struct control over = {.kind = CONTROL_BLOCK};
        constants_to_slots(c, c->count - label_arity(control));
        jump_if(c, &over, condition ^ 1);
        c->flags_live = false;
        move_slots(c, control);
        jump(c, control);
        bind_chain(&c->as, over.chain, assembler_position(&c->as));
    }
    c->flags_live = false;
}

void compile_br_if(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t depth = read_u32_trusted(&c->pc);
    branch_if(c, depth, pop_condition(c));
}

unsigned branch_register(const struct compiler *c, uint32_t depth)
{
    const struct control *control = &c->controls[c->control_count - 1 - depth];
    return is_single(control) ? single_register(result_type(control, 0)) : NO_REGISTER;
}

/* ---- br_table ---- */
/* A target that wants its values elsewhere than the others gets a piece of code of its own. */
static bool needs_stub(const struct control *control)
{
    return label_arity(control) != 0 && !is_single(control);
}

static void emit_table_entry(struct compiler *c, struct control *control)
{
    if (control->kind == CONTROL_LOOP) {
        emit_word32(&c->as, control->target - c->entry);
        return;
    }
    uint32_t field = assembler_position(&c->as);
    emit_word32(&c->as, control->table_chain);
    control->table_chain = field;
}

static void bind_table_chain(struct compiler *c, uint32_t chain, uint32_t target)
{
    while (chain) {
        uint32_t previous = text_word32(&c->as, chain);
        text_set_word32(&c->as, chain, target - c->entry);
        chain = previous;
    }
}

/* Jump through a table of distances from the function's entry. The index is clamped without a branch, so no
 * speculation reads beyond the table; unless it cannot be more than the last one. */
static uint32_t emit_table_jump(struct compiler *c, unsigned index, uint32_t last, bool clamp)
{
    if (clamp) {
        emit_constant(&c->as, SCRATCH, last, false);
        emit_alu(&c->as, ALU_CMP, false, index, operand_register(SCRATCH));
        emit_registers(&c->as, X64_CMOVCC + CONDITION_A, index, SCRATCH);
    }
    emit_instruction(&c->as, X64_LEA | X64_WIDE, SCRATCH, operand_text(c->entry));
    emit_instruction(&c->as, X64_MOV_LOAD, index, operand_indexed(SCRATCH, index, 2, INT32_MAX));
    uint32_t field = assembler_position(&c->as) - 4;
    emit_alu(&c->as, ALU_ADD, true, index, operand_register(SCRATCH));
    emit_registers(&c->as, X64_GROUP_FF, 4, index);
    while (assembler_position(&c->as) & 3)
        emit_byte(&c->as, 0xcc);
    text_set_word32(&c->as, field, assembler_position(&c->as) - c->entry);
    return assembler_position(&c->as);
}

static void emit_stubs(struct compiler *c, const uint8_t *targets, uint32_t count, uint32_t table)
{
    for (uint32_t i = 0; i <= count; i++) {
        struct control *control = label(c, read_u32_trusted(&targets));
        if (!compiler_room(c, ROOM))
            return;
        if (control->stub_table == table) { /* the same target again */
            text_set_word32(&c->as, table + 4 * i, control->stub - c->entry);
            continue;
        }
        control->stub_table = table;
        control->stub = assembler_position(&c->as);
        text_set_word32(&c->as, table + 4 * i, control->stub - c->entry);
        move_slots(c, control);
        jump(c, control);
    }
}

/* ---- br_table with few different targets: tests of bits are predicted better than a jump through a table ---- */
#define BIT_TARGETS 3
struct bit_targets {
    unsigned count;
    uint32_t depths[BIT_TARGETS];
    uint64_t indices[BIT_TARGETS]; /* bit i: index i goes there */
};

/* False when the table has more than 64 entries or too many targets other than the default. */
static bool find_bit_targets(const uint8_t *cursor, uint32_t count, struct bit_targets *targets)
{
    uint8_t depths[64];
    targets->count = 0;
    if (count > 64)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t depth = read_u32_trusted(&cursor);
        if (depth > UINT8_MAX)
            return false;
        depths[i] = (uint8_t)depth;
    }
    uint32_t otherwise = read_u32_trusted(&cursor);
    for (uint32_t i = 0; i < count; i++) {
        unsigned k = 0;
        if (depths[i] == otherwise)
            continue;
        while (k < targets->count && targets->depths[k] != depths[i])
            k++;
        if (k == BIT_TARGETS)
            return false;
        if (k == targets->count) {
            targets->depths[targets->count] = depths[i];
            targets->indices[targets->count++] = 0;
        }
        targets->indices[k] |= UINT64_C(1) << i;
    }
    return true;
}

static void compile_bit_table(struct compiler *c, const struct bit_targets *targets, uint32_t count,
                              struct control *otherwise, unsigned index)
{
    uint64_t left = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    bool any_test = false;
    for (unsigned k = 0; k < targets->count; k++)
        any_test |= (targets->indices[k] & (targets->indices[k] - 1)) != 0;
    if (any_test) {
        emit_alu_immediate(&c->as, ALU_CMP, false, operand_register(index), (int32_t)count);
        jump_hardware(c, otherwise, CONDITION_AE);
    }
    for (unsigned k = 0; k < targets->count; k++) {
        uint64_t indices = targets->indices[k];
        struct control *control = label(c, targets->depths[k]);
        if ((indices & (indices - 1)) == 0) {
            emit_alu_immediate(&c->as, ALU_CMP, false, operand_register(index), __builtin_ctzll(indices));
            jump_hardware(c, control, CONDITION_E);
        } else if (indices == left) {
            jump(c, control);
            return;
        } else {
            emit_constant(&c->as, SCRATCH, indices, false);
            emit_registers(&c->as, X64_BT | X64_WIDE, index, SCRATCH);
            jump_hardware(c, control, CONDITION_B);
        }
        left &= ~indices;
    }
    jump(c, otherwise);
}

/* The index is known to be below a power of two that is small enough to have entries up to there: an interpreter's
 * dispatch on a byte, or on some bits. */
#define TABLE_PADDED 256
static bool table_is_complete(const struct value *index, uint32_t count)
{
    return index->bits && (index->bits <= 8 ? 1u << index->bits <= max_u64(4 * (uint64_t)count, 64)
                                            : index->bits < 32 && 1u << index->bits <= count);
}

void compile_br_table(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t count = read_u32_trusted(&c->pc);
    const uint8_t *targets = c->pc;
    bool stubs = false;
    struct control *default_label = NULL; /* the last one; what all have in common is seen there, too */
    for (uint32_t i = 0; i <= count; i++) {
        default_label = label(c, read_u32_trusted(&c->pc));
        stubs |= needs_stub(default_label);
    }
    struct value value = vpop(c);
    unsigned index = value_own(c, &value);
    forget_cache(c, index);
    settle(c);
    c->dead = true;
    if (stubs) {
        constants_to_slots(c, c->count - label_arity(default_label));
    } else if (label_arity(default_label)) {
        unsigned reg = single_register(result_type(default_label, 0));
        if (reg == index) {
            unsigned other = take_register(c, false);
            move_register(c, TYPE_I32, other, index);
            index = other;
        }
        move_single(c, result_type(default_label, 0), false);
    }
    struct bit_targets bits;
    if (!stubs && find_bit_targets(targets, count, &bits)) {
        compile_bit_table(c, &bits, count, default_label, index);
        return;
    }
    if (!compiler_room(c, ROOM + 4 * ((size_t)count + 1 + TABLE_PADDED)))
        return;
    bool fits = !stubs && table_is_complete(&value, count);
    uint32_t table = emit_table_jump(c, index, count, !fits);
    if (stubs) {
        c->as.cursor += 4 * ((size_t)count + 1);
        emit_stubs(c, targets, count, table);
        return;
    }
    for (uint32_t i = 0; i <= count; i++)
        emit_table_entry(c, label(c, read_u32_trusted(&targets)));
    for (uint32_t i = count + 1; fits && i < 1u << value.bits; i++)
        emit_table_entry(c, default_label);
}

/* ---- Blocks ---- */
struct control read_block(struct compiler *c, enum control_kind kind)
{
    struct control control = {.kind = (uint8_t)kind};
    int64_t type = read_s33_trusted(&c->pc);
    if (type >= 0) {
        const struct function_type *function = &c->module->types[type];
        control.types = function->types;
        control.parameter_count = function->parameter_count;
        control.result_count = function->result_count;
    } else if (type != -0x40) {
        control.result_count = 1;
        control.result = (value_type)(type + 0x80);
        if (control.result == VALUE_REF || control.result == VALUE_REF_NULL)
            read_s33_trusted(&c->pc); /* whatever it refers to, it is a 32-bit number */
    }
    return control;
}

void compile_block(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control control = read_block(c, CONTROL_BLOCK);
    control.height = c->count - control.parameter_count;
    flush_stack(c, control.height);
    push_control(c, control);
}

/* A short loop that starts on such a boundary is fetched in fewer pieces (fannkuch: 10 % less time). */
#define LOOP_ALIGNMENT 16

void compile_loop(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control control = read_block(c, CONTROL_LOOP);
    control.height = c->count - control.parameter_count;
    constants_to_slots(c, control.height);
    for (uint32_t i = control.height; i < c->count; i++)
        c->stack[i].bits = 0; /* a parameter's later values may be anything */
    settle(c);
    forget_at_label(c);
    emit_alignment(&c->as, LOOP_ALIGNMENT);
    control.target = assembler_position(&c->as);
    push_control(c, control);
}

void compile_if(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control control = read_block(c, CONTROL_IF), to_else = {.kind = CONTROL_BLOCK};
    unsigned condition = pop_condition(c);
    control.height = c->count - control.parameter_count;
    constants_to_slots(c, control.height);
    settle(c);
    jump_if(c, &to_else, condition ^ 1);
    c->flags_live = false;
    control.else_chain = to_else.chain;
    push_control(c, control);
}

void compile_else(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control *control = label(c, 0);
    if (!c->dead) {
        settle(c);
        move_results(c, control);
        emit_jump_forward(&c->as, &control->chain);
    }
    c->dead = false;
    drop_to(c, control->height);
    forget_at_label(c);
    c->stale = 0;
    bind_chain(&c->as, control->else_chain, assembler_position(&c->as));
    control->else_chain = 0;
    control->kind = CONTROL_ELSE;
    for (uint32_t i = 0; i < control->parameter_count; i++)
        push_slot(c, type_of(parameter_type(control, i)));
}

/* The end of the function: nothing is left on the control stack. */
static void end_function(struct compiler *c, struct control *control)
{
    bool reached = !c->dead || control->chain || control->table_chain;
    if (!c->dead)
        move_results(c, control);
    bind_chain(&c->as, control->chain, assembler_position(&c->as));
    bind_table_chain(c, control->table_chain, assembler_position(&c->as));
    if (reached)
        epilogue(c);
    c->control_count = 0;
}

/* Code from here on is in the try around. */
static void end_try(struct compiler *c, struct control *control)
{
    c->current_try = (control - 1)->inner_try;
    if (control->kind == CONTROL_TRY_TABLE)
        end_try_table(c, control);
}

void compile_end(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct control *control = label(c, 0);
    if (control->kind == CONTROL_IF && control->parameter_count)
        compile_else(c, 0, 0);
    if (control->kind == CONTROL_FUNCTION) {
        end_function(c, control);
        return;
    }
    if (control->kind >= CONTROL_TRY)
        end_try(c, control);
    bool joined = control->chain || control->table_chain || control->else_chain;
    if (control->kind == CONTROL_LOOP || !(joined || (control->kind == CONTROL_CATCH && !c->dead))) {
        if (c->dead)
            drop_to(c, control->height);
        c->control_count--;
        return;
    }
    if (!c->dead) {
        settle(c);
        if (control->kind != CONTROL_IF) /* without else there are no results */
            move_results(c, control);
    }
    struct control ended = *control;
    c->control_count--;
    bind_chain(&c->as, ended.chain, assembler_position(&c->as));
    bind_chain(&c->as, ended.else_chain, assembler_position(&c->as));
    bind_table_chain(c, ended.table_chain, assembler_position(&c->as));
    c->dead = false;
    c->stale = 0;
    drop_to(c, ended.height);
    forget_at_label(c);
    push_label_values(c, &ended);
}

void compile_return(struct compiler *c, UNUSED, UNUSED_TOO)
{
    branch(c, c->control_count - 1);
}

void compile_unreachable(struct compiler *c, UNUSED, UNUSED_TOO)
{
    emit_trap(&c->as, TRAP_UNREACHABLE);
    c->dead = true;
}

/* ---- Code that is never reached ---- */
static void skip_immediate(const uint8_t **cursor, unsigned immediate)
{
    uint32_t count = 0;
    switch (immediate) {
    case IMMEDIATE_NONE:
        break;
    case IMMEDIATE_BLOCK:
        skip_value_type(cursor);
        break;
    case IMMEDIATE_F32:
        *cursor += 4;
        break;
    case IMMEDIATE_F64:
        *cursor += 8;
        break;
    case IMMEDIATE_V128:
    case IMMEDIATE_SHUFFLE:
        *cursor += 16;
        break;
    case IMMEDIATE_LANE:
        *cursor += 1;
        break;
    case IMMEDIATE_LABEL_TABLE:
        count = read_u32_trusted(cursor);
        for (uint32_t i = 0; i <= count; i++)
            read_u32_trusted(cursor);
        break;
    case IMMEDIATE_SELECT_TYPES:
        count = read_u32_trusted(cursor);
        for (uint32_t i = 0; i < count; i++)
            skip_value_type(cursor);
        break;
    case IMMEDIATE_MEMORY_ACCESS:
        if (read_u32_trusted(cursor) & 64)
            read_u32_trusted(cursor);
        read_u64_trusted(cursor);
        break;
    case IMMEDIATE_MEMORY_ACCESS_LANE:
        if (read_u32_trusted(cursor) & 64)
            read_u32_trusted(cursor);
        read_u64_trusted(cursor);
        *cursor += 1;
        break;
    case IMMEDIATE_INDIRECT:
    case IMMEDIATE_DATA_MEMORY:
    case IMMEDIATE_MEMORY_MEMORY:
    case IMMEDIATE_ELEMENT_TABLE:
    case IMMEDIATE_TABLE_TABLE:
    case IMMEDIATE_TYPE_FIELD:
    case IMMEDIATE_TYPE_LENGTH:
    case IMMEDIATE_TYPE_DATA:
    case IMMEDIATE_TYPE_ELEMENT:
    case IMMEDIATE_TYPE_TYPE:
        read_u64_trusted(cursor);
        read_u64_trusted(cursor);
        break;
    case IMMEDIATE_CAST_LABEL:
        *cursor += 1;
        read_u64_trusted(cursor);
        read_s64_trusted(cursor);
        read_s64_trusted(cursor);
        break;
    case IMMEDIATE_TRY_TABLE:
        skip_value_type(cursor);
        skip_clauses(cursor);
        break;
    default:
        read_s64_trusted(cursor);
        break;
    }
}

/* Where code goes on that is reached again, if the block is the one around. */
static bool ends_dead_code(unsigned opcode)
{
    return opcode == OP_END || opcode == OP_ELSE || opcode == OP_CATCH || opcode == OP_CATCH_ALL ||
           opcode == OP_DELEGATE;
}

void skip_dead_code(struct compiler *c)
{
    for (uint32_t depth = 0;;) {
        const uint8_t *at = c->pc;
        unsigned opcode = *c->pc++;
        if (opcode_is_prefix((uint8_t)opcode))
            opcode = opcode_number((uint8_t)opcode, read_u32_trusted(&c->pc));
        if (opcode == OP_BLOCK || opcode == OP_LOOP || opcode == OP_IF || opcode == OP_TRY || opcode == OP_TRY_TABLE) {
            depth++;
        } else if (ends_dead_code(opcode)) {
            if (depth == 0) {
                c->pc = at;
                return;
            }
            depth -= opcode == OP_END || opcode == OP_DELEGATE;
        }
        skip_immediate(&c->pc, opcode_table[opcode].immediate);
    }
}
