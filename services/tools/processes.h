/* What the programs ps, top and kill share: the list of all processes, and how it is shown. They need the handle of the
 * system, with the right INSPECT; `kill` also with MANAGE. */
#ifndef SERVICES_TOOLS_PROCESSES_H
#define SERVICES_TOOLS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/tessera.h"

struct process_list {
    struct tessera_process_information *items;
    size_t count;
    int64_t time; /* when it was read, in nanoseconds */
};

/* All processes that run now, by their numbers; the items are released by process_list_release. False: it said on
 * stderr, in the name of `tool`, why not. */
bool process_list_read(struct process_list *list, const char *tool);
void process_list_release(struct process_list *list);

/* Sort it anew: who used most CPU time first. */
void process_list_by_cpu(struct process_list *list);

/* Take from each process's CPU time what it had used at the time of `before`, a list as it was read: so it tells of the
 * time since then. */
void process_list_subtract(struct process_list *list, const struct process_list *before);

/* A table, at most `rows` of it; CPU time in seconds, or in percent of `nanoseconds` when that is not 0. */
void process_list_print(const struct process_list *list, size_t rows, uint64_t nanoseconds);

/* The last component of the process's name, which is whatever somebody called a file; terminated. */
const char *process_short_name(const struct tessera_process_information *process);

#endif
