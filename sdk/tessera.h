/* The interface "tessera" for guests: kernel objects, by handles.
 *
 * A handle is a positive number that stands for an object and for rights to it; it means something in the program that
 * has it and nowhere else. A program starts with the handles that whoever started it decided on, and gets others by
 * making objects and in messages. Without handles nothing outside of the program can be reached.
 *
 * All functions return a number that is not negative when they worked, and otherwise the negative of a TESSERA_E*.
 * Every function that takes a handle may return
 *     -TESSERA_EHANDLE   there is no such handle, it was closed or revoked, or it is to an object of another type
 *     -TESSERA_ERIGHT    it does not have the rights that "needs" in the function's description names
 * and this is not repeated below. Pointers must lie in the caller's memory: a range outside of it ends the program. */
#ifndef TESSERA_H
#define TESSERA_H

#include <stdint.h>

#ifdef __wasm__
#define TESSERA_IMPORT(function_name) __attribute__((import_module("tessera"), import_name(#function_name)))
#define TESSERA_POINTER(type)         type *
#else /* the kernel reads the structures and numbers */
#define TESSERA_IMPORT(function_name)
#define TESSERA_POINTER(type) uint32_t
#endif

/* Handles that programs know by their numbers, if they have them. */
#define TESSERA_SYSTEM 1u /* the system: information, and starting programs */
#define TESSERA_CLOCK  2u /* the clock: time that is finer than 1 ms */
#define TESSERA_PORT   3u /* a service's port, on which its clients call it */

enum {
    TESSERA_EHANDLE = 1,   /* no such handle */
    TESSERA_EINVALID = 2,  /* arguments make no sense */
    TESSERA_ENOTFOUND = 3, /* no such file */
    TESSERA_ENOMEMORY = 4,
    TESSERA_EIO = 5,        /* the file cannot be read */
    TESSERA_ERIGHT = 6,     /* the handle does not have a right that is needed */
    TESSERA_ELIMIT = 7,     /* a limit of the program is reached: handles, memory, threads */
    TESSERA_EAGAIN = 8,     /* not now; there is a signal that tells when */
    TESSERA_EPEER = 9,      /* the other end is gone */
    TESSERA_ETIMEOUT = 10,  /* the deadline came first */
    TESSERA_ETOOLARGE = 11, /* does not fit */
    TESSERA_EEXISTS = 12,
    TESSERA_EBUSY = 13, /* in a state in which this cannot be done */
    TESSERA_ENOTSUPPORTED = 14,
    TESSERA_EMODULE = 15, /* the module is refused, or its imports cannot be satisfied */
};

/* What the holder of a handle may do. Which rights mean something depends on the type: see docs/kernel.md. */
enum {
    TESSERA_RIGHT_READ = 1 << 0,
    TESSERA_RIGHT_WRITE = 1 << 1,
    TESSERA_RIGHT_EXECUTE = 1 << 2,
    TESSERA_RIGHT_WAIT = 1 << 3,
    TESSERA_RIGHT_SIGNAL = 1 << 4,
    TESSERA_RIGHT_DUPLICATE = 1 << 5,
    TESSERA_RIGHT_TRANSFER = 1 << 6,
    TESSERA_RIGHT_MANAGE = 1 << 7,
    TESSERA_RIGHT_INSPECT = 1 << 8,
    TESSERA_RIGHT_MAP = 1 << 9,
};
#define TESSERA_RIGHTS_SAME 0x80000000u /* for handle_duplicate: all that the handle has */

/* States of objects that can be waited for. */
enum {
    TESSERA_SIGNAL_READABLE = 1 << 0,    /* there is something to take out */
    TESSERA_SIGNAL_WRITABLE = 1 << 1,    /* there is room to put something in */
    TESSERA_SIGNAL_PEER_CLOSED = 1 << 2, /* the other end is gone */
    TESSERA_SIGNAL_SIGNALED = 1 << 3,    /* an event was signaled, a timer's time has come */
    TESSERA_SIGNAL_EXITED = 1 << 4,      /* a process or thread has ended */
};

enum tessera_object_type {
    TESSERA_OBJECT_SYSTEM = 1,
    TESSERA_OBJECT_CLOCK = 2,
    TESSERA_OBJECT_EVENT = 3,
    TESSERA_OBJECT_TIMER = 4,
    TESSERA_OBJECT_WAIT_SET = 5,
    TESSERA_OBJECT_PORT = 6,
    TESSERA_OBJECT_PORT_CLIENT = 7,
    TESSERA_OBJECT_REPLY = 8,
    TESSERA_OBJECT_CHANNEL = 9,
    TESSERA_OBJECT_PROCESS = 10,
    TESSERA_OBJECT_MODULE = 11,
    TESSERA_OBJECT_MEMORY = 12,
    TESSERA_OBJECT_RESOURCE = 13, /* of a service: docs/services.md */
    TESSERA_OBJECT_THREAD = 14,
};

