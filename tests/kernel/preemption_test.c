/* Two threads that loop with many live values, preempted by the timer: every value survives, and they really take
 * turns. Then time limits of guests that loop and that wait. */
#include "kernel/launch.h"
#include "kernel/platform.h"
#include "kernel/system.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static const uint8_t loop_module[] = {/* (module (func (export "_start") (loop (br 0)))) */
                                      0, 'a', 's', 'm', 1, 0,  0, 0, 1,    4,   1,   0x60, 0,   0,
                                      3, 2,   1,   0,   7, 10, 1, 6, '_',  's', 't', 'a',  'r', 't',
                                      0, 0,   10,  9,   1, 7,  0, 3, 0x40, 12,  0,   11,   11};

#define ROUNDS 60000000

struct work {
    uint64_t seed;
    uint64_t result;
    uint64_t started, ended;
    enum trap trap;
};

static void run_work(void *argument)
{
    struct work *work = argument;
    struct process *process;
    struct instance *instance;
    struct link_error link_error;
    enum trap trap;
    uint8_t *bytes;
    if (process_create("spin", 0, &process) != STATUS_OK)
        return;
    struct compiled_module *module = guest_compile("kernel_spin", &bytes);
    CHECK(instance_create(process, module, NULL, &instance, &trap, &link_error) == STATUS_OK);
    compiled_module_release(module);
    union value arguments[2] = {{.i64 = work->seed}, {.i64 = ROUNDS}}, result = {0};
    work->started = platform_monotonic_nanoseconds();
    work->trap = function_call(process, guest_function(instance, "work"), arguments, &result);
    work->ended = platform_monotonic_nanoseconds();
    work->result = result.i64;
    process_destroy(process);
    free(bytes);
}

/* What kernel_spin.wat computes. */
static uint64_t expected(uint64_t seed)
{
    int64_t v[6];
    double f[6], w = 0;
    uint64_t h = 0;
    for (int i = 0; i < 6; i++) {
        v[i] = (int64_t)seed + i;
        f[i] = (double)seed + i;
    }
    unsigned at = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        at = at == 5 ? 0 : at + 1;
        h = (h << 1 | h >> 63) + (uint64_t)(v[at] ^ v[(at + 3) % 6]);
        w += f[(at + 1) % 6] - f[(at + 4) % 6];
    }
    return h + (uint64_t)v[at] + (uint64_t)v[(at + 2) % 6] + (uint64_t)(int64_t)(w + (f[at] + f[(at + 2) % 6]));
}

static void two_threads(void)
{
    struct work work[2] = {{.seed = 1000}, {.seed = 7000000}};
    struct thread *threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(thread_start(run_work, &work[i], &threads[i]) == STATUS_OK);
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
    for (int i = 0; i < 2; i++) {
        CHECK(work[i].trap == TRAP_NONE);
        CHECK(work[i].result == expected(work[i].seed));
    }
    CHECK(work[1].started < work[0].ended && work[0].started < work[1].ended);
}

static void sleeper(void *argument)
{
    uint64_t *woken = argument;
    uint64_t start = platform_monotonic_nanoseconds();
    thread_sleep_until(start + 50000000);
    *woken = platform_monotonic_nanoseconds() - start;
}

/* A guest that loops for ever ends at its limit, and a sleeping thread is woken in time meanwhile. */
static void time_limit(void)
{
    struct launch launch = {.name = "loop",
                            .module_bytes = loop_module,
                            .module_size = sizeof loop_module,
                            .timeout_nanoseconds = 300000000};
    struct launch_result result;
    struct thread *thread;
    uint64_t woken = 0, start = platform_monotonic_nanoseconds();
    CHECK(thread_start(sleeper, &woken, &thread) == STATUS_OK);
    launch_run(&launch, &result);
    uint64_t elapsed = platform_monotonic_nanoseconds() - start;
    thread_join(thread);
    CHECK(result.outcome == LAUNCH_TRAPPED && result.trap == TRAP_TIMEOUT);
    CHECK(launch_exit_status(&result) == 124);
    CHECK(elapsed >= 300000000 && elapsed < 3000000000);
    CHECK(woken >= 50000000 && woken < 290000000);
}

/* Nothing is left behind, however guests end. */
static void nothing_leaks(void)
{
    struct launch launch = {
        .name = "loop", .module_bytes = loop_module, .module_size = sizeof loop_module, .timeout_nanoseconds = 1000000};
    struct launch_result result;
    struct heap_statistics heap[2];
    struct platform_memory memory[2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20; i++) {
            launch.module_size = sizeof loop_module - (i % 4 == 3); /* now and then damaged */
            launch_run(&launch, &result);
            CHECK(result.outcome == (i % 4 == 3 ? LAUNCH_REFUSED : LAUNCH_TRAPPED));
        }
        system_trim();
        kernel_heap_statistics(&heap[round]);
        platform_memory_statistics(&memory[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks);
    CHECK(heap[0].bytes == heap[1].bytes);
    CHECK(memory[0].frames_used == memory[1].frames_used);
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    two_threads();
    time_limit();
    nothing_leaks();
    return checks_report();
}
