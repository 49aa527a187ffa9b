/* The WASI functions that the benchmark programs import, for the rivals that are embedded in C: arguments, clock,
 * stdout.
 *
 * Each takes the linear memory first. Addresses are not checked against its size: the programs are ours. */
#ifndef BENCH_RIVALS_WASI_H
#define BENCH_RIVALS_WASI_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WASI_OK = 0, WASI_BAD_DESCRIPTOR = 8, WASI_INVALID = 28 };

/* Functions that need a file and so are refused: X(name, wasm3's signature, types of the parameters). */
#define WASI_REFUSED(X)                                                                                                \
    X(fd_close, "i(i)", uint32_t)                                                                                      \
    X(fd_seek, "i(iIii)", uint32_t, uint64_t, uint32_t, uint32_t)                                                      \
    X(fd_read, "i(iiii)", uint32_t, uint32_t, uint32_t, uint32_t)                                                      \
    X(fd_renumber, "i(ii)", uint32_t, uint32_t)                                                                        \
    X(fd_fdstat_set_flags, "i(ii)", uint32_t, uint32_t)                                                                \
    X(fd_prestat_get, "i(ii)", uint32_t, uint32_t)                                                                     \
    X(fd_prestat_dir_name, "i(iii)", uint32_t, uint32_t, uint32_t)                                                     \
    X(path_open, "i(iiiiiIIii)", uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint64_t, uint32_t,       \
      uint32_t)

static int wasi_argument_count;
static char **wasi_arguments;

static inline uint32_t wasi_word(const uint8_t *memory, uint32_t address)
{
    uint32_t word;
    memcpy(&word, memory + address, sizeof word);
    return word;
}

static inline void wasi_store_word(uint8_t *memory, uint32_t address, uint32_t word)
{
    memcpy(memory + address, &word, sizeof word);
}

static inline uint32_t wasi_args_sizes_get(uint8_t *memory, uint32_t count, uint32_t size)
{
    uint32_t bytes = 0;
    for (int i = 0; i < wasi_argument_count; i++)
        bytes += (uint32_t)strlen(wasi_arguments[i]) + 1;
    wasi_store_word(memory, count, (uint32_t)wasi_argument_count);
    wasi_store_word(memory, size, bytes);
    return WASI_OK;
}

static inline uint32_t wasi_args_get(uint8_t *memory, uint32_t list, uint32_t text)
{
    for (int i = 0; i < wasi_argument_count; i++) {
        uint32_t length = (uint32_t)strlen(wasi_arguments[i]) + 1;
        wasi_store_word(memory, list + 4 * (uint32_t)i, text);
        memcpy(memory + text, wasi_arguments[i], length);
        text += length;
    }
    return WASI_OK;
}

static inline uint32_t wasi_environ_sizes_get(uint8_t *memory, uint32_t count, uint32_t size)
{
    wasi_store_word(memory, count, 0);
    wasi_store_word(memory, size, 0);
    return WASI_OK;
}

static inline uint32_t wasi_clock_time_get(uint8_t *memory, uint32_t clock, uint64_t precision, uint32_t result)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID};
    struct timespec now;
    (void)precision;
    if (clock >= sizeof clocks / sizeof *clocks || clock_gettime(clocks[clock], &now) != 0)
        return WASI_INVALID;
    uint64_t nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    memcpy(memory + result, &nanoseconds, sizeof nanoseconds);
    return WASI_OK;
}

static inline uint32_t wasi_fd_write(uint8_t *memory, uint32_t descriptor, uint32_t list, uint32_t count,
                                     uint32_t written)
{
    uint32_t total = 0;
    if (descriptor != STDOUT_FILENO && descriptor != STDERR_FILENO)
        return WASI_BAD_DESCRIPTOR;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t address = wasi_word(memory, list + 8 * i), length = wasi_word(memory, list + 8 * i + 4);
        if (write((int)descriptor, memory + address, length) != (ssize_t)length)
            return WASI_INVALID;
        total += length;
    }
    wasi_store_word(memory, written, total);
    return WASI_OK;
}

static inline uint32_t wasi_fd_fdstat_get(uint8_t *memory, uint32_t descriptor, uint32_t result)
{
    if (descriptor > STDERR_FILENO)
        return WASI_BAD_DESCRIPTOR;
    memset(memory + result, 0, 24);
    memory[result] = 2; /* character device */
    memset(memory + result + 8, 0xff, 8);
    return WASI_OK;
}

#endif