/* ---- Handles ---- */

/* Give a handle up. Handles that were duplicated from it stay as they are. With the last handle to it an object ends.
 */
TESSERA_IMPORT(handle_close)
int32_t tessera_handle_close(uint32_t handle);

/* A further handle to the same object, with these rights (bits of TESSERA_RIGHT_*, or TESSERA_RIGHTS_SAME). Needs
 * DUPLICATE, and every right that is asked for. Returns the handle. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY;
 * -TESSERA_EINVALID: bits that are no rights. */
TESSERA_IMPORT(handle_duplicate)
int32_t tessera_handle_duplicate(uint32_t handle, uint32_t rights);

/* Make all handles invalid that were duplicated from this one, directly or not, wherever they are: in this program or
 * another, in messages on their way; mappings made through them are gone. This handle stays. Needs MANAGE. When it
 * returned, nothing begins through any of them. */
TESSERA_IMPORT(handle_revoke)
int32_t tessera_handle_revoke(uint32_t handle);

struct tessera_handle_information {
    uint32_t type;    /* TESSERA_OBJECT_* */
    uint32_t rights;  /* TESSERA_RIGHT_* */
    uint32_t signals; /* TESSERA_SIGNAL_* that are set, if the handle has the right WAIT */
    uint32_t reserved;
};

/* Write the first `bytes` bytes of what the kernel says about a handle to `buffer`; returns how many were written.
 * Needs no right. */
TESSERA_IMPORT(handle_information)
int32_t tessera_handle_information(uint32_t handle, struct tessera_handle_information *buffer, uint32_t bytes);

/* ---- Time ----
 * All times are nanoseconds of one monotonic clock, which WASI's CLOCK_MONOTONIC shows too. A program without a handle
 * to the clock sees time in steps of 1 ms: its deadlines are rounded up to them. */

/* The time. Needs READ on a handle to the clock. */
TESSERA_IMPORT(clock_read)
int64_t tessera_clock_read(uint32_t handle);

/* The time, rounded down to 1 ms. Needs no handle. */
TESSERA_IMPORT(time_coarse)
int64_t tessera_time_coarse(void);

/* ---- Events ---- */

#define TESSERA_EVENT_EXCLUSIVE 1u /* of several who wait for the event, one goes on; seeing it clears it */

/* A new event, which is not signaled. Returns the handle, with all rights. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY;
 * -TESSERA_EINVALID: unknown flags. */
TESSERA_IMPORT(event_create)
int32_t tessera_event_create(uint32_t flags);

/* Set and clear TESSERA_SIGNAL_SIGNALED. Both need SIGNAL. */
TESSERA_IMPORT(event_signal)
int32_t tessera_event_signal(uint32_t handle);
TESSERA_IMPORT(event_clear)
int32_t tessera_event_clear(uint32_t handle);

/* ---- Timers ---- */

/* A new timer, which is not set. Returns the handle, with all rights. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(timer_create)
int32_t tessera_timer_create(void);

/* TESSERA_SIGNAL_SIGNALED is set at `deadline` (UINT64_MAX: never), and then every `period` nanoseconds (0: once). What
 * it was set to before is forgotten, and the signal cleared. Needs WRITE. -TESSERA_EINVALID: a period above INT64_MAX.
 */
TESSERA_IMPORT(timer_set)
int32_t tessera_timer_set(uint32_t handle, uint64_t deadline, uint64_t period);

/* How many of its times have come since it was set or read; clears the signal. Needs READ. */
TESSERA_IMPORT(timer_read)
int64_t tessera_timer_read(uint32_t handle);

/* ---- Channels ----
 * Bounded queues of messages between two ends. A message is bytes and handles; it is written and read whole. An end has
 * these signals:
 *     READABLE      there is a message
 *     WRITABLE      there may be room; goes when a write was refused, comes when what was refused fits
 *     PEER_CLOSED   the other end has no handle any more; what it wrote can still be read
 * A message that waits to be read is charged to the program that wrote it. */

#define TESSERA_CHANNEL_MESSAGE_BYTES (1u << 20) /* at most, and no more than the channel's room */

