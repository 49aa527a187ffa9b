/* Programs: processes as objects, which other processes start, watch and end.
 *
 * A program is made of a compiled module, with everything that its process gets: arguments, environment, directories,
 * and exactly the handles that are moved into it. It runs on a thread of its own, by the same function as every program
 * (launch_job_run). Its object outlives the process and is small: state, outcome, exit status.
 *
 * What a program may use at most is taken from what its starter may use, and given back when it ends. With the last
 * handle to it a program is killed: whoever dies takes along what only he could control; and, whoever has a handle,
 * those that were not started with their starter. */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include "engine/trap.h"
#include "kernel/launch.h"
#include "kernel/object.h"

struct compiled_module;
struct grant;
struct process;
struct program;

/* 0 stands for a part of what the starter has left: half of the memory, a sixteenth of the share, a quarter of the
 * others, but no more than 64 threads. The child's first thread is one of its threads. */
struct program_budget {
    uint64_t memory;  /* bytes of linear memories, large tables and the collected heap */
    uint64_t objects; /* bytes of the kernel for the objects that it makes */
    uint64_t handles, threads;
    uint64_t share;    /* of the CPUs: its weight, of those of the starter */
    uint32_t priority; /* the highest of its threads, and 1; 0: NORMAL, if the starter may. Nobody has less for it */
};

struct program_description {
    struct compiled_module *module;
    const struct launch *launch; /* name, arguments, environment, directories, time limit; copied */
    struct program_budget budget;
    size_t text_bytes; /* of all texts in `launch` and `names`, about */
    uint32_t grant_count;
    struct grant *const *grants; /* moved into the process; the program's from STATUS_OK on */
    const char *const *names;    /* under which it finds them: process_named_handle */
};

/* A program that was not started, without handles. `starter` pays; NULL: nobody. STATUS_LIMIT: he has not so much. */
enum status program_create(struct process *starter, const struct program_description *description,
                           struct object **result);
/* STATUS_BUSY: it was started, or killed. */
enum status program_start(struct object *object);
/* It ends where it is: at its next wasm instruction, in its wait. EXITED tells when it did. */
void program_kill(struct object *object);

enum program_state { PROGRAM_CREATED, PROGRAM_RUNNING, PROGRAM_ENDED };
struct program_status {
    enum program_state state;
    enum launch_outcome outcome; /* from here on: PROGRAM_ENDED */
    uint32_t exit_status;        /* LAUNCH_EXITED */
    enum trap trap;              /* LAUNCH_TRAPPED */
    int conventional_status;     /* launch_exit_status */
    uint32_t id;                 /* of its process; 0: it never had one */
};
void program_status(struct object *object, struct program_status *status);

/* What it uses now. STATUS_BUSY: it does not run yet, or no more. */
struct process_statistics;
enum status program_statistics(struct object *object, struct process_statistics *statistics);

/* The object of a process in the table, for those who may control all of them; the reference is the caller's.
 * STATUS_NOT_FOUND: there is none with this number, or it has not quite begun. */
enum status program_find(uint32_t id, struct object **result);

/* ---- For launch.c ---- */
/* An object for a process that nobody made as a program, so that it can be found. It lives on without handles.
 * STATUS_NO_MEMORY. */
enum status program_attach(struct launch_result *result, struct program **program);
/* Its process is gone, `result` is what became of it; gives up the reference. */
void program_detach(struct program *program);
/* The process is there, and runs nothing yet: it gets limits and handles. */
enum status program_enter(struct program *program, struct process *process);
/* The process is about to be destroyed. */
void program_leave(struct program *program);

/* ---- For process.c ---- */
/* The process is gone: its children owe it nothing any more. Those that were not started end: handles to them may be
 * where nobody can reach them, in what such a program was to get itself. */
void program_forget_starter(struct process *process);

/* The handle that a process was started with under a name; 0: none. It may have been closed since. */
uint32_t process_named_handle(const struct process *process, const char *name, size_t length);

#endif
