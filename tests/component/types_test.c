/* Sections "component-type": what a tool's real one holds, damaged ones, limits, refused memory; and which functions
 * match. */
#include <stdint.h>

#include "engine/component/plan.h"
#include "tests/component/every.h"
#include "tests/engine/support.h"

#define NAME(text) ((struct name){text, sizeof(text) - 1})

static const struct component_function *find(const struct component_types *types, const char *name)
{
    return component_find_function(types->imports, types->import_count, NAME("tests:every/every@0.1.0"),
                                   (struct name){name, (uint32_t)strlen(name)});
}

static enum engine_status decode(const uint8_t *bytes, size_t size, struct component_types **types,
                                 struct engine_error *error)
{
    *error = (struct engine_error){0};
    *types = NULL;
    return component_types_decode_section(bytes, size, &test_allocator, types, error);
}

/* ---- What wit-bindgen makes ---- */
static bool core_type_is(const struct component_types *types, const char *name, enum component_role role,
                         const char *expected)
{
    char text[COMPONENT_FLAT_PARAMETERS + 4];
    value_type values[COMPONENT_FLAT_PARAMETERS + 2];
    struct function_type type;
    size_t length = 0;
    component_core_type(find(types, name), role, values, &type);
    for (uint32_t i = 0; i <= type.parameter_count + type.result_count; i++) {
        if (i == type.parameter_count) {
            text[length++] = ':';
        }
        if (i < type.parameter_count + type.result_count) {
            text[length++] = values[i] == VALUE_I32   ? 'i'
                             : values[i] == VALUE_I64 ? 'I'
                             : values[i] == VALUE_F32 ? 'f'
                                                      : 'F';
        }
    }
    text[length] = 0;
    return strcmp(text, expected) == 0;
}

static void test_every(void)
{
    struct component_types *types;
    struct engine_error error;
    CHECK(decode(every_client, sizeof(every_client), &types, &error) == ENGINE_OK);
    CHECK(types->import_count == 2 && types->export_count == 0);
    CHECK(component_name_equal(types->imports[0].name, NAME("tests:every/shapes@0.1.0")));
    CHECK(types->imports[0].function_count == 0 && types->imports[1].function_count == 10);
    CHECK(types->imports[1].resource_count == 1);
    CHECK(component_name_equal(types->imports[1].resources[0]->interface, types->imports[1].name));
    CHECK(component_name_equal(types->imports[1].resources[0]->name, NAME("counter")));
    CHECK(core_type_is(types, "scalars", COMPONENT_IMPORTED, "iiiiiiiIIfFi:I"));
    CHECK(core_type_is(types, "many", COMPONENT_IMPORTED, "ii:"));
    CHECK(core_type_is(types, "many", COMPONENT_EXPORTED, "i:i"));
    CHECK(core_type_is(types, "values", COMPONENT_IMPORTED, "iIiiii:"));
    CHECK(core_type_is(types, "values", COMPONENT_EXPORTED, "iIiii:i"));
    CHECK(core_type_is(types, "people", COMPONENT_IMPORTED, "iiiIi:"));
    CHECK(core_type_is(types, "bytes", COMPONENT_EXPORTED, "ii:i"));
    CHECK(core_type_is(types, "nothing", COMPONENT_EXPORTED, ":"));
    CHECK(core_type_is(types, "failing", COMPONENT_EXPORTED, ":i"));
    CHECK(core_type_is(types, "[constructor]counter", COMPONENT_EXPORTED, "i:i"));
    CHECK(core_type_is(types, "[method]counter.add", COMPONENT_EXPORTED, "ii:i"));
    const struct component_type *person = find(types, "people")->parameters.fields[0].type->element;
    CHECK(person->kind == COMPONENT_RECORD && person->field_count == 4 && person->bytes == 32 &&
          person->alignment == 4);
    CHECK(component_name_equal(person->fields[3].name, NAME("at")) && person->has_pointers && !person->has_handles);
    const struct component_type *point = person->fields[3].type->fields[1].type;
    CHECK(point->is_copied && point->bytes == 8);
    const struct component_function *merge = find(types, "[static]counter.merge");
    CHECK(merge->parameters.has_borrows && merge->result->kind == COMPONENT_OWN && !merge->result->has_borrows);
    CHECK(merge->result->resource == types->imports[1].resources[0]);
    component_types_release(types);
    CHECK(memory_outstanding == 0);
}

