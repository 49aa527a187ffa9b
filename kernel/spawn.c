/* Further threads of a process (kernel/process.h). Each is a kernel thread with an instance of its own, whose header
 * names that thread; the shared memories of all are the same objects, seen through a window for each.
 *
 * A thread that ended, or was ended alone, leaves its instance to the next one, which finds it as instantiation makes
 * it: so a process that starts threads for ever needs no more than it had at a time. All of this is allocated in the
 * process's arena. Where making an instance failed, it is not tried again: what was made of it stays until the process
 * ends.
 *
 * A thread that ends by a trap keeps the kernel lock of the process up to process_finish, so none of the others says
 * anything in between. */
#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/process_lock.h"
#include "kernel/thread_object.h"

#define ENTRY_NAME "wasi_thread_start"

struct process_thread {
    struct process_thread *next;
    struct process *process;
    struct instance *instance;
    struct thread *thread; /* NULL: it ended and was freed */
    struct object *object; /* of the thread (thread_object.h), or NULL */
    bool finished;         /* the thread needs none of this any more */
    bool reserved;         /* somebody is about to start a thread with it */
    uint32_t entry;        /* funcref */
    uint32_t number, argument;
};

void process_adopt_thread(struct process *process)
{
    if (process) {
        thread_current()->member = process;
        thread_set_process(thread_current(), process);
        process_share(process);
    } else {
        thread_object_detach(TRAP_NONE);
        process_unshare();
        thread_set_process(thread_current(), NULL);
        thread_current()->member = NULL;
    }
}

void process_finish(struct process *process, enum trap trap)
{
    if (!process->ended && process->threads) {
        process->ended = true;
        process_request_end(process, trap ? trap : TRAP_EXIT);
    }
}

static enum trap run_entry(struct process_thread *self)
{
    if (thread_end_is_due(thread_current())) {
        return thread_end_trap(thread_current());
    }
    enum trap trap = instance_start(self->instance);
    if (trap == TRAP_NONE) {
        union value arguments[] = {{.i32 = self->number}, {.i32 = self->argument}};
        trap = function_call(self->process, self->entry, arguments, NULL);
    }
    return trap;
}

static void run_thread(void *argument)
{
    struct process_thread *self = argument;
    struct process *process = self->process;
    struct thread *thread = thread_current();
    process_adopt_thread(process);
    if (self->object) {
        thread_object_attach(self->object);
    } else {
        thread_set_priority(thread, (enum thread_priority)min_u64(process->priority_limit, PRIORITY_NORMAL));
    }
    enum trap trap = run_entry(self);
    bool alone = trap == TRAP_KILLED && thread_end_request(thread) && !process_end_request(process);
    if (trap != TRAP_NONE && !alone) {
        process_finish(process, trap);
    }
    self->finished = true;
    thread_object_detach(trap);
    process_adopt_thread(NULL);
}

bool process_stack_contains(const struct process *process, uint64_t address)
{
    const struct process_thread *record = process->threads;
    while (record && !(record->thread && thread_stack_contains(record->thread, address))) {
        record = record->next;
    }
    return record || thread_stack_contains(process->thread, address);
}

static void join(struct process_thread *record)
{
    struct thread *thread = record->thread;
    record->thread = NULL;
    if (thread) {
        thread_join(thread);
    }
}

void process_join_threads(struct process *process)
{
    for (struct process_thread *record = process->threads; record; record = record->next) {
        join(record);
    }
    if (process->threads) {
        process_unshare();
    }
}

/* ---- Starting ---- */

/* Another thread must not run this one's instances: it may have host functions and shared memories in common with it,
 * and nothing else. */
static bool can_be_instantiated_again(const struct instance *instance, const struct external *imports)
{
    for (uint32_t i = 0; i < instance->types->import_count; i++) {
        bool shareable = imports[i].kind == EXTERNAL_FUNCTION
                             ? instance->process->references[imports[i].function].instance == 0
                             : imports[i].kind == EXTERNAL_MEMORY && imports[i].memory->type.limits.shared;
        if (!shareable) {
            return false;
        }
    }
    return true;
}

