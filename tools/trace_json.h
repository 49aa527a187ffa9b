/* A trace in the Trace Event Format, which Perfetto's and Chrome's viewers show. */
#ifndef TOOLS_TRACE_JSON_H
#define TOOLS_TRACE_JSON_H

#include <stdio.h>

#include "tools/trace_file.h"

/* Each process has its threads as tracks, with a slice for every time that a thread ran and a mark for every event; one
 * more process, "CPUs", has a track for each CPU with what ran there. Arrows lead from a wake to the slice that it led
 * to. Times are microseconds since the trace began. */
void trace_json_write(struct trace_file *trace, FILE *output);

#endif
