#include "bench/ipc/linux.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

static void call_0_bytes_deadlines(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void service_call_numbers(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void service_call_text(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void service_call_text_4096(uint32_t count)
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

static int second_cpu; /* another than CPU 0, if this process may use it */

static void run_on(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    require(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
}

static void socket_round_trips(uint32_t count, int cpu)
{
    int sockets[2];
    uint8_t bytes[4] = {0};
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        run_on(cpu);
        for (uint32_t i = 0; i < count; i++) {
            read_all(sockets[1], bytes, sizeof bytes);
            require(write(sockets[1], bytes, sizeof bytes) == sizeof bytes, "write");
        }
        _exit(0);
    }
    for (uint32_t i = 0; i < count; i++) {
        require(write(sockets[0], bytes, sizeof bytes) == sizeof bytes, "write");
        read_all(sockets[0], bytes, sizeof bytes);
    }
    waitpid(child, NULL, 0);
    close(sockets[0]);
    close(sockets[1]);
}

static void channel_exchange(uint32_t count)
{
    socket_round_trips(count, 0);
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void thread_create_exit(uint32_t count)
{
    pthread_t thread;
    for (uint32_t i = 0; i < count; i++) {
        require(pthread_create(&thread, NULL, do_nothing, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
}

static uint8_t data[1 << 20] = {1, [sizeof(data) - 1] = 2};

static void instantiate_1_mb(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pid_t child = fork();
        require(child >= 0, "fork");
        if (child == 0)
            _exit(data[0] != 1 || data[sizeof(data) - 1] != 2);
        waitpid(child, NULL, 0);
    }
}

/* Of this program, which with this argument ends at once: main.c. */
static void process_create_exit(uint32_t count)
{
    char *arguments[] = {"bench-ipc", LINUX_EXIT_ARGUMENT, NULL};
    for (uint32_t i = 0; i < count; i++) {
        pid_t child = vfork();
        require(child >= 0, "vfork");
        if (child == 0) {
            execv("/proc/self/exe", arguments);
            _exit(127);
        }
        int status;
        waitpid(child, &status, 0);
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "execv");
    }
}

static void call_0_bytes_two_cpus_started(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void call_0_bytes_deadlines_two_cpus_started(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void service_call_numbers_two_cpus_started(uint32_t count)
{
    pipe_round_trips(count, 1);
}

static void channel_exchange_two_cpus(uint32_t count)
{
    socket_round_trips(count, second_cpu);
}

uint64_t linux_measure(enum measure_number number, uint32_t scale)
{
    static void (*const functions[])(uint32_t count) = {
#define MEASURE_FUNCTION(name, rival) name,
        MEASURES(MEASURE_FUNCTION)
#undef MEASURE_FUNCTION
    };
    bool making = number >= MEASURE_thread_create_exit && number <= MEASURE_process_create_exit;
    uint32_t count = making ? scale / MEASURE_MAKING : scale;
    uint64_t rounds[MEASURE_ROUNDS];
    cpu_set_t before;
    require(sched_getaffinity(0, sizeof before, &before) == 0, "sched_getaffinity");
    second_cpu = CPU_ISSET(1, &before) ? 1 : 0; /* musl counts the CPUs that the caller may use: behind run_on it is 1 */
    run_on(0);
    for (uint32_t i = 0; i < MEASURE_ROUNDS; i++) {
        uint64_t start = measure_ticks();
        functions[number](count);
        rounds[i] = (measure_ticks() - start) / count;
    }
    sched_setaffinity(0, sizeof before, &before);
    return measure_median(rounds);
}
