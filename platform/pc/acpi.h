/* As much of ACPI as this kernel needs: where an ISA interrupt arrives, which CPUs there are, how to switch the machine
 * off. Tables are looked at through map_physical; what they say is checked against their lengths. */
#ifndef PLATFORM_PC_ACPI_H
#define PLATFORM_PC_ACPI_H

#include <stdbool.h>
#include <stdint.h>

/* `rsdp` from the loader, or NULL: then the BIOS area is searched when the tables are needed for more than defaults. */
void acpi_initialize(const uint8_t *rsdp);

struct acpi_isa_interrupt {
    uint64_t ioapic; /* physical address */
    uint32_t input;
    bool level, active_low;
};
/* By the MADT; without one the PC's defaults. */
void acpi_find_isa_interrupt(uint8_t line, struct acpi_isa_interrupt *interrupt);

/* APIC ids of all CPUs that can be used, by the MADT, at most `maximum`; 0: there is none. */
uint32_t acpi_cpus(uint32_t *ids, uint32_t maximum);

/* A machine without the old hardware (QEMU's microvm). */
bool acpi_hardware_reduced(void);

/* Enter S5. Returns if that did not work. */
void acpi_power_off(void);

#endif
