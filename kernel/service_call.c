/* The client's side: imports that are functions of services.
 *
 * Such an import is one of SERVICE_FUNCTIONS_MAXIMUM host functions, which all have the same entry: it keeps the
 * argument registers, since only the import's type says what they hold. Which import the number is, says the process.
 */
#include "kernel/service.h"

#include "engine/base.h"
#include "engine/format.h"
#include "engine/x64/enter.h"
#include "kernel/cpu.h"
#include "kernel/host_call.h"
#include "kernel/port_parts.h"
#include "kernel/instance_parts.h"
#include "kernel/service_handles.h"
#include "kernel/service_message.h"

struct binding {
    struct binding *next;
    struct name interface;
    uint32_t handle;
};

/* What it points to lives as long as the module, so as an instance of it. */
struct service_import {
    const struct service_function *function;
    uint32_t handle;
    const struct service_intrinsic *intrinsic; /* in place of a function; NULL */
};

/* All of it lies in the process's arena. */
struct service_process {
    struct binding *bindings;
    uint32_t binding_count;
    uint32_t import_count, import_capacity;
    struct service_import *imports;
    struct resource_home *home; /* NULL: none yet */
};

/* ---- Linking ---- */
static uint32_t first_number;

static struct service_process *process_services(struct process *process)
{
    if (!process->services) {
        process->services = arena_allocate(&process->arena, sizeof(*process->services));
    }
    return process->services;
}

struct resource_home *service_home(struct process *process)
{
    struct service_process *services = process_services(process);
    if (services && !services->home) {
        services->home = resource_home_create();
    }
    return services ? services->home : NULL;
}

void service_process_end(struct process *process)
{
    if (process->services && process->services->home) {
        resource_home_close(process->services->home);
        process->services->home = NULL;
    }
}

static const struct binding *find_binding(const struct service_process *services, struct name interface)
{
    const struct binding *binding = services ? services->bindings : NULL;
    while (binding && !component_name_equal(binding->interface, interface)) {
        binding = binding->next;
    }
    return binding;
}

enum status service_bind(struct process *process, struct name interface, uint32_t handle)
{
    struct service_process *services = process_services(process);
    struct binding *binding = arena_allocate(&process->arena, sizeof(*binding));
    char *copy = arena_allocate(&process->arena, interface.length);
    if (!services || !binding || !copy) {
        return STATUS_NO_MEMORY;
    }
    if (find_binding(services, interface)) {
        return STATUS_EXISTS;
    }
    if (services->binding_count == SERVICE_BINDINGS_MAXIMUM) {
        return STATUS_LIMIT;
    }
    memcpy(copy, interface.text, interface.length);
    *binding = (struct binding){services->bindings, {copy, interface.length}, handle};
    services->bindings = binding;
    services->binding_count++;
    return STATUS_OK;
}

uint32_t service_binding(const struct process *process, struct name interface)
{
    const struct binding *binding = find_binding(process->services, interface);
    return binding ? binding->handle : 0;
}