/* A new channel: writes the handles of its ends, with all rights, to `ends`. In each direction there is room for so
 * many messages and bytes that wait to be read; 0: 64, 256 KiB. -TESSERA_EINVALID: more than 65536 messages or 16 MiB;
 * -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(channel_create)
int32_t tessera_channel_create(uint32_t messages, uint32_t bytes, uint32_t ends[2]);

/* Write a message. Its handles leave this program when it is written, and only then; each needs TRANSFER. Waits for
 * room until `deadline`; 0: -TESSERA_EAGAIN when there is none. Needs WRITE. -TESSERA_EPEER: the other end is gone;
 * -TESSERA_ETOOLARGE: never fits; -TESSERA_EHANDLE, -TESSERA_ERIGHT: also one of the message's handles, or one is named
 * twice; -TESSERA_EINVALID: one is to an end of this channel; -TESSERA_ETIMEOUT, -TESSERA_ELIMIT, -TESSERA_ENOMEMORY.
 */
TESSERA_IMPORT(channel_write)
int32_t tessera_channel_write(uint32_t channel, const void *bytes, uint32_t length, const uint32_t *handles,
                              uint32_t count, uint64_t deadline);

/* Read the first message. Returns the number of its bytes, writes its handles to the first of `handles`, and 0 to the
 * others up to `maximum` (at most TESSERA_MESSAGE_HANDLES, 16); also 0 for a handle that was revoked on its way. Waits
 * for a message until `deadline`; 0: -TESSERA_EAGAIN when there is none. Needs READ. -TESSERA_EPEER: there is none, and
 * the other end is gone; -TESSERA_ETOOLARGE: it does not fit, and stays (tessera_channel_next); -TESSERA_ELIMIT: no
 * room for its handles, and it stays; -TESSERA_EINVALID: `maximum`; -TESSERA_ETIMEOUT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(channel_read)
int32_t tessera_channel_read(uint32_t channel, void *buffer, uint32_t length, uint32_t *handles, uint32_t maximum,
                             uint64_t deadline);

/* The size of the first message: its bytes, and 2^32 times the number of its handles. Needs READ. -TESSERA_EAGAIN:
 * there is none; -TESSERA_EPEER: and there will be none. */
TESSERA_IMPORT(channel_next)
int64_t tessera_channel_next(uint32_t channel);

/* ---- Waiting ----
 * A deadline of 0 only looks, one of UINT64_MAX never comes. What was waited for is revoked meanwhile:
 * -TESSERA_EHANDLE.
 */

#define TESSERA_FOREVER UINT64_MAX

/* Until one of `signals` is set. Returns those of them that are. Needs WAIT. -TESSERA_ETIMEOUT; -TESSERA_EINVALID: no
 * signals, or unknown ones. */
TESSERA_IMPORT(wait_one)
int32_t tessera_wait_one(uint32_t handle, uint32_t signals, uint64_t deadline);

struct tessera_wait_item {
    uint32_t handle;
    uint32_t wanted; /* signals */
    uint32_t seen;   /* written: those of them that are set */
};
#define TESSERA_WAIT_ITEMS 64 /* at most */

/* Until one of the items has one of its wanted signals. Returns how many have. Needs WAIT on each handle.
 * -TESSERA_ETIMEOUT; -TESSERA_EINVALID: too many items, unknown signals. */
TESSERA_IMPORT(wait_many)
int32_t tessera_wait_many(struct tessera_wait_item *items, uint32_t count, uint64_t deadline);

/* A wait set remembers what is to be waited for, so that waiting costs by what is ready and not by what is in it. Its
 * own signal is READABLE: something in it may be ready. Returns the handle, with all rights. -TESSERA_ELIMIT,
 * -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(wait_set_create)
int32_t tessera_wait_set_create(void);

/* Wait for `signals` of an object from now on, too. `key` comes back in the records. Returns the number of the entry.
 * Needs WRITE on the set, WAIT on the object. The entry stays when the handle is closed, and says nothing any more when
 * the handle is revoked. -TESSERA_EINVALID: the object is a set, unknown signals; -TESSERA_ELIMIT,
 * -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(wait_set_add)
int32_t tessera_wait_set_add(uint32_t set, uint32_t object, uint32_t signals, uint64_t key);

/* Other signals for an entry; 0: none for the time being. Needs WRITE. -TESSERA_ENOTFOUND: no such entry. */
TESSERA_IMPORT(wait_set_change)
int32_t tessera_wait_set_change(uint32_t set, uint32_t entry, uint32_t signals);

/* The entry's number may then be that of a new entry. Needs WRITE. -TESSERA_ENOTFOUND. */
TESSERA_IMPORT(wait_set_remove)
int32_t tessera_wait_set_remove(uint32_t set, uint32_t entry);

struct tessera_wait_record {
    uint64_t key;
    uint32_t entry;
    uint32_t signals; /* those wanted that are set */
};

