/* What launch.c and launch_service.c share: one program, on the thread that runs it. */
#ifndef KERNEL_LAUNCH_JOB_H
#define KERNEL_LAUNCH_JOB_H

#include "kernel/launch.h"

struct compiled_module;
struct grant;
struct process;
struct program;
struct thread;

/* A service of a launch, while it may run. */
struct launched_service;

struct launch_job {
    const struct launch *launch;
    struct launch_result *result;
    struct compiled_module *module;          /* NULL: to be made from launch->module_bytes */
    struct grant *port;                      /* for HANDLE_KNOWN_PORT, the job's; NULL: none */
    const struct launched_service *services; /* whose interfaces it may use */
    uint32_t service_count;
    const struct launch_binding *bindings; /* whose grants are the job's */
    uint32_t binding_count;
    struct program *program; /* that it is the life of; NULL: none */
    bool foreground; /* what the user sees */
};

/* Run it to the end: entry of its thread. */
void launch_job_run(void *job);

/* ---- launch_service.c ---- */
/* Start the services of a launch; they must be stopped, also after a failure, which `result` describes. */
bool launch_services_start(const struct launch *launch, struct launched_service **services,
                           struct launch_result *result);
/* Wait for the end of all `count`. */
void launch_services_stop(const struct launch *launch, struct launched_service *services);
/* Give the handles of the bindings to a process, as many as can be, and drop the others. */
enum status launch_bindings_give(const struct launch_binding *bindings, uint32_t count, struct process *process);
/* Client ends of the services for a process, bound to the interfaces that each exports. */
enum status launch_services_give(const struct launched_service *services, uint32_t count, struct process *process);

#endif
