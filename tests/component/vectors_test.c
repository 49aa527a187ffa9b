/* The canonical ABI against the component model's reference implementation: vectors that tests/component/make_vectors
 * made.
 *
 * A line is words. "function SECTION": the function "f" of the import "t:t/i" in a section "component-type", as
 * hexadecimal digits. "core IMPORTED EXPORTED": its core types. "parameters" and "result": a transfer from MEMORY (its
 * bytes from address 8 on, "-" for none), COUNT flat values, and then "trap", or "ok", the bytes that the other memory
 * has after it from address 8 on, and the flat values there. Every damaged and undamaged vector is also run with less
 * and less memory and with every allocation refused, which must be noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/component/transfer.h"
#include "kernel/host_call.h"
#include "tests/engine/support.h"

#define START             8
#define MEMORY_BYTES      16384
#define FLAT_MAXIMUM      17
#define LINE_MAXIMUM      65536
#define DESTINATION_BYTES 16384

struct function_under_test {
    struct component_types *types;
    struct component_call call;
    const struct component_function *function;
};

static int line_number;
static struct component_planner *planner;

#define CHECK_LINE(condition)                                                                                          \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            checks_passed++;                                                                                           \
        } else {                                                                                                       \
            checks_failed++;                                                                                           \
            printf("FAIL line %d: %s (%s:%d)\n", line_number, #condition, __FILE__, __LINE__);                         \
        }                                                                                                              \
    } while (0)

static size_t parse_bytes(const char *text, uint8_t *bytes)
{
    size_t count = 0;
    for (; text && text[0] != '-' && text[0] && text[1]; text += 2) {
        char digits[3] = {text[0], text[1], 0};
        bytes[count++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

static void release(struct function_under_test *test)
{
    component_types_release(test->types);
    *test = (struct function_under_test){0};
}

static void read_function(struct function_under_test *test)
{
    static uint8_t bytes[LINE_MAXIMUM];
    struct engine_error error = {0};
    release(test);
    size_t size = parse_bytes(strtok(NULL, " "), bytes);
    if (component_types_decode_section(bytes, size, &test_allocator, &test->types, &error) != ENGINE_OK) {
        printf("FAIL line %d: %s\n", line_number, error.message);
        exit(1);
    }
    test->function = component_find_function(test->types->imports, test->types->import_count, (struct name){"t:t/i", 5},
                                             (struct name){"f", 1});
    CHECK_LINE(test->function && test->function->usable);
    CHECK_LINE(component_call_plan(planner, test->function, &test->types->arena, &test->call) == ENGINE_OK);
}

static void check_core_type(const struct function_under_test *test, enum component_role role, const char *expected)
{
    value_type wanted_types[HOST_SIGNATURE_VALUES], types[COMPONENT_FLAT_PARAMETERS + 2];
    struct function_type wanted, type;
    CHECK_LINE(host_signature_parse(expected, wanted_types, &wanted));
    component_core_type(test->function, role, types, &type);
    CHECK_LINE(type.parameter_count == wanted.parameter_count && type.result_count == wanted.result_count &&
               memcmp(types, wanted_types, (wanted.parameter_count + wanted.result_count) * sizeof(*types)) == 0);
}

struct vector {
    uint8_t source[MEMORY_BYTES], expected[MEMORY_BYTES];
    uint32_t source_bytes, expected_bytes;
    uint64_t flat[FLAT_MAXIMUM], expected_flat[FLAT_MAXIMUM];
    uint32_t flat_count;
    bool traps;
};

static void read_vector(struct vector *vector)
{
    memset(vector, 0, sizeof(*vector));
    vector->source_bytes = START + (uint32_t)parse_bytes(strtok(NULL, " "), vector->source + START);
    vector->flat_count = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    for (uint32_t i = 0; i < vector->flat_count; i++) {
        vector->flat[i] = strtoull(strtok(NULL, " "), NULL, 16);
    }
    vector->traps = strcmp(strtok(NULL, " "), "trap") == 0;
    if (!vector->traps) {
        vector->expected_bytes = START + (uint32_t)parse_bytes(strtok(NULL, " "), vector->expected + START);
        for (uint32_t i = 0; i < vector->flat_count; i++) {
            vector->expected_flat[i] = strtoull(strtok(NULL, " "), NULL, 16);
        }
    }
}

static enum component_status run(const struct function_under_test *test, bool is_result, const struct vector *vector,
                                 struct component_buffer *destination, uint32_t source_bytes, uint64_t *to)
{
    /* Exactly as large as it is, so that the sanitizer sees what lies beyond. */
    uint8_t *memory = malloc(source_bytes);
    memcpy(memory, vector->source, source_bytes);
    struct component_side source = {.base = memory, .bytes = source_bytes};
    struct component_transfer transfer = {
        .source = &source, .destination = &destination->side, .bytes_left = UINT32_MAX};
    enum component_status status;
    if (!is_result) {
        status = component_transfer_parameters(&transfer, &test->call.parameters, vector->flat, to);
    } else {
        const struct component_plan *plan = &test->call.result;
        uint32_t address = 0;
        status = COMPONENT_OK;
        if (plan->in_memory) {
            status = destination->side.allocate(&destination->side, plan->alignment, plan->bytes, &address);
            to[0] = address;
        }
        if (status == COMPONENT_OK) {
            status = component_transfer_result(&transfer, plan, vector->flat[0], address, to);
        }
    }
    free(memory);
    return status;
}

