/* For tests that compile and run: a small module, its code in memory, and an instance header without a kernel. */
#ifndef TESTS_ENGINE_CODE_SUPPORT_H
#define TESTS_ENGINE_CODE_SUPPORT_H

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/compile.h"
#include "engine/x64/enter.h"
#include "engine/x64/tail.h"
#include "engine/trap.h"
#include "tests/engine/support.h"

/*
(module
  (memory 1)
  (func $leaf (param i32 i32) (result i32) (local i32 i32 i64)
    (local.set 2 (i32.mul (local.get 0) (i32.const 7)))
    (i32.store (i32.const 8) (local.get 2))
    (i32.add (local.get 2) (local.get 1)))
  (func $wide (param i32 i32 i32 i32 i32 i32 i32) (result i32 i32 i32)
    (i32.add (local.get 0) (local.get 6))
    (call $leaf (local.get 5) (local.get 4))
    (local.get 3))
  (func $rec (export "rec") (param i32) (result i32) (local i32 f64)
    (if (result i32) (i32.eqz (local.get 0))
      (then (i32.const 1))
      (else
        (call $wide (local.get 0) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
          (call $rec (i32.sub (local.get 0) (i32.const 1))))
        (i32.add) (i32.add)))))
*/
static const uint8_t recursion_module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x19, 0x03, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x60,
    0x07, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x03, 0x7f, 0x7f, 0x7f, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x03,
    0x04, 0x03, 0x00, 0x01, 0x02, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x07, 0x01, 0x03, 0x72, 0x65, 0x63, 0x00,
    0x02, 0x0a, 0x52, 0x03, 0x19, 0x02, 0x02, 0x7f, 0x01, 0x7e, 0x20, 0x00, 0x41, 0x07, 0x6c, 0x21, 0x02, 0x41,
    0x08, 0x20, 0x02, 0x36, 0x02, 0x00, 0x20, 0x02, 0x20, 0x01, 0x6a, 0x0b, 0x0f, 0x00, 0x20, 0x00, 0x20, 0x06,
    0x6a, 0x20, 0x05, 0x20, 0x04, 0x10, 0x00, 0x20, 0x03, 0x0b, 0x26, 0x02, 0x01, 0x7f, 0x01, 0x7c, 0x20, 0x00,
    0x45, 0x04, 0x7f, 0x41, 0x01, 0x05, 0x20, 0x00, 0x41, 0x02, 0x41, 0x03, 0x41, 0x04, 0x41, 0x05, 0x41, 0x06,
    0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x02, 0x10, 0x01, 0x6a, 0x6a, 0x0b, 0x0b,
};

#define ALL_FEATURES ((1u << CPU_FEATURE_COUNT) - 1)

struct compiled {
    struct module *module;
    struct code *code;
    uint8_t *text;
    size_t capacity;
};

/* Compiles with `capacity` bytes of text, 0: as many as the module should need. */
static inline enum engine_status compile_bytes(const uint8_t *bytes, size_t size, uint32_t features, size_t capacity,
                                               struct compiled *compiled)
{
    struct engine_error error = {0};
    *compiled = (struct compiled){0};
    enum engine_status status = module_decode(bytes, size, &test_allocator, &compiled->module, &error);
    if (status != ENGINE_OK)
        return status;
    compiled->capacity = capacity ? capacity : text_reserve_bytes(compiled->module);
    compiled->text = mmap(NULL, compiled->capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct compile_options options = {
        .cpu_features = features, .text = compiled->text, .text_capacity = compiled->capacity};
    status = code_compile(compiled->module, &options, &test_allocator, &compiled->code, &error);
    if (status == ENGINE_OK)
        mprotect(compiled->text, compiled->capacity, PROT_READ | PROT_EXEC);
    return status;
}

static inline void compiled_release(struct compiled *compiled)
{
    if (compiled->code)
        code_release(compiled->code);
    if (compiled->text)
        munmap(compiled->text, compiled->capacity);
    if (compiled->module)
        module_release(compiled->module);
}

/* An instance of a module without imports, tables and globals: one page of memory, the header below it, and a stack. */
#define STACK_BYTES 65536
struct machine {
    struct thread_area thread;
    uint8_t *reservation;
    uint8_t *stack;
};

static inline void machine_create(struct machine *machine)
{
    size_t header = 65536;
    machine->reservation = mmap(NULL, header + 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    machine->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    machine->thread = (struct thread_area){.stack_limit = (uintptr_t)machine->stack,
                                           .stack_base = (uintptr_t)machine->stack + STACK_BYTES};
    struct instance_header *instance = (struct instance_header *)(machine->reservation + header) - 1;
    instance->thread = (uintptr_t)&machine->thread;
    instance->instance_index = 1;
    instance->tail_return[TAIL_AREA_SMALL] = (uintptr_t)tail_return_small;
    instance->tail_return[TAIL_AREA_LARGE] = (uintptr_t)tail_return_large;
    instance->memory = (struct memory_slot){.base = (uintptr_t)(instance + 1), .bytes = 65536};
    syscall(SYS_arch_prctl, ARCH_SET_GS, instance + 1);
}

/* Call a function from i32 to i32. */
static inline unsigned machine_call(struct machine *machine, const struct compiled *compiled, uint32_t function,
                                    uint32_t argument, uint32_t *result)
{
    const struct function_type *type = &compiled->module->types[compiled->module->functions[function].type];
    uint64_t arguments[1][2] = {{argument}}, results[1][2];
    struct call_frame frame;
    uintptr_t entry = (uintptr_t)compiled->code->text + compiled->code->functions[function].offset;
    call_frame_prepare(&frame, entry, type, (const uint64_t *)arguments, 2, NULL);
    unsigned trap = wasm_enter(&frame, &machine->thread);
    call_frame_results(&frame, type, (uint64_t *)results, 2);
    *result = (uint32_t)results[0][0];
    return trap;
}

#endif
