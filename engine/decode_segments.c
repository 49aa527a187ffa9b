/* Exports, element segments and data segments (spec 5.5.10, 5.5.12, 5.5.14). */
#include "engine/decode.h"
#include "engine/limits.h"
#include "engine/opcode.h"
#include "engine/subtype.h"
#include "engine/opcode.h"

/* ---- Exports ---- */
/* Exports are ordered by a hash of their names, then length, then bytes. Most comparisons end with the hash. */
static uint32_t hash_name(const char *text, size_t length)
{
    uint64_t hash = length;
    uint64_t word = 0;
    for (; length >= sizeof(word); length -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, text, length);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32);
}

static int compare_export(const struct module *module, const struct export_key *key, uint32_t hash,
                          const struct name *name)
{
    if (key->hash != hash) {
        return key->hash < hash ? -1 : 1;
    }
    const struct name *own = &module->exports[key->index].field;
    if (own->length != name->length) {
        return own->length < name->length ? -1 : 1;
    }
    return memcmp(own->text, name->text, name->length);
}

static int compare_keys(const struct module *module, const struct export_key *a, const struct export_key *b)
{
    return compare_export(module, a, b->hash, &module->exports[b->index].field);
}

/* Merge sort: no input makes it quadratic, however its hashes collide. `spare` has as many elements as `keys`; the
 * result is the one returned. */
static struct export_key *sort_exports(const struct module *module, struct export_key *keys, struct export_key *spare,
                                       uint32_t count)
{
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t start = 0; start < count; start += 2 * width) {
            uint64_t left = start, middle = min_u64(start + width, count);
            uint64_t right = middle, end = min_u64(start + 2 * width, count);
            for (uint64_t to = start; to < end; to++) {
                bool take_left =
                    left < middle && (right == end || compare_keys(module, &keys[left], &keys[right]) <= 0);
                spare[to] = take_left ? keys[left++] : keys[right++];
            }
        }
        struct export_key *swap = keys;
        keys = spare;
        spare = swap;
    }
    return keys;
}

/* Fill module.exports_by_name, and refuse names that stand twice. */
static void order_exports(struct decoder *decoder, uint32_t section_offset)
{
    struct module *module = decoder->module;
    uint32_t count = module->export_count;
    const struct engine_allocator *allocator = module->arena.allocator;
    struct export_key *keys = decode_allocate(decoder, count, sizeof(*keys));
    if (!decode_ok(decoder) || count == 0) {
        return;
    }
    size_t bytes = (size_t)count * sizeof(*keys);
    struct export_key *spare = allocator->allocate(allocator->context, bytes);
    if (spare == NULL) {
        decode_fail(decoder, ENGINE_NO_MEMORY, section_offset, "out of memory while decoding exports");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct name *name = &module->exports[i].field;
        keys[i] = (struct export_key){hash_name(name->text, name->length), i};
    }
    const struct export_key *sorted = sort_exports(module, keys, spare, count);
    if (sorted != keys) {
        memcpy(keys, sorted, bytes);
    }
    allocator->release(allocator->context, spare, bytes);
    for (uint32_t i = 1; i < count; i++) {
        if (compare_keys(module, &keys[i - 1], &keys[i]) == 0) {
            const struct name *name = &module->exports[keys[i].index].field;
            decode_fail(decoder, ENGINE_INVALID, (uint32_t)((const uint8_t *)name->text - module->bytes),
                        "duplicate export name \"%.*s\"", (int)min_u64(name->length, 64), name->text);
            return;
        }
    }
    module->exports_by_name = keys;
}

const struct export *module_find_export(const struct module *module, const char *field, size_t length)
{
    if (length > ENGINE_LIMIT_NAME_BYTES) {
        return NULL;
    }
    struct name name = {field, (uint32_t)length};
    uint32_t hash = hash_name(field, length);
    uint32_t low = 0, high = module->export_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct export_key *key = &module->exports_by_name[middle];
        int order = compare_export(module, key, hash, &name);
        if (order == 0) {
            return &module->exports[key->index];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void decode_export(struct decoder *decoder, struct export *export)
{
    struct module *module = decoder->module;
    export->field = decode_name(decoder, "export name");
    uint32_t offset = decode_offset(decoder);
    uint8_t kind = decode_byte(decoder, "export kind");
    export->kind = kind;
    export->index = decode_u32(decoder, "export index");
    if (!decode_ok(decoder)) {
        return;
    }
    static const char *const names[] = {"function", "table", "memory", "global", "tag"};
    const uint32_t counts[] = {module->function_count, module->table_count, module->memory_count, module->global_count,
                               module->tag_count};
    if (kind > EXTERNAL_TAG) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed export kind 0x%x", kind);
    } else if (export->index >= counts[kind]) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown %s %u", names[kind], export->index);
    } else if (kind == EXTERNAL_FUNCTION) {
        decode_mark_reference(decoder, export->index);
    }
}

void decode_export_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t offset = decode_offset(decoder);
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_EXPORTS, 3, "exports");
    module->exports = decode_allocate(decoder, count, sizeof(*module->exports));
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_export(decoder, &module->exports[i]);
    }
    module->export_count = count;
    if (decode_ok(decoder)) {
        order_exports(decoder, offset);
    }
}

/* ---- Element segments ---- */
enum {
    ELEMENT_NOT_ACTIVE = 1,  /* passive or declarative */
    ELEMENT_EXPLICIT = 2,    /* active: a table index follows; not active: declarative */
    ELEMENT_EXPRESSIONS = 4, /* constant expressions instead of function indices */
};

