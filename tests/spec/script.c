/* Reading the compact form of the suite's scripts: see script.h. */
#include "tests/spec/script.h"

#include "engine/base.h"

static uint64_t read_bytes(struct script_reader *reader, uint32_t count)
{
    if ((size_t)(reader->end - reader->cursor) < count) {
        reader->damaged = true;
        reader->cursor = reader->end;
        return 0;
    }
    uint64_t value = 0;
    memcpy(&value, reader->cursor, count);
    reader->cursor += count;
    return value;
}

uint32_t script_open(struct script_reader *reader, const uint8_t *bytes, size_t size)
{
    *reader = (struct script_reader){bytes, bytes + size, false};
    if (read_bytes(reader, 4) != SCRIPT_MAGIC)
        return 0;
    return script_number(reader);
}

bool script_next(struct script_reader *reader, struct script_command *command)
{
    if (reader->cursor == reader->end)
        return false;
    uint64_t kind = read_bytes(reader, 1);
    command->line = script_number(reader);
    command->excuse = script_text(reader);
    struct name body = script_text(reader);
    if (reader->damaged || kind >= COMMAND_COUNT)
        return false;
    command->kind = (enum script_command_kind)kind;
    const uint8_t *start = (const uint8_t *)body.text;
    command->body = (struct script_reader){start, start + body.length, false};
    return true;
}

uint32_t script_number(struct script_reader *reader)
{
    return (uint32_t)read_bytes(reader, 4);
}

struct name script_text(struct script_reader *reader)
{
    uint32_t length = script_number(reader);
    if ((size_t)(reader->end - reader->cursor) < length) {
        reader->damaged = true;
        length = 0;
    }
    struct name text = {(const char *)reader->cursor, length};
    reader->cursor += length;
    return text;
}

struct script_action script_action(struct script_reader *reader)
{
    struct script_action action = {0};
    action.invoke = read_bytes(reader, 1) != 0;
    action.module = script_text(reader);
    action.field = script_text(reader);
    action.argument_count = script_number(reader);
    return action;
}

struct script_value script_value(struct script_reader *reader)
{
    struct script_value value = {0};
    value.type = (enum script_type)read_bytes(reader, 1);
    value.part_count = (uint8_t)read_bytes(reader, 1);
    if (value.type == TYPE_EITHER)
        return value;
    if (value.part_count > SCRIPT_PARTS_MAXIMUM) {
        reader->damaged = true;
        value.part_count = 0;
    }
    for (uint32_t i = 0; i < value.part_count; i++) {
        struct script_part *part = &value.parts[i];
        part->comparison = (enum comparison)read_bytes(reader, 1);
        part->bytes = (uint8_t)read_bytes(reader, 1);
        part->bits = read_bytes(reader, 8);
    }
    return value;
}
