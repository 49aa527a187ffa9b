/* In place of the log: makes something else of half of the memory that the log keeps, and ends. */
#include <stdlib.h>

#include "sdk/tessera.h"

#define BYTES (1 << 20)

static _Alignas(TESSERA_PAGE_BYTES) uint8_t memory[BYTES];

int main(void)
{
    int32_t state = tessera_handle_named("state", 5);
    if (state < 0 || tessera_memory_size((uint32_t)state) != BYTES ||
        tessera_memory_map((uint32_t)state, memory, 0, BYTES, TESSERA_MAP_WRITE) < 0) {
        return 1;
    }
    for (uint32_t i = BYTES / 2; i < BYTES; i++) {
        memory[i] = (uint8_t)rand();
    }
    return 0;
}
