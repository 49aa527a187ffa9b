/* Comparison and text of types. */
#include "engine/types.h"

#include "engine/base.h"
#include "engine/format.h"

bool function_type_equal(const struct function_type *a, const struct function_type *b)
{
    if (a->parameter_count != b->parameter_count || a->result_count != b->result_count) {
        return false;
    }
    size_t count = (size_t)a->parameter_count + a->result_count;
    return count == 0 || memcmp(a->types, b->types, count * sizeof(value_type)) == 0;
}

static void reference_text(value_type type, char buffer[24])
{
    static const char *const names[] = {"exn",    "array", "struct", "i31",      "eq",     "any",
                                        "extern", "func",  "none",   "noextern", "nofunc", "noexn"};
    heap_type heap = value_type_heap(type);
    const char *null = value_type_is_nullable(type) ? "null " : "";
    if (!value_type_is_reference(type)) {
        format_text(buffer, 24, "type 0x%x", type & 0xff);
    } else if (!heap_type_is_abstract(heap)) {
        format_text(buffer, 24, "(ref %s%u)", null, heap);
    } else if (heap == HEAP_FUNC && *null) {
        format_text(buffer, 24, "funcref");
    } else if (heap == HEAP_EXTERN && *null) {
        format_text(buffer, 24, "externref");
    } else {
        format_text(buffer, 24, "(ref %s%s)", null, names[heap - HEAP_EXN]);
    }
}

const char *value_type_text(value_type type, char buffer[24])
{
    const char *text = NULL;
    switch ((uint8_t)type) {
    case VALUE_I32:
        text = "i32";
        break;
    case VALUE_I64:
        text = "i64";
        break;
    case VALUE_F32:
        text = "f32";
        break;
    case VALUE_F64:
        text = "f64";
        break;
    case VALUE_V128:
        text = "v128";
        break;
    case VALUE_I8:
        text = "i8";
        break;
    case VALUE_I16:
        text = "i16";
        break;
    case VALUE_BOTTOM:
        text = "any type";
        break;
    default:
        reference_text(type, buffer);
        return buffer;
    }
    format_text(buffer, 24, "%s", text);
    return buffer;
}
