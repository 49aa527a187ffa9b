/* Processes behind handles. */
#include "abi/tessera/description.h"
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/heap.h"
#include "kernel/launch_description.h"
#include "kernel/module_object.h"
#include "kernel/program.h"

#define DESCRIPTION_BYTES_MAXIMUM 65536
#define NAME_BYTES_MAXIMUM        256

/* ---- process_create ---- */

/* What is decoded of the arguments. */
struct creation {
    struct object *module;
    struct launch_description parsed;
    struct launch_directory *directories; /* NULL: not made yet */
    uint32_t handles[HANDLES_PER_MESSAGE];
    uint32_t count;
};

static enum status create(struct process *process, const struct creation *creation, size_t text_bytes,
                          struct object **result)
{
    const struct launch_description *parsed = &creation->parsed;
    struct grant *grants[HANDLES_PER_MESSAGE];
    const struct launch *creator = process_launch(process);
    struct launch launch = {
        .name = parsed->name,
        .argument_count = parsed->argument_count,
        .arguments = parsed->arguments,
        .environment_count = parsed->environment_count,
        .environment = parsed->environment,
        .directory_count = parsed->directory_count,
        .directories = creation->directories,
        .timeout_nanoseconds = parsed->timeout_nanoseconds,
        .without_streams = !parsed->streams || !creator || creator->without_streams,
    };
    struct program_description description = {
        .module = module_object_module(creation->module),
        .launch = &launch,
        .budget = {.memory = parsed->memory_limit,
                   .objects = parsed->object_limit,
                   .handles = parsed->handle_limit,
                   .threads = parsed->thread_limit,
                   .share = parsed->share,
                   .priority = parsed->priority_limit},
        .text_bytes = text_bytes,
        .grant_count = creation->count,
        .grants = grants,
        .names = parsed->handles,
    };
    enum status status = handles_take(&process->handles, creation->handles, creation->count, 0, grants);
    if (status != STATUS_OK) {
        return status;
    }
    status = program_create(process, &description, result);
    if (status == STATUS_OK) {
        handles_taken(&process->handles, creation->handles, creation->count);
    } else {
        handles_put_back(&process->handles, creation->handles, creation->count);
    }
    return status;
}

/* With the description parsed. */
static enum status decode_and_create(struct process *process, struct creation *creation, size_t bytes,
                                     struct object **result)
{
    const struct launch_description *parsed = &creation->parsed;
    size_t directories_bytes = parsed->directory_count * sizeof(struct launch_directory);
    bool for_the_system = parsed->system_handle || parsed->clock_handle || parsed->interface_count ||
                          parsed->service_count || parsed->repeat != 1 || parsed->report || parsed->statistics ||
                          parsed->accounting || parsed->profile_hertz || parsed->trace_bytes;
    if (for_the_system || parsed->handle_count != creation->count ||
        (parsed->directory_count && !process_launch(process))) {
        return STATUS_INVALID;
    }
    creation->directories = kernel_allocate(directories_bytes);
    if (!creation->directories) {
        return STATUS_NO_MEMORY;
    }
    enum status status =
        !parsed->directory_count || description_directories(process_launch(process), parsed, creation->directories)
            ? create(process, creation, bytes, result)
            : STATUS_INVALID;
    kernel_free(creation->directories, directories_bytes);
    return status;
}

/* Every description has a module; here it is only a name. */
static const char module_field[] = "module=process";

static enum status parse_and_create(struct process *process, struct creation *creation, const void *text, size_t bytes,
                                    struct object **result)
{
    const char *message;
    size_t all = sizeof(module_field) + bytes;
    uint8_t *copy = kernel_allocate(all);
    if (!copy) {
        return STATUS_NO_MEMORY;
    }
    memcpy(copy, module_field, sizeof(module_field));
    enum status status = caller_copy(copy + sizeof(module_field), text, (uint32_t)bytes)
                             ? launch_description_parse(copy, all, &creation->parsed, &message)
                             : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = decode_and_create(process, creation, bytes, result);
        launch_description_release(&creation->parsed);
    }
    kernel_free(copy, all);
    return status;
}

int32_t host_process_create(struct instance *instance, uint32_t handle, uint32_t description, uint32_t bytes,
                            uint32_t handles, uint32_t count)
{
    struct creation creation = {.count = count};
    const void *text = instance_memory_required(instance, description, bytes, "process_create: description");
    if (count > HANDLES_PER_MESSAGE || bytes > DESCRIPTION_BYTES_MAXIMUM) {
        return -TESSERA_EINVALID;
    }
    const void *numbers =
        instance_memory_required(instance, handles, count * sizeof(uint32_t), "process_create: handles");
    memcpy(creation.handles, numbers, count * sizeof(uint32_t));
    struct object *program = NULL;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(process_create), &creation.module);
    if (status == STATUS_OK) {
        status = parse_and_create(instance->process, &creation, text, bytes, &program);
        object_release(creation.module);
    }
    return caller_give(instance, status, program);
}

/* ---- The others ---- */

int32_t host_process_start(struct instance *instance, uint32_t handle)
{
    struct object *program;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(process_start), &program);
    if (status == STATUS_OK) {
        status = program_start(program);
        object_release(program);
    }
    return tessera_result(status);
}

int32_t host_process_kill(struct instance *instance, uint32_t handle)
{
    struct object *program;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(process_kill), &program);
    if (status == STATUS_OK) {
        program_kill(program);
        object_release(program);
    }
    return tessera_result(status);
}

int32_t host_process_open(struct instance *instance, uint32_t handle, uint32_t id)
{
    struct object *program = NULL;
    enum status status = caller_check(instance, handle, NEEDS(process_open));
    if (status == STATUS_OK) {
        status = program_find(id, &program);
    }
    return caller_give(instance, status, program);
}

static void describe(const struct program_status *status, struct tessera_process_status *described)
{
    static const uint32_t ends[] = {[LAUNCH_EXITED] = TESSERA_PROCESS_EXITED,
                                    [LAUNCH_TRAPPED] = TESSERA_PROCESS_TRAPPED,
                                    [LAUNCH_REFUSED] = TESSERA_PROCESS_REFUSED};
    *described = (struct tessera_process_status){.state = status->state, .id = status->id};
    if (status->state == PROGRAM_ENDED) {
        described->state = ends[status->outcome];
        described->exit_status = status->exit_status;
        described->conventional_status = (uint32_t)status->conventional_status;
        const char *reason = status->outcome == LAUNCH_TRAPPED   ? trap_text(status->trap)
                             : status->outcome == LAUNCH_REFUSED ? "refused"
                                                                 : "exit";
        format_text(described->reason, sizeof(described->reason), "%s", reason);
    }
}

int32_t host_process_status(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t bytes)
{
    struct tessera_process_status described;
    struct program_status program_state;
    struct object *program;
    bytes = (uint32_t)min_u64(bytes, sizeof(described));
    void *to = instance_memory_required(instance, buffer, bytes, "process_status: buffer");
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(process_status), &program);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    program_status(program, &program_state);
    object_release(program);
    describe(&program_state, &described);
    memcpy(to, &described, bytes);
    return (int32_t)bytes;
}

int32_t host_handle_named(struct instance *instance, uint32_t name, uint32_t length)
{
    char text[NAME_BYTES_MAXIMUM];
    const void *from = instance_memory_required(instance, name, length, "handle_named: name");
    if (length > sizeof(text)) {
        return -TESSERA_ENOTFOUND;
    }
    memcpy(text, from, length);
    uint32_t handle = process_named_handle(instance->process, text, length);
    return handle ? (int32_t)handle : -TESSERA_ENOTFOUND;
}
