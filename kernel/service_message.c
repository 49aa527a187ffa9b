#include "kernel/service_message.h"

/* ---- Building ---- */
/* From the bytes inside to a buffer. */
static bool message_grow(struct service_message *message)
{
    uint8_t *buffer = service_buffer_take();
    if (buffer) {
        memcpy(buffer, message->inline_bytes, message->used);
        message->side.base = buffer;
        message->side.bytes = SERVICE_MESSAGE_BYTES;
        if (message->held) {
            *message->held = buffer;
        }
    }
    return buffer != NULL;
}

static enum component_status message_allocate(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                              uint32_t *address)
{
    struct service_message *message = (struct service_message *)side;
    uint64_t start = align_up(message->used, alignment), end = start + bytes;
    if (end > SERVICE_MESSAGE_BYTES) {
        return COMPONENT_LARGE;
    }
    if (end > side->bytes && !message_grow(message)) {
        message->no_memory = true;
        return COMPONENT_ALLOCATION;
    }
    uint64_t cleared = (side->is_whole ? start : end) - message->used;
    if (cleared) {
        memset(side->base + message->used, 0, cleared);
    }
    message->used = (uint32_t)end;
    *address = (uint32_t)start;
    return COMPONENT_OK;
}

void service_message_begin(struct service_message *message, uint32_t header_bytes, void **held)
{
    message->side.base = message->inline_bytes;
    message->side.bytes = SERVICE_INLINE_BYTES;
    message->side.is_whole = false;
    message->side.allocate = message_allocate;
    message->used = header_bytes;
    message->no_memory = false;
    message->held = held;
}

void service_message_shrink(struct service_message *message)
{
    if (message->held) {
        *message->held = NULL;
    }
    service_buffer_give(message->side.base);
    message->side.base = message->inline_bytes;
}

/* ---- Guests ---- */
static enum component_status guest_allocate(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                            uint32_t *address)
{
    struct service_guest *guest = (struct service_guest *)side;
    uint64_t arguments[4] = {0, 0, alignment, bytes}, result = 0;
    if (guest->services->reallocate == UINT32_MAX) {
        return COMPONENT_ALLOCATION;
    }
    guest->trap = instance_call(guest->instance, guest->services->reallocate, arguments, &result);
    service_guest_refresh(guest);
    *address = (uint32_t)result;
    return guest->trap == TRAP_NONE ? COMPONENT_OK : COMPONENT_ALLOCATION;
}

void service_guest_begin(struct service_guest *guest, struct instance *instance)
{
    guest->side.base = instance->types->memory_count ? instance->gs_base : NULL;
    guest->side.bytes = instance->header->memory.bytes;
    guest->side.is_whole = false;
    guest->side.allocate = guest_allocate;
    guest->instance = instance;
    guest->services = instance->module->services;
    guest->trap = TRAP_NONE;
}
