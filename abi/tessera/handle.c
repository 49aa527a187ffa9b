/* Handles themselves, whatever they are to. */
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/wait.h"

int32_t host_handle_close(struct instance *instance, uint32_t handle)
{
    return tessera_result(handle_close(caller_handles(instance), handle));
}

int32_t host_handle_duplicate(struct instance *instance, uint32_t handle, uint32_t rights)
{
    uint32_t number = 0;
    if (rights & ~(uint32_t)RIGHTS_ALL && rights != TESSERA_RIGHTS_SAME) {
        return -TESSERA_EINVALID;
    }
    enum status status = handle_duplicate(caller_handles(instance), handle, rights, &number);
    return tessera_handle_result(status, number);
}

int32_t host_handle_revoke(struct instance *instance, uint32_t handle)
{
    return tessera_result(handle_revoke(caller_handles(instance), handle));
}

static uint32_t signals_of(struct object *object)
{
    uint64_t deadline = UINT64_MAX;
    spinlock_acquire(&object->lock);
    uint32_t signals = object_look(object, 0, &deadline);
    spinlock_release(&object->lock);
    return signals;
}

int32_t host_handle_information(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t bytes)
{
    struct tessera_handle_information information = {0};
    struct handle_table *table = caller_handles(instance);
    bytes = (uint32_t)min_u64(bytes, sizeof(information));
    void *to = instance_memory_required(instance, buffer, bytes, "handle_information: buffer");
    spinlock_acquire(&table->lock);
    struct grant *grant = handle_grant(table, handle);
    if (grant) {
        information.type = grant->object->type;
        information.rights = grant->rights;
        information.signals = grant->rights & RIGHT_WAIT ? signals_of(grant->object) : 0;
    }
    spinlock_release(&table->lock);
    if (!grant) {
        return -TESSERA_EHANDLE;
    }
    memcpy(to, &information, bytes);
    return (int32_t)bytes;
}