/* Nothing but refusals, with a message that names the section. */
static void test_damaged(void)
{
    struct component_types *types;
    struct engine_error error;
    uint8_t bytes[sizeof(every_client)];
    uint32_t refused = 0;
    for (size_t size = 0; size < sizeof(every_client); size++) {
        uint8_t *exact = malloc(size ? size : 1);
        memcpy(exact, every_client, size);
        refused += decode(exact, size, &types, &error) != ENGINE_OK;
        component_types_release(types);
        free(exact);
    }
    CHECK(refused >= sizeof(every_client) - 80); /* at the end there are sections of which nothing is needed */
    for (size_t i = 0; i < sizeof(every_client); i++) {
        for (unsigned change = 1; change < 256; change = change * 2 + 1) {
            memcpy(bytes, every_client, sizeof(bytes));
            bytes[i] ^= (uint8_t)change;
            enum engine_status status = decode(bytes, sizeof(bytes), &types, &error);
            if ((status == ENGINE_OK) != (error.message[0] == 0)) {
                CHECK(!"a message exactly when refused");
            }
            component_types_release(types);
        }
    }
    CHECK(memory_outstanding == 0);
    CHECK(decode(every_client, 7, &types, &error) == ENGINE_MALFORMED);
    CHECK(strstr(error.message, "section component-type: no component") != NULL);
}

static void test_no_memory(void)
{
    struct component_types *types;
    struct engine_error error;
    for (unsigned n = 1; n < 20; n++) {
        memory_refuse_at = n;
        enum engine_status status = decode(every_client, sizeof(every_client), &types, &error);
        CHECK(status == ENGINE_OK || status == ENGINE_NO_MEMORY);
        component_types_release(types);
        CHECK(memory_outstanding == 0);
    }
    memory_refuse_at = 0;
}

/* ---- Sections of our own ---- */
struct bytes {
    uint8_t data[40960];
    size_t size;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void put_number(struct bytes *bytes, size_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(bytes, &byte, 1);
        value >>= 7;
    } while (value);
}

/* The declarations of an instance type as the section of a world that imports it as "t:t/i", so many times. */
static struct bytes world_of(const struct bytes *declarations, uint32_t count, uint32_t times)
{
    struct bytes world = {.size = 0}, package = {.size = 0}, section = {.size = 0};
    put_number(&world, times + 1);
    put(&world, "\x01\x42", 2);
    put_number(&world, count);
    put(&world, declarations->data, declarations->size);
    for (uint32_t i = 0; i < times; i++) {
        put(&world, "\x03\x00\x05t:t/i\x05\x00", 10);
    }
    put(&package, "\x01\x41\x02\x01\x41", 5);
    put(&package, world.data, world.size);
    put(&package, "\x04\x00\x05t:t/w\x04\x00", 10);
    put(&section, "\0asm\x0d\0\1\0\x07", 9);
    put_number(&section, package.size);
    put(&section, package.data, package.size);
    return section;
}

#define DECLARE(...)                                                                                                   \
    (struct bytes)                                                                                                     \
    {                                                                                                                  \
        .data = {__VA_ARGS__}, .size = sizeof((uint8_t[]){__VA_ARGS__})                                                \
    }

static enum engine_status decode_declarations(struct bytes declarations, uint32_t count, struct component_types **types,
                                              struct engine_error *error)
{
    struct bytes section = world_of(&declarations, count, 1);
    return decode(section.data, section.size, types, error);
}

static void check_refused(struct bytes declarations, uint32_t count, enum engine_status wanted, const char *message)
{
    struct component_types *types;
    struct engine_error error;
    enum engine_status status = decode_declarations(declarations, count, &types, &error);
    if (status != wanted || !strstr(error.message, message)) {
        printf("FAIL %d, \"%s\" and not \"%s\"\n", status, error.message, message);
        checks_failed++;
    }
    component_types_release(types);
}

