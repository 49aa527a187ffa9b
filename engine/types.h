/* WebAssembly types as the engine stores them (spec 2.3).
 *
 * A value type is one 32-bit word. The low byte is the code of the binary format (spec 5.3); for a reference to a
 * concrete type (0x63 nullable, 0x64 not) the type index stands in the upper 24 bits. So equality of types is
 * equality of words, except for subtyping of references, which goes through value_type_matches(). */
#ifndef ENGINE_TYPES_H
#define ENGINE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t value_type;

enum {
    VALUE_I32 = 0x7f,
    VALUE_I64 = 0x7e,
    VALUE_F32 = 0x7d,
    VALUE_F64 = 0x7c,
    VALUE_V128 = 0x7b,
    VALUE_FUNCREF = 0x70,
    VALUE_EXTERNREF = 0x6f,
    VALUE_BOTTOM = 0x00, /* the type of any operand in unreachable code (spec 3.3, "bot") */
};

static inline bool value_type_is_reference(value_type type)
{
    uint8_t code = (uint8_t)type;
    return code == VALUE_FUNCREF || code == VALUE_EXTERNREF || code == 0x63 || code == 0x64;
}

static inline bool value_type_is_float(value_type type)
{
    return type == VALUE_F32 || type == VALUE_F64;
}

/* Function type: parameters followed by results in one array owned by the module's arena. */
struct function_type {
    const value_type *types;
    uint32_t parameter_count;
    uint32_t result_count;
};

static inline const value_type *function_type_parameters(const struct function_type *type)
{
    return type->types;
}

static inline const value_type *function_type_results(const struct function_type *type)
{
    return type->types + type->parameter_count;
}

/* Structural equality (spec 3.2.3 for function types without subtyping). */
bool function_type_equal(const struct function_type *a, const struct function_type *b);

struct limits {
    uint64_t minimum;
    uint64_t maximum; /* UINT64_MAX when the module gives none */
    bool has_maximum;
    bool is_64; /* indices are i64 (memory64) */
};

static inline value_type limits_address_type(const struct limits *limits)
{
    return limits->is_64 ? VALUE_I64 : VALUE_I32;
}

struct table_type {
    value_type element;
    struct limits limits; /* in elements */
};

struct memory_type {
    struct limits limits; /* in pages of 64 KiB */
};

#define WASM_PAGE_BYTES UINT64_C(65536)
#define WASM_PAGES_MAXIMUM UINT64_C(65536)
#define WASM_PAGES_MAXIMUM_64 (UINT64_C(1) << 48)

struct global_type {
    value_type value;
    bool mutable_;
};

enum external_kind { EXTERNAL_FUNCTION, EXTERNAL_TABLE, EXTERNAL_MEMORY, EXTERNAL_GLOBAL, EXTERNAL_TAG };

/* Text such as "i32" or "(ref null 7)", for messages; returns `buffer`. */
const char *value_type_text(value_type type, char buffer[24]);

#endif
