/* Instances and what joins them: imports of every kind, calls across instances and through tables, windows of one
 * memory, host functions, mismatches, traps with backtraces over instances, and nothing left afterwards. */
#include "kernel/host.h"
#include "kernel/platform.h"
#include "kernel/system.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct process *process;
static struct instance *provider, *user;

static enum trap call(struct instance *instance, const char *name, uint32_t a, uint32_t b, uint32_t c,
                      union value *result)
{
    union value arguments[3] = {{.i32 = a}, {.i32 = b}, {.i32 = c}};
    *result = (union value){0};
    return function_call(process, guest_function(instance, name), arguments, result);
}

/* The result, or ~0 for a trap. */
static uint32_t call_i32(struct instance *instance, const char *name, uint32_t a, uint32_t b, uint32_t c)
{
    union value result;
    return call(instance, name, a, b, c, &result) == TRAP_NONE ? result.i32 : UINT32_MAX;
}

static uint32_t host_twice(struct instance *instance, uint32_t value)
{
    if (value == 13)
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, "twice: value");
    if (value == 14) { /* nested: back into a guest, which traps */
        union value arguments[2] = {{.i32 = 1}, {.i32 = 0}}, result;
        return function_call(process, guest_function(provider, "divide"), arguments, &result) == TRAP_DIVIDE_BY_ZERO
                   ? 1400
                   : 0;
    }
    if (value == 15) { /* nested, and it comes back */
        union value result;
        return call(user, "indirect", 1, 50, 8, &result) == TRAP_NONE ? result.i32 : 0;
    }
    return value * 2;
}

static uint64_t host_many(struct instance *instance, uint32_t a, uint64_t b, uint32_t c, uint32_t d, uint32_t e,
                          uint32_t f, double g, uint64_t h)
{
    CHECK(instance == user);
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + 1000000 * (uint64_t)g + 10000000 * h;
}

static const struct host_function host_functions[] = {
    {"twice", "i:i", (void (*)(void))host_twice},
    {"many", "iIiiiiFI:I", (void (*)(void))host_many},
};

static bool resolve(const struct import *import, struct external *result)
{
    if (import->module.length == 4) {
        for (unsigned i = 0; i < 2; i++)
            if (strncmp(host_functions[i].name, import->field.text, import->field.length) == 0)
                return host_function_create(process, &host_functions[i], result) == STATUS_OK;
        return false;
    }
    return instance_find_export(provider, import->field.text, import->field.length, result);
}

static enum status instantiate(struct compiled_module *module, void (*change)(struct external *imports),
                               struct instance **result, struct link_error *error)
{
    struct external imports[16];
    enum trap trap;
    for (uint32_t i = 0; i < module->module->import_count; i++)
        CHECK(resolve(&module->module->imports[i], &imports[i]));
    if (change)
        change(imports);
    return instance_create(process, module, imports, result, &trap, error);
}

static void calls(void)
{
    union value result;
    CHECK(call_i32(user, "sum", 30, 12, 0) == 42);
    CHECK(call_i32(user, "add", 30, 12, 0) == 42); /* exported again */
    CHECK(call_i32(user, "indirect", 0, 30, 12) == 42);
    CHECK(call_i32(user, "indirect", 1, 30, 12) == 18);
    CHECK(call_i32(user, "indirect", 3, 30, 12) == 360);
    CHECK(call(user, "indirect", 4, 1, 1, &result) == TRAP_INDIRECT_OUT_OF_BOUNDS);
    CHECK(call(user, "mixed", 0, 0, 0, &result) == TRAP_NONE && result.i64 == 1011 + 3 + 43 + 50000);
    CHECK(call_i32(user, "twice", 21, 0, 0) == 42);
    CHECK(call_i32(user, "twice", 14, 0, 0) == 1400);
    CHECK(call_i32(user, "twice", 15, 0, 0) == 42);
    CHECK(call(user, "many", 0, 0, 0, &result) == TRAP_NONE && result.i64 == 87654321);
    CHECK(call_i32(provider, "bump", 0, 0, 0) == 6);
    CHECK(call_i32(user, "counter", 0, 0, 0) == 6);
    CHECK(call(user, "constant", 0, 0, 0, &result) == TRAP_NONE && result.i64 == 0x123456789a);
}

