/* Host functions: what guests may import, one table per interface (abi/).
 *
 * An interface is a list of rows; each row names the import, its signature and the C function behind it. A host
 * function takes the calling instance first and then the wasm parameters as C scalars (uint32_t, uint64_t, float,
 * double), and returns nothing or one scalar. It runs on the kernel stack. It is written in two halves: decode checks
 * every argument, invoke acts and cannot fail half-way. To end the caller it calls instance_trap or process_exit. */
#ifndef KERNEL_HOST_H
#define KERNEL_HOST_H

#include <stdint.h>

struct instance;

struct host_function {
    const char *name;
    const char *signature; /* parameters ":" results, letters i I f F; for example "iiii:i" */
    void (*function)(void);
};

struct host_interface {
    const char *module; /* import module name, for example "wasi_snapshot_preview1" */
    const struct host_function *functions;
    uint32_t count;
};

/* All interfaces, ended by NULL; defined in abi/interfaces.c. */
extern const struct host_interface *const host_interfaces[];

#endif
