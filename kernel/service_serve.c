/* The server's side: a thread that answers calls with the functions that its module exports. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/port_parts.h"
#include "kernel/service_handles.h"
#include "kernel/service_message.h"
#include "kernel/thread.h"

/* One thread that serves. */
struct server {
    struct service_guest guest;
    struct object *port;
    uint32_t handle;
    uint64_t deadline; /* for the next call to come */
    struct port_buffer request;
    struct service_message answer;
    struct service_short_answer brief; /* the same of a function that is_short */
    struct port_message message;       /* the answer, as the port takes it */
    uint32_t latest;                   /* function that was called, by its place in the module's exports */
    struct resource_home *home;        /* of the process's resources; NULL: the module defines none */
    struct service_receiving received; /* with the request */
    struct service_sending sent;       /* with the answer */
    const char *complaint;             /* the server is to end: what its result is */
};

static void begin_answer(struct server *server, enum service_status status)
{
    service_message_begin(&server->answer, sizeof(struct service_answer), NULL);
    *(struct service_answer *)server->answer.side.base = (struct service_answer){.status = status};
    service_sending_begin(&server->sent, &server->guest.instance->process->handles);
}

/* The function that the request names, most likely the one of the request before; NULL: there is none. */
static const struct service_function *find_function(struct server *server)
{
    const struct service_module *services = server->guest.services;
    const struct service_request *request = (const struct service_request *)server->request.bytes;
    uint32_t count = server->request.length < sizeof(*request) ? 0 : services->export_count;
    for (uint32_t i = 0, place = server->latest; i < count; i++, place = place + 1 < count ? place + 1 : 0) {
        const struct service_function *function = &services->exports[place];
        if (function->function->identity == request->identity && !function->refusal) {
            server->latest = place;
            return function;
        }
    }
    return NULL;
}

/* ---- The call ---- */
/* Free what the function gave; false when that ended the guest. */
static bool call_post(struct server *server, const struct service_function *function, uint64_t result)
{
    if (function->post != UINT32_MAX) {
        server->guest.trap = instance_call(server->guest.instance, function->post, &result, NULL);
    }
    return server->guest.trap == TRAP_NONE;
}

/* The function's result into the answer. */
static bool lift(struct server *server, const struct service_function *function, uint64_t value)
{
    const struct component_plan *plan = &function->call.result;
    struct component_side *answer = &server->answer.side;
    uint32_t address = 0;
    uint64_t flat = 0;
    begin_answer(server, SERVICE_OK);
    service_guest_refresh(&server->guest);
    enum component_status status =
        plan->in_memory ? answer->allocate(answer, plan->alignment, plan->bytes, &address) : COMPONENT_OK;
    struct component_transfer transfer = {.source = &server->guest.side,
                                          .destination = answer,
                                          .bytes_left = SERVICE_MESSAGE_BYTES,
                                          .handle = service_note_handle,
                                          .context = &server->sent};
    if (status == COMPONENT_OK) {
        status = component_transfer_result(&transfer, plan, value, address, &flat);
    }
    ((struct service_answer *)answer->base)->flat = plan->in_memory ? address : flat;
    if (status != COMPONENT_OK) {
        server->complaint = server->answer.no_memory ? "out of memory" : component_status_text(status);
    }
    return status == COMPONENT_OK;
}

static bool call_function(struct server *server, const struct service_function *function, const uint64_t *flat)
{
    uint64_t result = 0;
    server->guest.trap = instance_call(server->guest.instance, function->index, flat, &result);
    return server->guest.trap == TRAP_NONE && lift(server, function, result) && call_post(server, function, result);
}

/* ---- A request ---- */
/* Any number will do. */
static enum component_status accept_handle(struct component_transfer *transfer,
                                           const struct component_resource *resource, bool owned, uint32_t from,
                                           uint32_t *to)
{
    (void)transfer, (void)resource, (void)owned;
    *to = from;
    return COMPONENT_OK;
}

