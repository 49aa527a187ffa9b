/* Switching the machine off, and standing still. */
#ifndef PLATFORM_PC_POWER_H
#define PLATFORM_PC_POWER_H

/* By ACPI, by QEMU's ports, by a triple fault (QEMU's -no-reboot makes that an end), or at least stand still. */
_Noreturn void power_off_machine(void);

/* Let all other CPUs stand still, by a non-maskable interrupt: it reaches those that spin for a lock as well. Only the
 * first CPU that comes here returns. */
void power_stop_others(void);
/* From that interrupt: does not return if it was meant so. */
void power_stop_if_asked(void);

#endif
