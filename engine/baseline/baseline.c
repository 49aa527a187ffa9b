/* The baseline compiler's outside, and its pass over a function. */
#include "engine/baseline/compiler.h"

/* ---- Life ---- */
static void *allocate(const struct engine_allocator *allocator, size_t bytes)
{
    return allocator->allocate(allocator->context, bytes);
}

static void release(const struct engine_allocator *allocator, void *memory, size_t bytes)
{
    if (memory)
        allocator->release(allocator->context, memory, bytes);
}

bool compiler_grow(struct compiler *c, void **array, uint32_t *capacity, uint32_t needed, size_t size)
{
    if (needed <= *capacity)
        return true;
    uint64_t wanted = max_u64(max_u64(needed, 64), (uint64_t)*capacity + *capacity / 2);
    void *grown = wanted <= UINT32_MAX ? allocate(c->allocator, wanted * size) : NULL;
    if (!grown) {
        c->no_memory = true;
        return false;
    }
    if (*capacity)
        memcpy(grown, *array, *capacity * size);
    release(c->allocator, *array, *capacity * size);
    *array = grown;
    *capacity = (uint32_t)wanted;
    return true;
}

struct compiler *baseline_create(const struct module *module, const struct header_layout *layout, uint32_t cpu_features,
                                 const struct engine_allocator *allocator)
{
    struct compiler *c = allocate(allocator, sizeof *c);
    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    c->allocator = allocator;
    c->module = module;
    c->layout = layout;
    c->features = cpu_features;
    c->as.avx = cpu_features & CPU_AVX;
    c->as.pool_chains = c->pool_chains;
    return c;
}

void baseline_destroy(struct compiler *c)
{
    if (!c)
        return;
    release(c->allocator, c->locals, c->local_capacity * sizeof *c->locals);
    release(c->allocator, c->stack, c->stack_capacity * sizeof *c->stack);
    release(c->allocator, c->controls, c->control_capacity * sizeof *c->controls);
    release(c->allocator, c->cold, c->cold_capacity * sizeof *c->cold);
    release(c->allocator, c->calls, c->call_capacity * sizeof *c->calls);
    release(c->allocator, c, sizeof *c);
}

void baseline_set_text(struct compiler *c, uint8_t *text, size_t capacity, uint32_t origin)
{
    c->as.start = c->as.cursor = text;
    c->as.limit = text + capacity;
    c->as.origin = origin;
}

void baseline_patch_calls(struct compiler *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        uint32_t at = c->calls[i];
        text_set_word32(&c->as, at, c->functions[text_word32(&c->as, at)].offset - (at + 4));
    }
    c->call_count = 0;
}

size_t baseline_text_size(const struct compiler *c)
{
    return (size_t)(c->as.cursor - c->as.start);
}

void baseline_emit_shared(struct compiler *c)
{
    static const uint64_t shared[SHARED_TEXT_BYTES / 8] = {
        [SHARED_ABS32 / 8] = 0x7fffffff7fffffff,  [SHARED_ABS32 / 8 + 1] = 0x7fffffff7fffffff,
        [SHARED_ABS64 / 8] = 0x7fffffffffffffff,  [SHARED_ABS64 / 8 + 1] = 0x7fffffffffffffff,
        [SHARED_SIGN32 / 8] = 0x8000000080000000, [SHARED_SIGN32 / 8 + 1] = 0x8000000080000000,
        [SHARED_SIGN64 / 8] = 0x8000000000000000, [SHARED_SIGN64 / 8 + 1] = 0x8000000000000000,
        [SHARED_TWO63_F32 / 8] = 0x5f000000,      [SHARED_TWO63_F64 / 8] = 0x43e0000000000000,
    };
    for (unsigned i = 0; i < ARRAY_COUNT(shared); i++)
        emit_word64(&c->as, shared[i]);
}

/* ---- Positions ---- */
void log_position(struct compiler *c, uint32_t module_offset)
{
    struct position_log *log = c->log;
    if (LIKELY(!log))
        return;
    if (log->count == log->capacity &&
        !compiler_grow(c, (void **)&log->positions, &log->capacity, log->count + 1, sizeof *log->positions))
        return;
    log->positions[log->count++] =
        (struct code_position){.text_offset = assembler_position(&c->as) - c->entry, .module_offset = module_offset};
}

/* ---- Single instructions ---- */
static void compile_drop(struct compiler *c)
{
    vpop(c);
}

static void compile_null_check(struct compiler *c)
{
    compile_compare(c, OP_I32_EQZ); /* null is 0 */
}

