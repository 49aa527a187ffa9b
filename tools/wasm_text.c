/* Instructions as text; see wasm_text.h. */
#include "tools/wasm_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/opcode.h"
#include "engine/reader.h"

#define TARGETS_SHOWN 16 /* of a br_table */

struct writer {
    char *buffer;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(writer->buffer + writer->used, writer->size - writer->used, format, arguments);
    va_end(arguments);
    writer->used += length > 0 ? (size_t)length : 0;
    if (writer->used >= writer->size)
        writer->used = writer->size - 1;
}

const uint8_t *wasm_body_code(const struct module *module, uint32_t function)
{
    const uint8_t *cursor = module->bytes + module->functions[function].body_offset;
    for (uint32_t groups = read_u32_trusted(&cursor); groups > 0; groups--) {
        read_u32_trusted(&cursor);
        int64_t code = read_s33_trusted(&cursor) + 0x80;
        if (code == 0x63 || code == 0x64)
            read_s33_trusted(&cursor); /* the heap type of a reference */
    }
    return cursor;
}

static void put_value_type(struct writer *writer, const uint8_t **cursor)
{
    char text[24];
    uint8_t code = *(*cursor)++;
    value_type type = code;
    if (code == 0x63 || code == 0x64)
        type |= (uint32_t)read_s33_trusted(cursor) << 8;
    put(writer, " %s", value_type_text(type, text));
}

static void put_block_type(struct writer *writer, const uint8_t **cursor)
{
    if (**cursor == 0x40)
        (*cursor)++;
    else if (**cursor & 0x40 && !(**cursor & 0x80))
        put_value_type(writer, cursor);
    else
        put(writer, " type=%lld", (long long)read_s33_trusted(cursor));
}

static void put_function(struct writer *writer, const struct module *module, const uint8_t **cursor)
{
    uint32_t index = read_u32_trusted(cursor);
    struct name name = module_function_name(module, index);
    put(writer, " %u", index);
    if (name.length > 0)
        put(writer, " <%.*s>", (int)name.length, name.text);
}

static void put_memory_access(struct writer *writer, const uint8_t **cursor)
{
    uint32_t alignment = read_u32_trusted(cursor);
    if (alignment & 64)
        put(writer, " memory=%u", read_u32_trusted(cursor));
    uint64_t offset = read_u64_trusted(cursor);
    if (offset != 0)
        put(writer, " offset=%llu", (unsigned long long)offset);
}

static void put_label_table(struct writer *writer, const uint8_t **cursor)
{
    uint32_t count = read_u32_trusted(cursor);
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t target = read_u32_trusted(cursor);
        if (i == count)
            put(writer, " default=%u", target);
        else if (i < TARGETS_SHOWN)
            put(writer, " %u", target);
        else if (i == TARGETS_SHOWN)
            put(writer, " ...");
    }
}

static void put_bytes(struct writer *writer, const uint8_t **cursor, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        put(writer, " %02x", *(*cursor)++);
}

static void put_float(struct writer *writer, const uint8_t **cursor, bool is_double)
{
    double value;
    if (is_double) {
        memcpy(&value, *cursor, 8);
    } else {
        float narrow;
        memcpy(&narrow, *cursor, 4);
        value = (double)narrow;
    }
    *cursor += is_double ? 8 : 4;
    put(writer, " %.17g", value);
}

static void put_catch_clauses(struct writer *writer, const uint8_t **cursor)
{
    put_block_type(writer, cursor);
    for (uint32_t count = read_u32_trusted(cursor); count > 0; count--) {
        uint8_t kind = *(*cursor)++;
        if (kind < 2)
            put(writer, " tag=%u", read_u32_trusted(cursor));
        put(writer, " %s=%u", kind < 2 ? "catch" : "catch_all", read_u32_trusted(cursor));
    }
}