static void test_refused(void)
{
    check_refused(DECLARE(1, 0x72, 0), 1, ENGINE_INVALID, "record with nothing in it");
    check_refused(DECLARE(1, 0x70, 0), 1, ENGINE_INVALID, "0 is no value type");
    check_refused(DECLARE(1, 0x69, 0), 1, ENGINE_INVALID, "0 is no resource type");
    check_refused(DECLARE(1, 0x70, 0x7d, 1, 0x69, 0), 2, ENGINE_INVALID, "0 is no resource type");
    check_refused(DECLARE(1, 0x70, 0x40), 1, ENGINE_MALFORMED, "malformed value type");
    struct bytes flags = DECLARE(1, 0x6e, 33);
    for (unsigned i = 0; i < 33; i++) {
        put(&flags, "\1f", 2);
    }
    check_refused(flags, 1, ENGINE_LIMIT, "more than 32 flags");
    check_refused(DECLARE(1, 0x72, 0xff, 0xff, 0xff, 0xff, 0x0f), 1, ENGINE_MALFORMED, "length out of bounds");
    check_refused(DECLARE(1, 0x72, 1, 1, 7, 0x7d), 1, ENGINE_MALFORMED, "malformed name");
    check_refused(DECLARE(4, 0, 1, 'f', 1, 0), 1, ENGINE_INVALID, "0 is no function type");
    check_refused(DECLARE(2, 3, 2, 9, 0), 1, ENGINE_INVALID, "no scope that far out");
    check_refused(DECLARE(2, 3, 2, 1, 9), 1, ENGINE_INVALID, "9 is no type");
    check_refused(DECLARE(2, 3, 0, 0, 1, 'a'), 1, ENGINE_INVALID, "0 is no instance");
    check_refused(DECLARE(3, 0, 1, 'f', 5, 0), 1, ENGINE_MALFORMED, "malformed declaration");
    check_refused(DECLARE(4, 0, 1, 'r', 3, 1, 1, 0x68, 0, 1, 0x40, 0, 0, 1), 3, ENGINE_INVALID, "borrowed");
    check_refused(DECLARE(4, 2, 1, 'f', 1, 0), 1, ENGINE_UNSUPPORTED, "names with attributes");
}

/* Each type two of the one before: small bytes, a type of 2^n fields. */
static struct bytes doubled(uint32_t count, uint8_t first, uint8_t kind)
{
    struct bytes declarations = DECLARE(1, first);
    for (uint32_t i = 0; i < count; i++) {
        if (kind == 0x6f) { /* tuple */
            put(&declarations, "\x01\x6f\x02", 3);
            put_number(&declarations, i);
            put_number(&declarations, i);
        } else { /* result */
            put(&declarations, "\x01\x6a\x01", 3);
            put_number(&declarations, i);
            put(&declarations, "\x01", 1);
            put_number(&declarations, i);
        }
    }
    put(&declarations, "\x01\x40\x01\x01p", 5);
    put_number(&declarations, count);
    put(&declarations,
        "\x01\x00\x04\x00\x01"
        "f\x01",
        7);
    put_number(&declarations, count + 1);
    return declarations;
}

static void check_doubled(uint32_t count, uint8_t first, uint8_t kind, enum engine_status decoded,
                          enum engine_status planned)
{
    struct component_types *types;
    struct engine_error error;
    struct component_call call;
    char message[200];
    enum engine_status status = decode_declarations(doubled(count, first, kind), count + 3, &types, &error);
    CHECK(status == decoded);
    if (status == ENGINE_OK) {
        const struct component_function *function = &types->imports[0].functions[0];
        struct component_planner *planner = component_planner_create(&test_allocator);
        CHECK(component_call_plan(planner, function, &types->arena, &call) == planned);
        component_planner_destroy(planner);
        bool match = component_functions_match(function, function, message, sizeof(message));
        CHECK(match == (count < 14) || strstr(message, "too large to compare"));
    }
    component_types_release(types);
}

