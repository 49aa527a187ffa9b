/* The insides of ports, and the way of a call and of its answer: inline, for port.c and for the host calls that do
 * nothing else. What is rare in them is in port.c. */
#ifndef KERNEL_PORT_PARTS_H
#define KERNEL_PORT_PARTS_H

#include "kernel/guest_copy.h"
#include "kernel/hand_over.h"
#include "kernel/port.h"

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
    bool received; /* set by who claimed it */
};

struct port {
    struct object object;
    struct call *queue_first, *queue_last; /* by priority of the caller, first come first */
    struct call *accepted;                 /* last come first */
    struct receiver *receivers;            /* the same: its cache is warm */
    struct port_client *clients;
    struct port_client *untold; /* when the server's end is gone: the first one that has not heard of it; NULL: none */
    struct compiled_module *module; /* that answers, a reference; NULL: not known */
    bool closed;
    uint32_t revocations; /* how often handles to it were revoked; changes under the lock, may be read without */
};

struct port_client {
    struct object object;
    struct port *port;                   /* a reference */
    struct port_client *next, *previous; /* while open; the port's lock */
    bool closed;
    uint64_t badge;
};

struct reply {
    struct object object;
    struct port *port; /* a reference */
    struct call *call; /* the port's lock; NULL: answered, or the caller is gone */
};

/* ---- port.c: what is rare ---- */
void port_copy_grants(const struct port_message *message, struct port_buffer *buffer);
void port_drop_grants(const struct port_message *message);
/* A server thread that waits, claimed and out of the list, or NULL. */
struct receiver *port_claim_receiver(struct port *port) REQUIRES(port->object.lock);
/* It was claimed, and gets no call after all: it sleeps on. */
void port_put_back(struct port *port, struct receiver *receiver) REQUIRES(port->object.lock);
/* No server thread waits: the call does, until one receives. STATUS_CLOSED: no, there is no server. */
enum status port_queue_call(struct port *port, struct call *call) REQUIRES(port->object.lock);
/* The caller runs again, and nobody answered: what became of the call. */
enum status port_conclude(struct port *port, struct call *call, enum wait_result result) EXCLUDES(port->object.lock);
/* A call whose caller (maybe NULL: he left before) cannot be claimed is over. */
void port_answer_nobody(struct port *port, struct call *call) REQUIRES(port->object.lock);
/* There is something to be done before a thread may wait for a call. True: it need not wait, *status is the result. */
bool port_look(struct port *port, struct port_buffer *buffer, enum status *status) REQUIRES(port->object.lock);
/* Not to wait after all; `resume` is a claimed thread, or NULL. */
void port_do_not_wait(struct thread *resume);
/* A receiver runs again, and nobody gave it a call that it knows of: its result. */
enum status port_leave(struct port *port, const struct receiver *receiver, enum wait_result result)
    EXCLUDES(port->object.lock);
/* The current thread has no call any more. */
void port_forget_call(struct port *port);

/* How often handles to the port were revoked. */
static inline uint32_t port_revocations(const struct object *port)
{
    return __atomic_load_n(&((const struct port *)port)->revocations, __ATOMIC_ACQUIRE);
}

/* As port_find_server, with the table's lock and without a reference. */
static inline enum status port_find_locked(struct handle_table *table, uint32_t handle, uint32_t rights,
                                           struct object **port, uint32_t *revocations) REQUIRES(table->lock)
{
    enum status status = handle_find_locked(table, handle, OBJECT_PORT, rights, port);
    if (LIKELY(status == STATUS_OK)) {
        *revocations = port_revocations(*port);
        /* Revoking marks the grant first: one that is good after the count was read was not revoked by then. */
        status = handle_grant(table, handle) ? STATUS_OK : STATUS_BAD_HANDLE;
    }
    return status;
}
/* The same for the only thread of the table's process (handle_find_alone). */
NO_LOCK_ANALYSIS static inline enum status port_find_alone(struct handle_table *table, uint32_t handle, uint32_t rights,
                                                           struct object **port, uint32_t *revocations)
{
    return port_find_locked(table, handle, rights, port, revocations);
}

