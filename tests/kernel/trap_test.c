/* Guests that end before they have a frame: kernel code that works for a process meets a page without a frame, say, and
 * nothing of wasm lies on the stack yet. There is a trap and no backtrace. */
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static void end_at_once(void *argument)
{
    thread_end_guest(TRAP_OUT_OF_MEMORY, argument, GUEST_IN_HOST);
}

int main(int argc, char **argv)
{
    struct process *process;
    (void)argc;
    guest_initialize(argv);
    CHECK(process_create("frameless", 1 << 20, &process) == STATUS_OK);
    CHECK(!thread_current()->area.wasm_rsp);
    CHECK(run_for_process(process, end_at_once, "before the first frame") == TRAP_OUT_OF_MEMORY);
    const struct trap_report *report = process_trap_report(process);
    CHECK(report->trap == TRAP_OUT_OF_MEMORY && report->frame_count == 0 && report->frame_total == 0);
    CHECK(strcmp(report->detail, "before the first frame") == 0);
    process_destroy(process);
    return checks_report();
}
