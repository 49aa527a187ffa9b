/* LEB128 numbers of more than one byte, with every rule of the format (spec 5.2.2). */
#include "engine/reader.h"

const char *reader_fault_text(enum reader_fault fault)
{
    switch (fault) {
    case READER_OK:
        return "no fault";
    case READER_END:
        return "unexpected end";
    case READER_LONG:
        return "integer representation too long";
    case READER_LARGE:
        return "integer too large";
    }
    return "unknown fault";
}

static bool reader_fail(struct reader *reader, enum reader_fault fault)
{
    reader->fault = fault;
    return false;
}

/* Collect 7 bits a byte. `*last` is the last byte and `*shift` the position of its lowest bit. */
static bool reader_collect(struct reader *reader, unsigned bits, uint64_t *value, uint8_t *last, unsigned *shift)
{
    const uint8_t *p = reader->cursor;
    uint64_t collected = 0;
    for (unsigned position = 0; position < bits; position += 7) {
        if (p >= reader->limit) {
            return reader_fail(reader, READER_END);
        }
        uint8_t byte = *p++;
        collected |= (uint64_t)(byte & 0x7f) << position;
        if (byte < 0x80) {
            *value = collected;
            *last = byte;
            *shift = position;
            reader->cursor = p;
            return true;
        }
    }
    return reader_fail(reader, READER_LONG);
}

bool reader_unsigned(struct reader *reader, unsigned bits, uint64_t *value)
{
    const uint8_t *start = reader->cursor;
    uint8_t last;
    unsigned shift;
    if (!reader_collect(reader, bits, value, &last, &shift)) {
        return false;
    }
    if (shift + 7 > bits && (last >> (bits - shift)) != 0) {
        reader->cursor = start;
        return reader_fail(reader, READER_LARGE);
    }
    return true;
}

bool reader_signed(struct reader *reader, unsigned bits, int64_t *value)
{
    const uint8_t *start = reader->cursor;
    uint64_t collected;
    uint8_t last;
    unsigned shift;
    if (!reader_collect(reader, bits, &collected, &last, &shift)) {
        return false;
    }
    if (shift + 7 > bits) {
        /* The sign bit and all bits above it in the last byte must agree. */
        uint8_t mask = (uint8_t)(0x7f & (0x7f << (bits - shift - 1)));
        if ((last & mask) != 0 && (last & mask) != mask) {
            reader->cursor = start;
            return reader_fail(reader, READER_LARGE);
        }
    }
    if (shift + 7 < 64 && (last & 0x40)) {
        collected |= ~UINT64_C(0) << (shift + 7);
    }
    *value = (int64_t)collected;
    return true;
}
