/* The list of all processes; see processes.h. */
#include "services/tools/processes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_number(const void *left, const void *right)
{
    const struct tessera_process_information *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

bool process_list_read(struct process_list *list, const char *tool)
{
    enum { PART = 64 };
    uint64_t position = 0;
    int32_t count;
    *list = (struct process_list){.time = tessera_time_coarse()};
    do {
        struct tessera_process_information *more = realloc(list->items, (list->count + PART) * sizeof(*more));
        if (!more) {
            fprintf(stderr, "%s: out of memory\n", tool);
            process_list_release(list);
            return false;
        }
        list->items = more;
        count = tessera_process_list(TESSERA_SYSTEM, &position, list->items + list->count, PART);
        if (count < 0) {
            fprintf(stderr, "%s: this needs a handle of the system with the right INSPECT: `tessera run --system`\n",
                    tool);
            process_list_release(list);
            return false;
        }
        list->count += (size_t)count;
    } while (count > 0);
    qsort(list->items, list->count, sizeof(*list->items), compare_number);
    return true;
}

void process_list_release(struct process_list *list)
{
    free(list->items);
    *list = (struct process_list){0};
}

static int compare_cpu(const void *left, const void *right)
{
    const struct tessera_process_information *a = left, *b = right;
    if (a->cpu_nanoseconds != b->cpu_nanoseconds) {
        return a->cpu_nanoseconds < b->cpu_nanoseconds ? 1 : -1;
    }
    return compare_number(left, right);
}

void process_list_by_cpu(struct process_list *list)
{
    qsort(list->items, list->count, sizeof(*list->items), compare_cpu);
}

void process_list_subtract(struct process_list *list, const struct process_list *before)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct tessera_process_information *then =
            bsearch(&list->items[i], before->items, before->count, sizeof(*before->items), compare_number);
        list->items[i].cpu_nanoseconds -= then ? then->cpu_nanoseconds : 0;
    }
}

const char *process_short_name(const struct tessera_process_information *process)
{
    const char *slash = strrchr(process->name, '/');
    return slash ? slash + 1 : process->name;
}

static void print_printable(const char *text)
{
    for (; *text; text++) {
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    }
}

static void print_process(const struct tessera_process_information *process, uint64_t nanoseconds)
{
    double cpu = (double)process->cpu_nanoseconds / 1e9;
    if (nanoseconds) {
        cpu = 100 * (double)process->cpu_nanoseconds / (double)nanoseconds;
    }
    printf("%6" PRIu32 " %7.2f %8" PRIu64 "K %8" PRIu64 "K %7" PRIu32 " %7" PRIu32 " %9" PRIu64 " %9" PRIu64 "  ",
           process->id, cpu, process->memory_bytes / 1024, (process->object_bytes + 1023) / 1024, process->handles,
           process->threads, process->messages_sent + process->messages_received,
           process->calls_made + process->calls_served);
    print_printable(process_short_name(process));
    putchar('\n');
}

void process_list_print(const struct process_list *list, size_t rows, uint64_t nanoseconds)
{
    printf("%6s %7s %9s %9s %7s %7s %9s %9s  %s\n", "number", nanoseconds ? "CPU %" : "CPU s", "memory", "objects",
           "handles", "threads", "messages", "calls", "name");
    for (size_t i = 0; i < list->count && i < rows; i++) {
        print_process(&list->items[i], nanoseconds);
    }
    if (list->count > rows) {
        printf("(%zu more)\n", list->count - rows);
    }
}
