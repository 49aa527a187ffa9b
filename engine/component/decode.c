/* The sections "component-type" of a module (Binary.md of the component model): a component that holds one component
 * type, the world, in which everything is declared. Instance types of its imports and exports become interfaces.
 *
 * A scope (component type or instance type) has index spaces of its own for types and instances, and sees those of the
 * scopes around it only through aliases. */
#include "engine/component/types.h"

#include "engine/format.h"
#include "engine/reader.h"

#define SCOPE_DEPTH_MAXIMUM 8
#define LOOKS_MAXIMUM       1000000 /* at exports of instances: aliases and interfaces go through all of one's */
#define LOOKS_PAUSE         1024    /* between two pauses */

enum { SECTION_CUSTOM = 0, SECTION_TYPE = 7, SECTION_EXPORT = 11 }; /* of a component */
enum { ENCODING_VERSION = 4, ENCODING_UTF8 = 0 };

/* What a type index stands for. */
enum item_kind { ITEM_NONE, ITEM_VALUE, ITEM_FUNCTION, ITEM_INSTANCE, ITEM_COMPONENT, ITEM_RESOURCE };
struct item {
    enum item_kind kind;
    union {
        const struct component_type *value;
        const struct component_function *function; /* without a name */
        const struct instance_type *instance;
        const struct world *component;
        struct component_resource *resource;
    };
};

struct exported {
    struct name name;
    struct item item; /* ITEM_FUNCTION: the function; else what a type is */
};

struct instance_type {
    uint32_t count;
    const struct exported *exports;
};

struct world_item {
    struct name name;
    const struct instance_type *instance;
    bool imported;
};

struct world {
    uint32_t count;
    const struct world_item *items;
};

/* A growing array in the arena. */
struct list {
    void *elements;
    uint32_t count, capacity;
};

struct scope {
    struct scope *outer;
    uint32_t depth;
    bool is_component;
    struct list types;     /* struct item */
    struct list instances; /* const struct instance_type * */
    struct list exports;   /* struct exported, or of components struct world_item */
};

struct component_decoder {
    struct arena *arena;
    struct engine_error *error;
    struct reader reader;
    const uint8_t *bytes;
    struct name section; /* for messages */
    enum engine_status status;
    size_t bytes_left; /* of what all sections may have */
    uint32_t looks_left, functions_left;
    const struct component_type *primitives[COMPONENT_KIND_COUNT]; /* those made so far */
    struct list imports, exports;                                  /* struct component_interface */
};

/* ---- Primitives ---- */
static bool ok(const struct component_decoder *decoder)
{
    return decoder->status == ENGINE_OK;
}

__attribute__((format(printf, 3, 4), cold)) static void fail(struct component_decoder *decoder,
                                                             enum engine_status status, const char *format, ...)
{
    if (!ok(decoder)) {
        return;
    }
    decoder->status = status;
    if (status != ENGINE_NO_MEMORY) {
        char reason[96];
        va_list arguments;
        va_start(arguments, format);
        format_text_list(reason, sizeof(reason), format, arguments);
        va_end(arguments);
        engine_fail(decoder->error, status, ENGINE_NO_FUNCTION, (uint64_t)(decoder->reader.cursor - decoder->bytes),
                    "section %.*s: %s", (int)min_u64(decoder->section.length, 48), decoder->section.text, reason);
    }
}

static void *allocate(struct component_decoder *decoder, size_t count, size_t size)
{
    void *memory = ok(decoder) ? arena_allocate_array(decoder->arena, count, size) : NULL;
    if (!memory) {
        fail(decoder, ENGINE_NO_MEMORY, " ");
    }
    return memory;
}

static uint8_t get_byte(struct component_decoder *decoder)
{
    uint8_t value = 0;
    if (ok(decoder) && !reader_byte(&decoder->reader, &value)) {
        fail(decoder, ENGINE_MALFORMED, "%s", reader_fault_text(decoder->reader.fault));
    }
    return value;
}

static uint32_t get_u32(struct component_decoder *decoder)
{
    uint32_t value = 0;
    if (ok(decoder) && !reader_u32(&decoder->reader, &value)) {
        fail(decoder, ENGINE_MALFORMED, "%s", reader_fault_text(decoder->reader.fault));
    }
    return ok(decoder) ? value : 0;
}

