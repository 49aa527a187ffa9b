/* What becomes of each service: started in order, when it is first called, again when it died; stopped, replaced.
 *
 * This is the decision alone. What happens is told by calling the functions below; what is to be done goes out through
 * `struct supervisor_actions`; and time is what the caller says it is. So it runs natively in a test, with a clock of
 * the test's own.
 *
 *     DOWN       not wanted: by Start=manual, or by `stop`. Calls are refused.
 *     IDLE       started by the first call
 *     WAITING    wanted; units that it requires do not run yet. Calls wait.
 *     RUNNING
 *     ENDED      did what it had to, and ended with status 0; whoever requires it may run. Calls are refused.
 *     STOPPING   asked to end, or killed; has not ended yet. Calls wait if it is to be started again.
 *     DELAYED    died and is started again when its time has come. Calls wait.
 *     FAILED     died too often, or cannot be started. Calls are refused.
 *
 * Callers' ends of a service's port stay valid through all of that: the port is the manager's, and a process serves it
 * for as long as it lives. */
#ifndef SERVICES_INIT_SUPERVISOR_H
#define SERVICES_INIT_SUPERVISOR_H

#include "services/init/manifest.h"

#define SERVICE_STATES(X)                                                                                              \
    X(DOWN, "down")                                                                                                    \
    X(IDLE, "idle")                                                                                                    \
    X(WAITING, "waiting")                                                                                              \
    X(RUNNING, "running")                                                                                              \
    X(STOPPING, "stopping")                                                                                            \
    X(DELAYED, "delayed")                                                                                              \
    X(ENDED, "ended")                                                                                                  \
    X(FAILED, "failed")

enum service_state {
#define SERVICE_STATE(NAME, text) SERVICE_##NAME,
    SERVICE_STATES(SERVICE_STATE)
#undef SERVICE_STATE
};

extern const char *const service_state_texts[];

#define SUPERVISOR_NEVER UINT64_MAX

struct supervisor_actions {
    /* Start a process for the unit. False: that is not possible. */
    bool (*start)(void *context, unsigned unit);
    /* Ask its process to end: no further call reaches it, and the one that it works for is answered. False: it has no
     * port and cannot be asked. */
    bool (*ask)(void *context, unsigned unit);
    void (*kill)(void *context, unsigned unit);
    /* What becomes of calls that wait at the unit's port while nobody serves it: told whenever that changes. */
    void (*calls)(void *context, unsigned unit, enum service_state state);
    /* From now on its module is the one that it was replaced by; or (`back`) the last one that was not on trial. */
    void (*exchange)(void *context, unsigned unit, bool back);
    /* Something that whoever looks after the system wants to know. */
    void (*note)(void *context, unsigned unit, bool warning, const char *text);
};

struct service {
    enum service_state state;
    bool wanted;    /* is to run again after STOPPING */
    bool exchanges; /* with another module */
    bool on_trial;  /* runs with a module that it was replaced by, for less than restart_reset */
    bool killed;    /* on purpose: its death is no failure */
    uint64_t since; /* when it came into its state */
    uint64_t started;
    uint64_t deadline; /* STOPPING: when it is killed; DELAYED: when it is started */
    uint64_t delay;    /* of the next start after a failure */
    uint64_t in_a_row; /* failures without a longer life between them */
    uint64_t starts;   /* in all */
    int last_status;   /* of the last process that ended */
};

struct supervisor {
    const struct manifest *manifest;
    const struct supervisor_actions *actions;
    void *context;
    uint64_t now; /* monotonic nanoseconds; set by each function that takes it */
    struct service services[MANIFEST_UNITS];
};

/* Start what is to be started at boot. The pointers are kept. */
void supervisor_begin(struct supervisor *supervisor, const struct manifest *manifest,
                      const struct supervisor_actions *actions, void *context, uint64_t now);

/* The unit's process ended; `failed`: not with status 0. */
void supervisor_exited(struct supervisor *supervisor, unsigned unit, int status, uint64_t now);
/* A call waits at its port, which `calls` said to look for (IDLE). */
void supervisor_called(struct supervisor *supervisor, unsigned unit, uint64_t now);
/* The time of supervisor_deadline has come; harmless earlier. */
void supervisor_tick(struct supervisor *supervisor, uint64_t now);
/* When to call supervisor_tick; SUPERVISOR_NEVER. */
uint64_t supervisor_deadline(const struct supervisor *supervisor);

/* What people ask for. Starting a unit starts those that it requires; stopping one stops those that require it, first.
 * Replacing is for a unit that runs (else the next start takes the new module): calls that come meanwhile wait for it.
 * If the new module ends within RestartResetSec with a failure, the one before comes back. */
void supervisor_start(struct supervisor *supervisor, unsigned unit, uint64_t now);
void supervisor_stop(struct supervisor *supervisor, unsigned unit, uint64_t now);
void supervisor_restart(struct supervisor *supervisor, unsigned unit, uint64_t now);
void supervisor_replace(struct supervisor *supervisor, unsigned unit, uint64_t now);
/* Its process is to die now; it counts as a failure of nobody, and the unit's restart policy decides what follows. */
void supervisor_kill(struct supervisor *supervisor, unsigned unit, uint64_t now);
/* All, in the opposite order of their requirements. */
void supervisor_stop_all(struct supervisor *supervisor, uint64_t now);
bool supervisor_all_down(const struct supervisor *supervisor);

#endif
