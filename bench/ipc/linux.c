#include "bench/ipc/linux.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 4096

static void require(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        exit(1);
    }
}

static void read_all(int descriptor, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(descriptor, bytes + done, size - done);
        require(got > 0, "read");
        done += (size_t)got;
    }
}

static void null_host_call(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        syscall(SYS_getppid);
}

static void checked_host_call(uint32_t count)
{
    static int event = -1;
    uint64_t one = 1, sum;
    if (event < 0)
        event = eventfd(0, EFD_NONBLOCK);
    for (uint32_t i = 0; i < count; i++)
        require(write(event, &one, sizeof one) == sizeof one, "write");
    require(read(event, &sum, sizeof sum) == sizeof sum, "read");
}

/* A request of `size` bytes to another process, and an answer of one. */
static void pipe_round_trips(uint32_t count, size_t size)
{
    int request[2], answer[2];
    uint8_t bytes[BYTES] = {0};
    require(pipe(request) == 0 && pipe(answer) == 0, "pipe");
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        for (uint32_t i = 0; i < count; i++) {
            read_all(request[0], bytes, size);
            require(write(answer[1], bytes, 1) == 1, "write");
        }
        _exit(0);
    }
    for (uint32_t i = 0; i < count; i++) {
        require(write(request[1], bytes, size) == (ssize_t)size, "write");
        read_all(answer[0], bytes, 1);
    }
    waitpid(child, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(request[i]);
        close(answer[i]);
    }
}

static void call_0_bytes(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void call_4096_bytes(uint32_t count)
{
    pipe_round_trips(count, BYTES);
}

static void futex_wait_for(uint32_t *word, uint32_t turn)
{
    uint32_t seen;
    while ((seen = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != turn)
        syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void futex_give(uint32_t *word, uint32_t turn)
{
    __atomic_store_n(word, turn, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void event_exchange(uint32_t count)
{
    uint32_t *word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(word != MAP_FAILED, "mmap");
    pid_t child = fork();
    require(child >= 0, "fork");
    for (uint32_t i = 0; i < count; i++) {
        futex_wait_for(word, child == 0 ? 1 : 0);
        futex_give(word, child == 0 ? 0 : 1);
    }
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    munmap(word, sizeof *word);
}

static void run_on_one_cpu(void)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    require(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
}

void linux_measure_all(uint32_t scale, uint32_t chosen, uint64_t ticks[MEASURE_COUNT])
{
    static void (*const functions[])(uint32_t count) = {
#define MEASURE_FUNCTION(name, rival) name,
        MEASURES(MEASURE_FUNCTION)
#undef MEASURE_FUNCTION
    };
    cpu_set_t before;
    require(sched_getaffinity(0, sizeof before, &before) == 0, "sched_getaffinity");
    run_on_one_cpu();
    for (uint32_t n = 0; n < MEASURE_COUNT; n++) {
        uint64_t rounds[MEASURE_ROUNDS] = {0};
        for (uint32_t i = 0; i < MEASURE_ROUNDS && chosen >> n & 1; i++) {
            uint64_t start = measure_ticks();
            functions[n](scale);
            rounds[i] = (measure_ticks() - start) / scale;
        }
        ticks[n] = measure_median(rounds);
    }
    sched_setaffinity(0, sizeof before, &before);
}
