/* Runs a command many times and prints what one run costs, exactly: posix_spawn and wait4 around each, nothing between.
 *
 *     spawn RUNS COMMAND [ARGUMENT...]
 *
 * One line per run: "wall_us user_us system_us rss_kib status", standard output of the command discarded. This helper
 * is linked statically and kept tiny, for Linux counts the pages of the spawning process into the peak of the spawned
 * one. */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static uint64_t now_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t microseconds(struct timeval value)
{
    return (uint64_t)value.tv_sec * 1000000u + (uint64_t)value.tv_usec;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: spawn RUNS COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (long runs = strtol(argv[1], NULL, 10); runs > 0; runs--) {
        pid_t child;
        int status;
        struct rusage usage;
        uint64_t start = now_nanoseconds();
        if (posix_spawnp(&child, argv[2], &actions, NULL, argv + 2, environ) != 0) {
            fprintf(stderr, "spawn: cannot run %s\n", argv[2]);
            return 2;
        }
        if (wait4(child, &status, 0, &usage) != child)
            return 2;
        uint64_t wall = now_nanoseconds() - start;
        printf("%.1f %llu %llu %ld %d\n", (double)wall / 1000, (unsigned long long)microseconds(usage.ru_utime),
               (unsigned long long)microseconds(usage.ru_stime), usage.ru_maxrss, status);
    }
    return 0;
}
