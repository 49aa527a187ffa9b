/* The builtins that make, fill and copy objects. Indices are those of the module and were validated; references are of
 * the right type, or null, which is a trap. */
#include "engine/base.h"
#include "kernel/builtins.h"
#include "kernel/gc.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"
#include "kernel/thread.h"
#include "kernel/type_registry.h"

static uint32_t type_number(const struct instance *instance, uint32_t type)
{
    return instance->module->signatures[type];
}

static uint32_t required(struct instance *instance, uint32_t reference)
{
    if (!reference) {
        instance_trap(instance, TRAP_OUT_OF_MEMORY, "collected heap");
    }
    return reference;
}

/* An array as C sees it. */
struct array {
    uint32_t length;
    uint32_t bytes; /* of an element */
    uint8_t *elements;
};

static struct array array_of(struct instance *instance, uint32_t reference)
{
    if (!reference) {
        instance_trap(instance, TRAP_NULL_ARRAY, NULL);
    }
    uint8_t *object = gc_object(instance->header->heap, reference);
    uint32_t header[2];
    memcpy(header, object, sizeof(header));
    return (struct array){header[1], type_of_number(header[0])->bytes, object + OBJECT_HEADER_BYTES};
}

/* `count` elements from `start` on; the guest ends when they are not all there. */
static uint8_t *array_range(struct instance *instance, const struct array *array, uint32_t start, uint32_t count)
{
    if (!range_is_inside(start, count, array->length)) {
        instance_trap(instance, TRAP_ARRAY_OUT_OF_BOUNDS, NULL);
    }
    return array->elements + (uint64_t)start * array->bytes;
}

uint32_t object_create(struct process *process, uint32_t number, uint32_t length)
{
    const struct runtime_type *type = type_of_number(number);
    uint64_t bytes = type->bytes;
    if (type->kind == DEFINED_ARRAY) {
        bytes = OBJECT_HEADER_BYTES + bytes * length;
    }
    return length == OBJECT_NO_LENGTH && type->kind == DEFINED_ARRAY ? 0 : gc_allocate(process, number, length, bytes);
}

/* The same element again and again, given by its bits; those of a vector are in the header. */
static void fill_array(const struct instance *instance, uint8_t *to, uint32_t bytes, uint64_t element, uint64_t count)
{
    uint64_t bits[2] = {element, 0};
    if (bytes == sizeof(bits)) { /* copied, since the guest may run while there is a checkpoint */
        memcpy(bits, instance->header->vector, sizeof(bits));
    }
    fill_elements(to, bytes, bits, count);
}

/* The reference is here until now, where the collector finds it: the guest may have forgotten it, and an address in the
 * object's middle keeps nothing. For all that touches an object behind a checkpoint. */
static void keep(uint32_t reference)
{
    __asm__ volatile("" : : "r"(reference) : "memory");
}

uint32_t builtin_struct_new(struct instance *instance, uint32_t type)
{
    return required(instance, object_create(instance->process, type_number(instance, type), OBJECT_NO_LENGTH));
}

uint32_t builtin_array_new_default(struct instance *instance, uint32_t type, uint32_t length)
{
    return required(instance, object_create(instance->process, type_number(instance, type), length));
}

uint32_t builtin_array_new(struct instance *instance, uint32_t type, uint64_t element, uint32_t length)
{
    uint32_t reference = builtin_array_new_default(instance, type, length);
    struct array array = array_of(instance, reference);
    if (element || array.bytes == sizeof(instance->header->vector)) { /* the rest is zero already */
        fill_array(instance, array.elements, array.bytes, element, length);
    }
    keep(reference);
    return reference;
}

/* `count` elements' bytes in a data segment. */
static const uint8_t *data_range(struct instance *instance, uint32_t segment_index, uint32_t from, uint32_t count,
                                 uint32_t bytes)
{
    const struct data_segment *segment = &instance->types->data_segments[segment_index];
    uint64_t size = instance->dropped_data[segment_index] ? 0 : segment->size;
    if (!range_is_inside(from, (uint64_t)count * bytes, size)) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, NULL);
    }
    return segment->bytes + from;
}

static void check_elements(struct instance *instance, uint32_t segment, uint32_t from, uint32_t count)
{
    uint64_t size = instance->dropped_elements[segment] ? 0 : instance->types->element_segments[segment].count;
    if (!range_is_inside(from, count, size)) {
        instance_trap(instance, TRAP_TABLE_OUT_OF_BOUNDS, NULL);
    }
}

uint32_t builtin_array_new_data(struct instance *instance, uint32_t type, uint32_t segment, uint32_t from,
                                uint32_t length)
{
    uint32_t bytes = instance->types->defined_types[type].bytes;
    const uint8_t *source = data_range(instance, segment, from, length, bytes);
    uint32_t reference = builtin_array_new_default(instance, type, length);
    move_bytes(array_of(instance, reference).elements, source, (uint64_t)length * bytes);
    keep(reference);
    return reference;
}

#define PIECE_ENTRIES 4096 /* between two checkpoints */

/* References of a segment into the array of `reference`. */
static void store_elements(struct instance *instance, uint32_t segment, uint32_t from, uint32_t count, uint8_t *to,
                           uint32_t reference)
{
    uint32_t piece;
    for (uint32_t done = 0; done < count; done += piece) {
        piece = (uint32_t)min_u64(count - done, PIECE_ENTRIES);
        instance_element_references(instance, segment, from + done, piece, (uint32_t *)to + done);
        if (done + piece < count) {
            thread_checkpoint();
        }
    }
    keep(reference);
}

uint32_t builtin_array_new_element(struct instance *instance, uint32_t type, uint32_t segment, uint32_t from,
                                   uint32_t length)
{
    check_elements(instance, segment, from, length);
    uint32_t reference = builtin_array_new_default(instance, type, length);
    store_elements(instance, segment, from, length, array_of(instance, reference).elements, reference);
    return reference;
}

void builtin_array_fill(struct instance *instance, uint32_t reference, uint32_t index, uint64_t element, uint32_t count)
{
    struct array array = array_of(instance, reference);
    fill_array(instance, array_range(instance, &array, index, count), array.bytes, element, count);
    keep(reference);
}

void builtin_array_copy(struct instance *instance, uint32_t to_reference, uint32_t to, uint32_t from_reference,
                        uint32_t from, uint32_t count)
{
    struct array target = array_of(instance, to_reference), source = array_of(instance, from_reference);
    uint8_t *at = array_range(instance, &target, to, count);
    move_bytes(at, array_range(instance, &source, from, count), (uint64_t)count * target.bytes);
    keep(to_reference);
    keep(from_reference);
}

void builtin_array_init_data(struct instance *instance, uint32_t segment, uint32_t reference, uint32_t to,
                             uint32_t from, uint32_t count)
{
    struct array array = array_of(instance, reference);
    uint8_t *at = array_range(instance, &array, to, count);
    move_bytes(at, data_range(instance, segment, from, count, array.bytes), (uint64_t)count * array.bytes);
    keep(reference);
}

void builtin_array_init_element(struct instance *instance, uint32_t segment, uint32_t reference, uint32_t to,
                                uint32_t from, uint32_t count)
{
    struct array array = array_of(instance, reference);
    uint8_t *at = array_range(instance, &array, to, count);
    check_elements(instance, segment, from, count);
    store_elements(instance, segment, from, count, at, reference);
}