enum status service_bind_exports(struct process *process, const struct compiled_module *module, uint32_t handle)
{
    const struct service_module *services = module->services;
    for (uint32_t i = 0; services && i < services->export_count; i++) {
        struct name interface = services->exports[i].interface;
        const struct binding *binding = find_binding(process->services, interface);
        enum status status =
            binding && binding->handle == handle ? STATUS_OK : service_bind(process, interface, handle);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status refuse(char *message, size_t size, const struct import *import, const char *reason)
{
    format_text(message, size, "%.*s.%.*s: %s", (int)min_u64(import->module.length, 64), import->module.text,
                (int)min_u64(import->field.length, 64), import->field.text, reason);
    return STATUS_INVALID;
}

static bool imports_have_room(struct process *process)
{
    struct service_process *services = process->services;
    if (services->import_count < services->import_capacity) {
        return true;
    }
    uint32_t capacity = services->import_capacity ? services->import_capacity * 2 : 8;
    struct service_import *larger =
        capacity <= SERVICE_FUNCTIONS_MAXIMUM ? arena_allocate_array(&process->arena, capacity, sizeof(*larger)) : NULL;
    if (larger && services->import_count) {
        memcpy(larger, services->imports, services->import_count * sizeof(*larger));
    }
    services->imports = larger ? larger : services->imports;
    services->import_capacity = larger ? capacity : services->import_capacity;
    return larger != NULL;
}

/* The next of the process's numbers. */
static enum status add_import(struct process *process, const struct service_import *import, uint32_t signature,
                              struct external *result)
{
    struct service_process *services = process_services(process);
    uint32_t number = services ? services->import_count : 0;
    uint32_t reference = services && imports_have_room(process) ? process_allocate_references(process, 1) : 0;
    if (!reference) {
        return STATUS_LIMIT;
    }
    process->references[reference] = (struct function_reference){
        .code = host_function_code(first_number + number), .signature = signature, .function = first_number + number};
    services->imports[services->import_count++] = *import;
    *result = (struct external){.kind = EXTERNAL_FUNCTION, .function = reference};
    return STATUS_OK;
}

/* If it is known who will answer, the types are compared at once. */
static bool service_offers(struct process *process, const struct binding *binding,
                           const struct service_function *function, char *message, size_t size)
{
    struct object *client;
    if (handle_find(&process->handles, binding->handle, OBJECT_PORT_CLIENT, RIGHT_EXECUTE, &client) != STATUS_OK) {
        return true; /* each call finds that out, and it may be meant so */
    }
    struct compiled_module *module = port_client_module(client);
    bool offers = !module || service_module_offers(module->services, function, message, size);
    if (module) {
        compiled_module_release(module);
    }
    object_release(client);
    return offers;
}

enum status service_link(struct process *process, const struct compiled_module *module, uint32_t import,
                         struct external *result, char *message, size_t size)
{
    const struct import *wanted = &module->module->imports[import];
    const struct binding *binding = find_binding(process->services, wanted->module);
    const struct service_intrinsic *intrinsic = service_module_intrinsic(module->services, import);
    if (intrinsic && (binding || intrinsic->own)) {
        return add_import(process, &(struct service_import){.intrinsic = intrinsic},
                          module->signatures[intrinsic->type], result);
    }
    if (!binding || wanted->kind != EXTERNAL_FUNCTION) {
        return STATUS_NOT_FOUND;
    }
    const struct service_function *function = service_module_import(module->services, import);
    if (!function) {
        const char *refusal = module->services ? module->services->refusal : "";
        return refuse(message, size, wanted, refusal[0] ? refusal : "no section component-type says what it is");
    }
    char difference[200];
    if (function->refusal) {
        return refuse(message, size, wanted, function->refusal);
    }
    if (!service_offers(process, binding, function, difference, sizeof(difference))) {
        return refuse(message, size, wanted, difference);
    }
    return add_import(process, &(struct service_import){.function = function, .handle = binding->handle},
                      module->signatures[function->type], result);
}

/* ---- Entry ---- */
/* The argument registers, as the entry leaves them. */
struct argument_registers {
    uint64_t integers[ABI_INTEGER_ARGUMENTS];
    uint64_t floats[ABI_FLOAT_ARGUMENTS];
};
_Static_assert(sizeof(struct argument_registers) == 104, "made by service_entry");

uint64_t service_import_called(struct instance *instance, const struct argument_registers *registers,
                               const struct host_entry *entry);

/* As a host function: rdi = the instance, r11 = the entry (host_call.c); the arguments as docs/abi.md says. The result
 * is left where an integer and where a float is expected. */
__attribute__((naked, used)) static void service_entry(void)
{
    __asm__("subq $104, %rsp\n"
            "movq %rsi, 0(%rsp)\n movq %rdx, 8(%rsp)\n movq %rcx, 16(%rsp)\n movq %r8, 24(%rsp)\n movq %r9, 32(%rsp)\n"
            "movsd %xmm0, 40(%rsp)\n movsd %xmm1, 48(%rsp)\n movsd %xmm2, 56(%rsp)\n movsd %xmm3, 64(%rsp)\n"
            "movsd %xmm4, 72(%rsp)\n movsd %xmm5, 80(%rsp)\n movsd %xmm6, 88(%rsp)\n movsd %xmm7, 96(%rsp)\n"
            "movq %rsp, %rsi\n"
            "movq %r11, %rdx\n"
            "callq service_import_called\n"
            "movq %rax, %xmm0\n"
            "addq $104, %rsp\n"
            "retq\n");
}

void service_abandon(struct activation *activation)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (activation->service_buffers[i]) {
            service_buffer_give(activation->service_buffers[i]);
        }
        activation->service_buffers[i] = NULL;
    }
    if (activation->server) {
        service_abandon_server(activation->server);
    }
    activation->server = NULL;
}

