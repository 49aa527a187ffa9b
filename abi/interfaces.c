/* All that guests may import. */
#include "abi/tessera/interface.h"
#include "abi/wasi/interface.h"

const struct host_interface *const host_interfaces[] = {
    &wasi_preview1_interface, &wasi_unstable_interface,         &wasi_wasmedge_interface,
    &wasi_threads_interface,  &tessera_interface,       &tessera_handles_interface,
    (const struct host_interface *)0,
};
