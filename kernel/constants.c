/* Constant expressions in an instance, and what they make: globals' values, element segments' references, objects. */
#include "engine/base.h"
#include "kernel/gc.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"
#include "kernel/thread.h"
#include "kernel/type_registry.h"

static void read_global(const void *context, uint32_t index, uint64_t value[2])
{
    const struct instance *instance = context;
    memcpy(value, instance->globals[index]->cell, HEADER_GLOBAL_BYTES);
    if (instance->globals[index]->type.value == VALUE_I32) {
        value[0] = (uint32_t)value[0];
    }
}

static uint32_t function_reference(const void *context, uint32_t function)
{
    return instance_function_reference(context, function);
}

static uint32_t make_object(const void *context, uint32_t type_index, uint32_t length, const uint64_t (*values)[2],
                            uint32_t count)
{
    const struct instance *instance = context;
    uint32_t number = instance->module->signatures[type_index];
    const struct runtime_type *type = type_of_number(number);
    bool array = type->kind == DEFINED_ARRAY;
    uint32_t reference = object_create(instance->process, number, array ? length : OBJECT_NO_LENGTH);
    if (!reference) {
        instance->process->constants_failed = true;
        return 0;
    }
    uint8_t *object = gc_object(gc_heap_base(instance->process), reference);
    uint32_t members = array && count ? length : count;
    if (members <= count) {
        for (uint32_t i = 0; i < members; i++) {
            const struct field_type *field = &type->fields[array ? 0 : i];
            memcpy(object + field->offset + (array ? i * type->bytes : 0), values[i], storage_bytes(field->storage));
        }
    } else if (values[0][0] || values[0][1]) { /* an array of equal elements; without this it is zero already */
        fill_elements(object + type->fields[0].offset, type->bytes, values[0], length);
    }
    return reference;
}

/* The collector looks for references in a thread's scratch, too. */
static union value evaluate(const struct instance *instance, const struct constant_expression *expression)
{
    union value value = {.bits = {0, 0}};
    struct constant_environment environment = {.context = instance,
                                               .values = thread_scratch(CONSTANT_DEPTH_MAXIMUM * sizeof(uint64_t[2])),
                                               .read_global = read_global,
                                               .function_reference = function_reference,
                                               .make_object = make_object};
    if (environment.values) {
        constant_evaluate(instance->types, expression, &environment, value.bits);
    } else {
        instance->process->constants_failed = true;
    }
    return value;
}

union value instance_constant(const struct instance *instance, const struct constant_expression *expression)
{
    union value value = {.bits = {0, 0}};
    switch (expression->kind) {
    case CONSTANT_VALUE:
        value.bits[0] = expression->bits[0];
        value.bits[1] = expression->bits[1];
        break;
    case CONSTANT_REF_FUNC:
        value.i32 = instance_function_reference(instance, expression->index);
        break;
    case CONSTANT_GLOBAL_GET:
        memcpy(&value, instance->globals[expression->index]->cell, sizeof(value));
        break;
    case CONSTANT_CODE:
        value = evaluate(instance, expression);
        break;
    case CONSTANT_REF_NULL:
        break;
    }
    return value;
}

enum status instance_prepare_elements(struct instance *instance)
{
    for (uint32_t i = 0; i < instance->types->element_segment_count; i++) {
        const struct element_segment *segment = &instance->types->element_segments[i];
        if (segment->functions ||
            !type_may_refer_to_objects(type_translate(instance->module->signatures, segment->type))) {
            continue;
        }
        uint32_t *references = instance->elements[i]; /* there already when the instance is renewed */
        if (!references) {
            references =
                arena_allocate_array(&instance->process->arena, max_u64(segment->count, 1), sizeof(*references));
        }
        if (!references) {
            return STATUS_NO_MEMORY;
        }
        for (uint32_t k = 0; k < segment->count; k++) {
            references[k] = instance_constant(instance, &segment->expressions[k]).i32;
        }
        instance->elements[i] = references;
    }
    return STATUS_OK;
}

void instance_element_references(struct instance *instance, uint32_t segment_index, uint32_t first, uint32_t count,
                                 uint32_t *to)
{
    const struct element_segment *segment = &instance->types->element_segments[segment_index];
    for (uint32_t i = first; i < first + count; i++, to++) {
        *to = instance->elements[segment_index] ? instance->elements[segment_index][i]
              : segment->functions              ? instance_function_reference(instance, segment->functions[i])
                                                : instance_constant(instance, &segment->expressions[i]).i32;
    }
}
