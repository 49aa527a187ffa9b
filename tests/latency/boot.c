/* How late somebody urgent gets the CPU while a program has the kernel do something long: a kernel that runs guest.wasm
 * of the boot archive once for each of its cases, and the collector's guest. A thread of the highest priority sleeps
 * for short times and looks how late it is. Under `qemu -icount shift=0` a nanosecond is an instruction. One line for
 * each case: its name, the longest delay, the exit status. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/launch.h"

#define NAP_NANOSECONDS 150000 /* no multiple of anything */

static uint64_t longest;
static bool over;

static void watch(void *argument)
{
    (void)argument;
    thread_set_priority(thread_current(), PRIORITY_URGENT);
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        uint64_t due = platform_monotonic_nanoseconds() + NAP_NANOSECONDS;
        thread_sleep_until(due);
        uint64_t late = platform_monotonic_nanoseconds() - due;
        longest = late > longest ? late : longest;
    }
}

static void measure(struct archive *archive, const char *module, const char *name, uint32_t arguments)
{
    const char *words[8] = {module, name, "", "", "", "", "", ""};
    struct launch launch = {.name = name, .argument_count = arguments, .arguments = words};
    struct launch_result result;
    char line[128];
    if (archive_find(archive, module, &launch.module_bytes, &launch.module_size) != STATUS_OK) {
        platform_panic("no such module in the boot archive");
    }
    longest = 0;
    launch_run(&launch, &result);
    uint64_t worst = longest;
    platform_log(line, format_text(line, sizeof(line), "%s\t%llu\t%d\n", name, (unsigned long long)worst,
                                   launch_exit_status(&result)));
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    static const char *const names[] = {"revoke-wide", "revoke-deep",  "handles", "full-table", "entries",
                                        "wide-event",  "wide-channel", "clients", "timers",     "messages",
                                        "carriers",    "fill",         "mapping", "functions",  "long-functions"};
    struct archive *archive;
    struct thread *thread;
    cpu_initialize();
    if (archive_create(boot->archive, boot->archive_bytes, &archive, NULL) != STATUS_OK ||
        thread_start(watch, NULL, &thread) != STATUS_OK) {
        platform_panic("no boot archive, or no memory");
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        measure(archive, "guest.wasm", names[i], 2);
    }
    measure(archive, "collector.wasm", "array of references", 6);
    measure(archive, "collector.wasm", "trees", 3);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    thread_join(thread);
    platform_power_off(0);
}
