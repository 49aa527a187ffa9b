/* libFuzzer target: types of the component model from any bytes, and transfers by them.
 *
 * An input is a 16-bit length, a section "component-type" of that length, and then the memory that values come from;
 * its first bytes are taken as flat values, too. Checked, besides what the sanitizers find: an error is filled exactly
 * when there is one; a type matches itself; what was transferred once goes through a second time and stays the same;
 * the destination gets nothing beyond what was allocated; memory is given back, and a refused allocation is survived.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/component/transfer.h"
#include "tests/fuzz/require.h"

#define DESTINATION_BYTES 65536
#define FLAT_VALUES       (COMPONENT_FLAT_PARAMETERS + 1)

static size_t outstanding;
static uint32_t until_refusal;

static void *memory_allocate(void *context, size_t bytes)
{
    (void)context;
    if (until_refusal && --until_refusal == 0) {
        return NULL;
    }
    outstanding += bytes;
    return memset(malloc(bytes ? bytes : 1), 0xa5, bytes);
}

static void memory_release(void *context, void *block, size_t bytes)
{
    (void)context;
    outstanding -= bytes;
    free(block);
}

struct input {
    uint8_t *memory; /* exactly as large as it is */
    size_t bytes;
    uint64_t flat[FLAT_VALUES];
};

static enum component_status pass_handle(struct component_transfer *transfer, const struct component_resource *resource,
                                         bool owned, uint32_t from, uint32_t *to)
{
    REQUIRE(transfer->handle == pass_handle && resource->name.length > 0);
    (void)owned;
    *to = from;
    return from == 13 ? COMPONENT_HANDLE : COMPONENT_OK;
}

static enum component_status transfer_once(const struct component_plan *plan, struct component_side *source,
                                           struct component_buffer *destination, const uint64_t *from, uint64_t *to)
{
    struct component_transfer transfer = {
        .source = source, .destination = &destination->side, .bytes_left = DESTINATION_BYTES, .handle = pass_handle};
    return component_transfer_parameters(&transfer, plan, from, to);
}

/* A result in memory is transferred as parameters in memory are. */
static void try_plan(const struct component_plan *plan, const struct input *input)
{
    static _Alignas(16) uint8_t first[DESTINATION_BYTES + 8], second[DESTINATION_BYTES + 8];
    uint64_t to[FLAT_VALUES] = {0}, again[FLAT_VALUES] = {0};
    struct component_side source = {.base = input->memory, .bytes = input->bytes};
    struct component_buffer once, twice;
    memset(first, 0, sizeof(first));
    memset(second, 0, sizeof(second));
    component_buffer_initialize(&once, first, DESTINATION_BYTES);
    component_buffer_initialize(&twice, second, DESTINATION_BYTES);
    REQUIRE(plan->flat_count <= COMPONENT_FLAT_PARAMETERS);
    enum component_status status = transfer_once(plan, &source, &once, input->flat, to);
    for (uint32_t i = once.used; i < sizeof(first); i++) {
        REQUIRE(first[i] == 0);
    }
    REQUIRE(status == COMPONENT_OK || component_status_is_of_source(status));
    if (status == COMPONENT_OK) {
        REQUIRE(transfer_once(plan, &once.side, &twice, to, again) == COMPONENT_OK);
        REQUIRE(once.used == twice.used && memcmp(first, second, once.used) == 0);
        REQUIRE(memcmp(to, again, sizeof(to)) == 0);
    }
}

static void try_function(const struct component_function *function, struct arena *arena, const struct input *input)
{
    char message[200] = "";
    struct component_call call;
    value_type types[COMPONENT_FLAT_PARAMETERS + 2];
    struct function_type type;
    bool same = component_functions_match(function, function, message, sizeof(message));
    REQUIRE(same || strstr(message, "too large to compare"));
    if (!function->usable) {
        return;
    }
    component_core_type(function, COMPONENT_IMPORTED, types, &type);
    REQUIRE(type.parameter_count <= COMPONENT_FLAT_PARAMETERS + 1 && type.result_count <= 1);
    component_core_type(function, COMPONENT_EXPORTED, types, &type);
    REQUIRE(type.parameter_count <= COMPONENT_FLAT_PARAMETERS && type.result_count <= 1);
    struct component_planner *planner = component_planner_create(arena->allocator);
    enum engine_status status = planner ? component_call_plan(planner, function, arena, &call) : ENGINE_NO_MEMORY;
    component_planner_destroy(planner);
    if (status == ENGINE_OK) {
        try_plan(&call.parameters, input);
        try_plan(&call.result, input);
    }
}

static void try_interfaces(const struct component_interface *interfaces, uint32_t count, struct arena *arena,
                           const struct input *input)
{
    uint32_t left = 4; /* functions: clearing the memories takes most of the time */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < interfaces[i].function_count && left; j++, left--) {
            try_function(&interfaces[i].functions[j], arena, input);
        }
    }
}

static struct input make_input(const uint8_t *data, size_t size)
{
    struct input input = {.memory = malloc(size ? size : 1), .bytes = size};
    memcpy(input.memory, data, size);
    memcpy(input.flat, data, size < sizeof(input.flat) ? size : sizeof(input.flat));
    return input;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine_allocator allocator = {NULL, memory_allocate, memory_release, NULL};
    if (size < 3) {
        return 0;
    }
    size_t section_size = data[0] | (size_t)data[1] << 8;
    section_size = section_size < size - 2 ? section_size : size - 2;
    until_refusal = data[size - 1] % 8 == 1 ? data[size - 1] / 8 + 1 : 0;
    uint8_t *section = malloc(section_size ? section_size : 1);
    memcpy(section, data + 2, section_size);
    struct component_types *types = NULL;
    struct engine_error error = {0};
    enum engine_status status = component_types_decode_section(section, section_size, &allocator, &types, &error);
    free(section); /* nothing may point into it */
    REQUIRE((status == ENGINE_OK) == (types != NULL));
    REQUIRE((status == ENGINE_OK || status == ENGINE_NO_MEMORY) == (error.message[0] == 0));
    if (types) {
        struct input input = make_input(data + 2 + section_size, size - 2 - section_size);
        try_interfaces(types->imports, types->import_count, &types->arena, &input);
        try_interfaces(types->exports, types->export_count, &types->arena, &input);
        free(input.memory);
    }
    component_types_release(types);
    REQUIRE(outstanding == 0);
    return 0;
}
