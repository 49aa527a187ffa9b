/* What Linux needs for the same, in ticks of the time-stamp counter. */
#ifndef BENCH_IPC_LINUX_H
#define BENCH_IPC_LINUX_H

#include <stdint.h>

#include "bench/ipc/measure.h"

/* A program with this as its only argument ends at once. */
#define LINUX_EXIT_ARGUMENT "--exit"

/* As measure, of the rival; both sides on one CPU. Not in a process in which the kernel was started. */
uint64_t linux_measure(enum measure_number number, uint32_t scale);

#endif
