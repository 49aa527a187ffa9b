/* Comparing results bit by bit: see value.h. */
#include "tests/spec/value.h"

#include "engine/base.h"
#include "engine/format.h"

static const struct {
    const char *text;
    value_type type; /* VALUE_BOTTOM: no single one */
} types[] = {
    [TYPE_I32] = {"i32", VALUE_I32},
    [TYPE_I64] = {"i64", VALUE_I64},
    [TYPE_F32] = {"f32", VALUE_F32},
    [TYPE_F64] = {"f64", VALUE_F64},
    [TYPE_V128] = {"v128", VALUE_V128},
    [TYPE_EXTERNREF] = {"externref", VALUE_EXTERNREF},
    [TYPE_FUNCREF] = {"funcref", VALUE_FUNCREF},
    [TYPE_OTHER] = {"reference", VALUE_BOTTOM},
    [TYPE_REFNULL] = {"null reference", VALUE_BOTTOM},
    [TYPE_EITHER] = {"either", VALUE_BOTTOM},
};

union value value_constant(const struct script_value *constant)
{
    union value value = {.bits = {0, 0}};
    uint8_t *to = (uint8_t *)value.bits;
    for (uint32_t i = 0, at = 0; i < constant->part_count && at + constant->parts[i].bytes <= sizeof(value); i++) {
        memcpy(to + at, &constant->parts[i].bits, constant->parts[i].bytes);
        at += constant->parts[i].bytes;
    }
    return value;
}

/* A NaN whose payload is the canonical one, or at least has its top bit (spec 4.3.3). */
static bool part_matches(const struct script_part *part, uint64_t bits)
{
    uint64_t quiet = part->bytes == 4 ? UINT64_C(0x7fc00000) : UINT64_C(0x7ff8000000000000);
    uint64_t sign = part->bytes == 4 ? UINT64_C(0x80000000) : UINT64_C(0x8000000000000000);
    switch (part->comparison) {
    case COMPARE_EXACT:
        return bits == part->bits;
    case COMPARE_NAN_CANONICAL:
        return (bits & ~sign) == quiet;
    case COMPARE_NAN_ARITHMETIC:
        return (bits & quiet) == quiet;
    case COMPARE_NULL:
        return bits == 0;
    case COMPARE_NOT_NULL:
        return bits != 0;
    }
    return false;
}

bool value_expected(struct script_reader *expectation, const union value *actual, value_type type)
{
    struct script_value expected = script_value(expectation);
    if (expected.type == TYPE_EITHER) {
        bool any = false;
        for (uint32_t i = 0; i < expected.part_count; i++)
            any |= value_expected(expectation, actual, type);
        return any;
    }
    value_type wanted = expected.type <= TYPE_EITHER ? types[expected.type].type : VALUE_BOTTOM;
    if (type != VALUE_BOTTOM && wanted != VALUE_BOTTOM && wanted != type &&
        !(value_type_is_reference(wanted) && value_type_is_reference(type)))
        return false;
    const uint8_t *from = (const uint8_t *)actual->bits;
    uint32_t at = 0;
    for (uint32_t i = 0; i < expected.part_count; i++) {
        const struct script_part *part = &expected.parts[i];
        if (at + part->bytes > sizeof(*actual))
            return false;
        uint64_t bits = 0;
        memcpy(&bits, from + at, part->bytes);
        if (!part_matches(part, bits))
            return false;
        at += part->bytes;
    }
    return !expectation->damaged;
}

const char *value_text(const union value *value, value_type type, char text[96])
{
    char name[24];
    value_type_text(type, name);
    if (type == VALUE_V128)
        format_text(text, 96, "%s 0x%016llx%016llx", name, (unsigned long long)value->bits[1],
                    (unsigned long long)value->bits[0]);
    else if (type == VALUE_I64 || type == VALUE_F64)
        format_text(text, 96, "%s 0x%016llx", name, (unsigned long long)value->i64);
    else
        format_text(text, 96, "%s 0x%08x", name, (unsigned)value->i32);
    return text;
}

const char *expectation_text(struct script_reader expectation, char text[96])
{
    static const char *const comparisons[] = {"", "nan:canonical", "nan:arithmetic", "null", "not null"};
    struct script_value expected = script_value(&expectation);
    if (expected.type == TYPE_EITHER) {
        format_text(text, 96, "one of %u values", (unsigned)expected.part_count);
        return text;
    }
    size_t used = format_text(text, 96, "%s", expected.type < TYPE_EITHER ? types[expected.type].text : "null");
    for (uint32_t i = expected.part_count; i-- > 0 && used < 96;) {
        const struct script_part *part = &expected.parts[i];
        if (part->comparison == COMPARE_EXACT)
            used += format_text(text + used, 96 - used, " 0x%0*llx", part->bytes * 2, (unsigned long long)part->bits);
        else
            used += format_text(text + used, 96 - used, " %s",
                                comparisons[part->comparison <= COMPARE_NOT_NULL ? part->comparison : 0]);
    }
    return text;
}
