/* Types, the type section and the import section (spec 5.3, 5.5.4, 5.5.5). */
#include "engine/decode.h"
#include "engine/limits.h"
#include "engine/opcode.h"

/* Codes that only WebAssembly 3.0 knows. */
enum {
    TYPE_CODE_REF_NULL = 0x63,
    TYPE_CODE_REF = 0x64,
    TYPE_CODE_FUNCTION = 0x60,
    TYPE_CODE_STRUCT = 0x5f,
    TYPE_CODE_ARRAY = 0x5e,
    TYPE_CODE_SUB = 0x50,
    TYPE_CODE_SUB_FINAL = 0x4f,
    TYPE_CODE_RECURSIVE = 0x4e,
};

/* Abstract heap types other than func and extern; FEATURE_CORE when `code` is none. */
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

enum type_reading read_heap_type(struct reader *reader, value_type *type, unsigned *feature)
{
    int64_t heap;
    const uint8_t *start = reader->cursor;
    if (!reader_s33(reader, &heap)) {
        return TYPE_READER_FAULT;
    }
    if (heap >= 0) {
        *feature = FEATURE_FUNCTION_REFERENCES;
        return TYPE_NEEDS_FEATURE;
    }
    if (reader->cursor - start != 1) {
        return TYPE_MALFORMED;
    }
    *type = (value_type)(heap & 0x7f);
    if (*type == VALUE_FUNCREF || *type == VALUE_EXTERNREF) {
        return TYPE_READ;
    }
    *feature = heap_type_feature((uint8_t)*type);
    return *feature == FEATURE_CORE ? TYPE_MALFORMED : TYPE_NEEDS_FEATURE;
}

