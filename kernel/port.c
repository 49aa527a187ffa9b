/* A call belongs to its caller: the record lies on the caller's kernel stack, and is in the hands of the port while the
 * caller sleeps. Who wants to touch it, or the caller's memory, claims the caller first (thread_claim): from then on no
 * deadline and no kill wakes him, until he is resumed or put back to sleep. The same goes for a server thread that
 * waits and its buffer. So nothing is locked, and nobody can run off, while bytes are copied. */
#include "kernel/port_parts.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/instance.h"

/* ---- The queue ---- */

static void queue_remove_call(struct port *port, struct call *call) REQUIRES(port->object.lock)
{
    *(call->previous ? &call->previous->next : &port->queue_first) = call->next;
    *(call->next ? &call->next->previous : &port->queue_last) = call->previous;
}

static void queue_insert_call(struct port *port, struct call *call) REQUIRES(port->object.lock)
{
    struct call *previous = port->queue_last;
    while (previous && thread_priority(previous->caller) < thread_priority(call->caller)) {
        previous = previous->previous;
    }
    call->state = CALL_QUEUED;
    call->previous = previous;
    call->next = previous ? previous->next : port->queue_first;
    *(previous ? &previous->next : &port->queue_first) = call;
    *(call->next ? &call->next->previous : &port->queue_last) = call;
}

/* ---- Grants that ride along ---- */

void port_copy_grants(const struct port_message *message, struct port_buffer *buffer)
{
    for (uint32_t i = 0; i < message->grant_count; i++) {
        buffer->grants[i] = message->grants[i];
    }
}

void port_drop_grants(const struct port_message *message)
{
    for (uint32_t i = 0; i < message->grant_count; i++) {
        grant_drop(message->grants[i]);
    }
}

/* ---- States of a call ---- */

/* It is over, whatever its state is. */
static void finish(struct port *port, struct call *call, enum status status) REQUIRES(port->object.lock)
{
    if (call->state == CALL_ACCEPTED) {
        port_finish(port, call, status);
        return;
    }
    queue_remove_call(port, call);
    call->status = status;
    call->state = CALL_DONE;
}

/* The same for a caller that sleeps. */
static void fail(struct port *port, struct call *call, enum status status) REQUIRES(port->object.lock)
{
    struct thread *caller = call->caller;
    finish(port, call, status);
    thread_wake(caller);
}

/* ---- Calling ---- */

/* Those whose wait is over leave by themselves. */
struct receiver *port_claim_receiver(struct port *port)
{
    struct receiver **link = &port->receivers;
    while (*link) {
        struct receiver *receiver = *link;
        if (thread_claim(receiver->thread)) {
            *link = receiver->next;
            return receiver;
        }
        link = &receiver->next;
    }
    return NULL;
}

void port_put_back(struct port *port, struct receiver *receiver)
{
    receiver->next = port->receivers;
    port->receivers = receiver;
    thread_unclaim(receiver->thread, receiver->deadline);
}

/* Those that work for the port are to come back to it soon. */
static void inherit_all(struct port *port, uint32_t priority) REQUIRES(port->object.lock)
{
    for (struct call *call = port->accepted; call; call = call->next) {
        if (call->server && thread_priority(call->server) < priority) {
            scheduler_lend_priority(call->server, priority);
        }
    }
}

enum status port_queue_call(struct port *port, struct call *call)
{
    if (port->closed) {
        return STATUS_CLOSED;
    }
    queue_insert_call(port, call);
    inherit_all(port, thread_priority(call->caller));
    object_signal_locked(&port->object, 0, SIGNAL_READABLE);
    return STATUS_OK;
}

enum status port_conclude(struct port *port, struct call *call, enum wait_result result)
{
    spinlock_acquire(&port->object.lock);
    if (call->state != CALL_DONE) {
        finish(port, call, STATUS_TIMED_OUT);
    }
    spinlock_release(&port->object.lock);
    /* Whoever found that it is leaving made it DONE, and did not know why. */
    return result == WAIT_ENDS ? STATUS_ENDING : call->status;
}

enum status port_call(struct object *client, const struct port_message *request, struct port_buffer *answer,
                      uint64_t deadline)
{
    return port_call_here(thread_current(), (const struct port_client *)client, request, answer, deadline);
}

