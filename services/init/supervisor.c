#include "services/init/supervisor.h"

#include <stdio.h>

/* A service that is started by calls and ends so often in a row, soon, without a failure, cannot answer them. */
#define DEMANDED_ENDS 5

const char *const service_state_texts[] = {
#define SERVICE_STATE(NAME, text) text,
    SERVICE_STATES(SERVICE_STATE)
#undef SERVICE_STATE
};

static bool requires_unit(const struct supervisor *supervisor, unsigned unit, unsigned other)
{
    return supervisor->manifest->units[unit].required >> other & 1;
}

static bool has_process(const struct service *service)
{
    return service->state == SERVICE_RUNNING || service->state == SERVICE_STOPPING;
}

static void enter(struct supervisor *supervisor, unsigned unit, enum service_state state, uint64_t deadline)
{
    struct service *service = &supervisor->services[unit];
    service->state = state;
    service->since = supervisor->now;
    service->deadline = deadline;
    supervisor->actions->calls(supervisor->context, unit, state);
}

static void note(struct supervisor *supervisor, unsigned unit, bool warning, const char *text)
{
    supervisor->actions->note(supervisor->context, unit, warning, text);
}

/* ---- Starting ---- */

static bool requirements_run(const struct supervisor *supervisor, unsigned unit)
{
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        enum service_state state = supervisor->services[i].state;
        if (requires_unit(supervisor, unit, i) && state != SERVICE_RUNNING && state != SERVICE_IDLE &&
            state != SERVICE_ENDED) {
            return false;
        }
    }
    return true;
}

static bool requirement_failed(const struct supervisor *supervisor, unsigned unit)
{
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        enum service_state state = supervisor->services[i].state;
        if (requires_unit(supervisor, unit, i) && (state == SERVICE_FAILED || state == SERVICE_DOWN)) {
            return true;
        }
    }
    return false;
}

static void fail(struct supervisor *supervisor, unsigned unit, const char *why)
{
    enter(supervisor, unit, SERVICE_FAILED, SUPERVISOR_NEVER);
    note(supervisor, unit, true, why);
}

static void start(struct supervisor *supervisor, unsigned unit)
{
    struct service *service = &supervisor->services[unit];
    service->starts++;
    service->started = supervisor->now;
    service->killed = false;
    if (supervisor->actions->start(supervisor->context, unit)) {
        enter(supervisor, unit, SERVICE_RUNNING, SUPERVISOR_NEVER);
        return;
    }
    if (service->on_trial) { /* the module before could be started */
        service->on_trial = false;
        supervisor->actions->exchange(supervisor->context, unit, true);
        note(supervisor, unit, true, "the new module cannot be started; back to the one before");
        start(supervisor, unit);
        return;
    }
    fail(supervisor, unit, "cannot be started");
}

/* Whoever waits and can run now, or never will. Each round starts or fails one, so there are no more than units. */
static void settle(struct supervisor *supervisor)
{
    for (bool progress = true; progress;) {
        progress = false;
        for (unsigned i = 0; i < supervisor->manifest->count && !progress; i++) {
            if (supervisor->services[i].state != SERVICE_WAITING) {
                continue;
            }
            progress = true;
            if (requirement_failed(supervisor, i)) {
                fail(supervisor, i, "a unit that it requires does not run");
            } else if (requirements_run(supervisor, i)) {
                start(supervisor, i);
            } else {
                progress = false;
            }
        }
    }
}

static bool is_at_rest(const struct service *service)
{
    return service->state == SERVICE_DOWN || service->state == SERVICE_FAILED || service->state == SERVICE_IDLE ||
           service->state == SERVICE_ENDED;
}

/* The unit is wanted from now on, and so are those that it requires. */
static void want(struct supervisor *supervisor, unsigned unit)
{
    struct service *service = &supervisor->services[unit];
    if (service->state == SERVICE_STOPPING) {
        service->wanted = true;
    } else if (is_at_rest(service)) {
        service->in_a_row = service->state == SERVICE_IDLE ? service->in_a_row : 0;
        enter(supervisor, unit, SERVICE_WAITING, SUPERVISOR_NEVER);
    } else {
        return; /* it runs, or will; so do those that it requires */
    }
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        if (requires_unit(supervisor, unit, i) && supervisor->services[i].state != SERVICE_ENDED) {
            want(supervisor, i);
        }
    }
}

void supervisor_begin(struct supervisor *supervisor, const struct manifest *manifest,
                      const struct supervisor_actions *actions, void *context, uint64_t now)
{
    *supervisor = (struct supervisor){.manifest = manifest, .actions = actions, .context = context, .now = now};
    for (unsigned i = 0; i < manifest->count; i++) {
        bool demand = manifest->units[i].start == START_DEMAND;
        enter(supervisor, i, demand ? SERVICE_IDLE : SERVICE_DOWN, SUPERVISOR_NEVER);
    }
    for (unsigned i = 0; i < manifest->count; i++) {
        if (manifest->units[i].start == START_BOOT) {
            want(supervisor, i);
        }
    }
    settle(supervisor);
}

