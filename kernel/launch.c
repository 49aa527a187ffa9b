/* One program from its bytes to its end, on a thread of its own. */
#include "kernel/launch.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/launch_job.h"
#include "kernel/module_cache.h"
#include "kernel/program.h"
#include "kernel/system.h"
#include "kernel/thread_object.h"
#include "kernel/vfs.h"

enum {
    STATUS_AFTER_TIMEOUT = 124,
    STATUS_AFTER_REFUSAL = 126,
    STATUS_AFTER_INTERRUPT = 130,
    STATUS_AFTER_TRAP = 134,
    STATUS_AFTER_KILL = 137,
};

static void refuse(struct launch_result *result, const char *text)
{
    result->outcome = LAUNCH_REFUSED;
    format_text(result->message, sizeof(result->message), "%s", text);
}

static void refuse_module(struct launch_result *result, enum status status, const struct engine_error *error)
{
    refuse(result, error->message[0] ? error->message : status_text(status));
}

/* A trap, or the exit that is one too. */
static void end_by_trap(struct process *process, enum trap trap, struct launch_result *result)
{
    if (trap == TRAP_EXIT) {
        result->outcome = LAUNCH_EXITED;
        result->exit_status = process->exit_status;
        return;
    }
    result->outcome = LAUNCH_TRAPPED;
    result->trap = trap;
    if (trap != TRAP_KILLED) { /* who did that knows */
        trap_report_print(&process->report);
    }
}

/* What a WASI command or reactor exports, as `*function`; 0 when there is only a start function. */
static bool find_entry(struct process *process, struct instance *instance, uint32_t *function,
                       struct launch_result *result)
{
    static const char *const names[] = {"_start", "_initialize"};
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct external entry;
        if (!instance_find_export(instance, names[i], strlen(names[i]), &entry)) {
            continue;
        }
        const struct function_type *type =
            entry.kind == EXTERNAL_FUNCTION ? function_reference_type(process, entry.function) : NULL;
        if (!type || type->parameter_count || type->result_count) {
            format_text(result->message, sizeof(result->message), "its export %s is not a function () -> ()", names[i]);
            result->outcome = LAUNCH_REFUSED;
            return false;
        }
        *function = entry.function;
        return true;
    }
    *function = 0;
    if (instance->types->start == UINT32_MAX) {
        refuse(result, "no program: it has no _start, no _initialize and no start function");
        return false;
    }
    return true;
}

static void run_instance(struct process *process, struct instance *instance, struct launch_result *result)
{
    uint32_t entry;
    if (!find_entry(process, instance, &entry, result)) {
        return;
    }
    enum trap trap = instance_start(instance);
    if (trap == TRAP_NONE && entry) {
        trap = function_call(process, entry, NULL, NULL);
    }
    process_finish(process, trap);
    process_join_threads(process);
    if (trap != TRAP_NONE) {
        end_by_trap(process, trap, result);
    }
}

/* NULL: refused or ended. Not inlined: what is on the stack here is not while the instance runs. */
__attribute__((noinline)) static struct instance *instantiate(struct process *process, struct compiled_module *module,
                                                              struct launch_result *result)
{
    struct instance *instance;
    struct link_error error;
    enum trap trap;
    enum status status = instance_create_with_host(process, module, &instance, &trap, &error);
    if (status == STATUS_TRAPPED) {
        bool segment = trap == TRAP_MEMORY_OUT_OF_BOUNDS || trap == TRAP_TABLE_OUT_OF_BOUNDS;
        process->report = (struct trap_report){.trap = trap};
        format_text(process->report.detail, sizeof(process->report.detail), "%s",
                    segment ? "active segment of the module" : "while it was instantiated");
        end_by_trap(process, trap, result);
    } else if (status != STATUS_OK) {
        refuse(result, error.message);
    }
    return status == STATUS_OK ? instance : NULL;
}

static enum status get_module(const struct launch_job *job, struct compiled_module **module, struct engine_error *error)
{
    const struct launch *launch = job->launch;
    if (!job->module && launch->keep_module) {
        return compiled_module_share(launch->module_bytes, launch->module_size, launch->name, module, error);
    }
    if (!job->module) {
        return compiled_module_create(launch->module_bytes, launch->module_size, launch->name, module, error);
    }
    *module = job->module;
    compiled_module_acquire(*module);
    return STATUS_OK;
}

/* NULL: refused or ended. Not inlined either. */
__attribute__((noinline)) static struct compiled_module *obtain_module(struct process *process,
                                                                       const struct launch_job *job)
{
    struct launch_result *result = job->result;
    struct compiled_module *module = NULL;
    struct engine_error error;
    enum status status = get_module(job, &module, &error);
    if (status == STATUS_OK) {
        return module;
    }
    if (thread_end_is_due(thread_current())) { /* the compilation was abandoned */
        process->report = (struct trap_report){.trap = thread_end_trap(thread_current()), .detail = "while compiling"};
        end_by_trap(process, process->report.trap, result);
    } else {
        refuse_module(result, status, &error);
    }
    return NULL;
}

