/* Ports: calls from one program into another. First everything that the caller's memory holds is checked and copied;
 * then the objects are looked up; then numbers of handles are turned into grants, which a message owns, and back on the
 * other side. The bytes go from memory to memory (kernel/port.h). */
#include "kernel/port_parts.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"

/* What the caller sends: `message` has its grants from take_handles on. */
struct outgoing {
    struct port_message message;
    uint32_t numbers[HANDLES_PER_MESSAGE];
};

/* ---- Decoding: ranges outside of the memory end the caller ---- */

/* In every call, so that the copy is some moves and not a function. */
#define READ_STRUCTURE(to, address, what)                                                                              \
    memcpy(to, caller_memory(instance, address, sizeof(*(to)), what), sizeof(*(to)))

INLINED enum status decode_message(struct instance *instance, uint32_t bytes, uint32_t length, uint32_t handles,
                                   uint32_t handle_count, struct outgoing *outgoing, const char *what)
{
    outgoing->message.bytes = caller_memory(instance, bytes, length, what);
    outgoing->message.length = length;
    outgoing->message.grant_count = 0;
    outgoing->message.exchange = NULL;
    outgoing->message.is_checked = false;
    if (length > PORT_MESSAGE_BYTES_MAXIMUM) {
        return STATUS_TOO_LARGE;
    }
    if (handle_count) {
        const void *from = caller_memory(instance, handles, handle_count * (uint64_t)sizeof(uint32_t), what);
        if (handle_count > HANDLES_PER_MESSAGE) {
            return STATUS_TOO_LARGE;
        }
        memcpy(outgoing->numbers, from, handle_count * sizeof(uint32_t));
        outgoing->message.grant_count = handle_count;
    }
    return STATUS_OK;
}

INLINED void decode_buffer(struct instance *instance, uint32_t bytes, uint32_t capacity, uint32_t handles,
                           uint32_t handle_capacity, struct port_buffer *buffer, const char *what)
{
    if (handle_capacity) {
        caller_memory(instance, handles, handle_capacity * (uint64_t)sizeof(uint32_t), what);
    }
    buffer->bytes = caller_memory(instance, bytes, capacity, what);
    buffer->capacity = capacity;
    buffer->grant_capacity = (uint32_t)min_u64(handle_capacity, HANDLES_PER_MESSAGE);
    buffer->is_exchanged = false;
    buffer->length = 0;
    buffer->grant_count = 0;
}

INLINED enum status decode_answer(struct instance *instance, uint32_t address, struct outgoing *outgoing,
                                  const char *what)
{
    struct tessera_answer answer;
    READ_STRUCTURE(&answer, address, what);
    return decode_message(instance, answer.bytes, answer.length, answer.handles, answer.handle_count, outgoing, what);
}

INLINED void decode_request(struct instance *instance, uint32_t address, struct tessera_request *request,
                            struct port_buffer *buffer, const char *what)
{
    READ_STRUCTURE(request, address, what);
    decode_buffer(instance, request->bytes, request->capacity, request->handles, request->handle_capacity, buffer,
                  what);
}

/* The end of a guest's structure, from `offset` on: what a call writes. (It may lie at any address.) */
static void write_results(struct instance *instance, uint32_t address, const void *from, size_t bytes, size_t offset,
                          const char *what)
{
    uint8_t *to = caller_memory(instance, address, bytes, what);
    memcpy(to + offset, (const uint8_t *)from + offset, bytes - offset);
}

/* ---- Handles that ride along ---- */

static enum status take_handles(struct instance *instance, struct outgoing *outgoing)
{
    struct port_message *message = &outgoing->message;
    if (message->grant_count == 0) {
        return STATUS_OK;
    }
    enum status status =
        handles_take(caller_handles(instance), outgoing->numbers, message->grant_count, 0, message->grants);
    if (status == STATUS_OK) {
        handles_taken(caller_handles(instance), outgoing->numbers, message->grant_count);
    }
    return status;
}

