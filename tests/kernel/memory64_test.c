/* Memories with 64-bit addresses beyond 4 GiB: nothing wraps, the end is exact, and there is a largest size. */
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define GIB UINT64_C(0x40000000)
#define PAGES(bytes) ((bytes) / WASM_PAGE_BYTES)

static struct process *process;
static struct instance *instance;

static enum trap call(const char *name, uint64_t a, uint64_t b, uint64_t *result)
{
    union value arguments[2] = {{.i64 = a}, {.i64 = b}}, value = {.i64 = 0};
    enum trap trap = function_call(process, guest_function(instance, name), arguments, &value);
    *result = value.i64;
    return trap;
}

static uint64_t get(const char *name, uint64_t a)
{
    uint64_t result;
    return call(name, a, 0, &result) == TRAP_NONE ? result : UINT64_C(0xbadbadbadbadbad);
}

static enum trap trap_of(const char *name, uint64_t a, uint64_t b)
{
    uint64_t result;
    return call(name, a, b, &result);
}

static void large(void)
{
    uint64_t size = 5 * GIB;
    CHECK(get("grow", PAGES(size) - 1) == 1 && get("size", 0) == PAGES(size));
    CHECK(trap_of("store", 8, 1) == TRAP_NONE && trap_of("store", 4 * GIB + 8, 2) == TRAP_NONE);
    CHECK(trap_of("store", size - 8, 3) == TRAP_NONE);
    CHECK(get("load", 8) == 1 && get("load", 4 * GIB + 8) == 2 && get("load", size - 8) == 3);
    CHECK(get("load_behind", 9) == 2 && get("load_behind", size - 4 * GIB - 7) == 3);
    CHECK(trap_of("load", size - 7, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load", size, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load", size + 2 * GIB, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load", UINT64_MAX, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load", (UINT64_C(1) << 32) * 8 + 8, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load_behind", size - 4 * GIB - 6, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load_behind", UINT64_MAX - 4 * GIB + 2, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("load_behind", UINT64_MAX, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
}

static void bulk(void)
{
    CHECK(trap_of("fill", 4 * GIB - 8, 16) == TRAP_NONE);
    CHECK(get("load", 4 * GIB - 4) == UINT64_C(0x1111111111111111) && get("load", 4 * GIB + 8) == 2);
    CHECK(trap_of("to_small", 4 * GIB, 0) == TRAP_NONE);
    CHECK(get("small", 8) == UINT64_C(0x1111111111111111) && get("small", 16) == 2);
    CHECK(trap_of("fill", 4 * GIB, UINT64_MAX - 8) == TRAP_MEMORY_OUT_OF_BOUNDS);
    CHECK(trap_of("to_small", 5 * GIB - 15, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
}

static void limits(void)
{
    CHECK(get("grow", UINT64_MAX) == UINT64_MAX);
    CHECK(get("grow", UINT64_C(1) << 48) == UINT64_MAX);
    CHECK(get("grow", PAGES(ABI_MEMORY64_MAXIMUM_BYTES - 5 * GIB) + 1) == UINT64_MAX);
    CHECK(get("size", 0) == PAGES(5 * GIB));
}

static void none(void)
{
    CHECK(get("grow_none", 0) == 0 && get("grow_none", 1) == UINT64_MAX);
    CHECK(trap_of("none", 0, 0) == TRAP_MEMORY_OUT_OF_BOUNDS);
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    uint8_t *bytes;
    struct compiled_module *module = guest_compile("memory64", &bytes);
    struct link_error error = {{0}};
    enum trap trap;
    CHECK(process_create("memory64", 0, &process) == STATUS_OK);
    CHECK(instance_create(process, module, NULL, &instance, &trap, &error) == STATUS_OK);
    large();
    bulk();
    limits();
    none();
    process_destroy(process);
    compiled_module_release(module);
    free(bytes);
    return checks_report();
}
