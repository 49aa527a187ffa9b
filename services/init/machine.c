#include "services/init/machine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define DESCRIPTION_BYTES 16384
#define REQUEST_BYTES     TESSERA_MESSAGE_BYTES
/* Of a unit that says nothing: so that as many units as there can be have it at once. */
#define HANDLES_USUAL 128
#define THREADS_USUAL 4
#define OBJECTS_USUAL (512 << 10) /* bytes of the kernel */
#define WEIGHT_USUAL  100
#define SHARE_OF_100  1000 /* of the 65536 that the manager was given */

enum { KEY_PORT, KEY_PROCESS, KEY_MANAGER }; /* above a unit's number in a wait key */
#define KEY(kind, unit) ((uint64_t)(kind) << 32 | (unit))

struct manifest manifest;
struct supervisor supervisor;
struct machine_unit machine_units[MANIFEST_UNITS];
struct note notes[NOTES];
uint64_t note_count;

static int32_t wait_set, manager_port, manager_keeper;
static bool ending, is_verbose;
static int end_status;

uint64_t machine_now(void)
{
    int64_t time = tessera_clock_read(TESSERA_CLOCK);
    return (uint64_t)(time < 0 ? tessera_time_coarse() : time);
}

/* ---- Notes ---- */

__attribute__((format(printf, 2, 3))) static void say(bool warning, const char *format, ...)
{
    struct note *entry = &notes[note_count++ % NOTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(entry->text, sizeof(entry->text), format, arguments);
    va_end(arguments);
    entry->time = machine_now();
    entry->warning = warning;
    if (is_verbose) {
        fprintf(stderr, "[%5" PRIu64 ".%06u] %-7s init: %s\n", entry->time / 1000000000,
                (unsigned)(entry->time % 1000000000 / 1000), warning ? "warning" : "info", entry->text);
    }
}

static void note(void *context, unsigned unit, bool warning, const char *text)
{
    (void)context;
    say(warning, "%s: %s", manifest.units[unit].name, text);
}

/* ---- What a process is given ---- */

struct launch {
    char text[DESCRIPTION_BYTES];
    size_t bytes;
    uint32_t handles[TESSERA_MESSAGE_HANDLES];
    uint32_t handle_count;
    bool fits;
};

__attribute__((format(printf, 3, 4))) static void add_field(struct launch *launch, const char *key, const char *format,
                                                            ...)
{
    size_t room = sizeof(launch->text) - launch->bytes;
    int key_length = snprintf(launch->text + launch->bytes, room, "%s=", key);
    size_t used = (size_t)key_length < room ? (size_t)key_length : room;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(launch->text + launch->bytes + used, room - used, format, arguments);
    va_end(arguments);
    used += (size_t)length + 1;
    launch->fits = launch->fits && used <= room;
    launch->bytes += launch->fits ? used : 0;
}

static void add_list(struct launch *launch, const char *key, const struct text_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        add_field(launch, key, "%s", list->items[i]);
    }
}

/* A handle of the manager's, which moves. An error instead of one, or one too many, spoils the launch. */
static void add_handle(struct launch *launch, const char *name, int32_t handle)
{
    bool good = handle > 0 && launch->handle_count < TESSERA_MESSAGE_HANDLES;
    if (good) {
        launch->handles[launch->handle_count++] = (uint32_t)handle;
        add_field(launch, "handle", "%s", name);
    } else if (handle > 0) {
        tessera_handle_close((uint32_t)handle);
    }
    launch->fits = launch->fits && good;
}

static void add_granted_handle(struct launch *launch, const char *what)
{
    const uint32_t pass_on = TESSERA_RIGHT_DUPLICATE | TESSERA_RIGHT_TRANSFER;
    if (strcmp(what, "clock") == 0) {
        uint32_t rights = TESSERA_RIGHT_READ | TESSERA_RIGHT_MANAGE;
        add_handle(launch, "clock", tessera_handle_duplicate(TESSERA_CLOCK, rights | pass_on));
    } else { /* MANAGE is control over all processes */
        uint32_t all = TESSERA_RIGHT_EXECUTE | TESSERA_RIGHT_MANAGE;
        uint32_t rights = TESSERA_RIGHT_INSPECT | (strcmp(what, "system") == 0 ? all : 0);
        add_handle(launch, "system", tessera_handle_duplicate(TESSERA_SYSTEM, rights | pass_on));
    }
}