void service_initialize(uint32_t first_host_function)
{
    first_number = first_host_function;
}

void service_fill_entry(struct host_entry *entry)
{
    *entry = (struct host_entry){.function = service_entry, .module = "service", .name = "call"};
}

/* ---- A call ---- */
struct service_call {
    struct service_guest guest; /* the caller */
    const struct service_import *import;
    struct service_message request;
    struct service_sending sending;
    uint32_t result_address; /* where the result is in memory */
    struct port_buffer answer;
    struct service_short_answer short_answer; /* where no answer can be longer */
    const char *complaint;                    /* why there is no result; NULL: there is one */
    bool is_fault;                            /* it is the caller's, which ends */
    uint32_t error_case;                      /* what else the result is; SERVICE_NO_CASE: the caller ends */
};

static void complain(struct service_call *call, bool is_fault, const char *complaint)
{
    call->complaint = complaint;
    call->is_fault = is_fault;
    call->error_case = call->import->function->unavailable;
}

/* Flat values in registers and on the wasm stack, each as 64 bits; with the pointer for the result, if there is one. */
static void gather(const struct function_type *type, const struct argument_registers *registers, uint64_t *flat)
{
    const uint64_t *stack = (const uint64_t *)thread_current()->area.wasm_rsp + 1; /* above the return address */
    uint32_t integers = 0, floats = 0;
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        bool is_float = value_type_is_float(type->types[i]);
        uint32_t *used = is_float ? &floats : &integers;
        uint32_t limit = is_float ? ABI_FLOAT_ARGUMENTS : ABI_INTEGER_ARGUMENTS;
        const uint64_t *from = is_float ? registers->floats : registers->integers;
        flat[i] = *used < limit ? from[(*used)++] : *stack++;
    }
}

/* Arguments into the request. */
static bool lift(struct service_call *call, const uint64_t *flat)
{
    const struct service_function *function = call->import->function;
    const struct component_plan *plan = &function->call.parameters;
    service_message_begin(&call->request, (uint32_t)sizeof(struct service_request) + plan->flat_count * 8,
                          &running_thread()->activation->service_buffers[0]);
    call->result_address = function->call.result.in_memory ? (uint32_t)flat[plan->flat_count] : 0;
    enum component_status status =
        component_check_result(&call->guest.side, &function->call.result, call->result_address);
    struct component_transfer transfer = {.source = &call->guest.side,
                                          .destination = &call->request.side,
                                          .bytes_left = SERVICE_MESSAGE_BYTES,
                                          .handle = service_note_handle,
                                          .context = &call->sending};
    uint64_t to[COMPONENT_FLAT_PARAMETERS];
    if (status == COMPONENT_OK) {
        status = component_transfer_parameters(&transfer, plan, flat, to);
    }
    if (status != COMPONENT_OK) {
        complain(call, true, call->request.no_memory ? "out of memory" : component_status_text(status));
        return false;
    }
    struct service_request *request = (struct service_request *)call->request.side.base; /* it may have grown */
    request->identity = function->function->identity;
    for (uint32_t i = 0; i < plan->flat_count; i++) {
        request->flat[i] = to[i];
    }
    return true;
}

static bool has_short_answer(const struct service_call *call)
{
    const struct component_plan *plan = &call->import->function->call.result;
    return !plan->has_pointers && sizeof(struct service_answer) + plan->bytes <= sizeof(call->short_answer);
}

