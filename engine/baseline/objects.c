/* Objects of the collected heap (docs/abi.md, "Objects"): their fields and elements, their making, and casts.
 *
 * A reference is the object's distance from the heap's base, which is loaded right before its use. Null is 0, and the
 * pages there are never accessible: the access itself finds null. */
#include "engine/baseline/compiler.h"

#include "engine/subtype.h"

static struct operand heap_base(void)
{
    return operand_header(HEADER_OFFSET(heap));
}

static const struct defined_type *read_type(struct compiler *c, uint32_t *index)
{
    *index = read_u32_trusted(&c->pc);
    return &c->module->defined_types[*index];
}

static struct operand type_slot(const struct compiler *c, uint32_t type)
{
    return operand_header(c->layout->signatures + (int32_t)(type * sizeof(struct signature_slot)));
}

/* ---- Values in objects ---- */
static unsigned storage_type(value_type storage)
{
    return storage == VALUE_I8 || storage == VALUE_I16 ? TYPE_I32 : type_of(storage);
}

static void emit_storage_load(struct compiler *c, value_type storage, bool is_signed, unsigned reg,
                              struct operand memory)
{
    if (storage == VALUE_I8)
        emit_instruction(&c->as, is_signed ? X64_MOVSX8 : X64_MOVZX8, reg, memory);
    else if (storage == VALUE_I16)
        emit_instruction(&c->as, is_signed ? X64_MOVSX16 : X64_MOVZX16, reg, memory);
    else
        emit_load_slot(c, storage_type(storage), reg, memory);
}

static void emit_storage_store(struct compiler *c, value_type storage, unsigned reg, struct operand memory)
{
    if (storage == VALUE_I8)
        emit_instruction(&c->as, X64_MOV_STORE8, reg, memory);
    else if (storage == VALUE_I16)
        emit_instruction(&c->as, X64_MOV_STORE16, reg, memory);
    else
        emit_store_slot(c, storage_type(storage), reg, memory);
}

/* The value to memory that the scratch register does not address. */
static void initialize(struct compiler *c, value_type storage, const struct value *value, struct operand memory)
{
    if (storage != VALUE_I8 && storage != VALUE_I16) {
        store_value(c, memory, value);
        return;
    }
    unsigned reg = value->place == PLACE_CONSTANT ? NO_REGISTER : value_in(c, value);
    if (reg == NO_REGISTER)
        value_load(c, reg = SCRATCH, value);
    emit_storage_store(c, storage, reg, memory);
}

/* The scratch register becomes the address of the object. */
static void emit_address(struct compiler *c, unsigned reference)
{
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, heap_base());
    emit_alu(&c->as, ALU_ADD, true, SCRATCH, operand_register(reference));
}

/* ---- Structures ---- */
static struct operand field_operand(struct compiler *c, struct value *reference, const struct field_type *field)
{
    unsigned reg = value_register(c, reference);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, heap_base());
    return operand_indexed(SCRATCH, reg, 0, (int32_t)field->offset);
}

static void compile_struct_get(struct compiler *c, bool is_signed)
{
    uint32_t index;
    const struct defined_type *type = read_type(c, &index);
    const struct field_type *field = &type->fields[read_u32_trusted(&c->pc)];
    unsigned kind = storage_type(field->storage);
    struct value reference = vpop(c);
    struct operand memory = field_operand(c, &reference, field);
    struct target target = target_find(c, kind);
    unsigned reg = target_register(c, &target, kind);
    emit_storage_load(c, field->storage, is_signed, reg, memory);
    target_finish(c, &target, kind, reg);
}

static void compile_struct_set(struct compiler *c)
{
    uint32_t index;
    const struct defined_type *type = read_type(c, &index);
    const struct field_type *field = &type->fields[read_u32_trusted(&c->pc)];
    struct value value = vpop(c), reference = vpop(c);
    unsigned reg = value_register(c, &value);
    emit_storage_store(c, field->storage, reg, field_operand(c, &reference, field));
}

/* Allocate, then move the top values of the stack into the object, whose fields are zero. The values lie in the frame
 * or in callee-saved registers meanwhile, where the collector finds them. */
