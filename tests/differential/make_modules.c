/* Modules with made bodies that do the same everywhere: make_modules FOLDER COUNT SEED writes FOLDER/NAME.N.wasm, NAME
 * being the folder's own name. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/wrap.h"

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "make_modules FOLDER COUNT SEED\n");
        return 2;
    }
    uint64_t state = strtoull(argv[3], NULL, 10);
    int count = atoi(argv[2]);
    for (int i = 0; i < count; i++) {
        uint8_t choices[1500];
        size_t length = 50 + next_random(&state) % (sizeof(choices) - 50);
        for (size_t j = 0; j < length; j++) {
            choices[j] = (uint8_t)next_random(&state);
        }
        char path[1000];
        snprintf(path, sizeof(path), "%s/made.%d.wasm", argv[1], i);
        struct wrapped wrapped = wrap_repeatable(choices, length);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(wrapped.bytes, 1, wrapped.size, file) != wrapped.size || fclose(file) != 0) {
            perror(path);
            return 1;
        }
        free(wrapped.bytes);
    }
    return 0;
}
