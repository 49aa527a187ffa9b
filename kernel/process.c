#include "kernel/process.h"

#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/channel.h"
#include "kernel/cpu.h"
#include "kernel/gc.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/program.h"
#include "kernel/service.h"
#include "kernel/shared_memory.h"
#include "kernel/signature.h"
#include "kernel/trace.h"

/* The arena's first block: enough for a small program's instance. */
#define ARENA_BYTES           2560
#define DIRECTORY_CAPACITY    8
#define REFERENCE_CAPACITY    32
#define HOST_REFERENCE_PLACES 32 /* a power of two */

/* Room for `needed` elements in an array of the arena, which is at least doubled; NULL when there is none. Elements
 * behind the old ones are zero. */
static void *array_grow(struct process *process, const void *old, uint32_t *capacity, uint64_t needed, size_t size)
{
    uint64_t wanted = max_u64(needed, UINT64_C(2) * *capacity);
    void *array = arena_allocate_array(&process->arena, wanted, size);
    if (array) {
        memcpy(array, old, *capacity * size);
        *capacity = (uint32_t)wanted;
    }
    return array;
}

static bool prepare_arrays(struct process *process)
{
    process->directory = arena_allocate_array(&process->arena, DIRECTORY_CAPACITY, sizeof(*process->directory));
    process->references = arena_allocate_array(&process->arena, REFERENCE_CAPACITY, sizeof(*process->references));
    process->directory_capacity = DIRECTORY_CAPACITY;
    process->reference_capacity = REFERENCE_CAPACITY;
    process->instance_count = 1;
    process->reference_count = 1;
    return process->directory && process->references;
}

enum status process_create(const char *name, uint64_t memory_limit, struct process **result)
{
    struct process *process = kernel_allocate_zeroed(sizeof(*process));
    if (!process) {
        return STATUS_NO_MEMORY;
    }
    arena_initialize(&process->arena, &kernel_engine_allocator);
    process->arena.next_block_bytes = ARENA_BYTES;
    process->memory_limit = memory_limit ? memory_limit : UINT64_MAX;
    process->thread_limit = PROCESS_THREADS_DEFAULT;
    process->priority_limit = PRIORITY_NORMAL;
    process->deadline = UINT64_MAX;
    handle_table_initialize(&process->handles, PROCESS_HANDLES_DEFAULT);
    process->thread = thread_current();
    mutex_initialize(&process->kernel_lock);
    spinlock_initialize(&process->threads_lock, LOCK_THREADS);
    process->name = kernel_copy_text(name);
    profile_process_begin(process);
    process->start_time = platform_monotonic_nanoseconds();
    process->account = account_create(PROCESS_OBJECT_BYTES_DEFAULT);
    if (!process->name || !process->account || !prepare_arrays(process) || process_table_enter(process) != STATUS_OK) {
        process_destroy(process);
        return STATUS_NO_MEMORY;
    }
    trace_note_process(process->id, process->name);
    TRACE(PROCESS_START, process->id, 0);
    *result = process;
    return STATUS_OK;
}

void process_destroy(struct process *process)
{
    TRACE(PROCESS_END, process->id, 0);
    statistics_process_end(process);
    process_table_leave(process);
    profile_process_end(process);
    for (int i = PERSONALITY_COUNT - 1; i >= 0; i--) {
        if (process->personality_destroy[i]) {
            process->personality_destroy[i](process, process->personality[i]);
        }
    }
    service_process_end(process);
    mappings_release(process);
    for (struct instance *instance = process->instances; instance; instance = instance->next) {
        instance_destroy(instance);
    }
    for (struct memory_object *memory = process->memories; memory; memory = memory->next) {
        memory_object_destroy(memory);
    }
    for (struct table_object *table = process->tables; table; table = table->next) {
        table_object_destroy(table);
    }
    gc_heap_destroy(process);
    program_forget_starter(process); /* from here on nothing that was lent comes back, to the table among others */
    handle_table_destroy(&process->handles);
    channel_collect_if_due();
    account_release(process->account);
    if (process->name) {
        kernel_free(process->name, strlen(process->name) + 1);
    }
    arena_release(&process->arena);
    kernel_free(process, sizeof(*process));
}

const char *process_name(const struct process *process)
{
    return process->name;
}

const struct launch *process_launch(const struct process *process)
{
    return process->launch;
}

void *process_personality(const struct process *process, enum personality personality)
{
    return process->personality[personality];
}

void process_set_personality(struct process *process, enum personality personality, void *state,
                             void (*destroy)(struct process *process, void *state))
{
    process->personality[personality] = state;
    process->personality_destroy[personality] = destroy;
}

struct handle_table *process_handles(struct process *process)
{
    return &process->handles;
}

uint64_t process_time_step(struct process *process)
{
    return handle_has_clock(&process->handles) ? PROCESS_TIME_FINE : PROCESS_TIME_COARSE;
}

uint64_t process_visible_time(struct process *process, uint64_t nanoseconds)
{
    return nanoseconds - nanoseconds % process_time_step(process);
}

/* Inline, because dividing by a constant is quicker. */
static inline uint64_t round_up(uint64_t time, uint64_t step)
{
    return time > UINT64_MAX - step ? UINT64_MAX : (time + step - 1) / step * step;
}

uint64_t process_visible_deadline(struct process *process, uint64_t deadline)
{
    if (deadline == 0 || deadline == UINT64_MAX) {
        return deadline;
    }
    return process_time_step(process) == PROCESS_TIME_FINE ? round_up(deadline, PROCESS_TIME_FINE)
                                                           : round_up(deadline, PROCESS_TIME_COARSE);
}

