/* Random calls with random arguments, most of them plausible: nothing may happen but what an errno says. Input is at
 * its end. The first argument is the seed, the second the number of calls. */
#include "tests/wasi/guests/check.h"

#include <stdlib.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))
uint32_t raw_path_open(uint32_t fd, uint32_t flags, const void *path, uint32_t length, uint32_t open_flags,
                       uint64_t rights, uint64_t inheriting, uint32_t fd_flags, void *result) IMPORT("path_open");
uint32_t raw_path_rename(uint32_t fd, const void *from, uint32_t from_length, uint32_t to_fd, const void *to,
                         uint32_t to_length) IMPORT("path_rename");
uint32_t raw_path_link(uint32_t fd, uint32_t flags, const void *from, uint32_t from_length, uint32_t to_fd,
                       const void *to, uint32_t to_length) IMPORT("path_link");
uint32_t raw_path_symlink(const void *target, uint32_t target_length, uint32_t fd, const void *path, uint32_t length)
    IMPORT("path_symlink");
uint32_t raw_path_unlink_file(uint32_t fd, const void *path, uint32_t length) IMPORT("path_unlink_file");
uint32_t raw_path_remove_directory(uint32_t fd, const void *path, uint32_t length) IMPORT("path_remove_directory");
uint32_t raw_path_create_directory(uint32_t fd, const void *path, uint32_t length) IMPORT("path_create_directory");
uint32_t raw_path_filestat_get(uint32_t fd, uint32_t flags, const void *path, uint32_t length, void *result)
    IMPORT("path_filestat_get");
uint32_t raw_path_readlink(uint32_t fd, const void *path, uint32_t length, void *buffer, uint32_t bytes, void *result)
    IMPORT("path_readlink");
uint32_t raw_poll_oneoff(const void *subscriptions, void *events, uint32_t count, void *result) IMPORT("poll_oneoff");

static uint64_t state;

