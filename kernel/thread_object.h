/* Threads of processes as objects, which handles refer to: to wait for their end, to end or suspend one of them alone,
 * and for its priority and CPUs.
 *
 * The object outlives the thread. The thread attaches itself when it begins and detaches when it is about to end; what
 * is asked for before it began is kept until then. While it is attached, whoever holds the object's lock may touch it.
 * Closing the last handle does nothing: the thread runs on.
 *
 * A thread that is ended alone leaves the process as it is, and whatever the guest's own locks guard. It is not ended
 * while it starts another thread, so that what the process has of its threads stays whole. The end of a process's first
 * thread is the end of the process, as always. */
#ifndef KERNEL_THREAD_OBJECT_H
#define KERNEL_THREAD_OBJECT_H

#include "engine/trap.h"
#include "kernel/object.h"
#include "kernel/thread.h"

struct process;

/* An object for a thread of this process that does not run yet; the reference is the caller's. STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status thread_object_create(struct process *process, struct object **result);
/* The current thread is the object's; takes the reference over. */
void thread_object_attach(struct object *object);
/* The current thread, if it has an object, is about to end: with a trap, or TRAP_NONE. EXITED is signaled. */
void thread_object_detach(enum trap trap);
/* That of the current thread, which is made if it has none; with a reference. STATUS_NOT_SUPPORTED: it is none that a
 * program's end detaches. STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status thread_object_current(struct object **result);

/* End it: at its next wasm instruction, in its wait, or before it begins. */
void thread_object_kill(struct object *object);
/* It runs no wasm code until it is resumed; a host call that it is in goes on to its end. STATUS_CLOSED: it has
 * ended. */
enum status thread_object_suspend(struct object *object);
enum status thread_object_resume(struct object *object);
/* Up to what its process may use. STATUS_DENIED: above; STATUS_CLOSED. */
enum status thread_object_set_priority(struct object *object, enum thread_priority priority);
/* STATUS_BUSY: its process stays on one CPU; STATUS_CLOSED. */
enum status thread_object_set_affinity(struct object *object, uint64_t cpus);

enum thread_object_state { THREAD_OBJECT_CREATED, THREAD_OBJECT_RUNNING, THREAD_OBJECT_ENDED };
struct thread_object_information {
    enum thread_object_state state;
    bool suspended, waits; /* while it runs */
    uint32_t process;      /* its number */
    uint32_t number;       /* that wasi-threads gave it; 0: the first thread */
    enum thread_priority priority;
    uint64_t affinity;
    uint64_t run_time; /* nanoseconds */
    enum trap trap;    /* how it ended; TRAP_NONE: it returned */
};
void thread_object_information(struct object *object, struct thread_object_information *information);

/* ---- For the scheduler ---- */
/* The current thread is asked to be suspended: wait until it is resumed. Ends the guest. */
void thread_object_stay(struct thread *thread);

#endif
