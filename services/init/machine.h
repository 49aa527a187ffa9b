/* What the decisions of the supervisor come to: processes, ports and waiting, by the interface "tessera".
 *
 * Each unit that offers something has one port for as long as the manager lives. The manager keeps a handle to it, from
 * which it lends one to each process of the unit in turn: so calls that come while there is none wait, and clients'
 * ends stay valid. Revoking what was lent takes a process out of service, after the call that it works for. */
#ifndef SERVICES_INIT_MACHINE_H
#define SERVICES_INIT_MACHINE_H

#include "services/init/supervisor.h"

/* What a unit's client end of the manager's own port is for: bits of its badge, above the unit's number + 1. */
enum {
    BADGE_UNIT = 0xffff,
    BADGE_STATUS = 1 << 16,
    BADGE_CONTROL = 1 << 17,
    BADGE_NAMES = 1 << 18,
};
#define MANAGER_INTERFACES "tessera:init/"

struct machine_unit {
    int32_t port, keeper;  /* and a client end of it, so that a process never thinks that all clients are gone */
    int32_t lent;          /* what its process's handle to the port is derived from; 0: none */
    int32_t state;         /* the memory object that its processes have one after the other; 0: none yet */
    int32_t lent_state;    /* what its process's handle to that is derived from; 0: none */
    int32_t process;       /* 0: none */
    int32_t module;        /* 0: not loaded yet */
    int32_t next_module;   /* that it will be replaced by; 0: none */
    int32_t proven_module; /* to which it goes back when `module` does not pass its trial; 0: none */
    int32_t port_entry, process_entry; /* of the wait set; -1: none */
    uint64_t died;                     /* when its process was killed, or its end was noticed */
    uint64_t worst; /* longest time from there to the next start, nanoseconds, but for delays that were wanted */
    bool delayed;
};

#define NOTES      256 /* kept */
#define NOTE_BYTES 120
struct note {
    uint64_t time;
    bool warning;
    char text[NOTE_BYTES];
};

extern struct manifest manifest;
extern struct supervisor supervisor;
extern struct machine_unit machine_units[MANIFEST_UNITS];
extern struct note notes[NOTES]; /* note N at N % NOTES */
extern uint64_t note_count;

uint64_t machine_now(void);
/* `verbose`: notes go to the error stream, too. False: the kernel refuses what is needed. */
bool machine_begin(bool verbose);
/* Run the units until everything was stopped; the exit status. */
int machine_run(void);
/* Stop everything; machine_run then returns `status`. */
void machine_end(int status);
/* The module for the next exchange. False: it cannot be had. */
bool machine_load_next(unsigned unit, const char *path);

/* ---- control.c: the manager's own interfaces ---- */

/* Answer the calls that wait at the manager's port. */
void control_serve(int32_t port);

#endif
