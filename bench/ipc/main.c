/* What processes pay to talk to each other, beside Linux doing the same on this machine in this run:
 *     bench-ipc GUEST.wasm [SCALE [NAME]]
 * One line each: name, ticks of the time-stamp counter, what Linux does, its ticks; separated by tabs. Medians of
 * several rounds, both sides on one CPU. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ipc/linux.h"
#include "kernel/cpu.h"
#include "platform/linux/linux.h"

#define SCALE              1000
#define FILE_BYTES_MAXIMUM (4 << 20)

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(FILE_BYTES_MAXIMUM);
    if (!file || !bytes) {
        perror(path);
        exit(1);
    }
    *size = fread(bytes, 1, FILE_BYTES_MAXIMUM, file);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *rival;
    } rows[] = {
#define MEASURE_ROW(name, rival) {#name, rival},
        MEASURES(MEASURE_ROW)
#undef MEASURE_ROW
    };
    uint64_t theirs[MEASURE_COUNT];
    bool chosen[MEASURE_COUNT];
    if (argc == 2 && strcmp(argv[1], LINUX_EXIT_ARGUMENT) == 0)
        return 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s GUEST.wasm [SCALE [NAME]]\n", argv[0]);
        return 2;
    }
    uint32_t scale = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : SCALE;
    for (uint32_t i = 0; i < MEASURE_COUNT; i++) {
        chosen[i] = argc <= 3 || strcmp(argv[3], rows[i].name) == 0;
        theirs[i] = chosen[i] ? linux_measure((enum measure_number)i, scale) : 0;
    }
    size_t size;
    uint8_t *guest = read_file(argv[1], &size);
    linux_platform_initialize();
    linux_pin_cpus();
    cpu_initialize();
    const char *failure = measure_begin(guest, size);
    for (uint32_t i = 0; i < MEASURE_COUNT && !failure; i++) {
        uint64_t ours = chosen[i] ? measure((enum measure_number)i, scale, &failure) : 0;
        if (ours && !failure) {
            printf("%s\t%llu\t%s\t%llu\n", rows[i].name, (unsigned long long)ours, rows[i].rival,
                   (unsigned long long)theirs[i]);
            fflush(stdout);
        }
    }
    if (failure)
        fprintf(stderr, "bench-ipc: %s\n", failure);
    return failure != NULL;
}