static void test_limits(void)
{
    check_doubled(10, 0x7d, 0x6f, ENGINE_OK, ENGINE_OK);       /* 1024 bytes, one step */
    check_doubled(11, 0x7f, 0x6f, ENGINE_OK, ENGINE_OK);       /* 2048 bools */
    check_doubled(13, 0x7f, 0x6f, ENGINE_OK, ENGINE_LIMIT);    /* 8192 of them */
    check_doubled(17, 0x7d, 0x6f, ENGINE_LIMIT, ENGINE_LIMIT); /* 128 KiB */
    check_doubled(20, 0x7f, 0x6a, ENGINE_OK, ENGINE_LIMIT);    /* 2^20 cases */
    check_doubled(23, 0x7f, 0x6a, ENGINE_LIMIT, ENGINE_LIMIT); /* too deep with the parameters */
    CHECK(memory_outstanding == 0);
}

/* Work that grows with the square of the section. */
static void test_much(void)
{
    static struct bytes declarations;
    struct component_types *types;
    struct engine_error error;
    uint8_t *large = calloc(COMPONENT_SECTION_BYTES_MAXIMUM + 1, 1);
    CHECK(decode(large, COMPONENT_SECTION_BYTES_MAXIMUM + 1, &types, &error) == ENGINE_LIMIT);
    CHECK(decode(large, COMPONENT_SECTION_BYTES_MAXIMUM, &types, &error) == ENGINE_MALFORMED);
    free(large);
    declarations.size = 0;
    put(&declarations, "\x01\x40\x00\x01\x00", 5);
    for (uint32_t i = 0; i <= COMPONENT_FUNCTIONS_MAXIMUM; i++) {
        put(&declarations,
            "\x04\x00\x01"
            "f\x01\x00",
            6);
    }
    CHECK(decode_declarations(declarations, COMPONENT_FUNCTIONS_MAXIMUM + 2, &types, &error) == ENGINE_LIMIT);
    CHECK(strstr(error.message, "more than 4096 functions") != NULL);
    CHECK(decode_declarations(declarations, COMPONENT_FUNCTIONS_MAXIMUM + 1, &types, &error) != ENGINE_OK);
    CHECK(memory_outstanding == 0);
}

/* Many interfaces of one instance with many types: nothing is allocated for what none of them has. */
static void test_interfaces_of_one(void)
{
    static struct bytes declarations;
    struct component_types *types;
    struct engine_error error;
    declarations.size = 0;
    put(&declarations, "\x01\x7f", 2);
    for (uint32_t i = 0; i < 2000; i++) {
        put(&declarations, "\x04\x00\x01t\x03\x00\x00", 7);
    }
    struct bytes section = world_of(&declarations, 2001, 400);
    CHECK(decode(section.data, section.size, &types, &error) == ENGINE_OK);
    CHECK(types->import_count == 400 && types->imports[399].function_count == 0);
    CHECK(memory_outstanding < 1000000);
    component_types_release(types);
    section = world_of(&declarations, 2001, 501);
    CHECK(decode(section.data, section.size, &types, &error) == ENGINE_LIMIT);
    CHECK(strstr(error.message, "too many aliases or interfaces") != NULL);
    CHECK(memory_outstanding == 0);
}

/* Many functions of one large type: their plans together are limited, too. */
static void test_many_plans(void)
{
    struct component_types *types;
    struct engine_error error;
    struct component_call call;
    CHECK(decode_declarations(doubled(10, 0x7f, 0x6f), 13, &types, &error) == ENGINE_OK);
    struct component_planner *planner = component_planner_create(&test_allocator);
    uint32_t made = 0;
    while (made < 512 &&
           component_call_plan(planner, &types->imports[0].functions[0], &types->arena, &call) == ENGINE_OK) {
        made++;
    }
    CHECK(made >= 32 && made <= 64 && memory_outstanding < 4000000);
    component_planner_destroy(planner);
    component_types_release(types);
    CHECK(memory_outstanding == 0);
}

/* ---- Functions that match ---- */

static bool match(struct bytes client, uint32_t client_count, struct bytes server, uint32_t server_count,
                  const char *message)
{
    struct component_types *types[2];
    struct engine_error error;
    char text[256] = "";
    CHECK(decode_declarations(client, client_count, &types[0], &error) == ENGINE_OK);
    CHECK(decode_declarations(server, server_count, &types[1], &error) == ENGINE_OK);
    bool same = component_functions_match(&types[0]->imports[0].functions[0], &types[1]->imports[0].functions[0], text,
                                          sizeof(text));
    if (strcmp(text, message) != 0) {
        printf("FAIL \"%s\" and not \"%s\"\n", text, message);
        checks_failed++;
    }
    CHECK(same == (types[0]->imports[0].functions[0].identity == types[1]->imports[0].functions[0].identity));
    component_types_release(types[0]);
    component_types_release(types[1]);
    return same;
}