/* Bytes that a guest chose: would they be taken? Tried with a buffer in place of the server's memory, since what is
 * allocated there for a call that then is not made would be lost, and each caller could use up the memory in this way.
 */
static bool is_good_request(const struct component_plan *plan, struct component_side *source,
                            const struct service_request *request)
{
    uint64_t flat[COMPONENT_FLAT_PARAMETERS];
    struct component_buffer buffer;
    void *memory = service_buffer_take();
    if (!memory) {
        return false;
    }
    component_buffer_initialize(&buffer, memory, SERVICE_MESSAGE_BYTES);
    struct component_transfer transfer = {
        .source = source, .destination = &buffer.side, .bytes_left = SERVICE_MESSAGE_BYTES, .handle = accept_handle};
    enum component_status status = component_transfer_parameters(&transfer, plan, request->flat, flat);
    service_buffer_give(memory);
    return status == COMPONENT_OK;
}

/* Answer what was received. False: the guest ends. */
static bool answer_request(struct server *server, const struct service_function *function)
{
    struct component_side source = {.base = server->request.bytes, .bytes = server->request.length};
    const struct service_request *request = (const struct service_request *)server->request.bytes;
    uint64_t flat[COMPONENT_FLAT_PARAMETERS];
    if (!function) {
        begin_answer(server, SERVICE_NO_FUNCTION);
        return true;
    }
    const struct component_plan *plan = &function->call.parameters;
    struct component_transfer transfer = {.source = &source,
                                          .destination = &server->guest.side,
                                          .bytes_left = SERVICE_MESSAGE_BYTES,
                                          .handle = service_take_handle,
                                          .context = &server->received};
    service_guest_refresh(&server->guest);
    enum component_status status = COMPONENT_BOUNDS;
    if (server->request.length >= sizeof(*request) + plan->flat_count * 8 &&
        (server->request.is_checked || is_good_request(plan, &source, request))) {
        status = component_transfer_parameters(&transfer, plan, request->flat, flat);
    }
    if (status == COMPONENT_OK) {
        return call_function(server, function, flat);
    }
    if (component_status_is_of_source(status)) { /* but for resources that are gone, no client of this kernel's does */
        bool is_stale = server->received.status == STATUS_CLOSED;
        service_receiving_end(&server->received, true);
        begin_answer(server, is_stale ? SERVICE_STALE : SERVICE_BAD_MESSAGE);
        return true;
    }
    server->complaint = component_status_text(status);
    return false;
}

/* The result of a short function into its answer. */
static bool lift_short(struct server *server, const struct service_function *function, uint64_t value)
{
    const struct component_plan *plan = &function->call.result;
    struct component_side answer = {.base = (uint8_t *)&server->brief, .bytes = sizeof(server->brief)};
    struct component_transfer transfer = {.source = &server->guest.side, .destination = &answer};
    uint64_t flat = offsetof(struct service_short_answer, result);
    if (plan->in_memory) {
        memset(server->brief.result, 0, plan->bytes);
        server->message.length += plan->bytes;
    }
    service_guest_refresh(&server->guest);
    enum component_status status = component_transfer_result(&transfer, plan, value, (uint32_t)flat, &flat);
    server->brief.answer.flat = flat;
    if (status != COMPONENT_OK) {
        server->complaint = component_status_text(status);
    }
    return status == COMPONENT_OK;
}

/* Arguments of a short function. False: they are none. */
static inline bool take_short(const struct server *server, const struct component_plan *plan, uint64_t *arguments)
{
    const struct service_request *request = (const struct service_request *)server->request.bytes;
    if (UNLIKELY(server->request.length < sizeof(*request) + plan->flat_count * 8)) {
        return false;
    }
    if (!plan->numbers) {
        struct component_side nothing = {.bytes = 0};
        struct component_transfer transfer = {.source = &nothing};
        return component_transfer_parameters(&transfer, plan, request->flat, arguments) == COMPONENT_OK;
    }
    for (const struct component_step *step = &plan->steps[plan->start]; step->kind != COMPONENT_STEP_END; step++) {
        arguments[step->place] = component_flat_number(step, request->flat[step->place]);
    }
    return true;
}