/* Until something in the set is ready. Writes up to `maximum` records (256 in one call) and returns how many. What
 * stays ready comes again, behind others. Needs WAIT. -TESSERA_ETIMEOUT; -TESSERA_EINVALID: `maximum` is 0. */
TESSERA_IMPORT(wait_set_wait)
int32_t tessera_wait_set_wait(uint32_t set, struct tessera_wait_record *records, uint32_t maximum, uint64_t deadline);

/* ---- Ports: calls from one program into another ----
 *
 * A server makes a port, and client ends of it for those who may call. A call costs about as much as a few function
 * calls: the caller's bytes are copied into the server's buffer, the server runs in the caller's time, and its answer
 * is copied back. Bytes: up to 64 KiB each way; handles: up to 16, which need TRANSFER and move to the other side. They
 * are gone when a call or an answer fails.
 *
 * A call ends with -TESSERA_EPEER when the server is gone, whenever that happens; with -TESSERA_ETIMEOUT when its
 * deadline comes first; with -TESSERA_ETOOLARGE when one of both has not enough room for what the other sends; and with
 * -TESSERA_EINVALID when one's memory could not be accessed. The server is told nothing, until it answers. */
#define TESSERA_MESSAGE_BYTES   65536
#define TESSERA_MESSAGE_HANDLES 16

/* Returns a port, the server's end. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(port_create)
int32_t tessera_port_create(void);

/* Returns a client end of the port. Every call through it, or through handles duplicated from it, tells the server the
 * `badge`. TESSERA_SIGNAL_PEER_CLOSED is set at the client end when the port is gone, and at the port when it has no
 * client end any more. Needs MANAGE. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(port_client_create)
int32_t tessera_port_client_create(uint32_t port, uint64_t badge);

struct tessera_call {
    TESSERA_POINTER(const void) request;
    uint32_t request_bytes;
    TESSERA_POINTER(const uint32_t) request_handles;
    uint32_t request_handle_count;
    TESSERA_POINTER(void) answer; /* room for it */
    uint32_t answer_capacity;
    TESSERA_POINTER(uint32_t) answer_handles; /* room for those that come with it */
    uint32_t answer_handle_capacity;
    uint64_t deadline; /* UINT64_MAX: none */
    /* Written by the call: */
    uint32_t answer_bytes;
    uint32_t answer_handle_count;
};

/* Call and wait for the answer; 0, or an error as above. Needs EXECUTE of a client end. */
TESSERA_IMPORT(port_call)
int32_t tessera_port_call(uint32_t client, struct tessera_call *call);

struct tessera_request {
    TESSERA_POINTER(void) bytes; /* room for a request */
    uint32_t capacity;
    TESSERA_POINTER(uint32_t) handles;
    uint32_t handle_capacity;
    uint64_t deadline;
    /* Written when one was received: */
    uint32_t length;
    uint32_t handle_count;
    uint64_t badge;   /* of the client end */
    int32_t answered; /* by port_reply_receive: 0, or why the answer before did not arrive */
    uint32_t reserved;
};

struct tessera_answer {
    TESSERA_POINTER(const void) bytes;
    uint32_t length;
    TESSERA_POINTER(const uint32_t) handles;
    uint32_t handle_count;
};

/* Wait for a call. The thread has to answer it, or to keep it for later, before it receives another one
 * (-TESSERA_EBUSY). Several threads may receive from one port. A port is ready for it with TESSERA_SIGNAL_READABLE.
 * Needs READ of a port. -TESSERA_ETIMEOUT; -TESSERA_EPEER: there is no client end any more; -TESSERA_ELIMIT: the
 * handles that came with a call are too many for this program, and the call fails; -TESSERA_EHANDLE, as soon as the
 * handle is revoked. */
TESSERA_IMPORT(port_receive)
int32_t tessera_port_receive(uint32_t port, struct tessera_request *request);

/* Whose call this thread answers: writes the client end's badge. For the functions that port_serve calls; port_receive
 * says it, too. Needs READ of a port. -TESSERA_ENOTFOUND: there is no call; -TESSERA_EPEER: the caller did not wait. */
TESSERA_IMPORT(port_caller)
int32_t tessera_port_caller(uint32_t port, uint64_t *badge);

/* Answer the call that this thread received. Needs READ of a port. -TESSERA_EPEER: the caller did not wait for it. */
TESSERA_IMPORT(port_reply)
int32_t tessera_port_reply(uint32_t port, const struct tessera_answer *answer);

/* Both in one step, the usual one for a server's loop, and the quickest. Errors are those of receiving. */
TESSERA_IMPORT(port_reply_receive)
int32_t tessera_port_reply_receive(uint32_t port, const struct tessera_answer *answer, struct tessera_request *request);

