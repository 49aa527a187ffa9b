/* Messages of services, and what the two ends share: sides of a transfer (engine/component/transfer.h) that are a
 * message or a guest's memory. (Handles on their way: service_handles.h.)
 *
 * A message is a header, flat values, and then what they point to; addresses in it are offsets from its start. */
#ifndef KERNEL_SERVICE_MESSAGE_H
#define KERNEL_SERVICE_MESSAGE_H

#include "engine/component/transfer.h"
#include "kernel/instance_parts.h"
#include "kernel/port.h"
#include "kernel/service.h"

/* What became of a request. STALE: it names a resource of a process that is gone. */
enum service_status { SERVICE_OK, SERVICE_NO_FUNCTION, SERVICE_BAD_MESSAGE, SERVICE_STALE };

struct service_request {
    uint64_t identity; /* of the function */
    uint64_t flat[];
};

struct service_answer {
    uint64_t status; /* enum service_status */
    uint64_t flat;   /* of the result; where it is in memory, its offset */
};

/* Of a function that is_short. */
struct service_short_answer {
    struct service_answer answer;
    uint64_t result[SERVICE_SHORT_BYTES / 8]; /* where it is in memory; cleared before */
};

/* ---- Room for a message: SERVICE_MESSAGE_BYTES, not cleared ---- */
void *service_buffer_take(void); /* NULL: no memory */
void service_buffer_give(void *buffer);

/* ---- Building ---- */
#define SERVICE_INLINE_BYTES 256

/* Small ones have their bytes inside. They are cleared before they are given: padding goes to the other side as it is.
 */
struct service_message {
    struct component_side side; /* first; `bytes` is the capacity */
    uint32_t used;
    bool no_memory; /* why allocating failed */
    void **held;    /* where the buffer is noted as long as there is one (activation.service_buffers), or NULL */
    _Alignas(8) uint8_t inline_bytes[SERVICE_INLINE_BYTES];
};

/* With `header_bytes` in it, which are to be written, at most SERVICE_INLINE_BYTES. */
void service_message_begin(struct service_message *message, uint32_t header_bytes, void **held);
/* It may be begun again. */
void service_message_shrink(struct service_message *message); /* has a buffer */
static inline void service_message_release(struct service_message *message)
{
    if (message->side.base != message->inline_bytes) {
        service_message_shrink(message);
    }
}

/* The guest of who serves ends in the middle of it (service_serve.c). */
struct server;
void service_abandon_server(struct server *server);

/* ---- Guests ---- */
struct service_guest {
    struct component_side side; /* first */
    struct instance *instance;
    const struct service_module *services;
    enum trap trap; /* of cabi_realloc, which ended the guest */
};
void service_guest_begin(struct service_guest *guest, struct instance *instance);
/* Its memory may have grown. */
static inline void service_guest_refresh(struct service_guest *guest)
{
    guest->side.bytes = guest->instance->header->memory.bytes;
}

#endif
