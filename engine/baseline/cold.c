/* Code that is rarely or never run, behind the function's hot code. */
#include "engine/baseline/compiler.h"

struct cold *cold_add(struct compiler *c, enum cold_kind kind)
{
    if (c->cold_count == c->cold_capacity &&
        !compiler_grow(c, (void **)&c->cold, &c->cold_capacity, c->cold_count + 1, sizeof *c->cold))
        return NULL;
    struct cold *cold = &c->cold[c->cold_count++];
    *cold = (struct cold){.kind = (uint8_t)kind, .position = (uint32_t)(c->instruction - c->module->bytes), .try_index = c->current_try};
    return cold;
}

void trap_if(struct compiler *c, enum condition condition, enum trap trap)
{
    struct cold *cold = cold_add(c, COLD_TRAP);
    if (!cold)
        return;
    cold->a = (uint8_t)trap;
    emit_jump_forward_if(&c->as, condition, &cold->chain);
}

/* r11d is the target's instance; an import's slot or else rax tells its code. The stub changes r11 and flags only, so
 * the arguments and r10 pass through. */
static void emit_switch(struct compiler *c, const struct cold *cold)
{
    struct operand switch_instance = operand_header(HEADER_OFFSET(switch_instance));
    struct operand kept = operand_memory(RSP, c->instance_home);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10,
                     cold->kind == COLD_SWITCH
                         ? operand_header(cold->slot + (int32_t)offsetof(struct import_slot, code))
                         : operand_memory(RAX, offsetof(struct function_reference, code)));
    emit_instruction(&c->as, X64_MOV_LOAD, RAX, operand_header(HEADER_OFFSET(instance_index)));
    emit_instruction(&c->as, X64_MOV_STORE, RAX, kept);
    emit_instruction(&c->as, X64_GROUP_FF, 2, switch_instance);
    emit_registers(&c->as, X64_GROUP_FF, 2, R10);
    call_site(c, cold->try_index); /* code_instance_switch knows what follows */
    emit_instruction(&c->as, X64_MOV_LOAD, R11, kept);
    emit_instruction(&c->as, X64_GROUP_FF, 2, switch_instance);
    if (cold->kind != COLD_SWITCH && cold->a) /* a host function, perhaps, which need not extend its result */
        emit_move(&c->as, false, RAX, RAX);
    emit_jump_back(&c->as, cold->resume);
}

/* Call the record in rax, of any instance, which is in r11d. */
static void emit_call_elsewhere(struct compiler *c, const struct cold *cold)
{
    if (cold->kind != COLD_TAIL && cold->kind != COLD_TAIL_REFERENCE) {
        emit_switch(c, cold);
        return;
    }
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, R10,
                     operand_memory(RAX, offsetof(struct function_reference, code)));
    emit_tail_elsewhere(c, &c->module->types[cold->callee]);
}

/* rax is a record of another instance, in r11d, or the null function's. */
static void emit_reference_call(struct compiler *c, const struct cold *cold)
{
    uint32_t null = 0;
    emit_alu_immediate(&c->as, ALU_CMP, false, operand_memory(RAX, offsetof(struct function_reference, signature)), 0);
    emit_jump_forward_if(&c->as, CONDITION_E, &null);
    emit_call_elsewhere(c, cold);
    bind_chain(&c->as, null, assembler_position(&c->as));
    emit_trap(&c->as, TRAP_NULL_FUNCTION);
}

/* The record in rax is not of the signature in r10d, but perhaps of a subtype: call it then. */
static void emit_subtype_call(struct compiler *c, const struct cold *cold)
{
    uint32_t depth = (uint32_t)cold->slot - 1, no = 0;
    emit_instruction(&c->as, X64_MOV_LOAD, R11, operand_memory(RAX, offsetof(struct function_reference, signature)));
    /* the display, and the depth where it may be too short */
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, RDI, operand_header(HEADER_OFFSET(type_displays)));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, RDI, operand_indexed(RDI, R11, 3, 0));
    if (depth >= TYPE_DISPLAY_MINIMUM) {
        emit_alu_immediate(&c->as, ALU_CMP, false, operand_memory(RDI, -4), (int32_t)depth);
        emit_jump_forward_if(&c->as, CONDITION_B, &no);
    }
    emit_alu(&c->as, ALU_CMP, false, R10, operand_memory(RDI, 4 * (int32_t)depth));
    emit_jump_forward_if(&c->as, CONDITION_NE, &no);
    emit_instruction(&c->as, X64_MOV_LOAD, R11, operand_memory(RAX, offsetof(struct function_reference, instance)));
    emit_call_elsewhere(c, cold); /* or of this one: the switch does no harm */
    bind_chain(&c->as, no, assembler_position(&c->as));
}

