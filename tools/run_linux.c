/* `tessera run --platform linux`: the kernel in this process. */
#include "tools/run.h"
#include "tools/message.h"
#include "tools/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compile.h"
#include "kernel/cpu.h"
#include "kernel/launch.h"
#include "kernel/platform.h"
#include "kernel/profile.h"
#include "kernel/statistics.h"
#include "kernel/system.h"
#include "kernel/trace.h"
#include "kernel/vfs.h"
#include "platform/linux/hostfs.h"
#include "platform/linux/linux.h"

static void say_platform(void)
{
    static const char *const names[] = {
#define FEATURE_NAME(name, text) text,
        CPU_FEATURES(FEATURE_NAME)
#undef FEATURE_NAME
    };
    uint32_t features = platform_cpu_features();
    fprintf(stderr, "tessera: platform linux, %s, CPU features:", platform_cpu_name());
    for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++)
        fprintf(stderr, " %s%s", features >> i & 1 ? "" : "no-", names[i]);
    fputc('\n', stderr);
}

static struct launch_directory *open_directories(const struct run_options *options)
{
    struct launch_directory *directories = allocate(options->directory_count * sizeof *directories);
    for (uint32_t i = 0; i < options->directory_count; i++) {
        const struct mapped_directory *mapped = &options->directories[i];
        directories[i].guest_path = mapped->guest;
        if (hostfs_create(mapped->host, &directories[i].node) != STATUS_OK)
            die("--dir: cannot open %s: %s", mapped->host, strerror(errno));
        if (options->verbose)
            fprintf(stderr, "tessera: %s is the folder %s\n", mapped->guest, mapped->host);
    }
    return directories;
}

static struct launch_service *list_services(const struct run_options *options)
{
    struct launch_service *services = allocate(options->service_count * sizeof *services);
    for (uint32_t i = 0; i < options->service_count; i++) {
        const struct service_file *file = &options->services[i];
        services[i] = (struct launch_service){file->name, file->bytes, file->size};
    }
    return services;
}

int run_on_linux(const struct run_options *options)
{
    linux_platform_initialize();
    if (options->cpus > 0)
        linux_set_cpu_count(options->cpus);
    cpu_initialize();
    system_set_platform_name("linux");
    if (options->verbose)
        say_platform();
    struct launch_directory *directories = open_directories(options);
    struct launch_service *services = list_services(options);
    struct launch launch = {
        .name = options->module_path,
        .module_bytes = options->module_bytes,
        .module_size = options->module_size,
        .argument_count = options->arguments.count,
        .arguments = options->arguments.items,
        .environment_count = options->environment.count,
        .environment = options->environment.items,
        .directory_count = options->directory_count,
        .directories = directories,
        .memory_limit = options->memory_limit,
        .timeout_nanoseconds = options->timeout_nanoseconds,
        .clock_handle = !options->no_clock,
        .system_handle = options->system_handle,
        .service_count = options->service_count,
        .services = services,
    };
    struct launch_result result;
    linux_set_record_receiver(record_receive);
    statistics_log_ends(options->accounting);
    if (options->trace_bytes && trace_start(options->trace_bytes) != STATUS_OK)
        die("no memory for a trace");
    if (options->profile_hertz)
        profile_start(options->profile_hertz);
    launch_run(&launch, &result);
    if (options->profile_hertz)
        profile_stop();
    if (options->trace_bytes)
        trace_stop();
    if (result.outcome == LAUNCH_REFUSED)
        complain("%s: %s", options->module_path, result.message);
    for (uint32_t i = 0; i < options->directory_count; i++)
        vfs_release(directories[i].node);
    free(directories);
    free(services);
    return launch_exit_status(&result);
}