/* The length of a vector whose elements take at least a byte each, so memory stays in proportion to the section. */
static uint32_t get_count(struct component_decoder *decoder)
{
    uint32_t count = get_u32(decoder);
    if (ok(decoder) && count > (size_t)(decoder->reader.limit - decoder->reader.cursor)) {
        fail(decoder, ENGINE_MALFORMED, "length out of bounds");
        return 0;
    }
    return count;
}

/* Names are shown in messages: printable ASCII, which is all that WIT allows. The text is copied. */
static struct name get_name(struct component_decoder *decoder)
{
    uint32_t length = get_count(decoder);
    const uint8_t *bytes = ok(decoder) ? reader_bytes(&decoder->reader, length) : NULL;
    char *copy = bytes ? allocate(decoder, length, 1) : NULL;
    if (!copy) {
        return (struct name){0};
    }
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] <= ' ' || bytes[i] > '~') {
            fail(decoder, ENGINE_MALFORMED, "malformed name");
            return (struct name){0};
        }
    }
    memcpy(copy, bytes, length);
    return (struct name){copy, length};
}

static struct name get_label(struct component_decoder *decoder)
{
    struct name name = get_name(decoder);
    if (ok(decoder) && name.length == 0) {
        fail(decoder, ENGINE_MALFORMED, "empty name");
    }
    return name;
}

/* The name of an import or export. */
static struct name get_extern_name(struct component_decoder *decoder)
{
    uint8_t form = get_byte(decoder);
    if (ok(decoder) && form > 1) {
        fail(decoder, ENGINE_UNSUPPORTED, "names with attributes");
    }
    return get_label(decoder);
}

/* A zeroed element behind those that are there; NULL after an error. */
static void *list_add(struct component_decoder *decoder, struct list *list, size_t size)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        void *larger = allocate(decoder, capacity, size);
        if (!larger) {
            return NULL;
        }
        if (list->count) {
            memcpy(larger, list->elements, list->count * size);
        }
        list->elements = larger;
        list->capacity = capacity;
    }
    return (uint8_t *)list->elements + list->count++ * size;
}

static void add_type(struct component_decoder *decoder, struct scope *scope, struct item item)
{
    struct item *place = list_add(decoder, &scope->types, sizeof(*place));
    if (place) {
        *place = item;
    }
}

/* The type of an index that must be of a kind; an item of no kind after an error. */
static struct item find_type(struct component_decoder *decoder, const struct scope *scope, uint32_t index,
                             enum item_kind kind)
{
    static const char *const texts[] = {"type",          "value type",     "function type",
                                        "instance type", "component type", "resource type"};
    const struct item *items = scope->types.elements;
    if (!ok(decoder) || index >= scope->types.count || (kind != ITEM_NONE && items[index].kind != kind)) {
        fail(decoder, ENGINE_INVALID, "%u is no %s", index, texts[kind]);
        return (struct item){.kind = ITEM_NONE};
    }
    return items[index];
}

/* ---- Value types ---- */
static const struct component_type *lay_out(struct component_decoder *decoder, struct component_type *type)
{
    if (!ok(decoder)) {
        return NULL;
    }
    if (!component_type_lay_out(type)) {
        fail(decoder, ENGINE_LIMIT, "%s: larger than %u bytes or deeper than %u types", component_kind_text(type->kind),
             COMPONENT_TYPE_BYTES_MAXIMUM, COMPONENT_DEPTH_MAXIMUM);
        return NULL;
    }
    return type;
}

