/* Tail calls: chains of a million in a stack that holds far fewer frames, within an instance, between two of them and
 * to the host; stack arguments and results on the way; what is left of the caller; and backtraces over tail frames. */
#include "kernel/host.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MANY 1000000

static struct process *process;
static struct instance *first, *second;

static enum trap call_wide(const char *name, const uint32_t *values, unsigned count, union value *results)
{
    union value arguments[12] = {{0}};
    for (unsigned i = 0; i < count; i++)
        arguments[i].i32 = values[i];
    return function_call(process, guest_function(first, name), arguments, results);
}

static enum trap call(const char *name, uint32_t value, union value *result)
{
    *result = (union value){0};
    return call_wide(name, &value, 1, result);
}

/* The result, or ~0 for a trap. */
static uint32_t call_i32(const char *name, uint32_t value)
{
    union value result;
    return call(name, value, &result) == TRAP_NONE ? result.i32 : UINT32_MAX;
}

/* An i32, with what the register had besides. */
static uint64_t host_garbage(struct instance *instance, uint32_t value)
{
    CHECK(instance == first);
    return UINT64_C(0xdeadbeef00000000) | (value + 1);
}

static uint32_t host_wide(struct instance *instance, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e,
                          uint32_t f, uint32_t g, uint32_t h, uint32_t i, uint32_t j, uint32_t k, uint32_t l)
{
    CHECK(instance == first);
    CHECK(b == 1 && c == 2 && d == 3 && e == 4 && f == 5 && g == 6 && h == 7 && i == 8 && j == 9 && k == 10 && l == 11);
    return a * 2;
}

static const struct host_function host_functions[] = {
    {"garbage", "i:i", (void (*)(void))host_garbage},
    {"wide", "iiiiiiiiiiii:i", (void (*)(void))host_wide},
};

static bool resolve(const struct import *import, struct external *result)
{
    for (unsigned i = 0; i < 2 && import->module.length == 4; i++) {
        if (strncmp(host_functions[i].name, import->field.text, import->field.length) == 0)
            return host_function_create(process, &host_functions[i], result) == STATUS_OK;
    }
    return instance_find_export(second, import->field.text, import->field.length, result);
}

static void one_instance(void)
{
    CHECK(call_i32("even", MANY) == 1);
    CHECK(call_i32("even", MANY + 1) == 0);
    CHECK(call_i32("indirect", MANY) == 7);
    CHECK(call_i32("narrow", MANY) == 56211);
    CHECK(call_i32("large", MANY) == 10);
    uint32_t values[12] = {MANY, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    union value results[7];
    CHECK(call_wide("rotate", values, 12, results) == TRAP_NONE);
    /* rotated by 1,000,000 mod 11 = 1 */
    CHECK(results[0].i32 == 7 * 100 + 1);
    CHECK(call_wide("many", values, 1, results) == TRAP_NONE);
    CHECK(results[0].i32 == 1 && results[1].i64 == 2 && results[2].i64 == 0x4008000000000000 && results[3].i32 == 4 &&
          results[4].i32 == 5 && results[5].i64 == 0x4018000000000000 && results[6].i64 == 0x401c000000000000);
}

static void two_instances(void)
{
    CHECK(call_i32("ping", 0) == 'f');
    CHECK(call_i32("ping", 1) == 's');
    CHECK(call_i32("ping", MANY) == 'f');
    CHECK(call_i32("ping", MANY + 1) == 's');
    uint32_t values[12] = {MANY + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
    union value results[7];
    CHECK(call_wide("ping_wide", values, 12, results) == TRAP_NONE && results[0].i32 == 's' + MANY + 6);
    for (uint32_t odd = 0; odd < 2; odd++) {
        values[0] = MANY + odd;
        CHECK(call_wide("ping_results", values, 1, results) == TRAP_NONE);
        uint32_t more = odd ? 10 : 0;
        CHECK(results[0].i32 == (odd ? 's' : 'f') && results[1].i64 == 2 + more && results[3].i32 == 4 + more &&
              results[4].i32 == 5 + more);
        CHECK(results[5].i64 == (odd ? 0x4030000000000000 : 0x4018000000000000));
        CHECK(results[6].i64 == (odd ? 0x4031000000000000 : 0x401c000000000000));
    }
    /* half of the 80 calls end in the second instance */
    CHECK(call_i32("around", 80) == 'i' * 1000000 + 40 * 'f' + 40 * 's' + 80 * 3 + 80 * 5);
    CHECK(call_i32("no_result", 1) == 0 && call_i32("ping", 1) == 1); /* which it wrote */
}

static void host(void)
{
    union value result;
    CHECK(call("garbage", 41, &result) == TRAP_NONE && result.i64 == 42);
    CHECK(call("garbage_indirect", 41, &result) == TRAP_NONE && result.i64 == 42);
    CHECK(call_i32("host_wide", 100) == 200 + 'f');
}

static bool frame_is(uint32_t index, const char *name)
{
    const struct trap_report *report = process_trap_report(process);
    const struct trap_frame *frame = &report->frames[index];
    if (index >= report->frame_count || !frame->module)
        return false;
    struct name given = module_function_name(frame->module->module, frame->function);
    return given.length == strlen(name) && memcmp(given.text, name, given.length) == 0;
}

static void traps(void)
{
    union value result;
    uint32_t values[2] = {1, 0};
    CHECK(call_wide("divide", values, 2, &result) == TRAP_DIVIDE_BY_ZERO);
    CHECK(process_trap_report(process)->frame_total == 2);
    CHECK(frame_is(0, "divide") && frame_is(1, "divide"));
    CHECK(process_trap_report(process)->frames[0].module != process_trap_report(process)->frames[1].module);
    CHECK(call("null", 0, &result) == TRAP_INDIRECT_NULL);
    CHECK(call("wrong", 0, &result) == TRAP_INDIRECT_SIGNATURE);
    CHECK(call("outside", 0, &result) == TRAP_INDIRECT_OUT_OF_BOUNDS);
    CHECK(call("deep", 0, &result) == TRAP_STACK_OVERFLOW);
    CHECK(frame_is(process_trap_report(process)->frame_count - 1, "deep"));
    CHECK(call_i32("ping", 10) == 'f'); /* and all goes on */
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    uint8_t *first_bytes, *second_bytes;
    struct compiled_module *second_module = guest_compile("tail_second", &second_bytes);
    struct compiled_module *first_module = guest_compile("tail_first", &first_bytes);
    CHECK(process_create("tail", 0, &process) == STATUS_OK);
    second = guest_instantiate(process, second_module, resolve);
    first = guest_instantiate(process, first_module, resolve);
    one_instance();
    two_instances();
    host();
    traps();
    process_destroy(process);
    compiled_module_release(first_module);
    compiled_module_release(second_module);
    free(first_bytes);
    free(second_bytes);
    return checks_report();
}
