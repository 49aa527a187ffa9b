/* CRC-32 by table, byte after byte, then by four tables: loads that depend on each other. */
#include "bench.h"

static uint32_t tables[4][256];

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
        tables[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 4; t++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xff];
}

static uint32_t crc_bytes(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ tables[0][(crc ^ data[i]) & 0xff];
    return ~crc;
}

static uint32_t crc_words(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t word;
        memcpy(&word, data + i, 4);
        crc ^= word;
        crc = tables[3][crc & 0xff] ^ tables[2][crc >> 8 & 0xff] ^ tables[1][crc >> 16 & 0xff] ^ tables[0][crc >> 24];
    }
    return ~crc;
}

uint64_t compute(uint32_t scale)
{
    static uint8_t data[1 << 16];
    uint32_t random = 3;
    make_tables();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)next_random(&random);
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 500 * scale; round++) {
        sum = mix(sum, crc_bytes(data, sizeof data));
        sum = mix(sum, crc_words(data, sizeof data));
        data[round % sizeof data]++;
    }
    return sum;
}
