/* The system: information, and starting programs by a path. */
#include "abi/tessera/description.h"
#include "abi/tessera/tessera.h"

#include "engine/base.h"
#include "engine/compile.h"
#include "engine/format.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/launch_description.h"
#include "kernel/platform.h"
#include "kernel/process.h"
#include "kernel/system.h"

#define DESCRIPTION_BYTES_MAXIMUM 65536

/* ---- system_information ---- */

static void copy_text(char *to, size_t size, const char *text)
{
    format_text(to, size, "%s", text);
}

static void describe_features(char *text, size_t size)
{
    static const char *const names[] = {
#define FEATURE_NAME(name, feature_text) feature_text,
        CPU_FEATURES(FEATURE_NAME)
#undef FEATURE_NAME
    };
    size_t length = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(names) && length < size; i++) {
        if (platform_cpu_features() >> i & 1) {
            length += format_text(text + length, size - length, "%s%s", length ? " " : "", names[i]);
        }
    }
}

int32_t host_system_information(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t bytes)
{
    bytes = (uint32_t)min_u64(bytes, sizeof(struct tessera_system_information));
    void *to = instance_memory_required(instance, buffer, bytes, "system_information: buffer");
    enum status status = caller_check(instance, handle, NEEDS(system_information));
    if (status != STATUS_OK) {
        return tessera_result(status);
    }

    struct platform_memory memory;
    struct heap_statistics heap;
    struct tessera_system_information information = {0};
    platform_memory_statistics(&memory);
    kernel_heap_statistics(&heap);
    information.memory_bytes = memory.frames_total * PLATFORM_PAGE_BYTES;
    information.memory_used_bytes = memory.frames_used * PLATFORM_PAGE_BYTES;
    information.uptime_nanoseconds = process_visible_time(instance->process, system_uptime_nanoseconds());
    information.heap_blocks = (uint32_t)heap.blocks;
    copy_text(information.kernel_version, sizeof(information.kernel_version), KERNEL_VERSION);
    copy_text(information.platform, sizeof(information.platform), system_platform_name());
    copy_text(information.cpu_name, sizeof(information.cpu_name), platform_cpu_name());
    describe_features(information.cpu_features, sizeof(information.cpu_features));
    memcpy(to, &information, bytes);
    return (int32_t)bytes;
}

/* ---- process_run ---- */

/* The budget of a program is a part of what its starter has left; 0 asks for all of that. */
static uint64_t budget(const struct process *starter, uint64_t wanted)
{
    return max_u64(min_u64(wanted ? wanted : UINT64_MAX, process_memory_left(starter)), 1);
}

static int32_t run(struct process *starter, const struct launch_description *description,
                   const struct launch_binding *bindings)
{
    const struct launch *caller = process_launch(starter);
    uint8_t *bytes;
    size_t size;
    size_t directories_bytes = description->directory_count * sizeof(struct launch_directory);
    struct launch_directory *directories = kernel_allocate(directories_bytes);
    enum status status = !directories                                            ? STATUS_NO_MEMORY
                         : !description_directories(caller, description, directories) ? STATUS_INVALID
                                                                                 : STATUS_OK;
    if (status == STATUS_OK) {
        status = module_file_read(caller, description->module, &bytes, &size);
    }
    if (status != STATUS_OK) {
        caller_bindings_drop(bindings, description->interface_count);
        kernel_free(directories, directories_bytes);
        return tessera_result(status);
    }
    struct launch launch = {
        .name = description->name,
        .module_bytes = bytes,
        .module_size = size,
        .keep_module = true,
        .argument_count = description->argument_count,
        .arguments = description->arguments,
        .environment_count = description->environment_count,
        .environment = description->environment,
        .directory_count = description->directory_count,
        .directories = directories,
        .memory_limit = budget(starter, description->memory_limit),
        .timeout_nanoseconds = description->timeout_nanoseconds,
        .binding_count = description->interface_count,
        .bindings = bindings,
        .clock_handle = description->clock_handle && handle_has_clock(&starter->handles),
    };
    struct launch_result result;
    launch_run(&launch, &result);
    if (result.outcome == LAUNCH_REFUSED) {
        char line[sizeof(result.message) + 64];
        size_t length = format_text(line, sizeof(line), "%.60s: %s\n", launch.name, result.message);
        platform_log(line, min_u64(length, sizeof(line) - 1));
    }
    kernel_free(bytes, size);
    kernel_free(directories, directories_bytes);
    return launch_exit_status(&result);
}

/* The bindings first, since they may be refused. */
static int32_t run_bound(struct process *starter, const struct launch_description *description)
{
    size_t bytes = description->interface_count * sizeof(struct launch_binding);
    struct launch_binding *bindings = kernel_allocate(bytes);
    enum status status = bindings ? caller_bindings(starter, description, bindings) : STATUS_NO_MEMORY;
    int32_t result = status == STATUS_OK ? run(starter, description, bindings) : tessera_result(status);
    kernel_free(bindings, bytes);
    return result;
}

int32_t host_process_run(struct instance *instance, uint32_t handle, uint32_t description, uint32_t bytes)
{
    const void *from = instance_memory_required(instance, description, bytes, "process_run: description");
    enum status status = caller_check(instance, handle, NEEDS(process_run));
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    if (bytes > DESCRIPTION_BYTES_MAXIMUM || !process_launch(instance_process(instance))) {
        return -TESSERA_EINVALID;
    }
    uint8_t *copy = kernel_allocate(bytes);
    if (!copy) {
        return -TESSERA_ENOMEMORY;
    }
    struct launch_description parsed;
    const char *message;
    status = caller_copy(copy, from, bytes) ? launch_description_parse(copy, bytes, &parsed, &message) : STATUS_NO_MEMORY;
    int32_t result = tessera_result(status);
    if (status == STATUS_OK) {
        /* The caller's authority is its directories; the system's own fields are not for it. */
        bool for_the_system = parsed.handle_count || parsed.handle_limit || parsed.thread_limit || parsed.object_limit ||
                              parsed.share || parsed.priority_limit || parsed.system_handle || parsed.service_count || parsed.repeat != 1 || parsed.report ||
                              parsed.statistics || parsed.accounting || parsed.profile_hertz || parsed.trace_bytes;
        result = for_the_system ? -TESSERA_EINVALID : run_bound(instance_process(instance), &parsed);
        launch_description_release(&parsed);
    }
    kernel_free(copy, bytes);
    return result;
}
