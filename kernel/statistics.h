/* What processes use, and the table of all of them.
 *
 * A thread counts for itself (COUNT), without atomics; what it counted goes to its process when it ceases to run for
 * it, and is summed up with those of the threads that run when somebody asks. So a sum may be behind by what happens at
 * the moment. The table's lock is held for a process's first and last moment, and while some of its entries are read.
 */
#ifndef KERNEL_STATISTICS_H
#define KERNEL_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

struct process;
struct thread;

/* What threads count: name, text. */
#define COUNTERS(X)                                                                                                    \
    X(switches, "switches")                   /* how often it was given a CPU */                                       \
    X(messages_sent, "messages sent")         /* into channels */                                                      \
    X(messages_received, "messages received") /* out of channels */                                                    \
    X(calls_made, "calls made")               /* through ports */                                                      \
    X(calls_served, "calls served")

struct thread_counters {
#define COUNTER_MEMBER(name, text) uint64_t name;
    COUNTERS(COUNTER_MEMBER)
#undef COUNTER_MEMBER
};

/* One more, for the current thread; kernel/cpu.h must be included. */
#define COUNT_OF(thread, name)                                                                                         \
    __atomic_store_n(&(thread)->counters.name, (thread)->counters.name + 1, __ATOMIC_RELAXED)
#define COUNT(name) COUNT_OF(thread_current(), name)

#define PROCESS_NAME_SHOWN 64

struct process_statistics {
    uint32_t id;
    uint32_t threads; /* that run for it */
    uint32_t handles, handle_limit;
    uint64_t age;                        /* nanoseconds since it was made */
    uint64_t cpu_time;                   /* nanoseconds of all CPUs */
    uint64_t memory_bytes, memory_limit; /* linear memories, large tables, collected heap; limit UINT64_MAX: none */
    uint64_t object_bytes, object_limit; /* the kernel's memory for objects that it made */
    struct thread_counters counters;
    char name[PROCESS_NAME_SHOWN]; /* terminated; the end of a longer one */
};

/* Into the table, with a new number; STATUS_NO_MEMORY. And out of it: nobody looks at it any more. */
enum status process_table_enter(struct process *process);
void process_table_leave(struct process *process);
/* Call `function` for the process with this number, if there is one, which stays in the table meanwhile. It may take
 * locks of ranks above PROCESS_TABLE. */
void process_table_find(uint32_t id, void (*function)(struct process *process, void *context), void *context);

/* What it uses now; who calls keeps the process alive. */
void process_statistics_read(struct process *process, struct process_statistics *statistics);
/* Of the processes in the table, from *position on (0: the first), at most `count`; *position becomes where to go on.
 * Returns how many; 0: no more. One that begins or ends between two calls is seen or not; each other one is seen once.
 */
size_t process_statistics_list(uint64_t *position, struct process_statistics *statistics, size_t count);

/* Nanoseconds of CPU time of a thread, which the caller keeps alive. */
uint64_t thread_run_time(const struct thread *thread);

/* A thread has run for this process, and does so no more. With the process's threads_lock held. */
void statistics_thread_left(struct process *process, struct thread *thread);

/* Whether each process is to say at its end, in a line of the log, what it used. */
void statistics_log_ends(bool log);
/* Do so, if it is to. */
void statistics_process_end(struct process *process);

#endif
