#include "engine/base.h"
#include "engine/format.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/launch_job.h"
#include "kernel/port.h"
#include "kernel/service.h"
#include "kernel/thread.h"

/* What a service has left to end by itself when the program reached its time limit. */
#define GRACE_NANOSECONDS UINT64_C(1000000000)

struct launched_service {
    struct compiled_module *module;
    struct object *client; /* a client end of its port, */
    struct grant *keeper;  /* which counts as one until the service is stopped */
    struct thread *thread; /* NULL: it was not started */
    struct launch launch;
    struct launch_job job;
    struct launch_result result;
    const char *arguments[1];
};

static bool refuse(struct launch_result *result, const char *name, const char *reason)
{
    result->outcome = LAUNCH_REFUSED;
    format_text(result->message, sizeof(result->message), "its service %.100s: %s", name, reason);
    return false;
}

static bool compile(struct launched_service *service, struct launch_result *result)
{
    struct engine_error error;
    const struct launch *launch = &service->launch;
    enum status status =
        compiled_module_create(launch->module_bytes, launch->module_size, launch->name, &service->module, &error);
    return status == STATUS_OK || refuse(result, launch->name, error.message[0] ? error.message : status_text(status));
}

/* A port whose only handle is the job's, and a client end. */
static enum status make_port(struct launched_service *service)
{
    struct object *port;
    enum status status = port_create(NULL, &port);
    if (status != STATUS_OK) {
        return status;
    }
    status = port_client_create(port, 0, NULL, &service->client);
    if (status == STATUS_OK) {
        status = grant_create(service->client, RIGHTS_ALL, &service->keeper);
    }
    if (status == STATUS_OK) {
        port_set_module(port, service->module); /* so clients are checked even before it serves */
        status = grant_create(port, RIGHTS_ALL, &service->job.port);
    }
    object_release(port);
    return status;
}

/* The time limit of a service: the program's comes first. */
static uint64_t later(uint64_t timeout)
{
    return timeout ? timeout + min_u64(GRACE_NANOSECONDS, UINT64_MAX - timeout) : 0;
}

static bool start(const struct launch *launch, struct launched_service *services, uint32_t index,
                  struct launch_result *result)
{
    struct launched_service *service = &services[index];
    const struct launch_service *described = &launch->services[index];
    service->arguments[0] = described->name;
    service->result = (struct launch_result){.outcome = LAUNCH_EXITED};
    service->launch = (struct launch){
        .name = described->name,
        .module_bytes = described->module_bytes,
        .module_size = described->module_size,
        .argument_count = 1,
        .arguments = service->arguments,
        .memory_limit = launch->memory_limit,
        .timeout_nanoseconds = later(launch->timeout_nanoseconds),
    };
    if (!compile(service, result)) {
        return false;
    }
    service->job = (struct launch_job){
        .launch = &service->launch,
        .result = &service->result,
        .module = service->module,
        .services = services,
        .service_count = index,
    };
    enum status status = make_port(service);
    if (status == STATUS_OK) {
        status = thread_start(launch_job_run, &service->job, &service->thread);
    }
    return status == STATUS_OK || refuse(result, described->name, status_text(status));
}

bool launch_services_start(const struct launch *launch, struct launched_service **services,
                           struct launch_result *result)
{
    *services = kernel_allocate_zeroed(launch->service_count * sizeof(**services));
    if (!*services) {
        return refuse(result, launch->name, status_text(STATUS_NO_MEMORY));
    }
    for (uint32_t i = 0; i < launch->service_count; i++) {
        if (!start(launch, *services, i, result)) {
            return false;
        }
    }
    return true;
}

static void stop(struct launched_service *service)
{
    char line[sizeof(service->result.message) + 128];
    if (service->keeper) {
        grant_drop(service->keeper);
    }
    if (service->thread) {
        thread_join(service->thread);
    } else if (service->job.port) {
        grant_drop(service->job.port);
    }
    if (service->result.outcome == LAUNCH_REFUSED) {
        size_t length = format_text(line, sizeof(line), "%.100s: %s\n", service->launch.name, service->result.message);
        platform_log(line, min_u64(length, sizeof(line) - 1));
    }
    if (service->client) {
        object_release(service->client);
    }
    if (service->module) {
        compiled_module_release(service->module);
    }
}

void launch_services_stop(const struct launch *launch, struct launched_service *services)
{
    for (uint32_t i = launch->service_count; services && i-- > 0;) {
        stop(&services[i]);
    }
    kernel_free(services, launch->service_count * sizeof(*services));
}

enum status launch_services_give(const struct launched_service *services, uint32_t count, struct process *process)
{
    for (uint32_t i = 0; i < count; i++) {
        struct grant *grant;
        uint32_t handle;
        enum status status = grant_create(services[i].client, RIGHTS_ALL, &grant);
        if (status != STATUS_OK) {
            return status;
        }
        status = handle_insert(&process->handles, grant, &handle);
        if (status != STATUS_OK) {
            grant_drop(grant);
            return status;
        }
        status = service_bind_exports(process, services[i].module, handle);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status give_binding(const struct launch_binding *binding, struct process *process)
{
    uint32_t handle;
    enum status status = handle_insert(&process->handles, binding->grant, &handle);
    if (status != STATUS_OK) {
        grant_drop(binding->grant);
        return status;
    }
    return service_bind(process, (struct name){binding->interface, binding->interface_length}, handle);
}

enum status launch_bindings_give(const struct launch_binding *bindings, uint32_t count, struct process *process)
{
    enum status first = STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        enum status status = give_binding(&bindings[i], process);
        first = first == STATUS_OK ? status : first;
    }
    return first;
}