/* rax is a record that is not of the wanted signature (in r10d) or not of this instance. */
static void emit_indirect(struct compiler *c, const struct cold *cold)
{
    uint32_t null = 0, mismatch = 0;
    struct operand signature = operand_memory(RAX, offsetof(struct function_reference, signature));
    emit_alu(&c->as, ALU_CMP, false, R10, signature);
    emit_jump_forward_if(&c->as, CONDITION_NE, &mismatch);
    emit_instruction(&c->as, X64_MOV_LOAD, R11, operand_memory(RAX, offsetof(struct function_reference, instance)));
    emit_call_elsewhere(c, cold);
    bind_chain(&c->as, mismatch, assembler_position(&c->as));
    if (cold->slot)
        emit_subtype_call(c, cold);
    emit_alu_immediate(&c->as, ALU_CMP, false, signature, 0);
    emit_jump_forward_if(&c->as, CONDITION_E, &null);
    emit_trap(&c->as, TRAP_INDIRECT_SIGNATURE);
    bind_chain(&c->as, null, assembler_position(&c->as));
    emit_trap(&c->as, TRAP_INDIRECT_NULL);
}

/* Equal operands: they differ at most in the sign of zero. Unordered: the sum is a quiet NaN. */
static void emit_min_max(struct compiler *c, const struct cold *cold)
{
    uint32_t unordered = 0;
    bool wide = cold->type == TYPE_F64;
    emit_jump_forward_if(&c->as, CONDITION_P, &unordered);
    emit_float(&c->as, cold->maximum ? X64_ANDPS : X64_ORPS, cold->c, cold->a, operand_register(cold->b));
    emit_jump_back(&c->as, cold->resume);
    bind_chain(&c->as, unordered, assembler_position(&c->as));
    emit_float(&c->as, X64_FLOAT(wide, X64_FLOAT_ADD), cold->c, cold->a, operand_register(cold->b));
    emit_jump_back(&c->as, cold->resume);
}

static void emit_truncate_saturated(struct compiler *c, const struct cold *cold, bool from_wide, bool to_wide,
                                    bool is_signed)
{
    uint32_t zero = 0, above = 0;
    unsigned bits = to_wide ? 64 : 32;
    uint64_t mask = UINT64_MAX >> (64 - bits), sign = UINT64_C(1) << (bits - 1);
    emit_float_single(&c->as, X64_UCOMIS(from_wide), cold->a, operand_register(cold->a));
    emit_jump_forward_if(&c->as, CONDITION_P, &zero);
    emit_float(&c->as, X64_XORPS, SCRATCH_XMM, SCRATCH_XMM, operand_register(SCRATCH_XMM));
    emit_float_single(&c->as, X64_UCOMIS(from_wide), cold->a, operand_register(SCRATCH_XMM));
    emit_jump_forward_if(&c->as, CONDITION_A, &above);
    if (is_signed) {
        emit_constant(&c->as, cold->b, sign, false);
        emit_jump_back(&c->as, cold->resume);
    }
    bind_chain(&c->as, zero, assembler_position(&c->as));
    emit_constant(&c->as, cold->b, 0, false);
    emit_jump_back(&c->as, cold->resume);
    bind_chain(&c->as, above, assembler_position(&c->as));
    emit_constant(&c->as, cold->b, is_signed ? sign - 1 : mask, false);
    emit_jump_back(&c->as, cold->resume);
}

