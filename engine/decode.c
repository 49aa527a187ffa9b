/* The binary decoder: primitives, the sequence of sections, and the sections that are but numbers (spec chapter 5). */
#include "engine/decode.h"

#include "engine/format.h"
#include "engine/limits.h"
#include "engine/opcode.h"

/* ---- Errors ---- */
void decode_fail(struct decoder *decoder, enum engine_status status, uint32_t offset, const char *format, ...)
{
    if (!decode_ok(decoder)) {
        return;
    }
    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    format_text_list(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    decoder->status = engine_fail(decoder->error, status, ENGINE_NO_FUNCTION, offset, "%s", reason);
}

void decode_unsupported(struct decoder *decoder, unsigned feature, uint32_t offset, const char *item)
{
    if (decode_ok(decoder)) {
        decoder->status = engine_unsupported(decoder->error, ENGINE_NO_FUNCTION, offset, feature_text(feature), item);
    }
}

static void decode_reader_fault(struct decoder *decoder, const char *what)
{
    decode_fail(decoder, ENGINE_MALFORMED, decode_offset(decoder), "%s: %s", what,
                reader_fault_text(decoder->reader.fault));
}

/* ---- Elements ---- */
uint8_t decode_byte(struct decoder *decoder, const char *what)
{
    uint8_t value;
    if (!decode_ok(decoder)) {
        return 0;
    }
    if (!reader_byte(&decoder->reader, &value)) {
        decode_reader_fault(decoder, what);
        return 0;
    }
    return value;
}

uint32_t decode_u32(struct decoder *decoder, const char *what)
{
    uint32_t value;
    if (!decode_ok(decoder)) {
        return 0;
    }
    if (!reader_u32(&decoder->reader, &value)) {
        decode_reader_fault(decoder, what);
        return 0;
    }
    return value;
}

uint64_t decode_u64(struct decoder *decoder, const char *what)
{
    uint64_t value;
    if (!decode_ok(decoder)) {
        return 0;
    }
    if (!reader_u64(&decoder->reader, &value)) {
        decode_reader_fault(decoder, what);
        return 0;
    }
    return value;
}

uint32_t decode_count(struct decoder *decoder, uint32_t total, uint32_t limit, uint32_t element_bytes, const char *what)
{
    uint32_t offset = decode_offset(decoder);
    uint32_t count = decode_u32(decoder, what);
    if (!decode_ok(decoder)) {
        return 0;
    }
    size_t left = (size_t)(decoder->reader.limit - decoder->reader.cursor);
    if (count > left / element_bytes) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "unexpected end: %u %s do not fit into the section", count,
                    what);
        return 0;
    }
    if ((uint64_t)total + count > limit) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "too many %s: %llu, limit %u", what,
                    (unsigned long long)total + count, limit);
        return 0;
    }
    return count;
}

/* Length of the UTF-8 sequence at `text`, 0 when it is none (RFC 3629: shortest form, no surrogates). */
static size_t utf8_sequence_length(const uint8_t *text, size_t length)
{
    uint8_t lead = text[0];
    size_t wanted = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (wanted == 0 || wanted > length) {
        return 0;
    }
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < wanted; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return wanted;
}

/* How many bytes at least are letters of ASCII, as most are: in whole words. */
static size_t ascii_length(const uint8_t *text, size_t length)
{
    const uint64_t others = UINT64_C(0x8080808080808080);
    uint64_t words[8];
    size_t position = 0;
    for (; length - position >= sizeof(words); position += sizeof(words)) {
        memcpy(words, text + position, sizeof(words));
        if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) & others) {
            break;
        }
    }
    for (; length - position >= sizeof(words[0]); position += sizeof(words[0])) {
        memcpy(words, text + position, sizeof(words[0]));
        if (words[0] & others) {
            break;
        }
    }
    return position;
}

bool decode_utf8_valid(const uint8_t *text, size_t length)
{
    size_t position = 0;
    while (position < length) {
        position += ascii_length(text + position, length - position);
        if (position == length) {
            break;
        }
        if (text[position] < 0x80) {
            position++;
            continue;
        }
        size_t sequence = utf8_sequence_length(text + position, length - position);
        if (sequence == 0) {
            return false;
        }
        position += sequence;
    }
    return true;
}

