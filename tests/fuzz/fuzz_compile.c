/* libFuzzer target: any bytes are decoded, validated and compiled; nothing is run.
 *
 * An input that starts like a module is taken as it stands. Any other one is a function body for the module of
 * tests/fuzz/wrap.c: its first byte chooses whether the rest is the body's bytes, or choices for making a valid one.
 * Checked, besides what the sanitizers find: an error is filled exactly when there is one, made bodies are valid,
 * compilation accepts what validation accepts, memory is given back, and a refused allocation is survived. */
#include "tests/fuzz/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/compile.h"
#include "engine/validate.h"
#include "tests/fuzz/require.h"

#define TEXT_BYTES_MAXIMUM (UINT64_C(256) << 20)

/* ---- The embedder's memory ---- */
struct memory {
    size_t outstanding;     /* bytes */
    uint32_t until_refusal; /* allocations that still succeed */
};

static void *memory_allocate(void *context, size_t bytes)
{
    struct memory *memory = context;
    if (memory->until_refusal-- == 0) {
        memory->until_refusal = 0;
        return NULL;
    }
    void *block = malloc(bytes ? bytes : 1);
    REQUIRE(block != NULL);
    memset(block, 0xa5, bytes < 4096 ? bytes : 4096); /* the engine must not expect zeros */
    memory->outstanding += bytes;
    return block;
}

static void memory_release(void *context, void *block, size_t bytes)
{
    struct memory *memory = context;
    REQUIRE(memory->outstanding >= bytes);
    memory->outstanding -= bytes;
    free(block);
}

/* One input in eight is refused memory at some point that depends on its bytes only. */
static uint32_t choose_refusal(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 16777619u;
    }
    return hash % 8 == 0 ? hash / 8 % 64 : UINT32_MAX;
}

/* ---- What is checked ---- */
static void check_error(enum engine_status status, const struct engine_error *error)
{
    REQUIRE((error->status == ENGINE_OK) == (status == ENGINE_OK));
    if (status != ENGINE_OK) {
        REQUIRE(error->status == status);
        REQUIRE(memchr(error->message, 0, sizeof(error->message)) != NULL && error->message[0] != 0);
        REQUIRE((error->feature != NULL) == (status == ENGINE_UNSUPPORTED));
    }
}

static enum engine_status validate_all(const struct module *module, const struct engine_allocator *allocator,
                                       struct engine_error *error)
{
    struct validator *validator = validator_create(allocator);
    if (validator == NULL) {
        return ENGINE_NO_MEMORY;
    }
    enum engine_status status = ENGINE_OK;
    for (uint32_t i = module->function_import_count; i < module->function_count && status == ENGINE_OK; i++) {
        struct function_summary summary;
        status = function_validate(validator, module, i, &summary, error);
        check_error(status, error);
        if (status == ENGINE_OK) {
            REQUIRE(summary.code_offset >= module->functions[i].body_offset);
            REQUIRE(summary.maximum_controls >= 1);
        }
    }
    validator_destroy(validator);
    return status;
}

static void read_global(const void *context, uint32_t index, uint64_t value[2])
{
    const struct module *module = context;
    REQUIRE(index < module->global_count && !module->globals[index].type.mutable_);
    value[0] = index;
    value[1] = 0;
}

static uint32_t function_reference(const void *context, uint32_t function)
{
    const struct module *module = context;
    REQUIRE(function < module->function_count && module->functions[function].reference != NO_REFERENCE);
    return function + 1;
}

static uint32_t make_object(const void *context, uint32_t type, uint32_t length, const uint64_t (*values)[2],
                            uint32_t count)
{
    const struct module *module = context;
    uint64_t sum = length;
    REQUIRE(type < module->type_count && module->defined_types[type].kind != DEFINED_FUNCTION);
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i][0];
    }
    return (uint32_t)sum;
}

static void check_constants(const struct module *module)
{
    for (uint32_t i = module->global_import_count; i < module->global_count; i++) {
        if (module->globals[i].initializer->kind == CONSTANT_CODE) {
            uint64_t value[2], values[CONSTANT_DEPTH_MAXIMUM][2];
            struct constant_environment environment = {module, values, read_global, function_reference, make_object};
            constant_evaluate(module, module->globals[i].initializer, &environment, value);
        }
    }
}

static void check_names(const struct module *module)
{
    for (uint32_t i = 0; i < module->function_count && i < 4; i++) {
        module_function_name(module, i);
    }
    for (uint32_t i = 0; i < module->export_count && i < 16; i++) {
        const struct name *name = &module->exports[i].field;
        REQUIRE(module_find_export(module, name->text, name->length) == &module->exports[i]);
    }
}

static void check_code(const struct module *module, const struct code *code)
{
    REQUIRE(code->function_count == module->function_count - module->function_import_count);
    for (uint32_t i = 0; i < code->function_count; i++) {
        uint32_t found;
        REQUIRE(code->functions[i].offset < code->text_size);
        REQUIRE(code_find_function(code, (uintptr_t)code->text + code->functions[i].offset, &found));
        REQUIRE(found == module->function_import_count + i);
    }
}

static void compile(const struct module *module, const struct engine_allocator *allocator, enum engine_status valid,
                    uint32_t cpu_features)
{
    size_t capacity = text_reserve_bytes(module);
    if (capacity > TEXT_BYTES_MAXIMUM) {
        return;
    }
    void *text = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(text != MAP_FAILED);
    struct compile_options options = {.cpu_features = cpu_features, .text = text, .text_capacity = capacity};
    struct engine_error error = {0};
    struct code *code = NULL;
    enum engine_status status = code_compile(module, &options, allocator, &code, &error);
    check_error(status, &error);
    if (status != ENGINE_NO_MEMORY && valid != ENGINE_NO_MEMORY) {
        REQUIRE(status == valid || (valid == ENGINE_OK && status == ENGINE_LIMIT));
    }
    if (status == ENGINE_OK) {
        check_code(module, code);
        code_release(code);
    }
    munmap(text, capacity);
}

static void try_module(const uint8_t *bytes, size_t size, bool must_be_valid, uint32_t until_refusal)
{
    struct memory memory = {.until_refusal = until_refusal};
    struct engine_allocator allocator = {&memory, memory_allocate, memory_release, NULL};
    struct engine_error error = {0};
    struct module *module = NULL;
    enum engine_status status = module_decode(bytes, size, &allocator, &module, &error);
    check_error(status, &error);
    REQUIRE(!must_be_valid || status == ENGINE_OK || status == ENGINE_NO_MEMORY);
    if (status == ENGINE_OK) {
        check_names(module);
        check_constants(module);
        enum engine_status valid = validate_all(module, &allocator, &error);
        REQUIRE(!must_be_valid || valid == ENGINE_OK || valid == ENGINE_NO_MEMORY);
        compile(module, &allocator, valid, 0);
        compile(module, &allocator, valid, (1u << CPU_FEATURE_COUNT) - 1);
        module_release(module);
    }
    REQUIRE(memory.outstanding == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t until_refusal = choose_refusal(data, size);
    if (size > 0 && data[0] != 0) {
        struct wrapped wrapped = wrap_body(data, size);
        try_module(wrapped.bytes, wrapped.size, wrapped.valid, until_refusal);
        free(wrapped.bytes);
        return 0;
    }
    /* An exact copy, so that reading one byte beyond is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    try_module(copy, size, false, until_refusal);
    free(copy);
    return 0;
}
