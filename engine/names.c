/* Names of functions, for messages and backtraces (spec appendix A.4). Nothing here is trusted: what does not decode
 * names nothing. */
#include "engine/decode.h"

enum { NAME_SUBSECTION_FUNCTIONS = 1 };

/* A name in the reader's bytes; false when it is damaged. */
static bool read_name(struct reader *reader, struct name *name)
{
    uint32_t length;
    if (!reader_u32(reader, &length)) {
        return false;
    }
    const uint8_t *text = reader_bytes(reader, length);
    if (text == NULL || !decode_utf8_valid(text, length)) {
        return false;
    }
    *name = (struct name){(const char *)text, length};
    return true;
}

/* Look through a name map: pairs of index and name, by increasing index. */
static struct name find_in_name_map(struct reader reader, uint32_t wanted)
{
    uint32_t count, index;
    struct name name;
    if (!reader_u32(&reader, &count)) {
        return (struct name){0};
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!reader_u32(&reader, &index) || !read_name(&reader, &name)) {
            break;
        }
        if (index == wanted) {
            return name;
        }
    }
    return (struct name){0};
}

static struct name find_in_name_section(const struct module *module, const struct custom_section *section,
                                        uint32_t function)
{
    const uint8_t *start = module->bytes + section->offset;
    struct reader reader = {.cursor = start, .limit = start + section->size};
    uint8_t id;
    uint32_t size;
    while (reader_byte(&reader, &id) && reader_u32(&reader, &size)) {
        const uint8_t *contents = reader_bytes(&reader, size);
        if (contents == NULL) {
            break;
        }
        if (id == NAME_SUBSECTION_FUNCTIONS) {
            return find_in_name_map((struct reader){.cursor = contents, .limit = contents + size}, function);
        }
    }
    return (struct name){0};
}

struct name module_function_name(const struct module *module, uint32_t index)
{
    for (uint32_t i = 0; i < module->custom_section_count; i++) {
        const struct custom_section *section = &module->custom_sections[i];
        if (section->name.length == 4 && memcmp(section->name.text, "name", 4) == 0) {
            struct name name = find_in_name_section(module, section, index);
            if (name.length != 0) {
                return name;
            }
        }
    }
    for (uint32_t i = 0; i < module->export_count; i++) {
        if (module->exports[i].kind == EXTERNAL_FUNCTION && module->exports[i].index == index) {
            return module->exports[i].field;
        }
    }
    for (uint32_t i = 0; index < module->function_import_count && i < module->import_count; i++) {
        if (module->imports[i].kind == EXTERNAL_FUNCTION && module->imports[i].index == index) {
            return module->imports[i].field;
        }
    }
    return (struct name){0};
}