/* The entry of an instance, or 0: a function of its own, of the right type. */
static uint32_t find_entry(struct instance *instance)
{
    struct external entry;
    if (!instance_find_export(instance, ENTRY_NAME, strlen(ENTRY_NAME), &entry) || entry.kind != EXTERNAL_FUNCTION ||
        instance->process->references[entry.function].instance != instance->index) {
        return 0;
    }
    const struct function_type *type = function_reference_type(instance->process, entry.function);
    return type->parameter_count == 2 && type->result_count == 0 && type->types[0] == VALUE_I32 &&
                   type->types[1] == VALUE_I32
               ? entry.function
               : 0;
}

/* A record with an instance as new, left by a thread that ended. */
static struct process_thread *take_record(struct process *process, const struct instance *instance)
{
    const struct module *module = instance->types;
    for (struct process_thread *record = process->threads; record; record = record->next) {
        if (record->reserved || (record->thread && !record->finished)) {
            continue;
        }
        record->reserved = true; /* others may be in the kernel while this one waits */
        join(record);
        if (record->instance->module == instance->module && module->memory_count == module->memory_import_count &&
            instance_renew(record->instance) == TRAP_NONE) {
            return record;
        }
        record->reserved = false;
    }
    return NULL;
}

static struct process_thread *create_record(struct process *process, const struct instance *instance)
{
    struct arena *arena = &process->arena;
    struct external *imports = arena_allocate_array(arena, max_u64(instance->types->import_count, 1), sizeof(*imports));
    struct process_thread *record = arena_allocate(arena, sizeof(*record));
    struct link_error error;
    enum trap trap;
    if (!imports || !record) {
        return NULL;
    }
    instance_imports(instance, imports);
    if (!can_be_instantiated_again(instance, imports) ||
        instance_create(process, instance->module, imports, &record->instance, &trap, &error) != STATUS_OK) {
        return NULL;
    }
    record->instance->own_thread = true;
    record->process = process;
    record->entry = find_entry(record->instance);
    record->reserved = true;
    record->next = process->threads;
    process->threads = record;
    process->thread_count++;
    return record;
}

/* A number that no thread has. */
static uint32_t next_number(struct process *process)
{
    for (;;) {
        process->thread_number = process->thread_number % (PROCESS_THREAD_NUMBERS - 1) + 1;
        struct process_thread *record = process->threads;
        while (record && !(record->thread && record->number == process->thread_number)) {
            record = record->next;
        }
        if (!record) {
            return process->thread_number;
        }
    }
}

/* A record for one more thread, reserved. */
static enum status get_record(struct instance *instance, struct process_thread **record)
{
    struct process *process = instance->process;
    *record = take_record(process, instance);
    if (*record) {
        return STATUS_OK;
    }
    uint32_t limit = __atomic_load_n(&process->thread_limit, __ATOMIC_RELAXED);
    if (process->thread_count >= min_u64(limit, PROCESS_THREADS_MAXIMUM)) {
        return STATUS_LIMIT;
    }
    if (!process->spawn_failed) {
        *record = create_record(process, instance);
        process->spawn_failed = !*record;
    }
    return *record ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status start(struct process *process, struct process_thread *record)
{
    uint64_t cpus = process->affinity ? process->affinity : UINT64_MAX;
    record->number = next_number(process);
    record->finished = false;
    enum status status = thread_start_on(cpus, process, run_thread, record, &record->thread);
    if (status == STATUS_OK) {
        record->thread->number = record->number;
        record->instance->header->thread = (uintptr_t)record->thread;
    } else {
        record->thread = NULL;
    }
    record->reserved = false;
    return status;
}

enum status process_spawn(struct instance *instance, uint32_t argument, struct object *object, uint32_t *number)
{
    struct process *process = instance->process;
    struct process_thread *record;
    if (!find_entry(instance)) {
        return STATUS_NOT_SUPPORTED;
    }
    process_share(process);
    if (process->heap && !process->affinity) {
        process_keep_together(process);
    }
    thread_end_later(true);
    enum status status = get_record(instance, &record);
    if (status == STATUS_OK) {
        record->argument = argument;
        record->object = object;
        if (object) {
            object_acquire(object);
        }
        status = start(process, record);
        if (status == STATUS_OK) {
            *number = record->number;
        } else if (object) {
            object_release(object);
        }
    }
    thread_end_later(false);
    return status;
}
