/* WebAssembly types as the engine stores them (spec 2.3).
 *
 * A value type is one 32-bit word. The low byte is the code of the binary format (spec 5.3). A nullable reference to an
 * abstract heap type is that type's code; every other reference is 0x63 (nullable) or 0x64 (not) with the heap type in
 * the upper 24 bits. Type indices in value types are canonical (struct defined_type), so equality of types is equality
 * of words; subtyping goes through value_type_matches (engine/subtype.h). */
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
    VALUE_REF_NULL = 0x63,
    VALUE_REF = 0x64,
    VALUE_I16 = 0x77, /* packed, in fields only */
    VALUE_I8 = 0x78,
    VALUE_BOTTOM = 0x00, /* the type of any operand in unreachable code (spec 3.3, "bot") */
};

/* A heap type: the index of a defined type, or HEAP_ABSTRACT with a code (spec 5.3.3). */
typedef uint32_t heap_type;
#define HEAP_ABSTRACT UINT32_C(0xffff00)
enum {
    HEAP_EXN = HEAP_ABSTRACT | 0x69,
    HEAP_ARRAY = HEAP_ABSTRACT | 0x6a,
    HEAP_STRUCT = HEAP_ABSTRACT | 0x6b,
    HEAP_I31 = HEAP_ABSTRACT | 0x6c,
    HEAP_EQ = HEAP_ABSTRACT | 0x6d,
    HEAP_ANY = HEAP_ABSTRACT | 0x6e,
    HEAP_EXTERN = HEAP_ABSTRACT | 0x6f,
    HEAP_FUNC = HEAP_ABSTRACT | 0x70,
    HEAP_NONE = HEAP_ABSTRACT | 0x71,
    HEAP_NOEXTERN = HEAP_ABSTRACT | 0x72,
    HEAP_NOFUNC = HEAP_ABSTRACT | 0x73,
    HEAP_NOEXN = HEAP_ABSTRACT | 0x74,
};

static inline bool heap_type_is_abstract(heap_type heap)
{
    return heap >= HEAP_ABSTRACT;
}

static inline value_type reference_type(heap_type heap, bool nullable)
{
    if (nullable && heap_type_is_abstract(heap)) {
        return heap & 0xff;
    }
    return heap << 8 | (nullable ? VALUE_REF_NULL : VALUE_REF);
}

static inline bool value_type_is_reference(value_type type)
{
    uint8_t code = (uint8_t)type;
    return (code >= 0x69 && code <= 0x74) || code == VALUE_REF_NULL || code == VALUE_REF;
}

/* Of a reference: what it refers to, and whether null is one of its values. */
static inline heap_type value_type_heap(value_type type)
{
    uint8_t code = (uint8_t)type;
    return code == VALUE_REF_NULL || code == VALUE_REF ? type >> 8 : HEAP_ABSTRACT | code;
}

static inline bool value_type_is_nullable(value_type type)
{
    return (uint8_t)type != VALUE_REF;
}

/* Of the class that lives in xmm registers: vectors are placed as floats are. */
static inline bool value_type_is_float(value_type type)
{
    return type == VALUE_F32 || type == VALUE_F64 || type == VALUE_V128;
}

/* Bytes that a value takes in memory: of a field, packed or not. */
static inline uint32_t storage_bytes(value_type storage)
{
    switch (storage) {
    case VALUE_I8:
        return 1;
    case VALUE_I16:
        return 2;
    case VALUE_I64:
    case VALUE_F64:
        return 8;
    case VALUE_V128:
        return 16;
    default: /* references are 32-bit numbers */
        return 4;
    }
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

/* ---- Defined types (spec 2.3.8): one for each entry of the type section's recursion groups ---- */
#define NO_TYPE UINT32_MAX

struct field_type {
    value_type storage; /* a value type, VALUE_I8 or VALUE_I16 */
    uint32_t offset;    /* from the start of the object; of an array's first element */
    bool mutable_;
};

/* What an object of the collected heap starts with, before its fields: see engine/x64/abi.h. */
#define OBJECT_HEADER_BYTES 8

/* The type that a field's value has on the operand stack. */
static inline value_type unpacked_type(value_type storage)
{
    return storage == VALUE_I8 || storage == VALUE_I16 ? VALUE_I32 : storage;
}

enum defined_kind { DEFINED_FUNCTION, DEFINED_STRUCT, DEFINED_ARRAY };

struct defined_type {
    uint8_t kind; /* enum defined_kind */
    bool final;
    uint16_t depth;       /* number of supertypes above it */
    uint32_t supertype;   /* canonical index, or NO_TYPE */
    uint32_t canonical;   /* index of the first equal type of the module, which stands for all of them */
    uint32_t group;       /* first index of the recursion group */
    uint32_t group_count; /* types in the group */
    uint32_t bytes;       /* of an object, header included; of an array: of one element */
    uint32_t field_count; /* of a structure; an array has one field, its element */
    const struct field_type *fields;
};

struct limits {
    uint64_t minimum;
    uint64_t maximum; /* UINT64_MAX when the module gives none */
    bool has_maximum;
    bool is_64; /* indices are i64 (memory64) */
    bool shared; /* a memory for several threads: has a maximum */
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
    struct limits limits; /* in pages */
    bool byte_pages;      /* pages of a byte instead of 64 KiB (custom-page-sizes) */
};

#define WASM_PAGE_BYTES       UINT64_C(65536)
#define WASM_PAGES_MAXIMUM    UINT64_C(65536)
#define WASM_PAGES_MAXIMUM_64 (UINT64_C(1) << 48)

static inline uint64_t memory_page_bytes(const struct memory_type *type)
{
    return type->byte_pages ? 1 : WASM_PAGE_BYTES;
}

struct global_type {
    value_type value;
    bool mutable_;
};

enum external_kind { EXTERNAL_FUNCTION, EXTERNAL_TABLE, EXTERNAL_MEMORY, EXTERNAL_GLOBAL, EXTERNAL_TAG };

/* Text such as "i32" or "(ref null 7)", for messages; returns `buffer`. */
const char *value_type_text(value_type type, char buffer[24]);

#endif
