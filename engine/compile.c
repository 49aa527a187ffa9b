/* From a module to code: header layout, then each function validated and compiled while its bytes are in the cache. */
#include "engine/compile.h"

#include "engine/base.h"
#include "engine/baseline/baseline.h"

/* Text positions are 31-bit displacements. */
#define TEXT_MAXIMUM ((size_t)1 << 30)

/* Machine code is about three times as long as wasm code; nothing that a compiler writes needs this much. */
#define TEXT_EXPANSION    16
#define TEXT_PER_FUNCTION 256
#define TEXT_SLACK        65536

size_t text_reserve_bytes(const struct module *module)
{
    uint64_t functions = module->function_count - module->function_import_count;
    uint64_t bytes = TEXT_SLACK + module->code_bytes * TEXT_EXPANSION + functions * TEXT_PER_FUNCTION;
    return (size_t)align_up(min_u64(bytes, TEXT_MAXIMUM), 4096);
}

static bool lay_out_header(const struct module *module, struct header_layout *layout)
{
    int64_t at = -(int64_t)sizeof(struct instance_header);
    at -= (int64_t)module->global_count * HEADER_GLOBAL_BYTES;
    layout->globals = (int32_t)at;
    at -= (int64_t)module->table_count * HEADER_TABLE_BYTES;
    layout->tables = (int32_t)at;
    if (module->memory_count > 1)
        at -= (int64_t)(module->memory_count - 1) * (int64_t)sizeof(struct memory_slot);
    layout->memories = (int32_t)at;
    at -= (int64_t)module->function_import_count * (int64_t)sizeof(struct import_slot);
    layout->imports = (int32_t)at;
    at -= (int64_t)align_up((uint64_t)module->type_count * sizeof(struct signature_slot), 16);
    layout->signatures = (int32_t)at;
    layout->bytes = (uint32_t)-at;
    return at > INT32_MIN / 2;
}

/* What one run of the compiler holds, so that there is one place to free it. */
struct run {
    const struct module *module;
    const struct engine_allocator *allocator;
    struct validator *validator;
    struct compiler *compiler;
};

static void run_end(struct run *run)
{
    baseline_destroy(run->compiler);
    if (run->validator)
        validator_destroy(run->validator);
}

static bool run_begin(struct run *run, const struct header_layout *layout, uint32_t cpu_features)
{
    run->validator = validator_create(run->allocator);
    run->compiler = baseline_create(run->module, layout, cpu_features, run->allocator);
    return run->validator && run->compiler;
}

#define PROGRESS_BYTES 16384

static enum engine_status compile_functions(struct run *run, const struct compile_options *options, struct code *code,
                                            struct engine_error *error)
{
    const struct module *module = run->module;
    uint64_t done = 0, reported = 0, paused = 0;
    for (uint32_t i = 0; i < code->function_count; i++) {
        uint32_t function = module->function_import_count + i;
        struct function_summary summary;
        enum engine_status status = function_validate(run->validator, module, function, &summary, error);
        if (status == ENGINE_OK)
            status = baseline_compile(run->compiler, function, &summary, code->functions, NULL, error);
        if (status != ENGINE_OK)
            return status;
        done += module->functions[function].body_size;
        if (run->allocator->pause && done - paused >= ENGINE_PAUSE_BYTES) {
            paused = done;
            run->allocator->pause(run->allocator->context);
        }
        if (options->progress && done - reported >= PROGRESS_BYTES) {
            reported = done;
            if (!options->progress(options->progress_context, done, module->code_bytes))
                return engine_fail(error, ENGINE_NO_MEMORY, function, module->functions[function].body_offset,
                                   "compilation was abandoned");
        }
    }
    return ENGINE_OK;
}

static enum engine_status no_memory(struct engine_error *error)
{
    return engine_fail(error, ENGINE_NO_MEMORY, ENGINE_NO_FUNCTION, 0, "no memory to compile");
}

static struct code *code_create(const struct module *module, const struct engine_allocator *allocator)
{
    struct arena arena;
    arena_initialize(&arena, allocator);
    struct code *code = arena_allocate(&arena, sizeof *code);
    uint32_t functions = module->function_count - module->function_import_count;
    struct code_function *table = arena_allocate_array(&arena, (size_t)functions + 1, sizeof *table);
    if (!code || !table) {
        arena_release(&arena);
        return NULL;
    }
    code->module = module;
    code->functions = table;
    code->function_count = functions;
    code->arena = arena;
    return code;
}