void supervisor_start(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    supervisor->now = now;
    want(supervisor, unit);
    settle(supervisor);
}

void supervisor_called(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    if (supervisor->services[unit].state == SERVICE_IDLE) {
        supervisor_start(supervisor, unit, now);
    }
}

/* ---- Deaths ---- */

/* It died by itself and is to run again: at once the first time, later and later when it dies again soon. */
static void delay(struct supervisor *supervisor, unsigned unit)
{
    struct service *service = &supervisor->services[unit];
    const struct unit *description = &supervisor->manifest->units[unit];
    service->in_a_row++;
    if (description->start_limit && service->in_a_row >= description->start_limit) {
        fail(supervisor, unit, "it died too often in a row");
        return;
    }
    if (service->in_a_row == 1) {
        service->delay = 0;
    } else if (service->in_a_row == 2) {
        service->delay = description->restart_delay;
    } else {
        service->delay = service->delay * 2 < description->restart_delay_maximum ? service->delay * 2
                                                                                 : description->restart_delay_maximum;
    }
    if (service->delay) {
        enter(supervisor, unit, SERVICE_DELAYED, supervisor->now + service->delay);
    } else {
        enter(supervisor, unit, SERVICE_WAITING, SUPERVISOR_NEVER);
    }
}

static void note_death(struct supervisor *supervisor, unsigned unit, int status)
{
    const struct service *service = &supervisor->services[unit];
    char text[80];
    if (service->state == SERVICE_STOPPING || service->killed) {
        snprintf(text, sizeof(text), "%s (status %d)", service->state == SERVICE_STOPPING ? "stopped" : "killed",
                 status);
    } else {
        snprintf(text, sizeof(text), "ended with status %d", status);
    }
    note(supervisor, unit, status != 0 && !service->killed, text);
}

static bool lived_long(const struct supervisor *supervisor, unsigned unit)
{
    return supervisor->now - supervisor->services[unit].started >= supervisor->manifest->units[unit].restart_reset;
}

static void died(struct supervisor *supervisor, unsigned unit, int status)
{
    struct service *service = &supervisor->services[unit];
    const struct unit *description = &supervisor->manifest->units[unit];
    bool long_life = lived_long(supervisor, unit);
    bool failed = status != 0;
    bool useless = failed || description->offers.count; /* a service does not end by itself */
    if (service->on_trial && useless && !service->killed && !long_life) {
        supervisor->actions->exchange(supervisor->context, unit, true);
        note(supervisor, unit, true, "the new module failed; back to the one before");
        service->on_trial = false;
        enter(supervisor, unit, SERVICE_WAITING, SUPERVISOR_NEVER);
        return;
    }
    service->on_trial = service->on_trial && !long_life;
    if (long_life || service->killed) {
        service->in_a_row = 0;
    }
    bool again = description->restart == RESTART_ALWAYS || (description->restart == RESTART_ON_FAILURE && failed);
    if (again) {
        delay(supervisor, unit);
    } else if (failed && !service->killed) {
        fail(supervisor, unit, "is not to be started again");
    } else if (description->start == START_DEMAND && ++service->in_a_row >= DEMANDED_ENDS) {
        fail(supervisor, unit, "it ends whenever it is called");
    } else {
        enter(supervisor, unit,
              description->start == START_DEMAND ? SERVICE_IDLE
              : failed                           ? SERVICE_DOWN
                                                 : SERVICE_ENDED,
              SUPERVISOR_NEVER);
    }
}

static void stop_asked(struct supervisor *supervisor, unsigned unit, bool again);
static bool is_required_by_process(const struct supervisor *supervisor, unsigned unit);

/* Stopping goes from those that require to those that are required: whoever waited for this one's end goes next. */
static void go_on_stopping(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        struct service *service = &supervisor->services[i];
        if (service->state == SERVICE_STOPPING && service->deadline == SUPERVISOR_NEVER &&
            !is_required_by_process(supervisor, i)) {
            stop_asked(supervisor, i, service->wanted);
        }
    }
}

void supervisor_exited(struct supervisor *supervisor, unsigned unit, int status, uint64_t now)
{
    struct service *service = &supervisor->services[unit];
    supervisor->now = now;
    if (!has_process(service)) {
        return;
    }
    service->last_status = status;
    note_death(supervisor, unit, status);
    if (service->state == SERVICE_RUNNING) {
        died(supervisor, unit, status);
    } else {
        if (service->exchanges) {
            service->on_trial = service->on_trial && !lived_long(supervisor, unit);
            supervisor->actions->exchange(supervisor->context, unit, false);
            service->exchanges = false;
            service->on_trial = true;
        }
        enter(supervisor, unit, service->wanted ? SERVICE_WAITING : SERVICE_DOWN, SUPERVISOR_NEVER);
        service->in_a_row = 0;
        go_on_stopping(supervisor);
    }
    settle(supervisor);
}