static void fill_object(struct compiler *c, const struct defined_type *type, uint32_t count)
{
    struct value object = vpop(c); /* in rax */
    unsigned address = take_register(c, false);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, address, heap_base());
    emit_alu(&c->as, ALU_ADD, true, address, operand_register(object.reg));
    for (uint32_t i = count; i-- > 0;) {
        const struct field_type *field = &type->fields[type->kind == DEFINED_ARRAY ? 0 : i];
        uint32_t offset = field->offset + (type->kind == DEFINED_ARRAY ? i * type->bytes : 0);
        struct value value = vpop(c);
        if ((i & 15) == 0 && !compiler_room(c, ROOM))
            return;
        initialize(c, field->storage, &value, operand_memory(address, (int32_t)offset));
    }
    push_value(c, object);
}

static void compile_struct_new(struct compiler *c, bool defaults)
{
    uint32_t index;
    const struct defined_type *type = read_type(c, &index);
    compile_builtin(c, BUILTIN_STRUCT_NEW, &index, 1, 0, TYPE_I32);
    if (!defaults)
        fill_object(c, type, type->field_count);
}

/* ---- Arrays ---- */
/* Check the index, and make it 0 without a branch where a mispredicted check goes on. With what is stored there are three
 * registers in use: all that there may be. */
static struct operand element_operand(struct compiler *c, struct value *reference, struct value *index, uint32_t bytes)
{
    unsigned at = value_own(c, index);
    forget_cache(c, at);
    emit_address(c, value_register(c, reference));
    emit_alu(&c->as, ALU_CMP, false, at, operand_memory(SCRATCH, OBJECT_LENGTH_OFFSET));
    trap_if(c, CONDITION_AE, TRAP_ARRAY_OUT_OF_BOUNDS);
    emit_instruction(&c->as, X64_CMOVCC + CONDITION_AE, at, operand_text(SHARED_ZERO));
    if (bytes == 16)
        emit_shift_immediate(&c->as, SHIFT_SHL, true, at, 4);
    return operand_indexed(SCRATCH, at, bytes == 16 ? 0 : (unsigned)__builtin_ctz(bytes), OBJECT_HEADER_BYTES);
}

static void compile_array_get(struct compiler *c, bool is_signed)
{
    uint32_t index;
    const struct defined_type *type = read_type(c, &index);
    value_type storage = type->fields[0].storage;
    unsigned kind = storage_type(storage);
    struct value at = vpop(c), reference = vpop(c);
    struct operand memory = element_operand(c, &reference, &at, type->bytes);
    struct target target = target_find(c, kind);
    unsigned reg = target_register(c, &target, kind);
    emit_storage_load(c, storage, is_signed, reg, memory);
    target_finish(c, &target, kind, reg);
}

static void compile_array_set(struct compiler *c)
{
    uint32_t index;
    const struct defined_type *type = read_type(c, &index);
    struct value value = vpop(c), at = vpop(c), reference = vpop(c);
    unsigned reg = value_register(c, &value);
    emit_storage_store(c, type->fields[0].storage, reg, element_operand(c, &reference, &at, type->bytes));
}

static void compile_array_length(struct compiler *c)
{
    struct value reference = vpop(c);
    unsigned from = value_register(c, &reference);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, SCRATCH, heap_base());
    struct target target = target_find(c, TYPE_I32);
    unsigned reg = target_register(c, &target, TYPE_I32);
    emit_instruction(&c->as, X64_MOV_LOAD, reg, operand_indexed(SCRATCH, from, 0, OBJECT_LENGTH_OFFSET));
    target_finish(c, &target, TYPE_I32, reg);
}

/* A float below the top of the stack becomes its bits, for a builtin; a vector goes through the header. */
static void second_to_bits(struct compiler *c)
{
    struct value top = vpop(c), value = vpop(c);
    if (value.type == TYPE_V128) {
        emit_store_slot(c, TYPE_V128, value_register(c, &value), operand_header(HEADER_OFFSET(vector)));
        push_constant(c, TYPE_I64, 0);
    } else if (type_is_float(value.type) && value.place != PLACE_CONSTANT) {
        unsigned from = value_register(c, &value), to = take_register(c, false);
        emit_float_single(&c->as, X64_MOVD_FROM_XMM | X64_IF(value.type == TYPE_F64, X64_WIDE), from,
                          operand_register(to));
        push_register(c, TYPE_I64, to);
    } else {
        value.type = type_is_wide(value.type) ? TYPE_I64 : TYPE_I32;
        push_value(c, value);
    }
    push_value(c, top);
}