/* Instructions behind the prefix 0xfc that are no conversions. */
static void compile_bulk(struct compiler *c, unsigned opcode)
{
    uint32_t constants[2] = {read_u32_trusted(&c->pc)};
    switch (opcode) {
    case OP_MEMORY_INIT: { /* the segment comes first in the code, the memory in the builtin */
        constants[1] = constants[0];
        constants[0] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_MEMORY_INIT, constants, 2, 3, false);
        break;
    }
    case OP_DATA_DROP:
        compile_builtin(c, BUILTIN_DATA_DROP, constants, 1, 0, false);
        break;
    case OP_MEMORY_COPY:
        constants[1] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_MEMORY_COPY, constants, 2, 3, false);
        break;
    case OP_MEMORY_FILL:
        compile_builtin(c, BUILTIN_MEMORY_FILL, constants, 1, 3, false);
        break;
    case OP_TABLE_INIT:
        constants[1] = constants[0];
        constants[0] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_TABLE_INIT, constants, 2, 3, false);
        break;
    case OP_ELEM_DROP:
        compile_builtin(c, BUILTIN_ELEM_DROP, constants, 1, 0, false);
        break;
    case OP_TABLE_COPY:
        constants[1] = read_u32_trusted(&c->pc);
        compile_builtin(c, BUILTIN_TABLE_COPY, constants, 2, 3, false);
        break;
    case OP_TABLE_GROW:
        compile_builtin(c, BUILTIN_TABLE_GROW, constants, 1, 2, true);
        break;
    case OP_TABLE_SIZE:
        compile_table_size(c, constants[0]);
        break;
    default:
        compile_builtin(c, BUILTIN_TABLE_FILL, constants, 1, 3, false);
        break;
    }
}

static void compile_prefixed(struct compiler *c, uint8_t prefix)
{
    unsigned opcode = opcode_number(prefix, read_u32_trusted(&c->pc));
    if (opcode <= OP_I64_TRUNC_SAT_F64_U)
        compile_conversion(c, opcode);
    else
        compile_bulk(c, opcode);
}

static void compile_call_type(struct compiler *c)
{
    uint32_t type = read_u32_trusted(&c->pc);
    uint32_t table = read_u32_trusted(&c->pc);
    compile_call_indirect(c, type, table);
}

static void compile_select_typed(struct compiler *c)
{
    read_u32_trusted(&c->pc);
    read_s33_trusted(&c->pc);
    compile_select(c);
}

static void compile_memory_grow(struct compiler *c)
{
    uint32_t memory = read_u32_trusted(&c->pc);
    compile_builtin(c, BUILTIN_MEMORY_GROW, &memory, 1, 1, true);
}

static void compile_constant(struct compiler *c, unsigned opcode)
{
    switch (opcode) {
    case OP_I32_CONST:
        push_constant(c, TYPE_I32, (uint32_t)read_s32_trusted(&c->pc));
        break;
    case OP_I64_CONST:
        push_constant(c, TYPE_I64, (uint64_t)read_s64_trusted(&c->pc));
        break;
    case OP_F32_CONST:
        push_constant(c, TYPE_F32, read_fixed32_trusted(&c->pc));
        break;
    default:
        push_constant(c, TYPE_F64, read_fixed64_trusted(&c->pc));
        break;
    }
}

/* Everything that is not a range of opcodes below. */
static bool compile_other(struct compiler *c, unsigned opcode)
{
    switch (opcode) {
    case OP_CALL:
        compile_call(c, read_u32_trusted(&c->pc));
        break;
    case OP_CALL_INDIRECT:
        compile_call_type(c);
        break;
    case OP_DROP:
        compile_drop(c);
        break;
    case OP_SELECT:
        compile_select(c);
        break;
    case OP_SELECT_TYPED:
        compile_select_typed(c);
        break;
    case OP_GLOBAL_GET:
        compile_global_get(c, read_u32_trusted(&c->pc));
        break;
    case OP_GLOBAL_SET:
        compile_global_set(c, read_u32_trusted(&c->pc));
        break;
    case OP_TABLE_GET:
        compile_table_get(c, read_u32_trusted(&c->pc));
        break;
    case OP_TABLE_SET:
        compile_table_set(c, read_u32_trusted(&c->pc));
        break;
    case OP_MEMORY_SIZE:
        read_u32_trusted(&c->pc);
        compile_memory_size(c);
        break;
    case OP_MEMORY_GROW:
        compile_memory_grow(c);
        break;
    case OP_REF_NULL:
        read_s33_trusted(&c->pc);
        push_constant(c, TYPE_I32, 0);
        break;
    case OP_REF_IS_NULL:
        compile_null_check(c);
        break;
    case OP_REF_FUNC:
        compile_reference_function(c, read_u32_trusted(&c->pc));
        break;
    case 0xfc:
        compile_prefixed(c, 0xfc);
        break;
    case OP_NOP:
        break;
    default:
        return compile_control(c, opcode);
    }
    return true;
}