/* ---- Stopping ---- */

static bool is_required_by_process(const struct supervisor *supervisor, unsigned unit)
{
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        if (requires_unit(supervisor, i, unit) && has_process(&supervisor->services[i]) &&
            supervisor->services[i].state == SERVICE_STOPPING) {
            return true;
        }
    }
    return false;
}

/* The process itself, whatever requires it. */
static void stop_asked(struct supervisor *supervisor, unsigned unit, bool again)
{
    struct service *service = &supervisor->services[unit];
    service->wanted = again;
    service->killed = true;
    enter(supervisor, unit, SERVICE_STOPPING, supervisor->now + supervisor->manifest->units[unit].stop_timeout);
    if (!supervisor->actions->ask(supervisor->context, unit)) {
        service->deadline = SUPERVISOR_NEVER - 1;
        supervisor->actions->kill(supervisor->context, unit);
    }
}

static void stop(struct supervisor *supervisor, unsigned unit)
{
    struct service *service = &supervisor->services[unit];
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        const struct service *other = &supervisor->services[i];
        if (requires_unit(supervisor, i, unit) && !is_at_rest(other) &&
            !(other->state == SERVICE_STOPPING && !other->wanted)) {
            stop(supervisor, i);
        }
    }
    service->wanted = false;
    if (service->state == SERVICE_STOPPING) {
        supervisor->actions->calls(supervisor->context, unit, SERVICE_STOPPING);
    } else if (service->state != SERVICE_RUNNING) {
        enter(supervisor, unit, SERVICE_DOWN, SUPERVISOR_NEVER);
    } else if (is_required_by_process(supervisor, unit)) {
        enter(supervisor, unit, SERVICE_STOPPING, SUPERVISOR_NEVER); /* go_on_stopping */
    } else {
        stop_asked(supervisor, unit, false);
    }
}

void supervisor_stop(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    supervisor->now = now;
    stop(supervisor, unit);
    settle(supervisor);
}

void supervisor_stop_all(struct supervisor *supervisor, uint64_t now)
{
    supervisor->now = now;
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        stop(supervisor, i);
    }
}

bool supervisor_all_down(const struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        if (has_process(&supervisor->services[i])) {
            return false;
        }
    }
    return true;
}

/* ---- Restarting, replacing, killing: the others stay as they are, and their calls wait ---- */

void supervisor_restart(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    supervisor->now = now;
    if (supervisor->services[unit].state == SERVICE_RUNNING) {
        stop_asked(supervisor, unit, true);
    } else {
        want(supervisor, unit);
    }
    settle(supervisor);
}

void supervisor_replace(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    struct service *service = &supervisor->services[unit];
    supervisor->now = now;
    if (service->state == SERVICE_RUNNING) {
        service->exchanges = true;
        stop_asked(supervisor, unit, true);
    } else if (service->state == SERVICE_STOPPING) {
        service->exchanges = true;
    } else {
        supervisor->actions->exchange(supervisor->context, unit, false);
        service->on_trial = true;
    }
}

void supervisor_kill(struct supervisor *supervisor, unsigned unit, uint64_t now)
{
    supervisor->now = now;
    if (has_process(&supervisor->services[unit])) {
        supervisor->services[unit].killed = true;
        supervisor->actions->kill(supervisor->context, unit);
    }
}

/* ---- Time ---- */

uint64_t supervisor_deadline(const struct supervisor *supervisor)
{
    uint64_t first = SUPERVISOR_NEVER;
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        const struct service *service = &supervisor->services[i];
        if (service->deadline < first && service->deadline != SUPERVISOR_NEVER - 1) {
            first = service->deadline;
        }
    }
    return first;
}

void supervisor_tick(struct supervisor *supervisor, uint64_t now)
{
    supervisor->now = now;
    for (unsigned i = 0; i < supervisor->manifest->count; i++) {
        struct service *service = &supervisor->services[i];
        if (service->deadline > now) {
            continue;
        }
        if (service->state == SERVICE_DELAYED) {
            enter(supervisor, i, SERVICE_WAITING, SUPERVISOR_NEVER);
        } else if (service->state == SERVICE_STOPPING) {
            service->deadline = SUPERVISOR_NEVER - 1; /* killed; its end is on its way */
            note(supervisor, i, true, "did not end when it was asked to; it is killed");
            supervisor->actions->kill(supervisor->context, i);
        }
    }
    settle(supervisor);
}
