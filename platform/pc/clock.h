/* Time: the TSC as clock, the local APIC's timer as alarm, the wall clock from command line or RTC.
 *
 * The TSC's frequency comes from KVM's clock record, from CPUID, or by counting: under QEMU's emulation against the
 * APIC timer, which runs at 1 GHz there, elsewhere against the PIT. Under emulation nothing waits for the count: it
 * begins before the rest of the boot, is read at its end, and once more before the timer is needed for the first alarm.
 */
#ifndef PLATFORM_PC_CLOCK_H
#define PLATFORM_PC_CLOCK_H

#include "kernel/platform.h"

/* After apic_initialize, as early as can be. */
void clock_count_begin(void);
/* Time 0 is `entry_timestamp`; `time=NANOSECONDS` on the command line is the wall clock at that moment. */
void clock_initialize(const char *command_line, uint64_t entry_timestamp);
/* As late as possible in the boot: from then on time can be told. */
void clock_start(void);
/* From now on the clock's numbers do not change any more, and any CPU may read them. */
void clock_settle(void);
/* In thousands per second, for the log. */
uint64_t clock_tsc_khz(void);
void clock_timer_interrupt(struct machine_state *state);

#endif
