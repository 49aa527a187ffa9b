/* Messages of services, and what the two ends share: sides of a transfer (engine/component/transfer.h) that are a
 * message or a guest's memory, and handles on their way.
 *
 * A message is a header, flat values, and then what they point to; addresses in it are offsets from its start. */
#ifndef KERNEL_SERVICE_MESSAGE_H
#define KERNEL_SERVICE_MESSAGE_H

#include "engine/component/transfer.h"
#include "kernel/port.h"
#include "kernel/service.h"

enum service_status { SERVICE_OK, SERVICE_NO_FUNCTION, SERVICE_BAD_MESSAGE };

struct service_request {
    uint64_t identity; /* of the function */
    uint64_t flat[];
};

struct service_answer {
    uint64_t status; /* enum service_status */
    uint64_t flat;   /* of the result; where it is in memory, its offset */
};

/* ---- Room for a message: SERVICE_MESSAGE_BYTES, not cleared ---- */
void *service_buffer_take(void); /* NULL: no memory */
void service_buffer_give(void *buffer);

/* ---- Building ---- */
#define SERVICE_INLINE_BYTES 1024

/* Small ones have their bytes inside. They are cleared before they are given: padding goes to the other side as it is.
 */
struct service_message {
    struct component_side side; /* first; `bytes` is the capacity */
    uint32_t used;
    bool no_memory; /* why allocating failed */
    _Alignas(8) uint8_t inline_bytes[SERVICE_INLINE_BYTES];
};

/* With `header_bytes` zeroed bytes in it, at most SERVICE_INLINE_BYTES. */
void service_message_begin(struct service_message *message, uint32_t header_bytes);
void service_message_release(struct service_message *message);

/* ---- Guests ---- */
struct service_guest {
    struct component_side side; /* first */
    struct instance *instance;
    const struct service_module *services;
    enum trap trap; /* of cabi_realloc, which ended the guest */
};
void service_guest_begin(struct service_guest *guest, struct instance *instance);

/* ---- Handles ----
 * In a message a handle is its place in the list of those that ride along, plus 1. */
struct service_handles {
    struct handle_table *table;
    uint32_t count;
    uint32_t numbers[HANDLES_PER_MESSAGE];
    bool owned[HANDLES_PER_MESSAGE];
    struct grant *loans[HANDLES_PER_MESSAGE]; /* of those that are lent: what is revoked in the end */
};
/* For transfers from a guest into a message: notes the handles, which stay where they are. */
enum component_status service_note_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to);
/* The noted handles as grants: owned ones leave the table, lent ones are derived from. All or none; STATUS_BAD_HANDLE,
 * STATUS_DENIED, STATUS_NO_MEMORY. */
enum status service_send_handles(struct service_handles *handles, struct port_message *message);
/* What was lent, and all that was derived from it, is revoked. */
void service_end_loans(struct service_handles *handles);

/* For transfers from a message to a guest: the received handles, of which `owned` is noted. */
enum component_status service_take_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to);
/* They become handles of the table, all or none; else they are dropped. */
enum status service_receive_handles(struct service_handles *handles, struct handle_table *table,
                                    struct port_buffer *buffer);
/* Close those that were only lent; all, if the values were not accepted. */
void service_close_handles(struct service_handles *handles, bool all);

#endif