static void decode_element_functions(struct decoder *decoder, struct element_segment *segment)
{
    segment->count = decode_count(decoder, 0, UINT32_MAX, 1, "element function indices");
    uint32_t *functions = decode_allocate(decoder, segment->count, sizeof(*functions));
    for (uint32_t i = 0; i < segment->count && decode_goes_on(decoder); i++) {
        uint32_t offset = decode_offset(decoder);
        functions[i] = decode_u32(decoder, "function index");
        if (decode_ok(decoder) && !decode_mark_reference(decoder, functions[i])) {
            decode_fail(decoder, ENGINE_INVALID, offset, "unknown function %u", functions[i]);
        }
    }
    segment->functions = functions;
}

static void decode_element_expressions(struct decoder *decoder, struct element_segment *segment)
{
    segment->count = decode_count(decoder, 0, UINT32_MAX, 2, "element expressions");
    segment->expressions = decode_allocate(decoder, segment->count, sizeof(*segment->expressions));
    for (uint32_t i = 0; i < segment->count && decode_goes_on(decoder); i++) {
        decode_constant(decoder, segment->type, decoder->module->global_count, &segment->expressions[i]);
    }
}

/* Functions are never null, but before typed references no type said so. */
static value_type function_element_type(void)
{
    return reference_type(HEAP_FUNC, !feature_supported(FEATURE_FUNCTION_REFERENCES));
}

/* What the elements are: given by kind or type, or left out in the two oldest forms. */
static value_type decode_element_type(struct decoder *decoder, uint32_t flags)
{
    if ((flags & (ELEMENT_NOT_ACTIVE | ELEMENT_EXPLICIT)) == 0) {
        return flags & ELEMENT_EXPRESSIONS ? VALUE_FUNCREF : function_element_type();
    }
    if (flags & ELEMENT_EXPRESSIONS) {
        return decode_reference_type(decoder);
    }
    uint32_t offset = decode_offset(decoder);
    uint8_t kind = decode_byte(decoder, "element kind");
    if (kind != 0) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed element kind 0x%x", kind);
    }
    return function_element_type();
}

static void decode_element_segment(struct decoder *decoder, struct element_segment *segment)
{
    struct module *module = decoder->module;
    uint32_t offset = decode_offset(decoder);
    uint32_t flags = decode_u32(decoder, "element segment kind");
    if (flags > (ELEMENT_NOT_ACTIVE | ELEMENT_EXPLICIT | ELEMENT_EXPRESSIONS)) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed elements segment kind %u", flags);
        return;
    }
    bool active = !(flags & ELEMENT_NOT_ACTIVE);
    segment->mode = active ? SEGMENT_ACTIVE : flags & ELEMENT_EXPLICIT ? SEGMENT_DECLARATIVE : SEGMENT_PASSIVE;
    if (active) {
        segment->table = flags & ELEMENT_EXPLICIT ? decode_u32(decoder, "table index") : 0;
        segment->offset = decode_allocate(decoder, 1, sizeof(*segment->offset));
        if (!decode_ok(decoder)) {
            return;
        }
        if (segment->table >= module->table_count) {
            decode_fail(decoder, ENGINE_INVALID, offset, "unknown table %u", segment->table);
            return;
        }
        decode_constant(decoder, limits_address_type(&module->tables[segment->table].type.limits), module->global_count,
                        segment->offset);
    }
    uint32_t type_offset = decode_offset(decoder);
    segment->type = decode_element_type(decoder, flags);
    if (decode_ok(decoder) && active &&
        !value_type_matches(module, segment->type, module->tables[segment->table].type.element)) {
        char wanted[24], found[24];
        decode_fail(decoder, ENGINE_INVALID, type_offset, "type mismatch: segment of %s for a table of %s",
                    value_type_text(segment->type, found),
                    value_type_text(module->tables[segment->table].type.element, wanted));
    }
    if (flags & ELEMENT_EXPRESSIONS) {
        decode_element_expressions(decoder, segment);
    } else {
        decode_element_functions(decoder, segment);
    }
}

void decode_element_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_ELEMENT_SEGMENTS, 3, "element segments");
    module->element_segments = decode_allocate(decoder, count, sizeof(*module->element_segments));
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_element_segment(decoder, &module->element_segments[i]);
    }
    module->element_segment_count = count;
}

/* ---- Data segments ---- */
static void decode_data_segment(struct decoder *decoder, struct data_segment *segment)
{
    struct module *module = decoder->module;
    uint32_t offset = decode_offset(decoder);
    uint32_t flags = decode_u32(decoder, "data segment kind");
    if (flags > 2) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed data segment kind %u", flags);
        return;
    }
    segment->mode = flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE;
    if (segment->mode == SEGMENT_ACTIVE) {
        segment->memory = flags == 2 ? decode_u32(decoder, "memory index") : 0;
        segment->offset = decode_allocate(decoder, 1, sizeof(*segment->offset));
        if (decode_ok(decoder) && segment->memory >= module->memory_count) {
            decode_fail(decoder, ENGINE_INVALID, offset, "unknown memory %u", segment->memory);
        }
        if (decode_ok(decoder)) {
            decode_constant(decoder, limits_address_type(&module->memories[segment->memory].limits),
                            module->global_count, segment->offset);
        }
    }
    uint32_t bytes_offset = decode_offset(decoder);
    segment->size = decode_u32(decoder, "data segment size");
    if (decode_ok(decoder)) {
        segment->bytes = reader_bytes(&decoder->reader, segment->size);
        if (segment->bytes == NULL) {
            decode_fail(decoder, ENGINE_MALFORMED, bytes_offset, "unexpected end of data segment");
        }
    }
}

void decode_data_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_DATA_SEGMENTS, 2, "data segments");
    module->data_segments = decode_allocate(decoder, count, sizeof(*module->data_segments));
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        decode_data_segment(decoder, &module->data_segments[i]);
    }
    module->data_segment_count = count;
}