static bool make_room(struct service_call *call)
{
    bool is_short = has_short_answer(call);
    call->answer.bytes = is_short ? (uint8_t *)&call->short_answer : service_buffer_take();
    call->answer.capacity = is_short ? (uint32_t)sizeof(call->short_answer) : SERVICE_MESSAGE_BYTES;
    call->answer.grant_capacity = HANDLES_PER_MESSAGE;
    call->answer.length = call->answer.grant_count = 0;
    call->answer.is_exchanged = !is_short;
    if (!call->answer.bytes) {
        complain(call, true, "out of memory");
    }
    running_thread()->activation->service_buffers[1] = is_short ? NULL : call->answer.bytes;
    return call->answer.bytes != NULL;
}

void service_set_deadline(uint64_t deadline)
{
    thread_current()->activation->service_deadline = deadline == UINT64_MAX ? 0 : max_u64(deadline, 1);
}

/* The client end that an import is bound to (port_find_client), and the deadline of the call. A call whose time has
 * come already is not made: STATUS_TIMED_OUT. */
static inline enum status find_client(struct instance *instance, const struct service_import *import,
                                      bool handles_ride_along, struct object **client, bool *taken, uint64_t *deadline)
{
    uint64_t set = running_thread()->activation->service_deadline;
    *deadline = LIKELY(!set) ? UINT64_MAX : set;
    if (UNLIKELY(set && platform_monotonic_nanoseconds() >= set)) {
        return STATUS_TIMED_OUT;
    }
    return port_find_client(&instance->process->handles, import->handle, RIGHT_EXECUTE, handles_ride_along, client,
                            taken);
}

/* The call itself; `client` is where it goes. */
static enum status send_and_wait(struct service_call *call, struct object *client, uint64_t deadline)
{
    struct activation *activation = running_thread()->activation;
    bool has_buffer = call->request.side.base != call->request.inline_bytes;
    struct port_message message;
    message.bytes = call->request.side.base;
    message.length = call->request.used;
    message.grant_count = 0;
    message.exchange = has_buffer ? (uint8_t **)&activation->service_buffers[0] : NULL;
    message.is_checked = true;
    if (call->sending.count && service_send_handles(&call->sending, &message) != STATUS_OK) {
        complain(call, true, component_status_text(COMPONENT_HANDLE));
        return STATUS_BAD_HANDLE;
    }
    enum status status = port_call(client, &message, &call->answer, deadline);
    if (has_buffer) {
        call->request.side.base = activation->service_buffers[0];
    }
    if (call->answer.is_exchanged) {
        activation->service_buffers[1] = call->answer.bytes;
    }
    service_end_loans(&call->sending);
    return status;
}

/* Through the port. STATUS_OK: there is an answer. */
static enum status exchange(struct service_call *call)
{
    struct object *client;
    bool taken;
    uint64_t deadline;
    enum status status =
        find_client(call->guest.instance, call->import, call->sending.count != 0, &client, &taken, &deadline);
    if (status == STATUS_OK) {
        status = send_and_wait(call, client, deadline);
        if (taken) {
            object_release(client);
        }
    }
    if (status != STATUS_OK && !call->complaint) {
        complain(call, false, status_text(status));
        call->error_case =
            status == STATUS_TIMED_OUT ? call->import->function->timed_out : call->import->function->unavailable;
    }
    return status;
}

static const char *refusal_text(uint64_t status)
{
    return status == SERVICE_NO_FUNCTION ? "the service has no such function, or of another type"
           : status == SERVICE_STALE     ? status_text(STATUS_CLOSED)
                                         : "the service did not understand the call";
}

