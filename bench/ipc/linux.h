/* What Linux needs for the same, in ticks of the time-stamp counter. */
#ifndef BENCH_IPC_LINUX_H
#define BENCH_IPC_LINUX_H

#include <stdint.h>

#include "bench/ipc/measure.h"

/* As measure_all, of the rivals; both sides on one CPU. Called before the kernel is started in this process. */
void linux_measure_all(uint32_t scale, uint32_t chosen, uint64_t ticks[MEASURE_COUNT]);

#endif