struct name decode_name(struct decoder *decoder, const char *what)
{
    uint32_t offset = decode_offset(decoder);
    uint32_t length = decode_u32(decoder, what);
    if (!decode_ok(decoder)) {
        return (struct name){0};
    }
    const uint8_t *text = reader_bytes(&decoder->reader, length);
    if (text == NULL) {
        decode_reader_fault(decoder, what);
        return (struct name){0};
    }
    if (length > ENGINE_LIMIT_NAME_BYTES) {
        decode_fail(decoder, ENGINE_LIMIT, offset, "%s too long: %u bytes, limit %u", what, length,
                    ENGINE_LIMIT_NAME_BYTES);
    } else if (!decode_utf8_valid(text, length)) {
        decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed UTF-8 encoding in %s", what);
    }
    return (struct name){(const char *)text, length};
}

void *decode_allocate(struct decoder *decoder, size_t count, size_t size)
{
    if (!decode_ok(decoder)) {
        return NULL;
    }
    void *memory = arena_allocate_array(&decoder->module->arena, count, size);
    if (memory == NULL) {
        decode_fail(decoder, ENGINE_NO_MEMORY, decode_offset(decoder), "out of memory while decoding");
    }
    return memory;
}

void *decode_extend(struct decoder *decoder, const void *array, size_t used, size_t count, size_t size)
{
    void *extended = decode_allocate(decoder, used + count, size);
    if (extended != NULL && used != 0) {
        memcpy(extended, array, used * size);
    }
    return extended;
}

/* ---- Sections that are but numbers ---- */
static void decode_function_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t used = module->function_count;
    uint32_t count = decode_count(decoder, used, ENGINE_LIMIT_FUNCTIONS, 1, "functions");
    module->functions = decode_extend(decoder, module->functions, used, count, sizeof(*module->functions));
    for (uint32_t i = used; i < used + count && decode_goes_on(decoder); i++) {
        uint32_t type = decode_function_type_index(decoder);
        module->functions[i] = (struct function){.type = type, .reference = NO_REFERENCE};
    }
    module->function_count = used + count;
}

/* A table, perhaps with an initializer for its elements (spec 5.5.7). */
static void decode_table(struct decoder *decoder, struct table *table)
{
    uint32_t offset = decode_offset(decoder);
    bool has_initializer = decoder->reader.cursor < decoder->reader.limit && *decoder->reader.cursor == 0x40;
    if (has_initializer) {
        if (!feature_supported(FEATURE_FUNCTION_REFERENCES)) {
            decode_unsupported(decoder, FEATURE_FUNCTION_REFERENCES, offset, "table initializer");
        }
        decode_byte(decoder, "table initializer");
        if (decode_byte(decoder, "table initializer") != 0) {
            decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed table initializer");
        }
    }
    table->type = decode_table_type(decoder);
    if (has_initializer) {
        table->initializer = decode_allocate(decoder, 1, sizeof(*table->initializer));
        if (decode_ok(decoder)) {
            decode_constant(decoder, table->type.element, decoder->module->global_import_count, table->initializer);
        }
    } else if (decode_ok(decoder) && !value_type_is_nullable(table->type.element)) {
        decode_fail(decoder, ENGINE_INVALID, offset,
                    "type mismatch: a table of references without null needs an initializer");
    }
}

static void decode_table_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t used = module->table_count;
    uint32_t count = decode_count(decoder, used, ENGINE_LIMIT_TABLES, 3, "tables");
    module->tables = decode_extend(decoder, module->tables, used, count, sizeof(*module->tables));
    for (uint32_t i = used; i < used + count && decode_goes_on(decoder); i++) {
        decode_table(decoder, &module->tables[i]);
    }
    module->table_count = used + count;
}

static void decode_memory_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t used = module->memory_count;
    uint32_t count = decode_count(decoder, used, ENGINE_LIMIT_MEMORIES, 2, "memories");
    module->memories = decode_extend(decoder, module->memories, used, count, sizeof(*module->memories));
    for (uint32_t i = used; i < used + count && decode_goes_on(decoder); i++) {
        uint32_t offset = decode_offset(decoder);
        module->memories[i] = decode_memory_type(decoder);
        decode_check_memory_count(decoder, i + 1, offset);
    }
    module->memory_count = used + count;
}

static void decode_tag_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t used = module->tag_count;
    uint32_t count = decode_count(decoder, used, ENGINE_LIMIT_TAGS, 2, "tags");
    module->tags = decode_extend(decoder, module->tags, used, count, sizeof(*module->tags));
    for (uint32_t i = used; i < used + count && decode_goes_on(decoder); i++) {
        module->tags[i] = decode_tag_type(decoder);
    }
    module->tag_count = used + count;
}

static void decode_global_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t used = module->global_count;
    uint32_t count = decode_count(decoder, used, ENGINE_LIMIT_GLOBALS, 3, "globals");
    module->globals = decode_extend(decoder, module->globals, used, count, sizeof(*module->globals));
    struct constant_expression *initializers = decode_allocate(decoder, count, sizeof(*initializers));
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        struct global *global = &module->globals[used + i];
        global->type = decode_global_type(decoder);
        global->initializer = &initializers[i];
        decode_constant(decoder, global->type.value, used + i, global->initializer);
    }
    module->global_count = used + count;
}