static void compile_array_new(struct compiler *c, bool defaults)
{
    uint32_t index = read_u32_trusted(&c->pc);
    if (!defaults)
        second_to_bits(c);
    compile_builtin(c, defaults ? BUILTIN_ARRAY_NEW_DEFAULT : BUILTIN_ARRAY_NEW, &index, 1, defaults ? 1 : 2, TYPE_I32);
}

static void compile_array_new_fixed(struct compiler *c)
{
    uint32_t constants[2];
    const struct defined_type *type = read_type(c, &constants[0]);
    constants[1] = read_u32_trusted(&c->pc);
    compile_builtin(c, BUILTIN_ARRAY_NEW_DEFAULT, constants, 2, 0, TYPE_I32);
    fill_object(c, type, constants[1]);
}

static void compile_array_bulk(struct compiler *c, unsigned opcode)
{
    uint32_t constants[2] = {read_u32_trusted(&c->pc)};
    if (opcode != OP_ARRAY_FILL)
        constants[1] = read_u32_trusted(&c->pc);
    switch (opcode) {
    case OP_ARRAY_NEW_DATA:
        compile_builtin(c, BUILTIN_ARRAY_NEW_DATA, constants, 2, 2, TYPE_I32);
        break;
    case OP_ARRAY_NEW_ELEM:
        compile_builtin(c, BUILTIN_ARRAY_NEW_ELEMENT, constants, 2, 2, TYPE_I32);
        break;
    case OP_ARRAY_FILL:
        second_to_bits(c);
        compile_builtin(c, BUILTIN_ARRAY_FILL, constants, 0, 4, NO_RESULT);
        break;
    case OP_ARRAY_COPY:
        compile_builtin(c, BUILTIN_ARRAY_COPY, constants, 0, 5, NO_RESULT);
        break;
    case OP_ARRAY_INIT_DATA:
        compile_builtin(c, BUILTIN_ARRAY_INIT_DATA, constants + 1, 1, 4, NO_RESULT);
        break;
    default:
        compile_builtin(c, BUILTIN_ARRAY_INIT_ELEMENT, constants + 1, 1, 4, NO_RESULT);
        break;
    }
}

/* ---- i31: the number doubled, with the low bit set ---- */
static void compile_i31_new(struct compiler *c)
{
    struct value value = vpop(c);
    unsigned reg = value_own(c, &value);
    emit_alu(&c->as, ALU_ADD, false, reg, operand_register(reg));
    emit_alu_immediate(&c->as, ALU_OR, false, operand_register(reg), 1);
    push_register(c, TYPE_I32, reg);
}

static void compile_i31_get(struct compiler *c, enum shift shift)
{
    struct value value = vpop(c);
    unsigned reg = value_own(c, &value);
    emit_registers(&c->as, X64_TEST, reg, reg);
    trap_if(c, CONDITION_E, TRAP_NULL_I31);
    emit_shift_immediate(&c->as, shift, false, reg, 1);
    push_register(c, TYPE_I32, reg);
}

/* ---- Tests of types ---- */
static void emit_test_bits(struct compiler *c, unsigned reg, uint32_t bits)
{
    emit_instruction(&c->as, X64_GROUP_F7, 0, operand_register(reg));
    emit_word32(&c->as, bits);
}

