/* Application processors: none are started yet. */
#include "kernel/platform.h"
#include "platform/pc/cpu.h"
#include "platform/pc/spinlock.h"

uint32_t platform_cpu_count(void)
{
    return 1;
}

enum status platform_start_cpu(uint32_t number, struct cpu *cpu, void *stack_top)
{
    (void)number, (void)cpu, (void)stack_top;
    return STATUS_NOT_SUPPORTED;
}

void platform_interrupt_cpu(uint32_t number)
{
    (void)number;
    pc_cpu()->woken = true;
}

void platform_relax(uint32_t round)
{
    (void)round;
    spin();
}
