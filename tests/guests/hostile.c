/* Guests that end badly: hostile.wasm CASE. Each case is a function of its own, which the backtrace must name. No
 * stdio: it is compiled a thousand times. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <wasi/api.h>

#define CASE __attribute__((noinline, optnone)) static void

static void say(const char *text)
{
    (void)!write(STDOUT_FILENO, text, strlen(text));
}

static volatile int zero = 0, one = 1, minimum = INT_MIN;
static volatile uint32_t far = 0xffffffff;
static volatile double huge = 1e30, not_a_number = __builtin_nan("");
static volatile int sink;

CASE divide(void)
{
    sink = one / zero;
}

CASE remainder_of_zero(void)
{
    sink = one % zero;
}

CASE overflow(void)
{
    sink = minimum / -one;
}

CASE convert(void)
{
    sink = (int)(one ? __builtin_wasm_trunc_s_i32_f64(huge) : 0);
}

CASE convert_nan(void)
{
    sink = (int)(one ? __builtin_wasm_trunc_s_i32_f64(not_a_number) : 0);
}

CASE read_far(void)
{
    sink = *(volatile int *)(uintptr_t)far;
}

CASE write_far(void)
{
    *(volatile int *)(uintptr_t)far = 1;
}

CASE unreachable(void)
{
    __builtin_unreachable();
}

CASE trap(void)
{
    __builtin_trap();
}

CASE recurse(void)
{
    if (one)
        recurse();
    sink++;
}

/* The shadow stack in linear memory runs below address 0. */
CASE hog(void)
{
    volatile char room[16384];
    room[zero] = 1;
    if (one)
        hog();
    sink += room[zero];
}

CASE loop(void)
{
    while (one)
        ;
}

/* Waits in the kernel. */
CASE wait(void)
{
    __wasi_subscription_t subscription = {.u = {.tag = __WASI_EVENTTYPE_CLOCK}};
    subscription.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    subscription.u.u.clock.timeout = UINT64_C(3600000000000);
    __wasi_event_t event;
    __wasi_size_t events;
    (void)!__wasi_poll_oneoff(&subscription, &event, 1, &events);
}

/* Is always in the kernel. */
CASE fill_for_ever(void)
{
    size_t first = __builtin_wasm_memory_grow(0, 512) * 65536;
    while (one)
        memset((void *)(uintptr_t)first, one, (size_t)(512 * 65536 * one));
}

CASE fill_beyond(void)
{
    memset((void *)(uintptr_t)(__builtin_wasm_memory_size(0) * 65536 - 8), 1, 16 + (size_t)zero);
}

CASE copy_beyond(void)
{
    memmove((void *)(uintptr_t)64, (void *)(uintptr_t)(__builtin_wasm_memory_size(0) * 65536 - 8), 16 + (size_t)zero);
}

typedef int (*wrong)(double, double);
CASE wrong_signature(void)
{
    void (*volatile function)(void) = divide;
    sink = ((wrong)(uintptr_t)(void *)function)(1, 2);
}

CASE null_function(void)
{
    void (*volatile function)(void) = NULL;
    function();
}

CASE wild_function(void)
{
    void (*volatile function)(void) = (void (*)(void))(uintptr_t)0x7fffffff;
    function();
}

/* Host calls with pointers outside of memory: which argument, and how far out. */
#define OUTSIDE(type) ((type)(uintptr_t)(far - 64))
CASE write_outside(void)
{
    __wasi_size_t written;
    (void)!__wasi_fd_write(1, OUTSIDE(const __wasi_ciovec_t *), 1, &written);
}

CASE write_buffer_outside(void)
{
    __wasi_size_t written;
    __wasi_ciovec_t vector = {OUTSIDE(const uint8_t *), 4096};
    (void)!__wasi_fd_write(1, &vector, 1, &written);
}

CASE write_many(void)
{
    __wasi_size_t written;
    __wasi_ciovec_t vector = {(const uint8_t *)"x", 1};
    (void)!__wasi_fd_write(1, &vector, 0x20000001, &written);
}

CASE write_result_outside(void)
{
    __wasi_ciovec_t vector = {(const uint8_t *)"", 0};
    (void)!__wasi_fd_write(1, &vector, 1, OUTSIDE(__wasi_size_t *));
}

CASE arguments_outside(void)
{
    (void)!__wasi_args_get(OUTSIDE(uint8_t **), OUTSIDE(uint8_t *));
}

CASE environment_outside(void)
{
    (void)!__wasi_environ_sizes_get(OUTSIDE(__wasi_size_t *), OUTSIDE(__wasi_size_t *));
}

CASE time_outside(void)
{
    (void)!__wasi_clock_time_get(0, 0, OUTSIDE(__wasi_timestamp_t *));
}

CASE random_outside(void)
{
    (void)!__wasi_random_get((uint8_t *)(uintptr_t)65536, far);
}

CASE poll_outside(void)
{
    __wasi_size_t events;
    (void)!__wasi_poll_oneoff(OUTSIDE(const __wasi_subscription_t *), OUTSIDE(__wasi_event_t *), 0x08000000, &events);
}

CASE path_outside(void)
{
    __wasi_filestat_t status;
    (void)!__wasi_path_filestat_get(3, 0, OUTSIDE(const char *), &status);
}

CASE exit_status(void)
{
    exit(77);
}

CASE abort_program(void)
{
    abort();
}

/* Asking for too much is refused and no crime. */
CASE grow(void)
{
    while (__builtin_wasm_memory_grow(0, 4096) != (size_t)-1)
        ;
    if (__builtin_wasm_memory_grow(0, 65536) != (size_t)-1)
        exit(1);
    say("refused\n");
}

/* Wants every page of 4 GiB: more than the machine has. */
CASE exhaust(void)
{
    for (;;) {
        size_t pages = __builtin_wasm_memory_grow(0, 256);
        if (pages == (size_t)-1)
            break;
        for (size_t at = 0; at < 256 * 65536; at += 4096)
            *(volatile char *)(uintptr_t)(pages * 65536 + at) = 1;
    }
    say("refused\n");
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define ROW(name) {#name, name}
    ROW(divide),
    ROW(remainder_of_zero),
    ROW(overflow),
    ROW(convert),
    ROW(convert_nan),
    ROW(read_far),
    ROW(write_far),
    ROW(unreachable),
    ROW(trap),
    ROW(recurse),
    ROW(hog),
    ROW(loop),
    ROW(wait),
    ROW(fill_for_ever),
    ROW(fill_beyond),
    ROW(copy_beyond),
    ROW(wrong_signature),
    ROW(null_function),
    ROW(wild_function),
    ROW(write_outside),
    ROW(write_buffer_outside),
    ROW(write_many),
    ROW(write_result_outside),
    ROW(arguments_outside),
    ROW(environment_outside),
    ROW(time_outside),
    ROW(random_outside),
    ROW(poll_outside),
    ROW(path_outside),
    ROW(exit_status),
    ROW(abort_program),
    ROW(grow),
    ROW(exhaust),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    say("usage: hostile.wasm CASE\n");
    return 2;
}
