#include "bench/ipc/measure.h"

#include "engine/base.h"
#include "kernel/channel.h"
#include "kernel/cpu.h"
#include "kernel/event.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/port.h"
#include "kernel/service.h"

struct side {
    struct process *process;
    struct instance *instance;
    struct thread *thread;
    const char *function;
    uint64_t cpus;
    union value arguments[4];
    enum trap trap;
};

static struct compiled_module *guest; /* of guest.c, with 1 MB of data */
static const char *failure;

static void fail(const char *message)
{
    if (!failure) {
        failure = message;
    }
}

uint64_t measure_median(uint64_t values[MEASURE_ROUNDS])
{
    for (uint32_t i = 1; i < MEASURE_ROUNDS; i++) {
        for (uint32_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
            uint64_t larger = values[j - 1];
            values[j - 1] = values[j];
            values[j] = larger;
        }
    }
    return values[MEASURE_ROUNDS / 2];
}

/* ---- Processes ---- */

static void null_function(struct instance *instance)
{
    (void)instance;
}

static bool find_function(struct process *process, uint32_t index, struct external *result)
{
    const struct module *module = guest->module;
    const struct import *import = &module->imports[index];
    const struct function_type *type = &module->types[module->functions[import->index].type];
    struct link_error error;
    static const struct host_function null = {"null", ":", (void (*)(void))null_function};
    uint32_t number = guest->host_functions[index]; /* as link_host_imports does */
    enum status status = STATUS_OK;
    if (!number) {
        status = import->module.length == 5 && memcmp(import->module.text, "bench", 5) == 0
                     ? host_function_register(&null, "bench", &number)
                     : host_function_find(&import->module, &import->field, type, &number);
        guest->host_functions[index] = status == STATUS_OK ? number : 0;
    }
    *result = (struct external){.kind = EXTERNAL_FUNCTION};
    if (status == STATUS_OK) {
        result->function = process_host_reference(process, number);
    } else {
        service_link(process, guest, index, result, error.message, sizeof(error.message));
    }
    return result->function != 0;
}

/* A handle of the process to an object. */
static uint32_t give(struct process *process, struct object *object, uint32_t rights)
{
    struct grant *grant;
    uint32_t number = 0;
    if (grant_create(object, rights, &grant) != STATUS_OK ||
        handle_insert(&process->handles, grant, &number) != STATUS_OK) {
        fail("a handle cannot be made");
    }
    return number;
}

/* `service`: the client end by which it calls the service; NULL: it does not. */
static void open_side_with(struct side *side, const char *function, struct object *service)
{
    static const struct name probe = {"bench:probe/probe", 17};
    struct external imports[32];
    struct link_error error;
    const struct module *module = guest->module;
    *side = (struct side){.function = function, .cpus = 1};
    bool right = process_create(function, 0, &side->process) == STATUS_OK && module->import_count <= 32;
    if (right) {
        uint32_t handle = service ? give(side->process, service, RIGHTS_ALL) : UINT32_MAX;
        right = service_bind(side->process, probe, handle) == STATUS_OK;
    }
    for (uint32_t i = 0; right && i < module->import_count; i++) {
        right = module->imports[i].kind == EXTERNAL_FUNCTION && find_function(side->process, i, &imports[i]);
    }
    if (!right || instance_create(side->process, guest, imports, &side->instance, &side->trap, &error) != STATUS_OK) {
        fail("the guest cannot be instantiated");
    }
}

static void open_side(struct side *side, const char *function)
{
    open_side_with(side, function, NULL);
}

static void close_side(struct side *side)
{
    process_destroy(side->process);
}

static void run_side(void *argument)
{
    struct side *side = argument;
    struct external function;
    thread_set_affinity(thread_current(), side->cpus);
    if (!instance_find_export(side->instance, side->function, strlen(side->function), &function)) {
        fail("the guest lacks a function");
        return;
    }
    side->trap = function_call(side->process, function.function, side->arguments, NULL);
    if (side->trap != TRAP_NONE) {
        fail("a guest trapped");
    }
}

static void start_side(struct side *side)
{
    if (thread_start(run_side, side, &side->thread) != STATUS_OK) {
        fail("a thread cannot be started");
    }
}

/* Ticks of one of `count` operations: the median of the rounds. The first argument of the function is the count. */
static uint64_t time_side(struct side *side, uint32_t count)
{
    uint64_t rounds[MEASURE_ROUNDS];
    side->arguments[0].i32 = count;
    for (uint32_t i = 0; i < MEASURE_ROUNDS && !failure; i++) {
        uint64_t start = measure_ticks();
        run_side(side);
        rounds[i] = (measure_ticks() - start) / count;
    }
    return failure ? 0 : measure_median(rounds);
}

