#include "kernel/program.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/launch_job.h"
#include "kernel/service.h"
#include "kernel/statistics.h"
#include "kernel/thread.h"
#include "kernel/vfs.h"

#define ARENA_BYTES  1024
#define FORGET_PIECE 64 /* programs, while the family's lock is held */

struct named_handle {
    struct named_handle *next;
    const char *name;
    uint32_t handle;
};

struct program {
    struct object object; /* its lock guards state, killed, process */
    uint32_t state;       /* enum program_state */
    bool killed;
    struct process *process; /* while there is one */
    uint32_t id;

    struct process *starter;         /* under the family's lock; NULL: he is gone, or nobody pays */
    struct program *next, *previous; /* of that starter; the same lock */
    struct program *ended_next;      /* in the list of the thread that ends it: end_unstarted */
    struct account *account;         /* of the starter, that pays for its objects */
    struct program_budget lent;
    bool budgeted; /* by a starter, who may be gone */
    bool attached; /* to a process that is not made of it: `result` is all that it has of the last part */

    /* Written before EXITED is signaled. */
    enum launch_outcome outcome;
    uint32_t exit_status;
    enum trap trap;

    /* Until it ends. */
    struct compiled_module *module;
    struct arena arena; /* for what follows, and all that it names */
    struct launch *launch;
    struct launch_job *job;
    struct launch_result *result;
    struct grant **grants; /* NULL from program_enter on */
    const char **names;
    uint32_t grant_count;
};

/* Who started whom. Held for the length of a list operation when a program begins or ends. */
static struct spinlock family_lock = SPINLOCK(LOCK_PROCESS);

static struct program *program_of(struct object *object)
{
    return (struct program *)object;
}

/* ---- Budgets ---- */

/* Take `wanted`, or a part of what is left, from the starter's limit of handles. */
static bool lend_handles(struct process *starter, uint64_t *wanted)
{
    struct handle_table *table = &starter->handles;
    spinlock_acquire(&table->lock);
    uint64_t left = table->limit - table->count;
    *wanted = *wanted ? *wanted : left / 4;
    bool enough = *wanted <= left;
    __atomic_store_n(&table->limit, table->limit - (enough ? (uint32_t)*wanted : 0), __ATOMIC_RELAXED);
    spinlock_release(&table->lock);
    return enough;
}

static void return_handles(struct process *starter, uint64_t count)
{
    spinlock_acquire(&starter->handles.lock);
    __atomic_store_n(&starter->handles.limit, starter->handles.limit + (uint32_t)count, __ATOMIC_RELAXED);
    spinlock_release(&starter->handles.lock);
}

static bool lend_memory(struct process *starter, uint64_t *wanted)
{
    if (!*wanted) {
        *wanted = starter->memory_limit == UINT64_MAX ? UINT64_MAX : max_u64(process_memory_left(starter) / 2, 1);
    }
    /* Who has no limit lends without counting. */
    return starter->memory_limit == UINT64_MAX || process_charge_memory(starter, *wanted);
}

#define THREADS_LENT 64 /* at most, to who does not ask for a number */

/* Each thread of the child is one that the starter may not have: the child's first one, too. */
static bool lend_threads(struct process *starter, uint64_t *wanted)
{
    uint32_t limit = __atomic_load_n(&starter->thread_limit, __ATOMIC_RELAXED);
    uint64_t left = limit > starter->thread_count ? limit - starter->thread_count : 0;
    *wanted = *wanted ? *wanted : max_u64(min_u64(left / 4, THREADS_LENT), 1);
    if (*wanted > left) {
        return false;
    }
    __atomic_sub_fetch(&starter->thread_limit, (uint32_t)*wanted, __ATOMIC_RELAXED);
    return true;
}

/* A starter with next to nothing left lends nothing, and the child gets as little. */
static bool lend_share(struct process *starter, uint64_t *wanted)
{
    /* Others that end give back meanwhile. */
    uint32_t before = __atomic_load_n(&starter->weight, __ATOMIC_RELAXED), weight;
    uint64_t share;
    do {
        weight = before ? before : PROCESS_WEIGHT;
        share = *wanted ? *wanted : weight / 16;
        if (share >= weight) {
            return false;
        }
    } while (!atomic_change_u32(&starter->weight, &before, (uint32_t)(weight - share)));
    *wanted = share;
    return true;
}