/* The handle to a client end through which this program calls an interface, such as "tessera:log/log". It may be
 * closed, or duplicated for others. -TESSERA_ENOTFOUND: the program was not given the interface. */
TESSERA_IMPORT(interface_handle)
int32_t tessera_interface_handle(const char *name, uint32_t bytes);

/* Answer calls with the functions that this module exports of interfaces written in WIT (docs/services.md), until there
 * is no client end any more or the handle is revoked: 0, and what was called before that is answered. A function that
 * traps ends the program, as one whose result is none. Needs READ of a port. -TESSERA_ENOTFOUND: the module exports no
 * such function, or does not say their types; -TESSERA_EBUSY: called in the middle of a call; -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(port_serve)
int32_t tessera_port_serve(uint32_t port);

/* The same until no call came up to `deadline`: -TESSERA_ETIMEOUT. With 0, for who waits for the port's READABLE among
 * other things, those calls that wait are answered. */
TESSERA_IMPORT(port_serve_until)
int32_t tessera_port_serve_until(uint32_t port, uint64_t deadline);

/* Calls to services that this thread makes from now on, as functions of interfaces, end at `deadline` (TESSERA_FOREVER:
 * never), until it is set again or the function returns that the kernel called: main, that of a thread, or a service's.
 * Then their result is the error "timed-out", "unavailable" if they have no such case, and else the program ends. A call
 * that was not made in time is not made. Returns 0. */
TESSERA_IMPORT(service_deadline)
int32_t tessera_service_deadline(uint64_t deadline);

/* Keep the call that this thread received for later. Returns a handle with the right WRITE, for reply_send; when it is
 * closed unused, the call fails with -TESSERA_EPEER. Needs READ of a port. -TESSERA_ENOTFOUND: there is no call. */
TESSERA_IMPORT(port_defer)
int32_t tessera_port_defer(uint32_t port);

/* Answer a call that was kept; from any thread, and from any program that was given the handle. Once: the handle is
 * closed. Needs WRITE of a reply. -TESSERA_EPEER: the caller did not wait for it. */
TESSERA_IMPORT(reply_send)
int32_t tessera_reply_send(uint32_t reply, const struct tessera_answer *answer);

/* ---- The system ---- */

struct tessera_system_information {
    uint64_t memory_bytes;       /* of the machine; on Linux, what the process may use */
    uint64_t memory_used_bytes;  /* committed by the kernel, for itself and for all programs */
    uint64_t uptime_nanoseconds; /* since the kernel started */
    uint32_t heap_blocks;        /* objects of the kernel */
    uint32_t reserved;
    char kernel_version[16]; /* texts are terminated */
    char platform[16];       /* "pc", "microvm", "linux" */
    char cpu_name[64];
    char cpu_features[96]; /* that compiled code uses, separated by spaces */
};

/* Write the first `bytes` bytes of the information to `buffer`; returns how many were written. A structure of a later
 * version is longer and begins with the same members. Needs INSPECT. */
TESSERA_IMPORT(system_information)
int32_t tessera_system_information(uint32_t handle, struct tessera_system_information *buffer, uint32_t bytes);

struct tessera_process_information {
    uint32_t id;      /* of no other process since the start */
    uint32_t threads; /* that run for it */
    uint32_t handles, handle_limit;
    uint64_t age_nanoseconds;                  /* both times in steps of 1 ms for who has no clock */
    uint64_t cpu_nanoseconds;                  /* of all CPUs together */
    uint64_t memory_bytes, memory_limit;       /* linear memories and large tables; limit UINT64_MAX: none */
    uint64_t object_bytes, object_limit;       /* kernel memory of the objects and messages that it made */
    uint64_t switches;                         /* how often its threads were given a CPU */
    uint64_t messages_sent, messages_received; /* by channels */
    uint64_t calls_made, calls_served;         /* by ports */
    char name[64];                             /* terminated; the end of a longer one */
};
#define TESSERA_PROCESS_LIST_MAXIMUM 1024 /* written by one call */

/* What each process uses, from *position on: 0 at first, then what the call before left there. Writes at most `count`
 * descriptions to `buffer` and returns how many; 0: there are no more. A process that begins or ends between two calls
 * is among them or not. Needs INSPECT. */
TESSERA_IMPORT(process_list)
int32_t tessera_process_list(uint32_t handle, uint64_t *position, struct tessera_process_information *buffer,
                             uint32_t count);

