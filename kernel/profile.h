/* The sampling profiler: where the CPUs' time goes, by stacks of wasm functions.
 *
 * While it is on, every CPU's timer comes once in each period of time that the CPU works, as one more reason to arm it;
 * time in which it idles is left out. What the timer found is noted at interrupt time with one addition
 * (kernel/profile_hooks.h). The stack is walked in kernel code, where nothing is in between: by the preemption entry
 * when wasm code was interrupted, at the return of the host call when that was. A process keeps its stacks as a tree of
 * bounded size, one node for each function at each place; samples that find no room there are counted as [lost].
 *
 * When a process ends, its stacks go to whoever started the machine (platform_record) as lines of RECORD_PROFILE:
 *
 *     hot.wasm;_start;main;work 421
 *
 * which are "folded stacks": process, functions from the outermost one inwards, number of samples. The same line may
 * come several times, for processes of one name. Host functions and builtins are leaves with their module's name
 * (`wasi_snapshot_preview1.fd_write`, `builtin.memory_copy`). `[compile]` is the compiler, `[kernel]` kernel code in
 * the name of a process outside of its calls, or of none; `[...]` stands for frames further out than are kept.
 *
 * Off, it costs one comparison where the timer is armed, and one where an interrupt is handled. */
#ifndef KERNEL_PROFILE_H
#define KERNEL_PROFILE_H

#include <stdint.h>

#include "kernel/lock.h"

#define PROFILE_HERTZ_DEFAULT                                                                                          \
    997 /* a prime number: what comes every millisecond or every slice is seen in its proportion */
#define PROFILE_HERTZ_MAXIMUM 4000
#define PROFILE_DEPTH         100 /* frames kept of a stack, the innermost ones */

/* Kernel code in the name of a process outside of its calls, by what it does. */
enum profile_phase { PROFILE_KERNEL, PROFILE_COMPILE, PROFILE_PHASE_COUNT };

struct profile_tree;

/* Of each process. */
struct profile {
    struct spinlock lock;                 /* for the next two */
    struct profile_tree *tree;            /* NULL: no sample yet */
    uint32_t lost;                        /* samples for want of memory or room */
    uint32_t phases[PROFILE_PHASE_COUNT]; /* samples; counted at interrupt time, by any CPU */
};

/* Sample from now on, from 1 to PROFILE_HERTZ_MAXIMUM times in a second of each CPU's work. */
void profile_start(uint32_t hertz);
/* No more; what no process's end has told yet is told. */
void profile_stop(void);

struct process;
void profile_process_begin(struct process *process);
/* Before anything of the process goes: tell its stacks and free them. */
void profile_process_end(struct process *process);

#endif
