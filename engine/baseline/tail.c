/* Tail calls (docs/abi.md, "Tail calls"): the frame goes first, then a jump.
 *
 * The stack arguments are put together in the outgoing area, at the bottom of the frame. When everything else of the
 * frame is done with and the callee-saved registers have their caller's values, they are copied to where the callee
 * looks for them: over this function's own, or, when these are fewer or the callee is of another instance or the
 * host's, into a tail frame. rax and r10 may hold what tells the callee meanwhile; the copies go through r11. */
#include "engine/baseline/compiler.h"
#include "engine/x64/tail.h"

static const uint32_t area_words[TAIL_AREA_COUNT] = {ABI_TAIL_SMALL_WORDS, ABI_TAIL_LARGE_WORDS};

/* Where the jump goes. */
struct destination {
    enum { TO_FUNCTION, TO_RECORD, TO_R10 } kind;
    uint32_t function;
};

static void emit_tail_jump(struct compiler *c, struct destination destination)
{
    emit_byte(&c->as, TAIL_JUMP_PREFIX);
    switch (destination.kind) {
    case TO_FUNCTION:
        emit_direct_branch(c, X64_JUMP_DIRECT, destination.function);
        break;
    case TO_RECORD:
        emit_instruction(&c->as, X64_GROUP_FF, 4, operand_memory(RAX, offsetof(struct function_reference, code)));
        break;
    case TO_R10:
        emit_registers(&c->as, X64_GROUP_FF, 4, R10);
        break;
    }
}

/* Stack arguments to rsp + `to` upwards; both places may overlap. */
static void copy_arguments(struct compiler *c, int32_t to, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        int32_t at = 8 * (int32_t)(to > c->outgoing ? words - 1 - i : i);
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R11, operand_memory(RSP, c->outgoing + at));
        emit_instruction(&c->as, X64_MOV_STORE | X64_WIDE, R11, operand_memory(RSP, to + at));
    }
}

/* The callee takes this function's place. */
static void emit_in_place(struct compiler *c, uint32_t words, struct destination destination)
{
    copy_arguments(c, c->incoming, words);
    if (c->frame_bytes)
        emit_alu_immediate(&c->as, ALU_ADD, true, operand_register(RSP), (int32_t)c->frame_bytes);
    emit_tail_jump(c, destination);
}

static struct operand tail_return(enum tail_area area)
{
    return operand_header(HEADER_OFFSET(tail_return) + 8 * (int32_t)area);
}

/* The callee comes into a tail frame, which will set GS back to the instance in eax. */
static void emit_in_frame(struct compiler *c, const struct function_type *type, enum tail_area area,
                          struct destination destination)
{
    uint32_t results = result_words(type);
    int32_t top = (int32_t)c->frame_bytes, frame = top - (int32_t)sizeof(struct tail_frame);
    int32_t start = frame - 8 * (int32_t)area_words[area];
    bool extend = type->result_count && type_of(function_type_results(type)[0]) == TYPE_I32;
    copy_arguments(c, start + 8 * (int32_t)results, argument_words(type));
    if (!compiler_room(c, ROOM))
        return;
    emit_instruction(&c->as, X64_MOV_STORE, RAX,
                     operand_memory(RSP, frame + (int32_t)offsetof(struct tail_frame, instance)));
    emit_instruction(&c->as, X64(0, MAP_ONE, 0xc7), 0,
                     operand_memory(RSP, frame + (int32_t)offsetof(struct tail_frame, results)));
    emit_word32(&c->as, results | (extend ? TAIL_FRAME_EXTEND : 0));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R11, tail_return(area));
    emit_instruction(&c->as, X64_MOV_STORE | X64_WIDE, R11, operand_memory(RSP, start - 8));
    emit_instruction(&c->as, X64_LEA | X64_WIDE, RSP, operand_memory(RSP, start - 8));
    emit_tail_jump(c, destination);
}

/* In a tail frame that is large enough: in the one that is there already, or in a new one. */
static void emit_framed(struct compiler *c, const struct function_type *type, struct destination destination)
{
    uint32_t words = argument_words(type), present = 0;
    bool small = words + result_words(type) <= ABI_TAIL_SMALL_WORDS;
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R11, operand_memory(RSP, (int32_t)c->frame_bytes));
    emit_alu(&c->as, ALU_CMP, true, R11, tail_return(TAIL_AREA_LARGE));
    emit_jump_forward_if(&c->as, CONDITION_E, &present);
    if (small) {
        emit_alu(&c->as, ALU_CMP, true, R11, tail_return(TAIL_AREA_SMALL));
        emit_jump_forward_if(&c->as, CONDITION_E, &present);
    }
    emit_in_frame(c, type, small ? TAIL_AREA_SMALL : TAIL_AREA_LARGE, destination);
    if (!compiler_room(c, ROOM))
        return;
    bind_chain(&c->as, present, assembler_position(&c->as));
    emit_in_place(c, words, destination);
}

