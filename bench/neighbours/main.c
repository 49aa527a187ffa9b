/* As a Linux process:
 *     bench-neighbours GUEST.wasm [ROUNDS [NAME]]
 * One line each: what runs beside the program, and per cent of its fair share that it has. Time is processor time of
 * the whole process, so other load of the machine counts little. Status 1 when it is less than 90. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/neighbours/measure.h"
#include "kernel/cpu.h"
#include "platform/linux/linux.h"

#define ROUNDS             200000000
#define FILE_BYTES_MAXIMUM (4 << 20)
#define LEAST              900

static uint64_t processor_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* In a process of its own, where the kernel starts anew. */
static void run(enum neighbour neighbour, const uint8_t *module, size_t size, uint32_t rounds, const char *what)
{
    const char *failure = NULL;
    linux_platform_initialize();
    linux_set_cpu_count(1);
    cpu_initialize();
    uint32_t share = measure_neighbour(neighbour, module, size, rounds, processor_time, &failure);
    printf("%s\t%u.%u\n", what, share / 10, share % 10);
    if (failure)
        fprintf(stderr, "bench-neighbours: %s: %s\n", what, failure);
    exit(failure || share < LEAST);
}

int main(int argc, char **argv)
{
    static const char *const names[][2] = {
#define NEIGHBOUR_ROW(name, what) {#name, what},
        NEIGHBOURS(NEIGHBOUR_ROW)
#undef NEIGHBOUR_ROW
    };
    static uint8_t module[FILE_BYTES_MAXIMUM];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: %s GUEST.wasm [ROUNDS [NAME]]\n", argv[0]);
        return 2;
    }
    size_t size = fread(module, 1, sizeof module, file);
    uint32_t rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : ROUNDS;
    int failures = 0;
    for (uint32_t i = 0; i < NEIGHBOUR_COUNT; i++) {
        int status = 0;
        if (argc > 3 && strcmp(argv[3], names[i][0]) != 0)
            continue;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            run((enum neighbour)i, module, size, rounds, names[i][1]);
        waitpid(child, &status, 0);
        failures += status != 0;
    }
    return failures > 0;
}
