/* Arguments, environment, clocks, random numbers, and the end of the process. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/launch.h"
#include "kernel/process.h"
#include "kernel/statistics.h"
#include "kernel/thread.h"

#define CHUNK_BYTES (UINT32_C(1) << 20) /* between two checkpoints */

/* ---- Lists of texts ---- */

struct texts {
    uint32_t count;
    const char *const *texts;
};

static struct texts arguments(struct instance *instance)
{
    const struct launch *launch = process_launch(instance_process(instance));
    return launch ? (struct texts){launch->argument_count, launch->arguments} : (struct texts){0};
}

static struct texts environment(struct instance *instance)
{
    const struct launch *launch = process_launch(instance_process(instance));
    return launch ? (struct texts){launch->environment_count, launch->environment} : (struct texts){0};
}

static uint64_t texts_bytes(struct texts texts)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < texts.count; i++)
        bytes += strlen(texts.texts[i]) + 1;
    return bytes;
}

static uint32_t get_sizes(struct texts texts, void *count, void *bytes)
{
    uint64_t total = texts_bytes(texts);
    if (total > UINT32_MAX)
        return WASI_EOVERFLOW;
    uint32_t total32 = (uint32_t)total;
    memcpy(count, &texts.count, sizeof texts.count);
    memcpy(bytes, &total32, sizeof total32);
    return WASI_SUCCESS;
}

/* `address` is the guest's of `buffer`. */
static uint32_t get_texts(struct texts texts, uint8_t *pointers, uint8_t *buffer, uint32_t address)
{
    uint32_t position = 0;
    for (uint32_t i = 0; i < texts.count; i++) {
        uint32_t pointer = address + position, bytes = (uint32_t)strlen(texts.texts[i]) + 1;
        memcpy(pointers + i * sizeof pointer, &pointer, sizeof pointer);
        memcpy(buffer + position, texts.texts[i], bytes);
        position += bytes;
    }
    return WASI_SUCCESS;
}

uint32_t wasi_args_sizes_get(struct instance *instance, uint32_t count, uint32_t bytes)
{
    void *count_memory = instance_memory_required(instance, count, 4, "args_sizes_get: count");
    void *bytes_memory = instance_memory_required(instance, bytes, 4, "args_sizes_get: size");
    return get_sizes(arguments(instance), count_memory, bytes_memory);
}

uint32_t wasi_args_get(struct instance *instance, uint32_t pointers, uint32_t texts)
{
    struct texts list = arguments(instance);
    void *pointer_memory = instance_memory_required(instance, pointers, list.count * UINT64_C(4), "args_get: argv");
    void *text_memory = instance_memory_required(instance, texts, texts_bytes(list), "args_get: argv_buf");
    return get_texts(list, pointer_memory, text_memory, texts);
}

uint32_t wasi_environ_sizes_get(struct instance *instance, uint32_t count, uint32_t bytes)
{
    void *count_memory = instance_memory_required(instance, count, 4, "environ_sizes_get: count");
    void *bytes_memory = instance_memory_required(instance, bytes, 4, "environ_sizes_get: size");
    return get_sizes(environment(instance), count_memory, bytes_memory);
}

uint32_t wasi_environ_get(struct instance *instance, uint32_t pointers, uint32_t texts)
{
    struct texts list = environment(instance);
    void *pointer_memory =
        instance_memory_required(instance, pointers, list.count * UINT64_C(4), "environ_get: environ");
    void *text_memory = instance_memory_required(instance, texts, texts_bytes(list), "environ_get: environ_buf");
    return get_texts(list, pointer_memory, text_memory, texts);
}

/* ---- Clocks ---- */

/* It never goes back, though what a thread on another CPU ran may be known less exactly at first. */
static uint64_t process_cpu_time(struct instance *instance)
{
    struct wasi *wasi = wasi_of(instance);
    struct process_statistics statistics;
    process_statistics_read(wasi->process, &statistics);
    wasi->cpu_time = max_u64(wasi->cpu_time, statistics.cpu_time);
    return wasi->cpu_time;
}

enum wasi_errno wasi_clock_now(struct instance *instance, uint32_t clock, uint64_t *result)
{
    uint64_t now;
    switch (clock) {
    case WASI_CLOCK_REALTIME:
        now = platform_realtime_nanoseconds();
        break;
    case WASI_CLOCK_MONOTONIC:
        now = platform_monotonic_nanoseconds();
        break;
    case WASI_CLOCK_PROCESS:
        now = process_cpu_time(instance);
        break;
    case WASI_CLOCK_THREAD:
        now = thread_run_time(thread_current());
        break;
    default:
        return WASI_EINVAL;
    }
    *result = process_visible_time(instance_process(instance), now);
    return WASI_SUCCESS;
}

uint32_t wasi_clock_res_get(struct instance *instance, uint32_t clock, uint32_t result)
{
    uint64_t resolution = process_time_step(instance_process(instance));
    void *memory = instance_memory_required(instance, result, sizeof resolution, "clock_res_get: result");
    if (clock > WASI_CLOCK_THREAD)
        return WASI_EINVAL;
    memcpy(memory, &resolution, sizeof resolution);
    return WASI_SUCCESS;
}

uint32_t wasi_clock_time_get(struct instance *instance, uint32_t clock, uint64_t precision, uint32_t result)
{
    (void)precision;
    uint64_t now;
    void *memory = instance_memory_required(instance, result, sizeof now, "clock_time_get: result");
    enum wasi_errno error = wasi_clock_now(instance, clock, &now);
    if (error == WASI_SUCCESS)
        memcpy(memory, &now, sizeof now);
    return error;
}

/* ---- The rest ---- */

uint32_t wasi_random_get(struct instance *instance, uint32_t buffer, uint32_t bytes)
{
    uint8_t *memory = instance_memory_required(instance, buffer, bytes, "random_get: buffer");
    while (bytes) {
        uint32_t part = (uint32_t)min_u64(bytes, CHUNK_BYTES);
        platform_random(memory, part);
        memory += part;
        bytes -= part;
        if (bytes)
            thread_checkpoint();
    }
    return WASI_SUCCESS;
}

void wasi_proc_exit(struct instance *instance, uint32_t status)
{
    process_exit(instance, status);
}

/* The default action of a signal, as the specification's list gives it; numbers as on Linux. */
uint32_t wasi_proc_raise(struct instance *instance, uint32_t signal)
{
    enum { NONE = 0, PIPE = 13, CHILD = 16, CONTINUE = 17, STOP = 18, TERMINAL_OUTPUT = 21, URGENT = 22, WINDOW = 27 };
    enum { COUNT = 31, EXIT_STATUS_BASE = 128 };
    if (signal >= COUNT)
        return WASI_EINVAL;
    if (signal >= STOP && signal <= TERMINAL_OUTPUT)
        return WASI_ENOTSUP;
    if (signal == NONE || signal == PIPE || signal == CHILD || signal == CONTINUE || signal == URGENT ||
        signal == WINDOW)
        return WASI_SUCCESS;
    process_exit(instance, EXIT_STATUS_BASE + signal);
}

uint32_t wasi_sched_yield(struct instance *instance)
{
    (void)instance;
    thread_yield();
    return WASI_SUCCESS;
}
