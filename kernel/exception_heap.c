/* An exception is a record of the collected heap (kernel/gc.h): as references those of its values that are some, as
 * bytes its tag and all of its values. */
#include "kernel/exception_heap.h"

#include "engine/base.h"
#include "kernel/exceptions.h"
#include "kernel/gc.h"
#include "kernel/instance_parts.h"
#include "kernel/signature.h"
#include "kernel/type_registry.h"

struct exception_record {
    const struct tag_object *tag;
    uint64_t padding;
    uint64_t values[][2];
};

uint32_t exception_heap_add(struct process *process, const struct tag_object *tag, const uint64_t (*values)[2])
{
    const struct function_type *type = signature_type(tag->signature);
    uint32_t references = 0;
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        references += type_may_refer_to_objects(type->types[i]);
    }
    if (gc_heap_require(process) != STATUS_OK) {
        return 0;
    }
    size_t bytes = type->parameter_count * sizeof(values[0]);
    uint32_t record =
        gc_allocate_record(process, GC_RECORD_EXCEPTION, references, sizeof(struct exception_record) + bytes);
    if (!record) {
        return 0;
    }
    struct exception_record *exception = gc_record_bytes(process, record);
    exception->tag = tag;
    memcpy(exception->values, values, bytes);
    uint32_t *reference = gc_record_references(process, record);
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        if (type_may_refer_to_objects(type->types[i])) {
            *reference++ = (uint32_t)values[i][0];
        }
    }
    return record;
}

const uint64_t (*exception_heap_values(struct process *process, uint32_t reference, const struct tag_object **tag))[2]
{
    const struct exception_record *exception = gc_record_bytes(process, reference);
    *tag = exception->tag;
    return exception->values;
}