/* ---- Receiving ---- */

/* Take the first queued call. False: there is none. `status`: it, or STATUS_INVALID for a fault, which is the caller's
 * failure and the server's. */
static bool take_queued(struct port *port, struct port_buffer *buffer, enum status *status) REQUIRES(port->object.lock)
{
    struct call *call;
    while ((call = port->queue_first)) {
        if (!thread_claim(call->caller)) { /* it is leaving */
            finish(port, call, STATUS_TIMED_OUT);
            continue;
        }
        *status = port_copy(call->request, buffer);
        if (*status == STATUS_OK) {
            TRACE(CALL_TAKEN, call->caller->id, call->request->length);
            buffer->badge = call->badge;
            call->has_grants = false;
            queue_remove_call(port, call);
            port_accept(port, call, thread_current());
            thread_unclaim(call->caller, call->deadline);
            return true;
        }
        finish(port, call, *status);
        scheduler_make_ready(call->caller);
        if (*status == STATUS_INVALID) {
            return true;
        }
    }
    return false;
}

/* Out of the list. True: handles were revoked meanwhile. */
static bool leave(struct port *port, const struct receiver *receiver)
{
    spinlock_acquire(&port->object.lock);
    bool revoked = port->revocations != receiver->buffer->revocations;
    for (struct receiver **link = &port->receivers; *link; link = &(*link)->next) {
        if (*link == receiver) {
            *link = receiver->next;
            break;
        }
    }
    spinlock_release(&port->object.lock);
    return revoked;
}

bool port_look(struct port *port, struct port_buffer *buffer, enum status *status)
{
    if (port->revocations != buffer->revocations) {
        *status = STATUS_AGAIN;
        return true;
    }
    if (take_queued(port, buffer, status)) {
        return true;
    }
    object_signal_locked(&port->object, SIGNAL_READABLE, 0);
    if (object_signals(&port->object) & SIGNAL_PEER_CLOSED) {
        *status = STATUS_CLOSED;
        return true;
    }
    return false;
}

void port_do_not_wait(struct thread *resume)
{
    thread_wait_cancel();
    if (resume) {
        scheduler_make_ready(resume);
    }
}

enum status port_leave(struct port *port, const struct receiver *receiver, enum wait_result result)
{
    bool revoked = leave(port, receiver);
    return receiver->received     ? STATUS_OK
           : result == WAIT_ENDS  ? STATUS_ENDING
           : result != WAIT_WOKEN ? STATUS_TIMED_OUT
           : revoked              ? STATUS_AGAIN
                                  : STATUS_CLOSED;
}

enum status port_find_server(struct handle_table *table, uint32_t handle, uint32_t rights, struct object **result,
                             uint32_t *revocations)
{
    spinlock_acquire(&table->lock);
    enum status status = port_find_locked(table, handle, rights, result, revocations);
    if (status == STATUS_OK) {
        object_acquire(*result);
    }
    spinlock_release(&table->lock);
    return status;
}

void port_handles_revoked(struct object *object)
{
    struct port *port = (struct port *)object;
    __atomic_store_n(&port->revocations, port->revocations + 1, __ATOMIC_RELEASE);
    for (struct receiver *receiver = port->receivers; receiver; receiver = receiver->next) {
        thread_wake(receiver->thread);
    }
}

enum status port_receive(struct object *object, struct port_buffer *buffer, uint64_t deadline)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current();
    struct receiver receiver = {.thread = thread, .buffer = buffer, .deadline = deadline};
    if (thread->call_port) {
        return STATUS_BUSY;
    }
    scheduler_return_priority(thread);
    thread_wait_begin();
    spinlock_acquire(&port->object.lock);
    enum status status = port_receive_here(thread, port, &receiver, NULL);
    if (status == STATUS_OK) {
        object_acquire(object);
        thread->call_port = port;
        thread->call_activation = thread->activation;
    }
    return status;
}