static bool kind_of_code(uint8_t code, enum component_kind *kind)
{
    static const uint8_t codes[] = {
#define KIND(name, text, code, bytes, core) code,
#include "engine/component/kinds.def"
#undef KIND
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(codes); i++) {
        if (codes[i] == code) {
            *kind = (enum component_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_primitive(enum component_kind kind)
{
    return kind <= COMPONENT_STRING || kind == COMPONENT_ERROR_CONTEXT;
}

static const struct component_type *new_primitive(struct component_decoder *decoder, enum component_kind kind)
{
    if (!decoder->primitives[kind]) {
        struct component_type *type = allocate(decoder, 1, sizeof(*type));
        if (!type) {
            return NULL;
        }
        type->kind = kind;
        decoder->primitives[kind] = lay_out(decoder, type);
    }
    return decoder->primitives[kind];
}

/* <valtype>: a type index or a primitive type. */
static const struct component_type *get_value_type(struct component_decoder *decoder, const struct scope *scope)
{
    int64_t code = 0;
    enum component_kind kind;
    if (ok(decoder) && !reader_s33(&decoder->reader, &code)) {
        fail(decoder, ENGINE_MALFORMED, "%s", reader_fault_text(decoder->reader.fault));
    }
    if (!ok(decoder)) {
        return NULL;
    }
    if (code >= 0) {
        return find_type(decoder, scope, (uint32_t)code, ITEM_VALUE).value;
    }
    if (code < -64 || !kind_of_code((uint8_t)(code + 0x80), &kind) || !is_primitive(kind)) {
        fail(decoder, ENGINE_MALFORMED, "malformed value type");
        return NULL;
    }
    return new_primitive(decoder, kind);
}

/* <valtype>? */
static const struct component_type *get_optional_type(struct component_decoder *decoder, const struct scope *scope)
{
    uint8_t present = get_byte(decoder);
    if (ok(decoder) && present > 1) {
        fail(decoder, ENGINE_MALFORMED, "malformed optional type");
    }
    return ok(decoder) && present ? get_value_type(decoder, scope) : NULL;
}

static struct component_field *new_fields(struct component_decoder *decoder, struct component_type *type,
                                          uint32_t count)
{
    struct component_field *fields = allocate(decoder, count, sizeof(*fields));
    if (fields) {
        type->field_count = count;
        type->fields = fields;
    }
    return fields;
}

/* A vector of (label, value type), also that of a function's parameters. */
static void get_fields(struct component_decoder *decoder, const struct scope *scope, struct component_type *type)
{
    uint32_t count = get_count(decoder);
    struct component_field *fields = new_fields(decoder, type, count);
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        fields[i].name = get_label(decoder);
        fields[i].type = get_value_type(decoder, scope);
    }
}

static void get_tuple(struct component_decoder *decoder, const struct scope *scope, struct component_type *type)
{
    uint32_t count = get_count(decoder);
    struct component_field *fields = new_fields(decoder, type, count);
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        fields[i].type = get_value_type(decoder, scope);
    }
}

static void get_cases(struct component_decoder *decoder, const struct scope *scope, struct component_type *type)
{
    uint32_t count = get_count(decoder);
    struct component_field *fields = new_fields(decoder, type, count);
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        fields[i].name = get_label(decoder);
        fields[i].type = get_optional_type(decoder, scope);
        if (get_byte(decoder) != 0) {
            fail(decoder, ENGINE_MALFORMED, "malformed case");
        }
    }
}

static void get_labels(struct component_decoder *decoder, struct component_type *type)
{
    uint32_t count = get_count(decoder);
    struct component_field *fields = new_fields(decoder, type, count);
    if (ok(decoder) && type->kind == COMPONENT_FLAGS && count > 32) {
        fail(decoder, ENGINE_LIMIT, "more than 32 flags");
    }
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        fields[i].name = get_label(decoder);
    }
}

static void get_two_cases(struct component_decoder *decoder, const struct scope *scope, struct component_type *type)
{
    static const struct name names[2][2] = {{{"none", 4}, {"some", 4}}, {{"ok", 2}, {"error", 5}}};
    bool is_result = type->kind == COMPONENT_RESULT;
    struct component_field *fields = new_fields(decoder, type, 2);
    if (fields) {
        fields[0] = (struct component_field){names[is_result][0], NULL};
        fields[1] = (struct component_field){names[is_result][1], NULL};
        if (is_result) {
            fields[0].type = get_optional_type(decoder, scope);
            fields[1].type = get_optional_type(decoder, scope);
        } else {
            fields[1].type = get_value_type(decoder, scope);
        }
    }
}

/* What follows the code of a type that cannot be passed. */
static void skip_unusable(struct component_decoder *decoder, const struct scope *scope, enum component_kind kind)
{
    if (kind == COMPONENT_STREAM || kind == COMPONENT_FUTURE) {
        get_optional_type(decoder, scope);
        return;
    }
    get_value_type(decoder, scope);
    if (kind == COMPONENT_LIST_FIXED) {
        get_u32(decoder);
    } else {
        get_value_type(decoder, scope);
    }
}

