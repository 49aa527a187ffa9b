/* Threads that are in host calls all the time: what they share there (descriptors, files, memory that grows, the
 * threads themselves) is used, closed and made again by all of them at once. Prints "ok"; with the argument "trap" one
 * of them traps in the middle of it, with "exit" one ends the program with 7. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

#define THREADS 6
#define ROUNDS  300

static int shared[16]; /* descriptors that anybody may close */
static long failed;
static _Thread_local long failed_call; /* as may be */
static const char *how = "";

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            __atomic_fetch_add(&failed, 1, __ATOMIC_SEQ_CST);                                                          \
        }                                                                                                              \
    } while (0)

static unsigned next(unsigned *random)
{
    *random = *random * 1664525 + 1013904223;
    return *random >> 16;
}

static int make_file(const char *name)
{
    int fd = -1;
    __wasi_errno_t error = __wasi_path_open(3, 0, name, __WASI_OFLAGS_CREAT, ~0ull >> 35, ~0ull >> 35, 0, &fd);
    return error == 0 ? fd : -1;
}

/* A file of its own: what was written is what is read. */
static void own_file(int number, unsigned *random)
{
    char name[32], text[64], back[64] = {0};
    size_t done;
    sprintf(name, "own-%d", number);
    int fd = make_file(name);
    CHECK(fd >= 0);
    memset(text, 'a' + (int)(next(random) % 26), sizeof text);
    __wasi_ciovec_t out[2] = {{(uint8_t *)text, 20}, {(uint8_t *)text + 20, 44}};
    __wasi_iovec_t in = {(uint8_t *)back, 64};
    CHECK(__wasi_fd_pwrite(fd, out, 2, 4096 * (next(random) % 4), &done) == 0 && done == 64);
    CHECK(__wasi_fd_pwrite(fd, out, 2, 0, &done) == 0 && done == 64);
    CHECK(__wasi_fd_pread(fd, &in, 1, 0, &done) == 0 && done == 64 && memcmp(text, back, 64) == 0);
    CHECK(__wasi_fd_close(fd) == 0);
    CHECK(__wasi_path_unlink_file(3, name) == 0);
}

/* Descriptors that others close meanwhile: any error is right. Each is given out once, so that nobody's own is hit. */
static void shared_file(unsigned *random)
{
    unsigned slot = next(random) % 16;
    char text[300];
    size_t done;
    __wasi_filestat_t stat;
    memset(text, 'x', sizeof text);
    __wasi_ciovec_t out = {(uint8_t *)text, sizeof text};
    int fd = __atomic_load_n(&shared[slot], __ATOMIC_SEQ_CST);
    if (fd < 0) {
        char name[32];
        sprintf(name, "shared-%u", slot);
        fd = make_file(name);
        fd = __atomic_exchange_n(&shared[slot], fd, __ATOMIC_SEQ_CST);
    } else if (next(random) % 4 == 0) {
        fd = __atomic_exchange_n(&shared[slot], -1, __ATOMIC_SEQ_CST);
    } else {
        failed_call += __wasi_fd_filestat_get(fd, &stat) != 0;
        return;
    }
    if (fd >= 0) {
        failed_call += __wasi_fd_write(fd, &out, 1, &done) != 0;
        CHECK(__wasi_fd_close(fd) == 0);
    }
}

static void listing(void)
{
    uint8_t buffer[512];
    size_t used;
    CHECK(__wasi_fd_readdir(3, buffer, sizeof buffer, 0, &used) == 0);
}

static void *nothing(void *argument)
{
    return argument;
}

static void *work(void *argument)
{
    int number = (int)(long)argument;
    unsigned random = (unsigned)number * 7919 + 1;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t now, before;
        char bytes[40];
        CHECK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before) == 0);
        own_file(number, &random);
        shared_file(&random);
        if (round % 8 == 0)
            listing();
        CHECK(__wasi_random_get((uint8_t *)bytes, sizeof bytes) == 0);
        if (round % 50 == number) { /* grows */
            char *block = malloc(200000);
            memset(block, number, 200000);
            CHECK(block[100000] == number);
        }
        if (round % 40 == number) {
            pthread_t thread;
            void *result;
            CHECK(pthread_create(&thread, NULL, nothing, argument) == 0);
            CHECK(pthread_join(thread, &result) == 0 && result == argument);
        }
        if (round % 16 == 0)
            usleep(50);
        CHECK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &now) == 0);
        CHECK(now >= before);
        if (number == 3 && round == ROUNDS / 2 && strcmp(how, "trap") == 0)
            __builtin_trap();
        if (number == 3 && round == ROUNDS / 2 && strcmp(how, "exit") == 0)
            _Exit(7);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    how = argc > 1 ? argv[1] : "";
    for (int i = 0; i < 16; i++)
        shared[i] = -1;
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
            return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (failed == 0)
        puts("ok");
    return failed != 0;
}