static void emit_truncate(struct compiler *c, const struct cold *cold)
{
    bool from_wide = cold->c & 1, to_wide = cold->c & 2, is_signed = cold->c & 4, saturate = cold->c & 8;
    if (saturate) {
        emit_truncate_saturated(c, cold, from_wide, to_wide, is_signed);
        return;
    }
    uint32_t invalid = 0;
    emit_float_single(&c->as, X64_UCOMIS(from_wide), cold->a, operand_register(cold->a));
    emit_jump_forward_if(&c->as, CONDITION_P, &invalid);
    if (is_signed && to_wide) { /* the minimum itself is right: -2^63 + 2^63 is 0 */
        struct operand limit = operand_text(from_wide ? SHARED_TWO63_F64 : SHARED_TWO63_F32);
        emit_float(&c->as, X64_FLOAT(from_wide, X64_FLOAT_ADD), SCRATCH_XMM, cold->a, limit);
        emit_float_single(&c->as, X64_MOVD_FROM_XMM | X64_IF(from_wide, X64_WIDE), SCRATCH_XMM,
                          operand_register(SCRATCH));
        emit_registers(&c->as, X64_TEST | X64_IF(from_wide, X64_WIDE), SCRATCH, SCRATCH);
        emit_jump_back_if(&c->as, CONDITION_E, cold->resume);
    } else if (is_signed) { /* everything above minimum - 1 is right: it fits when converted to 64 bits */
        emit_float_single(&c->as, X64_FLOAT(from_wide, X64_FLOAT_TO_INT) | X64_WIDE, SCRATCH,
                          operand_register(cold->a));
        emit_registers(&c->as, X64_MOVSXD, cold->b, SCRATCH);
        emit_alu(&c->as, ALU_CMP, true, SCRATCH, operand_register(cold->b));
        emit_move(&c->as, false, cold->b, cold->b);
        emit_jump_back_if(&c->as, CONDITION_E, cold->resume);
    }
    emit_trap(&c->as, TRAP_INTEGER_OVERFLOW);
    bind_chain(&c->as, invalid, assembler_position(&c->as));
    emit_trap(&c->as, TRAP_INVALID_CONVERSION);
}

/* u64 with the top bit set: half of it, with the lost bit kept for rounding, doubled. */
static void emit_convert(struct compiler *c, const struct cold *cold)
{
    bool wide = cold->type == TYPE_F64;
    emit_move(&c->as, true, SCRATCH, cold->a);
    emit_move(&c->as, true, cold->c, cold->a);
    emit_shift_immediate(&c->as, SHIFT_SHR, true, SCRATCH, 1);
    emit_alu_immediate(&c->as, ALU_AND, false, operand_register(cold->c), 1);
    emit_alu(&c->as, ALU_OR, true, SCRATCH, operand_register(cold->c));
    emit_float(&c->as, X64_XORPS, cold->b, cold->b, operand_register(cold->b));
    emit_float(&c->as, X64_FLOAT(wide, X64_FLOAT_FROM_INT) | X64_WIDE, cold->b, cold->b, operand_register(SCRATCH));
    emit_float(&c->as, X64_FLOAT(wide, X64_FLOAT_ADD), cold->b, cold->b, operand_register(cold->b));
    emit_jump_back(&c->as, cold->resume);
}

void emit_cold(struct compiler *c)
{
    for (uint32_t i = 0; i < c->cold_count; i++) {
        const struct cold *cold = &c->cold[i];
        if (!compiler_room(c, ROOM))
            return;
        bind_chain(&c->as, cold->chain, assembler_position(&c->as));
        log_position(c, cold->position);
        switch (cold->kind) {
        case COLD_TRAP:
            emit_trap(&c->as, cold->a);
            break;
        case COLD_INDIRECT:
        case COLD_TAIL:
            emit_indirect(c, cold);
            break;
        case COLD_REFERENCE:
        case COLD_TAIL_REFERENCE:
            emit_reference_call(c, cold);
            break;
        case COLD_SWITCH:
            emit_switch(c, cold);
            break;
        case COLD_MIN_MAX:
            emit_min_max(c, cold);
            break;
        case COLD_TRUNCATE:
            emit_truncate(c, cold);
            break;
        case COLD_CONVERT:
            emit_convert(c, cold);
            break;
        }
    }
}