static bool compile_instruction(struct compiler *c, unsigned opcode)
{
    switch (opcode) {
    case OP_LOCAL_GET:
        push_local(c, read_u32_trusted(&c->pc));
        break;
    case OP_LOCAL_SET:
    case OP_LOCAL_TEE:
        set_local(c, read_u32_trusted(&c->pc), opcode == OP_LOCAL_TEE);
        break;
    case OP_I32_CONST ... OP_F64_CONST:
        compile_constant(c, opcode);
        break;
    case OP_I32_LOAD ... OP_I64_LOAD32_U:
        compile_load(c, opcode);
        break;
    case OP_I32_STORE ... OP_I64_STORE32:
        compile_store(c, opcode);
        break;
    case OP_I32_EQZ ... OP_I64_GE_U:
        compile_compare(c, opcode);
        break;
    case OP_I32_CLZ ... OP_I64_ROTR:
    case OP_I32_WRAP_I64:
    case OP_I64_EXTEND_I32_S:
    case OP_I64_EXTEND_I32_U:
    case OP_I32_EXTEND8_S ... OP_I64_EXTEND32_S:
        compile_integer(c, opcode);
        break;
    case OP_F32_EQ ... OP_F64_GE:
    case OP_F32_ABS ... OP_F64_COPYSIGN:
        compile_float(c, opcode);
        break;
    case OP_I32_TRUNC_F32_S ... OP_I32_TRUNC_F64_U:
    case OP_I64_TRUNC_F32_S ... OP_F64_REINTERPRET_I64:
        compile_conversion(c, opcode);
        break;
    default:
        return compile_other(c, opcode);
    }
    return true;
}

/* ---- A function ---- */
static void emit_pool(struct compiler *c)
{
    while (c->pool_count && assembler_position(&c->as) & 7)
        emit_byte(&c->as, 0xcc);
    for (uint32_t i = 0; i < c->pool_count && compiler_room(c, ROOM); i++) {
        bind_chain(&c->as, c->pool_chains[i], assembler_position(&c->as));
        emit_word64(&c->as, c->pool[i]);
    }
}

static void start_function(struct compiler *c)
{
    c->count = c->stable = c->control_count = c->cold_count = c->pool_count = 0;
    c->used = c->held = c->cached = c->stale = c->home_valid = 0;
    memset(c->uses, 0, sizeof c->uses);
    c->next_victim = 0;
    c->flags_position = 0;
    c->flags_live = c->dead = false;
    c->instruction = c->pc;
}

static bool compile_body(struct compiler *c)
{
    start_function(c);
    if (!choose_places(c) || !compiler_room(c, ROOM + 16 * MOVES_MAXIMUM + c->local_count))
        return false;
    while (assembler_position(&c->as) & 15)
        emit_byte(&c->as, 0xcc);
    c->entry = assembler_position(&c->as);
    log_position(c, (uint32_t)(c->pc - c->module->bytes));
    prologue(c);
    if (!push_control(c, (struct control){.kind = CONTROL_FUNCTION,
                                          .types = c->type->types,
                                          .parameter_count = c->type->parameter_count,
                                          .result_count = c->type->result_count}))
        return false;
    for (;;) {
        if (UNLIKELY(!compiler_room(c, 2 * ROOM) || c->no_memory || c->too_large))
            return false;
        c->held = 0;
        if (UNLIKELY(c->dead))
            skip_dead_code(c);
        c->instruction = c->pc;
        log_position(c, (uint32_t)(c->pc - c->module->bytes));
        if (!compile_instruction(c, *c->pc++))
            break;
    }
    emit_cold(c);
    emit_pool(c);
    return !c->no_memory && !c->too_large;
}

enum engine_status baseline_compile(struct compiler *c, uint32_t function, const struct function_summary *summary,
                                    struct code_function *functions, struct position_log *log,
                                    struct engine_error *error)
{
    const struct module *module = c->module;
    uint32_t index = function - module->function_import_count;
    c->function = function;
    c->summary = summary;
    c->type = &module->types[module->functions[function].type];
    c->pc = module->bytes + summary->code_offset;
    c->functions = functions;
    c->functions_done = index;
    c->log = log;
    c->no_memory = c->too_large = false;
    if (!compile_body(c)) {
        if (c->no_memory)
            return engine_fail(error, ENGINE_NO_MEMORY, function, summary->code_offset,
                               "no memory to compile a function");
        return engine_fail(error, ENGINE_LIMIT, function, summary->code_offset, "too much machine code");
    }
    functions[index] = (struct code_function){
        .offset = c->entry, .frame_bytes = c->frame_bytes, .prologue_bytes = c->prologue_end - c->entry};
    return ENGINE_OK;
}