/* <defvaltype> behind its code. */
static const struct component_type *get_defined_type(struct component_decoder *decoder, const struct scope *scope,
                                                     enum component_kind kind)
{
    if (is_primitive(kind)) {
        return new_primitive(decoder, kind);
    }
    struct component_type *type = allocate(decoder, 1, sizeof(*type));
    if (!type) {
        return NULL;
    }
    type->kind = kind;
    if (kind == COMPONENT_RECORD) {
        get_fields(decoder, scope, type);
    } else if (kind == COMPONENT_TUPLE) {
        get_tuple(decoder, scope, type);
    } else if (kind == COMPONENT_VARIANT) {
        get_cases(decoder, scope, type);
    } else if (kind == COMPONENT_FLAGS || kind == COMPONENT_ENUM) {
        get_labels(decoder, type);
    } else if (kind == COMPONENT_OPTION || kind == COMPONENT_RESULT) {
        get_two_cases(decoder, scope, type);
    } else if (kind == COMPONENT_LIST) {
        type->element = get_value_type(decoder, scope);
        return lay_out(decoder, type);
    } else if (kind == COMPONENT_OWN || kind == COMPONENT_BORROW) {
        type->resource = find_type(decoder, scope, get_u32(decoder), ITEM_RESOURCE).resource;
        return lay_out(decoder, type);
    } else {
        skip_unusable(decoder, scope, kind);
        return lay_out(decoder, type);
    }
    if (ok(decoder) && type->field_count == 0) {
        fail(decoder, ENGINE_INVALID, "%s with nothing in it", component_kind_text(kind));
    }
    return lay_out(decoder, type);
}

/* ---- Functions ---- */
static const struct component_function *get_function_type(struct component_decoder *decoder, const struct scope *scope,
                                                          bool asynchronous)
{
    struct component_function *function = allocate(decoder, 1, sizeof(*function));
    if (!function) {
        return NULL;
    }
    function->parameters.kind = COMPONENT_TUPLE;
    get_fields(decoder, scope, &function->parameters);
    uint8_t form = get_byte(decoder);
    if (form == 0) {
        function->result = get_value_type(decoder, scope);
    } else if (form != 1 || get_byte(decoder) != 0) {
        fail(decoder, ENGINE_MALFORMED, "malformed result");
    }
    lay_out(decoder, &function->parameters);
    if (ok(decoder) && function->result && function->result->has_borrows) {
        fail(decoder, ENGINE_INVALID, "a borrowed handle as a result");
    }
    function->usable =
        ok(decoder) && !asynchronous && function->parameters.usable && (!function->result || function->result->usable);
    return function;
}

/* ---- Scopes ---- */
static void decode_scope(struct component_decoder *decoder, struct scope *scope);

static struct item get_scope_type(struct component_decoder *decoder, struct scope *outer, bool is_component)
{
    struct scope scope = {.outer = outer, .depth = outer ? outer->depth + 1 : 1, .is_component = is_component};
    struct item item = {.kind = ITEM_NONE};
    if (scope.depth > SCOPE_DEPTH_MAXIMUM) {
        fail(decoder, ENGINE_LIMIT, "more than %u types in types", SCOPE_DEPTH_MAXIMUM);
        return item;
    }
    decode_scope(decoder, &scope);
    if (is_component) {
        struct world *world = allocate(decoder, 1, sizeof(*world));
        if (world) {
            *world = (struct world){scope.exports.count, scope.exports.elements};
            item = (struct item){.kind = ITEM_COMPONENT, .component = world};
        }
        return item;
    }
    struct instance_type *instance = allocate(decoder, 1, sizeof(*instance));
    if (instance) {
        *instance = (struct instance_type){scope.exports.count, scope.exports.elements};
        item = (struct item){.kind = ITEM_INSTANCE, .instance = instance};
    }
    return item;
}

