/* Processes: who owns instances, memories and a budget, and what ended them.
 *
 * A process is made by process_create, or by launch_run with the description of a program. Everything made in it lives
 * until process_destroy. */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H

#include "engine/trap.h"
#include "kernel/instance.h"
#include "kernel/status.h"

struct launch;
struct object;
struct process;

/* A process without a program: `name` is copied. `memory_limit` is in bytes of linear memories and large tables, 0:
 * none. */
enum status process_create(const char *name, uint64_t memory_limit, struct process **result);
/* Frees every instance, memory, table and handle. No thread may run in it. */
void process_destroy(struct process *process);
const char *process_name(const struct process *process);

/* What the program was started with: arguments, environment, directories; NULL without launch_run. Valid as long as
 * the process. */
const struct launch *process_launch(const struct process *process);
/* Bytes that it may still commit. */
uint64_t process_memory_left(const struct process *process);

/* State of a personality (WASI's file descriptors): made by its first host call or by whoever starts the process.
 * `destroy` is called by process_destroy, while the launch description and the process are still there. */
enum personality { PERSONALITY_WASI, PERSONALITY_COUNT };
void *process_personality(const struct process *process, enum personality personality);
void process_set_personality(struct process *process, enum personality personality, void *state,
                             void (*destroy)(struct process *process, void *state));

#define PROCESS_HANDLES_DEFAULT 65536 /* limit of handles that a process gets when nobody says anything else */
#define PROCESS_OBJECT_BYTES_DEFAULT (UINT64_C(64) << 20) /* the same for kernel memory of the objects that it makes */
struct handle_table;
struct handle_table *process_handles(struct process *process);

/* Time as the process may see it: in steps of 1 us if it has a handle to the clock, else of 1 ms. A time (of any clock)
 * is rounded down; a deadline (monotonic) is rounded up, so that the end of a wait tells no more. */
#define PROCESS_TIME_FINE   UINT64_C(1000) /* nanoseconds */
#define PROCESS_TIME_COARSE UINT64_C(1000000)
uint64_t process_time_step(struct process *process);
uint64_t process_visible_time(struct process *process, uint64_t nanoseconds);
uint64_t process_visible_deadline(struct process *process, uint64_t deadline);

/* End the running guest with an exit status: for host functions. Kernel code must hold nothing that needs undoing. */
_Noreturn void process_exit(struct instance *instance, uint32_t status);
/* The status of a process that ended with TRAP_EXIT. */
uint32_t process_exit_status(const struct process *process);

/* Ask for a process to end with `trap` (TRAP_TIMEOUT, TRAP_INTERRUPTED): it does at its next wasm instruction, wait or
 * return from a host call. Not at interrupt time; with locks held below rank THREADS. */
void process_request_end(struct process *process, enum trap trap);

/* ---- Threads ----
 * A process starts with one thread. A further one has an instance of its own: of the same module, with the same imports,
 * so that what they have in common is the shared memory. When any thread traps or exits, or the first one returns, all
 * end. */
#define PROCESS_THREADS_MAXIMUM 256 /* further ones at a time */
#define PROCESS_THREADS_DEFAULT 65536 /* those and what it lends to programs that it starts, when nobody says anything else */
#define PROCESS_THREAD_NUMBERS  (UINT32_C(1) << 29)

/* Start a thread: the module of `instance` is instantiated once more, and `wasi_thread_start` of that instance is called
 * with the thread's number, from 1 to PROCESS_THREAD_NUMBERS - 1, and `argument`. `object` is its object
 * (kernel/thread_object.h), to which it then has a reference of its own, or NULL. STATUS_LIMIT; STATUS_NO_MEMORY;
 * STATUS_NOT_SUPPORTED: the module has no such export of type (i32, i32) -> (), or shares more than host functions and
 * shared memories. */
enum status process_spawn(struct instance *instance, uint32_t argument, struct object *object, uint32_t *number);

/* ---- How the last guest call ended ---- */

#define TRAP_FRAMES 50 /* kept of a backtrace; the others are counted */

struct trap_frame {
    const struct compiled_module *module; /* NULL: a host function */
    uint32_t function;                    /* index in the module, or the host function's number */
    uint32_t text_offset;                 /* of the pc from the function's entry; a return address but in the first */
};

struct trap_report {
    enum trap trap;
    char detail[96];      /* "" or what host code has to say, for example "fd_write: iovs" */
    bool in_host;         /* the guest was in a host call or builtin: the first wasm frame is at a call too */
    uint32_t frame_count; /* in `frames`, innermost first */
    uint64_t frame_total;
    struct trap_frame frames[TRAP_FRAMES];
};
/* Filled when function_call or instance_start returned a trap; the next call overwrites it. */
const struct trap_report *process_trap_report(const struct process *process);

/* Write the report to platform_log, one line each:
 *     trap: integer divide by zero
 *         0  divide (app.wasm+0x1a4)
 *         1  host function wasi_snapshot_preview1.fd_write
 *         2  _start (app.wasm+0x90)
 *         ... 312 more
 * `+0x...` is the byte offset of the wasm instruction in the module, and missing when there is no memory to find it;
 * functions without a name are func[INDEX]. A detail stands behind the trap in parentheses. */
void trap_report_print(const struct trap_report *report);

#endif
