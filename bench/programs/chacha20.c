/* ChaCha20 (RFC 8439): sixteen live words, more than there are registers. */
#include "bench.h"

static uint32_t rotate(uint32_t value, int count)
{
    return value << count | value >> (32 - count);
}

#define QUARTER(a, b, c, d)                                                                                            \
    (x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16), x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12), x[a] += x[b],         \
     x[d] = rotate(x[d] ^ x[a], 8), x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7))

static void block(const uint32_t *input, uint32_t *output)
{
    uint32_t x[16];
    memcpy(x, input, sizeof x);
    for (int round = 0; round < 10; round++) {
        QUARTER(0, 4, 8, 12);
        QUARTER(1, 5, 9, 13);
        QUARTER(2, 6, 10, 14);
        QUARTER(3, 7, 11, 15);
        QUARTER(0, 5, 10, 15);
        QUARTER(1, 6, 11, 12);
        QUARTER(2, 7, 8, 13);
        QUARTER(3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        output[i] = x[i] + input[i];
}

uint64_t compute(uint32_t scale)
{
    static uint32_t data[1 << 14];
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11};
    for (uint32_t round = 0; round < 700 * scale; round++)
        for (size_t at = 0; at < sizeof data / sizeof *data; at += 16) {
            uint32_t stream[16];
            block(input, stream);
            for (int i = 0; i < 16; i++)
                data[at + (size_t)i] ^= stream[i];
            input[12]++;
        }
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        sum = mix(sum, data[i]);
    return sum;
}