static void windows(void)
{
    union value result;
    CHECK(call_i32(provider, "load", 100, 0, 0) == 0x656c6974); /* "tile", written by the user */
    CHECK(call(provider, "store", 5000, 77, 0, &result) == TRAP_NONE);
    CHECK(call_i32(user, "load", 5000, 0, 0) == 77);
    CHECK(call(user, "load", 65536, 0, 0, &result) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(call_i32(user, "grow", 1, 0, 0) == 1);
    CHECK(call_i32(provider, "size", 0, 0, 0) == 2);
    CHECK(call_i32(user, "size", 0, 0, 0) == 2);
    CHECK(call(provider, "store", 131068, 99, 0, &result) == TRAP_NONE);
    CHECK(call_i32(user, "load", 131068, 0, 0) == 99);
    CHECK(call(user, "load", 131069, 0, 0, &result) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(call_i32(provider, "grow", 2, 0, 0) == 2);
    CHECK(call(user, "store", 262140, 1, 0, &result) == TRAP_NONE);
    CHECK(call_i32(provider, "load", 262140, 0, 0) == 1);
    CHECK(call_i32(user, "grow", 1, 0, 0) == UINT32_MAX); /* its maximum is 4 pages */
    CHECK(call_i32(provider, "load", 5000, 0, 0) == 77);
}

static bool frame_is(const struct trap_frame *frame, const char *name, const struct instance *instance)
{
    struct name given = module_function_name(frame->module->module, frame->function);
    return given.length == strlen(name) && memcmp(given.text, name, given.length) == 0 &&
           strcmp(frame->module->name, instance == user ? "kernel_user" : "kernel_provider") == 0;
}

static void backtraces(void)
{
    union value result;
    const struct trap_report *report = process_trap_report(process);
    CHECK(call(user, "outer", 1, 0, 0, &result) == TRAP_DIVIDE_BY_ZERO);
    CHECK(report->trap == TRAP_DIVIDE_BY_ZERO && report->frame_count == 4);
    CHECK(frame_is(&report->frames[0], "divide", provider));
    CHECK(report->frames[1].module == report->frames[0].module);
    CHECK(frame_is(&report->frames[2], "inner", user));
    CHECK(report->frames[3].module == report->frames[2].module);
    CHECK(call(user, "twice", 13, 0, 0, &result) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(report->frame_count == 2 && !report->frames[0].module && strcmp(report->detail, "twice: value") == 0);
    trap_report_print(report);
    CHECK(call_i32(user, "sum", 1, 1, 0) == 2); /* and on it goes */
}

static void wrong_function(struct external *imports)
{
    imports[4] = imports[7]; /* add := host function i32 -> i32 */
}

static void wrong_kind(struct external *imports)
{
    imports[0] = imports[1];
}

static void wrong_mutability(struct external *imports)
{
    imports[2] = imports[3];
}

static void mismatches(struct compiled_module *module)
{
    struct instance *instance;
    struct link_error error;
    CHECK(instantiate(module, wrong_function, &instance, &error) == STATUS_UNLINKABLE);
    CHECK(strstr(error.message, "provider.add(i32, i32) -> i32"));
    CHECK(instantiate(module, wrong_kind, &instance, &error) == STATUS_UNLINKABLE);
    CHECK(strstr(error.message, "provider.memory memory 1"));
    CHECK(instantiate(module, wrong_mutability, &instance, &error) == STATUS_UNLINKABLE);
    CHECK(strstr(error.message, "provider.counter global mut i32"));
    enum trap trap;
    CHECK(instance_create_with_host(process, module, &instance, &trap, &error) == STATUS_UNLINKABLE);
    CHECK(strstr(error.message, "provider.table") && strstr(error.message, "host.twice(i32) -> i32"));
}

static void all(struct compiled_module *provider_module, struct compiled_module *user_module)
{
    struct link_error error;
    CHECK(process_create("instances", 0, &process) == STATUS_OK);
    CHECK(instantiate(provider_module, NULL, &provider, &error) == STATUS_OK);
    CHECK(instantiate(user_module, NULL, &user, &error) == STATUS_OK);
    calls();
    windows();
    backtraces();
    mismatches(user_module);
    process_destroy(process);
}

static void limits(struct compiled_module *module)
{
    struct link_error error;
    CHECK(process_create("small", 2 * WASM_PAGE_BYTES, &process) == STATUS_OK);
    CHECK(instantiate(module, NULL, &provider, &error) == STATUS_OK);
    CHECK(call_i32(provider, "grow", 1, 0, 0) == 1);
    CHECK(call_i32(provider, "grow", 1, 0, 0) == UINT32_MAX);
    CHECK(instantiate(module, NULL, &provider, &error) == STATUS_LIMIT);
    process_destroy(process);
}

int main(int argc, char **argv)
{
    (void)argc;
    uint8_t *bytes[2];
    struct heap_statistics heap[2];
    struct platform_memory memory[2];
    guest_initialize(argv);
    struct compiled_module *provider_module = guest_compile("kernel_provider", &bytes[0]);
    struct compiled_module *user_module = guest_compile("kernel_user", &bytes[1]);
    for (int round = 0; round < 2; round++) {
        all(provider_module, user_module);
        system_trim();
        kernel_heap_statistics(&heap[round]);
        platform_memory_statistics(&memory[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    CHECK(memory[0].frames_used == memory[1].frames_used);
    limits(provider_module);
    compiled_module_release(user_module);
    compiled_module_release(provider_module);
    free(bytes[0]);
    free(bytes[1]);
    return checks_report();
}
