/* A call belongs to its caller: the record lies on the caller's kernel stack, and is in the hands of the port while the
 * caller sleeps. Who wants to touch it, or the caller's memory, claims the caller first (thread_claim): from then on no
 * deadline and no kill wakes him, until he is resumed or put back to sleep. The same goes for a server thread that
 * waits and its buffer. So nothing is locked, and nobody can run off, while bytes are copied. */
#include "kernel/port.h"

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/guest_copy.h"
#include "kernel/heap.h"
#include "kernel/instance.h"
#include "kernel/trace.h"

/* QUEUED: no server thread has it yet. ACCEPTED: one works for it, or a reply object is kept. DONE: `status` says how
 * it ended; nobody knows it any more but its caller. */
enum call_state { CALL_QUEUED, CALL_ACCEPTED, CALL_DONE };

struct call {
    struct call *next, *previous; /* in the list of its state */
    struct thread *caller;
    struct thread *server; /* ACCEPTED: who works for it; NULL: `reply` keeps it */
    struct reply *reply;
    const struct port_message *request;
    struct port_buffer *answer;
    uint64_t badge, deadline;
    enum call_state state;
    enum status status;
    bool has_grants; /* the request's were not taken yet */
};

/* A server thread that waits; on its kernel stack. */
struct receiver {
    struct receiver *next;
    struct thread *thread;
    struct port_buffer *buffer;
    uint64_t deadline;
    bool received;         /* set by who claimed it */
    struct thread *resume; /* answered, and not resumed yet: the receiver gives it the CPU */
};

struct call_list {
    struct call *first, *last;
};

struct port {
    struct object object;
    struct call_list queue; /* by priority of the caller, first come first */
    struct call_list accepted;
    struct receiver *receivers; /* last come first: its cache is warm */
    struct port_client *clients;
    struct compiled_module *module; /* that answers, a reference; NULL: not known */
    bool closed;
    uint32_t revocations; /* how often handles to it were revoked; changes under the lock, may be read without */
};

struct port_client {
    struct object object;
    struct port *port;                   /* a reference */
    struct port_client *next, *previous; /* while open; the port's lock */
    uint64_t badge;
};

struct reply {
    struct object object;
    struct port *port; /* a reference */
    struct call *call; /* the port's lock; NULL: answered, or the caller is gone */
};

/* ---- Lists ---- */

static void list_remove(struct call_list *list, struct call *call)
{
    *(call->previous ? &call->previous->next : &list->first) = call->next;
    *(call->next ? &call->next->previous : &list->last) = call->previous;
}

static void list_insert_after(struct call_list *list, struct call *previous, struct call *call)
{
    call->previous = previous;
    call->next = previous ? previous->next : list->first;
    *(previous ? &previous->next : &list->first) = call;
    *(call->next ? &call->next->previous : &list->last) = call;
}

static void queue_insert_call(struct port *port, struct call *call) REQUIRES(port->object.lock)
{
    struct call *previous = port->queue.last;
    while (previous && previous->caller->priority < call->caller->priority) {
        previous = previous->previous;
    }
    list_insert_after(&port->queue, previous, call);
}

static void drop_grants(struct grant *const *grants, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        grant_drop(grants[i]);
    }
}

/* ---- Priority ---- */

/* A server thread works for the caller: with no less than that one's priority, until it receives the next time. */
static void inherit(struct thread *server, uint32_t priority)
{
    if (server->priority < priority) {
        scheduler_lend_priority(server, priority);
    }
}

static void inherit_all(struct port *port, uint32_t priority) REQUIRES(port->object.lock)
{
    for (struct call *call = port->accepted.first; call; call = call->next) {
        if (call->server) {
            inherit(call->server, priority);
        }
    }
}

/* ---- States of a call ---- */

static void accept(struct port *port, struct call *call, struct thread *server) REQUIRES(port->object.lock)
{
    call->state = CALL_ACCEPTED;
    call->server = server;
    list_insert_after(&port->accepted, port->accepted.last, call);
    server->call = call;
    inherit(server, call->caller->priority);
}