/* <deftype>: a type that gets an index. */
static void decode_defined_type(struct component_decoder *decoder, struct scope *scope)
{
    uint8_t code = get_byte(decoder);
    struct item item = {.kind = ITEM_NONE};
    enum component_kind kind;
    if (!ok(decoder)) {
        return;
    }
    if (code == 0x40 || code == 0x43) {
        item = (struct item){.kind = ITEM_FUNCTION, .function = get_function_type(decoder, scope, code == 0x43)};
    } else if (code == 0x41 || code == 0x42) {
        item = get_scope_type(decoder, scope, code == 0x41);
    } else if (kind_of_code(code, &kind)) {
        item = (struct item){.kind = ITEM_VALUE, .value = get_defined_type(decoder, scope, kind)};
    } else {
        fail(decoder, ENGINE_MALFORMED, "malformed type");
    }
    add_type(decoder, scope, item);
}

/* <sort> of types and instances, the only ones that a world has. */
enum sort { SORT_FUNCTION = 1, SORT_TYPE = 3, SORT_COMPONENT = 4, SORT_INSTANCE = 5 };

static const struct instance_type *find_instance(struct component_decoder *decoder, const struct scope *scope,
                                                 uint32_t index)
{
    const struct instance_type *const *instances = scope->instances.elements;
    if (!ok(decoder) || index >= scope->instances.count) {
        fail(decoder, ENGINE_INVALID, "%u is no instance", index);
        return NULL;
    }
    return instances[index];
}

/* One more export of an instance is looked at. False: that was too much. */
static bool look(struct component_decoder *decoder)
{
    const struct engine_allocator *allocator = decoder->arena->allocator;
    if (decoder->looks_left == 0) {
        fail(decoder, ENGINE_LIMIT, "too many aliases or interfaces with too many exports");
    } else if (--decoder->looks_left % LOOKS_PAUSE == 0 && allocator->pause) {
        allocator->pause(allocator->context);
    }
    return ok(decoder);
}

static void alias_export(struct component_decoder *decoder, struct scope *scope)
{
    const struct instance_type *instance = find_instance(decoder, scope, get_u32(decoder));
    struct name name = get_label(decoder);
    for (uint32_t i = 0; ok(decoder) && i < instance->count && look(decoder); i++) {
        if (component_name_equal(instance->exports[i].name, name) && instance->exports[i].item.kind != ITEM_FUNCTION) {
            add_type(decoder, scope, instance->exports[i].item);
            return;
        }
    }
    fail(decoder, ENGINE_INVALID, "no type %.*s in the instance", (int)min_u64(name.length, 40), name.text);
}

static void alias_outer(struct component_decoder *decoder, struct scope *scope)
{
    uint32_t count = get_u32(decoder);
    const struct scope *outer = scope;
    for (uint32_t i = 0; i < count && outer; i++) {
        outer = outer->outer;
    }
    if (!outer) {
        fail(decoder, ENGINE_INVALID, "no scope that far out");
        return;
    }
    struct item item = find_type(decoder, outer, get_u32(decoder), ITEM_NONE);
    add_type(decoder, scope, item);
}

static void decode_alias(struct component_decoder *decoder, struct scope *scope)
{
    uint8_t sort = get_byte(decoder), target = get_byte(decoder);
    if (!ok(decoder)) {
        return;
    }
    if (sort == SORT_TYPE && target == 0) {
        alias_export(decoder, scope);
    } else if (sort == SORT_TYPE && target == 2) {
        alias_outer(decoder, scope);
    } else {
        fail(decoder, ENGINE_UNSUPPORTED, "aliases of other things than types");
    }
}

/* The bound of a type that is imported or exported; the type gets a new index. */
static struct item get_type_bound(struct component_decoder *decoder, struct scope *scope, struct name name)
{
    struct item item = {.kind = ITEM_NONE};
    uint8_t bound = get_byte(decoder);
    if (bound == 0) {
        item = find_type(decoder, scope, get_u32(decoder), ITEM_NONE);
    } else if (bound == 1) {
        struct component_resource *resource = allocate(decoder, 1, sizeof(*resource));
        if (resource) {
            resource->name = name;
            item = (struct item){.kind = ITEM_RESOURCE, .resource = resource};
        }
    } else {
        fail(decoder, ENGINE_MALFORMED, "malformed type bound");
    }
    add_type(decoder, scope, item);
    return item;
}

