/* The suite's host module: globals of 666, a table, a memory, and functions that take values and do nothing with them
 * (the reference interpreter prints them). */
#include "tests/spec/spectest.h"

#include "engine/base.h"
#include "kernel/host.h"

static void print_nothing(struct instance *instance)
{
    (void)instance;
}

#define PRINT(name, signature) {name, signature, (void (*)(void))print_nothing}
static const struct host_function functions[] = {
    PRINT("print", ":"),      PRINT("print_i32", "i:"),      PRINT("print_i64", "I:"),      PRINT("print_f32", "f:"),
    PRINT("print_f64", "F:"), PRINT("print_i32_f32", "if:"), PRINT("print_f64_f64", "FF:"),
};

static const struct {
    const char *name;
    value_type type;
    uint64_t bits;
} globals[] = {
    {"global_i32", VALUE_I32, 666},
    {"global_i64", VALUE_I64, 666},
    {"global_f32", VALUE_F32, UINT64_C(0x4426a666)},         /* 666.6 */
    {"global_f64", VALUE_F64, UINT64_C(0x4084d4cccccccccd)}, /* 666.6 */
};

static struct external *add(struct spectest *spectest, const char *name)
{
    struct spectest_item *item = &spectest->items[spectest->count++];
    item->name = name;
    return &item->external;
}

enum status spectest_create(struct process *process, struct spectest *spectest)
{
    _Static_assert(ARRAY_COUNT(functions) + ARRAY_COUNT(globals) + 4 <= SPECTEST_ITEMS_MAXIMUM, "room for all");
    spectest->count = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < ARRAY_COUNT(functions) && status == STATUS_OK; i++)
        status = host_function_create(process, &functions[i], add(spectest, functions[i].name));
    for (size_t i = 0; i < ARRAY_COUNT(globals) && status == STATUS_OK; i++) {
        struct global_type type = {.value = globals[i].type, .mutable_ = false};
        status =
            global_create(process, &type, (union value){.bits = {globals[i].bits, 0}}, add(spectest, globals[i].name));
    }
    struct table_type table = {VALUE_FUNCREF, {.minimum = 10, .maximum = 20, .has_maximum = true}};
    if (status == STATUS_OK)
        status = table_create(process, &table, add(spectest, "table"));
    table.limits.is_64 = true;
    if (status == STATUS_OK)
        status = table_create(process, &table, add(spectest, "table64"));
    struct memory_type memory = {.limits = {.minimum = 1, .maximum = 2, .has_maximum = true}};
    if (status == STATUS_OK)
        status = memory_create(process, &memory, add(spectest, "memory"));
    memory.limits.shared = true;
    if (status == STATUS_OK)
        status = memory_create(process, &memory, add(spectest, "shared_memory"));
    return status;
}

bool spectest_find(const struct spectest *spectest, struct name name, struct external *result)
{
    for (uint32_t i = 0; i < spectest->count; i++) {
        const struct spectest_item *item = &spectest->items[i];
        if (strlen(item->name) == name.length && memcmp(item->name, name.text, name.length) == 0) {
            *result = item->external;
            return true;
        }
    }
    return false;
}
