/* Where wasi_unstable differs: numbers of whence, layout of filestat and of subscriptions. Imports nothing else from
 * it; the C library below stands on preview 1, and both see the same descriptors. */
#include "tests/wasi/guests/check.h"

#include <fcntl.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("wasi_unstable"), import_name(name)))

uint32_t old_fd_seek(uint32_t fd, int64_t offset, uint32_t whence, uint64_t *result) IMPORT("fd_seek");
uint32_t old_fd_filestat_get(uint32_t fd, void *result) IMPORT("fd_filestat_get");
uint32_t old_path_filestat_get(uint32_t fd, uint32_t flags, const char *path, uint32_t length, void *result)
    IMPORT("path_filestat_get");
uint32_t old_poll_oneoff(const void *subscriptions, void *events, uint32_t count, uint32_t *result)
    IMPORT("poll_oneoff");
uint32_t old_fd_tell(uint32_t fd, uint64_t *result) IMPORT("fd_tell");
uint32_t old_clock_time_get(uint32_t clock, uint64_t precision, uint64_t *result) IMPORT("clock_time_get");

struct old_filestat {
    uint64_t device, inode;
    uint8_t filetype;
    uint32_t links;
    uint64_t size, access_time, modify_time, change_time;
};
_Static_assert(sizeof(struct old_filestat) == 56, "layout");

struct old_subscription {
    uint64_t user_data;
    uint8_t type;
    union {
        struct {
            uint64_t identifier;
            uint32_t id;
            uint64_t timeout, precision;
            uint16_t flags;
        } clock;
        uint32_t descriptor;
    };
};
_Static_assert(sizeof(struct old_subscription) == 56, "layout");

static void test_files(void)
{
    enum { CUR, END, SET };
    struct {
        struct old_filestat stat;
        uint64_t behind;
    } result = {.behind = UINT64_C(0x1122334455667788)};
    uint64_t offset = 99;
    int fd = open("/work/old", O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
    CHECK_ERRNO(old_fd_seek((uint32_t)fd, 4, SET, &offset), OK);
    CHECK(offset == 4);
    CHECK_ERRNO(old_fd_seek((uint32_t)fd, 1, CUR, &offset), OK);
    CHECK(offset == 5);
    CHECK_ERRNO(old_fd_seek((uint32_t)fd, -1, END, &offset), OK);
    CHECK(offset == 9);
    CHECK_ERRNO(old_fd_seek((uint32_t)fd, 0, 3, &offset), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(old_fd_tell((uint32_t)fd, &offset), OK);
    CHECK(offset == 9 && lseek(fd, 0, SEEK_CUR) == 9);
    CHECK_ERRNO(old_fd_filestat_get((uint32_t)fd, &result.stat), OK);
    CHECK(result.stat.size == 10 && result.stat.links == 1);
    CHECK(result.stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    CHECK(result.stat.modify_time > UINT64_C(1600000000) * 1000000000);
    CHECK(result.behind == UINT64_C(0x1122334455667788));
    CHECK_ERRNO(old_path_filestat_get(3, 0, "old", 3, &result.stat), OK);
    CHECK(result.stat.size == 10 && result.stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    CHECK_ERRNO(old_path_filestat_get(3, 0, "none", 4, &result.stat), __WASI_ERRNO_NOENT);
    CHECK(close(fd) == 0 && unlink("/work/old") == 0);
}

static void test_poll(void)
{
    struct old_subscription s[2] = {{.user_data = 1}, {.user_data = 2}};
    __wasi_event_t events[2];
    uint32_t count = 0;
    uint64_t start = 0, end = 0;
    s[0].clock.id = __WASI_CLOCKID_MONOTONIC;
    s[0].clock.timeout = 60000000000;
    s[1].clock.id = __WASI_CLOCKID_MONOTONIC;
    s[1].clock.timeout = 30000000;
    CHECK_ERRNO(old_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &start), OK);
    CHECK_ERRNO(old_poll_oneoff(s, events, 2, &count), OK);
    CHECK_ERRNO(old_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &end), OK);
    CHECK(count == 1 && events[0].userdata == 2 && events[0].type == __WASI_EVENTTYPE_CLOCK);
    CHECK(end - start >= 29000000 && end - start < 2000000000);
    s[0].clock.timeout = end + 30000000;
    s[0].clock.flags = 1;
    CHECK_ERRNO(old_poll_oneoff(s, events, 1, &count), OK);
    CHECK_ERRNO(old_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &start), OK);
    CHECK(count == 1 && events[0].userdata == 1 && start - end >= 29000000);
    s[1] = (struct old_subscription){.user_data = 3, .type = __WASI_EVENTTYPE_FD_WRITE, .descriptor = 1};
    CHECK_ERRNO(old_poll_oneoff(&s[1], events, 1, &count), OK);
    CHECK(count == 1 && events[0].userdata == 3 && events[0].type == __WASI_EVENTTYPE_FD_WRITE);
}

int main(void)
{
    test_files();
    test_poll();
    return summary();
}
