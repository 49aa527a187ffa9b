/* Types of the component model: what a module says about the interfaces that it uses and offers.
 *
 * A tool such as wit-bindgen compiles interfaces written in WIT to custom sections named "component-type" or
 * "component-type:...". Their contents is a component of the binary format (Binary.md of the component model) that
 * holds nothing but types: one component type, the module's world, whose imports and exports are instance types, the
 * interfaces. component_types_decode reads these sections. They are hostile bytes as any of a module.
 *
 * Everything that it gives lies in one arena, names too, and does not change; types are shared, so a graph without
 * cycles. Read, and then refused where they are used (`usable`), are: asynchronous functions, lists of fixed length,
 * maps, streams, futures, error contexts. Functions and types that a world imports or exports outside of an interface
 * are left out. */
#ifndef ENGINE_COMPONENT_TYPES_H
#define ENGINE_COMPONENT_TYPES_H

#include "engine/allocator.h"
#include "engine/base.h"
#include "engine/error.h"
#include "engine/module.h"

#define COMPONENT_FLAT_PARAMETERS 16 /* MAX_FLAT_PARAMS: more go through memory */
#define COMPONENT_FLAT_RESULTS    1  /* MAX_FLAT_RESULTS */

/* Limits of our own. Sizes are of values in memory, without what they point to. */
#define COMPONENT_SECTION_BYTES_MAXIMUM (1u << 18) /* of all sections of a module */
#define COMPONENT_FUNCTIONS_MAXIMUM     4096       /* of all interfaces of a module */
#define COMPONENT_TYPE_BYTES_MAXIMUM    (1u << 16)
#define COMPONENT_DEPTH_MAXIMUM         24 /* of types in types */

enum component_kind {
#define KIND(name, text, code, bytes, core) COMPONENT_##name,
#include "engine/component/kinds.def"
#undef KIND
    COMPONENT_KIND_COUNT
};

const char *component_kind_text(enum component_kind kind);

/* Where a handle's type comes from: two are the same when both names are. */
struct component_resource {
    struct name interface; /* "tessera:files/directory"; length 0: not of an interface */
    struct name name;
    uint64_t identity; /* of both names, as for types; 0: not of an interface */
    bool exported;     /* defined by an interface that the module exports: it makes them, and knows what they are */
};

struct component_type;
/* Of a record or tuple; a case of a variant, enum, option or result; a flag; a parameter. */
struct component_field {
    struct name name;                  /* length 0 in tuples */
    const struct component_type *type; /* NULL: a case without a value, a flag */
};

/* An enum, option and result have the cases that the variant has which they stand for: none and some, ok and error. */
struct component_type {
    enum component_kind kind;
    bool usable;      /* nothing in it is of a kind that cannot be passed */
    bool has_handles; /* there is an own or borrow in it */
    bool has_borrows;
    bool has_pointers;  /* there is a string or list in it */
    bool is_copied;     /* any bytes are a value, and there is no padding */
    uint8_t depth;      /* 1: no type in it */
    uint8_t alignment;  /* in memory */
    uint8_t flat_count; /* core values that it is passed as; above COMPONENT_FLAT_PARAMETERS: at least one more */
    uint8_t flat[COMPONENT_FLAT_PARAMETERS]; /* their types: the low byte of VALUE_I32, ... */
    uint32_t bytes;                          /* in memory */
    uint64_t identity; /* equal for equal types, and hardly ever for others: for saying which one is meant */
    uint32_t field_count;
    const struct component_field *fields;
    const struct component_type *element;      /* LIST */
    const struct component_resource *resource; /* OWN, BORROW */
};

struct component_function {
    struct name name;                    /* "write", or for those of resources "[method]counter.add" */
    bool usable;                         /* not asynchronous, and all its types are usable */
    uint64_t identity;                   /* of the names of interface and function, and of its type, as for types */
    struct component_type parameters;    /* a TUPLE whose fields have names */
    const struct component_type *result; /* NULL: none */
};

struct component_interface {
    struct name name; /* "tessera:log/log@0.1.0" */
    uint32_t function_count, resource_count;
    const struct component_function *functions;
    const struct component_resource *const *resources; /* that it defines */
};

/* All interfaces of a module's sections. One name may be there more than once, in different sections. */
struct component_types {
    struct arena arena;
    uint32_t import_count, export_count;
    const struct component_interface *imports, *exports;
};

/* Read the sections of a module; `module` and its bytes are not needed afterwards. A module without such sections has
 * no interfaces. On ENGINE_OK *result is to be released; else `error` says what is wrong, and in which section, with
 * offsets from the section's contents. */
enum engine_status component_types_decode(const struct module *module, const struct engine_allocator *allocator,
                                          struct component_types **result, struct engine_error *error);
/* The same for the contents of one section. */
enum engine_status component_types_decode_section(const uint8_t *bytes, size_t size,
                                                  const struct engine_allocator *allocator,
                                                  struct component_types **result, struct engine_error *error);
void component_types_release(struct component_types *types); /* NULL is allowed */

bool component_name_equal(struct name a, struct name b);
/* NULL when there is none. */
const struct component_function *component_find_function(const struct component_interface *interfaces, uint32_t count,
                                                         struct name interface, struct name function);
const struct component_resource *component_find_resource(const struct component_interface *interfaces, uint32_t count,
                                                         struct name interface, struct name resource);

/* Can a client that was made for `client` call `server`? Their parameters and results must be the same, names included.
 * If not, `message` (of `size` bytes) says what differs: "write: parameter level.code: the client has u32, the service
 * u64". */
bool component_functions_match(const struct component_function *client, const struct component_function *server,
                               char *message, size_t size);

/* ---- Core functions (CanonicalABI.md, "flatten_functype") ---- */
/* What the function is in the module that imports it, or in the one that exports it. `types` has room for
 * COMPONENT_FLAT_PARAMETERS + 2; the function must be usable. */
enum component_role { COMPONENT_IMPORTED, COMPONENT_EXPORTED };
void component_core_type(const struct component_function *function, enum component_role role, value_type *types,
                         struct function_type *type);

/* ---- Layout (CanonicalABI.md, "alignment", "element size", "flattening") ---- */
/* Fill in all of a type but its kind, fields, element and resource. False when it is larger or deeper than the limits.
 */
bool component_type_lay_out(struct component_type *type);
void component_function_identify(struct component_function *function, struct name interface);
void component_resource_identify(struct component_resource *resource, struct name interface);
/* Offset of a field behind the one that ended at `end`. */
static inline uint32_t component_field_offset(uint32_t end, const struct component_type *field)
{
    return (uint32_t)align_up(end, field->alignment);
}
/* Bytes of the number that tells the case, and the offset of the case's value behind it. */
uint32_t component_discriminant_bytes(const struct component_type *type);
uint32_t component_payload_offset(const struct component_type *type);
static inline bool component_kind_has_cases(enum component_kind kind)
{
    return kind == COMPONENT_VARIANT || kind == COMPONENT_ENUM || kind == COMPONENT_OPTION || kind == COMPONENT_RESULT;
}

#endif