/* What was received becomes handles of the caller, and their numbers are written; if that fails they are gone. */
static enum status give_handles(struct instance *instance, struct port_buffer *buffer, uint32_t address)
{
    uint32_t numbers[HANDLES_PER_MESSAGE];
    if (buffer->grant_count == 0) {
        return STATUS_OK;
    }
    enum status status = handles_insert(caller_handles(instance), buffer->grants, buffer->grant_count, numbers);
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < buffer->grant_count; i++) {
            grant_drop(buffer->grants[i]);
        }
        return status;
    }
    size_t bytes = buffer->grant_count * sizeof(numbers[0]);
    memcpy(caller_memory(instance, address, bytes, "handles"), numbers, bytes);
    return STATUS_OK;
}

/* The kernel holds nothing for the guest here. */
static int32_t result_or_end(enum status status)
{
    if (status == STATUS_ENDING) {
        thread_end_if_asked();
    }
    return tessera_result(status);
}

/* ---- Making ---- */

int32_t host_port_create(struct instance *instance)
{
    struct object *port = NULL;
    enum status status = port_create(instance->process->account, &port);
    return caller_give(instance, status, port);
}

int32_t host_port_client_create(struct instance *instance, uint32_t handle, uint64_t badge)
{
    struct object *port, *client = NULL;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(port_client_create), &port);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = port_client_create(port, badge, instance->process->account, &client);
    object_release(port);
    return caller_give(instance, status, client);
}

/* ---- Calling ---- */

int32_t host_port_call(struct instance *instance, uint32_t handle, uint32_t address)
{
    struct tessera_call call;
    struct outgoing request;
    struct port_buffer answer;
    struct object *client;
    bool taken;
    READ_STRUCTURE(&call, address, "port_call: call");
    decode_buffer(instance, call.answer, call.answer_capacity, call.answer_handles, call.answer_handle_capacity,
                  &answer, "port_call: answer");
    enum status status = decode_message(instance, call.request, call.request_bytes, call.request_handles,
                                        call.request_handle_count, &request, "port_call: request");
    if (status == STATUS_OK) {
        status = port_find_client(caller_handles(instance), handle, NEEDED_RIGHTS_port_call,
                                  call.request_handle_count != 0, &client, &taken);
    }
    if (UNLIKELY(status != STATUS_OK)) {
        return tessera_result(status);
    }
    status = take_handles(instance, &request);
    if (LIKELY(status == STATUS_OK)) {
        status = port_call_here(running_thread(), (const struct port_client *)client, &request.message, &answer,
                                caller_deadline(instance, call.deadline));
    }
    if (UNLIKELY(taken)) {
        object_release(client);
    }
    if (LIKELY(status == STATUS_OK)) {
        status = give_handles(instance, &answer, call.answer_handles);
    }
    if (LIKELY(status == STATUS_OK)) {
        call.answer_bytes = answer.length;
        call.answer_handle_count = answer.grant_count;
        write_results(instance, address, &call, sizeof(call), offsetof(struct tessera_call, answer_bytes),
                      "port_call: call");
    }
    return result_or_end(status);
}

/* ---- Serving ---- */

/* Tell the server what it received. One that has no room for the handles does not see the call. */
INLINED enum status received(struct instance *instance, uint32_t address, struct tessera_request *request,
                             struct port_buffer *buffer, int32_t answered)
{
    enum status status = give_handles(instance, buffer, request->handles);
    if (status != STATUS_OK) {
        port_abandon_call();
        return status;
    }
    request->length = buffer->length;
    request->handle_count = buffer->grant_count;
    request->badge = buffer->badge;
    request->answered = answered;
    write_results(instance, address, request, sizeof(*request), offsetof(struct tessera_request, length),
                  "port_receive: request");
    return STATUS_OK;
}

/* Until something comes, as long as the handle is good. */
static enum status receive(struct instance *instance, uint32_t handle, struct port_buffer *buffer, uint64_t deadline)
{
    enum status status;
    do {
        struct object *port;
        status =
            port_find_server(caller_handles(instance), handle, NEEDED_RIGHTS_port_receive, &port, &buffer->revocations);
        if (status == STATUS_OK) {
            status = port_receive(port, buffer, deadline);
            object_release(port);
        }
    } while (status == STATUS_AGAIN);
    return status;
}

int32_t host_port_caller(struct instance *instance, uint32_t handle, uint32_t badge_address)
{
    struct object *port;
    uint64_t badge;
    void *to = instance_memory_required(instance, badge_address, sizeof(badge), "port_caller: badge");
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(port_caller), &port);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = port_caller(port, &badge);
    object_release(port);
    if (status == STATUS_OK) {
        memcpy(to, &badge, sizeof(badge));
    }
    return tessera_result(status);
}