/* A handle, with all rights, to a process of that list: whoever has this right of the system's controls all programs.
 * Closing the handle ends nothing that somebody else controls. Needs MANAGE. -TESSERA_ENOTFOUND: there is no such
 * process, or it has not quite begun; -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(process_open)
int32_t tessera_process_open(uint32_t handle, uint32_t id);

struct tessera_trace_record {
    uint64_t time; /* monotonic nanoseconds */
    uint64_t argument;
    uint32_t second;  /* argument */
    uint32_t thread;  /* that ran */
    uint32_t process; /* in whose name; 0: the kernel's */
    uint16_t event;   /* the row of kernel/trace_events.def, from 1 */
    uint16_t reserved;
};
struct tessera_trace_position {
    uint64_t next; /* 0 at first */
    uint64_t lost; /* how many were overwritten before they were read */
};
#define TESSERA_TRACE_READ_MAXIMUM 4096 /* read by one call */

/* Read what one CPU noted, while a trace is made (`tessera run --trace`): at most `count` records from *position on,
 * which moves behind them. Returns how many; 0: no further ones yet, or no such CPU. Needs INSPECT, and that the
 * program has a handle to the clock (else -TESSERA_ERIGHT). -TESSERA_ENOTFOUND: nothing is traced. */
TESSERA_IMPORT(trace_read)
int32_t tessera_trace_read(uint32_t handle, uint32_t cpu, struct tessera_trace_position *position,
                           struct tessera_trace_record *buffer, uint32_t count);

/* Run a program to its end and return its exit status: 0 to 255 by convention, 134 after a trap (the report goes to the
 * error stream), 126 when it is no program that can be started. It shares this program's standard streams. Needs
 * EXECUTE. -TESSERA_EINVALID: the description is wrong; -TESSERA_ENOTFOUND, -TESSERA_EIO: the file; -TESSERA_ENOMEMORY.
 * Handles in the description: -TESSERA_EHANDLE, -TESSERA_ERIGHT.
 *
 * `description` is `bytes` bytes of fields, each "key=value" ended by a NUL byte:
 *     module=PATH        the .wasm file, by a path in one of the caller's own directories; required
 *     argument=TEXT      one for each, argv[0] first
 *     environment=K=V    one for each
 *     directory=NAME     hand on the caller's own directory of exactly this name
 *     clock=1            a handle to the clock, if the caller has one
 *     interface=NAME     hand on an interface that the caller may use
 *     interface=NAME=HANDLE  the same for a client end that the caller has a handle to, decimal. Both need DUPLICATE
 *                        and TRANSFER; the program gets a duplicate
 *     memory=BYTES       limit of linear memory, decimal
 *     timeout=NANOSECONDS  time limit, decimal */
TESSERA_IMPORT(process_run)
int32_t tessera_process_run(uint32_t handle, const char *description, uint32_t bytes);

/* ---- Processes ----
 *
 *     int32_t module = tessera_module_load("/bin/worker.wasm", 16);
 *     static const char description[] = "argument=worker\0" "handle=log\0";
 *     uint32_t log = ...;
 *     int32_t worker = tessera_process_create(module, description, sizeof(description) - 1, &log, 1);
 *     tessera_process_start(worker);
 *     tessera_wait_one(worker, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
 *
 * and in the worker: uint32_t log = tessera_handle_named("log", 3). */

/* A module, compiled from `length` bytes of WebAssembly; the same bytes are compiled once for all programs. Returns the
 * handle, with all rights. -TESSERA_EMODULE: refused; -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(module_create)
int32_t tessera_module_create(const void *bytes, uint32_t length);

/* The same from a file below one of this program's directories. -TESSERA_ENOTFOUND, -TESSERA_EIO, -TESSERA_EINVALID:
 * the file. */
TESSERA_IMPORT(module_load)
int32_t tessera_module_load(const char *path, uint32_t length);