/* What the starter may use, too. */
static bool limit_priority(const struct process *starter, uint32_t *wanted)
{
    *wanted = *wanted ? *wanted : (uint32_t)min_u64(starter->priority_limit, PRIORITY_NORMAL) + 1;
    return *wanted <= starter->priority_limit + 1;
}

/* At least what the program itself takes, but for its object. */
static bool lend_objects(struct program *program, struct process *starter, uint64_t *wanted, size_t text_bytes)
{
    uint64_t used = account_used(starter->account), limit = starter->account->limit;
    *wanted = *wanted ? *wanted : (limit - min_u64(used, limit)) / 4;
    *wanted = max_u64(*wanted, ARENA_BYTES + 2 * (uint64_t)text_bytes);
    if (*wanted > limit || !account_charge(starter->account, *wanted)) {
        return false;
    }
    program->account = starter->account;
    return true;
}

/* What `program.lent` says goes back; `starter` is there. */
static void give_back(struct process *starter, const struct program_budget *lent)
{
    return_handles(starter, lent->handles);
    __atomic_add_fetch(&starter->thread_limit, (uint32_t)lent->threads, __ATOMIC_RELAXED);
    if (starter->memory_limit != UINT64_MAX) {
        process_credit_memory(starter, lent->memory);
    }
    if (lent->share) {
        __atomic_add_fetch(&starter->weight, (uint32_t)lent->share, __ATOMIC_RELAXED);
    }
}

/* All of it or nothing. The parts that are lent so far are not 0 in `lent`. */
static bool lend(struct program *program, struct process *starter, const struct program_description *description)
{
    struct program_budget budget = description->budget, *lent = &program->lent;
    bool enough = lend_handles(starter, &budget.handles);
    lent->handles = enough ? budget.handles : 0;
    enough = enough && lend_threads(starter, &budget.threads);
    lent->threads = enough ? budget.threads : 0;
    enough = enough && lend_memory(starter, &budget.memory);
    lent->memory = enough ? budget.memory : 0;
    enough = enough && lend_share(starter, &budget.share);
    lent->share = enough ? budget.share : 0;
    enough = enough && lend_objects(program, starter, &budget.objects, description->text_bytes);
    lent->objects = enough ? budget.objects : 0;
    enough = enough && limit_priority(starter, &budget.priority);
    lent->priority = budget.priority;
    if (!enough) {
        give_back(starter, lent);
    }
    return enough;
}

static void join_family(struct program *program, struct process *starter)
{
    spinlock_acquire(&family_lock);
    program->starter = starter;
    program->next = starter->children;
    program->previous = NULL;
    if (program->next) {
        program->next->previous = program;
    }
    starter->children = program;
    spinlock_release(&family_lock);
}

static void leave_family(struct program *program)
{
    spinlock_acquire(&family_lock);
    if (program->starter) {
        *(program->previous ? &program->previous->next : &program->starter->children) = program->next;
        if (program->next) {
            program->next->previous = program->previous;
        }
        give_back(program->starter, &program->lent);
        program->starter = NULL;
    }
    spinlock_release(&family_lock);
    if (program->account) {
        account_credit(program->account, program->lent.objects);
        program->account = NULL;
    }
}

/* ---- Making one ---- */

