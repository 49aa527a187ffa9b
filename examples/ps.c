/* What runs, and what it uses: ps [SECONDS [ROUNDS]].
 *
 *     tessera run --system --service build/examples/log_service.wasm build/examples/ps.wasm
 *
 * With SECONDS it says every so often how much of a CPU each process had since the last time, the busiest first. It
 * needs the handle of the system, with the right INSPECT. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sdk/tessera.h"

struct list {
    struct tessera_process_information *items;
    size_t count;
    int64_t time;
};

/* All processes; false when we may not know. */
static int read_list(struct list *list)
{
    enum { PART = 64 };
    uint64_t position = 0;
    int32_t count;
    *list = (struct list){.time = tessera_time_coarse()};
    do {
        list->items = realloc(list->items, (list->count + PART) * sizeof *list->items);
        if (!list->items)
            return 0;
        count = tessera_process_list(TESSERA_SYSTEM, &position, list->items + list->count, PART);
        if (count < 0) {
            fprintf(stderr, "ps: no handle of the system (tessera run --system)\n");
            return 0;
        }
        list->count += (size_t)count;
    } while (count > 0);
    return 1;
}

static uint64_t time_before(const struct list *before, uint32_t id)
{
    for (size_t i = 0; i < before->count; i++)
        if (before->items[i].id == id)
            return before->items[i].cpu_nanoseconds;
    return 0;
}

static int busier(const void *left, const void *right)
{
    const struct tessera_process_information *a = left, *b = right;
    return a->cpu_nanoseconds < b->cpu_nanoseconds ? 1 : a->cpu_nanoseconds > b->cpu_nanoseconds ? -1 : 0;
}

/* Names are whatever somebody called a file: its last component is enough. */
static void print_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    for (; *name; name++)
        putchar((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
    putchar('\n');
}

static void print_list(struct list *list, const struct list *before)
{
    qsort(list->items, list->count, sizeof *list->items, busier);
    printf("%6s %7s %10s %10s %7s %7s %9s %9s  %s\n", "ID", before ? "CPU %" : "CPU s", "memory", "objects", "handles",
           "threads", "messages", "calls", "name");
    for (size_t i = 0; i < list->count; i++) {
        const struct tessera_process_information *item = &list->items[i];
        double seconds = (double)item->cpu_nanoseconds / 1e9, passed = 0;
        if (before) {
            passed = (double)(list->time - before->time) / 1e9;
            seconds -= (double)time_before(before, item->id) / 1e9;
        }
        printf("%6" PRIu32 " %7.2f %9" PRIu64 "K %10" PRIu64 " %7" PRIu32 " %7" PRIu32 " %9" PRIu64 " %9" PRIu64 "  ",
               item->id, passed > 0 ? 100 * seconds / passed : seconds, item->memory_bytes / 1024, item->object_bytes,
               item->handles, item->threads, item->messages_sent + item->messages_received,
               item->calls_made + item->calls_served);
        print_name(item->name);
    }
}

int main(int count, char **words)
{
    double seconds = count > 1 ? atof(words[1]) : 0;
    long rounds = count > 2 ? atol(words[2]) : -1;
    struct list list, before;
    if (!read_list(&list))
        return 1;
    if (seconds <= 0) {
        print_list(&list, NULL);
        return 0;
    }
    for (; rounds != 0; rounds -= rounds > 0) {
        before = list;
        nanosleep(
            &(struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)},
            NULL);
        if (!read_list(&list))
            return 1;
        print_list(&list, &before);
        free(before.items);
        fflush(stdout);
    }
    return 0;
}