enum status port_caller(struct object *object, uint64_t *badge)
{
    struct port *port = (struct port *)object;
    const struct thread *thread = thread_current();
    if (thread->call_port != port) {
        return STATUS_NOT_FOUND;
    }
    spinlock_acquire(&port->object.lock);
    const struct call *call = thread->call;
    *badge = call ? call->badge : 0;
    spinlock_release(&port->object.lock);
    return call ? STATUS_OK : STATUS_CLOSED;
}

/* ---- Answering ---- */

void port_answer_nobody(struct port *port, struct call *call)
{
    if (call) {
        port_finish(port, call, STATUS_TIMED_OUT);
    }
}

void port_forget_call(struct port *port)
{
    thread_current()->call_port = NULL;
    object_release(&port->object);
}

/* A call is answered for good, or is not: the lock is given back. */
static enum status answer(struct port *port, struct call *call, const struct port_message *message)
    RELEASES(port->object.lock)
{
    enum status status;
    struct thread *caller = port_answer(port, call, message, NULL, &status);
    spinlock_release(&port->object.lock);
    if (status != STATUS_OK) {
        port_drop_grants(message);
    }
    if (caller) {
        COUNT(calls_served);
        scheduler_make_ready(caller);
    }
    return status;
}

enum status port_reply(struct object *object, const struct port_message *message)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current();
    if (thread->call_port != port) {
        port_drop_grants(message);
        return STATUS_CLOSED;
    }
    spinlock_acquire(&port->object.lock);
    enum status status = answer(port, thread->call, message);
    port_forget_call(port);
    return status;
}

enum status port_reply_receive(struct object *object, const struct port_message *message, enum status *replied,
                               struct port_buffer *buffer, uint64_t deadline)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current();
    if (thread->call_port != port) {
        *replied = STATUS_CLOSED;
        port_drop_grants(message);
        return port_receive(object, buffer, deadline);
    }
    return port_reply_receive_here(thread, port, message, replied, buffer, deadline);
}

void port_abandon_call(void)
{
    struct thread *thread = thread_current();
    struct port *port = thread->call_port;
    spinlock_acquire(&port->object.lock);
    if (thread->call) {
        fail(port, thread->call, STATUS_CLOSED);
    }
    spinlock_release(&port->object.lock);
    thread->call_port = NULL;
    scheduler_return_priority(thread);
    object_release(&port->object);
}

/* ---- Replies that are kept ---- */

enum status port_defer(struct object *object, struct account *account, struct object **result)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current();
    if (thread->call_port != port) {
        return STATUS_NOT_FOUND;
    }
    enum status status = object_allocate(OBJECT_REPLY, sizeof(struct reply), account, 0, result);
    if (status != STATUS_OK) {
        return status;
    }
    struct reply *reply = (struct reply *)*result;
    reply->port = port; /* the thread's reference */
    spinlock_acquire(&port->object.lock);
    reply->call = thread->call;
    if (reply->call) {
        reply->call->reply = reply;
        reply->call->server = NULL;
        thread->call = NULL;
    }
    spinlock_release(&port->object.lock);
    thread->call_port = NULL;
    scheduler_return_priority(thread);
    return STATUS_OK;
}

enum status reply_send(struct object *object, const struct port_message *message)
{
    struct reply *reply = (struct reply *)object;
    struct port *port = reply->port;
    spinlock_acquire(&port->object.lock);
    return answer(port, reply->call, message);
}

void reply_object_closed(struct object *object)
{
    struct reply *reply = (struct reply *)object;
    struct port *port = reply->port;
    spinlock_acquire(&port->object.lock);
    if (reply->call) {
        fail(port, reply->call, STATUS_CLOSED);
    }
    spinlock_release(&port->object.lock);
}

void reply_object_destroy(struct object *object)
{
    struct reply *reply = (struct reply *)object;
    reply_object_closed(object); /* if it never had a handle */
    object_release(&reply->port->object);
    object_free(object);
}

/* ---- Ends ---- */

enum status port_create(struct account *account, struct object **result)
{
    return object_allocate(OBJECT_PORT, sizeof(struct port), account, 0, result);
}

#define PIECE_CLIENTS 64 /* that are told while the lock is held */

