/* The insides of what kernel/instance.h declares, shared by the files that make them. Everything is allocated in the
 * process's arena and lives as long as the process. */
#ifndef KERNEL_INSTANCE_PARTS_H
#define KERNEL_INSTANCE_PARTS_H

#include "engine/allocator.h"
#include "engine/x64/abi.h"
#include "kernel/exceptions.h"
#include "kernel/handle.h"
#include "kernel/instance.h"
#include "kernel/lock.h"
#include "kernel/mutex.h"
#include "kernel/process.h"
#include "kernel/profile.h"
#include "kernel/statistics.h"

#define INSTANCES_MAXIMUM           65536               /* of a process */
#define FUNCTION_REFERENCES_MAXIMUM (UINT32_C(1) << 22) /* of a process */

struct image;
struct mapping;
struct named_handle;
struct program;
struct place;
struct place_pool;

/* Where a memory is to be seen: one for each instance that has it as memory 0 and is not its home. */
struct memory_window {
    struct memory_window *next;
    uint8_t *base;
    struct place *place;
};

/* A memory_slot that must follow the size. */
struct memory_viewer {
    struct memory_viewer *next;
    struct memory_slot *slot;
};

struct memory_object {
    struct memory_object *next; /* of the process */
    struct process *process;
    struct memory_type type; /* as declared; maximum UINT64_MAX without one */
    uint64_t bytes;    /* atomic; what is read without the kernel lock is memory_object_bytes */
    uint64_t capacity; /* bytes that fit */
    uint8_t *base;     /* the home: where pages are committed */
    struct place *place;
    struct memory_window *windows;
    struct memory_viewer *viewers;
    struct spinlock waiting_lock;                /* rank FUTEX */
    struct thread *waiting_first, *waiting_last; /* memory.atomic.wait; by thread.futex_next, first come first */
};

/* It may be growing at the moment. */
static inline uint64_t memory_object_bytes(const struct memory_object *memory)
{
    return __atomic_load_n(&memory->bytes, __ATOMIC_RELAXED);
}

struct table_object {
    struct table_object *next;
    struct process *process;
    struct table_type type;
    struct table_slot *slot; /* in the header of the defining instance, or `own_slot` */
    struct table_slot own_slot;
    uint64_t capacity; /* entries that fit */
    void *reservation; /* NULL: the entries are in the process's arena, all of them */
    size_t reservation_bytes, committed_bytes;
};

struct global_object {
    struct global_object *next; /* of the process, when it may refer to objects */
    struct global_type type;
    uint64_t *cell; /* 16 bytes: in the header of the defining instance, or `own_cell` */
    uint64_t own_cell[2];
};

struct instance {
    struct instance *next;
    struct process *process;
    struct compiled_module *module;
    const struct module *types; /* module->module */
    uint8_t *gs_base;
    struct instance_header *header;
    struct place *place; /* with the header and memory 0 */
    bool owns_place;     /* else a memory does */
    bool imaged;         /* memory 0 began with the module's image: its active data segments need not be written */
    uint32_t index;      /* in the instance directory */
    uint32_t reference_base;
    struct memory_object **memories;
    struct table_object **tables;
    struct global_object **globals;
    struct tag_object **tags;
    bool own_thread;           /* header.thread is not the process's: it was made by or for a further thread */
    uint32_t **elements;       /* by segment: its references, made at instantiation, when they may be to objects */
    uint8_t *dropped_elements; /* one byte for each segment: not 0 when dropped */
    uint8_t *dropped_data;
};

/* Is the range inside memory 0 (instance_memory)? */
static inline bool instance_has_memory(const struct instance *instance, uint64_t address, uint64_t bytes)
{
    uint64_t size = instance->header->memory.bytes;
    return address <= size && bytes <= size - address;
}

/* The funcref of a host function. */
struct host_reference {
    uint32_t number;
    uint32_t reference; /* 0: an empty place */
};

/* Share of the CPUs of a process that nobody gave another. */
#define PROCESS_WEIGHT 65536

