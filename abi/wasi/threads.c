/* The interface `wasi` of wasi-threads: one function. */
#include "abi/wasi/interface.h"
#include "engine/base.h"
#include "kernel/process.h"

/* The number of the new thread; negative when there is none. */
static uint32_t thread_spawn(struct instance *instance, uint32_t start_argument)
{
    uint32_t number;
    return process_spawn(instance, start_argument, NULL, &number) == STATUS_OK ? number : (uint32_t)-1;
}

static const struct host_function functions[] = {
    {"thread-spawn", "i:i", (void (*)(void))thread_spawn},
};

const struct host_interface wasi_threads_interface = {
    .module = "wasi",
    .functions = functions,
    .count = ARRAY_COUNT(functions),
};