int32_t host_port_receive(struct instance *instance, uint32_t handle, uint32_t address)
{
    struct tessera_request request;
    struct port_buffer buffer;
    decode_request(instance, address, &request, &buffer, "port_receive: request");
    enum status status = receive(instance, handle, &buffer, caller_deadline(instance, request.deadline));
    return result_or_end(status == STATUS_OK ? received(instance, address, &request, &buffer, 0) : status);
}

int32_t host_port_reply(struct instance *instance, uint32_t handle, uint32_t address)
{
    struct outgoing answer;
    struct object *port;
    enum status status = decode_answer(instance, address, &answer, "port_reply: answer");
    if (status == STATUS_OK) {
        status = handle_find(caller_handles(instance), handle, NEEDS(port_reply), &port);
    }
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = take_handles(instance, &answer);
    if (status == STATUS_OK) {
        status = port_reply(port, &answer.message);
    }
    object_release(port);
    return tessera_result(status);
}

/* A thread that received a call has a reference to the port; else this takes one, which *taken says. *revocations: see
 * port_find_server. */
INLINED enum status find_port(struct instance *instance, uint32_t handle, struct object **port, uint32_t *revocations,
                              bool *taken)
{
    struct handle_table *table = caller_handles(instance);
    const struct thread *thread = running_thread();
    *taken = false;
    if (LIKELY(!thread->shares)) {
        enum status status = port_find_alone(table, handle, NEEDED_RIGHTS_port_reply_receive, port, revocations);
        if (LIKELY(status != STATUS_OK || (struct port *)*port == thread->call_port)) {
            return status;
        }
    }
    enum status status = port_find_server(table, handle, NEEDED_RIGHTS_port_reply_receive, port, revocations);
    *taken = status == STATUS_OK;
    return status;
}

int32_t host_port_reply_receive(struct instance *instance, uint32_t handle, uint32_t answer_address,
                                uint32_t request_address)
{
    struct outgoing answer;
    struct tessera_request request;
    struct port_buffer buffer;
    struct object *port;
    enum status answered;
    bool taken;
    decode_request(instance, request_address, &request, &buffer, "port_reply_receive: request");
    enum status status = decode_answer(instance, answer_address, &answer, "port_reply_receive: answer");
    if (status == STATUS_OK) {
        status = find_port(instance, handle, &port, &buffer.revocations, &taken);
    }
    if (UNLIKELY(status != STATUS_OK)) {
        return tessera_result(status);
    }
    status = take_handles(instance, &answer);
    if (LIKELY(status == STATUS_OK)) {
        uint64_t deadline = caller_deadline(instance, request.deadline);
        status = LIKELY((struct port *)port == running_thread()->call_port)
                     ? port_reply_receive_here(running_thread(), (struct port *)port, &answer.message, &answered,
                                               &buffer, deadline)
                     : port_reply_receive(port, &answer.message, &answered, &buffer, deadline);
        if (UNLIKELY(status == STATUS_AGAIN)) {
            status = receive(instance, handle, &buffer, deadline);
        }
    }
    if (UNLIKELY(taken)) {
        object_release(port);
    }
    return result_or_end(LIKELY(status == STATUS_OK)
                             ? received(instance, request_address, &request, &buffer, tessera_result(answered))
                             : status);
}

/* ---- Answering later ---- */

int32_t host_port_defer(struct instance *instance, uint32_t handle)
{
    struct object *port, *reply = NULL;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(port_defer), &port);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = port_defer(port, instance->process->account, &reply);
    object_release(port);
    return caller_give(instance, status, reply);
}

int32_t host_reply_send(struct instance *instance, uint32_t handle, uint32_t address)
{
    struct outgoing answer;
    struct object *reply;
    enum status status = decode_answer(instance, address, &answer, "reply_send: answer");
    if (status == STATUS_OK) {
        status = handle_find(caller_handles(instance), handle, NEEDS(reply_send), &reply);
    }
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = take_handles(instance, &answer);
    if (status == STATUS_OK) {
        status = reply_send(reply, &answer.message);
        handle_close(caller_handles(instance), handle);
    }
    object_release(reply);
    return tessera_result(status);
}