static void export_from_instance(struct component_decoder *decoder, struct scope *scope, struct name name,
                                 struct item item)
{
    struct exported *exported = list_add(decoder, &scope->exports, sizeof(*exported));
    if (exported) {
        *exported = (struct exported){name, item};
    }
}

static void add_world_item(struct component_decoder *decoder, struct scope *scope, struct name name, bool imported)
{
    const struct instance_type *instance = find_type(decoder, scope, get_u32(decoder), ITEM_INSTANCE).instance;
    const struct instance_type **place = list_add(decoder, &scope->instances, sizeof(*place));
    struct world_item *item = list_add(decoder, &scope->exports, sizeof(*item));
    if (place && item) {
        *place = instance;
        *item = (struct world_item){name, instance, imported};
    }
}

/* <importdecl>, <exportdecl> */
static void decode_extern(struct component_decoder *decoder, struct scope *scope, bool imported)
{
    struct name name = get_extern_name(decoder);
    uint8_t sort = get_byte(decoder);
    if (!ok(decoder)) {
        return;
    }
    if (sort == SORT_TYPE) {
        struct item item = get_type_bound(decoder, scope, name);
        if (!scope->is_component) {
            export_from_instance(decoder, scope, name, item);
        }
    } else if (sort == SORT_FUNCTION) {
        struct item item = find_type(decoder, scope, get_u32(decoder), ITEM_FUNCTION);
        if (!scope->is_component) {
            export_from_instance(decoder, scope, name, item);
        }
    } else if (sort == SORT_INSTANCE && scope->is_component) {
        add_world_item(decoder, scope, name, imported);
    } else if (sort == SORT_COMPONENT && scope->is_component) {
        fail(decoder, ENGINE_UNSUPPORTED, "components in a world");
    } else {
        fail(decoder, ENGINE_UNSUPPORTED, "imports and exports of sort %u", sort);
    }
}

static void decode_scope(struct component_decoder *decoder, struct scope *scope)
{
    uint32_t count = get_count(decoder);
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        uint8_t form = get_byte(decoder);
        if (!ok(decoder)) {
            return;
        }
        if (form == 1) {
            decode_defined_type(decoder, scope);
        } else if (form == 2) {
            decode_alias(decoder, scope);
        } else if (form == 4 || (form == 3 && scope->is_component)) {
            decode_extern(decoder, scope, form == 3);
        } else {
            fail(decoder, ENGINE_MALFORMED, "malformed declaration");
        }
    }
}

/* ---- Worlds ---- */
/* How many functions and resources an instance has. Many interfaces may be of one, so what is allocated for each must
 * be no more than what it has, and what is looked at for all is limited. */
static void count_items(struct component_decoder *decoder, const struct instance_type *instance, uint32_t *functions,
                        uint32_t *resources)
{
    for (uint32_t i = 0; i < instance->count && look(decoder); i++) {
        const struct item *item = &instance->exports[i].item;
        *functions += item->kind == ITEM_FUNCTION;
        *resources += item->kind == ITEM_RESOURCE && item->resource->interface.length == 0;
    }
    if (*functions > decoder->functions_left) {
        fail(decoder, ENGINE_LIMIT, "more than %u functions", COMPONENT_FUNCTIONS_MAXIMUM);
        return;
    }
    decoder->functions_left -= *functions;
}

static void make_functions(struct component_decoder *decoder, struct component_interface *interface,
                           const struct instance_type *instance, bool imported)
{
    uint32_t function_count = 0, resource_count = 0;
    count_items(decoder, instance, &function_count, &resource_count);
    struct component_function *functions = allocate(decoder, function_count, sizeof(*functions));
    const struct component_resource **resources =
        allocate(decoder, resource_count, sizeof(struct component_resource *));
    if (!functions || !resources) {
        return;
    }
    for (uint32_t i = 0; i < instance->count; i++) {
        const struct item *item = &instance->exports[i].item;
        if (item->kind == ITEM_FUNCTION) {
            struct component_function *function = &functions[interface->function_count++];
            *function = *item->function;
            function->name = instance->exports[i].name;
            component_function_identify(function, interface->name);
        } else if (item->kind == ITEM_RESOURCE && item->resource->interface.length == 0) {
            component_resource_identify(item->resource, interface->name);
            item->resource->exported = !imported;
            resources[interface->resource_count++] = item->resource;
        }
    }
    interface->functions = functions;
    interface->resources = resources;
}

