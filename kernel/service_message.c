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
    memset(side->base + message->used, 0, end - message->used);
    message->used = (uint32_t)end;
    *address = (uint32_t)start;
    return COMPONENT_OK;
}

void service_message_begin(struct service_message *message, uint32_t header_bytes)
{
    message->side = (struct component_side){
        .base = message->inline_bytes, .bytes = SERVICE_INLINE_BYTES, .allocate = message_allocate};
    message->used = header_bytes;
    message->no_memory = false;
    memset(message->inline_bytes, 0, header_bytes);
}

void service_message_release(struct service_message *message)
{
    if (message->side.base != message->inline_bytes) {
        service_buffer_give(message->side.base);
    }
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
    union value arguments[4] = {{0}, {0}, {.i32 = alignment}, {.i32 = bytes}}, result = {0};
    if (guest->services->reallocate == UINT32_MAX) {
        return COMPONENT_ALLOCATION;
    }
    uint32_t function = instance_function_reference(guest->instance, guest->services->reallocate);
    guest->trap = function_call(guest->instance->process, function, arguments, &result);
    guest_refresh(guest);
    *address = result.i32;
    return guest->trap == TRAP_NONE ? COMPONENT_OK : COMPONENT_ALLOCATION;
}

void service_guest_begin(struct service_guest *guest, struct instance *instance)
{
    *guest = (struct service_guest){
        .side = {.allocate = guest_allocate}, .instance = instance, .services = instance->module->services};
    guest_refresh(guest);
}

/* ---- Handles ---- */
enum component_status service_note_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to)
{
    struct service_handles *handles = transfer->context;
    (void)resource; /* handles of the kernel are of one resource */
    if (handles->count == HANDLES_PER_MESSAGE) {
        return COMPONENT_LARGE;
    }
    handles->numbers[handles->count] = from;
    handles->owned[handles->count++] = owned;
    *to = handles->count;
    return COMPONENT_OK;
}

/* A grant for the message, and one between it and the handle that the kernel keeps to take it back. */
static enum status lend(struct handle_table *table, uint32_t number, struct grant **loan, struct grant **sent)
{
    spinlock_acquire(&table->lock);
    struct grant *grant = handle_grant(table, number);
    enum status status = !grant                              ? STATUS_BAD_HANDLE
                         : !(grant->rights & RIGHT_TRANSFER) ? STATUS_DENIED
                                                             : grant_derive(grant, RIGHTS_ALL, false, NULL, loan);
    spinlock_release(&table->lock);
    if (status == STATUS_OK) {
        status = grant_derive(*loan, RIGHTS_ALL, true, NULL, sent);
        if (status != STATUS_OK) {
            grant_drop(*loan);
            *loan = NULL;
        }
    }
    return status;
}

static enum status lend_all(struct service_handles *handles, struct port_message *message)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < handles->count && status == STATUS_OK; i++) {
        if (!handles->owned[i]) {
            status = lend(handles->table, handles->numbers[i], &handles->loans[i], &message->grants[i]);
        }
    }
    return status;
}

/* The owned ones leave the table, all or none. */
static enum status take_owned(struct service_handles *handles, struct port_message *message)
{
    uint32_t numbers[HANDLES_PER_MESSAGE], count = 0;
    struct grant *grants[HANDLES_PER_MESSAGE];
    for (uint32_t i = 0; i < handles->count; i++) {
        if (handles->owned[i]) {
            numbers[count++] = handles->numbers[i];
        }
    }
    enum status status = count ? handles_take(handles->table, numbers, count, 0, grants) : STATUS_OK;
    if (status != STATUS_OK || count == 0) {
        return status;
    }
    handles_taken(handles->table, numbers, count);
    for (uint32_t i = 0, taken = 0; i < handles->count; i++) {
        if (handles->owned[i]) {
            message->grants[i] = grants[taken++];
        }
    }
    return STATUS_OK;
}

enum status service_send_handles(struct service_handles *handles, struct port_message *message)
{
    message->grant_count = handles->count;
    for (uint32_t i = 0; i < handles->count; i++) {
        message->grants[i] = handles->loans[i] = NULL;
    }
    enum status status = lend_all(handles, message);
    if (status == STATUS_OK) {
        status = take_owned(handles, message);
    }
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < handles->count; i++) {
            if (message->grants[i]) {
                grant_drop(message->grants[i]);
            }
        }
        service_end_loans(handles);
        message->grant_count = 0;
    }
    return status;
}

void service_end_loans(struct service_handles *handles)
{
    for (uint32_t i = 0; i < handles->count; i++) {
        if (!handles->owned[i] && handles->loans[i]) {
            grant_revoke(handles->loans[i]);
            grant_drop(handles->loans[i]);
            handles->loans[i] = NULL;
        }
    }
}

enum component_status service_take_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to)
{
    struct service_handles *handles = transfer->context;
    (void)resource;
    if (from == 0 || from > handles->count || handles->numbers[from - 1] == 0) {
        return COMPONENT_HANDLE;
    }
    handles->owned[from - 1] = owned;
    *to = handles->numbers[from - 1];
    return COMPONENT_OK;
}

enum status service_receive_handles(struct service_handles *handles, struct handle_table *table,
                                    struct port_buffer *buffer)
{
    handles->table = table;
    handles->count = 0;
    enum status status =
        buffer->grant_count ? handles_insert(table, buffer->grants, buffer->grant_count, handles->numbers) : STATUS_OK;
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < buffer->grant_count; i++) {
            grant_drop(buffer->grants[i]);
        }
        return status;
    }
    handles->count = buffer->grant_count;
    for (uint32_t i = 0; i < handles->count; i++) {
        handles->owned[i] = false;
    }
    return STATUS_OK;
}

void service_close_handles(struct service_handles *handles, bool all)
{
    for (uint32_t i = 0; i < handles->count; i++) {
        if (handles->numbers[i] && (all || !handles->owned[i])) {
            handle_close(handles->table, handles->numbers[i]); /* the guest may have done so */
        }
    }
}
