/* Where the kernel's records go (platform_record of kernel/platform.h): the files of --profile and --trace. */
#ifndef TOOLS_RECORD_H
#define TOOLS_RECORD_H

#include <stddef.h>

#include "kernel/platform.h"

/* The folded stacks of the run go to this file, which is created at once; dies when that fails. Once. */
void record_profile_to(const char *path);
/* The same for the chunks of its trace. */
void record_trace_to(const char *path);
/* A record has come; without a file for it, it is dropped. */
void record_receive(enum record_stream stream, const void *record, size_t bytes);
/* Write the files. Dies when one cannot be written. */
void record_finish(void);

#endif
