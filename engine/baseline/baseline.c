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
    c->plain_memory = module->memory_count && !module->memories[0].limits.is_64 && !module->memories[0].byte_pages;
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
    release(c->allocator, c->exceptions.call_sites, c->call_site_capacity * sizeof *c->exceptions.call_sites);
    release(c->allocator, c->exceptions.tries, c->try_capacity * sizeof *c->exceptions.tries);
    release(c->allocator, c->exceptions.clauses, c->clause_capacity * sizeof *c->exceptions.clauses);
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
#define SHARED_VECTOR_BITS(name, bits)                                                                                 \
    [SHARED_VECTORS / 8 + 2 * SHARED_##name] = (bits), [SHARED_VECTORS / 8 + 2 * SHARED_##name + 1] =                  \
        SHARED_##name == SHARED_BIT_COUNTS ? SHARED_BIT_COUNTS_HIGH : (bits),
    static const uint64_t shared[SHARED_TEXT_BYTES / 8] = {
        [SHARED_ABS32 / 8] = 0x7fffffff7fffffff,  [SHARED_ABS32 / 8 + 1] = 0x7fffffff7fffffff,
        [SHARED_ABS64 / 8] = 0x7fffffffffffffff,  [SHARED_ABS64 / 8 + 1] = 0x7fffffffffffffff,
        [SHARED_SIGN32 / 8] = 0x8000000080000000, [SHARED_SIGN32 / 8 + 1] = 0x8000000080000000,
        [SHARED_SIGN64 / 8] = 0x8000000000000000, [SHARED_SIGN64 / 8 + 1] = 0x8000000000000000,
        [SHARED_TWO63_F32 / 8] = 0x5f000000,      [SHARED_TWO63_F64 / 8] = 0x43e0000000000000,
        SHARED_VECTOR_LIST(SHARED_VECTOR_BITS)};
#undef SHARED_VECTOR_BITS
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

/* ---- A function ---- */
static void emit_pool(struct compiler *c)
{
    if (!(c->pool_count || c->vector_count) || !compiler_room(c, ROOM))
        return;
    while (c->vector_count && assembler_position(&c->as) & 15)
        emit_byte(&c->as, 0xcc);
    for (uint32_t i = 0; i < c->vector_count && compiler_room(c, ROOM); i++) {
        bind_chain(&c->as, c->pool_chains[POOL_CONSTANTS + i], assembler_position(&c->as));
        emit_word64(&c->as, c->vectors[i][0]);
        emit_word64(&c->as, c->vectors[i][1]);
    }
    while (assembler_position(&c->as) & 7)
        emit_byte(&c->as, 0xcc);
    for (uint32_t i = 0; i < c->pool_count && compiler_room(c, ROOM); i++) {
        bind_chain(&c->as, c->pool_chains[i], assembler_position(&c->as));
        emit_word64(&c->as, c->pool[i]);
    }
}

static void start_function(struct compiler *c)
{
    c->count = c->stable = c->control_count = c->cold_count = c->pool_count = c->vector_count = 0;
    c->used = c->held = c->cached = c->stale = c->home_valid = 0;
    memset(c->uses, 0, sizeof c->uses);
    c->next_victim = 0;
    c->flags_position = 0;
    c->current_try = CODE_NO_TRY;
    c->flags_live = c->dead = false;
    c->instruction = c->pc;
}

static bool compile_body(struct compiler *c)
{
    start_function(c);
    if (!choose_places(c) || !compiler_room(c, INSTRUCTION_ROOM))
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
    for (const uint8_t *pause_at = c->pc + ENGINE_PAUSE_BYTES; c->control_count;) {
        if (UNLIKELY(c->pc >= pause_at)) {
            pause_at = c->pc + ENGINE_PAUSE_BYTES;
            if (c->allocator->pause)
                c->allocator->pause(c->allocator->context);
        }
        if (UNLIKELY(!compiler_room(c, INSTRUCTION_ROOM) || c->no_memory || c->too_large))
            return false;
        c->held = 0;
        if (UNLIKELY(c->dead))
            skip_dead_code(c);
        c->instruction = c->pc;
        log_position(c, (uint32_t)(c->pc - c->module->bytes));
        const struct instruction *instruction = &instructions[*c->pc++];
        instruction->compile(c, instruction->first, instruction->second);
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
        .offset = c->entry,
        .frame_bytes = c->frame_bytes,
        .prologue_bytes = c->prologue_end - c->entry,
        .saved = (uint16_t)c->saved,
        .saved_word = (uint16_t)((uint32_t)c->saved_home / 8),
    };
    return ENGINE_OK;
}
