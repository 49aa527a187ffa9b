/* A kernel that, instead of programs, runs two threads which loop with many live values in general and vector
 * registers, on the bare machine: the timer takes turns between them, and every value survives. The boot archive holds
 * kernel_spin.wasm. The last line is `N passed, N failed`. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"

#define ROUNDS 20000000
#define VALUES 6

static uint32_t passed, failed;
static struct compiled_module *module;

struct work {
    uint64_t seed, result;
    uint64_t started, ended;
    enum trap trap;
};

static void check(bool condition, const char *what)
{
    char line[128];
    passed += condition;
    failed += !condition;
    if (!condition) {
        platform_log(line, format_text(line, sizeof(line), "FAIL %s\n", what));
    }
}

/* What kernel_spin.wat computes; its floats are small whole numbers. */
static uint64_t expected(uint64_t seed)
{
    int64_t values[VALUES], sum = 0;
    uint64_t hash = 0;
    uint32_t at = 0;
    for (int i = 0; i < VALUES; i++) {
        values[i] = (int64_t)seed + i;
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        at = at == VALUES - 1 ? 0 : at + 1;
        hash = (hash << 1 | hash >> 63) + (uint64_t)(values[at] ^ values[(at + 3) % VALUES]);
        sum += values[(at + 1) % VALUES] - values[(at + 4) % VALUES];
    }
    return hash + 2 * (uint64_t)(values[at] + values[(at + 2) % VALUES]) + (uint64_t)sum;
}

static void run_work(void *argument)
{
    struct work *work = argument;
    struct process *process;
    struct instance *instance;
    struct link_error error;
    struct external function;
    if (process_create("spin", 0, &process) != STATUS_OK ||
        instance_create(process, module, NULL, &instance, &work->trap, &error) != STATUS_OK ||
        !instance_find_export(instance, "work", 4, &function)) {
        work->trap = TRAP_OUT_OF_MEMORY;
        return;
    }
    union value arguments[2] = {{.i64 = work->seed}, {.i64 = ROUNDS}}, result = {.bits = {0, 0}};
    work->started = platform_monotonic_nanoseconds();
    work->trap = function_call(process, function.function, arguments, &result);
    work->ended = platform_monotonic_nanoseconds();
    work->result = result.i64;
    process_destroy(process);
}

static void two_threads(void)
{
    struct work work[2] = {{.seed = 1000}, {.seed = 7000000}};
    struct thread *threads[2];
    for (int i = 0; i < 2; i++) {
        check(thread_start(run_work, &work[i], &threads[i]) == STATUS_OK, "start of a thread");
    }
    for (int i = 0; i < 2; i++) {
        thread_join(threads[i]);
    }
    for (int i = 0; i < 2; i++) {
        check(work[i].trap == TRAP_NONE, "end without a trap");
        check(work[i].result == expected(work[i].seed), "all values as before the interrupts");
    }
    check(work[1].started < work[0].ended && work[0].started < work[1].ended, "taking turns");
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    struct archive *archive;
    struct engine_error error;
    const uint8_t *bytes;
    size_t size;
    char line[64];
    cpu_initialize();
    check(archive_create(boot->archive, boot->archive_bytes, &archive, NULL) == STATUS_OK &&
              archive_find(archive, "kernel_spin.wasm", &bytes, &size) == STATUS_OK &&
              compiled_module_create(bytes, size, "kernel_spin", &module, &error) == STATUS_OK,
          "the module");
    if (module) {
        two_threads();
    }
    platform_log(line, format_text(line, sizeof(line), "%u passed, %u failed\n", passed, failed));
    platform_power_off(failed > 0);
}
