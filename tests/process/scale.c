/* How independent processes scale over CPUs on platform/linux.
 *
 *     scale MODULE [PROCESSES [ROUNDS]]
 *
 * Runs that many instances of a program (4) on one CPU and on two, each at a time of its own, in turns. One line for each
 * count: `CPUs<TAB>wall ms<TAB>CPU ms`, the best of ROUNDS (3); then how many times the throughput is on two CPUs: by the
 * wall, which counts on a machine with nothing else to do, and by CPU time alone, which says what sharing costs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "kernel/launch.h"
#include "platform/linux/linux.h"

static uint8_t *module;
static size_t module_size;

static void run_one(void *argument)
{
    struct launch launch = {.name = "program", .module_bytes = module, .module_size = module_size};
    launch_run(&launch, argument);
}

/* In a process of its own: the kernel starts once in each. */
_Noreturn static void run_all(uint32_t cpus, uint32_t count)
{
    struct launch_result results[64];
    struct thread *threads[64];
    linux_platform_initialize();
    linux_set_cpu_count(cpus);
    cpu_initialize();
    for (uint32_t i = 0; i < count; i++)
        thread_start(run_one, &results[i], &threads[i]);
    for (uint32_t i = 0; i < count; i++) {
        thread_join(threads[i]);
        if (results[i].outcome != LAUNCH_EXITED)
            _exit(1);
    }
    _exit(0);
}

static double milliseconds(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static void measure(uint32_t cpus, uint32_t count, double *wall, double *cpu)
{
    struct rusage usage;
    int status;
    uint64_t start = platform_monotonic_nanoseconds();
    pid_t child = fork();
    if (child == 0)
        run_all(cpus, count);
    wait4(child, &status, 0, &usage);
    double elapsed = (double)(platform_monotonic_nanoseconds() - start) / 1e6;
    double used = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    if (status != 0) {
        fprintf(stderr, "scale: a program failed\n");
        exit(1);
    }
    *wall = *wall == 0 || elapsed < *wall ? elapsed : *wall;
    *cpu = *cpu == 0 || used < *cpu ? used : *cpu;
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 4;
    int rounds = argc > 3 ? atoi(argv[3]) : 3;
    double wall[2] = {0}, cpu[2] = {0};
    if (!file || count == 0 || count > 64) {
        fprintf(stderr, "scale MODULE [PROCESSES [ROUNDS]]\n");
        return 2;
    }
    module = malloc(16 << 20);
    module_size = fread(module, 1, 16 << 20, file);
    fclose(file);
    if (freopen("/dev/null", "w", stdout) == NULL) /* the programs' */
        return 2;
    for (int round = 0; round < rounds; round++)
        for (uint32_t cpus = 1; cpus <= 2; cpus++)
            measure(cpus, count, &wall[cpus - 1], &cpu[cpus - 1]);
    for (uint32_t cpus = 1; cpus <= 2; cpus++)
        fprintf(stderr, "%u\t%.1f\t%.1f\n", cpus, wall[cpus - 1], cpu[cpus - 1]);
    fprintf(stderr, "wall\t%.2f\nCPU time\t%.2f\n", wall[0] / wall[1], 2 * cpu[0] / cpu[1]);
    return 0;
}