/* The answer as the function's result. */
static void lower(struct service_call *call, uint64_t *result)
{
    struct service_answer answer = {.status = SERVICE_BAD_MESSAGE};
    struct component_side source = {.base = call->answer.bytes, .bytes = call->answer.length};
    struct service_receiving receiving;
    if (!service_receive_all(&receiving, &call->guest.instance->process->handles, &call->answer)) {
        complain(call, true, "no room for the handles that came with the result");
        return;
    }
    if (call->answer.length >= sizeof(answer)) {
        memcpy(&answer, call->answer.bytes, sizeof(answer));
    }
    struct component_transfer transfer = {.source = &source,
                                          .destination = &call->guest.side,
                                          .bytes_left = SERVICE_MESSAGE_BYTES,
                                          .handle = service_take_handle,
                                          .context = &receiving};
    enum component_status status = COMPONENT_OK;
    if (answer.status == SERVICE_OK) {
        status = component_transfer_result(&transfer, &call->import->function->call.result, answer.flat,
                                           call->result_address, result);
    }
    if (answer.status != SERVICE_OK) {
        complain(call, false, refusal_text(answer.status));
    } else if (status != COMPONENT_OK) {
        complain(call, !component_status_is_of_source(status), component_status_text(status));
    }
    service_receiving_end(&receiving, call->complaint != NULL);
}

static void release(struct service_call *call)
{
    service_message_release(&call->request);
    if (call->answer.bytes && call->answer.bytes != (uint8_t *)&call->short_answer) {
        running_thread()->activation->service_buffers[1] = NULL;
        service_buffer_give(call->answer.bytes);
    }
}

/* The error as the result; the place was checked before. */
static void write_error_case(const struct service_function *function, uint8_t *to, uint32_t number)
{
    to[0] = 1; /* the second case of a result */
    memcpy(to + function->case_offset, &number, function->case_bytes);
}

/* The caller ends, since there is no result and no way to say so. The kernel holds nothing any more. */
__attribute__((noinline)) static void end_caller(struct instance *instance, const struct service_function *function,
                                                 const char *complaint)
{
    struct name interface = function->interface, name = function->function->name;
    char text[sizeof(((struct trap_report *)0)->detail)];
    thread_end_if_asked(); /* by the end of the process's time, too, which can show as a call that timed out */
    format_text(text, sizeof(text), "%.*s.%.*s: %s", (int)min_u64(interface.length, 40), interface.text,
                (int)min_u64(name.length, 30), name.text, complaint);
    instance_trap(instance, TRAP_SERVICE, text);
}

/* There is no result: the caller ends, or hears that the service is unavailable. */
__attribute__((noinline)) static void give_up(const struct service_call *call)
{
    const struct service_function *function = call->import->function;
    if (call->guest.trap != TRAP_NONE) {
        thread_pass_trap_on(call->guest.trap);
    }
    thread_end_if_asked();
    if (!call->is_fault && call->error_case != SERVICE_NO_CASE) {
        write_error_case(function, call->guest.side.base + call->result_address, call->error_case);
        return;
    }
    end_caller(call->guest.instance, function, call->complaint);
}

/* ---- Short calls: scalars, and a result of a fixed size; nothing is held when the guest ends ---- */

struct short_call {
    struct instance *instance;
    const struct service_function *function;
    uint64_t deadline;
    uint32_t result_address; /* where the result is in memory */
    struct {
        uint64_t identity;
        uint64_t flat[COMPONENT_FLAT_PARAMETERS + 2]; /* with the result's address, which is not sent */
    } request;
    struct service_short_answer answer;
    uint32_t answer_bytes;
};

static struct component_side memory_of(const struct short_call *call)
{
    return (struct component_side){.base = call->instance->gs_base, .bytes = call->instance->header->memory.bytes};
}

/* No answer, or none that is one: the error as the result, if there is such a case. */
__attribute__((noinline)) static void fail_short(const struct short_call *call, uint32_t error_case,
                                                 const char *complaint)
{
    thread_end_if_asked();
    if (error_case == SERVICE_NO_CASE) {
        end_caller(call->instance, call->function, complaint);
    }
    write_error_case(call->function, call->instance->gs_base + call->result_address, error_case);
}

/* Look at what need not be right, and make it what is sent. */
static void check_short(struct short_call *call)
{
    const struct component_plan *parameters = &call->function->call.parameters;
    const struct component_plan *result = &call->function->call.result;
    struct component_side memory = memory_of(call);
    uint64_t to[COMPONENT_FLAT_PARAMETERS];
    call->result_address = result->in_memory ? (uint32_t)call->request.flat[parameters->flat_count] : 0;
    enum component_status status = component_check_result(&memory, result, call->result_address);
    if (status == COMPONENT_OK && !parameters->numbers) {
        struct component_transfer transfer = {.source = &memory};
        status = component_transfer_parameters(&transfer, parameters, call->request.flat, to);
        for (uint32_t i = 0; i < parameters->flat_count; i++) {
            call->request.flat[i] = to[i];
        }
    }
    if (status != COMPONENT_OK) {
        end_caller(call->instance, call->function, component_status_text(status));
    }
}

