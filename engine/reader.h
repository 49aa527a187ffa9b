/* Reading the binary format's bytes: LEB128 numbers and fixed-width words (spec 5.2).
 *
 * Two families. `reader_*` check every byte against the limit and the LEB128 rules (at most ceil(N/7) bytes, unused
 * bits of the last byte zero or a copy of the sign). `*_trusted` check nothing: they are for bytes that the checked
 * ones have accepted before. */
#ifndef ENGINE_READER_H
#define ENGINE_READER_H

#include "engine/base.h"
#include "engine/types.h"

/* ---- Trusted bytes ---- */
static inline uint64_t read_unsigned_trusted_rest(const uint8_t **cursor, uint64_t value)
{
    const uint8_t *p = *cursor;
    unsigned shift = 7;
    uint64_t byte;
    do {
        byte = *p++;
        value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    *cursor = p;
    return value;
}

static inline uint64_t read_u64_trusted(const uint8_t **cursor)
{
    uint64_t byte = *(*cursor)++;
    if (LIKELY(byte < 0x80)) {
        return byte;
    }
    return read_unsigned_trusted_rest(cursor, byte & 0x7f);
}

static inline uint32_t read_u32_trusted(const uint8_t **cursor)
{
    return (uint32_t)read_u64_trusted(cursor);
}

static inline int64_t read_s64_trusted(const uint8_t **cursor)
{
    const uint8_t *p = *cursor;
    uint64_t value = 0;
    unsigned shift = 0;
    uint64_t byte;
    do {
        byte = *p++;
        value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    *cursor = p;
    if (shift < 64 && (byte & 0x40)) {
        value |= ~UINT64_C(0) << shift;
    }
    return (int64_t)value;
}

static inline int32_t read_s32_trusted(const uint8_t **cursor)
{
    return (int32_t)read_s64_trusted(cursor);
}

/* Block types and heap types: negative for a value type's code (read as code - 0x80), else a type index. */
static inline int64_t read_s33_trusted(const uint8_t **cursor)
{
    return read_s64_trusted(cursor);
}

static inline uint32_t read_fixed32_trusted(const uint8_t **cursor)
{
    uint32_t value;
    memcpy(&value, *cursor, sizeof(value));
    *cursor += sizeof(value);
    return value;
}

static inline uint64_t read_fixed64_trusted(const uint8_t **cursor)
{
    uint64_t value;
    memcpy(&value, *cursor, sizeof(value));
    *cursor += sizeof(value);
    return value;
}

/* A value type, or a block type: its s33, and the heap type that may follow. */
static inline void skip_value_type(const uint8_t **cursor)
{
    uint8_t code = **cursor;
    read_s64_trusted(cursor);
    if (code == VALUE_REF || code == VALUE_REF_NULL) {
        read_s64_trusted(cursor);
    }
}

/* ---- Untrusted bytes ---- */
enum reader_fault {
    READER_OK,
    READER_END,   /* the bytes end within the item */
    READER_LONG,  /* more LEB128 bytes than the type can need */
    READER_LARGE, /* unused bits of the last byte do not extend the value */
};

struct reader {
    const uint8_t *cursor; /* after a fault: where the faulty item starts */
    const uint8_t *limit;
    enum reader_fault fault; /* set by the first read that failed, kept by later ones that succeed */
};

/* Text of a fault, in the words of the official suite: "integer representation too long". */
const char *reader_fault_text(enum reader_fault fault);

/* The general case: a LEB128 number of `bits` bits (32, 33 or 64), sign-extended to 64 bits where it is signed. */
bool reader_unsigned(struct reader *reader, unsigned bits, uint64_t *value);
bool reader_signed(struct reader *reader, unsigned bits, int64_t *value);

static inline bool reader_byte(struct reader *reader, uint8_t *value)
{
    if (UNLIKELY(reader->cursor >= reader->limit)) {
        reader->fault = READER_END;
        return false;
    }
    *value = *reader->cursor++;
    return true;
}

static inline bool reader_u32(struct reader *reader, uint32_t *value)
{
    if (LIKELY(reader->cursor < reader->limit && *reader->cursor < 0x80)) {
        *value = *reader->cursor++;
        return true;
    }
    uint64_t wide = 0;
    bool read = reader_unsigned(reader, 32, &wide);
    *value = (uint32_t)wide;
    return read;
}

static inline bool reader_u64(struct reader *reader, uint64_t *value)
{
    if (LIKELY(reader->cursor < reader->limit && *reader->cursor < 0x80)) {
        *value = *reader->cursor++;
        return true;
    }
    return reader_unsigned(reader, 64, value);
}

/* A one-byte signed number: bit 6 is the sign. */
static inline int64_t reader_sign_extend7(uint8_t byte)
{
    return (int64_t)((uint64_t)byte << 57) >> 57;
}

static inline bool reader_s32(struct reader *reader, int32_t *value)
{
    if (LIKELY(reader->cursor < reader->limit && *reader->cursor < 0x80)) {
        *value = (int32_t)reader_sign_extend7(*reader->cursor++);
        return true;
    }
    int64_t wide = 0;
    bool read = reader_signed(reader, 32, &wide);
    *value = (int32_t)wide;
    return read;
}

static inline bool reader_s33(struct reader *reader, int64_t *value)
{
    if (LIKELY(reader->cursor < reader->limit && *reader->cursor < 0x80)) {
        *value = reader_sign_extend7(*reader->cursor++);
        return true;
    }
    return reader_signed(reader, 33, value);
}

static inline bool reader_s64(struct reader *reader, int64_t *value)
{
    if (LIKELY(reader->cursor < reader->limit && *reader->cursor < 0x80)) {
        *value = reader_sign_extend7(*reader->cursor++);
        return true;
    }
    return reader_signed(reader, 64, value);
}

/* `count` bytes as they stand: their address, or NULL at the end. */
static inline const uint8_t *reader_bytes(struct reader *reader, size_t count)
{
    if (UNLIKELY((size_t)(reader->limit - reader->cursor) < count)) {
        reader->fault = READER_END;
        return NULL;
    }
    const uint8_t *bytes = reader->cursor;
    reader->cursor += count;
    return bytes;
}

#endif
