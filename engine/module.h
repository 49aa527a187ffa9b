/* A decoded module: everything of the binary format (spec chapter 5) but the bodies of functions, which stay bytes.
 *
 * All arrays live in the module's arena; `bytes` belongs to the caller and must outlive the module (names, data
 * segments and function bodies point into it). A module is immutable once module_decode returned it, so any number of
 * threads may read it. */
#ifndef ENGINE_MODULE_H
#define ENGINE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/allocator.h"
#include "engine/error.h"
#include "engine/types.h"

/* A name: UTF-8, checked, not terminated, inside the module's bytes. */
struct name {
    const char *text;
    uint32_t length;
};

#define NO_REFERENCE UINT32_MAX

struct function {
    uint32_t type;         /* index in module.types */
    uint32_t reference;    /* dense index among the functions whose reference can be taken (exported, in an element
                              segment, in a global's initializer, so also every valid ref.func), or NO_REFERENCE */
    uint32_t body_offset;  /* in module.bytes: first byte after the body's size; 0 for imports */
    uint32_t body_size;    /* locals and code, without the size field */
};

struct table {
    struct table_type type;
    struct constant_expression *initializer; /* NULL: null references (always, in 2.0) */
};

struct global {
    struct global_type type;
    struct constant_expression *initializer; /* NULL for imports */
};

/* A constant expression (spec 3.3.10), already validated and reduced. In 2.0 it is a single instruction; of the extended
 * ones of 3.0 (i32.add ...) those that need a global are CONSTANT_CODE: bytes for constant_evaluate. */
enum constant_kind { CONSTANT_VALUE, CONSTANT_REF_NULL, CONSTANT_REF_FUNC, CONSTANT_GLOBAL_GET, CONSTANT_CODE };
struct constant_expression {
    enum constant_kind kind;
    value_type type;
    uint64_t bits[2];        /* CONSTANT_VALUE: the bit pattern, low word first */
    uint32_t index;          /* CONSTANT_REF_FUNC: function; CONSTANT_GLOBAL_GET: global */
    uint32_t offset, length; /* CONSTANT_CODE: where in the module's bytes, `end` included */
};

struct import {
    struct name module;
    struct name field;
    enum external_kind kind;
    uint32_t index; /* in the index space of its kind */
};

struct export {
    struct name field;
    enum external_kind kind;
    uint32_t index;
};

/* An export as module_find_export looks for it. */
struct export_key {
    uint32_t hash; /* of the name */
    uint32_t index; /* in module.exports */
};

enum segment_mode { SEGMENT_PASSIVE, SEGMENT_ACTIVE, SEGMENT_DECLARATIVE };

struct element_segment {
    enum segment_mode mode;
    value_type type;
    uint32_t table;                          /* SEGMENT_ACTIVE */
    struct constant_expression *offset;      /* SEGMENT_ACTIVE */
    uint32_t count;
    const uint32_t *functions;               /* function indices, or NULL when expressions are given */
    struct constant_expression *expressions; /* `count` of them, or NULL */
};

struct data_segment {
    enum segment_mode mode;
    uint32_t memory;
    struct constant_expression *offset;
    const uint8_t *bytes;
    uint32_t size;
};

struct custom_section {
    struct name name;
    uint32_t offset, size; /* of the contents, behind the name */
};

struct section_extent { /* for `tessera inspect` */
    uint8_t id;
    uint32_t offset, size;
};

struct module {
    const uint8_t *bytes;
    size_t size;
    struct arena arena;

    uint32_t type_count;
    struct function_type *types;         /* without parameters and results for types that are not of functions */
    struct defined_type *defined_types;  /* in parallel */
    value_type (*type_references)[2];    /* for each type: (ref t) and (ref null t), for lists of one type */

    /* Index spaces: imports first, then the module's own (spec 2.5.1). */
    uint32_t function_count, function_import_count;
    struct function *functions;
    uint32_t function_reference_count; /* number of functions whose `reference` is set */
    uint32_t table_count, table_import_count;
    struct table *tables;
    uint32_t memory_count, memory_import_count;
    struct memory_type *memories;
    uint32_t global_count, global_import_count;
    struct global *globals;
    uint32_t tag_count, tag_import_count;
    uint32_t *tags; /* type index of each */

    uint32_t import_count;
    struct import *imports;
    uint32_t export_count;
    struct export *exports;
    struct export_key *exports_by_name; /* in the order that module_find_export searches */
    uint32_t element_segment_count;
    struct element_segment *element_segments;
    uint32_t data_segment_count;
    struct data_segment *data_segments;
    uint32_t start; /* function index, or UINT32_MAX */
    bool has_data_count;

    uint32_t custom_section_count;
    struct custom_section *custom_sections;
    uint32_t section_count;
    struct section_extent *sections;
    uint64_t code_bytes; /* sum of the body sizes */
};

/* Decode and validate `bytes` except for the function bodies (each body's extent is checked, its contents by
 * function_validate). `*result` is written only on ENGINE_OK, and belongs to the caller until module_release. */
enum engine_status module_decode(const uint8_t *bytes, size_t size, const struct engine_allocator *allocator,
                                 struct module **result, struct engine_error *error);
void module_release(struct module *module);

/* So many values an expression has at once, at most. */
#define CONSTANT_DEPTH_MAXIMUM 256

/* What a CONSTANT_CODE expression asks of the instance that it is evaluated for; `context` is handed to each. */
struct constant_environment {
    const void *context;
    uint64_t (*values)[2]; /* room for CONSTANT_DEPTH_MAXIMUM: too much for some stacks */
    /* The value of an immutable global with a smaller index; an i32 is zero-extended. */
    void (*read_global)(const void *context, uint32_t index, uint64_t value[2]);
    uint32_t (*function_reference)(const void *context, uint32_t function);
    /* A new object of a structure or array type, or null without memory. `count` values: for each field or element one,
     * or a single one for all elements, or none: zeros. `length` is that of an array. */
    uint32_t (*make_object)(const void *context, uint32_t type, uint32_t length, const uint64_t (*values)[2],
                            uint32_t count);
};
void constant_evaluate(const struct module *module, const struct constant_expression *expression,
                       const struct constant_environment *environment, uint64_t value[2]);

/* The name of function `index` from the name section, else from an export or import, else length 0. A damaged name
 * section is no error (spec A.4): it just names nothing. Linear in the section: for diagnostics. */
struct name module_function_name(const struct module *module, uint32_t index);

/* The export of that name (names of exports are unique), or NULL. Takes logarithmic time. */
const struct export *module_find_export(const struct module *module, const char *field, size_t length);

#endif