/* Of a reference that is not null: jump to `no` when it is not of the abstract type. */
static void emit_test_abstract(struct compiler *c, unsigned reg, unsigned free, heap_type heap, uint32_t *no)
{
    switch (heap) {
    case HEAP_EQ: /* not what came from the host */
        emit_move(&c->as, false, free, reg);
        emit_alu_immediate(&c->as, ALU_AND, false, operand_register(free), REFERENCE_TAG_MASK);
        emit_alu_immediate(&c->as, ALU_CMP, false, operand_register(free), REFERENCE_TAG_HOST);
        emit_jump_forward_if(&c->as, CONDITION_E, no);
        break;
    case HEAP_I31:
        emit_test_bits(c, reg, REFERENCE_TAG_I31);
        emit_jump_forward_if(&c->as, CONDITION_E, no);
        break;
    case HEAP_STRUCT:
    case HEAP_ARRAY:
        emit_test_bits(c, reg, REFERENCE_TAG_MASK);
        emit_jump_forward_if(&c->as, CONDITION_NE, no);
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, free, heap_base());
        emit_alu_immediate(&c->as, ALU_CMP, false, operand_indexed(free, reg, 0, OBJECT_LENGTH_OFFSET), -1);
        emit_jump_forward_if(&c->as, heap == HEAP_STRUCT ? CONDITION_NE : CONDITION_E, no);
        break;
    default: /* the top of a hierarchy */
        break;
    }
}

/* The same for a defined type; `display` is free, too. */
static void emit_test_defined(struct compiler *c, unsigned reg, unsigned number, unsigned display, uint32_t index,
                              uint32_t *no)
{
    const struct defined_type *type = &c->module->defined_types[index];
    uint32_t yes = 0;
    if (type->kind == DEFINED_FUNCTION) {
        emit_move(&c->as, false, number, reg);
        emit_shift_immediate(&c->as, SHIFT_SHL, true, number, FUNCTION_REFERENCE_SHIFT);
        emit_alu(&c->as, ALU_ADD, true, number, operand_header(HEADER_OFFSET(function_references)));
        emit_instruction(&c->as, X64_MOV_LOAD, number,
                         operand_memory(number, offsetof(struct function_reference, signature)));
    } else {
        emit_test_bits(c, reg, REFERENCE_TAG_MASK);
        emit_jump_forward_if(&c->as, CONDITION_NE, no);
        emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, number, heap_base());
        emit_instruction(&c->as, X64_MOV_LOAD, number, operand_indexed(number, reg, 0, 0));
    }
    emit_alu(&c->as, ALU_CMP, false, number, type_slot(c, index));
    if (type->final) {
        emit_jump_forward_if(&c->as, CONDITION_NE, no);
        return;
    }
    emit_jump_forward_if(&c->as, CONDITION_E, &yes);
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, display, operand_header(HEADER_OFFSET(type_displays)));
    emit_instruction(&c->as, X64_MOV_LOAD | X64_WIDE, display, operand_indexed(display, number, 3, 0));
    if (type->depth >= TYPE_DISPLAY_MINIMUM) {
        emit_alu_immediate(&c->as, ALU_CMP, false, operand_memory(display, -4), type->depth);
        emit_jump_forward_if(&c->as, CONDITION_B, no);
    }
    emit_instruction(&c->as, X64_MOV_LOAD, number, type_slot(c, index));
    emit_alu(&c->as, ALU_CMP, false, number, operand_memory(display, 4 * (int32_t)type->depth));
    emit_jump_forward_if(&c->as, CONDITION_NE, no);
    bind_chain(&c->as, yes, assembler_position(&c->as));
}

/* Jump to `no` when the reference is not of the type. No register is taken from here to there but the one given. */
static void emit_type_test(struct compiler *c, unsigned reg, unsigned free, heap_type heap, bool nullable, uint32_t *no)
{
    uint32_t yes = 0;
    bool bottom = heap == HEAP_NONE || heap == HEAP_NOFUNC || heap == HEAP_NOEXTERN || heap == HEAP_NOEXN;
    emit_registers(&c->as, X64_TEST, reg, reg);
    if (bottom && nullable) {
        emit_jump_forward_if(&c->as, CONDITION_NE, no);
        return;
    }
    if (bottom) {
        emit_jump_forward(&c->as, no);
        return;
    }
    emit_jump_forward_if(&c->as, CONDITION_E, nullable ? &yes : no);
    if (heap_type_is_abstract(heap))
        emit_test_abstract(c, reg, free, heap, no);
    else
        emit_test_defined(c, reg, free, SCRATCH, heap, no);
    bind_chain(&c->as, yes, assembler_position(&c->as));
}

