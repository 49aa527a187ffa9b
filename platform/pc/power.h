/* Switching the machine off. */
#ifndef PLATFORM_PC_POWER_H
#define PLATFORM_PC_POWER_H

/* By ACPI, by QEMU's ports, by a triple fault (QEMU's -no-reboot makes that an end), or at least stand still. */
_Noreturn void power_off_machine(void);

#endif
