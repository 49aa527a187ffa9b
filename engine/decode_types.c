/* Types, the type section and the import section (spec 5.3, 5.5.4, 5.5.5). */
#include "engine/decode.h"
#include "engine/limits.h"
#include "engine/opcode.h"

/* The feature that an abstract heap type other than func and extern needs; FEATURE_CORE when `code` is none. */
static unsigned heap_type_feature(uint8_t code)
{
    if (code == 0x69 || code == 0x74) { /* exn, noexn */
        return FEATURE_EXCEPTIONS;
    }
    if ((code >= 0x6a && code <= 0x6e) || (code >= 0x71 && code <= 0x73)) {
        return FEATURE_GC;
    }
    return FEATURE_CORE;
}

/* An abstract heap type by its code. */
static enum type_reading check_abstract(uint8_t code, heap_type *type, unsigned *feature)
{
    *type = HEAP_ABSTRACT | code;
    if (*type == HEAP_FUNC || *type == HEAP_EXTERN) {
        return TYPE_READ;
    }
    *feature = heap_type_feature(code);
    if (*feature == FEATURE_CORE) {
        return TYPE_MALFORMED;
    }
    return feature_supported(*feature) ? TYPE_READ : TYPE_NEEDS_FEATURE;
}

enum type_reading read_heap_type(const struct module *module, struct reader *reader, heap_type *type, unsigned *feature)
{
    int64_t heap;
    const uint8_t *start = reader->cursor;
    *type = 0;
    if (!reader_s33(reader, &heap)) {
        return TYPE_READER_FAULT;
    }
    if (heap < 0) {
        return reader->cursor - start == 1 ? check_abstract((uint8_t)(heap & 0x7f), type, feature) : TYPE_MALFORMED;
    }
    *feature = FEATURE_FUNCTION_REFERENCES;
    if (!feature_supported(FEATURE_FUNCTION_REFERENCES)) {
        return TYPE_NEEDS_FEATURE;
    }
    if (heap >= module->type_count) {
        *type = (heap_type)heap;
        return TYPE_UNKNOWN;
    }
    *type = module->defined_types[heap].canonical;
    return TYPE_READ;
}

enum type_reading read_value_type(const struct module *module, struct reader *reader, value_type *type,
                                  unsigned *feature)
{
    uint8_t code;
    heap_type heap;
    enum type_reading reading;
    if (!reader_byte(reader, &code)) {
        return TYPE_READER_FAULT;
    }
    *type = code;
    switch (code) {
    case VALUE_I32:
    case VALUE_I64:
    case VALUE_F32:
    case VALUE_F64:
        return TYPE_READ;
    case VALUE_V128:
        *feature = FEATURE_SIMD;
        return feature_supported(FEATURE_SIMD) ? TYPE_READ : TYPE_NEEDS_FEATURE;
    case VALUE_REF_NULL:
    case VALUE_REF:
        reading = read_heap_type(module, reader, &heap, feature);
        if (reading == TYPE_READ) {
            *type = reference_type(heap, code == VALUE_REF_NULL);
            *feature = FEATURE_FUNCTION_REFERENCES;
            return code == VALUE_REF_NULL || feature_supported(FEATURE_FUNCTION_REFERENCES) ? TYPE_READ
                                                                                            : TYPE_NEEDS_FEATURE;
        }
        *type = heap;
        return reading;
    default:
        return check_abstract(code, &heap, feature);
    }
}

value_type decode_value_type(struct decoder *decoder)
{
    uint32_t offset = decode_offset(decoder);
    value_type type = VALUE_I32;
    unsigned feature = FEATURE_CORE;
    if (!decode_ok(decoder)) {
        return type;
    }
    switch (read_value_type(decoder->module, &decoder->reader, &type, &feature)) {
    case TYPE_READ:
        return type;
    case TYPE_READER_FAULT:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "value type: %s", reader_fault_text(decoder->reader.fault));
        break;
    case TYPE_MALFORMED:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed value type 0x%x", *(decoder->reader.cursor - 1));
        break;
    case TYPE_UNKNOWN:
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", type);
        break;
    case TYPE_NEEDS_FEATURE:
        decode_unsupported(decoder, feature, offset, "value type");
        break;
    }
    return VALUE_I32;
}

value_type decode_reference_type(struct decoder *decoder)
{
    uint32_t offset = decode_offset(decoder);
    value_type type = decode_value_type(decoder);
    if (decode_ok(decoder) && !value_type_is_reference(type)) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed reference type 0x%x", type);
    }
    return type;
}

