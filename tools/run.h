/* What `tessera run` was asked for, and the two platforms that can do it. */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapped_directory {
    const char *host;
    const char *guest;
};

struct service_file {
    const char *path;
    const char *name; /* its last component */
    const uint8_t *bytes;
    size_t size;
};

struct text_list {
    const char **items;
    uint32_t count;
};

enum run_platform { RUN_VM, RUN_LINUX };
enum run_machine { MACHINE_MICROVM, MACHINE_PC };
enum run_accelerator { ACCELERATOR_AUTOMATIC, ACCELERATOR_KVM, ACCELERATOR_TCG };

struct run_options {
    enum run_platform platform;
    enum run_machine machine;
    enum run_accelerator accelerator;
    uint32_t cpus;      /* 0: not said */
    const char *kernel; /* NULL: beside the command */
    const char *qemu;   /* further options, separated by spaces; NULL: none */
    bool verbose;
    bool no_clock;      /* it does not get a handle to the clock */
    bool system_handle; /* the program gets a handle to the system */
    struct mapped_directory *directories;
    uint32_t directory_count;
    struct text_list environment; /* "KEY=VALUE" */
    struct service_file *services; /* started before the program */
    uint32_t service_count;
    const char *argument_zero;    /* NULL: the module's file name */
    uint64_t memory_limit;        /* bytes; 0: none */
    uint64_t timeout_nanoseconds; /* 0: none */
    const char *profile_path;     /* NULL: no profile */
    uint32_t profile_hertz;       /* 0: not asked for */
    bool accounting;              /* say at each process's end what it used */
    const char *trace_path;       /* NULL: no trace */
    uint64_t trace_bytes;         /* of each ring; 0: not asked for */
    const char *module_path;
    const uint8_t *module_bytes;
    size_t module_size;
    struct text_list arguments; /* argv[0] included */
};

/* Run to the end; the exit status of the command. */
int run_on_linux(const struct run_options *options);
int run_in_vm(const struct run_options *options);

#endif
