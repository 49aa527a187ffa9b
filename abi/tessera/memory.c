/* Memory objects. */
#include "abi/tessera/tessera.h"
#include "kernel/shared_memory.h"

int32_t host_memory_create(struct instance *instance, uint64_t bytes)
{
    struct object *memory = NULL;
    enum status status = shared_memory_create(instance->process->account, bytes, &memory);
    return caller_give(instance, status, memory);
}

int64_t host_memory_size(struct instance *instance, uint32_t handle)
{
    struct object *memory;
    struct handle_table *table = caller_handles(instance);
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, NEEDS(memory_size), &memory);
    int64_t bytes = status == STATUS_OK ? (int64_t)shared_memory_bytes(memory) : 0;
    spinlock_release(&table->lock);
    return status == STATUS_OK ? bytes : tessera_result(status);
}

int32_t host_memory_map(struct instance *instance, uint32_t handle, uint32_t address, uint64_t offset, uint32_t bytes,
                        uint32_t flags)
{
    static const enum mapping_mode modes[] = {MAPPING_READ, MAPPING_SHARED, MAPPING_COPY};
    struct grant *grant;
    if (flags > TESSERA_MAP_COPY) {
        return -TESSERA_EINVALID;
    }
    uint32_t rights = NEEDED_RIGHTS_memory_map | (flags == TESSERA_MAP_WRITE ? RIGHT_WRITE : 0);
    enum status status = caller_hold(instance, handle, OBJECT_MEMORY, rights, &grant);
    if (status == STATUS_OK) {
        status = mapping_create(instance, grant, address, offset, bytes, modes[flags]);
        grant_release(grant);
    }
    return tessera_result(status);
}

int32_t host_memory_unmap(struct instance *instance, uint32_t address)
{
    return tessera_result(mapping_remove(instance, address));
}
