/* Compilation as a library call: results, refusals, memory; and what compiled code tells about itself. */
#include "tests/engine/code_support.h"

static uint32_t recursion(uint32_t n)
{
    return n == 0 ? 1 : (n + recursion(n - 1)) + (6 * 7 + 5) + 4;
}

static void test_results(uint32_t features)
{
    struct compiled compiled;
    struct machine machine;
    machine_create(&machine);
    CHECK(compile_bytes(recursion_module, sizeof recursion_module, features, 0, &compiled) == ENGINE_OK);
    for (uint32_t n = 0; n < 100; n += 9) {
        uint32_t result;
        CHECK(machine_call(&machine, &compiled, 2, n, &result) == 0 && result == recursion(n));
    }
    compiled_release(&compiled);
    CHECK(memory_outstanding == 0);
}

/* A jump table to a block and to a loop with a parameter, which want the value in different places.
(module
  (func (param i32) (result i32) (local i32 i32)
    (local.set 1 (i32.add (local.get 0) (i32.const 9)))
    (local.set 2 (i32.const 3))
    (block $out (result i32)
      (local.get 1)
      (loop $loop (param i32) (result i32)
        (local.set 1)
        (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
        (local.get 1)
        (br_table $loop $out $loop $out $out
          (select (local.get 0) (i32.const 1) (local.get 2)))))))
 */
static const uint8_t table_module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x03, 0x02,
    0x01, 0x00, 0x0a, 0x32, 0x01, 0x30, 0x01, 0x02, 0x7f, 0x20, 0x00, 0x41, 0x09, 0x6a, 0x21, 0x01, 0x41, 0x03,
    0x21, 0x02, 0x02, 0x7f, 0x20, 0x01, 0x03, 0x00, 0x21, 0x01, 0x20, 0x02, 0x41, 0x01, 0x6b, 0x21, 0x02, 0x20,
    0x01, 0x20, 0x00, 0x41, 0x01, 0x20, 0x02, 0x1b, 0x0e, 0x04, 0x00, 0x01, 0x00, 0x01, 0x01, 0x0b, 0x0b, 0x0b,
};

static void test_jump_table(uint32_t features)
{
    struct compiled compiled;
    struct machine machine;
    machine_create(&machine);
    CHECK(compile_bytes(table_module, sizeof table_module, features, 0, &compiled) == ENGINE_OK);
    for (uint32_t n = 0; n < 6; n++) {
        uint32_t result;
        CHECK(machine_call(&machine, &compiled, 0, n, &result) == 0 && result == n + 9);
    }
    compiled_release(&compiled);
    CHECK(memory_outstanding == 0);
}

/* Whichever allocation is refused: an error, and nothing is lost. */
static void test_no_memory(void)
{
    for (unsigned n = 1; n < 40; n++) {
        struct compiled compiled;
        memory_refuse_at = n;
        enum engine_status status =
            compile_bytes(recursion_module, sizeof recursion_module, ALL_FEATURES, 0, &compiled);
        CHECK(status == ENGINE_OK || status == ENGINE_NO_MEMORY);
        compiled_release(&compiled);
        CHECK(memory_outstanding == 0);
    }
    memory_refuse_at = 0;
}

static void test_no_text(void)
{
    struct compiled compiled;
    for (size_t capacity = 4096; capacity <= 65536; capacity += 4096) {
        enum engine_status status =
            compile_bytes(recursion_module, sizeof recursion_module, ALL_FEATURES, capacity, &compiled);
        CHECK(status == ENGINE_OK || status == ENGINE_LIMIT);
        compiled_release(&compiled);
    }
    CHECK(memory_outstanding == 0);
}

/* Compiling one function again gives positions inside it, in order. */
static void test_positions(void)
{
    struct compiled compiled;
    CHECK(compile_bytes(recursion_module, sizeof recursion_module, ALL_FEATURES, 0, &compiled) == ENGINE_OK);
    for (uint32_t f = 0; f < 3; f++) {
        struct engine_error error = {0};
        struct arena arena;
        struct code_position *positions;
        uint32_t count = 0;
        arena_initialize(&arena, &test_allocator);
        CHECK(code_positions(compiled.code, f, ALL_FEATURES, &test_allocator, &arena, &positions, &count, &error) ==
              ENGINE_OK);
        const struct function *function = &compiled.module->functions[f];
        uint32_t end = f < 2 ? compiled.code->functions[f + 1].offset : (uint32_t)compiled.code->text_size;
        CHECK(count > 3);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(i == 0 || positions[i].text_offset > positions[i - 1].text_offset);
            CHECK(positions[i].text_offset <= end - compiled.code->functions[f].offset);
            CHECK(positions[i].module_offset - function->body_offset < function->body_size);
        }
        arena_release(&arena);
    }
    compiled_release(&compiled);
    CHECK(memory_outstanding == 0);
}

static void test_traps(void)
{
    uint64_t registers[16] = {[RCX] = 0, [R9] = UINT64_C(0xffffffffffffffff), [RSI] = UINT64_C(1) << 32};
    CHECK(code_trap_at((const uint8_t *)"\xf7\xf1", registers) == TRAP_DIVIDE_BY_ZERO);       /* div ecx */
    CHECK(code_trap_at((const uint8_t *)"\x48\xf7\xf9", registers) == TRAP_DIVIDE_BY_ZERO);   /* idiv rcx */
    CHECK(code_trap_at((const uint8_t *)"\x41\xf7\xf9", registers) == TRAP_INTEGER_OVERFLOW); /* idiv r9d */
    CHECK(code_trap_at((const uint8_t *)"\xf7\xf6", registers) == TRAP_DIVIDE_BY_ZERO);       /* div esi: low half */
    CHECK(code_trap_at((const uint8_t *)"\x48\xf7\xf6", registers) == TRAP_INTEGER_OVERFLOW); /* div rsi */
    CHECK(code_trap_at((const uint8_t *)"\xf7\xd1", registers) == TRAP_NONE);                 /* not ecx */
    CHECK(code_trap_at((const uint8_t *)"\x0f\x0b\x01", registers) == TRAP_UNREACHABLE);
    CHECK(code_trap_at((const uint8_t *)"\x0f\x0b\xff", registers) == TRAP_NONE);
}

int main(void)
{
    test_results(ALL_FEATURES);
    test_results(0);
    test_jump_table(ALL_FEATURES);
    test_jump_table(0);
    test_no_memory();
    test_no_text();
    test_positions();
    test_traps();
    return checks_report();
}
