/* Starting one program the way a shell would: the front door for `tessera run`, the boot path and the tour. */
#ifndef KERNEL_LAUNCH_H
#define KERNEL_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

struct grant;
struct vfs_node;

/* A directory that the program may use, under the name it sees (a WASI preopen). */
struct launch_directory {
    const char *guest_path;
    struct vfs_node *node; /* reference taken by launch_run for as long as it needs it */
};

/* A program that is started before another one and offers it the interfaces that it exports (kernel/service.h). */
struct launch_service {
    const char *name; /* for messages, and its argv[0] */
    const uint8_t *module_bytes;
    size_t module_size;
};

/* An interface that the program may use, and a handle to a client end of a port for it. */
struct launch_binding {
    const char *interface;
    uint32_t interface_length;
    struct grant *grant; /* the launch's: it goes to the program, or is dropped */
};

struct launch {
    const char *name; /* for messages */
    const uint8_t *module_bytes;
    size_t module_size;
    uint32_t argument_count;
    const char *const *arguments; /* argv[0] included */
    uint32_t environment_count;
    const char *const *environment; /* "KEY=VALUE" */
    uint32_t directory_count;
    const struct launch_directory *directories;
    bool keep_module;             /* compiled once for all who start it; else `module_bytes` stay valid until the end */
    uint64_t memory_limit;        /* bytes of linear memories and large tables in all; 0: none but the module's own */
    uint64_t timeout_nanoseconds; /* wall time; 0: none */
    bool clock_handle;            /* gets a handle to the clock: time finer than 1 ms */
    bool system_handle;           /* gets a handle to the system object: information and starting programs (the tour) */
    bool without_streams;         /* the machine's standard streams are not given: channels, or nothing */
    uint32_t service_count; /* in the order in which they are started: each may use those before it */
    const struct launch_service *services;
    uint32_t binding_count;
    const struct launch_binding *bindings;
};

enum launch_outcome { LAUNCH_EXITED, LAUNCH_TRAPPED, LAUNCH_REFUSED };
struct launch_result {
    enum launch_outcome outcome;
    uint32_t exit_status; /* LAUNCH_EXITED */
    unsigned trap;        /* LAUNCH_TRAPPED: enum trap; the report with backtrace went to platform_log */
    char message[512];    /* LAUNCH_REFUSED: why the module was not started */
};

/* Services first: each runs on a thread of its own, with the same memory limit, a second more of time, the same standard
 * streams, its name as only argument, no directories, and the port of its interfaces as handle HANDLE_KNOWN_PORT. When the
 * program has ended nobody has a client end of it any more, which ends `port_serve`, and it has to end, too. A service
 * that ends early is only gone.
 *
 * Load, instantiate and run to the end: the start function, then the export `_start` or else `_initialize`. A module
 * with none of the three is refused. Everything is freed on return. The conventional exit status for a result is
 * launch_exit_status: the program's own; 134 for a trap (as after abort), 124 for the time limit, 130 for an
 * interrupt, 137 after a kill, 126 for a module that was refused. */
void launch_run(const struct launch *launch, struct launch_result *result);
int launch_exit_status(const struct launch_result *result);
/* The same for its parts. */
int launch_conventional_status(enum launch_outcome outcome, uint32_t exit_status, unsigned trap);

#endif
