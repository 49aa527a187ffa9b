/* Runs a WASI command with the wasm3 interpreter: wasm3 FILE.wasm [ARGUMENT...] */
#include "wasi.h"
#include "wasm3.h"

#include <stdio.h>

static void *address_of(void *memory)
{
    return memory;
}

/* Arguments are taken in order from wasm3's stack, behind the result. */
#define HOST_FUNCTION(name, ...)                                                                                       \
    static m3ApiRawFunction(host_##name)                                                                               \
    {                                                                                                                  \
        (void)runtime, (void)_ctx;                                                                                     \
        uint8_t *memory = address_of(_mem);                                                                            \
        (void)memory;                                                                                                  \
        m3ApiReturnType(uint32_t) const uint64_t *a = _sp;                                                             \
        (void)a;                                                                                                       \
        m3ApiReturn(__VA_ARGS__)                                                                                       \
    }
#define U32(n) ((uint32_t)a[n])

#define HOST_FUNCTIONS(X)                                                                                              \
    X(args_get, "i(ii)", wasi_args_get(memory, U32(0), U32(1)))                                                        \
    X(args_sizes_get, "i(ii)", wasi_args_sizes_get(memory, U32(0), U32(1)))                                            \
    X(environ_get, "i(ii)", WASI_OK)                                                                                   \
    X(environ_sizes_get, "i(ii)", wasi_environ_sizes_get(memory, U32(0), U32(1)))                                      \
    X(clock_time_get, "i(iIi)", wasi_clock_time_get(memory, U32(0), a[1], U32(2)))                                     \
    X(fd_fdstat_get, "i(ii)", wasi_fd_fdstat_get(memory, U32(0), U32(1)))                                              \
    X(fd_write, "i(iiii)", wasi_fd_write(memory, U32(0), U32(1), U32(2), U32(3)))

#define DEFINE(name, signature, ...) HOST_FUNCTION(name, __VA_ARGS__)
HOST_FUNCTIONS(DEFINE)
HOST_FUNCTION(refused, WASI_BAD_DESCRIPTOR)

static m3ApiRawFunction(host_proc_exit)
{
    (void)runtime, (void)_ctx, (void)_mem;
    exit((int)*_sp);
}

static void check(M3Result result, const char *what)
{
    if (result == m3Err_none)
        return;
    fprintf(stderr, "wasm3: %s: %s\n", what, result);
    exit(2);
}

static void link_function(IM3Module module, const char *name, const char *signature, M3RawCall function)
{
    M3Result result = m3_LinkRawFunction(module, "wasi_snapshot_preview1", name, signature, function);
    if (result != m3Err_functionLookupFailed)
        check(result, name);
}

static uint8_t *read_file(const char *path, uint32_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        check("cannot open", path);
    *size = (uint32_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (bytes == NULL || fread(bytes, 1, *size, file) != *size)
        check("cannot read", path);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        check("usage: wasm3 FILE.wasm [ARGUMENT...]", "no file");
    wasi_argument_count = argc - 1;
    wasi_arguments = argv + 1;
    uint32_t size;
    uint8_t *bytes = read_file(argv[1], &size);
    IM3Environment environment = m3_NewEnvironment();
    IM3Runtime runtime = m3_NewRuntime(environment, 1 << 20, NULL);
    IM3Module module;
    check(m3_ParseModule(environment, &module, bytes, size), "parse");
    check(m3_LoadModule(runtime, module), "load");
#define LINK(name, signature, ...) link_function(module, #name, signature, host_##name);
    HOST_FUNCTIONS(LINK)
#define LINK_REFUSED(name, signature, ...) link_function(module, #name, signature, host_refused);
    WASI_REFUSED(LINK_REFUSED)
    link_function(module, "proc_exit", "v(i)", host_proc_exit);
    IM3Function start;
    check(m3_FindFunction(&start, runtime, "_start"), "_start");
    check(m3_CallV(start), "run");
    return 0;
}