static void make_interfaces(struct component_decoder *decoder, const struct world *world)
{
    for (uint32_t i = 0; i < world->count && ok(decoder); i++) {
        const struct world_item *item = &world->items[i];
        struct list *list = item->imported ? &decoder->imports : &decoder->exports;
        struct component_interface *interface = list_add(decoder, list, sizeof(*interface));
        if (interface) {
            interface->name = item->name;
            make_functions(decoder, interface, item->instance, item->imported);
        }
    }
}

/* The package: a component type that exports one component type, the world. */
static void decode_package(struct component_decoder *decoder)
{
    struct scope package = {.depth = 1, .is_component = true};
    bool has_world = false;
    uint32_t count = get_count(decoder);
    for (uint32_t i = 0; i < count && ok(decoder); i++) {
        uint8_t form = get_byte(decoder);
        if (form == 1) {
            decode_defined_type(decoder, &package);
            continue;
        }
        if (form != 4) {
            fail(decoder, ENGINE_UNSUPPORTED, "a package with imports");
            return;
        }
        get_extern_name(decoder);
        if (get_byte(decoder) != SORT_COMPONENT || has_world) {
            fail(decoder, ENGINE_UNSUPPORTED, "a package of other things than one world");
            return;
        }
        const struct world *world = find_type(decoder, &package, get_u32(decoder), ITEM_COMPONENT).component;
        if (ok(decoder)) {
            has_world = true;
            make_interfaces(decoder, world);
        }
    }
    if (!has_world) {
        fail(decoder, ENGINE_UNSUPPORTED, "no world");
    }
}

/* Section "wit-component-encoding": a version, and how the module's strings are encoded. */
static void decode_encoding(struct component_decoder *decoder, const uint8_t *limit)
{
    struct name name = get_name(decoder);
    if (ok(decoder) && component_name_equal(name, (struct name){"wit-component-encoding", 22})) {
        uint8_t version = get_byte(decoder), encoding = get_byte(decoder);
        if (ok(decoder) && (version != ENCODING_VERSION || encoding != ENCODING_UTF8)) {
            fail(decoder, ENGINE_UNSUPPORTED, "encoding %u of version %u", encoding, version);
        }
    }
    decoder->reader.cursor = limit;
}

static void decode_type_section_of_component(struct component_decoder *decoder)
{
    if (get_u32(decoder) != 1 || get_byte(decoder) != 0x41) {
        fail(decoder, ENGINE_UNSUPPORTED, "other types than one of a component");
        return;
    }
    decode_package(decoder);
}