/* A call of a short function. Handles that came with it are dropped. */
static bool serve_short(struct server *server, const struct service_function *function)
{
    uint64_t arguments[COMPONENT_FLAT_PARAMETERS], result = 0;
    for (uint32_t i = 0; i < server->request.grant_count; i++) {
        grant_drop(server->request.grants[i]);
    }
    server->message.bytes = (const uint8_t *)&server->brief;
    server->message.length = sizeof(server->brief.answer);
    server->brief.answer = (struct service_answer){.status = SERVICE_BAD_MESSAGE};
    if (UNLIKELY(!take_short(server, &function->call.parameters, arguments))) {
        return true;
    }
    server->guest.trap = instance_call(server->guest.instance, function->index, arguments, &result);
    if (UNLIKELY(server->guest.trap != TRAP_NONE)) {
        return false;
    }
    server->brief.answer = (struct service_answer){.status = SERVICE_OK, .flat = result};
    return (function->numbers || lift_short(server, function, result)) && call_post(server, function, result);
}

/* The same with values of any type. `function`: NULL, there is none. */
static bool serve_values(struct server *server, const struct service_function *function)
{
    service_receiving_begin(&server->received, &server->guest.instance->process->handles, server->home,
                            &server->request);
    bool goes_on = answer_request(server, function);
    if (service_receiving_end(&server->received, false) && goes_on) {
        server->complaint = "a handle that was lent and not dropped in the call";
        goes_on = false;
    }
    if (!goes_on) {
        return false;
    }
    server->message.bytes = server->answer.side.base;
    server->message.length = server->answer.used;
    server->message.exchange =
        server->answer.side.base != server->answer.inline_bytes ? &server->answer.side.base : NULL;
    if (server->sent.count && service_send_handles(&server->sent, &server->message) != STATUS_OK) {
        server->complaint = component_status_text(COMPONENT_HANDLE);
        return false;
    }
    return true;
}

/* One call from request to answer. False: the guest ends. */
static bool serve_call(struct server *server)
{
    const struct service_function *function = find_function(server);
    server->message.grant_count = 0;
    server->message.exchange = NULL;
    server->message.is_checked = true;
    server->complaint = NULL;
    return function && function->is_short ? serve_short(server, function) : serve_values(server, function);
}

/* Call the destructors of resources that nobody has any more. False: that ended the guest. */
static bool call_destructors(struct server *server)
{
    const struct service_resource *resource;
    uint32_t representation;
    while (server->guest.trap == TRAP_NONE && server->home &&
           resource_home_next(server->home, &resource, &representation)) {
        server->guest.trap = service_call_destructor(server->guest.instance, resource, representation);
    }
    return server->guest.trap == TRAP_NONE;
}

/* Handles to the port were revoked, or there are destructors to be called: is this server's handle still good? */
static bool look_again(struct server *server)
{
    struct object *port;
    enum status status = port_find_server(&server->guest.instance->process->handles, server->handle, RIGHT_READ, &port,
                                          &server->request.revocations);
    if (status == STATUS_OK) {
        object_release(port);
    }
    return status == STATUS_OK && port == server->port;
}

static enum status receive(struct server *server, enum status status)
{
    while (status == STATUS_AGAIN) {
        status = !look_again(server)         ? STATUS_CLOSED
                 : !call_destructors(server) ? STATUS_TRAPPED
                                             : port_receive(server->port, &server->request, server->deadline);
    }
    return status == STATUS_CLOSED && !call_destructors(server) ? STATUS_TRAPPED : status;
}