enum engine_status code_compile(const struct module *module, const struct compile_options *options,
                                const struct engine_allocator *allocator, struct code **result,
                                struct engine_error *error)
{
    struct code *code = code_create(module, allocator);
    if (!code)
        return no_memory(error);
    if (!lay_out_header(module, &code->layout) || options->text_capacity > TEXT_MAXIMUM + TEXT_SLACK ||
        options->text_capacity < TEXT_SLACK) {
        code_release(code);
        return engine_fail(error, ENGINE_LIMIT, ENGINE_NO_FUNCTION, 0, "the instance header or the text is too large");
    }
    struct run run = {.module = module, .allocator = allocator};
    enum engine_status status;
    if (!run_begin(&run, &code->layout, options->cpu_features)) {
        status = no_memory(error);
    } else {
        baseline_set_text(run.compiler, options->text, options->text_capacity, 0);
        baseline_emit_shared(run.compiler);
        status = compile_functions(&run, options, code, error);
        if (status == ENGINE_OK)
            baseline_patch_calls(run.compiler);
        if (status == ENGINE_OK && !baseline_exceptions(run.compiler, &code->arena, &code->exceptions))
            status = no_memory(error);
        code->text = options->text;
        code->text_size = baseline_text_size(run.compiler);
    }
    run_end(&run);
    if (status == ENGINE_OK)
        *result = code;
    else
        code_release(code);
    return status;
}

void code_release(struct code *code)
{
    struct arena arena = code->arena;
    arena_release(&arena);
}

/* ---- Positions ---- */
static uint32_t function_bytes(const struct code *code, uint32_t index)
{
    uint32_t end = index + 1 < code->function_count ? code->functions[index + 1].offset : (uint32_t)code->text_size;
    return end - code->functions[index].offset;
}

static enum engine_status log_function(struct run *run, const struct code *code, uint32_t function, uint8_t *text,
                                       size_t capacity, struct code_function *functions, struct position_log *log,
                                       struct engine_error *error)
{
    uint32_t index = function - code->module->function_import_count;
    struct function_summary summary;
    enum engine_status status = function_validate(run->validator, code->module, function, &summary, error);
    if (status != ENGINE_OK)
        return status;
    baseline_set_text(run->compiler, text, capacity, code->functions[index].offset);
    return baseline_compile(run->compiler, function, &summary, functions, log, error);
}

/* Of several positions for one address the last one counts: the others emitted nothing. */
static uint32_t copy_positions(struct code_position *to, const struct position_log *log)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        if (count && to[count - 1].text_offset == log->positions[i].text_offset)
            count--;
        to[count++] = log->positions[i];
    }
    return count;
}

enum engine_status code_positions(const struct code *code, uint32_t function, uint32_t cpu_features,
                                  const struct engine_allocator *allocator, struct arena *arena,
                                  struct code_position **positions, uint32_t *count, struct engine_error *error)
{
    uint32_t index = function - code->module->function_import_count;
    if (function < code->module->function_import_count || index >= code->function_count)
        return engine_fail(error, ENGINE_INVALID, function, 0, "not a function with code");
    struct run run = {.module = code->module, .allocator = allocator};
    struct position_log log = {0};
    /* The compiler reads the entries before this function and writes its own. */
    size_t table_bytes = (size_t)(index + 1) * sizeof(struct code_function);
    size_t capacity = function_bytes(code, index) + 65536;
    struct code_function *functions = allocator->allocate(allocator->context, table_bytes);
    uint8_t *text = allocator->allocate(allocator->context, capacity);
    enum engine_status status;
    if (!functions || !text || !run_begin(&run, &code->layout, cpu_features)) {
        status = no_memory(error);
    } else {
        memcpy(functions, code->functions, table_bytes);
        status = log_function(&run, code, function, text, capacity, functions, &log, error);
    }
    if (status == ENGINE_OK) {
        *positions = arena_allocate_array(arena, (size_t)log.count + 1, sizeof **positions);
        if (*positions)
            *count = copy_positions(*positions, &log);
        else
            status = no_memory(error);
    }
    if (log.positions)
        allocator->release(allocator->context, log.positions, log.capacity * sizeof *log.positions);
    if (functions)
        allocator->release(allocator->context, functions, table_bytes);
    if (text)
        allocator->release(allocator->context, text, capacity);
    run_end(&run);
    return status;
}