struct process {
    char *name;
    uint32_t id;                     /* from 1, of no other process; 0: it is not in the table */
    uint32_t table_place;            /* statistics.c */
    uint64_t start_time;             /* monotonic */
    struct thread_counters counters; /* of threads that ran for it and do no more; threads_lock */
    struct process *parent; /* the foreground process before this one */
    const struct launch *launch;
    struct arena arena;
    struct mutex kernel_lock;       /* kernel/process_lock.h */
    uint64_t affinity;              /* of further threads; 0: any CPU; atomic */
    struct spinlock threads_lock;   /* rank THREADS */
    struct thread *running;         /* threads that run for it, by process_next; threads_lock */
    uint32_t runnable;              /* how many of these can run; atomic */
    uint32_t weight;                /* of its share of the CPUs; 0: as all others, PROCESS_WEIGHT */
    uint64_t run_time;              /* nanoseconds; atomic */
    uint64_t virtual_times[PLATFORM_CPUS_MAXIMUM]; /* its clocks, by CPU: scheduler_queue.c; atomic */
    struct thread *thread;          /* that the headers of its instances name, but for those of further threads */
    struct process_thread *threads; /* spawn.c */
    uint32_t thread_limit;          /* further ones at a time, and what is not lent to children; atomic */
    uint32_t priority_limit;        /* enum thread_priority: the highest that its threads may have */
    struct program *program;        /* program.c; NULL: it is no program's */
    struct program *children;       /* started by it, by their program.sibling; program.c */
    struct named_handle *named_handles; /* in the arena */
    struct mapping *mappings;       /* memory objects in its memories: shared_memory.c */
    uint32_t thread_count, thread_number;
    bool spawn_failed;
    bool ended; /* one of its threads ended it: `report` and the exit status stay */

    struct instance *instances;
    struct memory_object *memories;
    struct table_object *tables;
    struct global_object *globals;       /* those that may refer to objects */
    struct gc_heap *heap;                /* NULL: no instance needs one */
    uint32_t heap_holds;                 /* while not 0, nothing is collected */
    bool constants_failed;               /* a constant expression found no memory for an object */
    /* Of linear memories, large tables and the collected heap, and lent to children; limit UINT64_MAX: none. The bytes
     * are atomic. */
    uint64_t memory_bytes, memory_limit;

    /* Arrays in the arena that compiled code reads. One that is full is replaced by a larger one; the old one stays,
     * for whoever has loaded its address. */
    uint64_t *directory;     /* of instances */
    uint32_t instance_count; /* number 0 is not used */
    uint32_t directory_capacity;
    struct function_reference *references;
    uint32_t reference_count; /* number 0 is null */
    uint32_t reference_capacity;
    struct host_reference *host_references; /* hash table of those made so far; NULL: none */
    uint32_t host_reference_count, host_reference_capacity;

    struct handle_table handles;
    struct account *account; /* for the objects that it makes */
    struct service_process *services; /* interfaces that are bound, and imports of them; NULL: none */
    struct profile profile;
    void *personality[PERSONALITY_COUNT];
    void (*personality_destroy[PERSONALITY_COUNT])(struct process *process, void *state);

    uint32_t end_request;          /* enum trap; atomic */
    uint64_t deadline;             /* time limit, monotonic; UINT64_MAX: none */
    uint32_t exit_status;
    struct trap_report report;
};

/* TRAP_NONE, or what it is to end with. */
static inline enum trap process_end_request(const struct process *process)
{
    return (enum trap)__atomic_load_n(&process->end_request, __ATOMIC_RELAXED);
}

/* ---- module.c ---- */
void compiled_module_destroy(struct compiled_module *module);
/* The module whose text holds `pc`, or NULL. Allowed at interrupt time. */
struct compiled_module *text_find(uintptr_t pc);

/* ---- process.c ---- */
/* The process that a request of the user means is the one that was started last, and did not end. */
void foreground_enter(struct process *process);
void foreground_leave(struct process *process);
/* Ask the foreground process to end; without one, the process of the current thread. */
void foreground_request_end(enum trap trap);
/* `count` function references in a row, zeroed; 0 when there is no room. */
uint32_t process_allocate_references(struct process *process, uint32_t count);
/* The next index of the instance directory, or 0. */
uint32_t process_allocate_instance(struct process *process);
/* The funcref of a host function in this process, or 0. */
uint32_t process_host_reference(struct process *process, uint32_t number);
/* Room for linear memory, within the limit. */
bool process_charge_memory(struct process *process, uint64_t bytes);
void process_credit_memory(struct process *process, uint64_t bytes);

/* ---- spawn.c ---- */
/* One of its threads came to an end that is the process's (`trap`; TRAP_NONE: it returned): the others end where they
 * are, and what the report says of this one stays. */
