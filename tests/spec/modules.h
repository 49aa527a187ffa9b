/* The modules and instances of one script: loading, naming, registering, linking. */
#ifndef TESTS_SPEC_MODULES_H
#define TESTS_SPEC_MODULES_H

#include "kernel/instance.h"
#include "tests/spec/spectest.h"

struct suite_module {
    struct name name;                 /* may be empty */
    struct compiled_module *compiled; /* NULL when loading failed */
    struct instance *instance;        /* NULL for definitions, and when instantiation failed */
    const char *feature;              /* what it needs that the engine does not have; NULL: nothing */
};

#define SUITE_MODULES_MAXIMUM       1024
#define SUITE_REGISTRATIONS_MAXIMUM 1024

struct suite_process {
    struct process *process;
    struct spectest spectest;
    uint32_t module_count;
    struct suite_module modules[SUITE_MODULES_MAXIMUM];
    struct suite_module *current; /* the last module, which commands without a name mean */
    uint32_t registration_count;
    struct {
        struct name name;
        struct suite_module *module;
    } registrations[SUITE_REGISTRATIONS_MAXIMUM];
};

enum suite_outcome_kind {
    SUITE_OK,
    SUITE_FEATURE, /* `feature` says what is missing */
    SUITE_REFUSED, /* by the engine: `status` says how */
    SUITE_UNLINKABLE,
    SUITE_TRAPPED, /* in an active segment or in the start function */
    SUITE_BROKEN,  /* the kernel could not do what it should */
};
struct suite_outcome {
    enum suite_outcome_kind kind;
    enum engine_status status;
    enum trap trap;
    const char *feature;
    char message[512];
};

/* `memory_limit` as for process_create. */
bool suite_process_create(struct suite_process *suite, uint64_t memory_limit);
void suite_process_destroy(struct suite_process *suite);

/* Decode and compile `bytes` into a module of that name, which is returned whatever comes of it; NULL when there are
 * too many. */
struct suite_module *suite_compile(struct suite_process *suite, struct name name, struct name bytes,
                                   struct suite_outcome *outcome);
/* Link it with spectest and the registered modules, and run its start function. */
void suite_instantiate(struct suite_process *suite, struct suite_module *module, struct suite_outcome *outcome);
/* The latest module of that name, or the current one for the empty name; NULL when there is none. */
struct suite_module *suite_find(struct suite_process *suite, struct name name);
bool suite_register(struct suite_process *suite, struct name name, struct suite_module *module);

#endif