/* f: func(level: record { code: TYPE }) -> RESULT */
#define LEVEL(type, ...)                                                                                               \
    DECLARE(1, 0x72, 1, 4, 'c', 'o', 'd', 'e', type, 1, 0x40, 1, 5, 'l', 'e', 'v', 'e', 'l', 0, __VA_ARGS__, 4, 0, 1,  \
            'f', 1, 1)

static void test_match(void)
{
    CHECK(match(LEVEL(0x79, 1, 0), 3, LEVEL(0x79, 1, 0), 3, ""));
    CHECK(!match(LEVEL(0x79, 1, 0), 3, LEVEL(0x77, 1, 0), 3, "f: level.code: the client has u32, the service u64"));
    CHECK(!match(LEVEL(0x79, 1, 0), 3, LEVEL(0x79, 0, 0x73), 3,
                 "f: result: the service has a string, the other nothing"));
    CHECK(!match(DECLARE(1, 0x6d, 1, 1, 'a', 1, 0x40, 1, 1, 'p', 0, 1, 0, 4, 0, 1, 'f', 1, 1), 3,
                 DECLARE(1, 0x6d, 1, 1, 'b', 1, 0x40, 1, 1, 'p', 0, 1, 0, 4, 0, 1, 'f', 1, 1), 3,
                 "f: p: the client has \"a\" where the service has \"b\""));
    CHECK(!match(DECLARE(1, 0x40, 1, 1, 'p', 0x7d, 1, 0, 4, 0, 1, 'f', 1, 0), 2,
                 DECLARE(1, 0x40, 0, 1, 0, 4, 0, 1, 'f', 1, 0), 2, "f: the client has 1 of what the service has 0 of"));
    CHECK(!match(DECLARE(1, 0x70, 0x7d, 1, 0x40, 1, 1, 'p', 0, 1, 0, 4, 0, 1, 'f', 1, 1), 3,
                 DECLARE(1, 0x70, 0x7f, 1, 0x40, 1, 1, 'p', 0, 1, 0, 4, 0, 1, 'f', 1, 1), 3,
                 "f: p.element: the client has u8, the service bool"));
    /* handles of two resources */
    CHECK(!match(DECLARE(4, 0, 1, 'r', 3, 1, 1, 0x69, 0, 1, 0x40, 1, 1, 'p', 1, 1, 0, 4, 0, 1, 'f', 1, 2), 4,
                 DECLARE(4, 0, 1, 's', 3, 1, 1, 0x69, 0, 1, 0x40, 1, 1, 'p', 1, 1, 0, 4, 0, 1, 'f', 1, 2), 4,
                 "f: p: the client has handles of t:t/i.r, the service of t:t/i.s"));
}

/* Types that are read, and refused where they are used. */
static void test_unusable(void)
{
    struct component_types *types;
    struct engine_error error;
    CHECK(decode_declarations(DECLARE(1, 0x66, 1, 0x7d, 1, 0x67, 0x7d, 4, 1, 0x63, 0x73, 0x7d, 1, 0x40, 1, 1, 'p', 0, 1,
                                      0, 4, 0, 1, 'f', 1, 3, 1, 0x43, 0, 1, 0, 4, 0, 1, 'g', 1, 4),
                              7, &types, &error) == ENGINE_OK);
    CHECK(types->imports[0].function_count == 2);
    CHECK(!types->imports[0].functions[0].usable && !types->imports[0].functions[1].usable);
    component_types_release(types);
}

int main(void)
{
    test_every();
    test_damaged();
    test_no_memory();
    test_refused();
    test_limits();
    test_much();
    test_interfaces_of_one();
    test_many_plans();
    test_match();
    test_unusable();
    CHECK(memory_outstanding == 0);
    return checks_report();
}