/* The client end that a thread calls through. When nothing can take its handle away during the call, neither another
 * thread of the process nor the message, that keeps the end alive; else this takes a reference, which *taken says. */
INLINED enum status port_find_client(struct handle_table *table, uint32_t handle, uint32_t rights,
                                     bool handles_ride_along, struct object **client, bool *taken)
{
    *taken = handles_ride_along || running_thread()->shares;
    return LIKELY(!*taken) ? handle_find_alone(table, handle, OBJECT_PORT_CLIENT, rights, client)
                           : handle_find(table, handle, OBJECT_PORT_CLIENT, rights, client);
}

/* ---- States of a call ---- */

static inline void port_accept(struct port *port, struct call *call, struct thread *server) REQUIRES(port->object.lock)
{
    call->state = CALL_ACCEPTED;
    call->server = server;
    call->previous = NULL;
    call->next = port->accepted;
    if (call->next) {
        call->next->previous = call;
    }
    port->accepted = call;
    server->call = call;
    /* It works for the caller: with no less than that one's priority, until it receives the next time. */
    uint32_t priority = __atomic_load_n(&call->caller->priority, __ATOMIC_RELAXED);
    if (UNLIKELY(__atomic_load_n(&server->priority, __ATOMIC_RELAXED) < priority)) {
        scheduler_lend_priority(server, priority);
    }
}

/* It was ACCEPTED and is over; whoever worked for it does not know it any more. */
static inline void port_finish(struct port *port, struct call *call, enum status status) REQUIRES(port->object.lock)
{
    *(call->previous ? &call->previous->next : &port->accepted) = call->next;
    if (call->next) {
        call->next->previous = call->previous;
    }
    if (call->server) {
        call->server->call = NULL;
    } else {
        call->reply->call = NULL;
    }
    call->status = status;
    call->state = CALL_DONE;
}

/* From a message to a buffer, whose owners are both held. */
static inline enum status port_copy(const struct port_message *message, struct port_buffer *buffer)
{
    if (UNLIKELY(message->length > buffer->capacity || message->grant_count > buffer->grant_capacity)) {
        return STATUS_TOO_LARGE;
    }
    if (UNLIKELY(message->exchange && buffer->is_exchanged)) {
        uint8_t *bytes = *message->exchange;
        *message->exchange = buffer->bytes;
        buffer->bytes = bytes;
    } else if (message->length && UNLIKELY(guest_copy(buffer->bytes, message->bytes, message->length) != 0)) {
        return STATUS_INVALID;
    }
    buffer->length = message->length;
    buffer->is_checked = message->is_checked;
    buffer->grant_count = message->grant_count;
    if (UNLIKELY(message->grant_count)) {
        port_copy_grants(message, buffer);
    }
    return STATUS_OK;
}

/* ---- Calling ---- */

/* The current thread, the caller, begins to wait. Give the call to a server thread that waits, or else queue it.
 * Returns that thread, claimed and to be resumed. */
static inline struct thread *port_submit(struct port *port, struct call *call, enum status *status)
    REQUIRES(port->object.lock)
{
    struct receiver *receiver = port->receivers;
    thread_begin_leaving(call->caller);
    if (LIKELY(receiver && thread_claim_leaving(call->caller, receiver->thread))) {
        port->receivers = receiver->next;
    } else {
        thread_stop_leaving(call->caller);
        receiver = port_claim_receiver(port);
        if (!receiver) {
            *status = port_queue_call(port, call);
            return NULL;
        }
    }
    *status = port_copy(call->request, receiver->buffer);
    if (UNLIKELY(*status != STATUS_OK)) {
        port_put_back(port, receiver);
        return NULL;
    }
    struct thread *server = receiver->thread;
    TRACE(CALL_GIVEN, server->id, call->request->length);
    receiver->buffer->badge = call->badge;
    receiver->received = true;
    call->has_grants = false;
    port_accept(port, call, server);
    return server;
}