static void run_process(struct process *process, const struct launch_job *job)
{
    struct compiled_module *module = obtain_module(process, job);
    struct instance *instance = module ? instantiate(process, module, job->result) : NULL;
    if (instance) {
        run_instance(process, instance, job->result);
    }
    if (module) {
        compiled_module_release(module);
    }
}

/* A handle under a number that programs know; the grant is gone if that fails. */
static bool give(struct process *process, struct grant *grant, uint32_t number)
{
    bool done = handle_insert_known(&process->handles, grant, number) == STATUS_OK;
    if (!done) {
        grant_drop(grant);
    }
    return done;
}

/* One to one of the kernel's own objects. */
static bool give_object(struct process *process, struct object *object, uint32_t number)
{
    struct grant *grant;
    return grant_create(object, RIGHTS_ALL, &grant) == STATUS_OK && give(process, grant, number);
}

static bool give_handles(struct process *process, const struct launch_job *job)
{
    bool has_port = !job->port || give(process, job->port, HANDLE_KNOWN_PORT);
    bool is_bound = launch_bindings_give(job->bindings, job->binding_count, process) == STATUS_OK;
    return has_port && is_bound &&
           (!job->launch->system_handle || give_object(process, system_object(), HANDLE_KNOWN_SYSTEM)) &&
           (!job->launch->clock_handle || give_object(process, clock_object(), HANDLE_KNOWN_CLOCK)) &&
           launch_services_give(job->services, job->service_count, process) == STATUS_OK;
}

static void drop_grants(const struct launch_job *job)
{
    if (job->port) {
        grant_drop(job->port);
    }
    for (uint32_t i = 0; i < job->binding_count; i++) {
        grant_drop(job->bindings[i].grant);
    }
}

/* `program` is that of the process. */
static void run_job(const struct launch_job *job, struct program *program)
{
    const struct launch *launch = job->launch;
    struct process *process;
    if (process_create(launch->name, launch->memory_limit, &process) != STATUS_OK) {
        refuse(job->result, "out of memory");
        drop_grants(job);
        return;
    }
    process->launch = launch;
    process->priority_limit = launch->system_handle ? PRIORITY_HIGH : PRIORITY_NORMAL;
    if (launch->timeout_nanoseconds) {
        uint64_t now = platform_monotonic_nanoseconds();
        process->deadline = now + min_u64(launch->timeout_nanoseconds, UINT64_MAX - 1 - now);
    }
    bool given = give_handles(process, job);
    given = program_enter(program, process) == STATUS_OK && given;
    if (given) {
        thread_set_priority(thread_current(), (enum thread_priority)min_u64(process->priority_limit, PRIORITY_NORMAL));
        thread_set_process(thread_current(), process);
        if (job->foreground) {
            foreground_enter(process);
        }
        run_process(process, job);
        if (job->foreground) {
            foreground_leave(process);
        }
        thread_object_detach(job->result->outcome == LAUNCH_TRAPPED ? job->result->trap : TRAP_NONE);
        thread_set_process(thread_current(), NULL);
    } else {
        refuse(job->result, "its handles could not be given to it: memory or a limit");
    }
    program_leave(program);
    process_destroy(process);
}

void launch_job_run(void *argument)
{
    const struct launch_job *job = argument;
    struct program *program;
    if (job->program) {
        run_job(job, job->program);
    } else if (program_attach(job->result, &program) == STATUS_OK) {
        run_job(job, program);
        program_detach(program);
    } else {
        refuse(job->result, "out of memory");
        drop_grants(job);
    }
}

void launch_run(const struct launch *launch, struct launch_result *result)
{
    struct launch_job job = {
        .launch = launch,
        .result = result,
        .service_count = launch->service_count,
        .bindings = launch->bindings,
        .binding_count = launch->binding_count,
        .foreground = true,
    };
    struct launched_service *services = NULL;
    struct thread *thread;
    *result = (struct launch_result){.outcome = LAUNCH_EXITED};
    for (uint32_t i = 0; i < launch->directory_count; i++) {
        vfs_acquire(launch->directories[i].node);
    }
    bool ready = !launch->service_count || launch_services_start(launch, &services, result);
    job.services = services;
    if (ready && thread_start(launch_job_run, &job, &thread) == STATUS_OK) {
        thread_join(thread);
    } else {
        drop_grants(&job);
        if (ready) {
            refuse(result, "out of memory");
        }
    }
    launch_services_stop(launch, services);
    for (uint32_t i = 0; i < launch->directory_count; i++) {
        vfs_release(launch->directories[i].node);
    }
}

int launch_exit_status(const struct launch_result *result)
{
    return launch_conventional_status(result->outcome, result->exit_status, result->trap);
}

int launch_conventional_status(enum launch_outcome outcome, uint32_t exit_status, unsigned trap)
{
    switch (outcome) {
    case LAUNCH_EXITED:
        return (int)(exit_status & 0xff);
    case LAUNCH_TRAPPED:
        return trap == TRAP_TIMEOUT       ? STATUS_AFTER_TIMEOUT
               : trap == TRAP_INTERRUPTED ? STATUS_AFTER_INTERRUPT
               : trap == TRAP_KILLED      ? STATUS_AFTER_KILL
                                          : STATUS_AFTER_TRAP;
    case LAUNCH_REFUSED:
        break;
    }
    return STATUS_AFTER_REFUSAL;
}