static void decode_component(struct component_decoder *decoder)
{
    static const uint8_t preamble[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
    const uint8_t *limit = decoder->reader.limit, *start = reader_bytes(&decoder->reader, sizeof(preamble));
    bool has_types = false;
    if (!start || memcmp(start, preamble, sizeof(preamble)) != 0) {
        fail(decoder, ENGINE_MALFORMED, "no component");
    }
    while (ok(decoder) && decoder->reader.cursor < limit) {
        uint8_t id = get_byte(decoder);
        uint32_t size = get_count(decoder);
        if (!ok(decoder)) {
            return;
        }
        const uint8_t *end = decoder->reader.limit = decoder->reader.cursor + size;
        if (id == SECTION_CUSTOM) {
            decode_encoding(decoder, end);
        } else if (id == SECTION_TYPE && !has_types) {
            has_types = true;
            decode_type_section_of_component(decoder);
        } else if (id == SECTION_EXPORT) { /* the package under a name of no interest */
            decoder->reader.cursor = end;
        } else {
            fail(decoder, ENGINE_UNSUPPORTED, "section %u of a component", id);
        }
        if (ok(decoder) && decoder->reader.cursor != end) {
            fail(decoder, ENGINE_MALFORMED, "section size mismatch");
        }
        decoder->reader.limit = limit;
    }
    if (!has_types) {
        fail(decoder, ENGINE_MALFORMED, "no types");
    }
}

static void decode_section(struct component_decoder *decoder, struct name section, const uint8_t *bytes, size_t size)
{
    decoder->section = section;
    decoder->bytes = bytes;
    decoder->reader = (struct reader){.cursor = bytes, .limit = bytes + size};
    if (size > decoder->bytes_left) {
        fail(decoder, ENGINE_LIMIT, "more than %u bytes of types", COMPONENT_SECTION_BYTES_MAXIMUM);
        return;
    }
    decoder->bytes_left -= size;
    decode_component(decoder);
}

/* ---- All sections ---- */
static struct component_types *types_create(const struct engine_allocator *allocator)
{
    struct component_types *types = allocator->allocate(allocator->context, sizeof(*types));
    if (types) {
        *types = (struct component_types){.import_count = 0};
        arena_initialize(&types->arena, allocator);
    }
    return types;
}

static struct component_decoder decoder_of(struct component_types *types, struct engine_error *error)
{
    return (struct component_decoder){.arena = &types->arena,
                                      .error = error,
                                      .bytes_left = COMPONENT_SECTION_BYTES_MAXIMUM,
                                      .looks_left = LOOKS_MAXIMUM,
                                      .functions_left = COMPONENT_FUNCTIONS_MAXIMUM};
}

static enum engine_status finish(struct component_decoder *decoder, struct component_types *types,
                                 struct component_types **result)
{
    if (!ok(decoder)) {
        component_types_release(types);
        return decoder->status;
    }
    types->import_count = decoder->imports.count;
    types->imports = decoder->imports.elements;
    types->export_count = decoder->exports.count;
    types->exports = decoder->exports.elements;
    *result = types;
    return ENGINE_OK;
}

static bool is_component_type(struct name name)
{
    static const char prefix[] = "component-type";
    size_t length = sizeof(prefix) - 1;
    return name.length >= length && memcmp(name.text, prefix, length) == 0 &&
           (name.length == length || name.text[length] == ':');
}

enum engine_status component_types_decode(const struct module *module, const struct engine_allocator *allocator,
                                          struct component_types **result, struct engine_error *error)
{
    struct component_types *types = types_create(allocator);
    if (!types) {
        return ENGINE_NO_MEMORY;
    }
    struct component_decoder decoder = decoder_of(types, error);
    for (uint32_t i = 0; i < module->custom_section_count && ok(&decoder); i++) {
        const struct custom_section *section = &module->custom_sections[i];
        if (is_component_type(section->name)) {
            decode_section(&decoder, section->name, module->bytes + section->offset, section->size);
        }
    }
    return finish(&decoder, types, result);
}

enum engine_status component_types_decode_section(const uint8_t *bytes, size_t size,
                                                  const struct engine_allocator *allocator,
                                                  struct component_types **result, struct engine_error *error)
{
    struct component_types *types = types_create(allocator);
    if (!types) {
        return ENGINE_NO_MEMORY;
    }
    struct component_decoder decoder = decoder_of(types, error);
    decode_section(&decoder, (struct name){"component-type", 14}, bytes, size);
    return finish(&decoder, types, result);
}

void component_types_release(struct component_types *types)
{
    if (types) {
        const struct engine_allocator *allocator = types->arena.allocator;
        arena_release(&types->arena);
        allocator->release(allocator->context, types, sizeof(*types));
    }
}

/* ---- Looking up ---- */
bool component_name_equal(struct name a, struct name b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.text, b.text, a.length) == 0);
}

const struct component_function *component_find_function(const struct component_interface *interfaces, uint32_t count,
                                                         struct name interface, struct name function)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!component_name_equal(interfaces[i].name, interface)) {
            continue;
        }
        for (uint32_t j = 0; j < interfaces[i].function_count; j++) {
            if (component_name_equal(interfaces[i].functions[j].name, function)) {
                return &interfaces[i].functions[j];
            }
        }
    }
    return NULL;
}

const struct component_resource *component_find_resource(const struct component_interface *interfaces, uint32_t count,
                                                         struct name interface, struct name resource)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!component_name_equal(interfaces[i].name, interface)) {
            continue;
        }
        for (uint32_t j = 0; j < interfaces[i].resource_count; j++) {
            if (component_name_equal(interfaces[i].resources[j]->name, resource)) {
                return interfaces[i].resources[j];
            }
        }
    }
    return NULL;
}
