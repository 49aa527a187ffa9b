/* The table of processes: many of them, in any order of their ends, seen once each, and nothing left behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/statistics.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define PROCESSES 1500
#define PART      7

static struct process *processes[PROCESSES];
static uint8_t seen[4 * PROCESSES]; /* by id */

static void create(uint32_t index)
{
    char name[32];
    snprintf(name, sizeof name, "process %u", index);
    CHECK(process_create(name, 0, &processes[index]) == STATUS_OK);
}

static void destroy(uint32_t index)
{
    process_destroy(processes[index]);
    processes[index] = NULL;
}

/* All that live are in the list, once each, and no other. */
static void check_list(void)
{
    struct process_statistics part[PART];
    uint64_t position = 0;
    size_t count, all = 0, alive = 0;
    memset(seen, 0, sizeof seen);
    while ((count = process_statistics_list(&position, part, PART))) {
        for (size_t i = 0; i < count; i++, all++) {
            CHECK(part[i].id < sizeof seen && seen[part[i].id]++ == 0);
        }
    }
    CHECK(process_statistics_list(&position, part, PART) == 0);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        alive += processes[i] != NULL;
        CHECK(!processes[i] || seen[processes[i]->id] == 1);
    }
    CHECK(all == alive);
}

static void many(void)
{
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        create(i);
    }
    check_list();
    for (uint32_t i = 0; i < PROCESSES; i += 2) {
        destroy(i);
    }
    check_list();
    for (uint32_t i = 0; i < PROCESSES; i += 4) {
        create(i);
    }
    check_list();
    for (uint32_t i = PROCESSES; i-- > 0;) {
        if (processes[i]) {
            destroy(i);
        }
    }
    check_list();
    kernel_heap_statistics(&after);
    CHECK(before.blocks == after.blocks);
}

static void names(void)
{
    struct process_statistics statistics;
    char name[PROCESS_NAME_SHOWN + 10];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    name[sizeof name - 2] = 'e';
    CHECK(process_create(name, 1 << 20, &processes[0]) == STATUS_OK);
    process_statistics_read(processes[0], &statistics);
    CHECK(strlen(statistics.name) == PROCESS_NAME_SHOWN - 1 && statistics.name[PROCESS_NAME_SHOWN - 2] == 'e');
    CHECK(statistics.memory_limit == 1 << 20 && statistics.memory_bytes == 0 && statistics.threads == 0);
    destroy(0);
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    names();
    many();
    return checks_report();
}
