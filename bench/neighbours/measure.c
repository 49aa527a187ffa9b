#include "bench/neighbours/measure.h"

#include "engine/format.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/launch.h"

#define MILLISECOND UINT64_C(1000000)
#define SETTLE      (50 * MILLISECOND) /* until the neighbour has all that it starts */

struct run {
    struct launch launch;
    struct launch_result result;
    const char *arguments[3];
    char number[16];
    struct thread *thread;
};

static void run_program(void *argument)
{
    struct run *run = argument;
    launch_run(&run->launch, &run->result);
}

static void prepare(struct run *run, const char *part, uint32_t rounds, const uint8_t *module, size_t bytes)
{
    *run = (struct run){.arguments = {"guest", part, run->number}};
    format_text(run->number, sizeof(run->number), "%u", rounds);
    run->launch = (struct launch){.name = part,
                                  .module_bytes = module,
                                  .module_size = bytes,
                                  .argument_count = 3,
                                  .arguments = run->arguments,
                                  .keep_module = true,
                                  .memory_limit = UINT64_C(256) << 20,
                                  .clock_handle = true};
}

/* Time from the start of the program to its end, or 0. */
static uint64_t time_work(struct run *run, uint64_t (*clock)(void))
{
    uint64_t start = clock();
    run_program(run);
    return run->result.outcome == LAUNCH_EXITED && run->result.exit_status == 0 ? clock() - start : 0;
}

uint32_t measure_neighbour(enum neighbour neighbour, const uint8_t *module, size_t bytes, uint32_t rounds,
                           uint64_t (*clock)(void), const char **failure)
{
    static const char *const parts[] = {
#define NEIGHBOUR_NAME(name, what) #name,
        NEIGHBOURS(NEIGHBOUR_NAME)
#undef NEIGHBOUR_NAME
    };
    static struct run work, other;
    prepare(&work, "work", rounds, module, bytes);
    prepare(&other, parts[neighbour], 0, module, bytes);
    time_work(&work, clock); /* now the module is compiled */
    uint64_t alone = time_work(&work, clock);
    if (thread_start(run_program, &other, &other.thread) != STATUS_OK) {
        *failure = "no thread";
        return 0;
    }
    thread_sleep_until(platform_monotonic_nanoseconds() + SETTLE);
    uint64_t beside = time_work(&work, clock);
    bool runs = other.thread->state != THREAD_DEAD;
    foreground_request_end(TRAP_INTERRUPTED);
    thread_join(other.thread);
    if (!alone || !beside || !runs || other.result.trap != TRAP_INTERRUPTED) {
        *failure = !runs ? "the neighbour ended early" : "a program failed";
        return 0;
    }
    return (uint32_t)(2000 * alone / beside);
}
