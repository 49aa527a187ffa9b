#include "kernel/process.h"

#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/gc.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/signature.h"

#define DIRECTORY_BYTES       align_up(INSTANCES_MAXIMUM * sizeof(uint64_t), PLATFORM_PAGE_BYTES)
#define REFERENCES_BYTES      (FUNCTION_REFERENCES_MAXIMUM * sizeof(struct function_reference))
#define RESERVATION_BYTES     (DIRECTORY_BYTES + REFERENCES_BYTES)
#define DIRECTORY_COMMIT      UINT64_C(4096)
#define REFERENCES_COMMIT     UINT64_C(65536)
#define HOST_REFERENCES_BYTES (HOST_FUNCTIONS_MAXIMUM * sizeof(uint32_t))

/* Make at least `needed` bytes of an array usable; it is committed in steps. */
static bool commit_to(void *array, size_t *committed, size_t needed, size_t step, size_t maximum)
{
    if (needed <= *committed) {
        return true;
    }
    size_t target = min_u64(align_up(max_u64(needed, *committed * 2), step), maximum);
    if (needed > maximum ||
        platform_commit((uint8_t *)array + *committed, target - *committed, PROTECTION_READ_WRITE) != STATUS_OK) {
        return false;
    }
    *committed = target;
    return true;
}

static bool prepare_arrays(struct process *process)
{
    process->reservation = platform_reserve(RESERVATION_BYTES);
    if (!process->reservation) {
        return false;
    }
    process->directory = process->reservation;
    process->references = (void *)((uint8_t *)process->reservation + DIRECTORY_BYTES);
    process->instance_count = 1;
    process->reference_count = 1;
    process->host_references = arena_allocate(&process->arena, HOST_REFERENCES_BYTES);
    return process->host_references &&
           commit_to(process->directory, &process->directory_committed, 1, DIRECTORY_COMMIT, DIRECTORY_BYTES) &&
           commit_to(process->references, &process->references_committed, 1, REFERENCES_COMMIT, REFERENCES_BYTES);
}

enum status process_create(const char *name, uint64_t memory_limit, struct process **result)
{
    struct process *process = kernel_allocate_zeroed(sizeof(*process));
    if (!process) {
        return STATUS_NO_MEMORY;
    }
    arena_initialize(&process->arena, &kernel_engine_allocator);
    process->memory_limit = memory_limit ? memory_limit : UINT64_MAX;
    process->deadline = UINT64_MAX;
    handle_table_initialize(&process->handles, PROCESS_HANDLES_DEFAULT);
    process->thread = thread_current();
    spinlock_initialize(&process->threads_lock, LOCK_THREADS);
    process->name = kernel_copy_text(name);
    process->account = account_create(PROCESS_OBJECT_BYTES_DEFAULT);
    if (!process->name || !process->account || !prepare_arrays(process)) {
        process_destroy(process);
        return STATUS_NO_MEMORY;
    }
    *result = process;
    return STATUS_OK;
}

void process_destroy(struct process *process)
{
    profile_process_end(process);
    for (int i = PERSONALITY_COUNT - 1; i >= 0; i--) {
        if (process->personality_destroy[i]) {
            process->personality_destroy[i](process, process->personality[i]);
        }
    }
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
    handle_table_destroy(&process->handles);
    account_release(process->account);
    if (process->reservation) {
        platform_release(process->reservation, RESERVATION_BYTES);
    }
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

uint64_t process_visible_deadline(struct process *process, uint64_t deadline)
{
    if (deadline == 0 || deadline == UINT64_MAX) {
        return deadline;
    }
    uint64_t step = process_time_step(process);
    return deadline > UINT64_MAX - step ? UINT64_MAX : (deadline + step - 1) / step * step;
}

uint32_t process_allocate_references(struct process *process, uint32_t count)
{
    uint32_t first = process->reference_count;
    if (count > FUNCTION_REFERENCES_MAXIMUM - first ||
        !commit_to(process->references, &process->references_committed,
                   (first + (size_t)count) * sizeof(struct function_reference), REFERENCES_COMMIT, REFERENCES_BYTES)) {
        return 0;
    }
    process->reference_count += count;
    return first;
}

uint32_t process_allocate_instance(struct process *process)
{
    uint32_t index = process->instance_count;
    if (index == INSTANCES_MAXIMUM ||
        !commit_to(process->directory, &process->directory_committed, (index + (size_t)1) * sizeof(uint64_t),
                   DIRECTORY_COMMIT, DIRECTORY_BYTES)) {
        return 0;
    }
    process->instance_count++;
    return index;
}

uint32_t process_host_reference(struct process *process, uint32_t number)
{
    if (!process->host_references[number]) {
        uint32_t reference = process_allocate_references(process, 1);
        if (!reference) {
            return 0;
        }
        process->references[reference] = (struct function_reference){
            .code = host_function_code(number),
            .signature = host_function_entry(number)->signature,
            .function = number,
        };
        process->host_references[number] = reference;
    }
    return process->host_references[number];
}

bool process_charge_memory(struct process *process, uint64_t bytes)
{
    if (bytes > process->memory_limit - process->memory_bytes) {
        return false;
    }
    process->memory_bytes += bytes;
    return true;
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
        __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_SEQ_CST);
        bool woken = thread->wait_ends && sleep_end(thread, WAIT_OVER_END);
        const struct cpu *cpu = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
        if (!woken && cpu != platform_cpu()) {
            platform_interrupt_cpu(cpu->number);
        }
    }
    spinlock_release(&process->threads_lock);
}

_Noreturn void process_exit(struct instance *instance, uint32_t status)
{
    instance->process->exit_status = status;
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
