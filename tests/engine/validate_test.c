/* The summary that validation gives to the compilers, and that hostile bodies take linear time. */
#include "tests/engine/support.h"

#include "engine/limits.h"
#include "tests/fuzz/buffer.h"

static void put_section(struct buffer *module, unsigned id, struct buffer *contents)
{
    put_byte(module, id);
    put_unsigned(module, contents->size);
    put_bytes(module, contents->bytes, contents->size);
    free(contents->bytes);
    *contents = (struct buffer){0};
}

/* A module of one function [i32] -> [i32] with one i64 local; `code` without the final end. */
static struct buffer make_module(const void *code, size_t size)
{
    static const uint8_t before[] = {1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 4, 4, 1, 0x70, 0, 1};
    static const uint8_t locals[] = {1, 1, 0x7e};
    struct buffer module = {0}, section = {0};
    put_bytes(&module, PREAMBLE, 8);
    put_bytes(&module, before, sizeof(before));
    put_unsigned(&section, 1);
    put_unsigned(&section, sizeof(locals) + size + 1);
    put_bytes(&section, locals, sizeof(locals));
    put_bytes(&section, code, size);
    put_byte(&section, 0x0b);
    put_section(&module, 10, &section);
    return module;
}

static enum engine_status validate_code(const void *code, size_t size, struct function_summary *summary,
                                        uint32_t weights[2])
{
    struct buffer bytes = make_module(code, size);
    struct engine_error error = {0};
    struct module *module;
    enum engine_status status = module_decode(bytes.bytes, bytes.size, &test_allocator, &module, &error);
    CHECK(status == ENGINE_OK);
    struct validator *validator = validator_create(&test_allocator);
    status = function_validate(validator, module, 0, summary, &error);
    if (status == ENGINE_OK) {
        memcpy(weights, summary->local_weights, 2 * sizeof(uint32_t));
        CHECK(summary->local_count == 2);
        CHECK(summary->local_types[0] == VALUE_I32 && summary->local_types[1] == VALUE_I64);
    } else {
        printf("%s\n", error.message);
    }
    validator_destroy(validator);
    module_release(module);
    free(bytes.bytes);
    CHECK(memory_outstanding == 0);
    return status;
}

static void check_summary(void)
{
    struct function_summary summary;
    uint32_t weights[2];
    /* local 0 outside, in a loop, in a loop of a loop, and in unreachable code; a call in the inner loop */
    static const uint8_t loops[] = {
        0x20, 0,    0x1a,                      /* weight 1 */
        0x03, 0x40, 0x20, 0, 0x1a,             /* 8 */
        0x03, 0x40, 0x20, 0, 0x10, 0, 0x21, 0, /* 64 twice, call */
        0x0b, 0x0b,                            /* */
        0x42, 0,    0x22, 1, 0x1a,             /* local 1: 1 */
        0x20, 0,    0x0f,                      /* 1 */
        0x20, 0,    0x1a,                      /* unreachable: 0 */
        0x00,
    };
    CHECK(validate_code(loops, sizeof(loops), &summary, weights) == ENGINE_OK);
    CHECK(weights[0] == 1 + 8 + 64 + 64 + 1 && weights[1] == 1);
    CHECK(summary.call_weight == 64 && summary.has_calls && !summary.has_indirect_calls && summary.has_loops);
    CHECK(summary.maximum_controls == 3 && summary.maximum_operands == 1);
    CHECK(summary.maximum_call_parameters == 1 && summary.maximum_call_results == 1);

    static const uint8_t indirect[] = {0x20, 0, 0x20, 0, 0x11, 0, 0};
    CHECK(validate_code(indirect, sizeof(indirect), &summary, weights) == ENGINE_OK);
    CHECK(summary.has_indirect_calls && summary.maximum_operands == 2 && !summary.has_loops);

    static const uint8_t plain[] = {0x20, 0, 0x41, 1, 0x41, 2, 0x6a, 0x6a};
    CHECK(validate_code(plain, sizeof(plain), &summary, weights) == ENGINE_OK);
    CHECK(!summary.has_calls && summary.maximum_operands == 3 && summary.maximum_controls == 1);
}

/* `count` constants and as many uses of them. */
static enum engine_status validate_deep_stack(unsigned count, struct function_summary *summary)
{
    uint32_t weights[2];
    struct buffer code = {0};
    for (unsigned i = 0; i < count; i++) {
        put_bytes(&code, "\x41\0", 2);
    }
    for (unsigned i = 1; i < count; i++) {
        put_byte(&code, 0x1a);
    }
    enum engine_status status = validate_code(code.bytes, code.size, summary, weights);
    free(code.bytes);
    return status;
}

/* `count` blocks, one in the other. */
static enum engine_status validate_deep_blocks(unsigned count, struct function_summary *summary)
{
    uint32_t weights[2];
    struct buffer code = {0};
    for (unsigned i = 0; i < count; i++) {
        put_bytes(&code, "\x02\x7f", 2);
    }
    put_bytes(&code, "\x41\0", 2);
    for (unsigned i = 0; i < count; i++) {
        put_byte(&code, 0x0b);
    }
    enum engine_status status = validate_code(code.bytes, code.size, summary, weights);
    free(code.bytes);
    return status;
}

/* Tables of the largest size. */
static enum engine_status validate_long_tables(unsigned count, struct function_summary *summary)
{
    uint32_t weights[2];
    struct buffer code = {0};
    for (unsigned i = 0; i < count; i++) {
        put_bytes(&code, "\x02\x40\x41\0\x0e", 5);
        put_unsigned(&code, ENGINE_LIMIT_BR_TABLE_TARGETS);
        for (unsigned label = 0; label <= ENGINE_LIMIT_BR_TABLE_TARGETS; label++) {
            put_byte(&code, 0);
        }
        put_byte(&code, 0x0b);
    }
    put_bytes(&code, "\x41\0", 2);
    enum engine_status status = validate_code(code.bytes, code.size, summary, weights);
    free(code.bytes);
    return status;
}

static void check_large_bodies(void)
{
    struct function_summary summary;
    CHECK(validate_deep_stack(ENGINE_LIMIT_OPERANDS, &summary) == ENGINE_OK);
    CHECK(summary.maximum_operands == ENGINE_LIMIT_OPERANDS);
    CHECK(validate_deep_stack(ENGINE_LIMIT_OPERANDS + 1, &summary) == ENGINE_LIMIT);
    CHECK(validate_deep_blocks(ENGINE_LIMIT_BLOCK_DEPTH, &summary) == ENGINE_OK);
    CHECK(summary.maximum_controls == ENGINE_LIMIT_BLOCK_DEPTH + 1);
    CHECK(validate_deep_blocks(ENGINE_LIMIT_BLOCK_DEPTH + 1, &summary) == ENGINE_LIMIT);
    CHECK(validate_long_tables(50, &summary) == ENGINE_OK);
}

int main(void)
{
    check_summary();
    check_large_bodies();
    return checks_report();
}
