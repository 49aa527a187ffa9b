/* The interface "tessera" for guests: what the system offers to a program that was given its handle.
 *
 * All functions return a number that is not negative when they worked, and otherwise the negative of a TESSERA_E*.
 * Pointers must lie in the caller's memory: a range outside of it ends the program. */
#ifndef TESSERA_H
#define TESSERA_H

#include <stdint.h>

#ifdef __wasm__
#define TESSERA_IMPORT(function_name) __attribute__((import_module("tessera"), import_name(#function_name)))
#else /* the kernel reads the structures and numbers */
#define TESSERA_IMPORT(function_name)
#endif

/* The handle to the system, in programs that have one (others get -TESSERA_EHANDLE). */
#define TESSERA_SYSTEM 1u

enum {
    TESSERA_EHANDLE = 1,   /* no such handle, or it does not have the right */
    TESSERA_EINVALID = 2,  /* arguments make no sense */
    TESSERA_ENOTFOUND = 3, /* no such file */
    TESSERA_ENOMEMORY = 4,
    TESSERA_EIO = 5, /* the file cannot be read */
};

struct tessera_system_information {
    uint64_t memory_bytes;       /* of the machine; on Linux, what the process may use */
    uint64_t memory_used_bytes;  /* committed by the kernel, for itself and for all programs */
    uint64_t uptime_nanoseconds; /* since the kernel started */
    uint32_t heap_blocks;        /* objects of the kernel */
    uint32_t reserved;
    char kernel_version[16]; /* texts are terminated */
    char platform[16];       /* "pc", "microvm", "linux" */
    char cpu_name[64];
    char cpu_features[96]; /* that compiled code uses, separated by spaces */
};

/* Write the first `bytes` bytes of the information to `buffer`; returns how many were written. A structure of a later
 * version is longer and begins with the same members. */
TESSERA_IMPORT(system_information)
int32_t tessera_system_information(uint32_t handle, struct tessera_system_information *buffer, uint32_t bytes);

/* Run a program to its end and return its exit status: 0 to 255 by convention, 134 after a trap (the report goes to the
 * error stream), 126 when it is no program that can be started. It shares this program's standard streams.
 *
 * `description` is `bytes` bytes of fields, each "key=value" ended by a NUL byte:
 *     module=PATH        the .wasm file, by a path in one of the caller's own directories; required
 *     argument=TEXT      one for each, argv[0] first
 *     environment=K=V    one for each
 *     directory=NAME     hand on the caller's own directory of exactly this name
 *     memory=BYTES       limit of linear memory, decimal
 *     timeout=NANOSECONDS  time limit, decimal */
TESSERA_IMPORT(process_run)
int32_t tessera_process_run(uint32_t handle, const char *description, uint32_t bytes);

#endif