/* Answer the call, and wait for the next one. */
static enum status reply_receive(struct server *server)
{
    struct thread *thread = running_thread();
    struct port *port = (struct port *)server->port;
    enum status answered;
    if (UNLIKELY(thread->call_port != port)) { /* the function answered it otherwise */
        return port_reply_receive(server->port, &server->message, &answered, &server->request, server->deadline);
    }
    return port_reply_receive_here(thread, port, &server->message, &answered, &server->request, server->deadline);
}

/* Until there is nobody left, or the guest ends: STATUS_CLOSED, STATUS_TIMED_OUT, STATUS_ENDING, STATUS_TRAPPED. */
static enum status serve(struct server *server)
{
    enum status status = receive(server, STATUS_AGAIN);
    while (LIKELY(status == STATUS_OK)) {
        if (UNLIKELY(!serve_call(server))) {
            service_message_release(&server->answer);
            return STATUS_TRAPPED;
        }
        status = reply_receive(server);
        service_message_release(&server->answer);
        if (UNLIKELY(status != STATUS_OK)) {
            status = receive(server, status);
        }
    }
    return status;
}

static void server_destroy(struct server *server)
{
    if (server->request.bytes) {
        service_buffer_give(server->request.bytes);
    }
    kernel_free(server, sizeof(*server));
}

static struct server *server_create(struct instance *instance)
{
    struct server *server = kernel_allocate(sizeof(*server));
    if (!server) {
        return NULL;
    }
    service_guest_begin(&server->guest, instance);
    begin_answer(server, SERVICE_BAD_MESSAGE);
    server->latest = 0;
    server->received.count = 0;
    server->complaint = NULL;
    server->home = instance->module->services->resource_count ? service_home(instance->process) : NULL;
    server->request = (struct port_buffer){.bytes = service_buffer_take(),
                                           .capacity = SERVICE_MESSAGE_BYTES,
                                           .grant_capacity = HANDLES_PER_MESSAGE,
                                           .is_exchanged = true};
    if (!server->request.bytes || (instance->module->services->resource_count && !server->home)) {
        server_destroy(server);
        return NULL;
    }
    return server;
}

void service_abandon_server(struct server *server)
{
    struct object *port = server->port;
    service_receiving_end(&server->received, true);
    service_message_release(&server->answer);
    server_destroy(server);
    object_release(port);
}

static bool offers_something(const struct service_module *services)
{
    for (uint32_t i = 0; services && i < services->export_count; i++) {
        if (!services->exports[i].refusal) {
            return true;
        }
    }
    return false;
}

enum status service_serve(struct instance *instance, uint32_t handle, uint64_t deadline)
{
    struct object *port;
    enum status found = handle_find(&instance->process->handles, handle, OBJECT_PORT, RIGHT_READ, &port);
    if (found != STATUS_OK) {
        return found;
    }
    bool offers = offers_something(instance->module->services);
    struct server *server = offers ? server_create(instance) : NULL;
    if (!server) {
        object_release(port);
        return offers ? STATUS_NO_MEMORY : STATUS_NOT_FOUND;
    }
    server->port = port;
    running_thread()->activation->server = server;
    server->handle = handle;
    server->deadline = deadline;
    port_set_module(port, instance->module);
    if (server->home) {
        resource_home_serve(server->home, port);
    }
    enum status status = serve(server);
    enum trap trap = server->guest.trap;
    const char *complaint = server->complaint;
    running_thread()->activation->server = NULL;
    server_destroy(server);
    object_release(port);
    if (status == STATUS_TRAPPED && trap != TRAP_NONE) {
        thread_pass_trap_on(trap);
    }
    if (status == STATUS_TRAPPED) {
        instance_trap(instance, TRAP_SERVICE, complaint);
    }
    if (status == STATUS_ENDING) {
        thread_end_if_asked();
    }
    return status == STATUS_CLOSED ? STATUS_OK : status;
}
