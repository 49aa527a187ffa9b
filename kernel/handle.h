/* Handles: what a process may reach beyond its own memory.
 *
 * A table for each process, indexed by small numbers, each entry an object of one kind with rights. Rights only
 * shrink. A number that is out of range, empty, of the wrong kind or without the right is refused alike. */
#ifndef KERNEL_HANDLE_H
#define KERNEL_HANDLE_H

#include <stdint.h>

#include "kernel/status.h"

enum handle_kind { HANDLE_NONE, HANDLE_SYSTEM };

enum handle_right {
    HANDLE_RIGHT_INSPECT = 1u << 0, /* read information */
    HANDLE_RIGHT_START = 1u << 1,   /* start programs */
};

struct handle {
    enum handle_kind kind;
    uint32_t rights;
    void *object; /* by kind; NULL for the system */
};

#define HANDLES_MAXIMUM 16

struct handle_table {
    struct handle handles[HANDLES_MAXIMUM];
};

/* A free number for the handle, or STATUS_LIMIT. Number 0 is never given. */
enum status handle_insert(struct handle_table *table, struct handle handle, uint32_t *number);
/* The handle behind a guest's number if it is of this kind and has all of these rights; else STATUS_BAD_HANDLE. */
enum status handle_find(struct handle_table *table, uint32_t number, enum handle_kind kind, uint32_t rights,
                        struct handle **result);

#endif