enum {
    LIMITS_MAXIMUM = 1,
    LIMITS_SHARED = 2,
    LIMITS_64 = 4,
    LIMITS_PAGE_SIZE = 8,
};

/* What limits may say: flags, and the greatest size for 32-bit and for 64-bit indices. */
struct limits_rule {
    const char *what;
    uint8_t flags;
    uint64_t bound, bound_64;
};

/* The logarithm of a page's size; of the sizes that there may be one day, two are there (custom-page-sizes). */
static bool decode_page_size(struct decoder *decoder)
{
    uint32_t offset = decode_offset(decoder);
    uint32_t logarithm = decode_u32(decoder, "page size");
    if (logarithm > 64) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "invalid custom page size 2^%u", logarithm);
    } else if (logarithm != 0 && logarithm != 16) {
        decode_fail(decoder, ENGINE_INVALID, offset, "invalid custom page size 2^%u", logarithm);
    }
    return logarithm == 0;
}

/* Limits of a table or memory (spec 3.2.1); `byte_pages` NULL where there are no pages. */
static struct limits decode_limits(struct decoder *decoder, struct limits_rule rule, bool *byte_pages)
{
    const char *what = rule.what;
    uint32_t offset = decode_offset(decoder);
    struct limits limits = {.maximum = UINT64_MAX};
    uint8_t flags = decode_byte(decoder, "limits");
    if (flags & ~rule.flags) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed limits flags 0x%x", flags);
    }
    limits.minimum = decode_u64(decoder, "limits");
    limits.has_maximum = flags & LIMITS_MAXIMUM;
    if (limits.has_maximum) {
        limits.maximum = decode_u64(decoder, "limits");
    }
    limits.is_64 = flags & LIMITS_64;
    limits.shared = flags & LIMITS_SHARED;
    if ((flags & LIMITS_PAGE_SIZE) && byte_pages != NULL && decode_page_size(decoder)) {
        *byte_pages = true;
        rule.bound = UINT32_MAX;
        rule.bound_64 = UINT64_MAX;
    }
    uint64_t bound = limits.is_64 ? rule.bound_64 : rule.bound;
    if (limits.is_64 && !feature_supported(FEATURE_MEMORY64)) {
        decode_unsupported(decoder, FEATURE_MEMORY64, offset, what);
    } else if (limits.shared && !feature_supported(FEATURE_THREADS)) {
        decode_unsupported(decoder, FEATURE_THREADS, offset, what);
    } else if (limits.shared && !limits.has_maximum) {
        decode_fail(decoder, ENGINE_INVALID, offset, "shared memory must have maximum");
    } else if ((flags & LIMITS_PAGE_SIZE) && !feature_supported(FEATURE_CUSTOM_PAGE_SIZES)) {
        decode_unsupported(decoder, FEATURE_CUSTOM_PAGE_SIZES, offset, what);
    } else if (limits.minimum > bound || (limits.has_maximum && limits.maximum > bound)) {
        decode_fail(decoder, ENGINE_INVALID, offset, "%s size must be at most %llu", what, (unsigned long long)bound);
    } else if (limits.has_maximum && limits.minimum > limits.maximum) {
        decode_fail(decoder, ENGINE_INVALID, offset, "size minimum must not be greater than maximum");
    }
    return limits;
}

struct table_type decode_table_type(struct decoder *decoder)
{
    struct table_type type;
    type.element = decode_reference_type(decoder);
    type.limits =
        decode_limits(decoder, (struct limits_rule){"table", LIMITS_MAXIMUM | LIMITS_64, UINT32_MAX, UINT64_MAX}, NULL);
    return type;
}

struct memory_type decode_memory_type(struct decoder *decoder)
{
    uint8_t flags = LIMITS_MAXIMUM | LIMITS_SHARED | LIMITS_64 | LIMITS_PAGE_SIZE;
    struct memory_type type = {.byte_pages = false};
    type.limits = decode_limits(
        decoder, (struct limits_rule){"memory", flags, WASM_PAGES_MAXIMUM, WASM_PAGES_MAXIMUM_64}, &type.byte_pages);
    return type;
}

struct global_type decode_global_type(struct decoder *decoder)
{
    struct global_type type;
    type.value = decode_value_type(decoder);
    uint32_t offset = decode_offset(decoder);
    uint8_t mutability = decode_byte(decoder, "mutability");
    if (mutability > 1) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed mutability 0x%x", mutability);
    }
    type.mutable_ = mutability == 1;
    return type;
}