static const char *copy_text(struct arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = arena_allocate(arena, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

/* NULL: no memory. */
static const char **copy_texts(struct arena *arena, const char *const *texts, uint32_t count)
{
    const char **copies = arena_allocate_array(arena, max_u64(count, 1), sizeof(*copies));
    for (uint32_t i = 0; copies && i < count; i++) {
        copies[i] = copy_text(arena, texts[i]);
        if (!copies[i]) {
            return NULL;
        }
    }
    return copies;
}

static struct launch_directory *copy_directories(struct arena *arena, const struct launch *launch)
{
    struct launch_directory *copies = arena_allocate_array(arena, max_u64(launch->directory_count, 1), sizeof(*copies));
    for (uint32_t i = 0; copies && i < launch->directory_count; i++) {
        copies[i].guest_path = copy_text(arena, launch->directories[i].guest_path);
        copies[i].node = launch->directories[i].node;
        if (!copies[i].guest_path) {
            return NULL;
        }
    }
    return copies;
}

static bool copy_launch(struct program *program, const struct launch *from)
{
    struct arena *arena = &program->arena;
    struct launch *launch = program->launch = arena_allocate(arena, sizeof(*launch));
    program->job = arena_allocate(arena, sizeof(*program->job));
    program->result = arena_allocate(arena, sizeof(*program->result));
    if (!launch || !program->job || !program->result) {
        return false;
    }
    *launch = (struct launch){
        .name = copy_text(arena, from->name),
        .argument_count = from->argument_count,
        .arguments = copy_texts(arena, from->arguments, from->argument_count),
        .environment_count = from->environment_count,
        .environment = copy_texts(arena, from->environment, from->environment_count),
        .directory_count = from->directory_count,
        .directories = copy_directories(arena, from),
        .memory_limit = program->budgeted && program->lent.memory != UINT64_MAX ? program->lent.memory : 0,
        .timeout_nanoseconds = from->timeout_nanoseconds,
        .without_streams = from->without_streams,
    };
    program->result->outcome = LAUNCH_EXITED;
    *program->job =
        (struct launch_job){.launch = launch, .result = program->result, .module = program->module, .program = program};
    return launch->name && launch->arguments && launch->environment && launch->directories;
}

static bool copy_grants(struct program *program, const struct program_description *description)
{
    uint32_t count = description->grant_count;
    program->names = copy_texts(&program->arena, description->names, count);
    program->grants = arena_allocate_array(&program->arena, max_u64(count, 1), sizeof(struct grant *));
    if (!program->names || !program->grants) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        program->grants[i] = description->grants[i];
    }
    return true;
}

enum status program_create(struct process *starter, const struct program_description *description,
                           struct object **result)
{
    struct object *object;
    enum status status =
        object_allocate(OBJECT_PROCESS, sizeof(struct program), starter ? starter->account : NULL, 0, &object);
    if (status != STATUS_OK) {
        return status;
    }
    struct program *program = program_of(object);
    arena_initialize(&program->arena, &kernel_engine_allocator);
    program->arena.next_block_bytes = ARENA_BYTES;
    program->module = description->module;
    program->budgeted = starter != NULL;
    if (starter && !lend(program, starter, description)) {
        status = STATUS_LIMIT;
    } else {
        if (starter) {
            join_family(program, starter);
        }
        status = copy_launch(program, description->launch) && copy_grants(program, description) ? STATUS_OK
                                                                                                : STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        leave_family(program);
        arena_release(&program->arena);
        program->state = PROGRAM_ENDED;
        object_release(object);
        return status;
    }
    program->grant_count = description->grant_count;
    compiled_module_acquire(program->module);
    for (uint32_t i = 0; i < program->launch->directory_count; i++) {
        vfs_acquire(program->launch->directories[i].node);
    }
    *result = object;
    return STATUS_OK;
}

/* ---- Its life ---- */

static void drop_grants(struct program *program)
{
    for (uint32_t i = 0; program->grants && i < program->grant_count; i++) {
        grant_drop(program->grants[i]);
    }
    program->grants = NULL;
}

__attribute__((noinline)) static void log_refusal(const struct program *program)
{
    char line[sizeof(program->result->message) + 128];
    if (program->result->outcome == LAUNCH_REFUSED) {
        size_t length =
            format_text(line, sizeof(line), "%.100s: %s\n", program->launch->name, program->result->message);
        platform_log(line, min_u64(length, sizeof(line) - 1));
    }
}

/* What became of it: nobody looks before the next. */
static void note_end(struct program *program)
{
    program->outcome = program->result->outcome;
    program->exit_status = program->result->exit_status;
    program->trap = program->result->trap;
}

/* Who waits for the end hears of it. */
static void tell_end(struct program *program)
{
    spinlock_acquire(&program->object.lock);
    program->state = PROGRAM_ENDED;
    object_signal_begin(&program->object, 0, SIGNAL_EXITED);
    spinlock_release(&program->object.lock);
    object_notify_rest(&program->object);
}

/* There is no process (any more): all but the object goes. */
static void end(struct program *program)
{
    note_end(program);
    log_refusal(program);
    drop_grants(program);
    for (uint32_t i = 0; i < program->launch->directory_count; i++) {
        vfs_release(program->launch->directories[i].node);
    }
    compiled_module_release(program->module);
    arena_release(&program->arena);
    leave_family(program);
    tell_end(program);
}

static void run(void *argument)
{
    struct program *program = argument;
    launch_job_run(program->job);
    end(program);
    object_release(&program->object);
}

/* From created to running, for one caller only. */
static bool claim(struct program *program)
{
    spinlock_acquire(&program->object.lock);
    bool claimed = program->state == PROGRAM_CREATED;
    if (claimed) {
        program->state = PROGRAM_RUNNING;
    }
    spinlock_release(&program->object.lock);
    return claimed;
}

static void set_trapped(struct program *program, enum trap trap)
{
    program->result->outcome = LAUNCH_TRAPPED;
    program->result->trap = trap;
}

/* One that was claimed. A handle that it was to get may be the last one to another program that was not started, and so
 * on at any depth: those are put to the list of the thread that is at it already, and the stack stays flat. */
static void end_unstarted(struct program *program, enum trap trap)
{
    struct thread *thread = thread_current();
    set_trapped(program, trap);
    object_acquire(&program->object);
    program->ended_next = thread->ended_programs;
    thread->ended_programs = program;
    if (thread->ends_programs) {
        return;
    }
    thread->ends_programs = true;
    while ((program = thread->ended_programs)) {
        thread->ended_programs = program->ended_next;
        end(program);
        object_release(&program->object);
        thread_preemption_point();
    }
    thread->ends_programs = false;
}

enum status program_start(struct object *object)
{
    struct program *program = program_of(object);
    if (!claim(program)) {
        return STATUS_BUSY;
    }
    object_acquire(object);
    enum status status = thread_start_detached(run, program);
    if (status != STATUS_OK) {
        end_unstarted(program, TRAP_OUT_OF_MEMORY);
        object_release(object);
    }
    return status;
}

void program_kill(struct object *object)
{
    struct program *program = program_of(object);
    if (claim(program)) {
        end_unstarted(program, TRAP_KILLED);
        return;
    }
    spinlock_acquire(&object->lock);
    program->killed = true;
    if (program->process) {
        process_request_end(program->process, TRAP_KILLED);
    }
    spinlock_release(&object->lock);
}

/* Some of the process's children, by `next`, with a reference each; they are nobody's now. */
static struct program *forget_piece(struct process *process)
{
    struct program *list = NULL;
    spinlock_acquire(&family_lock);
    for (uint32_t i = 0; process->children && i < FORGET_PIECE; i++) {
        struct program *child = process->children;
        process->children = child->next;
        child->starter = NULL;
        object_acquire(&child->object);
        child->next = list;
        list = child;
    }
    if (process->children) {
        process->children->previous = NULL;
    }
    spinlock_release(&family_lock);
    return list;
}

void program_forget_starter(struct process *process)
{
    for (struct program *list; (list = forget_piece(process));) {
        while (list) {
            struct program *child = list;
            list = child->next;
            if (claim(child)) {
                end_unstarted(child, TRAP_KILLED);
            }
            object_release(&child->object);
        }
        thread_preemption_point();
    }
}

/* Into the table; at the number that programs know, if there is one for the name. */
static enum status insert_named(struct process *process, struct grant *grant, const char *name, uint32_t *handle)
{
    static const struct {
        const char *name;
        uint32_t number;
    } known[] = {{"system", HANDLE_KNOWN_SYSTEM}, {"clock", HANDLE_KNOWN_CLOCK}, {"port", HANDLE_KNOWN_PORT}};
    size_t length = strlen(name);
    for (uint32_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0) {
            *handle = known[i].number;
            return handle_insert_known(&process->handles, grant, known[i].number);
        }
    }
    return handle_insert(&process->handles, grant, handle);
}

