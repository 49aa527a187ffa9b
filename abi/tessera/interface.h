/* The interface "tessera": what the system itself offers to programs that hold its handle. For guests: sdk/tessera.h.
 */
#ifndef ABI_TESSERA_INTERFACE_H
#define ABI_TESSERA_INTERFACE_H

#include "kernel/host.h"

extern const struct host_interface tessera_interface;
extern const struct host_interface tessera_handles_interface; /* abi/tessera/service.c */

#endif
