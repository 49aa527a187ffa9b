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
#else /* the kernel reads the structures and numbers */
#define TESSERA_IMPORT(function_name)
#endif

/* Handles that programs know by their numbers, if they have them. */
#define TESSERA_SYSTEM 1u /* the system: information, and starting programs */
#define TESSERA_CLOCK  2u /* the clock: time that is finer than 1 ms */

enum {
    TESSERA_EHANDLE = 1,   /* no such handle */
    TESSERA_EINVALID = 2,  /* arguments make no sense */
    TESSERA_ENOTFOUND = 3, /* no such file */
    TESSERA_ENOMEMORY = 4,
    TESSERA_EIO = 5,           /* the file cannot be read */
    TESSERA_ERIGHT = 6,        /* the handle does not have a right that is needed */
    TESSERA_ELIMIT = 7,        /* a limit of the program is reached: handles, memory, threads */
    TESSERA_EAGAIN = 8,        /* not now; there is a signal that tells when */
    TESSERA_EPEER = 9,         /* the other end is gone */
    TESSERA_ETIMEOUT = 10,     /* the deadline came first */
    TESSERA_ETOOLARGE = 11,    /* does not fit */
    TESSERA_EEXISTS = 12,
    TESSERA_EBUSY = 13,        /* in a state in which this cannot be done */
    TESSERA_ENOTSUPPORTED = 14,
    TESSERA_EMODULE = 15,      /* the module is refused, or its imports cannot be satisfied */
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
};

/* ---- Handles ---- */

/* Give a handle up. Handles that were duplicated from it stay as they are. With the last handle to it an object ends. */
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

/* Write the first `bytes` bytes of what the kernel says about a handle to `buffer`; returns how many were written. Needs
 * no right. */
TESSERA_IMPORT(handle_information)
int32_t tessera_handle_information(uint32_t handle, struct tessera_handle_information *buffer, uint32_t bytes);

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

/* Run a program to its end and return its exit status: 0 to 255 by convention, 134 after a trap (the report goes to the
 * error stream), 126 when it is no program that can be started. It shares this program's standard streams. Needs EXECUTE.
 * -TESSERA_EINVALID: the description is wrong; -TESSERA_ENOTFOUND, -TESSERA_EIO: the file; -TESSERA_ENOMEMORY.
 *
 * `description` is `bytes` bytes of fields, each "key=value" ended by a NUL byte:
 *     module=PATH        the .wasm file, by a path in one of the caller's own directories; required
 *     argument=TEXT      one for each, argv[0] first
 *     environment=K=V    one for each
 *     directory=NAME     hand on the caller's own directory of exactly this name
 *     memory=BYTES       limit of linear memory, decimal
 *     timeout=NANOSECONDS  time limit, decimal */
TESSERA_IMPORT(process_run)
int32_t tessera_process_run(uint32_t handle, const char *description, uint32_t bytes);

#endif