/* A handle and its name. A client end of a port that is called as an interface is what imports of that are bound to. */
static enum status give_handle(struct process *process, struct grant *grant, const char *text)
{
    struct named_handle *named = arena_allocate(&process->arena, sizeof(*named));
    const char *name = copy_text(&process->arena, text);
    bool is_client = grant->object->type == OBJECT_PORT_CLIENT;
    enum status status = named && name ? insert_named(process, grant, name, &named->handle) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        grant_drop(grant);
        return status;
    }
    named->name = name;
    named->next = process->named_handles;
    process->named_handles = named;
    return is_client ? service_bind(process, (struct name){name, (uint32_t)strlen(name)}, named->handle) : STATUS_OK;
}

static enum status give_handles(struct program *program, struct process *process)
{
    enum status first = STATUS_OK;
    for (uint32_t i = 0; i < program->grant_count; i++) {
        enum status status = give_handle(process, program->grants[i], program->names[i]);
        first = first == STATUS_OK ? status : first;
    }
    program->grants = NULL;
    return first;
}

enum status program_enter(struct program *program, struct process *process)
{
    const struct program_budget *budget = &program->lent;
    if (program->budgeted) {
        /* It is in the table of processes already, whose readers look at these. */
        __atomic_store_n(&process->handles.limit, (uint32_t)budget->handles, __ATOMIC_RELAXED);
        __atomic_store_n(&process->account->limit, budget->objects, __ATOMIC_RELAXED);
        __atomic_store_n(&process->thread_limit, (uint32_t)budget->threads - 1, __ATOMIC_RELAXED);
        __atomic_store_n(&process->weight, (uint32_t)max_u64(budget->share, 1), __ATOMIC_RELAXED);
        process->priority_limit = budget->priority - 1;
    }
    enum status status = give_handles(program, process);
    __atomic_store_n(&process->program, program, __ATOMIC_RELEASE);
    spinlock_acquire(&program->object.lock);
    program->process = process;
    program->id = process->id;
    if (program->killed) {
        process_request_end(process, TRAP_KILLED);
    }
    spinlock_release(&program->object.lock);
    return status;
}