static void check_vector(const struct function_under_test *test, bool is_result, const struct vector *vector)
{
    static _Alignas(16) uint8_t memory[DESTINATION_BYTES];
    struct component_buffer destination;
    uint64_t to[FLAT_MAXIMUM];
    memset(to, 0xa5, sizeof(to));
    memset(memory, 0, sizeof(memory));
    component_buffer_initialize(&destination, memory, sizeof(memory));
    enum component_status status = run(test, is_result, vector, &destination, vector->source_bytes, to);
    CHECK_LINE((status != COMPONENT_OK) == vector->traps && (status == COMPONENT_OK || status < COMPONENT_HANDLE));
    if (vector->traps || status != COMPONENT_OK) {
        return;
    }
    uint32_t used = destination.used;
    CHECK_LINE(used == vector->expected_bytes && memcmp(memory, vector->expected, used) == 0);
    CHECK_LINE(memcmp(to, vector->expected_flat, vector->flat_count * sizeof(*to)) == 0);
    for (uint32_t room = START; room < used; room += 1 + used / 8) {
        component_buffer_initialize(&destination, memory, room);
        CHECK_LINE(run(test, is_result, vector, &destination, vector->source_bytes, to) == COMPONENT_LARGE);
    }
    component_buffer_initialize(&destination, memory, sizeof(memory));
    if (vector->source_bytes > START) {
        status = run(test, is_result, vector, &destination, START, to);
        CHECK_LINE(status == COMPONENT_OK || component_status_is_of_source(status));
    }
}

int main(int argument_count, char **arguments)
{
    static char line[LINE_MAXIMUM];
    static struct vector vector;
    struct function_under_test test = {0};
    planner = component_planner_create(&test_allocator);
    FILE *file = fopen(argument_count > 1 ? arguments[1] : "tests/component/vectors.txt", "r");
    CHECK(file != NULL);
    while (file && fgets(line, sizeof(line), file)) {
        line_number++;
        line[strcspn(line, "\n")] = 0;
        const char *word = strtok(line, " ");
        if (strcmp(word, "function") == 0) {
            read_function(&test);
        } else if (strcmp(word, "core") == 0) {
            check_core_type(&test, COMPONENT_IMPORTED, strtok(NULL, " "));
            check_core_type(&test, COMPONENT_EXPORTED, strtok(NULL, " "));
        } else {
            bool is_result = strcmp(word, "result") == 0;
            read_vector(&vector);
            check_vector(&test, is_result, &vector);
        }
    }
    CHECK(line_number > 500);
    release(&test);
    component_planner_destroy(planner);
    CHECK(memory_outstanding == 0);
    return checks_report();
}
