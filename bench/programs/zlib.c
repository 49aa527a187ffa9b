/* Debian's zlib deflating and inflating a text at level 6. */
#include "bench.h"
#include <zlib.h>

enum { SIZE = 1 << 18 };

uint64_t compute(uint32_t scale)
{
    static uint8_t text[SIZE], packed[SIZE + SIZE / 8], unpacked[SIZE];
    static const char *const words[] = {"mosaic ", "tile ", "kernel ", "the ", "of ", "process, ", "a ", "memory.\n"};
    uint32_t random = 77;
    for (uint32_t i = 0; i < SIZE;)
        for (const char *word = words[next_random(&random) % 8]; *word != 0 && i < SIZE; word++)
            text[i++] = (uint8_t)(next_random(&random) % 50 == 0 ? 'A' + random % 26 : (uint8_t)*word);
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 10 * scale; round++) {
        uLongf packed_size = sizeof packed, size = sizeof unpacked;
        if (compress2(packed, &packed_size, text, SIZE, 6) != Z_OK ||
            uncompress(unpacked, &size, packed, packed_size) != Z_OK || size != SIZE ||
            memcmp(text, unpacked, SIZE) != 0)
            return 0;
        sum = mix(sum, crc32(packed_size, packed, (uInt)packed_size));
        text[(round * 7919) % SIZE]++;
    }
    return sum;
}