/* ---- What is measured ---- */

static uint64_t null_host_call(uint32_t scale)
{
    struct side side;
    open_side(&side, "null_host_calls");
    uint64_t ticks = time_side(&side, scale * 10);
    close_side(&side);
    return ticks;
}

static uint64_t checked_host_call(uint32_t scale)
{
    struct side side;
    struct object *event;
    open_side(&side, "checked_host_calls");
    if (event_create(NULL, false, &event) != STATUS_OK) {
        fail("no event");
        return 0;
    }
    side.arguments[1].i32 = give(side.process, event, RIGHTS_ALL);
    object_release(event);
    uint64_t ticks = time_side(&side, scale * 10);
    close_side(&side);
    return ticks;
}

#define HOUR UINT64_C(3600000000000)

/* `limited`: the caller has a deadline, and both processes have time limits. */
static uint64_t call(uint32_t scale, uint32_t size, bool limited)
{
    struct side client, server;
    struct object *port, *client_end;
    open_side(&client, "calls");
    open_side(&server, "serve");
    if (failure || port_create(NULL, &port) != STATUS_OK ||
        port_client_create(port, 1, NULL, &client_end) != STATUS_OK) {
        fail("no port");
        return 0;
    }
    server.arguments[0].i32 = give(server.process, port, RIGHTS_ALL);
    client.arguments[1].i32 = give(client.process, client_end, RIGHTS_ALL);
    client.arguments[2].i32 = size;
    if (limited) {
        client.arguments[3].i32 = 1;
        client.process->deadline = server.process->deadline = platform_monotonic_nanoseconds() + HOUR;
    }
    object_release(port);
    object_release(client_end);
    start_side(&server);
    uint64_t ticks = time_side(&client, scale);
    close_side(&client); /* nobody can call any more: the server ends */
    thread_join(server.thread);
    close_side(&server);
    return ticks;
}

static uint64_t call_0_bytes(uint32_t scale)
{
    return call(scale, 0, false);
}

static uint64_t call_4096_bytes(uint32_t scale)
{
    return call(scale, 4096, false);
}

static uint64_t call_0_bytes_deadlines(uint32_t scale)
{
    return call(scale, 0, true);
}

/* Through an interface written in WIT. */
static uint64_t service_call(uint32_t scale, const char *function)
{
    struct side client, server;
    struct object *port, *client_end;
    if (failure || port_create(NULL, &port) != STATUS_OK ||
        port_client_create(port, 1, NULL, &client_end) != STATUS_OK) {
        fail("no port");
        return 0;
    }
    open_side_with(&client, function, client_end);
    open_side(&server, "serve_service");
    server.arguments[0].i32 = give(server.process, port, RIGHTS_ALL);
    object_release(port);
    object_release(client_end);
    start_side(&server);
    uint64_t ticks = time_side(&client, scale);
    close_side(&client);
    thread_join(server.thread);
    close_side(&server);
    return ticks;
}

static uint64_t service_call_numbers(uint32_t scale)
{
    return service_call(scale, "service_calls_numbers");
}

static uint64_t service_call_text(uint32_t scale)
{
    return service_call(scale, "service_calls_text");
}

static uint64_t service_call_text_4096(uint32_t scale)
{
    return service_call(scale, "service_calls_text_4096");
}

static uint64_t event_exchange(uint32_t scale)
{
    struct side first, second;
    struct object *events[2];
    open_side(&first, "exchange");
    open_side(&second, "exchange");
    if (failure || event_create(NULL, true, &events[0]) != STATUS_OK ||
        event_create(NULL, true, &events[1]) != STATUS_OK) {
        fail("no events");
        return 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct side *side = i ? &second : &first;
        side->arguments[1].i32 = give(side->process, events[i], RIGHTS_ALL);
        side->arguments[2].i32 = give(side->process, events[!i], RIGHTS_ALL);
        side->arguments[3].i32 = i == 0;
    }
    object_release(events[0]);
    object_release(events[1]);
    second.arguments[0].i32 = scale * MEASURE_ROUNDS;
    start_side(&second);
    uint64_t ticks = time_side(&first, scale);
    thread_join(second.thread);
    close_side(&first);
    close_side(&second);
    return ticks;
}

