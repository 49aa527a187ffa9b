/* An LZ77 compressor with a hash of four bytes, and its decompressor: unaligned words, match copying. */
#include "bench.h"

enum { SIZE = 1 << 18, HASH_BITS = 13, SHORTEST = 4 };

static uint32_t load_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

static uint8_t *put_length(uint8_t *to, uint32_t length)
{
    for (; length >= 255; length -= 255)
        *to++ = 255;
    *to++ = (uint8_t)length;
    return to;
}

static const uint8_t *get_length(const uint8_t *from, uint32_t *length)
{
    *length = 0;
    do
        *length += *from;
    while (*from++ == 255);
    return from;
}

/* Sequences of: literal count, literals, offset (2 bytes; 0 ends), match length. */
static size_t compress(const uint8_t *data, uint8_t *output)
{
    static uint32_t last[1 << HASH_BITS];
    memset(last, 0, sizeof last);
    uint8_t *to = output;
    uint32_t literals = 0, at = 1;
    while (at < SIZE - 16) {
        uint32_t word = load_word(data + at);
        uint32_t slot = word * 2654435761u >> (32 - HASH_BITS);
        uint32_t candidate = last[slot];
        last[slot] = at;
        if (at - candidate > 0xffff || load_word(data + candidate) != word) {
            at++;
            continue;
        }
        uint32_t length = SHORTEST;
        while (at + length < SIZE - 16 && data[candidate + length] == data[at + length])
            length++;
        to = put_length(to, at - literals);
        memcpy(to, data + literals, at - literals);
        to += at - literals;
        *to++ = (uint8_t)(at - candidate);
        *to++ = (uint8_t)((at - candidate) >> 8);
        to = put_length(to, length - SHORTEST);
        at += length;
        literals = at;
    }
    to = put_length(to, SIZE - literals);
    memcpy(to, data + literals, SIZE - literals);
    to += SIZE - literals;
    *to++ = 0;
    *to++ = 0;
    return (size_t)(to - output);
}

static void decompress(const uint8_t *from, uint8_t *output)
{
    for (;;) {
        uint32_t length;
        from = get_length(from, &length);
        memcpy(output, from, length);
        output += length;
        from += length;
        uint32_t offset = from[0] | (uint32_t)from[1] << 8;
        from += 2;
        if (offset == 0)
            return;
        from = get_length(from, &length);
        const uint8_t *match = output - offset;
        for (length += SHORTEST; length > 0; length--)
            *output++ = *match++;
    }
}

uint64_t compute(uint32_t scale)
{
    static uint8_t data[SIZE], packed[SIZE + SIZE / 64 + 16], unpacked[SIZE];
    uint32_t random = 42;
    for (uint32_t i = 0; i < SIZE;) {
        uint32_t value = next_random(&random), length = 3 + (value >> 8) % 29;
        uint32_t from = i > 64 ? (value >> 13) % i : 0;
        for (uint32_t n = 0; n < length && i < SIZE; n++, i++)
            data[i] = i > 64 && value % 4 != 0 ? data[from + n] : (uint8_t)(next_random(&random) % 64 + 32);
    }
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 90 * scale; round++) {
        sum = mix(sum, compress(data, packed));
        decompress(packed, unpacked);
        if (memcmp(data, unpacked, SIZE) != 0)
            return 0;
        data[(round * 7919) % SIZE]++;
    }
    return sum;
}