static void put_immediate(struct writer *writer, const struct module *module, enum immediate immediate,
                          const uint8_t **cursor)
{
    switch (immediate) {
    case IMMEDIATE_NONE:
        break;
    case IMMEDIATE_BLOCK:
        put_block_type(writer, cursor);
        break;
    case IMMEDIATE_FUNCTION:
        put_function(writer, module, cursor);
        break;
    case IMMEDIATE_LABEL_TABLE:
        put_label_table(writer, cursor);
        break;
    case IMMEDIATE_SELECT_TYPES:
        for (uint32_t count = read_u32_trusted(cursor); count > 0; count--)
            put_value_type(writer, cursor);
        break;
    case IMMEDIATE_MEMORY_ACCESS:
        put_memory_access(writer, cursor);
        break;
    case IMMEDIATE_MEMORY_ACCESS_LANE:
        put_memory_access(writer, cursor);
        put_bytes(writer, cursor, 1);
        break;
    case IMMEDIATE_I32:
    case IMMEDIATE_I64:
    case IMMEDIATE_HEAP_TYPE:
        put(writer, " %lld", (long long)read_s64_trusted(cursor));
        break;
    case IMMEDIATE_F32:
    case IMMEDIATE_F64:
        put_float(writer, cursor, immediate == IMMEDIATE_F64);
        break;
    case IMMEDIATE_V128:
    case IMMEDIATE_SHUFFLE:
        put_bytes(writer, cursor, 16);
        break;
    case IMMEDIATE_LANE:
    case IMMEDIATE_FENCE:
        put_bytes(writer, cursor, 1);
        break;
    case IMMEDIATE_TRY_TABLE:
        put_catch_clauses(writer, cursor);
        break;
    case IMMEDIATE_INDIRECT:
        put(writer, " type=%u", read_u32_trusted(cursor));
        put(writer, " table=%u", read_u32_trusted(cursor));
        break;
    case IMMEDIATE_CAST_LABEL:
        put_bytes(writer, cursor, 1);
        put(writer, " %u", read_u32_trusted(cursor));
        put(writer, " %lld", (long long)read_s33_trusted(cursor));
        put(writer, " %lld", (long long)read_s33_trusted(cursor));
        break;
    case IMMEDIATE_DATA_MEMORY:
    case IMMEDIATE_MEMORY_MEMORY:
    case IMMEDIATE_ELEMENT_TABLE:
    case IMMEDIATE_TABLE_TABLE:
    case IMMEDIATE_TYPE_FIELD:
    case IMMEDIATE_TYPE_LENGTH:
    case IMMEDIATE_TYPE_DATA:
    case IMMEDIATE_TYPE_ELEMENT:
    case IMMEDIATE_TYPE_TYPE:
        put(writer, " %u", read_u32_trusted(cursor));
        put(writer, " %u", read_u32_trusted(cursor));
        break;
    default: /* one index */
        put(writer, " %u", read_u32_trusted(cursor));
        break;
    }
}

const uint8_t *wasm_instruction_text(const struct module *module, const uint8_t *cursor, char *buffer, size_t size,
                                     unsigned *nesting, unsigned *indent)
{
    struct writer writer = {.buffer = buffer, .size = size};
    uint8_t first = *cursor++;
    uint8_t prefix = opcode_is_prefix(first) ? first : 0;
    unsigned opcode = opcode_number(prefix, prefix ? read_u32_trusted(&cursor) : first);
    const struct opcode_information *information = &opcode_table[opcode];
    if (opcode == OP_END || opcode == OP_ELSE)
        *nesting -= *nesting > 0;
    *indent = *nesting;
    if (information->immediate == IMMEDIATE_BLOCK || information->immediate == IMMEDIATE_TRY_TABLE || opcode == OP_ELSE)
        ++*nesting;
    put(&writer, "%s", information->mnemonic);
    put_immediate(&writer, module, (enum immediate)information->immediate, &cursor);
    return cursor;
}