static heap_type read_heap(struct compiler *c)
{
    int64_t heap = read_s33_trusted(&c->pc);
    return heap < 0 ? HEAP_ABSTRACT | (uint8_t)(heap & 0x7f) : (heap_type)heap;
}

/* 1 or 0 in a register. */
static unsigned emit_type_test_value(struct compiler *c, unsigned reg, heap_type heap, bool nullable)
{
    uint32_t no = 0;
    unsigned result = take_register(c, false), free = take_register(c, false);
    emit_constant(&c->as, result, 0, false);
    emit_type_test(c, reg, free, heap, nullable, &no);
    emit_constant(&c->as, result, 1, false);
    bind_chain(&c->as, no, assembler_position(&c->as));
    return result;
}

static void compile_test(struct compiler *c, bool nullable)
{
    heap_type heap = read_heap(c);
    struct value value = vpop(c);
    unsigned reg = value_register(c, &value);
    push_register(c, TYPE_I32, emit_type_test_value(c, reg, heap, nullable));
}

static void compile_cast(struct compiler *c, bool nullable)
{
    heap_type heap = read_heap(c);
    struct value value = vpop(c);
    unsigned reg = value_register(c, &value), free = take_register(c, false);
    uint32_t no = 0;
    emit_type_test(c, reg, free, heap, nullable, &no);
    struct cold *cold = no ? cold_add(c, COLD_TRAP) : NULL;
    if (cold) {
        cold->a = TRAP_CAST_FAILURE;
        cold->chain = no;
    }
    push_value(c, value);
}

static void compile_br_on_cast(struct compiler *c, bool on_failure)
{
    bool nullable = *c->pc++ & 2;
    uint32_t depth = read_u32_trusted(&c->pc);
    read_heap(c);
    heap_type heap = read_heap(c);
    struct value value = vpop(c);
    unsigned reg = value_register(c, &value);
    unsigned result = emit_type_test_value(c, reg, heap, nullable);
    push_value(c, value);
    emit_registers(&c->as, X64_TEST, result, result);
    c->flags_live = true;
    branch_if(c, depth, on_failure ? CONDITION_E : CONDITION_NE);
}

/* ---- The prefix 0xfb ---- */
void compile_prefix_fb(struct compiler *c, UNUSED, UNUSED_TOO)
{
    unsigned opcode = opcode_number(0xfb, read_u32_trusted(&c->pc));
    switch (opcode) {
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
        compile_struct_new(c, opcode == OP_STRUCT_NEW_DEFAULT);
        break;
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U:
        compile_struct_get(c, opcode == OP_STRUCT_GET_S);
        break;
    case OP_STRUCT_SET:
        compile_struct_set(c);
        break;
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
        compile_array_new(c, opcode == OP_ARRAY_NEW_DEFAULT);
        break;
    case OP_ARRAY_NEW_FIXED:
        compile_array_new_fixed(c);
        break;
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U:
        compile_array_get(c, opcode == OP_ARRAY_GET_S);
        break;
    case OP_ARRAY_SET:
        compile_array_set(c);
        break;
    case OP_ARRAY_LEN:
        compile_array_length(c);
        break;
    case OP_REF_TEST:
    case OP_REF_TEST_NULL:
        compile_test(c, opcode == OP_REF_TEST_NULL);
        break;
    case OP_REF_CAST:
    case OP_REF_CAST_NULL:
        compile_cast(c, opcode == OP_REF_CAST_NULL);
        break;
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL:
        compile_br_on_cast(c, opcode == OP_BR_ON_CAST_FAIL);
        break;
    case OP_ANY_CONVERT_EXTERN: /* both have the same references */
    case OP_EXTERN_CONVERT_ANY:
        break;
    case OP_REF_I31:
        compile_i31_new(c);
        break;
    case OP_I31_GET_S:
    case OP_I31_GET_U:
        compile_i31_get(c, opcode == OP_I31_GET_S ? SHIFT_SAR : SHIFT_SHR);
        break;
    default:
        compile_array_bulk(c, opcode);
        break;
    }
}
