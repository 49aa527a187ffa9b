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
    case VALUE_FUNCREF:
        text = "funcref";
        break;
    case VALUE_EXTERNREF:
        text = "externref";
        break;
    case VALUE_BOTTOM:
        text = "any type";
        break;
    case 0x63:
        format_text(buffer, 24, "(ref null %u)", type >> 8);
        return buffer;
    case 0x64:
        format_text(buffer, 24, "(ref %u)", type >> 8);
        return buffer;
    default:
        format_text(buffer, 24, "type 0x%x", type & 0xff);
        return buffer;
    }
    format_text(buffer, 24, "%s", text);
    return buffer;
}
