#include "kernel/service_handles.h"

/* ---- Sending ---- */

enum component_status service_note_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to)
{
    struct service_sending *sending = transfer->context;
    if (sending->count == HANDLES_PER_MESSAGE) {
        return COMPONENT_LARGE;
    }
    sending->numbers[sending->count] = from;
    sending->resources[sending->count] = resource;
    sending->owned[sending->count++] = owned;
    *to = sending->count;
    return COMPONENT_OK;
}

/* Any handle is one of the kernel's; others are what their type says. */
static bool fits(const struct grant *grant, const struct component_resource *resource)
{
    return resource_is(grant->object, resource->identity) || service_resource_is_kernel(resource);
}

/* To give a handle away, and for others to use a service's resource by it. */
static uint32_t rights_needed(const struct component_resource *resource)
{
    return RIGHT_TRANSFER | (service_resource_is_kernel(resource) ? 0 : RIGHT_EXECUTE);
}

static enum status lend(struct handle_table *table, uint32_t number, const struct component_resource *resource,
                        struct grant **loan)
{
    spinlock_acquire(&table->lock);
    struct grant *grant = handle_grant(table, number);
    enum status status = !grant || !fits(grant, resource)                  ? STATUS_BAD_HANDLE
                         : (rights_needed(resource) & ~grant->rights) != 0 ? STATUS_DENIED
                                                                           : grant_lend(grant, loan);
    spinlock_release(&table->lock);
    return status;
}

static enum status lend_all(struct service_sending *sending, struct port_message *message)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < sending->count && status == STATUS_OK; i++) {
        if (!sending->owned[i]) {
            status = lend(sending->table, sending->numbers[i], sending->resources[i], &sending->loans[i]);
            message->grants[i] = sending->loans[i];
        }
    }
    return status;
}

/* The owned ones leave the table, all or none. */
static enum status take_owned(struct service_sending *sending, struct port_message *message)
{
    uint32_t numbers[HANDLES_PER_MESSAGE], places[HANDLES_PER_MESSAGE], count = 0;
    struct grant *grants[HANDLES_PER_MESSAGE];
    for (uint32_t i = 0; i < sending->count; i++) {
        if (sending->owned[i]) {
            places[count] = i;
            numbers[count++] = sending->numbers[i];
        }
    }
    enum status status = count ? handles_take(sending->table, numbers, count, 0, grants) : STATUS_OK;
    if (status != STATUS_OK || count == 0) {
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct component_resource *resource = sending->resources[places[i]];
        if (!fits(grants[i], resource) || (rights_needed(resource) & ~grants[i]->rights)) {
            handles_put_back(sending->table, numbers, count);
            return STATUS_BAD_HANDLE;
        }
    }
    handles_taken(sending->table, numbers, count);
    for (uint32_t i = 0; i < count; i++) {
        message->grants[places[i]] = grants[i];
    }
    return STATUS_OK;
}

enum status service_send_handles(struct service_sending *sending, struct port_message *message)
{
    message->grant_count = sending->count;
    for (uint32_t i = 0; i < sending->count; i++) {
        message->grants[i] = sending->loans[i] = NULL;
    }
    enum status status = lend_all(sending, message);
    if (status == STATUS_OK) {
        status = take_owned(sending, message);
    }
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < sending->count; i++) {
            if (message->grants[i]) {
                grant_drop(message->grants[i]);
            }
        }
        service_end_loans(sending);
        message->grant_count = 0;
    }
    return status;
}

void service_revoke_loans(struct service_sending *sending)
{
    for (uint32_t i = 0; i < sending->count; i++) {
        if (!sending->owned[i] && sending->loans[i]) {
            grant_end_loan(sending->loans[i]);
            sending->loans[i] = NULL;
        }
    }
}

/* ---- Receiving ---- */

void service_receiving_begin(struct service_receiving *receiving, struct handle_table *table,
                             const struct resource_home *home, struct port_buffer *buffer)
{
    receiving->table = table;
    receiving->home = home;
    receiving->status = STATUS_OK;
    receiving->count = buffer->grant_count;
    for (uint32_t i = 0; i < receiving->count; i++) {
        receiving->grants[i] = buffer->grants[i];
        receiving->numbers[i] = 0;
        receiving->is_taken[i] = receiving->owned[i] = receiving->is_resource[i] = false;
    }
}

bool service_receive_all(struct service_receiving *receiving, struct handle_table *table, struct port_buffer *buffer)
{
    service_receiving_begin(receiving, table, NULL, buffer);
    if (receiving->count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < receiving->count; i++) {
        receiving->identities[i] = resource_identity(buffer->grants[i]->object);
        receiving->grants[i] = NULL;
    }
    if (handles_insert(table, buffer->grants, buffer->grant_count, receiving->numbers) == STATUS_OK) {
        return true;
    }
    for (uint32_t i = 0; i < receiving->count; i++) {
        grant_drop(buffer->grants[i]);
    }
    receiving->count = 0;
    return false;
}

/* One that is in the table already. */
static enum component_status take_inserted(struct service_receiving *receiving, uint32_t i,
                                           const struct component_resource *resource, bool owned, uint32_t *to)
{
    if (!receiving->numbers[i] ||
        (receiving->identities[i] != resource->identity && !service_resource_is_kernel(resource))) {
        return COMPONENT_HANDLE;
    }
    receiving->is_taken[i] = true;
    receiving->owned[i] = owned;
    *to = receiving->numbers[i];
    return COMPONENT_OK;
}

enum component_status service_take_handle(struct component_transfer *transfer,
                                          const struct component_resource *resource, bool owned, uint32_t from,
                                          uint32_t *to)
{
    struct service_receiving *receiving = transfer->context;
    uint32_t i = from - 1;
    if (from == 0 || from > receiving->count || receiving->is_taken[i]) {
        return COMPONENT_HANDLE;
    }
    struct grant *grant = receiving->grants[i];
    if (!grant) {
        return take_inserted(receiving, i, resource, owned, to);
    }
    if (grant_is_revoked(grant) || !fits(grant, resource) || (resource->exported && !(grant->rights & RIGHT_EXECUTE))) {
        return COMPONENT_HANDLE;
    }
    if (resource->exported && !resource_is_of(grant->object, receiving->home)) {
        receiving->status = STATUS_CLOSED;
        return COMPONENT_HANDLE;
    }
    receiving->is_taken[i] = true;
    receiving->owned[i] = owned;
    receiving->is_resource[i] = !service_resource_is_kernel(resource);
    if (resource->exported && !owned) {
        *to = resource_representation(grant->object);
        return COMPONENT_OK;
    }
    receiving->status = handle_insert(receiving->table, grant, &receiving->numbers[i]);
    if (receiving->status != STATUS_OK) {
        return COMPONENT_HANDLE;
    }
    receiving->grants[i] = NULL;
    *to = receiving->numbers[i];
    return COMPONENT_OK;
}

bool service_receiving_close(struct service_receiving *receiving, bool all)
{
    bool was_kept = false;
    for (uint32_t i = 0; i < receiving->count; i++) {
        if (receiving->grants[i]) {
            grant_drop(receiving->grants[i]);
        }
        if (receiving->numbers[i] && (all || !receiving->owned[i])) {
            bool was_there = handle_close(receiving->table, receiving->numbers[i]) == STATUS_OK;
            was_kept |= was_there && receiving->is_resource[i] && !receiving->owned[i];
        }
    }
    receiving->count = 0;
    return was_kept;
}
