/* One call with a range outside of memory, chosen by the first argument; without one, the names of all calls. The name
 * is what the report says. The program must be ended in the call, so what follows it is never printed. */
#include "tests/wasi/guests/check.h"

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

uint32_t raw_path_open(uint32_t fd, uint32_t flags, uint32_t path, uint32_t length, uint32_t open_flags,
                       uint64_t rights, uint64_t inheriting, uint32_t fd_flags, uint32_t result) IMPORT("path_open");
uint32_t raw_path_rename(uint32_t fd, uint32_t from, uint32_t from_length, uint32_t to_fd, uint32_t to,
                         uint32_t to_length) IMPORT("path_rename");
uint32_t raw_path_symlink(uint32_t target, uint32_t target_length, uint32_t fd, uint32_t path, uint32_t length)
    IMPORT("path_symlink");
uint32_t raw_path_readlink(uint32_t fd, uint32_t path, uint32_t length, uint32_t buffer, uint32_t bytes,
                           uint32_t result) IMPORT("path_readlink");
uint32_t raw_fd_write(uint32_t fd, uint32_t iovs, uint32_t count, uint32_t result) IMPORT("fd_write");
uint32_t old_poll_oneoff(const void *subscriptions, void *events, uint32_t count, uint32_t *result)
    __attribute__((import_module("wasi_unstable"), import_name("poll_oneoff")));

#define FAR ((void *)0xffffff00u) /* beyond any memory that this program has */

static uint64_t area[512];
#define AREA ((uint32_t)area)
#define INTO ((void *)area)
/* The last `bytes` bytes of memory, of which a structure of that size and one more does not fit. */
#define LAST(bytes) ((void *)(__builtin_wasm_memory_size(0) * 65536 - (bytes)))

static const __wasi_iovec_t good_then_bad[2] = {{(uint8_t *)area, 8}, {(uint8_t *)0xfffffff0u, 8}};

#define CALLS(X)                                                                                                       \
    X("args_get: argv", __wasi_args_get(FAR, INTO))                                                                    \
    X("args_get: argv_buf", __wasi_args_get(INTO, FAR))                                                                \
    X("args_sizes_get: count", __wasi_args_sizes_get(FAR, INTO))                                                       \
    X("environ_sizes_get: size", __wasi_environ_sizes_get(INTO, FAR))                                                  \
    X("clock_time_get: result", __wasi_clock_time_get(0, 0, LAST(7)))                                                  \
    X("clock_res_get: result", __wasi_clock_res_get(99, FAR))                                                          \
    X("random_get: buffer", __wasi_random_get(INTO, 0xffffff00u))                                                      \
    X("fd_write: iovs", __wasi_fd_write(1, FAR, 1, INTO))                                                              \
    X("fd_write: iovs", raw_fd_write(1, AREA, 0x20000001, AREA))                                                       \
    X("fd_write: buffer", raw_fd_write(1, (uint32_t)good_then_bad, 2, AREA))                                           \
    X("fd_write: result", __wasi_fd_write(1, INTO, 0, LAST(3)))                                                        \
    X("fd_read: buffer", __wasi_fd_read(0, good_then_bad, 2, INTO))                                                    \
    X("fd_pread: iovs", __wasi_fd_pread(3, LAST(7), 1, 0, INTO))                                                       \
    X("fd_pwrite: result", __wasi_fd_pwrite(99, INTO, 0, 0, FAR))                                                      \
    X("fd_fdstat_get: result", __wasi_fd_fdstat_get(1, LAST(23)))                                                      \
    X("fd_filestat_get: result", __wasi_fd_filestat_get(1, LAST(63)))                                                  \
    X("fd_seek: result", __wasi_fd_seek(1, 0, 0, FAR))                                                                 \
    X("fd_tell: result", __wasi_fd_tell(1, FAR))                                                                       \
    X("fd_prestat_get: result", __wasi_fd_prestat_get(3, LAST(7)))                                                     \
    X("fd_prestat_dir_name: path", __wasi_fd_prestat_dir_name(3, FAR, 5))                                              \
    X("fd_readdir: buffer", __wasi_fd_readdir(3, INTO, 0xffffff00u, 0, INTO))                                          \
    X("fd_readdir: result", __wasi_fd_readdir(3, INTO, 8, 0, FAR))                                                     \
    X("path_open: path", raw_path_open(3, 0, (uint32_t)LAST(1), 2, 0, 0, 0, 0, AREA))                                  \
    X("path_open: result", __wasi_path_open(3, 0, "x", 0, 0, 0, 0, FAR))                                               \
    X("path_filestat_get: result", __wasi_path_filestat_get(3, 0, ".", LAST(63)))                                      \
    X("path_rename: new path", raw_path_rename(3, AREA, 1, 3, 0xffffff00u, 1))                                         \
    X("path_symlink: target", raw_path_symlink(0xffffff00u, 0x200, 3, AREA, 1))                                        \
    X("path_readlink: buffer", raw_path_readlink(3, AREA, 1, 0xffffff00u, 1, AREA))                                    \
    X("poll_oneoff: subscriptions", __wasi_poll_oneoff(LAST(47), INTO, 1, INTO))                                       \
    X("poll_oneoff: subscriptions", old_poll_oneoff(LAST(55), INTO, 1, INTO))                                          \
    X("poll_oneoff: events", __wasi_poll_oneoff(INTO, FAR, 1, INTO))                                                   \
    X("poll_oneoff: result", __wasi_poll_oneoff(INTO, INTO, 1, FAR))                                                   \
    X("sock_recv: result", __wasi_sock_recv(1, INTO, 1, 0, FAR, INTO))

int main(int argc, char **argv)
{
    int number = 0, wanted = -1;
    if (argc == 2)
        sscanf(argv[1], "%d", &wanted);
#define CALL(name, call)                                                                                               \
    if (wanted < 0)                                                                                                    \
        puts(name);                                                                                                    \
    if (number++ == wanted)                                                                                            \
        printf("came back with %d\n", call);
    CALLS(CALL)
    return 0;
}
