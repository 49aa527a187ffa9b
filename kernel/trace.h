/* A trace: what happened when, on each CPU.
 *
 * Events (kernel/trace_events.def) are noted where they happen, by TRACE, into a ring of the CPU where the newest take
 * the place of the oldest. Notes are made by kernel code and at interrupt time, without locks; rings may be read while
 * they are written. At the end of the run they go to whoever started the machine (platform_record), and
 * `tessera trace` shows them. Off, TRACE costs a load and a branch that is never taken.
 *
 * The format of what is told, and of trace files: chunks, each a struct trace_chunk and `count` items behind it, all
 * little-endian. A chunk is one record of the platform. First comes a TRACE_CHUNK_START. */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

enum trace_event {
    TRACE_NONE,
#define EVENT(NAME, name, category, shape, argument, second) TRACE_##NAME,
#include "kernel/trace_events.def"
#undef EVENT
    TRACE_EVENT_COUNT
};

struct trace_record {
    uint64_t time; /* monotonic nanoseconds */
    uint64_t argument;
    uint32_t second;  /* argument */
    uint32_t thread;  /* that ran: its id */
    uint32_t process; /* in whose name: its id; 0: none */
    uint16_t event;   /* enum trace_event */
    uint16_t lap;     /* of the ring, from 1, modulo 2^16: tells a record from the one that it replaces */
};
_Static_assert(sizeof(struct trace_record) == 32, "the file format");

/* What a process is called. The oldest are forgotten. */
#define TRACE_NAME_BYTES 60
struct trace_name {
    uint32_t process;
    char text[TRACE_NAME_BYTES]; /* terminated, unless it fills all; the end of a longer one */
};

#define TRACE_MAGIC   0x43525454 /* "TTRC" */
#define TRACE_VERSION 1
enum trace_chunk_kind {
    TRACE_CHUNK_START,  /* no items; `number` is TRACE_VERSION, `lost` the monotonic time when the trace began */
    TRACE_CHUNK_EVENTS, /* struct trace_record, in order of time; of CPU `number`; `lost`: how many are missing before
                           it */
    TRACE_CHUNK_NAMES   /* struct trace_name */
};
struct trace_chunk {
    uint32_t magic;
    uint32_t kind; /* enum trace_chunk_kind */
    uint32_t number;
    uint32_t count;
    uint64_t lost;
};
_Static_assert(sizeof(struct trace_chunk) == 24, "the file format");

#define TRACE_BYTES_DEFAULT (UINT64_C(1) << 20) /* of each CPU's ring */
#define TRACE_BYTES_MINIMUM UINT64_C(4096)
#define TRACE_BYTES_MAXIMUM (UINT64_C(1) << 30)

/* Note events from now on, in rings of so many bytes, a power of two within the bounds above. (A further trace uses the
 * rings of the first one, which stay.) STATUS_INVALID also when one is under way. */
enum status trace_start(uint64_t bytes);
/* No more; tell what was noted. A panic does it too. */
void trace_stop(void);
/* Copy records of one CPU's ring, from the one with number *next on (counted from the start of the trace), at most
 * `count`; *next becomes that of the first which was not copied. What was overwritten is passed over: *lost says how
 * many. Returns how many were copied; 0: no further ones now. Whoever writes goes on meanwhile. */
size_t trace_read(uint32_t cpu, uint64_t *next, struct trace_record *records, size_t count, uint64_t *lost);

/* ---- Noting ---- */
extern bool trace_enabled; /* atomic; changed by trace_start and trace_stop only */

void trace_note(enum trace_event event, uint64_t argument, uint32_t second);
/* For a message, so that both of its events are known to be its: never 0. */
uint32_t trace_number(void);
void trace_note_process(uint32_t process, const char *name);

/* Anywhere in the kernel, at interrupt time too. The arguments are not looked at when nothing is traced. */
#define TRACE(NAME, argument, second)                                                                                  \
    do {                                                                                                               \
        if (__builtin_expect(__atomic_load_n(&trace_enabled, __ATOMIC_RELAXED), 0)) {                                 \
            trace_note(TRACE_##NAME, (argument), (second));                                                            \
        }                                                                                                              \
    } while (0)

#endif
