/* What keeps the CPUs busy, again and again: `top [SECONDS [ROUNDS]]`. See processes.h for what it needs, and
 * docs/introspection.md. A line of input (at a terminal: Enter) ends it; the end of input does not. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "services/tools/processes.h"
#include "services/tools/tool.h"

static const char usage[] =
    "Usage: top [SECONDS [ROUNDS]]\n\n"
    "The processes that used most of the CPUs, every so many seconds (2; 0.1 to 3600) and so many\n"
    "times (else until Enter). 100 % is one CPU.\n";

#define MILLISECONDS_DEFAULT 2000
#define ROWS                 20

/* 0: not a time. */
static uint64_t milliseconds_of(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    bool is_time = *text >= '0' && *text <= '9' && !*end && seconds >= 0.1 && seconds <= 3600;
    return is_time ? (uint64_t)(seconds * 1000) : 0;
}

static void sleep_milliseconds(uint64_t milliseconds)
{
    struct timespec time = {.tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Until that time is over: true; or until there is input: false. */
static bool pause_for(uint64_t milliseconds)
{
    static bool ended; /* there will be no input */
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t start = (uint64_t)tessera_time_coarse() / 1000000, now = start;
    while (!ended && now - start < milliseconds) {
        char line[256];
        if (poll(&input, 1, (int)(milliseconds - (now - start))) > 0) {
            if (read(STDIN_FILENO, line, sizeof(line)) > 0) {
                return false;
            }
            ended = true;
        }
        now = (uint64_t)tessera_time_coarse() / 1000000;
    }
    if (now - start < milliseconds) {
        sleep_milliseconds(milliseconds - (now - start));
    }
    return true;
}

static void print_summary(const struct process_list *list, uint64_t nanoseconds)
{
    struct tessera_system_information system = {0};
    uint64_t used = 0;
    for (size_t i = 0; i < list->count; i++) {
        used += list->items[i].cpu_nanoseconds;
    }
    printf("%zu processes, CPU %.1f %%", list->count, 100 * (double)used / (double)nanoseconds);
    if (tessera_system_information(TESSERA_SYSTEM, &system, sizeof(system)) >= 0) {
        printf(", memory %llu of %llu MiB in use", (unsigned long long)system.memory_used_bytes >> 20,
               (unsigned long long)system.memory_bytes >> 20);
    }
    printf("\n");
}

/* What happened between the two lists. */
static void show(struct process_list *list, const struct process_list *before)
{
    uint64_t nanoseconds = (uint64_t)(list->time - before->time);
    nanoseconds += !nanoseconds;
    process_list_subtract(list, before);
    process_list_by_cpu(list);
    if (isatty(STDOUT_FILENO)) {
        printf("\033[H\033[J"); /* from the upper left corner of an empty screen */
    }
    print_summary(list, nanoseconds);
    process_list_print(list, ROWS, nanoseconds);
    if (isatty(STDOUT_FILENO)) {
        printf("(Enter ends this)\n");
    }
    fflush(stdout);
}

static int watch(uint64_t milliseconds, uint64_t rounds)
{
    struct process_list before, list, shown;
    if (!process_list_read(&before, "top")) {
        return TOOL_FAILED;
    }
    for (uint64_t round = 0; round < rounds && pause_for(milliseconds); round++) {
        if (!process_list_read(&list, "top")) {
            process_list_release(&before);
            return TOOL_FAILED;
        }
        shown = list; /* what is shown is a difference; the next one is to the whole */
        shown.items = malloc(list.count * sizeof(*shown.items));
        if (shown.items) {
            memcpy(shown.items, list.items, list.count * sizeof(*shown.items));
            show(&shown, &before);
            process_list_release(&shown);
        }
        process_list_release(&before);
        before = list;
    }
    process_list_release(&before);
    return 0;
}

int main(int count, char **words)
{
    uint64_t milliseconds = MILLISECONDS_DEFAULT, rounds = UINT64_MAX;
    if (tool_wants_help(count, words)) {
        fputs(usage, stdout);
        return 0;
    }
    if (count > 1) {
        milliseconds = milliseconds_of(words[1]);
    }
    if (count > 3 || !milliseconds || (count > 2 && !tool_number(words[2], 1, UINT64_MAX, &rounds))) {
        fputs(usage, stderr);
        return TOOL_USAGE;
    }
    return watch(milliseconds, rounds);
}
