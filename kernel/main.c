/* Start of the portable kernel: finds out what is to be run, runs it, powers off. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/launch_description.h"
#include "kernel/object.h"
#include "kernel/profile.h"
#include "kernel/ramfs.h"
#include "kernel/signature.h"
#include "kernel/statistics.h"
#include "kernel/system.h"
#include "kernel/trace.h"
#include "kernel/vfs.h"

#define STATUS_NOTHING_TO_RUN 125
#define LINE_BYTES            640
#define PATH_BYTES            64
/* A guest directory's copy in memory may take this part of the machine's memory. */
#define DIRECTORY_MEMORY_PART 2

static void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void log_line(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_list(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    length = min_u64(length, sizeof(line) - 2);
    line[length] = '\n';
    platform_log(line, length + 1);
}

/* How many objects there are of each type that has any. */
static void log_objects(const char *when)
{
    char list[LINE_BYTES - 64] = "";
    size_t length = 0;
    for (uint32_t type = OBJECT_ANY + 1; type < OBJECT_TYPE_COUNT; type++) {
        if (object_count(type)) {
            length += format_text(list + length, sizeof(list) - length, "%s%s %llu", length ? ", " : "",
                                  object_types[type].name, (unsigned long long)object_count(type));
            length = min_u64(length, sizeof(list) - 1);
        }
    }
    log_line("objects %s: %s", when, length ? list : "none");
}

static void log_statistics(const char *when)
{
    struct platform_memory memory;
    struct heap_statistics heap;
    system_trim();
    platform_memory_statistics(&memory);
    kernel_heap_statistics(&heap);
    log_line("memory %s: %llu frames, %llu heap blocks, %llu heap bytes, %u signatures", when,
             (unsigned long long)memory.frames_used, (unsigned long long)heap.blocks, (unsigned long long)heap.bytes,
             signature_count());
    log_objects(when);
}

static void log_result(const char *name, const struct launch_result *result)
{
    switch (result->outcome) {
    case LAUNCH_EXITED:
        log_line("launch %s: exit status %u", name, result->exit_status);
        break;
    case LAUNCH_TRAPPED:
        log_line("launch %s: %s", name, trap_text(result->trap));
        break;
    case LAUNCH_REFUSED:
        log_line("launch %s: refused: %s", name, result->message);
        break;
    }
}

/* ---- Directories of one run: writable copies on top of the archive's ---- */

static enum status open_directory(struct archive *archive, const struct launch_description_directory *description,
                                  uint32_t index, struct vfs_node **result)
{
    char numbered[PATH_BYTES];
    const char *source = description->source;
    struct vfs_node *lower = NULL;
    struct platform_memory memory;
    if (!source) {
        format_text(numbered, sizeof(numbered), "%s/%u", LAUNCH_DIRECTORIES_PATH, index);
        source = numbered;
    }
    if (*source) {
        enum status status = archive_directory_node(archive, source, &lower);
        if (status != STATUS_OK) {
            return status;
        }
    }
    platform_memory_statistics(&memory);
    enum status status = ramfs_create(lower, memory.frames_total / DIRECTORY_MEMORY_PART * PLATFORM_PAGE_BYTES, result);
    vfs_release(lower);
    return status;
}

static void close_directories(struct launch_directory *directories, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        vfs_release(directories[i].node);
    }
}

/* False when one is not there; `directories` has then nothing to be closed. */
static bool open_directories(struct archive *archive, const struct launch_description *description,
                             struct launch_directory *directories)
{
    for (uint32_t i = 0; i < description->directory_count; i++) {
        const struct launch_description_directory *wanted = &description->directories[i];
        directories[i].guest_path = wanted->guest_path;
        enum status status = open_directory(archive, wanted, i, &directories[i].node);
        if (status != STATUS_OK) {
            log_line("%s: the directory for %s: %s", description->name, wanted->guest_path, status_text(status));
            close_directories(directories, i);
            return false;
        }
    }
    return true;
}

/* ---- Services of one run ---- */

static size_t services_bytes(const struct launch_description *description)
{
    return max_u64(description->service_count, 1) * sizeof(struct launch_service);
}

/* NULL when one is not there. */
static struct launch_service *open_services(struct archive *archive, const struct launch_description *description)
{
    struct launch_service *services = kernel_allocate(services_bytes(description));
    for (uint32_t i = 0; services && i < description->service_count; i++) {
        struct launch_service *service = &services[i];
        const char *path = description->services[i];
        service->name = launch_last_component(path);
        enum status status = archive_find(archive, path, &service->module_bytes, &service->module_size);
        if (status != STATUS_OK) {
            log_line("%s: its service %s: %s", description->name, path, status_text(status));
            kernel_free(services, services_bytes(description));
            return NULL;
        }
    }
    return services;
}

/* ---- Running ---- */

