/* All that a module may import (contract: kernel/host.h). */
#include "abi/wasi/interface.h"
#include "kernel/host.h"

#include <stddef.h>

const struct host_interface *const host_interfaces[] = {
    &wasi_preview1_interface,
    &wasi_unstable_interface,
    NULL,
};
