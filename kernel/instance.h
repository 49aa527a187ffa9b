/* Modules, instances and their parts: what a process executes.
 *
 * Ownership: a compiled module is shared by reference count. Instances, tables, memories and globals belong to the
 * process that they were made in and live until it ends (process_destroy frees all). Not thread-safe: one thread of a
 * process runs at a time, and the caller of these functions runs for that process. */
#ifndef KERNEL_INSTANCE_H
#define KERNEL_INSTANCE_H

#include "engine/compile.h"
#include "engine/trap.h"
#include "kernel/status.h"

struct process;
struct host_function;
struct service_module;
struct instance;
struct place_pool;
struct shared_module;

/* ---- Compiled modules ---- */
struct compiled_module {
    struct module *module;
    struct code *code;
    size_t text_reserved;
    uint32_t reference_count;
    struct place_pool *places;
    struct shared_module *shared; /* module_cache.c; NULL: it is its maker's alone */
    struct service_module *services; /* what it imports and exports of interfaces; NULL: nothing */
    uint32_t *signatures; /* canonical number of each type of the module */
    /* By import: the number of the host function that serves it, from the first time that it was looked up; else 0.
     * Atomic. */
    uint32_t *host_functions;
    const char *name;     /* for backtraces; not owned */
};

/* What the engine's long work calls now and then (struct engine_allocator): a preemption point. */
void compiled_module_pause(void *context);
/* Decode, validate, compile and make executable. `bytes` must stay valid as long as the module lives. Has preemption
 * points. */
enum status compiled_module_create(const uint8_t *bytes, size_t size, const char *name, struct compiled_module **result,
                                   struct engine_error *error);
/* CPU_* that modules are compiled for: what the CPU has. For tests, less: a choice that holds for the modules compiled
 * afterwards, and for the backtraces of all, so it is made before there are any. */
uint32_t compiled_module_cpu_features(void);
void compiled_module_limit_cpu_features(uint32_t allowed);
void compiled_module_acquire(struct compiled_module *module);
void compiled_module_release(struct compiled_module *module);

/* ---- Values and externals ---- */
union value {
    uint32_t i32; /* also references: funcref and externref are 32-bit, 0 is null */
    uint64_t i64;
    uint64_t bits[2];
};

/* Something importable or exported. Functions are references into the process's array. */
struct table_object;
struct memory_object;
struct global_object;
struct tag_object;
struct external {
    enum external_kind kind;
    union {
        uint32_t function;
        struct table_object *table;
        struct memory_object *memory;
        struct global_object *global;
        struct tag_object *tag;
    };
};

/* ---- Instances ---- */
struct link_error {
    char message[512]; /* all missing or mismatching imports, named */
};

/* Instantiate (spec 4.5.4) with one external per import, in the module's order. Does not run the start function:
 * instance_start does. STATUS_UNLINKABLE when a type does not match. Active segments that do not fit: STATUS_TRAPPED
 * and `*trap`; what they wrote before stays, as the specification says. The same when the process is to end meanwhile,
 * unless this is called out of a host function: then the guest ends there. */
enum status instance_create(struct process *process, struct compiled_module *module, const struct external *imports,
                            struct instance **result, enum trap *trap, struct link_error *error);
/* Satisfy all imports from host interfaces and create. Missing names are listed in `error`. */
enum status instance_create_with_host(struct process *process, struct compiled_module *module, struct instance **result,
                                      enum trap *trap, struct link_error *error);
/* Run the start function if the module has one; TRAP_NONE on return. */
enum trap instance_start(struct instance *instance);
bool instance_find_export(struct instance *instance, const char *name, size_t length, struct external *result);
struct process *instance_process(const struct instance *instance);

/* Parts made by the embedder (the test suite's `spectest`). */
enum status table_create(struct process *process, const struct table_type *type, struct external *result);
enum status memory_create(struct process *process, const struct memory_type *type, struct external *result);
enum status global_create(struct process *process, const struct global_type *type, union value value,
                          struct external *result);
/* A host function as an external of this process; `type` must outlive it. */
enum status host_function_create(struct process *process, const struct host_function *function,
                                 struct external *result);
union value global_read(const struct external *global);

/* Call a function of the process from kernel code, on the current thread. `arguments` and `results` have as many
 * elements as the function's type says. Returns TRAP_NONE or the trap, whose details process_trap_report has. */
enum trap function_call(struct process *process, uint32_t function, const union value *arguments, union value *results);
const struct function_type *function_reference_type(struct process *process, uint32_t function);

/* ---- For host functions ---- */
/* Translate a guest's range [address, address + bytes) of memory 0 to a pointer; NULL when it is not inside. A range
 * of no bytes is inside when address <= size. Valid until the guest runs again. */
void *instance_memory(struct instance *instance, uint64_t address, uint64_t bytes);
/* The same, but ends the guest with TRAP_MEMORY_OUT_OF_BOUNDS instead of returning NULL; `what` names the argument for
 * the report, for example "fd_write: iovs". */
void *instance_memory_required(struct instance *instance, uint64_t address, uint64_t bytes, const char *what);
/* End the running guest here and now. Kernel code must hold nothing that needs undoing. */
_Noreturn void instance_trap(struct instance *instance, enum trap trap, const char *detail);

#endif