uint32_t decode_tag_type(struct decoder *decoder)
{
    uint32_t offset = decode_offset(decoder);
    if (!feature_supported(FEATURE_EXCEPTIONS)) {
        decode_unsupported(decoder, FEATURE_EXCEPTIONS, offset, "tag");
    }
    uint8_t attribute = decode_byte(decoder, "tag attribute");
    if (attribute != 0) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed tag attribute 0x%x", attribute);
    }
    uint32_t type = decode_function_type_index(decoder);
    if (decode_ok(decoder) && decoder->module->types[type].result_count != 0) {
        decode_fail(decoder, ENGINE_INVALID, offset, "non-empty tag result type");
    }
    return type;
}

void decode_check_memory_count(struct decoder *decoder, uint32_t count, uint32_t offset)
{
    if (count > ENGINE_LIMIT_MEMORIES) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "too many memories: limit %u", ENGINE_LIMIT_MEMORIES);
    } else if (count > 1 && !feature_supported(FEATURE_MULTI_MEMORY)) {
        decode_unsupported(decoder, FEATURE_MULTI_MEMORY, offset, "second memory");
    }
}

/* ---- Import section ---- */
/* Read one import. With `storing` it enters the index space of its kind, otherwise it is only counted. */
static void decode_import(struct decoder *decoder, struct import *import, bool storing)
{
    struct module *module = decoder->module;
    import->module = decode_name(decoder, "import module name");
    import->field = decode_name(decoder, "import name");
    uint32_t offset = decode_offset(decoder);
    uint8_t kind = decode_byte(decoder, "import kind");
    import->kind = kind;
    switch (kind) {
    case EXTERNAL_FUNCTION: {
        import->index = module->function_import_count++;
        uint32_t type = decode_function_type_index(decoder);
        if (storing) {
            module->functions[import->index] = (struct function){.type = type, .reference = NO_REFERENCE};
        }
        break;
    }
    case EXTERNAL_TABLE: {
        import->index = module->table_import_count++;
        struct table table = {.type = decode_table_type(decoder)};
        if (storing) {
            module->tables[import->index] = table;
        }
        break;
    }
    case EXTERNAL_MEMORY: {
        import->index = module->memory_import_count++;
        struct memory_type memory = decode_memory_type(decoder);
        decode_check_memory_count(decoder, module->memory_import_count, offset);
        if (storing) {
            module->memories[import->index] = memory;
        }
        break;
    }
    case EXTERNAL_GLOBAL: {
        import->index = module->global_import_count++;
        struct global global = {.type = decode_global_type(decoder)};
        if (storing) {
            module->globals[import->index] = global;
        }
        break;
    }
    case EXTERNAL_TAG: {
        import->index = module->tag_import_count++;
        uint32_t type = decode_tag_type(decoder);
        if (storing) {
            module->tags[import->index] = type;
        }
        break;
    }
    default:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed import kind 0x%x", kind);
    }
}

void decode_import_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_IMPORTS, 4, "imports");
    module->imports = decode_allocate(decoder, count, sizeof(*module->imports));
    /* The first reading counts the imports of each kind, the second one stores them. */
    const uint8_t *start = decoder->reader.cursor;
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_import(decoder, &module->imports[i], false);
    }
    module->function_count = module->function_import_count;
    module->table_count = module->table_import_count;
    module->memory_count = module->memory_import_count;
    module->global_count = module->global_import_count;
    module->tag_count = module->tag_import_count;
    if (module->table_count > ENGINE_LIMIT_TABLES) {
        decode_fail(decoder, ENGINE_LIMIT, decode_offset(decoder), "too many tables: limit %u", ENGINE_LIMIT_TABLES);
    }
    module->functions = decode_allocate(decoder, module->function_count, sizeof(*module->functions));
    module->tables = decode_allocate(decoder, module->table_count, sizeof(*module->tables));
    module->memories = decode_allocate(decoder, module->memory_count, sizeof(*module->memories));
    module->globals = decode_allocate(decoder, module->global_count, sizeof(*module->globals));
    module->tags = decode_allocate(decoder, module->tag_count, sizeof(*module->tags));
    module->function_import_count = 0;
    module->table_import_count = 0;
    module->memory_import_count = 0;
    module->global_import_count = 0;
    module->tag_import_count = 0;
    decoder->reader.cursor = start;
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_import(decoder, &module->imports[i], true);
    }
    module->import_count = count;
}
