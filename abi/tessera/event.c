/* Events. */
#include "kernel/event.h"

#include "abi/tessera/tessera.h"

int32_t host_event_create(struct instance *instance, uint32_t flags)
{
    struct object *event = NULL;
    if (flags & ~(uint32_t)TESSERA_EVENT_EXCLUSIVE) {
        return -TESSERA_EINVALID;
    }
    enum status status = event_create(instance->process->account, flags & TESSERA_EVENT_EXCLUSIVE, &event);
    return caller_give(instance, status, event);
}

/* Both are short, but for many waiters: they act while the table's lock keeps the object. */
static int32_t change(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights,
                      uint32_t clear, uint32_t set)
{
    struct object *event;
    bool rest = false;
    struct handle_table *table = caller_handles(instance);
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, type, rights, &event);
    if (status == STATUS_OK) {
        rest = object_signal_start(event, clear, set);
    }
    spinlock_release(&table->lock);
    if (rest) {
        object_notify_rest(event);
        object_release(event);
    }
    return tessera_result(status);
}

int32_t host_event_signal(struct instance *instance, uint32_t handle)
{
    return change(instance, handle, NEEDS(event_signal), 0, SIGNAL_SIGNALED);
}

int32_t host_event_clear(struct instance *instance, uint32_t handle)
{
    return change(instance, handle, NEEDS(event_clear), SIGNAL_SIGNALED, 0);
}
