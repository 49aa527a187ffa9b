/* Exceptions between two instances, over tail calls and through host functions, and those that nobody catches. */
#include "kernel/host.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct process *process;
static struct instance *first, *second;

static enum trap call(struct instance *instance, const char *name, uint32_t a, uint32_t b, uint32_t *result)
{
    union value arguments[2] = {{.i32 = a}, {.i32 = b}}, results[1] = {{0}};
    enum trap trap = function_call(process, guest_function(instance, name), arguments, results);
    *result = results[0].i32;
    return trap;
}

/* Calls a guest of its own, in which an exception gets no further than here. */
static uint32_t host_attempt(struct instance *instance, uint32_t value)
{
    uint32_t result;
    CHECK(instance == first);
    CHECK(call(first, "uncaught", value, 0, &result) == TRAP_EXCEPTION);
    return 123;
}

static bool resolve(const struct import *import, struct external *result)
{
    static const struct host_function attempt = {"attempt", "i:i", (void (*)(void))host_attempt};
    if (import->module.length == 4)
        return host_function_create(process, &attempt, result) == STATUS_OK;
    return instance_find_export(second, import->field.text, import->field.length, result);
}

static uint32_t way(uint32_t which, uint32_t value)
{
    uint32_t result;
    return call(first, "way", which, value, &result) == TRAP_NONE ? result : UINT32_MAX;
}

static void ways(void)
{
    CHECK(way(0, 7) == 7000 + 'f');
    CHECK(way(1, 7) == 'f');         /* another tag of the same type */
    CHECK(way(2, 8) == 8000 + 'f');  /* from the first, over the second, to the first */
    CHECK(way(3, 9) == 9000 + 's');  /* from the first to the second */
    CHECK(way(4, 10) == 123);        /* not through a host function */
    CHECK(way(5, 11) == 11000 + 'f'); /* over a tail frame */
}

static void uncaught(void)
{
    uint32_t result;
    CHECK(call(first, "uncaught", 1, 0, &result) == TRAP_EXCEPTION);
    const struct trap_report *report = process_trap_report(process);
    CHECK(report->frame_total == 3 && report->in_host); /* raise, back, uncaught: of the throw */
    CHECK(report->frames[0].module == report->frames[2].module && report->frames[1].module != report->frames[0].module);
    CHECK(call(second, "throw", 1, 0, &result) == TRAP_EXCEPTION);
    CHECK(way(0, 7) == 7000 + 'f'); /* and all goes on */
}

/* What a landing pad reads lies in the thread's payload, also when an exception is thrown again: a pad may be interrupted
 * half-way, and an exception that nothing refers to any more may then be collected. */
static void again(void)
{
    uint8_t *bytes;
    union value result = {.i64 = 0};
    struct compiled_module *module = guest_compile("kernel_rethrow", &bytes);
    struct instance *instance = guest_instantiate(process, module, resolve);
    CHECK(function_call(process, guest_function(instance, "again"), &result, &result) == TRAP_NONE && result.i64 == 42);
    uint64_t payload;
    memcpy(&payload, (const void *)(uintptr_t)thread_current()->area.payload, sizeof payload);
    CHECK(payload == 42);
    compiled_module_release(module);
    free(bytes);
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    uint8_t *first_bytes, *second_bytes;
    struct compiled_module *second_module = guest_compile("exceptions_second", &second_bytes);
    struct compiled_module *first_module = guest_compile("exceptions_first", &first_bytes);
    CHECK(process_create("exceptions", 0, &process) == STATUS_OK);
    second = guest_instantiate(process, second_module, resolve);
    first = guest_instantiate(process, first_module, resolve);
    ways();
    uncaught();
    uint32_t sum;
    CHECK(call(first, "many", 200000, 0, &sum) == TRAP_NONE && sum == (uint32_t)(UINT64_C(200000) * 200001 / 2));
    ways();
    again();
    process_destroy(process);
    compiled_module_release(first_module);
    compiled_module_release(second_module);
    free(first_bytes);
    free(second_bytes);
    return checks_report();
}