/* Through the port. */
static enum status exchange_short(struct short_call *call, const struct service_import *import)
{
    struct port_message message;
    struct port_buffer buffer;
    struct object *client;
    bool taken;
    message.bytes = (const uint8_t *)&call->request;
    message.length = (uint32_t)sizeof(struct service_request) + call->function->call.parameters.flat_count * 8;
    message.grant_count = 0;
    message.exchange = NULL;
    message.is_checked = true;
    buffer.bytes = (uint8_t *)&call->answer;
    buffer.is_exchanged = false;
    buffer.capacity = sizeof(call->answer);
    buffer.grant_capacity = 0;
    enum status status = find_client(call->instance, import, false, &client, &taken, &call->deadline);
    if (LIKELY(status == STATUS_OK)) {
        status =
            port_call_here(running_thread(), (const struct port_client *)client, &message, &buffer, call->deadline);
        if (UNLIKELY(taken)) {
            object_release(client);
        }
        call->answer_bytes = buffer.length;
    }
    return status;
}

/* The answer, bytes from somebody who may have written anything, as the function's result. */
static uint64_t lower_short(const struct short_call *call)
{
    const struct component_plan *result = &call->function->call.result;
    struct component_side source = {.base = (uint8_t *)&call->answer, .bytes = call->answer_bytes};
    struct component_side memory = memory_of(call);
    struct component_transfer transfer = {.source = &source, .destination = &memory};
    uint64_t value = 0;
    enum component_status status =
        component_transfer_result(&transfer, result, call->answer.answer.flat, call->result_address, &value);
    if (status != COMPONENT_OK) {
        fail_short(call, call->function->unavailable, component_status_text(status));
    }
    return value;
}

static uint64_t call_short(struct instance *instance, const struct service_import *import,
                           const struct argument_registers *registers)
{
    const struct service_function *function = import->function;
    const struct component_plan *result = &function->call.result;
    struct short_call call;
    call.instance = instance;
    call.function = function;
    call.result_address = 0;
    call.request.identity = function->function->identity;
    gather(function->core, registers, call.request.flat);
    if (!function->numbers) {
        check_short(&call);
    }
    enum status status = exchange_short(&call, import);
    if (UNLIKELY(status != STATUS_OK)) {
        fail_short(&call, status == STATUS_TIMED_OUT ? function->timed_out : function->unavailable,
                   status_text(status));
        return 0;
    }
    uint64_t answer = call.answer_bytes < sizeof(call.answer.answer) ? SERVICE_BAD_MESSAGE : call.answer.answer.status;
    if (UNLIKELY(answer != SERVICE_OK)) {
        fail_short(&call, function->unavailable, refusal_text(answer));
        return 0;
    }
    return !function->numbers   ? lower_short(&call)
           : result->flat_count ? component_flat_number(&result->steps[result->start], call.answer.answer.flat)
                                : 0;
}

/* ---- Resources ---- */

static void refuse_handle(struct instance *instance, const struct component_resource *resource, const char *reason)
{
    char text[sizeof(((struct trap_report *)0)->detail)];
    format_text(text, sizeof(text), "%.*s.%.*s: %s", (int)min_u64(resource->interface.length, 40),
                resource->interface.text, (int)min_u64(resource->name.length, 30), resource->name.text, reason);
    instance_trap(instance, TRAP_SERVICE, text);
}

static uint32_t make_resource(struct instance *instance, const struct service_intrinsic *intrinsic,
                              uint32_t representation)
{
    struct resource_home *home = service_home(instance->process);
    struct object *object;
    uint32_t number = 0;
    enum status status =
        home ? resource_create(home, intrinsic->own, representation, instance->process->account, &object)
             : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = handle_insert_new(&instance->process->handles, object, &number);
    }
    if (status != STATUS_OK) {
        refuse_handle(instance, intrinsic->resource, "no room for a handle");
    }
    return number;
}

