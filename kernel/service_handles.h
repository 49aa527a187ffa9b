/* Handles in calls of services: what `own` and `borrow` are on their way.
 *
 * In a message a handle is its place in the list of those that ride along, plus 1. An `own` leaves the sender's table
 * and becomes a handle of the receiver's. Of a `borrow` the receiver gets a handle that is revoked when the call ends,
 * with all that was derived from it; but who defined the resource gets its representation (kernel/service_resource.h).
 */
#ifndef KERNEL_SERVICE_HANDLES_H
#define KERNEL_SERVICE_HANDLES_H

#include "engine/component/transfer.h"
#include "kernel/port.h"
#include "kernel/service_resource.h"

/* ---- Sending: for transfers from a guest into a message ---- */
struct service_sending {
    struct handle_table *table;
    uint32_t count;
    uint32_t numbers[HANDLES_PER_MESSAGE];
    bool owned[HANDLES_PER_MESSAGE];
    const struct component_resource *resources[HANDLES_PER_MESSAGE];
    struct grant *loans[HANDLES_PER_MESSAGE]; /* of those that are lent: they end with the call (grant_lend) */
};
static inline void service_sending_begin(struct service_sending *sending, struct handle_table *table)
{
    sending->table = table;
    sending->count = 0;
}
/* Notes the handles, which stay where they are. */
enum component_status service_note_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to);
/* The noted handles as grants: owned ones leave the table, lent ones are derived from. All or none; STATUS_BAD_HANDLE
 * (also one of another type than its resource), STATUS_DENIED, STATUS_NO_MEMORY. */
enum status service_send_handles(struct service_sending *sending, struct port_message *message);
/* What was lent ends, with all that was derived from it. */
void service_revoke_loans(struct service_sending *sending);
static inline void service_end_loans(struct service_sending *sending)
{
    if (sending->count) {
        service_revoke_loans(sending);
    }
}

/* ---- Receiving: for transfers from a message to a guest ---- */
struct service_receiving {
    struct handle_table *table;
    const struct resource_home *home; /* the receiver's; NULL: it defines none */
    uint32_t count;
    enum status status;                        /* why a handle was not taken, if it is not the message's fault: */
                                               /* CLOSED: of a process that is gone; LIMIT, NO_MEMORY: no room */
    struct grant *grants[HANDLES_PER_MESSAGE]; /* not in the table: not taken yet, or the representation was */
    uint32_t numbers[HANDLES_PER_MESSAGE];     /* in the table; 0: not */
    uint64_t identities[HANDLES_PER_MESSAGE];  /* by service_receive_all: of the resource that it is; 0: of none */
    bool is_taken[HANDLES_PER_MESSAGE];
    bool owned[HANDLES_PER_MESSAGE];
    bool is_resource[HANDLES_PER_MESSAGE]; /* of a service, not of the kernel */
};
/* Takes over the grants that were received. */
void service_receiving_begin(struct service_receiving *receiving, struct handle_table *table,
                             const struct resource_home *home, struct port_buffer *buffer);
/* The same for a receiver that defines no resources and may end in the middle of the transfer: they are handles of the
 * table at once, all or none. False: there is no room, and they were dropped. */
bool service_receive_all(struct service_receiving *receiving, struct handle_table *table, struct port_buffer *buffer);
/* One becomes a handle of the table, or a representation. */
enum component_status service_take_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to);
/* The call is over: those that were lent are closed, and those that were not taken; all, if the values were not
 * accepted. True: a resource that was lent had not been dropped, as the canonical ABI asks for. */
bool service_receiving_close(struct service_receiving *receiving, bool all);
static inline bool service_receiving_end(struct service_receiving *receiving, bool all)
{
    return receiving->count && service_receiving_close(receiving, all);
}

#endif
