/* Trace files (kernel/trace.h), read and sorted. */
#ifndef TOOLS_TRACE_FILE_H
#define TOOLS_TRACE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/trace.h"

/* kernel/trace_events.def */
enum trace_shape { INSTANT, BEGIN, END, SWITCH, WAKE, IDLE, TRAP, SEND, RECEIVE };
struct trace_kind {
    const char *name, *category;
    enum trace_shape shape;
    const char *argument, *second; /* "": none */
};
extern const struct trace_kind trace_kinds[TRACE_EVENT_COUNT];

struct trace_event_entry {
    struct trace_record record;
    uint32_t cpu;
    uint64_t order; /* in the file, where times are equal */
};

/* A thread that some event mentions. */
struct trace_thread {
    uint32_t id;
    uint32_t process; /* in whose name it ran, 0: none */
    bool idles;       /* it is what a CPU does when there is nothing to do */
    /* For who goes through the events: */
    uint64_t flow;  /* of the wake that it has not run since; 0: none */
    uint64_t begun; /* bit N: a BEGIN of event N has had no END yet */
};

struct trace_file {
    uint64_t start;                   /* monotonic nanoseconds */
    struct trace_event_entry *events; /* in order of time */
    size_t event_count;
    uint64_t lost;                /* events that were overwritten */
    struct trace_thread *threads; /* by id */
    size_t thread_count;
    struct trace_name *names;
    size_t name_count;
};

/* Dies with a message when the file is not a trace. */
void trace_file_read(const char *path, struct trace_file *file);
/* NULL: no event mentions it. */
struct trace_thread *trace_file_thread(const struct trace_file *file, uint32_t id);
/* The last component of the name that a process was given last, cut off at the first character that cannot be;
 * "process" and its number when it is not known. 0 is "kernel". `text` is for TRACE_TEXT_BYTES. Returns `text`. */
#define TRACE_TEXT_BYTES 80
const char *trace_file_process(const struct trace_file *file, uint32_t process, char *text);

#endif