/* The object behind a handle that is one of this resource, with a reference; NULL: none is, for it was revoked. What is
 * another thing's handle ends the guest. */
static struct object *find_resource(struct instance *instance, const struct service_intrinsic *intrinsic,
                                    uint32_t handle)
{
    struct object *object;
    if (handle_find(&instance->process->handles, handle, OBJECT_ANY, 0, &object) != STATUS_OK) {
        return NULL;
    }
    if (!resource_is(object, intrinsic->resource->identity) ||
        (intrinsic->own && !resource_is_of(object, service_home(instance->process)))) {
        object_release(object);
        refuse_handle(instance, intrinsic->resource, "not a handle of this resource");
    }
    return object;
}

static uint32_t find_representation(struct instance *instance, const struct service_intrinsic *intrinsic,
                                    uint32_t handle)
{
    struct object *object = find_resource(instance, intrinsic, handle);
    if (!object) {
        refuse_handle(instance, intrinsic->resource, "no such handle");
    }
    uint32_t representation = resource_representation(object);
    object_release(object);
    return representation;
}

enum trap service_call_destructor(struct instance *instance, const struct service_resource *resource,
                                  uint32_t representation)
{
    uint64_t argument = representation;
    return resource->destructor == UINT32_MAX ? TRAP_NONE
                                              : instance_call(instance, resource->destructor, &argument, NULL);
}

/* A handle that is gone already, for it was revoked, is not missed. */
static void drop_resource(struct instance *instance, const struct service_intrinsic *intrinsic, uint32_t handle)
{
    struct object *object = find_resource(instance, intrinsic, handle);
    enum trap trap = TRAP_NONE;
    handle_close(&instance->process->handles, handle);
    if (object) {
        uint32_t representation = resource_representation(object);
        bool is_due = intrinsic->own && resource_take(object);
        object_release(object);
        trap = is_due ? service_call_destructor(instance, intrinsic->own, representation) : TRAP_NONE;
    }
    if (trap != TRAP_NONE) {
        thread_pass_trap_on(trap);
    }
}

static uint64_t call_intrinsic(struct instance *instance, const struct service_intrinsic *intrinsic, uint32_t argument)
{
    switch (intrinsic->kind) {
    case SERVICE_NEW:
        return make_resource(instance, intrinsic, argument);
    case SERVICE_REPRESENTATION:
        return find_representation(instance, intrinsic, argument);
    case SERVICE_DROP:
    case SERVICE_DROP_OWN:
        break;
    }
    drop_resource(instance, intrinsic, argument);
    return 0;
}

/* A call with values of any type. */
static uint64_t call_with_values(struct instance *instance, const struct service_import *import,
                                 const struct argument_registers *registers)
{
    uint64_t flat[COMPONENT_FLAT_PARAMETERS + 2], result = 0;
    struct service_call call; /* filled member by member: the room for the message is large */
    call.import = import;
    service_sending_begin(&call.sending, &instance->process->handles);
    call.answer.bytes = NULL;
    call.complaint = NULL;
    service_guest_begin(&call.guest, instance);
    gather(import->function->core, registers, flat);
    if (lift(&call, flat) && make_room(&call)) {
        if (exchange(&call) == STATUS_OK) {
            lower(&call, &result);
        }
    }
    release(&call);
    if (call.complaint) {
        give_up(&call);
    }
    return result;
}

uint64_t service_import_called(struct instance *instance, const struct argument_registers *registers,
                               const struct host_entry *entry)
{
    const struct service_import *import =
        &instance->process->services->imports[(uint32_t)(entry - host_entries) - first_number];
    if (UNLIKELY(import->intrinsic != NULL)) {
        return call_intrinsic(instance, import->intrinsic, (uint32_t)registers->integers[0]);
    }
    return import->function->is_short ? call_short(instance, import, registers)
                                      : call_with_values(instance, import, registers);
}
