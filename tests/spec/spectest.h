/* The host module `spectest` that the suite's modules import. */
#ifndef TESTS_SPEC_SPECTEST_H
#define TESTS_SPEC_SPECTEST_H

#include "kernel/instance.h"

#define SPECTEST_ITEMS_MAXIMUM 16

struct spectest {
    struct spectest_item {
        const char *name;
        struct external external;
    } items[SPECTEST_ITEMS_MAXIMUM];
    uint32_t count;
};

/* Make everything in `process`, which owns it. */
enum status spectest_create(struct process *process, struct spectest *spectest);
bool spectest_find(const struct spectest *spectest, struct name name, struct external *result);

#endif