/* A program made of a module, which does not run yet. Returns the handle, with all rights. The `count` handles (at most
 * TESSERA_MESSAGE_HANDLES) leave this program and become the new one's; each needs TRANSFER. With its last handle a
 * program is killed. Needs EXECUTE of the module. -TESSERA_EINVALID: the description; -TESSERA_EHANDLE,
 * -TESSERA_ERIGHT: also one of the handles; -TESSERA_ELIMIT: more than this program may lend; -TESSERA_ENOMEMORY.
 *
 * `description` is `bytes` bytes of fields, each "key=value" ended by a NUL byte:
 *     name=TEXT          in messages
 *     argument=TEXT      one for each, argv[0] first
 *     environment=K=V    one for each
 *     directory=NAME     hand on the caller's own directory of exactly this name
 *     streams=1          hand on the caller's own standard streams, if they are the machine's
 *     handle=NAME        the name under which the new program finds a handle; as many as there are, in their order
 *     timeout=NANOSECONDS  time limit
 * and what it may use at most, which this program may use no more, until the other one has ended:
 *     memory=BYTES       of linear memories and large tables; else half of what is left
 *     objects=BYTES      of the kernel, for its objects; else a quarter of what is left
 *     handles=COUNT      at a time; else a quarter
 *     threads=COUNT      at a time, the first included; else a quarter, and at most 64. A program has at most 256 beside
 *                        its first
 *     share=NUMBER       of the CPUs: a program that nobody gave another has 65536; else a sixteenth of what is left
 *     priority=NUMBER    the highest of its threads, a TESSERA_PRIORITY_* up to this program's own; else NORMAL, or that.
 *                        A program that gets the system's handle at boot has HIGH
 *
 * Names of handles that mean something: "system", "clock" and "port" are TESSERA_SYSTEM, TESSERA_CLOCK and TESSERA_PORT,
 * too. To a client end of a port that is called as an interface, imports of that interface are bound. "stdin", "stdout"
 * and "stderr", ends of channels, are the program's standard streams. What is neither a channel nor given on by `streams`
 * answers with ENOTCAPABLE.
 *
 * What is written to such a stream arrives as messages, in pieces of a quarter of the channel's room at most, and waits
 * when there is none; what is read are the bytes of the messages, one behind the other, whatever their length. When the
 * other end is gone, a read has come to the end and a write fails with EPIPE. Handles in messages are closed. The handle
 * is the file descriptor's, and closed with it. So a pipe between two programs is a channel of which each has one end. */
TESSERA_IMPORT(process_create)
int32_t tessera_process_create(uint32_t module, const char *description, uint32_t bytes, const uint32_t *handles,
                               uint32_t count);

/* Let it run. Needs EXECUTE. -TESSERA_EBUSY: it was started, or killed. One that was not started ends with the program that
 * made it. */
TESSERA_IMPORT(process_start)
int32_t tessera_process_start(uint32_t process);

/* End it where it is. TESSERA_SIGNAL_EXITED is set when it did. Needs MANAGE. */
TESSERA_IMPORT(process_kill)
int32_t tessera_process_kill(uint32_t process);

enum {
    TESSERA_PROCESS_CREATED = 0,
    TESSERA_PROCESS_RUNNING = 1,
    TESSERA_PROCESS_EXITED = 2,  /* exit_status is its own */
    TESSERA_PROCESS_TRAPPED = 3, /* reason says how; "killed" too */
    TESSERA_PROCESS_REFUSED = 4, /* its module could not be instantiated, or is no program */
};

struct tessera_process_status {
    uint32_t state;
    uint32_t exit_status;
    uint32_t conventional_status; /* 0 to 255 by convention, 134 after a trap, 137 when killed, 124 at its time limit,
                                     126 refused */
    uint32_t id;                  /* as in the list of processes; 0: it never ran */
    char reason[64];              /* terminated */
};

/* Write the first `bytes` bytes; returns how many were written. Needs INSPECT. */
TESSERA_IMPORT(process_status)
int32_t tessera_process_status(uint32_t process, struct tessera_process_status *buffer, uint32_t bytes);

/* What it uses now, as in the list of processes: the first `bytes` bytes; returns how many were written. Needs INSPECT.
 * -TESSERA_EBUSY: it does not run yet, or no more. */
TESSERA_IMPORT(process_information)
int32_t tessera_process_information(uint32_t process, struct tessera_process_information *buffer, uint32_t bytes);

/* The handle that this program was started with under a name. -TESSERA_ENOTFOUND. */
TESSERA_IMPORT(handle_named)
int32_t tessera_handle_named(const char *name, uint32_t length);

/* ---- Threads ----
 * A program whose module imports a shared memory and exports wasi_thread_start (wasi-threads; sdk/threads for C) may have
 * further threads. One that tessera_thread_create starts is an object: TESSERA_SIGNAL_EXITED is set when it has ended. With
 * its last handle nothing happens to it. When the first thread returns, or any of them traps or ends the program, all
 * end.
 *
 * A thread that is killed ends alone, wherever it is: at any instruction, in any host call that waits. What it had locked
 * in the program's memory stays locked. Only the first thread's end is the program's. */

/* Start a thread: wasi_thread_start(number, argument) in an instance of its own. Returns the handle, with all rights.
 * -TESSERA_ELIMIT: as many as the program may have are there; -TESSERA_ENOTSUPPORTED: the module is not made for it;
 * -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(thread_create)
int32_t tessera_thread_create(uint32_t argument);

/* A handle to the calling thread, also to the first one, with all rights. -TESSERA_ELIMIT, -TESSERA_ENOMEMORY;
 * -TESSERA_ENOTSUPPORTED: the thread runs outside of a program. */