enum type_reading read_value_type(struct reader *reader, value_type *type, unsigned *feature)
{
    uint8_t code;
    if (!reader_byte(reader, &code)) {
        return TYPE_READER_FAULT;
    }
    *type = code;
    switch (code) {
    case VALUE_I32:
    case VALUE_I64:
    case VALUE_F32:
    case VALUE_F64:
    case VALUE_FUNCREF:
    case VALUE_EXTERNREF:
        return TYPE_READ;
    case VALUE_V128:
        *feature = FEATURE_SIMD;
        return feature_supported(FEATURE_SIMD) ? TYPE_READ : TYPE_NEEDS_FEATURE;
    case TYPE_CODE_REF_NULL:
        return read_heap_type(reader, type, feature);
    case TYPE_CODE_REF: {
        enum type_reading reading = read_heap_type(reader, type, feature);
        if (reading == TYPE_READ) {
            *feature = FEATURE_FUNCTION_REFERENCES;
            return TYPE_NEEDS_FEATURE;
        }
        return reading;
    }
    default:
        *feature = heap_type_feature(code);
        return *feature == FEATURE_CORE ? TYPE_MALFORMED : TYPE_NEEDS_FEATURE;
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
    switch (read_value_type(&decoder->reader, &type, &feature)) {
    case TYPE_READ:
        return type;
    case TYPE_READER_FAULT:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "value type: %s", reader_fault_text(decoder->reader.fault));
        break;
    case TYPE_MALFORMED:
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed value type 0x%x", *(decoder->reader.cursor - 1));
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

/* Limits of a table or memory, each at most `bound` (spec 3.2.1). */
static struct limits decode_limits(struct decoder *decoder, uint8_t allowed_flags, uint64_t bound, uint64_t bound_64,
                                   const char *what)
{
    uint32_t offset = decode_offset(decoder);
    struct limits limits = {.maximum = UINT64_MAX};
    uint8_t flags = decode_byte(decoder, "limits");
    if (flags & ~allowed_flags) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed limits flags 0x%x", flags);
    }
    limits.minimum = decode_u64(decoder, "limits");
    limits.has_maximum = flags & LIMITS_MAXIMUM;
    if (limits.has_maximum) {
        limits.maximum = decode_u64(decoder, "limits");
    }
    limits.is_64 = flags & LIMITS_64;
    bound = limits.is_64 ? bound_64 : bound;
    if (limits.is_64 && !feature_supported(FEATURE_MEMORY64)) {
        decode_unsupported(decoder, FEATURE_MEMORY64, offset, what);
    } else if (flags & LIMITS_SHARED) {
        decode_unsupported(decoder, FEATURE_THREADS, offset, what);
    } else if (flags & LIMITS_PAGE_SIZE) {
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
    type.limits = decode_limits(decoder, LIMITS_MAXIMUM | LIMITS_64, UINT32_MAX, UINT64_MAX, "table");
    return type;
}

struct memory_type decode_memory_type(struct decoder *decoder)
{
    uint8_t flags = LIMITS_MAXIMUM | LIMITS_SHARED | LIMITS_64 | LIMITS_PAGE_SIZE;
    return (struct memory_type){decode_limits(decoder, flags, WASM_PAGES_MAXIMUM, WASM_PAGES_MAXIMUM_64, "memory")};
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

void decode_check_memory_count(struct decoder *decoder, uint32_t count, uint32_t offset)
{
    if (count > ENGINE_LIMIT_MEMORIES) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "too many memories: limit %u", ENGINE_LIMIT_MEMORIES);
    } else if (count > 1 && !feature_supported(FEATURE_MULTI_MEMORY)) {
        decode_unsupported(decoder, FEATURE_MULTI_MEMORY, offset, "second memory");
    }
}

/* ---- Type section ---- */
static void decode_function_type(struct decoder *decoder, struct function_type *type)
{
    /* Both vectors become one array, so the parameters are read again once the number of results is known. */
    uint32_t parameters = decode_count(decoder, 0, ENGINE_LIMIT_PARAMETERS, 1, "parameters");
    const uint8_t *first = decoder->reader.cursor;
    for (uint32_t i = 0; i < parameters && decode_ok(decoder); i++) {
        decode_value_type(decoder);
    }
    uint32_t results = decode_count(decoder, 0, ENGINE_LIMIT_RESULTS, 1, "results");
    const uint8_t *second = decoder->reader.cursor;
    value_type *types = decode_allocate(decoder, (size_t)parameters + results, sizeof(*types));
    if (!decode_ok(decoder)) {
        return;
    }
    decoder->reader.cursor = first;
    for (uint32_t i = 0; i < parameters; i++) {
        types[i] = decode_value_type(decoder);
    }
    decoder->reader.cursor = second;
    for (uint32_t i = 0; i < results; i++) {
        types[parameters + i] = decode_value_type(decoder);
    }
    *type = (struct function_type){types, parameters, results};
}

void decode_type_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_TYPES, 2, "types");
    module->types = decode_allocate(decoder, count, sizeof(*module->types));
    for (uint32_t i = 0; i < count && decode_ok(decoder); i++) {
        uint32_t offset = decode_offset(decoder);
        uint8_t code = decode_byte(decoder, "type");
        switch (code) {
        case TYPE_CODE_FUNCTION:
            decode_function_type(decoder, &module->types[i]);
            break;
        case TYPE_CODE_STRUCT:
        case TYPE_CODE_ARRAY:
        case TYPE_CODE_SUB:
        case TYPE_CODE_SUB_FINAL:
        case TYPE_CODE_RECURSIVE:
            decode_unsupported(decoder, FEATURE_GC, offset, "type definition");
            break;
        default:
            decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed type definition 0x%x", code);
        }
    }
    module->type_count = count;
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
        uint32_t type = decode_u32(decoder, "type index");
        if (type >= module->type_count) {
            decode_fail(decoder, ENGINE_INVALID, offset, "unknown type %u", type);
        } else if (storing) {
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
    case EXTERNAL_TAG:
        decode_unsupported(decoder, FEATURE_EXCEPTIONS, offset, "tag import");
        break;
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
    for (uint32_t i = 0; i < count && decode_ok(decoder); i++) {
        decode_import(decoder, &module->imports[i], false);
    }
    module->function_count = module->function_import_count;
    module->table_count = module->table_import_count;
    module->memory_count = module->memory_import_count;
    module->global_count = module->global_import_count;
    if (module->table_count > ENGINE_LIMIT_TABLES) {
        decode_fail(decoder, ENGINE_LIMIT, decode_offset(decoder), "too many tables: limit %u", ENGINE_LIMIT_TABLES);
    }
    module->functions = decode_allocate(decoder, module->function_count, sizeof(*module->functions));
    module->tables = decode_allocate(decoder, module->table_count, sizeof(*module->tables));
    module->memories = decode_allocate(decoder, module->memory_count, sizeof(*module->memories));
    module->globals = decode_allocate(decoder, module->global_count, sizeof(*module->globals));
    module->function_import_count = 0;
    module->table_import_count = 0;
    module->memory_import_count = 0;
    module->global_import_count = 0;
    decoder->reader.cursor = start;
    for (uint32_t i = 0; i < count && decode_ok(decoder); i++) {
        decode_import(decoder, &module->imports[i], true);
    }
    module->import_count = count;
}