/* A callee of this instance. */
static void emit_tail_here(struct compiler *c, const struct function_type *type, struct destination destination)
{
    uint32_t words = argument_words(type);
    restore_saved(c);
    if (words <= c->incoming_words) {
        emit_in_place(c, words, destination);
        return;
    }
    if (destination.kind == TO_RECORD) {
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10,
                         operand_memory(RAX, offsetof(struct function_reference, code)));
        destination.kind = TO_R10;
    }
    emit_instruction(&c->as, X64_MOV_LOAD, RAX, operand_header(HEADER_OFFSET(instance_index)));
    emit_framed(c, type, destination);
}

/* r10 is the code, r11d the instance (0: none) of a callee that may be of another instance or the host's. The call of
 * the stub writes below rsp: in a frame that lies there, to the slot that no operand ever has. */
void emit_tail_elsewhere(struct compiler *c, const struct function_type *type)
{
    if (!compiler_room(c, ROOM))
        return;
    restore_saved(c);
    emit_instruction(&c->as, X64_MOV_LOAD, RAX, operand_header(HEADER_OFFSET(instance_index)));
    emit_instruction(&c->as, X64_GROUP_FF, 2, operand_header(HEADER_OFFSET(switch_instance)));
    emit_framed(c, type, (struct destination){.kind = TO_R10});
}

static void place_tail_arguments(struct compiler *c, const struct function_type *type, struct move *moves,
                                 unsigned moves_count)
{
    place_arguments(c, type, moves, moves_count, c->outgoing);
    c->dead = true;
}

void compile_return_call(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t function = read_u32_trusted(&c->pc);
    const struct function_type *type = &c->module->types[c->module->functions[function].type];
    struct move moves[MOVES_MAXIMUM];
    place_tail_arguments(c, type, moves, 0);
    if (!compiler_room(c, ROOM))
        return;
    if (function >= c->module->function_import_count) {
        emit_tail_here(c, type, (struct destination){.kind = TO_FUNCTION, .function = function});
        return;
    }
    int32_t slot = c->layout->imports + (int32_t)(function * sizeof(struct import_slot));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10,
                     operand_header(slot + (int32_t)offsetof(struct import_slot, code)));
    emit_instruction(&c->as, X64_MOV_LOAD, R11, operand_header(slot + (int32_t)offsetof(struct import_slot, instance)));
    emit_tail_elsewhere(c, type);
}

/* The tail call itself, all arguments being placed, of a record as emit_table_record or emit_reference_record leave it.
 */
static void emit_tail_record(struct compiler *c, uint32_t type, enum cold_kind kind)
{
    struct cold *cold = cold_add(c, kind);
    if (!cold)
        return;
    cold->callee = type;
    if (!c->module->defined_types[type].final)
        cold->slot = 1 + c->module->defined_types[type].depth;
    emit_jump_forward_if(&c->as, CONDITION_NE, &cold->chain);
    emit_tail_here(c, &c->module->types[type], (struct destination){.kind = TO_RECORD});
}

void compile_return_call_indirect(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t type = read_u32_trusted(&c->pc), table = read_u32_trusted(&c->pc);
    struct value index = vpop(c);
    struct move moves[MOVES_MAXIMUM];
    argument_move(c, &moves[0], RAX, &index);
    place_tail_arguments(c, &c->module->types[type], moves, 1);
    if (!compiler_room(c, ROOM))
        return;
    emit_table_record(c, type, table);
    emit_tail_record(c, type, COLD_TAIL);
}

void compile_return_call_reference(struct compiler *c, UNUSED, UNUSED_TOO)
{
    uint32_t type = read_u32_trusted(&c->pc);
    struct value reference = vpop(c);
    struct move moves[MOVES_MAXIMUM];
    argument_move(c, &moves[0], RAX, &reference);
    place_tail_arguments(c, &c->module->types[type], moves, 1);
    if (!compiler_room(c, ROOM))
        return;
    emit_reference_record(c);
    emit_tail_record(c, type, COLD_TAIL_REFERENCE);
}