TESSERA_IMPORT(thread_self)
int32_t tessera_thread_self(void);

/* End it where it is; nothing if it has ended. Needs MANAGE. */
TESSERA_IMPORT(thread_kill)
int32_t tessera_thread_kill(uint32_t thread);

/* It executes no further instruction of the program until it is resumed; a host call that it is in goes on to its end.
 * Suspending does not add up. Both need MANAGE. -TESSERA_EPEER: it has ended. */
TESSERA_IMPORT(thread_suspend)
int32_t tessera_thread_suspend(uint32_t thread);
TESSERA_IMPORT(thread_resume)
int32_t tessera_thread_resume(uint32_t thread);

/* Priorities are strict: a thread runs on its CPU only while none of a higher priority can. Threads begin as NORMAL, or
 * with the highest that their program may use. */
enum {
    TESSERA_PRIORITY_BACKGROUND = 0,
    TESSERA_PRIORITY_NORMAL = 1,
    TESSERA_PRIORITY_HIGH = 2,
    TESSERA_PRIORITY_URGENT = 3,
};

/* Needs MANAGE. -TESSERA_ERIGHT: also when the program may not use it; -TESSERA_EINVALID: there is no such priority;
 * -TESSERA_EPEER: it has ended. */
TESSERA_IMPORT(thread_set_priority)
int32_t tessera_thread_set_priority(uint32_t thread, uint32_t priority);

/* The CPUs that it may run on, as bits; if none of them is there, all. Needs MANAGE. -TESSERA_EINVALID: 0;
 * -TESSERA_EBUSY: threads of a program with a collected heap stay together; -TESSERA_EPEER: it has ended. */
TESSERA_IMPORT(thread_set_affinity)
int32_t tessera_thread_set_affinity(uint32_t thread, uint64_t cpus);

enum {
    TESSERA_THREAD_CREATED = 0,
    TESSERA_THREAD_RUNNING = 1, /* or it could */
    TESSERA_THREAD_WAITING = 2,
    TESSERA_THREAD_SUSPENDED = 3,
    TESSERA_THREAD_EXITED = 4,
};

struct tessera_thread_information {
    uint32_t state;
    uint32_t process;         /* its number */
    uint32_t number;          /* as wasi_thread_start was told; 0: the first thread */
    uint32_t priority;
    uint64_t affinity;
    uint64_t cpu_nanoseconds; /* in steps of 1 ms for who has no clock */
    char reason[64];          /* how it ended: "returned", "killed", a trap; terminated */
};

/* Write the first `bytes` bytes; returns how many were written. Needs INSPECT. */
TESSERA_IMPORT(thread_information)
int32_t tessera_thread_information(uint32_t thread, struct tessera_thread_information *buffer, uint32_t bytes);

/* ---- Memory objects ---- */

#define TESSERA_PAGE_BYTES 4096

/* A memory object of so many bytes, in whole pages, all zero. Returns the handle, with all rights. -TESSERA_EINVALID:
 * not in pages, or more than 4 GiB; -TESSERA_ELIMIT, -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(memory_create)
int32_t tessera_memory_create(uint64_t bytes);

/* Its bytes. Needs INSPECT. */
TESSERA_IMPORT(memory_size)
int64_t tessera_memory_size(uint32_t memory);

#define TESSERA_MAP_WRITE 1u /* stores are seen by all who show it; needs WRITE, too */
#define TESSERA_MAP_COPY  2u /* stores stay here; what others store may be seen until the first store to a page */

/* Show a part of a memory object in this program's memory, in place of what was there: `address`, `offset` and `bytes`
 * in whole pages. A store to a mapping without flags, and every access after the handle (or one that it came from) was
 * revoked, end the program. A mapping stays when its handle is closed. Needs MAP and READ. -TESSERA_EINVALID: outside,
 * or this memory is imported or shared by threads; -TESSERA_EEXISTS: there is a mapping; -TESSERA_ELIMIT: more than 64;
 * -TESSERA_ENOMEMORY. */
TESSERA_IMPORT(memory_map)
int32_t tessera_memory_map(uint32_t memory, void *address, uint64_t offset, uint32_t bytes, uint32_t flags);

/* End the mapping that begins there: zeros. Also for one that was revoked. -TESSERA_ENOTFOUND; -TESSERA_ENOMEMORY: the
 * place cannot be touched. */
TESSERA_IMPORT(memory_unmap)
int32_t tessera_memory_unmap(void *address);

#endif
