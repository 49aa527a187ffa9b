/* The serial line COM1 (16550) and what goes over it: plain text, or the frames of console_protocol.h.
 *
 * Output is written by kernel code, which waits for the line. Input comes by interrupt into a ring that kernel code
 * reads; only Ctrl-C is acted upon at interrupt time. The line interrupts the boot CPU. */
#ifndef PLATFORM_PC_CONSOLE_H
#define PLATFORM_PC_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"

#define CONSOLE_INTERRUPT_LINE 4 /* ISA interrupt of COM1 */

/* Set the line up; from then on text can be written, as plain text. */
void console_initialize(void);
/* Choose the mode by the words of the command line (`console=framed`, `terminals=`). */
void console_configure(const char *command_line);
/* Let input come by interrupt; the interrupt is routed. */
void console_enable_input(void);
/* The line's interrupt. */
void console_interrupt(struct machine_state *state);

/* A line about the progress of the boot, for `-v`; plain mode shows it too. */
void console_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line for everybody. */
void console_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Before the message of a panic: ends a frame that was being sent. From then on only this CPU sends. */
void console_panic(void);
/* The last words: exit status and whether it was a panic. */
void console_finish(int status, bool panic);

#endif
