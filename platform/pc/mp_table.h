/* Intel's MultiProcessor Specification 1.4: the CPUs of machines without ACPI. */
#ifndef PLATFORM_PC_MP_TABLE_H
#define PLATFORM_PC_MP_TABLE_H

#include <stdint.h>

/* APIC ids of all CPUs that can be used, at most `maximum`; 0: there is no such table. */
uint32_t mp_table_cpus(uint32_t *ids, uint32_t maximum);

#endif
