#include "platform/pc/power.h"

#include "kernel/platform.h"
#include "platform/pc/acpi.h"
#include "platform/pc/console.h"
#include "platform/pc/instructions.h"

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
    interrupts_disable();
    console_finish(status, false);
    power_off_machine();
}
