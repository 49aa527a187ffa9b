/* How fast the engine compiles: decode, validate and compile a module on this thread, several times.
 *
 *     compile_speed RUNS FILE.wasm
 *
 * Prints one line per run, "decode_seconds S compile_seconds S" of processor time, and at the end "code_bytes N
 * text_bytes N peak_kib N": bytes of function bodies, of native code, and the peak of the process, module and code
 * included. Linked with the engine as any embedder would be; the kernel takes no part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/compile.h"
#include "kernel/platform.h"

static void *allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void release(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(memory);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

_Noreturn static void fail(const char *what, const char *why)
{
    fprintf(stderr, "compile_speed: %s: %s\n", what, why);
    exit(1);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail(path, "cannot be opened");
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (bytes == NULL || fread(bytes, 1, *size, file) != *size)
        fail(path, "cannot be read");
    fclose(file);
    return bytes;
}

/* Not from getrusage, whose peak begins with that of whoever started us. */
static unsigned long peak_kib(void)
{
    char line[128];
    unsigned long peak = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && peak == 0 && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            peak = strtoul(line + 6, NULL, 10);
    if (status != NULL)
        fclose(status);
    return peak;
}

/* One run; the text is released, its size returned. */
static size_t run(const uint8_t *bytes, size_t size, uint64_t *code_bytes)
{
    static const struct engine_allocator allocator = {NULL, allocate, release, NULL};
    struct engine_error error = {0};
    struct module *module;
    struct code *code;
    double start = seconds();
    if (module_decode(bytes, size, &allocator, &module, &error) != ENGINE_OK)
        fail("decode", error.message);
    double decoded = seconds();
    struct compile_options options = {.cpu_features = platform_cpu_features(),
                                      .text_capacity = text_reserve_bytes(module)};
    options.text =
        mmap(NULL, options.text_capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (options.text == MAP_FAILED)
        fail("text", "no address space");
    if (code_compile(module, &options, &allocator, &code, &error) != ENGINE_OK)
        fail("compile", error.message);
    double compiled = seconds();
    printf("decode_seconds %.6f compile_seconds %.6f\n", decoded - start, compiled - decoded);
    size_t text_size = code->text_size;
    *code_bytes = module->code_bytes;
    code_release(code);
    munmap(options.text, options.text_capacity);
    module_release(module);
    return text_size;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage", "compile_speed RUNS FILE.wasm");
    size_t size, text_size = 0;
    uint64_t code_bytes = 0;
    uint8_t *bytes = read_file(argv[2], &size);
    for (long runs = strtol(argv[1], NULL, 10); runs > 0; runs--)
        text_size = run(bytes, size, &code_bytes);
    printf("code_bytes %llu text_bytes %zu peak_kib %lu\n", (unsigned long long)code_bytes, text_size, peak_kib());
    free(bytes);
    return 0;
}
