/* What the system knows about itself. */
#ifndef KERNEL_SYSTEM_H
#define KERNEL_SYSTEM_H

#include <stdint.h>

#define KERNEL_VERSION "0.1.0"

/* "pc", "microvm", "linux": said by who starts the kernel; "unknown" before. The text must stay valid. */
void system_set_platform_name(const char *name);
const char *system_platform_name(void);

/* Give back everything that is only kept to be quick: compiled modules and places that nobody uses, stacks, blocks of the
 * heap. For when memory is short, and before it is counted. */
void system_trim(void);

void system_note_start(void); /* by cpu_initialize */
uint64_t system_uptime_nanoseconds(void);

/* The objects behind all handles to the system, and to the clock. There is one of each, for ever. */
struct object;
struct object *system_object(void);
struct object *clock_object(void);

#endif