/* A client end, whose badge says who calls. */
static int32_t client_of(unsigned unit, const char *interface)
{
    uint64_t badge = unit + 1;
    if (strncmp(interface, MANAGER_INTERFACES, strlen(MANAGER_INTERFACES)) == 0) {
        const char *what = interface + strlen(MANAGER_INTERFACES);
        badge |= strcmp(what, "control") == 0 ? BADGE_CONTROL : strcmp(what, "names") == 0 ? BADGE_NAMES : BADGE_STATUS;
        return tessera_port_client_create((uint32_t)manager_port, badge);
    }
    const struct unit *other = manifest_find_offer(&manifest, interface);
    return tessera_port_client_create((uint32_t)machine_units[other - manifest.units].port, badge);
}

/* The port, by a handle that can be taken back. */
static void add_port(struct launch *launch, struct machine_unit *machine)
{
    const uint32_t rights = TESSERA_RIGHT_READ | TESSERA_RIGHT_WAIT | TESSERA_RIGHT_TRANSFER | TESSERA_RIGHT_DUPLICATE;
    machine->lent = tessera_handle_duplicate((uint32_t)machine->port, rights | TESSERA_RIGHT_MANAGE);
    add_handle(launch, "port",
               machine->lent < 0 ? machine->lent : tessera_handle_duplicate((uint32_t)machine->lent, rights));
}

/* The memory object, by a handle that ends when the process does. */
static void add_state(struct launch *launch, struct machine_unit *machine, uint64_t bytes)
{
    const uint32_t rights = TESSERA_RIGHT_READ | TESSERA_RIGHT_WRITE | TESSERA_RIGHT_MAP | TESSERA_RIGHT_INSPECT |
                            TESSERA_RIGHT_TRANSFER | TESSERA_RIGHT_DUPLICATE;
    if (machine->state <= 0) {
        machine->state = tessera_memory_create(bytes);
    }
    machine->lent_state = machine->state < 0
                              ? machine->state
                              : tessera_handle_duplicate((uint32_t)machine->state, rights | TESSERA_RIGHT_MANAGE);
    add_handle(launch, "state",
               machine->lent_state < 0 ? machine->lent_state
                                       : tessera_handle_duplicate((uint32_t)machine->lent_state, rights));
}

static void describe(struct launch *launch, unsigned number)
{
    const struct unit *unit = &manifest.units[number];
    *launch = (struct launch){.fits = true};
    add_field(launch, "name", "%s", unit->name);
    add_field(launch, "streams", "1");
    if (!unit->arguments.count) {
        add_field(launch, "argument", "%s", unit->name);
    }
    add_list(launch, "argument", &unit->arguments);
    add_list(launch, "environment", &unit->environment);
    add_list(launch, "directory", &unit->directories);
    if (unit->memory_limit) {
        add_field(launch, "memory", "%" PRIu64, unit->memory_limit);
    }
    add_field(launch, "share", "%" PRIu64, (unit->weight ? unit->weight : WEIGHT_USUAL) * SHARE_OF_100 / 100);
    add_field(launch, "objects", "%d", OBJECTS_USUAL);
    add_field(launch, "handles", "%" PRIu64, unit->handle_limit ? unit->handle_limit : HANDLES_USUAL);
    add_field(launch, "threads", "%" PRIu64, unit->thread_limit ? unit->thread_limit : THREADS_USUAL);
    if (machine_units[number].port) {
        add_port(launch, &machine_units[number]);
    }
    if (unit->state_bytes) {
        add_state(launch, &machine_units[number], unit->state_bytes);
    }
    for (unsigned i = 0; i < unit->handles.count; i++) {
        add_granted_handle(launch, unit->handles.items[i]);
    }
    for (unsigned i = 0; i < unit->uses.count; i++) {
        add_handle(launch, unit->uses.items[i], client_of(number, unit->uses.items[i]));
    }
}

/* ---- Actions of the supervisor ---- */

static void take_back(int32_t *lent)
{
    if (*lent > 0) {
        tessera_handle_revoke((uint32_t)*lent);
        tessera_handle_close((uint32_t)*lent);
    }
    *lent = 0;
}

/* There is no process, or none any more. */
static void take_back_all(struct machine_unit *machine)
{
    take_back(&machine->lent);
    take_back(&machine->lent_state);
}