/* The instances learn where an array is now. */
static void tell_instances(struct process *process)
{
    for (struct instance *instance = process->instances; instance; instance = instance->next) {
        if (instance->header) {
            instance->header->instance_directory = (uintptr_t)process->directory;
            instance->header->function_references = (uintptr_t)process->references;
        }
    }
}

uint32_t process_allocate_references(struct process *process, uint32_t count)
{
    uint32_t first = process->reference_count;
    if (count > FUNCTION_REFERENCES_MAXIMUM - first) {
        return 0;
    }
    if (first + count > process->reference_capacity) {
        struct function_reference *grown = array_grow(process, process->references, &process->reference_capacity,
                                                      first + count, sizeof(*process->references));
        if (!grown) {
            return 0;
        }
        process->references = grown;
        tell_instances(process);
    }
    process->reference_count += count;
    return first;
}

uint32_t process_allocate_instance(struct process *process)
{
    uint32_t index = process->instance_count;
    if (index == INSTANCES_MAXIMUM) {
        return 0;
    }
    if (index == process->directory_capacity) {
        uint64_t *grown = array_grow(process, process->directory, &process->directory_capacity, index + 1,
                                     sizeof(*process->directory));
        if (!grown) {
            return 0;
        }
        process->directory = grown;
        tell_instances(process);
    }
    process->instance_count++;
    return index;
}

/* The place of a host function's number in the table, or the empty one where it belongs. */
static struct host_reference *host_reference_place(const struct process *process, uint32_t number)
{
    uint32_t mask = process->host_reference_capacity - 1;
    uint32_t at = number & mask;
    while (process->host_references[at].reference && process->host_references[at].number != number) {
        at = (at + 1) & mask;
    }
    return &process->host_references[at];
}

/* At most half full afterwards, with one more. */
static bool host_references_reserve(struct process *process)
{
    uint32_t old_capacity = process->host_reference_capacity;
    const struct host_reference *old = process->host_references;
    if (2 * (process->host_reference_count + 1) <= old_capacity) {
        return true;
    }
    uint32_t capacity = old_capacity ? 2 * old_capacity : HOST_REFERENCE_PLACES;
    struct host_reference *grown = arena_allocate_array(&process->arena, capacity, sizeof(*grown));
    if (!grown) {
        return false;
    }
    process->host_references = grown;
    process->host_reference_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].reference) {
            *host_reference_place(process, old[i].number) = old[i];
        }
    }
    return true;
}

uint32_t process_host_reference(struct process *process, uint32_t number)
{
    if (!host_references_reserve(process)) {
        return 0;
    }
    struct host_reference *place = host_reference_place(process, number);
    if (!place->reference) {
        uint32_t reference = process_allocate_references(process, 1);
        if (!reference) {
            return 0;
        }
        process->references[reference] = (struct function_reference){
            .code = host_function_code(number),
            .signature = host_function_entry(number)->signature,
            .function = number,
        };
        *place = (struct host_reference){number, reference};
        process->host_reference_count++;
    }
    return place->reference;
}

bool process_charge_memory(struct process *process, uint64_t bytes)
{
    uint64_t used = __atomic_load_n(&process->memory_bytes, __ATOMIC_RELAXED);
    do {
        if (bytes > process->memory_limit - used) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&process->memory_bytes, &used, used + bytes, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

void process_credit_memory(struct process *process, uint64_t bytes)
{
    __atomic_sub_fetch(&process->memory_bytes, bytes, __ATOMIC_RELAXED);
}

uint64_t process_memory_left(const struct process *process)
{
    return process->memory_limit - process->memory_bytes;
}

static struct spinlock foreground_lock = SPINLOCK(LOCK_FOREGROUND);
static struct process *foreground GUARDED_BY(foreground_lock);

void foreground_enter(struct process *process)
{
    spinlock_acquire(&foreground_lock);
    process->parent = foreground;
    foreground = process;
    spinlock_release(&foreground_lock);
}

void foreground_leave(struct process *process)
{
    spinlock_acquire(&foreground_lock);
    struct process **link = &foreground;
    while (*link != process) {
        link = &(*link)->parent;
    }
    *link = process->parent;
    spinlock_release(&foreground_lock);
}

void foreground_request_end(enum trap trap)
{
    spinlock_acquire(&foreground_lock);
    struct process *process = foreground ? foreground : thread_current()->process;
    if (process) {
        process_request_end(process, trap);
    }
    spinlock_release(&foreground_lock);
}

/* A thread that can run looks at the request when it goes on, or when its CPU is interrupted. */
void process_request_end(struct process *process, enum trap trap)
{
    __atomic_store_n(&process->end_request, trap, __ATOMIC_SEQ_CST);
    spinlock_acquire(&process->threads_lock);
    for (struct thread *thread = process->running; thread; thread = thread->process_next) {
        thread_notice(thread);
    }
    spinlock_release(&process->threads_lock);
}

_Noreturn void process_exit(struct instance *instance, uint32_t status)
{
    if (!instance->process->ended) { /* else another of its threads was first */
        instance->process->exit_status = status;
    }
    thread_end_guest(TRAP_EXIT, NULL, GUEST_IN_HOST);
}

uint32_t process_exit_status(const struct process *process)
{
    return process->exit_status;
}

const struct trap_report *process_trap_report(const struct process *process)
{
    return &process->report;
}

enum status host_function_create(struct process *process, const struct host_function *function, struct external *result)
{
    uint32_t number;
    enum status status = host_function_register(function, "host", &number);
    if (status != STATUS_OK) {
        return status;
    }
    uint32_t reference = process_host_reference(process, number);
    *result = (struct external){.kind = EXTERNAL_FUNCTION, .function = reference};
    return reference ? STATUS_OK : STATUS_LIMIT;
}

const struct function_type *function_reference_type(struct process *process, uint32_t function)
{
    return signature_type(process->references[function].signature);
}