/* It is over, in the list that `state` says, with this status; whoever worked for it does not know it any more. */
static void finish(struct port *port, struct call *call, enum status status) REQUIRES(port->object.lock)
{
    list_remove(call->state == CALL_QUEUED ? &port->queue : &port->accepted, call);
    if (call->state == CALL_ACCEPTED && call->server) {
        call->server->call = NULL;
    }
    if (call->reply) {
        call->reply->call = NULL;
        call->reply = NULL;
    }
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

static void fail_all(struct port *port, struct call_list *list) REQUIRES(port->object.lock)
{
    while (list->first) {
        fail(port, list->first, STATUS_CLOSED);
    }
}

/* ---- Copying ---- */

/* From a message to a buffer, whose owners are both held. */
static enum status copy_message(const struct port_message *message, struct port_buffer *buffer)
{
    if (message->length > buffer->capacity || message->grant_count > buffer->grant_capacity) {
        return STATUS_TOO_LARGE;
    }
    if (message->length && guest_copy(buffer->bytes, message->bytes, message->length)) {
        return STATUS_INVALID;
    }
    buffer->length = message->length;
    buffer->grant_count = message->grant_count;
    for (uint32_t i = 0; i < message->grant_count; i++) {
        buffer->grants[i] = message->grants[i];
    }
    return STATUS_OK;
}

/* ---- Calling ---- */

/* A server thread that waits, claimed and out of the list, or NULL. Those whose wait is over leave by themselves. */
static struct receiver *claim_receiver(struct port *port) REQUIRES(port->object.lock)
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

/* Give the call to a server thread that waits. *server: it is claimed, and to be resumed; NULL: the call is queued, or
 * (not STATUS_OK) it cannot be made. */
static enum status submit(struct port_client *client, struct call *call, struct thread **server)
{
    struct port *port = client->port;
    enum status status = STATUS_OK;
    *server = NULL;
    spinlock_acquire(&port->object.lock);
    struct receiver *receiver = port->closed ? NULL : claim_receiver(port);
    if (port->closed) {
        status = STATUS_CLOSED;
    } else if (receiver) {
        status = copy_message(call->request, receiver->buffer);
        if (status == STATUS_OK) {
            TRACE(CALL_GIVEN, receiver->thread->id, call->request->length);
            receiver->buffer->badge = call->badge;
            receiver->received = true;
            call->has_grants = false;
            accept(port, call, receiver->thread);
            *server = receiver->thread;
        } else {
            receiver->next = port->receivers;
            port->receivers = receiver;
            thread_unclaim(receiver->thread, receiver->deadline);
        }
    } else {
        queue_insert_call(port, call);
        inherit_all(port, call->caller->priority);
        object_signal_locked(&port->object, 0, SIGNAL_READABLE);
    }
    spinlock_release(&port->object.lock);
    return status;
}

/* The caller runs again: what became of the call, which nobody but he knows afterwards. */
static enum status conclude(struct port *port, struct call *call, enum wait_result result)
{
    spinlock_acquire(&port->object.lock);
    if (call->state != CALL_DONE) {
        finish(port, call, result == WAIT_ENDS ? STATUS_ENDING : STATUS_TIMED_OUT);
    }
    spinlock_release(&port->object.lock);
    return call->status;
}

enum status port_call(struct object *object, const struct port_message *request, struct port_buffer *answer,
                      uint64_t deadline)
{
    struct port_client *client = (struct port_client *)object;
    struct thread *server;
    struct call call = {
        .caller = thread_current(),
        .request = request,
        .answer = answer,
        .badge = client->badge,
        .deadline = deadline,
        .has_grants = true,
    };
    TRACE(CALL_BEGIN, client->badge, request->length);
    COUNT(calls_made);
    thread_wait_begin();
    enum status status = submit(client, &call, &server);
    if (status != STATUS_OK) {
        thread_wait_cancel();
    } else {
        enum wait_result result = server ? thread_wait_hand_over(server, deadline) : thread_wait_finish(deadline);
        /* Whoever made it DONE and then woke this thread is through with the record; others may still be at it. */
        bool concluded = result == WAIT_WOKEN && call.state == CALL_DONE;
        status = concluded ? call.status : conclude(client->port, &call, result);
    }
    if (call.has_grants) {
        drop_grants(request->grants, request->grant_count);
    }
    TRACE(CALL_END, status, 0);
    return status;
}

/* ---- Receiving ---- */

/* Take the first queued call. False: there is none. `status`: it, or STATUS_INVALID for a fault, which is the caller's
 * failure and the server's. */
static bool take_queued(struct port *port, struct port_buffer *buffer, enum status *status) REQUIRES(port->object.lock)
{
    struct call *call;
    while ((call = port->queue.first)) {
        if (!thread_claim(call->caller)) { /* it is leaving */
            finish(port, call, STATUS_TIMED_OUT);
            continue;
        }
        *status = copy_message(call->request, buffer);
        if (*status == STATUS_OK) {
            TRACE(CALL_TAKEN, call->caller->id, call->request->length);
            buffer->badge = call->badge;
            call->has_grants = false;
            list_remove(&port->queue, call);
            accept(port, call, thread_current());
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

/* Take a call that is there, or get into the list. True: not to wait, *status is the result. */
static bool take_or_enlist(struct port *port, struct receiver *receiver, enum status *status)
    REQUIRES(port->object.lock)
{
    if (port->revocations != receiver->buffer->revocations) {
        *status = STATUS_AGAIN;
        return true;
    }
    if (take_queued(port, receiver->buffer, status)) {
        return true;
    }
    object_signal_locked(&port->object, SIGNAL_READABLE, 0);
    if (object_signals(&port->object) & SIGNAL_PEER_CLOSED) {
        *status = STATUS_CLOSED;
        return true;
    }
    receiver->next = port->receivers;
    port->receivers = receiver;
    return false;
}

/* After thread_wait_begin, with the port's lock, which is given back; `resume` is a claimed thread, or NULL. */
static enum status receive(struct port *port, struct receiver *receiver, struct thread *resume)
    RELEASES(port->object.lock)
{
    enum status status;
    bool done = take_or_enlist(port, receiver, &status);
    spinlock_release(&port->object.lock);
    if (done) {
        thread_wait_cancel();
        if (resume) {
            scheduler_make_ready(resume);
        }
        return status;
    }
    enum wait_result result =
        resume ? thread_wait_hand_over(resume, receiver->deadline) : thread_wait_finish(receiver->deadline);
    if (receiver->received) {
        return STATUS_OK;
    }
    bool revoked = leave(port, receiver);
    return receiver->received     ? STATUS_OK
           : result == WAIT_ENDS  ? STATUS_ENDING
           : result != WAIT_WOKEN ? STATUS_TIMED_OUT
           : revoked              ? STATUS_AGAIN
                                  : STATUS_CLOSED;
}

uint32_t port_revocations(const struct object *object)
{
    return __atomic_load_n(&((const struct port *)object)->revocations, __ATOMIC_ACQUIRE);
}

enum status port_find_server(struct handle_table *table, uint32_t handle, uint32_t rights, struct object **result,
                             uint32_t *revocations)
{
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, OBJECT_PORT, rights, result);
    if (status == STATUS_OK) {
        /* Revoking marks the grant first: one that is good after the count was read was not revoked by then. */
        *revocations = port_revocations(*result);
        if (handle_grant(table, handle)) {
            object_acquire(*result);
        } else {
            status = STATUS_BAD_HANDLE;
        }
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
    enum status status = receive(port, &receiver, NULL);
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

/* The caller of a call that is to be answered, claimed, with the answer copied; NULL: he does not wait any more. */
static struct thread *answer(struct port *port, struct call *call, const struct port_message *message,
                             enum status *status) REQUIRES(port->object.lock)
{
    struct thread *caller = call ? call->caller : NULL;
    if (!call || !thread_claim(caller)) {
        if (call) {
            finish(port, call, STATUS_TIMED_OUT);
        }
        *status = STATUS_CLOSED;
        return NULL;
    }
    *status = copy_message(message, call->answer);
    TRACE(ANSWER, caller->id, message->length);
    COUNT(calls_served);
    finish(port, call, *status);
    return caller;
}

enum status port_reply(struct object *object, const struct port_message *message)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current(), *caller = NULL;
    enum status status = STATUS_CLOSED;
    if (thread->call_port == port) {
        spinlock_acquire(&port->object.lock);
        caller = answer(port, thread->call, message, &status);
        spinlock_release(&port->object.lock);
        thread->call_port = NULL;
        object_release(object);
    }
    if (status != STATUS_OK) {
        drop_grants(message->grants, message->grant_count);
    }
    if (caller) {
        scheduler_make_ready(caller);
    }
    return status;
}

enum status port_reply_receive(struct object *object, const struct port_message *message, enum status *replied,
                               struct port_buffer *buffer, uint64_t deadline)
{
    struct port *port = (struct port *)object;
    struct thread *thread = thread_current();
    struct receiver receiver = {.thread = thread, .buffer = buffer, .deadline = deadline};
    if (thread->call_port != port) {
        *replied = STATUS_CLOSED;
        drop_grants(message->grants, message->grant_count);
        return port_receive(object, buffer, deadline);
    }
    scheduler_return_priority(thread);
    thread_wait_begin();
    spinlock_acquire(&port->object.lock);
    struct thread *caller = answer(port, thread->call, message, replied);
    enum status status = receive(port, &receiver, caller);
    if (*replied != STATUS_OK) {
        drop_grants(message->grants, message->grant_count);
    }
    if (status != STATUS_OK) { /* else the reference goes on to the next call */
        thread->call_port = NULL;
        object_release(object);
    }
    return status;
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
    enum status status;
    spinlock_acquire(&port->object.lock);
    struct thread *caller = answer(port, reply->call, message, &status);
    spinlock_release(&port->object.lock);
    if (status != STATUS_OK) {
        drop_grants(message->grants, message->grant_count);
    }
    if (caller) {
        scheduler_make_ready(caller);
    }
    return status;
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
    object_release(&reply->port->object);
    object_free(object);
}

/* ---- Ends ---- */

enum status port_create(struct account *account, struct object **result)
{
    return object_allocate(OBJECT_PORT, sizeof(struct port), account, 0, result);
}

/* The server's end is gone. */
void port_object_closed(struct object *object)
{
    struct port *port = (struct port *)object;
    spinlock_acquire(&port->object.lock);
    port->closed = true;
    fail_all(port, &port->queue);
    fail_all(port, &port->accepted);
    for (struct receiver *receiver = port->receivers; receiver; receiver = receiver->next) {
        thread_wake(receiver->thread);
    }
    for (struct port_client *client = port->clients; client; client = client->next) {
        object_signal(&client->object, 0, SIGNAL_PEER_CLOSED);
    }
    spinlock_release(&port->object.lock);
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
    object_signal_locked(object, SIGNAL_PEER_CLOSED, 0);
    if (port->closed) {
        object_signal(&client->object, 0, SIGNAL_PEER_CLOSED);
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
    *(client->previous ? &client->previous->next : &port->clients) = client->next;
    if (client->next) {
        client->next->previous = client->previous;
    }
    if (!port->clients) {
        object_signal_locked(&port->object, 0, SIGNAL_PEER_CLOSED);
        for (struct receiver *receiver = port->receivers; receiver; receiver = receiver->next) {
            thread_wake(receiver->thread);
        }
    }
    spinlock_release(&port->object.lock);
}

void port_client_object_destroy(struct object *object)
{
    struct port_client *client = (struct port_client *)object;
    object_release(&client->port->object);
    object_free(object);
}