static bool refuse_start(unsigned unit, const char *what, int32_t error)
{
    say(true, "%s: %s (error %d)", manifest.units[unit].name, what, (int)error);
    take_back_all(&machine_units[unit]);
    return false;
}

static bool load(unsigned unit)
{
    struct machine_unit *machine = &machine_units[unit];
    const char *path = manifest.units[unit].module;
    if (!machine->module) {
        int32_t module = tessera_module_load(path, (uint32_t)strlen(path));
        if (module < 0) {
            return refuse_start(unit, "its module cannot be loaded", module);
        }
        machine->module = module;
    }
    return true;
}

static void measure_start(struct machine_unit *machine)
{
    uint64_t now = machine_now();
    if (machine->died && !machine->delayed && now - machine->died > machine->worst) {
        machine->worst = now - machine->died;
    }
    machine->died = 0;
    machine->delayed = false;
}

static bool start(void *context, unsigned unit)
{
    static struct launch launch;
    struct machine_unit *machine = &machine_units[unit];
    (void)context;
    if (!load(unit)) {
        return false;
    }
    describe(&launch, unit);
    int32_t process = launch.fits ? tessera_process_create((uint32_t)machine->module, launch.text,
                                                           (uint32_t)launch.bytes, launch.handles, launch.handle_count)
                                  : -TESSERA_ETOOLARGE;
    if (process < 0) {
        for (uint32_t i = 0; i < launch.handle_count; i++) {
            tessera_handle_close(launch.handles[i]);
        }
        return refuse_start(unit, "its process cannot be made", process);
    }
    int32_t entry =
        tessera_wait_set_add((uint32_t)wait_set, (uint32_t)process, TESSERA_SIGNAL_EXITED, KEY(KEY_PROCESS, unit));
    int32_t started = entry < 0 ? entry : tessera_process_start((uint32_t)process);
    if (started < 0) {
        tessera_handle_close((uint32_t)process);
        return refuse_start(unit, "its process cannot be started", started);
    }
    machine->process = process;
    machine->process_entry = entry;
    measure_start(machine);
    return true;
}

static bool ask(void *context, unsigned unit)
{
    (void)context;
    bool can_be_asked = machine_units[unit].lent > 0;
    take_back(&machine_units[unit].lent);
    return can_be_asked;
}

static void kill_process(void *context, unsigned unit)
{
    (void)context;
    machine_units[unit].died = machine_now();
    tessera_process_kill((uint32_t)machine_units[unit].process);
}

/* It has no process, and nobody wants one now. */
static bool rests(enum service_state state)
{
    return state == SERVICE_IDLE || state == SERVICE_DOWN || state == SERVICE_FAILED || state == SERVICE_ENDED;
}

/* Calls are looked for when they start the unit, or are to be refused. */
static bool looks_for_calls(enum service_state state, unsigned unit)
{
    return rests(state) || (state == SERVICE_STOPPING && !supervisor.services[unit].wanted);
}

static void calls(void *context, unsigned unit, enum service_state state)
{
    struct machine_unit *machine = &machine_units[unit];
    (void)context;
    machine->delayed = machine->delayed || rests(state) || state == SERVICE_DELAYED;
    if (machine->port) {
        tessera_wait_set_change((uint32_t)wait_set, (uint32_t)machine->port_entry,
                                looks_for_calls(state, unit) ? TESSERA_SIGNAL_READABLE : 0);
    }
}

static void drop(int32_t *handle)
{
    if (*handle > 0) {
        tessera_handle_close((uint32_t)*handle);
    }
    *handle = 0;
}

static void exchange(void *context, unsigned unit, bool back)
{
    struct machine_unit *machine = &machine_units[unit];
    (void)context;
    if (back) {
        drop(&machine->module);
        machine->module = machine->proven_module;
        machine->proven_module = 0;
        return;
    }
    if (supervisor.services[unit].on_trial) {
        drop(&machine->module);
    } else {
        drop(&machine->proven_module);
        machine->proven_module = machine->module;
    }
    machine->module = machine->next_module;
    machine->next_module = 0;
}

static const struct supervisor_actions actions = {start, ask, kill_process, calls, exchange, note};

