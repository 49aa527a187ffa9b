/* Which function compiles which instruction: one table, by opcode. */
#include "engine/baseline/compiler.h"

/* ---- Instructions that need no file of their own ---- */
static void compile_nop(struct compiler *c, UNUSED, UNUSED_TOO)
{
    (void)c;
}

static void compile_local_get(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_local(c, read_u32_trusted(&c->pc));
}

static void compile_local_set(struct compiler *c, unsigned tee, UNUSED)
{
    set_local(c, read_u32_trusted(&c->pc), tee);
}

static void compile_i32_constant(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_constant(c, TYPE_I32, (uint32_t)read_s32_trusted(&c->pc));
}

static void compile_i64_constant(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_constant(c, TYPE_I64, (uint64_t)read_s64_trusted(&c->pc));
}

static void compile_f32_constant(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_constant(c, TYPE_F32, read_fixed32_trusted(&c->pc));
}

static void compile_f64_constant(struct compiler *c, UNUSED, UNUSED_TOO)
{
    push_constant(c, TYPE_F64, read_fixed64_trusted(&c->pc));
}

static void compile_null(struct compiler *c, UNUSED, UNUSED_TOO)
{
    read_s33_trusted(&c->pc);
    push_constant(c, TYPE_I32, 0);
}

static void compile_drop(struct compiler *c, UNUSED, UNUSED_TOO)
{
    vpop(c);
}

static void compile_select_typed(struct compiler *c, UNUSED, UNUSED_TOO)
{
    read_u32_trusted(&c->pc);
    skip_value_type(&c->pc);
    compile_select(c, 0, 0);
}

/* Behind the prefix 0xfc: bulk operations on memories and tables. */
static void compile_bulk(struct compiler *c, unsigned opcode)
{
    uint32_t constants[2] = {read_u32_trusted(&c->pc)};
    switch (opcode) {
    case OP_MEMORY_INIT: /* the segment comes first in the code, the memory in the builtin */
        constants[1] = constants[0];
        constants[0] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_MEMORY_INIT, constants, 2, 3, NO_RESULT);
        break;
    case OP_DATA_DROP:
        compile_builtin(c, BUILTIN_DATA_DROP, constants, 1, 0, NO_RESULT);
        break;
    case OP_MEMORY_COPY:
        constants[1] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_MEMORY_COPY, constants, 2, 3, NO_RESULT);
        break;
    case OP_MEMORY_FILL:
        compile_builtin(c, BUILTIN_MEMORY_FILL, constants, 1, 3, NO_RESULT);
        break;
    case OP_TABLE_INIT:
        constants[1] = constants[0];
        constants[0] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_TABLE_INIT, constants, 2, 3, NO_RESULT);
        break;
    case OP_ELEM_DROP:
        compile_builtin(c, BUILTIN_ELEM_DROP, constants, 1, 0, NO_RESULT);
        break;
    case OP_TABLE_COPY:
        constants[1] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_TABLE_COPY, constants, 2, 3, NO_RESULT);
        break;
    case OP_TABLE_GROW:
        compile_builtin(c, BUILTIN_TABLE_GROW, constants, 1, 2, table_address_type(c, constants[0]));
        break;
    case OP_TABLE_SIZE:
        compile_table_size(c, constants[0]);
        break;
    default:
        compile_builtin(c, BUILTIN_TABLE_FILL, constants, 1, 3, NO_RESULT);
        break;
    }
}

static void compile_prefix_fc(struct compiler *c, UNUSED, UNUSED_TOO)
{
    unsigned opcode = opcode_number(0xfc, read_u32_trusted(&c->pc));
    if (opcode >= OP_I64_ADD128) {
        compile_wide(c, opcode);
        return;
    }
    if (opcode > OP_I64_TRUNC_SAT_F64_U) {
        compile_bulk(c, opcode);
        return;
    }
    unsigned n = opcode - OP_I32_TRUNC_SAT_F32_S; /* four for i32, then four for i64 */
    unsigned flags = TRUNCATE_SATURATE | (n & 1 ? TRUNCATE_UNSIGNED : 0) | (n & 2 ? TRUNCATE_F64 : 0);
    compile_truncate(c, flags, n & 4 ? TYPE_I64 : TYPE_I32);
}

