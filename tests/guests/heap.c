/* 100 MB of heap: in one block, then in many, written and read back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE (100u << 20)
#define PART  (1u << 20)

static uint64_t fill_and_add(uint8_t *block, size_t bytes, uint8_t first)
{
    for (size_t i = 0; i < bytes; i++)
        block[i] = (uint8_t)(first + i * 7);
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += block[i];
    return sum;
}

int main(void)
{
    uint8_t *whole = malloc(WHOLE);
    if (!whole)
        return 1;
    printf("one block: %llu\n", (unsigned long long)fill_and_add(whole, WHOLE, 1));
    free(whole);

    static uint8_t *parts[WHOLE / PART];
    uint64_t sum = 0;
    for (size_t i = 0; i < WHOLE / PART; i++) {
        parts[i] = malloc(PART - 16);
        if (!parts[i])
            return 1;
        sum += fill_and_add(parts[i], PART - 16, (uint8_t)i);
    }
    for (size_t i = 0; i < WHOLE / PART; i++)
        free(parts[i]);
    printf("100 blocks: %llu\n", (unsigned long long)sum);
    return 0;
}
