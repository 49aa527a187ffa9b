/* Ports: synchronous calls from one process into another.
 *
 * A server makes a *port* and *client ends* of it, each with a badge that tells it who calls. A thread of a client
 * calls: it names the bytes of the request, handles that ride along, and a buffer for the answer. A thread of the
 * server receives: it names a buffer, waits for a call and answers it, and waits for the next one in the same step.
 *
 * The bytes are copied once, from memory to memory. Where a server thread waits, the caller's thread switches to it
 * directly, on the same CPU and in the same time slice, and back with the answer: no scheduler, no queue. Two threads
 * and not one that wanders from process to process, because then a deadline, a kill of the caller and the death of the
 * server each have a clean end:
 *   - the caller's deadline comes, or it is killed: it is off at once; the server is told when it answers (CLOSED)
 *   - the server's end is closed (it does so, or its process ends): all callers get STATUS_CLOSED
 *   - a thread of the server ends without an answer, or drops a reply that it kept: its caller gets STATUS_CLOSED
 * So no call waits for ever, unless its server is alive and never answers and the caller gave no deadline.
 *
 * A server thread that works for a caller has at least that one's priority; while callers wait for a port, so have all
 * that work for it.
 *
 * Locks: the port's object lock guards the port, its calls, and `call` of server threads that received from it. A
 * client's lock (rank OBJECT_INNER) may be taken while it is held. */
#ifndef KERNEL_PORT_H
#define KERNEL_PORT_H

#include "kernel/account.h"
#include "kernel/handle.h"

/* Copied in one go, with the port locked; more goes by a memory object. */
#define PORT_MESSAGE_BYTES_MAXIMUM UINT32_C(65536)

/* What is sent: bytes in the sender's memory, checked, and grants that are the message's own from then on. */
struct port_message {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t grant_count;
    /* The owner's pointer to `bytes`, which then are the kernel's and as large as any message may be. When the receiver
     * has such a one, too, both are exchanged and nothing is copied: the sender finds the receiver's bytes there.
     * NULL: copy. */
    uint8_t **exchange;
    bool is_checked; /* the kernel made it, of values that it looked at; else a guest chose the bytes */
    struct grant *grants[HANDLES_PER_MESSAGE];
};

/* Where something is to be received: room in the receiver's memory, checked. */
struct port_buffer {
    uint8_t *bytes;
    uint32_t capacity;
    uint32_t grant_capacity;
    bool is_checked;   /* when it was received: of the message */
    bool is_exchanged; /* `bytes` may be exchanged for those of a message (port_message.exchange) */
    /* When it was received: */
    uint32_t length;
    uint32_t grant_count;
    struct grant *grants[HANDLES_PER_MESSAGE]; /* the receiver's from then on */
    uint64_t badge;                            /* of the client's end; for servers */
    uint32_t revocations;                      /* for servers: from port_find_server */
};

/* A port, and a client end of one; references are the caller's. */
enum status port_create(struct account *account, struct object **result);
enum status port_client_create(struct object *port, uint64_t badge, struct account *account, struct object **result);

/* Which module answers at a port, so that clients can compare interfaces before they call (kernel/service.h): said by
 * who serves, the last one counts. For a client end: it, with a reference of the caller's; NULL: nobody has said so. */
struct compiled_module;
void port_set_module(struct object *port, struct compiled_module *module);
struct compiled_module *port_client_module(struct object *client);

/* Call and wait for the answer. STATUS_CLOSED: there is no server, or it ended before it answered; STATUS_TOO_LARGE:
 * more bytes or handles than the other side has room for (either way); STATUS_TIMED_OUT; STATUS_INVALID: the memory of
 * one of both could not be accessed; STATUS_ENDING: the guest is to end. The grants of the request are gone in any
 * case. */
enum status port_call(struct object *client, const struct port_message *request, struct port_buffer *answer,
                      uint64_t deadline);

/* A port that the caller is going to receive from, with a reference, by a handle that has these rights; as handle_find.
 * In *revocations, how often handles to this port had been revoked when this one still was good. */
enum status port_find_server(struct handle_table *table, uint32_t handle, uint32_t rights, struct object **port,
                             uint32_t *revocations) EXCLUDES(table->lock);

/* Wait for a call. From then on the current thread has to answer it before it receives another one (STATUS_BUSY).
 * STATUS_TIMED_OUT, STATUS_ENDING; STATUS_CLOSED: no client end is left; STATUS_INVALID: the buffer could not be
 * accessed; STATUS_AGAIN: a handle to the port was revoked since `buffer->revocations`, so see whether yours still is
 * good. */
enum status port_receive(struct object *port, struct port_buffer *buffer, uint64_t deadline);
/* The badge of the client end whose call the current thread received from this port. STATUS_NOT_FOUND: there is no such
 * call; STATUS_CLOSED: the caller does not wait any more. */
enum status port_caller(struct object *port, uint64_t *badge);
/* Answer the call that the current thread received from this port. STATUS_CLOSED: the caller did not wait for it, or
 * there is no such call; STATUS_TOO_LARGE, STATUS_INVALID: the caller hears of it, too. The grants are gone in any
 * case.
 */
enum status port_reply(struct object *port, const struct port_message *message);
/* Both in one step, which is quicker. `*replied` is the answer's status; the result is that of receiving. */
enum status port_reply_receive(struct object *port, const struct port_message *message, enum status *replied,
                               struct port_buffer *buffer, uint64_t deadline);

/* Keep the call that the current thread received for later: a reply object, with one reference, which any thread can
 * answer once. STATUS_NOT_FOUND: there is no such call. */
enum status port_defer(struct object *port, struct account *account, struct object **result);
/* As port_reply. */
enum status reply_send(struct object *reply, const struct port_message *message);

/* The current thread ends, or its guest: a call that it received and did not answer fails. */
void port_abandon_call(void);

/* Handles to the port were revoked: who waits for a call looks whether he still may. */
void port_handles_revoked(struct object *port) REQUIRES(port->lock);

#endif