void program_leave(struct program *program)
{
    spinlock_acquire(&program->object.lock);
    program->process = NULL;
    spinlock_release(&program->object.lock);
}

enum status program_attach(struct launch_result *result, struct program **program)
{
    struct object *object;
    enum status status = object_allocate(OBJECT_PROCESS, sizeof(**program), NULL, 0, &object);
    if (status == STATUS_OK) {
        *program = program_of(object);
        (*program)->attached = true;
        (*program)->state = PROGRAM_RUNNING;
        (*program)->result = result;
    }
    return status;
}

void program_detach(struct program *program)
{
    note_end(program);
    tell_end(program);
    object_release(&program->object);
}

/* The thread that runs the process has a reference until the process is no longer in the table. */
static void acquire_program(struct process *process, void *context)
{
    struct program *program = __atomic_load_n(&process->program, __ATOMIC_ACQUIRE);
    if (program) {
        object_acquire(&program->object);
        *(struct object **)context = &program->object;
    }
}

enum status program_find(uint32_t id, struct object **result)
{
    *result = NULL;
    process_table_find(id, acquire_program, result);
    return *result ? STATUS_OK : STATUS_NOT_FOUND;
}

void program_status(struct object *object, struct program_status *status)
{
    const struct program *program = program_of(object);
    spinlock_acquire(&object->lock);
    *status = (struct program_status){.state = program->state, .id = program->id};
    spinlock_release(&object->lock);
    if (status->state == PROGRAM_ENDED) {
        status->outcome = program->outcome;
        status->exit_status = program->exit_status;
        status->trap = program->trap;
        status->conventional_status = launch_conventional_status(program->outcome, program->exit_status, program->trap);
    }
}

enum status program_statistics(struct object *object, struct process_statistics *statistics)
{
    const struct program *program = program_of(object);
    spinlock_acquire(&object->lock);
    enum status status = program->process ? STATUS_OK : STATUS_BUSY;
    if (program->process) { /* which does not go meanwhile: program_leave */
        process_statistics_read(program->process, statistics);
    }
    spinlock_release(&object->lock);
    return status;
}

uint32_t process_named_handle(const struct process *process, const char *name, size_t length)
{
    for (const struct named_handle *named = process->named_handles; named; named = named->next) {
        if (strlen(named->name) == length && memcmp(named->name, name, length) == 0) {
            return named->handle;
        }
    }
    return 0;
}

/* ---- The object ---- */

void process_object_closed(struct object *object)
{
    if (!program_of(object)->attached) {
        program_kill(object);
    }
}

void process_object_destroy(struct object *object)
{
    struct program *program = program_of(object);
    if (claim(program)) { /* it never had a handle */
        set_trapped(program, TRAP_KILLED);
        end(program);
    }
    object_free(object);
}
