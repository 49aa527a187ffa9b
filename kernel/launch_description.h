/* What a boot archive says is to be run: the file `.tessera/launch`, then `.tessera/launch.1`, `.tessera/launch.2` and
 * so on without a gap, one after the other.
 *
 * Such a file is a sequence of fields "key=value", each ended by a NUL byte:
 *
 *     module=PATH         the program, a path in the archive; required, once
 *     name=TEXT           for messages; without it the last component of the path
 *     argument=TEXT       one for each argument in order, argv[0] included
 *     environment=K=V     one for each
 *     directory=GUEST     a directory that the program may use, under this name. The content of the N-th such field,
 *                         counted from 0 in each file, is the archive's directory `.tessera/directories/N`, or what
 *                         the next field says. Writes go to a copy in memory.
 *     directory-source=PATH   directly behind `directory`: another directory of the archive; empty: no content
 *     memory=BYTES        limit of linear memory, decimal; 0 or no such field: none
 *     timeout=NANOSECONDS wall time limit, decimal; 0 or no such field: none
 *     clock=1             the program gets a handle to the clock; without it, it sees time in steps of 1 ms
 *     streams=1           for process_create (sdk/tessera.h): the program gets its creator's standard streams; all others
 *                         have them anyhow
 *     system=1            the program gets a handle to the system
 *     interface=NAME[=HANDLE]  for process_run (sdk/tessera.h), not in archives: an interface that the program may use
 *     service=PATH        a program in the archive that is started before and offers services, one for each
 *     repeat=COUNT        run it so often, decimal, 1 without the field
 *     report=1            log a line `launch NAME: exit status 0` (or trap or reason of refusal) after each run
 *     statistics=1        log frames and heap in use before and after each run
 *     trace=BYTES         note events (kernel/trace.h) in rings of that size, decimal; 0 or no such field: not
 *     accounting=1        log what each process used at its end (kernel/statistics.h)
 *     profile=HERTZ       sample what runs (kernel/profile.h), decimal; 0 or no such field: not
 *
 * The machine powers off with the status (launch_exit_status) of the first run whose status is not 0, else 0.
 * A description is checked as a whole before anything runs. */
#ifndef KERNEL_LAUNCH_DESCRIPTION_H
#define KERNEL_LAUNCH_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

#define LAUNCH_DESCRIPTION_PATH ".tessera/launch"      /* and with "." and a number from 1 on behind it */
#define LAUNCH_DIRECTORIES_PATH ".tessera/directories" /* and "/" and a number from 0 on */

struct launch_description_directory {
    const char *guest_path;
    const char *source; /* path in the archive; NULL: LAUNCH_DIRECTORIES_PATH; "": none */
};

/* All texts point into the bytes that were parsed. */
struct launch_description {
    const char *module;
    const char *name;
    uint32_t argument_count;
    const char **arguments;
    uint32_t environment_count;
    const char **environment;
    uint32_t directory_count;
    struct launch_description_directory *directories;
    uint64_t memory_limit;
    uint64_t timeout_nanoseconds;
    uint64_t repeat;
    bool clock_handle;
    bool streams;
    uint32_t interface_count;
    const char **interfaces;
    uint32_t handle_count;
    const char **handles; /* names */
    uint64_t handle_limit, thread_limit, object_limit, share; /* 0: not said */
    uint32_t priority_limit; /* enum thread_priority, and 1; 0: not said */
    uint32_t service_count;
    const char **services;
    bool system_handle;
    bool report;
    bool statistics;
    bool accounting;
    uint32_t profile_hertz;
    uint32_t trace_bytes;
    void *block; /* what launch_description_release frees */
    size_t block_bytes;
};

/* STATUS_INVALID with a text in `message` (static, or a field of the bytes) about what is wrong; STATUS_NO_MEMORY. */
enum status launch_description_parse(const uint8_t *bytes, size_t size, struct launch_description *description,
                                     const char **message);
/* What a path is called in messages. */
const char *launch_last_component(const char *path);
void launch_description_release(struct launch_description *description);

#endif