/* port_call, for who knows the current thread. */
static inline enum status port_call_here(struct thread *thread, const struct port_client *client,
                                         const struct port_message *request, struct port_buffer *answer,
                                         uint64_t deadline)
{
    struct port *port = client->port;
    struct call call; /* the other members are set with the state */
    call.caller = thread;
    call.request = request;
    call.answer = answer;
    call.badge = client->badge;
    call.deadline = deadline;
    call.has_grants = request->grant_count != 0;
    TRACE(CALL_BEGIN, client->badge, request->length);
    COUNT_OF(thread, calls_made);
    enum status status;
    spinlock_acquire(&port->object.lock);
    struct thread *server = port_submit(port, &call, &status);
    spinlock_release(&port->object.lock);
    if (LIKELY(status == STATUS_OK)) {
        enum wait_result result =
            LIKELY(server != NULL) ? thread_wait_hand_over(thread, server, deadline) : thread_wait_finish(deadline);
        /* Whoever made it DONE and then woke this thread is through with the record; others may still be at it. */
        status =
            LIKELY(result == WAIT_WOKEN && call.state == CALL_DONE) ? call.status : port_conclude(port, &call, result);
    } else {
        thread_wait_cancel();
    }
    if (UNLIKELY(call.has_grants)) {
        port_drop_grants(request);
    }
    TRACE(CALL_END, status, 0);
    return status;
}

/* ---- Answering and receiving ---- */

/* The caller of a call that is to be answered, claimed, with the answer copied; NULL: he does not wait any more.
 * `leaver` is the current thread if it is about to leave for him (thread_begin_leaving), or NULL. */
static inline struct thread *port_answer(struct port *port, struct call *call, const struct port_message *message,
                                         struct thread *leaver, enum status *status) REQUIRES(port->object.lock)
{
    if (UNLIKELY(!call || !(leaver ? thread_claim_leaving(leaver, call->caller) : thread_claim_here(call->caller)))) {
        port_answer_nobody(port, call);
        *status = STATUS_CLOSED;
        return NULL;
    }
    struct thread *caller = call->caller;
    *status = port_copy(message, call->answer);
    TRACE(ANSWER, caller->id, message->length);
    port_finish(port, call, *status);
    return caller;
}

/* After thread_wait_begin, with the port's lock, which is given back. Who answered a call gives its caller, claimed,
 * and is about to leave for him. */
static inline enum status port_receive_here(struct thread *thread, struct port *port, struct receiver *receiver,
                                            struct thread *resume) RELEASES(port->object.lock)
{
    enum status status;
    if (UNLIKELY(port->revocations != receiver->buffer->revocations || port->queue_first || port->object.signals)) {
        thread_stop_leaving(thread);
        if (port_look(port, receiver->buffer, &status)) {
            spinlock_release(&port->object.lock);
            port_do_not_wait(resume);
            return status;
        }
    }
    receiver->next = port->receivers;
    port->receivers = receiver;
    spinlock_release(&port->object.lock);
    enum wait_result result = LIKELY(resume != NULL) ? thread_wait_hand_over(thread, resume, receiver->deadline)
                                                     : thread_wait_finish(receiver->deadline);
    return LIKELY(receiver->received) ? STATUS_OK : port_leave(port, receiver, result);
}

/* port_reply_receive, for who knows the current thread, and that it has a call of this port. */
static inline enum status port_reply_receive_here(struct thread *thread, struct port *port,
                                                  const struct port_message *message, enum status *replied,
                                                  struct port_buffer *buffer, uint64_t deadline)
{
    struct receiver receiver; /* `next` is set when it is in the list */
    receiver.thread = thread;
    receiver.buffer = buffer;
    receiver.deadline = deadline;
    receiver.received = false;
    scheduler_return_priority(thread);
    spinlock_acquire(&port->object.lock);
    thread_begin_leaving(thread);
    struct thread *caller = port_answer(port, thread->call, message, thread, replied);
    if (LIKELY(caller != NULL)) {
        COUNT_OF(thread, calls_served);
    } else {
        thread_stop_leaving(thread);
    }
    enum status status = port_receive_here(thread, port, &receiver, caller);
    if (UNLIKELY(*replied != STATUS_OK)) {
        port_drop_grants(message);
    }
    if (UNLIKELY(status != STATUS_OK)) { /* else the thread's reference to the port goes on to the next call */
        port_forget_call(port);
    }
    return status;
}

#endif