static int run_once(struct archive *archive, const struct launch_description *description, const uint8_t *module,
                    size_t module_size, struct launch_directory *directories)
{
    if (!open_directories(archive, description, directories)) {
        return STATUS_NOTHING_TO_RUN;
    }
    struct launch launch = {
        .name = description->name,
        .module_bytes = module,
        .module_size = module_size,
        .argument_count = description->argument_count,
        .arguments = description->arguments,
        .environment_count = description->environment_count,
        .environment = description->environment,
        .directory_count = description->directory_count,
        .directories = directories,
        .memory_limit = description->memory_limit,
        .timeout_nanoseconds = description->timeout_nanoseconds,
        .clock_handle = description->clock_handle,
        .system_handle = description->system_handle,
    };
    struct launch_service *services = open_services(archive, description);
    if (!services) {
        close_directories(directories, description->directory_count);
        return STATUS_NOTHING_TO_RUN;
    }
    launch.service_count = description->service_count;
    launch.services = services;
    struct launch_result result;
    if (description->statistics) {
        log_statistics("before");
    }
    launch_run(&launch, &result);
    if (description->report) {
        log_result(description->name, &result);
    } else if (result.outcome == LAUNCH_REFUSED) {
        log_line("tessera: %s: %s", description->name, result.message);
    }
    if (description->statistics) {
        log_statistics("after");
    }
    kernel_free(services, services_bytes(description));
    close_directories(directories, description->directory_count);
    return launch_exit_status(&result);
}

/* ---- What is to be told about the runs ---- */

static void watch_begin(const struct launch_description *description)
{
    statistics_log_ends(description->accounting);
    if (description->trace_bytes && trace_start(description->trace_bytes) != STATUS_OK) {
        log_line("%s: no trace: its size is no power of two, or there is no memory for it", description->name);
    }
    if (description->profile_hertz) {
        profile_start(description->profile_hertz);
    }
}

static void watch_end(const struct launch_description *description)
{
    if (description->profile_hertz) {
        profile_stop();
    }
    if (trace_enabled) {
        trace_stop();
    }
}

/* All runs of one description; the status of the first that failed, else 0. */
static int run_description(struct archive *archive, const struct launch_description *description)
{
    if (description->interface_count) {
        log_line("%s: an interface is given by a program", description->name);
        return STATUS_NOTHING_TO_RUN;
    }
    const uint8_t *module;
    size_t module_size;
    enum status found = archive_find(archive, description->module, &module, &module_size);
    if (found != STATUS_OK) {
        log_line("%s: %s in the boot archive: %s", description->name, description->module, status_text(found));
        return STATUS_NOTHING_TO_RUN;
    }
    size_t bytes = description->directory_count * sizeof(struct launch_directory);
    struct launch_directory *directories = kernel_allocate(bytes);
    if (!directories) {
        log_line("%s: out of memory", description->name);
        return STATUS_NOTHING_TO_RUN;
    }
    int first = 0;
    watch_begin(description);
    for (uint64_t i = 0; i < description->repeat; i++) {
        int status = run_once(archive, description, module, module_size, directories);
        first = first ? first : status;
    }
    watch_end(description);
    kernel_free(directories, bytes);
    return first;
}

static int run_bytes(struct archive *archive, const char *path, const uint8_t *bytes, size_t size)
{
    struct launch_description description;
    const char *message;
    enum status status = launch_description_parse(bytes, size, &description, &message);
    if (status != STATUS_OK) {
        log_line("%s: %s: %s", path, status_text(status), message ? message : "");
        return STATUS_NOTHING_TO_RUN;
    }
    int result = run_description(archive, &description);
    launch_description_release(&description);
    return result;
}

static int run_archive(struct archive *archive)
{
    char path[PATH_BYTES] = LAUNCH_DESCRIPTION_PATH;
    const uint8_t *bytes;
    size_t size;
    int first = 0;
    uint32_t count = 0;
    for (; archive_find(archive, path, &bytes, &size) == STATUS_OK; count++) {
        system_trim(); /* so each one finds a heap that depends on what lives in it, not on what was there */
        int status = run_bytes(archive, path, bytes, size);
        first = first ? first : status;
        format_text(path, sizeof(path), "%s.%u", LAUNCH_DESCRIPTION_PATH, count + 1);
    }
    if (!count) {
        log_line("nothing to run: the boot archive has no %s", path);
        return STATUS_NOTHING_TO_RUN;
    }
    return first;
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    struct archive *archive;
    size_t offset = 0;
    cpu_initialize();
    system_set_platform_name(boot->platform_name);
    if (!boot->archive) {
        log_line("nothing to run: there is no boot archive");
        platform_power_off(STATUS_NOTHING_TO_RUN);
    }
    enum status status = archive_create(boot->archive, boot->archive_bytes, &archive, &offset);
    if (status != STATUS_OK) {
        log_line("boot archive, offset %zu: %s", offset, status_text(status));
        platform_power_off(STATUS_NOTHING_TO_RUN);
    }
    int result = run_archive(archive);
    archive_release(archive);
    platform_power_off(result);
}