/* Two sides that talk over a channel, the second one on `cpus`. */
static uint64_t talk(uint32_t scale, uint64_t cpus)
{
    struct side first, second;
    struct object *ends[2];
    open_side(&first, "talk");
    open_side(&second, "talk");
    if (failure || channel_create(0, 0, NULL, ends) != STATUS_OK) {
        fail("no channel");
        return 0;
    }
    first.arguments[1].i32 = give(first.process, ends[0], RIGHTS_ALL);
    first.arguments[2].i32 = 1;
    second.arguments[1].i32 = give(second.process, ends[1], RIGHTS_ALL);
    second.arguments[0].i32 = scale * MEASURE_ROUNDS;
    second.cpus = cpus;
    object_release(ends[0]);
    object_release(ends[1]);
    start_side(&second);
    uint64_t ticks = time_side(&first, scale);
    thread_join(second.thread);
    close_side(&first);
    close_side(&second);
    return ticks;
}

static uint64_t channel_exchange(uint32_t scale)
{
    return talk(scale, 1);
}

/* ---- Making ---- */

/* A thread that runs a function of a process that is there. */
static void make_thread(struct side *side)
{
    start_side(side);
    thread_join(side->thread);
}

/* An instance in a process of its own: the process is made and ended, too. */
static void make_instance(struct side *side)
{
    const char *function = side->function;
    open_side(side, function);
    close_side(side);
}

/* A process with its thread, which calls a function. */
static void make_process(struct side *side)
{
    open_side(side, side->function);
    make_thread(side);
    close_side(side);
}

/* As time_side, for what is made anew each time. */
static uint64_t time_making(struct side *side, void (*make)(struct side *side), uint32_t count)
{
    uint64_t rounds[MEASURE_ROUNDS];
    for (uint32_t i = 0; i < MEASURE_ROUNDS && !failure; i++) {
        uint64_t start = measure_ticks();
        for (uint32_t k = 0; k < count; k++) {
            make(side);
        }
        rounds[i] = (measure_ticks() - start) / count;
    }
    return failure ? 0 : measure_median(rounds);
}

static uint64_t thread_create_exit(uint32_t scale)
{
    struct side side;
    open_side(&side, "nothing");
    uint64_t ticks = time_making(&side, make_thread, scale / MEASURE_MAKING);
    close_side(&side);
    return ticks;
}

static uint64_t instantiate_1_mb(uint32_t scale)
{
    struct side side = {.function = "check_data"};
    return time_making(&side, make_instance, scale / MEASURE_MAKING);
}

static uint64_t process_create_exit(uint32_t scale)
{
    struct side side = {.function = "check_data"};
    return time_making(&side, make_process, scale / MEASURE_MAKING);
}

/* ---- With two CPUs: the last ones, for a CPU that was started stays ---- */

static bool start_second_cpu(void)
{
    struct side sides[2];
    if (platform_cpu_count() < 2) {
        return false;
    }
    for (uint32_t tries = 0; tries < 100 && !kernel_cpus[1] && !failure; tries++) {
        for (uint32_t i = 0; i < 2; i++) {
            open_side(&sides[i], "null_host_calls");
            sides[i].arguments[0].i32 = 1000000;
            sides[i].cpus = UINT64_MAX;
            start_side(&sides[i]);
        }
        for (uint32_t i = 0; i < 2; i++) {
            thread_join(sides[i].thread);
            close_side(&sides[i]);
        }
    }
    return kernel_cpus[1] != NULL;
}

static uint64_t call_0_bytes_two_cpus_started(uint32_t scale)
{
    return start_second_cpu() ? call(scale, 0, false) : 0;
}

static uint64_t call_0_bytes_deadlines_two_cpus_started(uint32_t scale)
{
    return start_second_cpu() ? call(scale, 0, true) : 0;
}

static uint64_t service_call_numbers_two_cpus_started(uint32_t scale)
{
    return start_second_cpu() ? service_call_numbers(scale) : 0;
}

static uint64_t channel_exchange_two_cpus(uint32_t scale)
{
    return start_second_cpu() ? talk(scale, 2) : 0;
}

const char *measure_begin(const uint8_t *module, size_t bytes)
{
    struct engine_error error;
    thread_set_affinity(thread_current(), 1);
    return compiled_module_create(module, bytes, "guest", &guest, &error) == STATUS_OK ? NULL
                                                                                       : "the guest does not compile";
}

uint64_t measure(enum measure_number number, uint32_t scale, const char **message)
{
    static uint64_t (*const functions[])(uint32_t scale) = {
#define MEASURE_FUNCTION(name, rival) name,
        MEASURES(MEASURE_FUNCTION)
#undef MEASURE_FUNCTION
    };
    uint64_t ticks = functions[number](scale);
    if (failure) {
        *message = failure;
    }
    return ticks;
}
