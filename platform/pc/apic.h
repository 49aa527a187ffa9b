/* The local APIC (as x2APIC where there is one) and the routing of ISA interrupts through the IOAPIC; the old interrupt
 * controllers are silenced. */
#ifndef PLATFORM_PC_APIC_H
#define PLATFORM_PC_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Switch on this CPU's local APIC; the first page tables are still in use, and apic_map must follow when the kernel's
 * own are. */
void apic_initialize(void);
/* False: no memory. */
bool apic_map(void);
/* The same on a further CPU. */
void apic_initialize_further(void);
/* Let ISA interrupt `line` arrive as `vector` on this CPU. */
void apic_route(uint8_t line, uint8_t vector);
void apic_acknowledge(void);
/* This CPU's number for the interrupt system. */
uint32_t apic_id(void);
/* Let `vector` arrive on the CPU with that number. Whatever was written before can be seen there then. */
void apic_interrupt(uint32_t id, uint8_t vector);
/* Make that CPU begin at physical address `page`, which is below 1 MiB. Takes some 100 microseconds. */
void apic_start_cpu(uint32_t id, uint32_t page);
/* A non-maskable interrupt on that CPU. */
void apic_interrupt_hard(uint32_t id);

/* The timer counts down from `count` and interrupts at 0; 0 stops it. */
void apic_timer_start(uint32_t count);
uint32_t apic_timer_count(void);
/* From now on the timer is armed by MSR_TSC_DEADLINE. */
void apic_timer_use_deadline(void);

#endif
