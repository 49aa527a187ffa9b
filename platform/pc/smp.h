/* Further CPUs; the rest of smp.c is in kernel/platform.h. */
#ifndef PLATFORM_PC_SMP_H
#define PLATFORM_PC_SMP_H

#include <stdint.h>

/* `page`: physical address of a free page below 1 MiB, or 0: then there is one CPU only. */
void smp_initialize(uint32_t page);

#endif