bool machine_load_next(unsigned unit, const char *path)
{
    struct machine_unit *machine = &machine_units[unit];
    int32_t module = tessera_module_load(path, (uint32_t)strlen(path));
    if (module < 0) {
        return false;
    }
    drop(&machine->next_module);
    machine->next_module = module;
    return true;
}

/* ---- Events ---- */

/* Answers none of the calls that wait at a unit's port: their callers hear that nobody is there. */
static void refuse_calls(unsigned unit)
{
    static uint8_t bytes[REQUEST_BYTES];
    uint32_t port = (uint32_t)machine_units[unit].port, handles[TESSERA_MESSAGE_HANDLES];
    struct tessera_request request = {
        .bytes = bytes, .capacity = sizeof(bytes), .handles = handles, .handle_capacity = TESSERA_MESSAGE_HANDLES};
    while (tessera_port_receive(port, &request) == 0) {
        for (uint32_t i = 0; i < request.handle_count; i++) {
            tessera_handle_close(handles[i]);
        }
        int32_t reply = tessera_port_defer(port);
        if (reply > 0) {
            tessera_handle_close((uint32_t)reply);
        }
        request.deadline = 0;
    }
}

static void handle_call(unsigned unit)
{
    if (supervisor.services[unit].state == SERVICE_IDLE) {
        supervisor_called(&supervisor, unit, machine_now());
    } else if (looks_for_calls(supervisor.services[unit].state, unit)) {
        refuse_calls(unit);
    }
}

static void handle_exit(unsigned unit)
{
    struct machine_unit *machine = &machine_units[unit];
    struct tessera_process_status status;
    if (!machine->process ||
        tessera_process_status((uint32_t)machine->process, &status, sizeof(status)) < (int32_t)sizeof(status)) {
        return;
    }
    tessera_wait_set_remove((uint32_t)wait_set, (uint32_t)machine->process_entry);
    tessera_handle_close((uint32_t)machine->process);
    take_back_all(machine);
    machine->process = 0;
    machine->died = machine->died ? machine->died : machine_now();
    supervisor_exited(&supervisor, unit, (int)status.conventional_status, machine_now());
    if (manifest.units[unit].on_exit == ON_EXIT_END && !ending) {
        machine_end((int)status.conventional_status);
    }
}

static void handle(const struct tessera_wait_record *record)
{
    unsigned unit = (unsigned)record->key;
    switch (record->key >> 32) {
    case KEY_PORT:
        handle_call(unit);
        break;
    case KEY_PROCESS:
        handle_exit(unit);
        break;
    case KEY_MANAGER:
        control_serve(manager_port);
        break;
    }
}

/* ---- From begin to end ---- */

/* A port, a client end of it that the manager keeps, and its place in the wait set. */
static bool make_port(int32_t *port, int32_t *keeper, uint64_t key, uint32_t signals, int32_t *entry)
{
    *port = tessera_port_create();
    *keeper = *port < 0 ? -1 : tessera_port_client_create((uint32_t)*port, 0);
    *entry = *keeper < 0 ? -1 : tessera_wait_set_add((uint32_t)wait_set, (uint32_t)*port, signals, key);
    return *entry >= 0;
}

bool machine_begin(bool verbose)
{
    int32_t entry;
    is_verbose = verbose;
    wait_set = tessera_wait_set_create();
    bool made =
        wait_set > 0 && make_port(&manager_port, &manager_keeper, KEY(KEY_MANAGER, 0), TESSERA_SIGNAL_READABLE, &entry);
    for (unsigned i = 0; made && i < manifest.count; i++) {
        struct machine_unit *machine = &machine_units[i];
        if (manifest.units[i].offers.count) {
            made = make_port(&machine->port, &machine->keeper, KEY(KEY_PORT, i), 0, &machine->port_entry);
        }
    }
    return made;
}

void machine_end(int status)
{
    ending = true;
    end_status = status;
    supervisor_stop_all(&supervisor, machine_now());
}

int machine_run(void)
{
    struct tessera_wait_record records[16];
    supervisor_begin(&supervisor, &manifest, &actions, NULL, machine_now());
    while (!ending || !supervisor_all_down(&supervisor)) {
        int32_t count = tessera_wait_set_wait((uint32_t)wait_set, records, 16, supervisor_deadline(&supervisor));
        for (int32_t i = 0; i < count; i++) {
            handle(&records[i]);
        }
        supervisor_tick(&supervisor, machine_now());
    }
    return end_status;
}
