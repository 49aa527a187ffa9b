#include "platform/pc/power.h"

#include "kernel/platform.h"
#include "platform/pc/acpi.h"
#include "platform/pc/apic.h"
#include "platform/pc/console.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/tlb.h"

static uint32_t stopping; /* number of the CPU that lets the others stop, plus 1; atomic */
static uint32_t stopped;  /* how many do; atomic */

static _Noreturn void stand_still(void)
{
    __atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void power_stop_if_asked(void)
{
    uint32_t asker = __atomic_load_n(&stopping, __ATOMIC_SEQ_CST);
    if (asker != 0 && asker != pc_cpu()->number + 1)
        stand_still();
}

/* Others may be in the middle of something that takes no interrupt, on a host that has other things to do as well. */
#define STOP_POLLS_MAXIMUM 100000

void power_stop_others(void)
{
    uint32_t nobody = 0, own = pc_cpu()->number, asked = 0;
    interrupts_disable();
    if (!__atomic_compare_exchange_n(&stopping, &nobody, own + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        if (nobody != own + 1)
            stand_still();
        return;
    }
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM; i++) {
        if (i != own && cpus[i] && __atomic_load_n(&cpus[i]->online, __ATOMIC_SEQ_CST)) {
            apic_interrupt_hard(cpus[i]->apic_id);
            asked++;
        }
    }
    for (uint32_t i = 0; i < STOP_POLLS_MAXIMUM && __atomic_load_n(&stopped, __ATOMIC_SEQ_CST) < asked; i++)
        __builtin_ia32_pause();
    tlb_be_alone();
}

/* Power goes a moment after it was told to. */
static void wait_for_power(void)
{
    for (uint32_t i = 0; i < 10000; i++)
        (void)in8(0x80);
}

_Noreturn void power_off_machine(void)
{
    interrupts_disable();
    acpi_power_off();
    wait_for_power();
    out16(0x604, 0x2000);  /* QEMU's pc and q35, if ACPI was not to be found */
    out16(0xb004, 0x2000); /* its older versions, Bochs */
    wait_for_power();
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } nothing = {0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(nothing));
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void platform_power_off(int status)
{
    console_finish(status, false); /* waits for what other CPUs are sending */
    power_stop_others();
    power_off_machine();
}