void process_finish(struct process *process, enum trap trap);
/* Is this address in the wasm stack, or in the payload above it, of one of the process's threads? */
bool process_stack_contains(const struct process *process, uint64_t address);
/* Wait for all further threads, and free them. */
void process_join_threads(struct process *process);
/* The current thread, which runs no guest, is a further thread of the process from now on (NULL: no more): instances
 * that it makes are its own. For those that process_spawn does not start. */
void process_adopt_thread(struct process *process);

/* ---- memory.c ---- */
/* Where a memory is to lie: behind an instance header (0: none), in a place from a pool (NULL: none). */
struct memory_home {
    size_t header_bytes;
    bool stack;
    struct place_pool *pool;
    const struct image *image; /* what a new memory starts with, or NULL */
};
enum status memory_object_create(struct process *process, const struct memory_type *type,
                                 const struct memory_home *home, struct memory_object **result);
/* A further place where the memory shows. */
enum status memory_object_window(struct memory_object *memory, const struct memory_home *home,
                                 struct memory_window **result);
/* Fill `slot` for the place at `base`, and keep its size up to date from now on. */
enum status memory_object_view(struct memory_object *memory, struct memory_slot *slot, uint8_t *base);
/* Old size in pages, or UINT64_MAX when refused. */
uint64_t memory_object_grow(struct memory_object *memory, uint64_t pages);
/* Is the address in one of the memory's places, header and guard included; and if so, below its size? Allowed at
 * interrupt time. */
bool memory_object_contains(const struct memory_object *memory, uint64_t address, bool *committed);
void memory_object_destroy(struct memory_object *memory); /* its reservations; itself lies in the arena */

/* ---- table.c ---- */
enum status table_object_create(struct process *process, const struct table_type *type, struct table_slot *slot,
                                struct table_object **result);
uint64_t table_object_grow(struct table_object *table, uint64_t entries, uint32_t reference);
void table_object_destroy(struct table_object *table);
static inline uint32_t *table_entries(const struct table_object *table)
{
    return (uint32_t *)(uintptr_t)table->slot->entries;
}

/* ---- global.c ---- */
/* A global whose type is known, before it has a value: the collector finds it. */
void global_object_register(struct process *process, struct global_object *global);

/* ---- gc_builtins.c ---- */
/* A new object of a registered structure or array type, its fields zero; 0: out of memory. */
uint32_t object_create(struct process *process, uint32_t number, uint32_t length);

/* ---- call.c ---- */
/* As function_call, quicker, for a host function that the instance has called: a function of the instance with scalars as
 * parameters and at most one as result. Each is a word, i32 and f32 in its low half with zeros above.
 */
enum trap instance_call(struct instance *instance, uint32_t function, const uint64_t *arguments, uint64_t *result);

/* ---- instance.c, constants.c ---- */
void instance_destroy(struct instance *instance); /* its reservation and module; itself lies in the arena */
/* Entry address of function `index`, which is not an import. */
uint64_t instance_function_code(const struct instance *instance, uint32_t index);
/* The funcref of function `index` of an instance; its reference must be one that can be taken. */
uint32_t instance_function_reference(const struct instance *instance, uint32_t index);
/* Back to what instantiation made of it: tables, globals, segments. Its own memories stay as they are. */
enum trap instance_renew(struct instance *instance);
/* What it was made with: one external for each import of the module. */
void instance_imports(const struct instance *instance, struct external *imports);
/* The references of an element segment, `count` from `first` on, written to `to`. */
void instance_element_references(struct instance *instance, uint32_t segment, uint32_t first, uint32_t count,
                                 uint32_t *to);
/* Make the references of element segments that may be to objects. */
enum status instance_prepare_elements(struct instance *instance);
/* Value of a constant expression in this instance. */
union value instance_constant(const struct instance *instance, const struct constant_expression *expression);
/* Segment instructions, shared by instantiation and builtins: false when out of bounds, and nothing written. */
bool instance_table_init(struct instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from,
                         uint64_t count);
bool instance_memory_init(struct instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from,
                          uint64_t count);

/* ---- link.c ---- */
/* One external for each import, from the host interfaces and from services that are bound: array in the process's arena. */
enum status link_host_imports(struct process *process, const struct compiled_module *compiled,
                              struct external **imports, struct link_error *error);
/* Do the externals match what the module asks for (spec 4.5.3)? */
enum status link_check_imports(struct process *process, const struct compiled_module *module,
                               const struct external *imports, struct link_error *error);

#endif