static void decode_start_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t offset = decode_offset(decoder);
    uint32_t index = decode_u32(decoder, "start function index");
    if (!decode_ok(decoder)) {
        return;
    }
    if (index >= module->function_count) {
        decode_fail(decoder, ENGINE_INVALID, offset, "unknown function %u", index);
        return;
    }
    const struct function_type *type = &module->types[module->functions[index].type];
    if (type->parameter_count != 0 || type->result_count != 0) {
        decode_fail(decoder, ENGINE_INVALID, offset, "start function must have no parameters and no results");
    }
    module->start = index;
}

static void decode_data_count_section(struct decoder *decoder)
{
    decoder->data_count = decode_u32(decoder, "data count");
    decoder->module->has_data_count = true;
}

static void decode_code_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t own = module->function_count - module->function_import_count;
    uint32_t count_offset = decode_offset(decoder);
    uint32_t count = decode_count(decoder, 0, ENGINE_LIMIT_FUNCTIONS, 1, "function bodies");
    if (count != own) {
        decode_fail(decoder, ENGINE_MALFORMED, count_offset,
                    "function and code section have inconsistent lengths: %u and %u", own, count);
    }
    decoder->body_count = count;
    for (uint32_t i = 0; i < count && decode_goes_on(decoder); i++) {
        struct function *function = &module->functions[module->function_import_count + i];
        uint32_t offset = decode_offset(decoder);
        function->body_size = decode_u32(decoder, "function body size");
        function->body_offset = decode_offset(decoder);
        if (decode_ok(decoder) && reader_bytes(&decoder->reader, function->body_size) == NULL) {
            decode_reader_fault(decoder, "function body");
        }
        if (function->body_size > ENGINE_LIMIT_FUNCTION_BYTES) {
            decode_fail(decoder, ENGINE_LIMIT, offset, "function body too large: %u bytes, limit %u",
                        function->body_size, ENGINE_LIMIT_FUNCTION_BYTES);
        }
        module->code_bytes += function->body_size;
    }
}

/* ---- The sequence of sections ---- */
enum { SECTION_CUSTOM = 0, SECTION_COUNT = 14 };

static const struct {
    const char *name;
    uint8_t rank; /* sections appear by increasing rank (spec 5.5.2) */
    void (*decode)(struct decoder *decoder);
} sections[SECTION_COUNT] = {
    [1] = {"type", 1, decode_type_section},
    [2] = {"import", 2, decode_import_section},
    [3] = {"function", 3, decode_function_section},
    [4] = {"table", 4, decode_table_section},
    [5] = {"memory", 5, decode_memory_section},
    [13] = {"tag", 6, decode_tag_section},
    [6] = {"global", 7, decode_global_section},
    [7] = {"export", 8, decode_export_section},
    [8] = {"start", 9, decode_start_section},
    [9] = {"element", 10, decode_element_section},
    [12] = {"data count", 11, decode_data_count_section},
    [10] = {"code", 12, decode_code_section},
    [11] = {"data", 13, decode_data_section},
};

static void decode_custom_section(struct decoder *decoder)
{
    struct module *module = decoder->module;
    struct custom_section *section = &module->custom_sections[module->custom_section_count++];
    section->name = decode_name(decoder, "custom section name");
    section->offset = decode_offset(decoder);
    section->size = (uint32_t)(decoder->reader.limit - decoder->reader.cursor);
    decoder->reader.cursor = decoder->reader.limit;
}

/* Count the sections up to the first that is damaged, so that their arrays have the right size. */
static void count_sections(struct decoder *decoder)
{
    struct module *module = decoder->module;
    struct reader reader = decoder->reader;
    uint32_t count = 0, custom_count = 0;
    uint8_t id;
    uint32_t size;
    while (reader_byte(&reader, &id) && reader_u32(&reader, &size) && reader_bytes(&reader, size) != NULL) {
        count++;
        custom_count += id == SECTION_CUSTOM;
    }
    module->sections = decode_allocate(decoder, count, sizeof(*module->sections));
    module->custom_sections = decode_allocate(decoder, custom_count, sizeof(*module->custom_sections));
}