static uint32_t below(uint32_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

/* Numbers of all sizes, the borders among them. */
static uint64_t number(void)
{
    static const uint64_t borders[] = {
        0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    switch (below(3)) {
    case 0:
        return borders[below(sizeof borders / sizeof *borders)];
    case 1:
        return below(100);
    default:
        return below(20000);
    }
}

/* Any descriptor but those that the summary goes through and the directory that everything is in. */
static uint32_t descriptor(void)
{
    return below(30) ? 3 + below(20) : (uint32_t)number();
}

static uint32_t expendable(void)
{
    return 5 + below(20);
}

static uint64_t area[1 << 13];
static uint64_t results[16];

static char names[2][5000];

static uint32_t path(char *name)
{
    static const char *const parts[] = {"a",    "b",    "c",    "..",       ".", "",  "/",
                                        "a\0b", "link", "loop", "\xff\xfe", "d", "a", "b"};
    uint32_t length = 0;
    if (below(50) == 0) {
        length = 4000 + below(1000);
        memset(name, below(2) ? 'n' : '/', length);
        return length;
    }
    for (uint32_t i = 0, count = 1 + below(4); i < count; i++) {
        const char *part = parts[below(sizeof parts / sizeof *parts)];
        size_t bytes = part[0] == 'a' && below(40) == 0 ? 3 : strlen(part);
        memcpy(name + length, part, bytes);
        length += (uint32_t)bytes;
        if (i + 1 < count)
            name[length++] = '/';
    }
    return length;
}

static void transfer(uint32_t which)
{
    __wasi_iovec_t iovs[4];
    uint32_t count = below(5);
    for (uint32_t i = 0; i < count; i++)
        iovs[i] = (__wasi_iovec_t){(uint8_t *)area + below(1000), below(20000)};
    const __wasi_ciovec_t *sources = (const __wasi_ciovec_t *)iovs;
    uint32_t fd = descriptor();
    if (fd <= 2)
        return;
    switch (which) {
    case 0:
        (void)!__wasi_fd_read(fd, iovs, count, (void *)results);
        break;
    case 1:
        (void)!__wasi_fd_write(fd, sources, count, (void *)results);
        break;
    case 2:
        (void)!__wasi_fd_pread(fd, iovs, count, number(), (void *)results);
        break;
    default:
        (void)!__wasi_fd_pwrite(fd, sources, count, below(10) ? below(100000) : number(), (void *)results);
        break;
    }
}

static void wait_for_some(void)
{
    __wasi_subscription_t wishes[4] = {0};
    uint32_t count = below(5);
    for (uint32_t i = 0; i < count; i++) {
        wishes[i].u.tag = (uint8_t)below(4);
        if (wishes[i].u.tag == 0) {
            wishes[i].u.u.clock.id = below(5);
            wishes[i].u.u.clock.timeout = number();
            wishes[i].u.u.clock.flags = (uint16_t)below(3);
        } else {
            wishes[i].u.u.fd_read.file_descriptor = below(2) ? 0 : descriptor();
        }
    }
    /* One that is due soon, whatever the others are. */
    if (count)
        wishes[0] = (__wasi_subscription_t){.u.tag = 0, .u.u.clock = {.id = 1, .timeout = below(1000)}};
    (void)!raw_poll_oneoff(wishes, area, count, results);
}

static void call_on_path(void)
{
    uint32_t a = path(names[0]), b = path(names[1]);
    switch (below(9)) {
    case 0:
        (void)!raw_path_rename(descriptor(), names[0], a, descriptor(), names[1], b);
        break;
    case 1:
        (void)!raw_path_link(descriptor(), below(3), names[0], a, descriptor(), names[1], b);
        break;
    case 2:
        (void)!raw_path_symlink(names[0], a, descriptor(), names[1], b);
        break;
    case 3:
        (void)!raw_path_unlink_file(descriptor(), names[0], a);
        break;
    case 4:
        (void)!raw_path_remove_directory(descriptor(), names[0], a);
        break;
    case 5:
        (void)!raw_path_create_directory(descriptor(), names[0], a);
        break;
    case 6:
        (void)!raw_path_filestat_get(descriptor(), below(2), names[0], a, results);
        break;
    case 7:
        (void)!raw_path_readlink(descriptor(), names[0], a, area, below(300), results);
        break;
    default:
        (void)!raw_path_open(descriptor(), below(2), names[0], a, below(17),
                             below(3) ? (UINT64_C(1) << 28) - 1 : number(), number(), below(4) ? 0 : below(40),
                             results);
        break;
    }
}

static void call(void)
{
    switch (below(16)) {
    case 0:
        (void)!__wasi_fd_close(expendable());
        break;
    case 1:
        (void)!__wasi_fd_renumber(expendable(), expendable());
        break;
    case 2:
        (void)!__wasi_fd_seek(descriptor(), (int64_t)number(), (uint8_t)below(4), (void *)results);
        break;
    case 3:
        (void)!__wasi_fd_readdir(descriptor(), (uint8_t *)area, below(2) ? below(100) : below(20000),
                                 below(2) ? 0 : number(), (void *)results);
        break;
    case 4:
        (void)!__wasi_fd_filestat_set_size(descriptor(), below(4) ? below(100000) : number());
        break;
    case 5:
        (void)!__wasi_fd_allocate(descriptor(), below(4) ? below(100000) : number(), number());
        break;
    case 6:
        (void)!__wasi_fd_filestat_set_times(descriptor(), number(), number(), (uint16_t)below(20));
        break;
    case 7:
        (void)!__wasi_fd_fdstat_set_flags(expendable(), (uint16_t)below(40));
        break;
    case 8:
        (void)!__wasi_fd_filestat_get(descriptor(), (void *)results);
        (void)!__wasi_fd_fdstat_get(descriptor(), (void *)results);
        break;
    case 9:
        wait_for_some();
        break;
    case 10:
    case 11:
    case 12:
        transfer(below(4));
        break;
    default:
        call_on_path();
        break;
    }
}

int main(int argc, char **argv)
{
    state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000;
    for (unsigned i = 0; i < calls; i++)
        call();
    CHECK(1);
    return summary();
}
