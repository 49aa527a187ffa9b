#include "platform/pc/boot.h"

#include "engine/base.h"
#include "engine/compile.h"
#include "engine/format.h"
#include "kernel/platform.h"
#include "platform/pc/acpi.h"
#include "platform/pc/apic.h"
#include "platform/pc/clock.h"
#include "platform/pc/console.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/paging.h"
#include "platform/pc/smp.h"

/* What the first page tables show. */
#define BOOT_REACH UINT64_C(0x100000000)

extern uint8_t image_boot_tables[], image_end[];

static void start_memory(const struct boot_handoff *handoff)
{
    if (!frames_initialize(handoff->ram, handoff->ram_count, handoff->taken, handoff->taken_count, BOOT_REACH) ||
        !paging_initialize(handoff->ram, handoff->ram_count, cpu_details.huge_1g) || !apic_map())
        platform_panic("not enough memory to start");
    frames_add((uint64_t)image_boot_tables - KERNEL_BASE, (uint64_t)image_end - KERNEL_BASE);
}

/* What `-v` shows: the machine, and the CPU features that compiled code uses. */
static void say_machine(const char *platform_name)
{
#define FEATURE_NAME(name, text) text,
    static const char *const names[] = {CPU_FEATURES(FEATURE_NAME)};
#undef FEATURE_NAME
    char features[128];
    size_t length = 0;
    for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++)
        length += format_text(features + length, sizeof features - length, " %s%s",
                              platform_cpu_features() >> i & 1 ? "" : "no-", names[i]);
    struct frame_statistics frames;
    frames_statistics(&frames);
    console_verbose("%s: %s, %lu MB RAM, TSC %lu MHz, %s, CPU features:%s\n", platform_name, cpu_details.name,
                    (unsigned long)(frames.total >> 8), (unsigned long)(clock_tsc_khz() / 1000),
                    cpu_details.hypervisor ? cpu_details.hypervisor_name : "no hypervisor", features);
}

/* The order: exceptions can be reported, the clock's count begins, then the CPU's state, memory, interrupts, time. */
_Noreturn void pc_start(uint32_t loader, uint64_t information, uint64_t entry_timestamp)
{
    static struct boot_handoff handoff;
    console_initialize();
    cpu_initialize_boot();
    cpu_identify();
    apic_initialize();
    clock_count_begin();
    const char *problem = boot_read_handoff(loader, information, &handoff);
    if (problem)
        platform_panic(problem);
    console_configure(handoff.command_line);
    cpu_enable();
    start_memory(&handoff);
    acpi_initialize(handoff.rsdp);
    smp_initialize(handoff.start_page);
    clock_initialize(handoff.command_line, entry_timestamp);
    apic_route(CONSOLE_INTERRUPT_LINE, VECTOR_SERIAL);
    console_enable_input();
    const struct boot_information boot = {
        .archive = handoff.archive,
        .archive_bytes = handoff.archive_bytes,
        .command_line = handoff.command_line,
        .platform_name = acpi_hardware_reduced() ? "microvm" : "pc",
        .entry_timestamp = entry_timestamp,
    };
    clock_start();
    say_machine(boot.platform_name);
    interrupts_restore(true);
    kernel_main(&boot);
}
