#include "kernel/service_message.h"

#include "kernel/instance_parts.h"

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
    memset(side->base + message->used, 0, (side->is_whole ? start : end) - message->used);
    message->used = (uint32_t)end;
    *address = (uint32_t)start;
    return COMPONENT_OK;
}

void service_message_begin(struct service_message *message, uint32_t header_bytes, void **held)
{
    message->held = held;
    message->side = (struct component_side){
        .base = message->inline_bytes, .bytes = SERVICE_INLINE_BYTES, .allocate = message_allocate};
    message->used = header_bytes;
    message->no_memory = false;
    memset(message->inline_bytes, 0, header_bytes);
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
static void guest_refresh(struct service_guest *guest)
{
    const struct memory_slot *memory = &guest->instance->header->memory;
    guest->side.base = guest->instance->types->memory_count ? guest->instance->gs_base : NULL;
    guest->side.bytes = memory->bytes;
}

static enum component_status guest_allocate(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                            uint32_t *address)
{
    struct service_guest *guest = (struct service_guest *)side;
    uint64_t arguments[4] = {0, 0, alignment, bytes}, result = 0;
    if (guest->services->reallocate == UINT32_MAX) {
        return COMPONENT_ALLOCATION;
    }
    guest->trap = instance_call(guest->instance, guest->services->reallocate, arguments, &result);
    guest_refresh(guest);
    *address = (uint32_t)result;
    return guest->trap == TRAP_NONE ? COMPONENT_OK : COMPONENT_ALLOCATION;
}

void service_guest_begin(struct service_guest *guest, struct instance *instance)
{
    *guest = (struct service_guest){
        .side = {.allocate = guest_allocate}, .instance = instance, .services = instance->module->services};
    guest_refresh(guest);
}
