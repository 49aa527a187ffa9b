/* The kernel as one ordinary Linux process: what embedders (the `tessera` command, the test runners) call before
 * anything else of the kernel, and what the files of this folder share.
 *
 * The thread that calls linux_platform_initialize is CPU 0; its stack is the kernel stack. Further CPUs are threads
 * that are made when the kernel starts them. Signals are the interrupts and exceptions of this machine: they always
 * arrive on an alternate stack. Async ones (timer, Ctrl-C) that hit kernel code leave a note; none of them is restarted
 * by the C library's SA_RESTART, so a wait is always cut short.
 */
#ifndef PLATFORM_LINUX_LINUX_H
#define PLATFORM_LINUX_LINUX_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"

/* Find out about the CPU, install signal handlers and the alternate stack. Ends the process with a message when the CPU
 * is below x86-64-v2. Once, before any other call into kernel or platform. */
void linux_platform_initialize(void);
/* How many CPUs there are; without it as many as this process may use. Before the kernel starts. */
void linux_set_cpu_count(uint32_t count);
/* Each CPU stays on a processor of its own as long as there are enough of them; the caller's thread is CPU 0. For
 * measurements: Linux places threads better when the machine has other work as well. */
void linux_pin_cpus(void);

/* Who gets what platform_record is given; NULL, as at the start: nobody. */
void linux_set_record_receiver(void (*receiver)(enum record_stream stream, const void *record, size_t bytes));

/* ---- Between the files of this folder ---- */
void linux_cpu_initialize(void);
void linux_signals_initialize(void);
/* Set by every interrupt; platform_idle clears it, so that one that came just before is not slept through. */
extern __thread volatile sig_atomic_t linux_interrupt_seen;
extern __thread uint32_t linux_cpu_number;
#define LINUX_SIGNAL_STACK_BYTES 65536
#define LINUX_CPU_SIGNAL         SIGUSR1 /* platform_interrupt_cpu */
/* The memory for this thread's alternate stack: LINUX_SIGNAL_STACK_BYTES. */
void linux_signal_stack_set(void *stack);
/* The signals that are interrupts here. */
void linux_interrupt_signals(sigset_t *set);

#endif