/* Clients hear that the server's end is gone; some of them, or up to one that many wait for. False: that was all. */
static bool tell_clients(struct port *port)
{
    struct object *many = NULL;
    spinlock_acquire(&port->object.lock);
    for (uint32_t i = 0; port->untold && !many && i < PIECE_CLIENTS; i++) {
        struct port_client *client = port->untold;
        port->untold = client->next;
        many = object_signal_start(&client->object, 0, SIGNAL_PEER_CLOSED) ? &client->object : NULL;
    }
    bool more = port->untold;
    spinlock_release(&port->object.lock);
    if (many) {
        object_notify_rest(many);
        object_release(many);
    }
    return more;
}

/* The server's end is gone. */
void port_object_closed(struct object *object)
{
    struct port *port = (struct port *)object;
    spinlock_acquire(&port->object.lock);
    port->closed = true;
    while (port->queue_first) {
        fail(port, port->queue_first, STATUS_CLOSED);
    }
    while (port->accepted) {
        fail(port, port->accepted, STATUS_CLOSED);
    }
    for (struct receiver *receiver = port->receivers; receiver; receiver = receiver->next) {
        thread_wake(receiver->thread);
    }
    object_signal_begin(&port->object, 0, SIGNAL_PEER_CLOSED); /* for who had a handle, and is about to wait */
    port->untold = port->clients;
    spinlock_release(&port->object.lock);
    object_notify_rest(&port->object);
    while (tell_clients(port)) {
        thread_preemption_point();
    }
}

void port_object_destroy(struct object *object)
{
    struct port *port = (struct port *)object;
    if (port->module) {
        compiled_module_release(port->module);
    }
    object_free(object);
}

void port_set_module(struct object *object, struct compiled_module *module)
{
    struct port *port = (struct port *)object;
    compiled_module_acquire(module);
    spinlock_acquire(&object->lock);
    struct compiled_module *old = port->module;
    port->module = module;
    spinlock_release(&object->lock);
    if (old) {
        compiled_module_release(old);
    }
}

struct compiled_module *port_client_module(struct object *client)
{
    struct port *port = ((struct port_client *)client)->port;
    spinlock_acquire(&port->object.lock);
    struct compiled_module *module = port->module;
    if (module) {
        compiled_module_acquire(module);
    }
    spinlock_release(&port->object.lock);
    return module;
}

enum status port_client_create(struct object *object, uint64_t badge, struct account *account, struct object **result)
{
    struct port *port = (struct port *)object;
    enum status status = object_allocate(OBJECT_PORT_CLIENT, sizeof(struct port_client), account, 0, result);
    if (status != STATUS_OK) {
        return status;
    }
    struct port_client *client = (struct port_client *)*result;
    client->object.lock.rank = LOCK_OBJECT_INNER;
    client->port = port;
    client->badge = badge;
    object_acquire(object);
    spinlock_acquire(&object->lock);
    client->next = port->clients;
    if (client->next) {
        client->next->previous = client;
    }
    port->clients = client;
    if (port->closed) {
        object_signal(&client->object, 0, SIGNAL_PEER_CLOSED);
    } else {
        object_signal_locked(object, SIGNAL_PEER_CLOSED, 0);
    }
    spinlock_release(&object->lock);
    return STATUS_OK;
}

/* One client less. With the last one, server threads that wait hear of it. */
void port_client_object_closed(struct object *object)
{
    struct port_client *client = (struct port_client *)object;
    struct port *port = client->port;
    spinlock_acquire(&port->object.lock);
    client->closed = true;
    *(client->previous ? &client->previous->next : &port->clients) = client->next;
    if (client->next) {
        client->next->previous = client->previous;
    }
    if (port->untold == client) {
        port->untold = client->next;
    }
    if (!port->clients) {
        object_signal_begin(&port->object, 0, SIGNAL_PEER_CLOSED);
        for (struct receiver *receiver = port->receivers; receiver; receiver = receiver->next) {
            thread_wake(receiver->thread);
        }
    }
    spinlock_release(&port->object.lock);
    object_notify_rest(&port->object);
}

void port_client_object_destroy(struct object *object)
{
    struct port_client *client = (struct port_client *)object;
    if (!client->closed) { /* it never had a handle */
        port_client_object_closed(object);
    }
    object_release(&client->port->object);
    object_free(object);
}
