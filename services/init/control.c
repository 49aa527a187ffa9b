/* The manager's own interfaces (interfaces/init.wit). Who may call which is in the badge of his client end. */
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/init_manager.h"
#include "sdk/tessera.h"
#include "services/init/machine.h"

static int32_t served_port;

void control_serve(int32_t port)
{
    served_port = port;
    tessera_port_serve_until((uint32_t)port, 0);
}

static bool caller_may(uint64_t what)
{
    uint64_t badge = 0;
    return tessera_port_caller((uint32_t)served_port, &badge) == 0 && (badge & what);
}

/* ---- status ---- */

bool exports_status_units(exports_status_list_unit_t *list, exports_status_problem_t *problem)
{
    uint64_t now = machine_now();
    *problem = EXPORTS_STATUS_PROBLEM_UNAVAILABLE;
    if (!caller_may(BADGE_STATUS)) {
        return false;
    }
    list->len = 0;
    list->ptr = calloc(manifest.count + 1, sizeof(*list->ptr));
    for (unsigned i = 0; list->ptr && i < manifest.count; i++) {
        const struct service *service = &supervisor.services[i];
        exports_status_unit_t *unit = &list->ptr[list->len++];
        struct tessera_process_status status = {0};
        if (machine_units[i].process) {
            tessera_process_status((uint32_t)machine_units[i].process, &status, sizeof(status));
        }
        init_manager_string_dup(&unit->name, manifest.units[i].name);
        init_manager_string_dup(&unit->description, manifest.units[i].description);
        unit->state = (exports_status_state_t)service->state;
        unit->process = status.id;
        unit->starts = service->starts;
        unit->milliseconds = (now - service->since) / 1000000;
        unit->last_status = service->last_status;
        unit->worst_microseconds = machine_units[i].worst / 1000;
    }
    return true;
}

/* The WIT's order of states is the supervisor's. */
_Static_assert(EXPORTS_STATUS_STATE_DOWN == SERVICE_DOWN && EXPORTS_STATUS_STATE_IDLE == SERVICE_IDLE &&
                   EXPORTS_STATUS_STATE_WAITING == SERVICE_WAITING && EXPORTS_STATUS_STATE_RUNNING == SERVICE_RUNNING &&
                   EXPORTS_STATUS_STATE_STOPPING == SERVICE_STOPPING &&
                   EXPORTS_STATUS_STATE_DELAYED == SERVICE_DELAYED && EXPORTS_STATUS_STATE_ENDED == SERVICE_ENDED &&
                   EXPORTS_STATUS_STATE_FAILED == SERVICE_FAILED,
               "states");

/* ---- control ---- */

/* The unit that the caller names, whose text is freed. False: he may not, or there is none. */
static bool find(init_manager_string_t *name, unsigned *number, exports_control_problem_t *problem)
{
    char text[MANIFEST_NAME + 1] = "";
    if (name->len <= MANIFEST_NAME) {
        memcpy(text, name->ptr, name->len);
    }
    init_manager_string_free(name);
    const struct unit *unit = manifest_find(&manifest, text);
    *problem = caller_may(BADGE_CONTROL) ? EXPORTS_CONTROL_PROBLEM_UNKNOWN : EXPORTS_CONTROL_PROBLEM_UNAVAILABLE;
    *number = unit ? (unsigned)(unit - manifest.units) : 0;
    return unit && *problem == EXPORTS_CONTROL_PROBLEM_UNKNOWN;
}

static bool obey(void (*command)(struct supervisor *, unsigned, uint64_t), init_manager_string_t *name,
                 exports_control_problem_t *problem)
{
    unsigned unit;
    bool found = find(name, &unit, problem);
    if (found) {
        command(&supervisor, unit, machine_now());
    }
    return found;
}

bool exports_control_start(init_manager_string_t *name, exports_control_problem_t *problem)
{
    return obey(supervisor_start, name, problem);
}

bool exports_control_stop(init_manager_string_t *name, exports_control_problem_t *problem)
{
    return obey(supervisor_stop, name, problem);
}

bool exports_control_restart(init_manager_string_t *name, exports_control_problem_t *problem)
{
    return obey(supervisor_restart, name, problem);
}

bool exports_control_kill(init_manager_string_t *name, exports_control_problem_t *problem)
{
    return obey(supervisor_kill, name, problem);
}

bool exports_control_replace(init_manager_string_t *name, init_manager_string_t *module,
                             exports_control_problem_t *problem)
{
    unsigned unit;
    char path[1024] = "";
    if (module->len < sizeof(path)) {
        memcpy(path, module->ptr, module->len);
    }
    init_manager_string_free(module);
    if (!find(name, &unit, problem)) {
        return false;
    }
    *problem = EXPORTS_CONTROL_PROBLEM_MODULE;
    if (!machine_load_next(unit, path)) {
        return false;
    }
    supervisor_replace(&supervisor, unit, machine_now());
    return true;
}

bool exports_control_shut_down(int32_t status, exports_control_problem_t *problem)
{
    *problem = EXPORTS_CONTROL_PROBLEM_UNAVAILABLE;
    bool may = caller_may(BADGE_CONTROL);
    if (may) {
        machine_end(status);
    }
    return may;
}

/* ---- names ---- */

bool exports_names_name_of(uint64_t badge, init_manager_string_t *name, exports_names_problem_t *problem)
{
    uint64_t unit = badge & BADGE_UNIT;
    *problem = caller_may(BADGE_NAMES) ? EXPORTS_NAMES_PROBLEM_UNKNOWN : EXPORTS_NAMES_PROBLEM_UNAVAILABLE;
    if (*problem != EXPORTS_NAMES_PROBLEM_UNKNOWN || !unit || unit > manifest.count) {
        return false;
    }
    init_manager_string_dup(name, manifest.units[unit - 1].name);
    return true;
}

bool exports_names_notes(uint64_t number, exports_names_tuple2_u64_list_note_t *result,
                         exports_names_problem_t *problem)
{
    *problem = EXPORTS_NAMES_PROBLEM_UNAVAILABLE;
    if (!caller_may(BADGE_NAMES)) {
        return false;
    }
    uint64_t first = note_count > NOTES ? note_count - NOTES : 0;
    number = number < first ? first : number > note_count ? note_count : number;
    result->f0 = note_count;
    result->f1.len = 0;
    result->f1.ptr = calloc(NOTES, sizeof(*result->f1.ptr));
    for (; result->f1.ptr && number < note_count; number++) {
        exports_names_note_t *to = &result->f1.ptr[result->f1.len++];
        to->time = notes[number % NOTES].time;
        to->warning = notes[number % NOTES].warning;
        init_manager_string_dup(&to->text, notes[number % NOTES].text);
    }
    return true;
}
