/* Main program around a module that wasm2c translated (named "bench"): its imports and its start. */
#include "module.h"
#include "wasi.h"

#include <stdio.h>

struct Z_wasi_snapshot_preview1_instance_t {
    wasm_rt_memory_t *memory;
};

#define WASI(result, name, parameters, ...)                                                                            \
    result Z_wasi_snapshot_preview1Z_##name parameters;                                                                \
    result Z_wasi_snapshot_preview1Z_##name parameters                                                                 \
    {                                                                                                                  \
        return __VA_ARGS__;                                                                                            \
    }
#define HOST   struct Z_wasi_snapshot_preview1_instance_t *host
#define MEMORY host->memory->data

WASI(u32, args_get, (HOST, u32 list, u32 text), wasi_args_get(MEMORY, list, text))
WASI(u32, args_sizes_get, (HOST, u32 count, u32 size), wasi_args_sizes_get(MEMORY, count, size))
WASI(u32, environ_get, (HOST, u32 list, u32 text), ((void)host, (void)list, (void)text, WASI_OK))
WASI(u32, environ_sizes_get, (HOST, u32 count, u32 size), wasi_environ_sizes_get(MEMORY, count, size))
WASI(u32, clock_time_get, (HOST, u32 clock, u64 precision, u32 result),
     wasi_clock_time_get(MEMORY, clock, precision, result))
WASI(u32, fd_fdstat_get, (HOST, u32 descriptor, u32 result), wasi_fd_fdstat_get(MEMORY, descriptor, result))
WASI(u32, fd_write, (HOST, u32 descriptor, u32 list, u32 count, u32 written),
     wasi_fd_write(MEMORY, descriptor, list, count, written))
#define REFUSED(name, signature, ...)                                                                                  \
    u32 Z_wasi_snapshot_preview1Z_##name(HOST, __VA_ARGS__);                                                           \
    u32 Z_wasi_snapshot_preview1Z_##name(HOST, __VA_ARGS__)                                                            \
    {                                                                                                                  \
        (void)host;                                                                                                    \
        return WASI_BAD_DESCRIPTOR;                                                                                    \
    }
WASI_REFUSED(REFUSED)
WASI(void, proc_exit, (HOST, u32 status), ((void)host, exit((int)status)))

int main(int argc, char **argv)
{
    static Z_bench_instance_t instance;
    static struct Z_wasi_snapshot_preview1_instance_t host;
    wasi_argument_count = argc;
    wasi_arguments = argv;
    wasm_rt_init();
    Z_bench_init_module();
    host.memory = &instance.w2c_memory;
    Z_bench_instantiate(&instance, &host);
    Z_benchZ__start(&instance);
    return 0;
}