static void decode_section_contents(struct decoder *decoder, uint8_t id, uint32_t size)
{
    struct module *module = decoder->module;
    const uint8_t *module_limit = decoder->reader.limit;
    module->sections[module->section_count++] = (struct section_extent){id, decode_offset(decoder), size};
    decoder->reader.limit = decoder->reader.cursor + size;
    if (id == SECTION_CUSTOM) {
        decode_custom_section(decoder);
    } else {
        sections[id].decode(decoder);
        if (decode_ok(decoder) && decoder->reader.cursor != decoder->reader.limit) {
            decode_fail(decoder, ENGINE_MALFORMED, decode_offset(decoder),
                        "section size mismatch: %u bytes left in the %s section",
                        (uint32_t)(decoder->reader.limit - decoder->reader.cursor), sections[id].name);
        }
    }
    decoder->reader.limit = module_limit;
}

static void decode_sections(struct decoder *decoder)
{
    count_sections(decoder);
    uint8_t rank = 0;
    while (decode_ok(decoder) && decoder->reader.cursor < decoder->reader.limit) {
        uint32_t offset = decode_offset(decoder);
        uint8_t id = decode_byte(decoder, "section");
        uint32_t size = decode_u32(decoder, "section size");
        if (!decode_ok(decoder)) {
            return;
        }
        if (id >= SECTION_COUNT) {
            decode_fail(decoder, ENGINE_MALFORMED, offset, "malformed section id %u", id);
        } else if (size > (size_t)(decoder->reader.limit - decoder->reader.cursor)) {
            decode_fail(decoder, ENGINE_MALFORMED, offset, "unexpected end: section of %u bytes, but %zu are left",
                        size, (size_t)(decoder->reader.limit - decoder->reader.cursor));
        } else if (id != SECTION_CUSTOM && sections[id].rank <= rank) {
            decode_fail(decoder, ENGINE_MALFORMED, offset, "unexpected content: %s section out of order or repeated",
                        sections[id].name);
        } else {
            rank = id == SECTION_CUSTOM ? rank : sections[id].rank;
            decode_section_contents(decoder, id, size);
        }
    }
}

/* What only the whole module shows. */
static void decode_finish(struct decoder *decoder)
{
    struct module *module = decoder->module;
    uint32_t own = module->function_count - module->function_import_count;
    uint32_t end = decode_offset(decoder);
    if (decoder->body_count != own) {
        decode_fail(decoder, ENGINE_MALFORMED, end, "function and code section have inconsistent lengths: %u and %u",
                    own, decoder->body_count);
    }
    if (module->has_data_count && decoder->data_count != module->data_segment_count) {
        decode_fail(decoder, ENGINE_MALFORMED, end, "data count and data section have inconsistent lengths: %u and %u",
                    decoder->data_count, module->data_segment_count);
    }
    for (uint32_t i = 0; i < module->function_count && decode_goes_on(decoder); i++) {
        if (module->functions[i].reference != NO_REFERENCE) {
            module->functions[i].reference = module->function_reference_count++;
        }
    }
}

static void decode_preamble(struct decoder *decoder)
{
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    static const uint8_t version[4] = {1, 0, 0, 0};
    const uint8_t *bytes = reader_bytes(&decoder->reader, 4);
    if (bytes == NULL || memcmp(bytes, magic, 4) != 0) {
        decode_fail(decoder, ENGINE_MALFORMED, 0, "magic header not detected: not a WebAssembly binary");
        return;
    }
    bytes = reader_bytes(&decoder->reader, 4);
    if (bytes == NULL || memcmp(bytes, version, 4) != 0) {
        decode_fail(decoder, ENGINE_MALFORMED, 4, "unknown binary version");
    }
}

enum engine_status module_decode(const uint8_t *bytes, size_t size, const struct engine_allocator *allocator,
                                 struct module **result, struct engine_error *error)
{
    if (size > ENGINE_LIMIT_MODULE_BYTES) {
        return engine_fail(error, ENGINE_LIMIT, ENGINE_NO_FUNCTION, 0, "module too large: %zu bytes, limit %u", size,
                           ENGINE_LIMIT_MODULE_BYTES);
    }
    struct module *module = allocator->allocate(allocator->context, sizeof(*module));
    if (module == NULL) {
        return engine_fail(error, ENGINE_NO_MEMORY, ENGINE_NO_FUNCTION, 0, "out of memory while decoding");
    }
    *module = (struct module){.bytes = bytes, .size = size, .start = UINT32_MAX};
    arena_initialize(&module->arena, allocator);
    struct decoder decoder = {.module = module, .reader = {.cursor = bytes, .limit = bytes + size}, .error = error};
    decode_preamble(&decoder);
    decode_sections(&decoder);
    decode_finish(&decoder);
    if (!decode_ok(&decoder)) {
        module_release(module);
        return decoder.status;
    }
    *result = module;
    return ENGINE_OK;
}