/* ---- The table ---- */
/* Both integer types have the same operations. */
#define COMPARISONS(T)                                                                                                 \
    [OP_##T##_EQZ] = {compile_zero_test, TYPE_##T, 0}, [OP_##T##_EQ] = {compile_compare, CONDITION_E, TYPE_##T},       \
    [OP_##T##_NE] = {compile_compare, CONDITION_NE, TYPE_##T},                                                         \
    [OP_##T##_LT_S] = {compile_compare, CONDITION_L, TYPE_##T},                                                        \
    [OP_##T##_LT_U] = {compile_compare, CONDITION_B, TYPE_##T},                                                        \
    [OP_##T##_GT_S] = {compile_compare, CONDITION_G, TYPE_##T},                                                        \
    [OP_##T##_GT_U] = {compile_compare, CONDITION_A, TYPE_##T},                                                        \
    [OP_##T##_LE_S] = {compile_compare, CONDITION_LE, TYPE_##T},                                                       \
    [OP_##T##_LE_U] = {compile_compare, CONDITION_BE, TYPE_##T},                                                       \
    [OP_##T##_GE_S] = {compile_compare, CONDITION_GE, TYPE_##T},                                                       \
    [OP_##T##_GE_U] = {compile_compare, CONDITION_AE, TYPE_##T}
#define ARITHMETIC(T, SIZE)                                                                                            \
    [OP_##T##_CLZ] = {compile_bit_scan, true, TYPE_##T}, [OP_##T##_CTZ] = {compile_bit_scan, false, TYPE_##T},         \
    [OP_##T##_POPCNT] = {compile_unary, X64_POPCNT | (SIZE), TYPE_##T},                                                \
    [OP_##T##_ADD] = {compile_alu, ALU_ADD, TYPE_##T}, [OP_##T##_SUB] = {compile_alu, ALU_SUB, TYPE_##T},              \
    [OP_##T##_MUL] = {compile_multiply, TYPE_##T, 0}, [OP_##T##_DIV_S] = {compile_divide, DIVIDE_SIGNED, TYPE_##T},    \
    [OP_##T##_DIV_U] = {compile_divide, DIVIDE_UNSIGNED, TYPE_##T},                                                    \
    [OP_##T##_REM_S] = {compile_divide, REMAINDER_SIGNED, TYPE_##T},                                                   \
    [OP_##T##_REM_U] = {compile_divide, REMAINDER_UNSIGNED, TYPE_##T},                                                 \
    [OP_##T##_AND] = {compile_alu, ALU_AND, TYPE_##T}, [OP_##T##_OR] = {compile_alu, ALU_OR, TYPE_##T},                \
    [OP_##T##_XOR] = {compile_alu, ALU_XOR, TYPE_##T}, [OP_##T##_SHL] = {compile_shift, SHIFT_SHL, TYPE_##T},          \
    [OP_##T##_SHR_S] = {compile_shift, SHIFT_SAR, TYPE_##T}, [OP_##T##_SHR_U] = {compile_shift, SHIFT_SHR, TYPE_##T},  \
    [OP_##T##_ROTL] = {compile_shift, SHIFT_ROL, TYPE_##T}, [OP_##T##_ROTR] = {compile_shift, SHIFT_ROR, TYPE_##T}
/* And so have both float types. Rounding modes are those of roundss, with 8 for "no exception". */
#define FLOATS(T)                                                                                                      \
    [OP_##T##_EQ] = {compile_float_compare, CONDITION_FLOAT_E, TYPE_##T},                                              \
    [OP_##T##_NE] = {compile_float_compare, CONDITION_FLOAT_NE, TYPE_##T},                                             \
    [OP_##T##_LT] = {compile_float_compare, CONDITION_B, TYPE_##T},                                                    \
    [OP_##T##_GT] = {compile_float_compare, CONDITION_A, TYPE_##T},                                                    \
    [OP_##T##_LE] = {compile_float_compare, CONDITION_BE, TYPE_##T},                                                   \
    [OP_##T##_GE] = {compile_float_compare, CONDITION_AE, TYPE_##T}, [OP_##T##_ABS] = {compile_absolute, TYPE_##T, 0}, \
    [OP_##T##_NEG] = {compile_negate, TYPE_##T, 0}, [OP_##T##_CEIL] = {compile_round, 8 + 2, TYPE_##T},                \
    [OP_##T##_FLOOR] = {compile_round, 8 + 1, TYPE_##T}, [OP_##T##_TRUNC] = {compile_round, 8 + 3, TYPE_##T},          \
    [OP_##T##_NEAREST] = {compile_round, 8 + 0, TYPE_##T}, [OP_##T##_SQRT] = {compile_sqrt, TYPE_##T, 0},              \
    [OP_##T##_ADD] = {compile_float_binary, X64_FLOAT_ADD, TYPE_##T},                                                  \
    [OP_##T##_SUB] = {compile_float_binary, X64_FLOAT_SUB, TYPE_##T},                                                  \
    [OP_##T##_MUL] = {compile_float_binary, X64_FLOAT_MUL, TYPE_##T},                                                  \
    [OP_##T##_DIV] = {compile_float_binary, X64_FLOAT_DIV, TYPE_##T},                                                  \
    [OP_##T##_MIN] = {compile_min_max, false, TYPE_##T}, [OP_##T##_MAX] = {compile_min_max, true, TYPE_##T},           \
    [OP_##T##_COPYSIGN] = {compile_copysign, TYPE_##T, 0},                                                             \
    [OP_##T##_CONVERT_I32_S] = {compile_from_integer, true, TYPE_##T},                                                 \
    [OP_##T##_CONVERT_I32_U] = {compile_from_integer, false, TYPE_##T},                                                \
    [OP_##T##_CONVERT_I64_S] = {compile_from_integer, true, TYPE_##T},                                                 \
    [OP_##T##_CONVERT_I64_U] = {compile_from_integer, false, TYPE_##T}
#define TRUNCATIONS(T)                                                                                                 \
    [OP_##T##_TRUNC_F32_S] = {compile_truncate, 0, TYPE_##T},                                                          \
    [OP_##T##_TRUNC_F32_U] = {compile_truncate, TRUNCATE_UNSIGNED, TYPE_##T},                                          \
    [OP_##T##_TRUNC_F64_S] = {compile_truncate, TRUNCATE_F64, TYPE_##T},                                               \
    [OP_##T##_TRUNC_F64_U] = {compile_truncate, TRUNCATE_F64 | TRUNCATE_UNSIGNED, TYPE_##T}
#define LOAD(NAME)  [OP_##NAME] = {compile_load, OP_##NAME, 0}
#define STORE(NAME) [OP_##NAME] = {compile_store, OP_##NAME, 0}

const struct instruction instructions[256] = {
    [OP_UNREACHABLE] = {compile_unreachable, 0, 0},
    [OP_NOP] = {compile_nop, 0, 0},
    [OP_BLOCK] = {compile_block, 0, 0},
    [OP_LOOP] = {compile_loop, 0, 0},
    [OP_IF] = {compile_if, 0, 0},
    [OP_ELSE] = {compile_else, 0, 0},
    [OP_END] = {compile_end, 0, 0},
    [OP_TRY] = {compile_try, 0, 0},
    [OP_CATCH] = {compile_catch, false, 0},
    [OP_CATCH_ALL] = {compile_catch, true, 0},
    [OP_DELEGATE] = {compile_delegate, 0, 0},
    [OP_TRY_TABLE] = {compile_try_table, 0, 0},
    [OP_THROW] = {compile_throw, 0, 0},
    [OP_RETHROW] = {compile_rethrow, 0, 0},
    [OP_THROW_REF] = {compile_throw_ref, 0, 0},
    [OP_BR] = {compile_br, 0, 0},
    [OP_BR_IF] = {compile_br_if, 0, 0},
    [OP_BR_TABLE] = {compile_br_table, 0, 0},
    [OP_RETURN] = {compile_return, 0, 0},
    [OP_CALL] = {compile_call, 0, 0},
    [OP_CALL_INDIRECT] = {compile_call_indirect, 0, 0},
    [OP_RETURN_CALL] = {compile_return_call, 0, 0},
    [OP_RETURN_CALL_INDIRECT] = {compile_return_call_indirect, 0, 0},
    [OP_CALL_REF] = {compile_call_reference, 0, 0},
    [OP_RETURN_CALL_REF] = {compile_return_call_reference, 0, 0},
    [OP_DROP] = {compile_drop, 0, 0},
    [OP_SELECT] = {compile_select, 0, 0},
    [OP_SELECT_TYPED] = {compile_select_typed, 0, 0},
    [OP_LOCAL_GET] = {compile_local_get, 0, 0},
    [OP_LOCAL_SET] = {compile_local_set, false, 0},
    [OP_LOCAL_TEE] = {compile_local_set, true, 0},
    [OP_GLOBAL_GET] = {compile_global_get, 0, 0},
    [OP_GLOBAL_SET] = {compile_global_set, 0, 0},
    [OP_TABLE_GET] = {compile_table_get, 0, 0},
    [OP_TABLE_SET] = {compile_table_set, 0, 0},
    LOAD(I32_LOAD),
    LOAD(I64_LOAD),
    LOAD(F32_LOAD),
    LOAD(F64_LOAD),
    LOAD(I32_LOAD8_S),
    LOAD(I32_LOAD8_U),
    LOAD(I32_LOAD16_S),
    LOAD(I32_LOAD16_U),
    LOAD(I64_LOAD8_S),
    LOAD(I64_LOAD8_U),
    LOAD(I64_LOAD16_S),
    LOAD(I64_LOAD16_U),
    LOAD(I64_LOAD32_S),
    LOAD(I64_LOAD32_U),
    STORE(I32_STORE),
    STORE(I64_STORE),
    STORE(F32_STORE),
    STORE(F64_STORE),
    STORE(I32_STORE8),
    STORE(I32_STORE16),
    STORE(I64_STORE8),
    STORE(I64_STORE16),
    STORE(I64_STORE32),
    [OP_MEMORY_SIZE] = {compile_memory_size, 0, 0},
    [OP_MEMORY_GROW] = {compile_memory_grow, 0, 0},
    [OP_I32_CONST] = {compile_i32_constant, 0, 0},
    [OP_I64_CONST] = {compile_i64_constant, 0, 0},
    [OP_F32_CONST] = {compile_f32_constant, 0, 0},
    [OP_F64_CONST] = {compile_f64_constant, 0, 0},
    COMPARISONS(I32),
    COMPARISONS(I64),
    ARITHMETIC(I32, 0),
    ARITHMETIC(I64, X64_WIDE),
    FLOATS(F32),
    FLOATS(F64),
    TRUNCATIONS(I32),
    TRUNCATIONS(I64),
    [OP_I32_WRAP_I64] = {compile_wrap, 0, 0},
    [OP_I64_EXTEND_I32_S] = {compile_extend_signed, 32, TYPE_I64},
    [OP_I64_EXTEND_I32_U] = {compile_extend_unsigned, 0, 0},
    [OP_F32_DEMOTE_F64] = {compile_float_width, TYPE_F32, 0},
    [OP_F64_PROMOTE_F32] = {compile_float_width, TYPE_F64, 0},
    [OP_I32_REINTERPRET_F32] = {compile_reinterpret, TYPE_I32, 0},
    [OP_I64_REINTERPRET_F64] = {compile_reinterpret, TYPE_I64, 0},
    [OP_F32_REINTERPRET_I32] = {compile_reinterpret, TYPE_F32, 0},
    [OP_F64_REINTERPRET_I64] = {compile_reinterpret, TYPE_F64, 0},
    [OP_I32_EXTEND8_S] = {compile_extend_signed, 8, TYPE_I32},
    [OP_I32_EXTEND16_S] = {compile_extend_signed, 16, TYPE_I32},
    [OP_I64_EXTEND8_S] = {compile_extend_signed, 8, TYPE_I64},
    [OP_I64_EXTEND16_S] = {compile_extend_signed, 16, TYPE_I64},
    [OP_I64_EXTEND32_S] = {compile_extend_signed, 32, TYPE_I64},
    [OP_REF_NULL] = {compile_null, 0, 0},
    [OP_REF_IS_NULL] = {compile_zero_test, TYPE_I32, 0}, /* null is 0 */
    [OP_REF_FUNC] = {compile_reference_function, 0, 0},
    [OP_REF_AS_NON_NULL] = {compile_as_non_null, TRAP_NULL_REFERENCE, 0},
    [OP_BR_ON_NULL] = {compile_br_on_null, 0, 0},
    [OP_BR_ON_NON_NULL] = {compile_br_on_non_null, 0, 0},
    [OP_REF_EQ] = {compile_compare, CONDITION_E, TYPE_I32},
    [0xfb] = {compile_prefix_fb, 0, 0},
    [0xfc] = {compile_prefix_fc, 0, 0},
    [0xfd] = {compile_prefix_fd, 0, 0},
    [0xfe] = {compile_prefix_fe, 0, 0},
};
