/* The WASI interfaces, for abi/interfaces.c. What they do and what not: docs/wasi.md. */
#ifndef ABI_WASI_INTERFACE_H
#define ABI_WASI_INTERFACE_H

#include "kernel/host.h"

extern const struct host_interface wasi_preview1_interface; /* wasi_snapshot_preview1 */
extern const struct host_interface wasi_unstable_interface;
extern const struct host_interface wasi_wasmedge_interface; /* wasi_snapshot_preview1, sockets as WasmEdge has them */
extern const struct host_interface wasi_threads_interface;  /* wasi: thread-spawn */

#endif
