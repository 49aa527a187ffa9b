/* Growing bytes, for making modules. */
#ifndef TESTS_FUZZ_BUFFER_H
#define TESTS_FUZZ_BUFFER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    uint8_t *bytes;
    size_t size, capacity;
};

static inline void put_bytes(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    if (buffer->size + size > buffer->capacity) {
        buffer->capacity = (buffer->size + size) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (buffer->bytes == NULL) {
            abort();
        }
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

static inline void put_byte(struct buffer *buffer, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    put_bytes(buffer, &value, 1);
}

static inline void put_unsigned(struct buffer *buffer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        put_byte(buffer, (unsigned)(value & 0x7f) | 0x80);
    }
    put_byte(buffer, (unsigned)value);
}

static inline void put_signed(struct buffer *buffer, int64_t value)
{
    while (value < -64 || value > 63) {
        put_byte(buffer, (unsigned)(value & 0x7f) | 0x80);
        value >>= 7;
    }
    put_byte(buffer, (unsigned)(value & 0x7f));
}

#endif
