/* Arguments, environment, clocks, random numbers, stdio's attributes. Wants the arguments and variables that
 * tests/wasi/run gives: `process one "two words" "" ünï` with A=1 and EMPTY= and LONG=xxx… (1,000). */
#include "tests/wasi/guests/check.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void test_arguments(int argc, char **argv)
{
    __wasi_size_t count = 0, bytes = 0;
    static uint8_t *pointers[8];
    static uint8_t texts[64];
    CHECK_ERRNO(__wasi_args_sizes_get(&count, &bytes), OK);
    CHECK(count == 5 && argc == 5);
    CHECK(bytes == strlen(argv[0]) + 1 + 4 + 10 + 1 + 6);
    CHECK_ERRNO(__wasi_args_get(pointers, texts), OK);
    CHECK(pointers[0] == texts);
    CHECK(strcmp((char *)pointers[1], "one") == 0 && strcmp(argv[1], "one") == 0);
    CHECK(strcmp(argv[2], "two words") == 0);
    CHECK(strcmp(argv[3], "") == 0);
    CHECK(strcmp(argv[4], "\xc3\xbcn\xc3\xaf") == 0);
    CHECK(argv[5] == NULL);
}

static void test_environment(void)
{
    __wasi_size_t count = 0, bytes = 0;
    CHECK_ERRNO(__wasi_environ_sizes_get(&count, &bytes), OK);
    CHECK(count == 3);
    CHECK(bytes == 4 + 7 + 1006);
    CHECK(getenv("A") && strcmp(getenv("A"), "1") == 0);
    CHECK(getenv("EMPTY") && strcmp(getenv("EMPTY"), "") == 0);
    CHECK(getenv("LONG") && strlen(getenv("LONG")) == 1000);
    CHECK(getenv("HOME") == NULL);
}

static void test_clocks(void)
{
    __wasi_timestamp_t resolution = 0, first = 0, second = 0;
    for (__wasi_clockid_t clock = __WASI_CLOCKID_REALTIME; clock <= __WASI_CLOCKID_MONOTONIC; clock++) {
        CHECK_ERRNO(__wasi_clock_res_get(clock, &resolution), OK);
        CHECK(resolution > 0 && resolution <= 1000000);
        CHECK_ERRNO(__wasi_clock_time_get(clock, 1, &first), OK);
        CHECK_ERRNO(__wasi_clock_time_get(clock, 1, &second), OK);
        CHECK(second >= first && second - first < 1000000000);
    }
    CHECK_ERRNO(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &first), OK);
    CHECK(first > UINT64_C(1600000000) * 1000000000); /* later than 2020 */
    CHECK(time(NULL) - (time_t)(first / 1000000000) <= 1);
    CHECK_ERRNO(__wasi_clock_time_get(99, 1, &first), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_clock_res_get(99, &first), __WASI_ERRNO_INVAL);
}

static void test_random(void)
{
    static uint8_t a[100000], b[sizeof a];
    unsigned ones = 0;
    CHECK_ERRNO(__wasi_random_get(a, sizeof a), OK);
    CHECK_ERRNO(__wasi_random_get(b, sizeof b), OK);
    CHECK(memcmp(a, b, sizeof a) != 0);
    for (size_t i = 0; i < sizeof a; i++)
        ones += (unsigned)__builtin_popcount(a[i]);
    CHECK(ones > 395000 && ones < 405000);
    CHECK_ERRNO(__wasi_random_get(a, 0), OK);
}

static void test_streams(void)
{
    __wasi_fdstat_t stat;
    __wasi_filestat_t filestat;
    __wasi_filesize_t offset;
    __wasi_prestat_t prestat;
    for (__wasi_fd_t fd = 0; fd < 3; fd++) {
        CHECK_ERRNO(__wasi_fd_fdstat_get(fd, &stat), OK);
        CHECK(stat.fs_filetype != __WASI_FILETYPE_DIRECTORY);
        CHECK(stat.fs_rights_base & (fd == 0 ? __WASI_RIGHTS_FD_READ : __WASI_RIGHTS_FD_WRITE));
        CHECK(!isatty((int)fd)); /* the runner gives it pipes */
        CHECK_ERRNO(__wasi_fd_filestat_get(fd, &filestat), OK);
        CHECK_ERRNO(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &offset), __WASI_ERRNO_SPIPE);
        CHECK_ERRNO(__wasi_fd_tell(fd, &offset), __WASI_ERRNO_SPIPE);
        CHECK_ERRNO(__wasi_fd_prestat_get(fd, &prestat), __WASI_ERRNO_BADF);
    }
    CHECK(read(1, &stat, 1) == -1 && errno == EBADF);
    CHECK(write(0, &stat, 1) == -1 && errno == EBADF);
    CHECK(write(99, &stat, 1) == -1 && errno == EBADF);
    CHECK_ERRNO(__wasi_fd_fdstat_get(UINT32_MAX, &stat), __WASI_ERRNO_BADF);
    CHECK(write(1, "", 0) == 0);
}

int main(int argc, char **argv)
{
    test_arguments(argc, argv);
    test_environment();
    test_clocks();
    test_random();
    test_streams();
    CHECK(sched_yield() == 0);
    return summary();
}
