/* Waiting. What is waited for is held as grants while the caller sleeps, and given back before its memory is touched or
 * it is ended. */
#include "kernel/wait.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/thread.h"

#define RECORDS_MAXIMUM 256 /* in one call of wait_set_wait */

/* So many lie on the kernel stack, more in the thread's scratch. */
#define WAIT_ITEMS_FEW 4
#define RECORDS_FEW    16

enum status caller_hold(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights,
                        struct grant **result)
{
    return handle_hold(caller_handles(instance), handle, type, rights, result);
}

enum status caller_wait(struct grant *grant, uint32_t signals, uint64_t deadline)
{
    return wait_change(grant, signals, deadline);
}

enum status caller_finish(enum status status)
{
    if (status == STATUS_ENDING) {
        thread_end_if_asked();
    }
    return status;
}

static void give_back(const struct wait_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        grant_release(items[i].grant);
    }
}

int32_t host_wait_one(struct instance *instance, uint32_t handle, uint32_t signals, uint64_t deadline)
{
    struct wait_item item = {.wanted = signals};
    uint32_t ready;
    if (!signals || (signals & ~(uint32_t)SIGNALS_ALL)) {
        return -TESSERA_EINVALID;
    }
    enum status status = caller_hold(instance, handle, NEEDS(wait_one), &item.grant);
    if (status == STATUS_OK) {
        status = wait_many(&item, 1, caller_deadline(instance, deadline), &ready);
        give_back(&item, 1);
    }
    return caller_finish(status) == STATUS_OK ? (int32_t)item.seen : tessera_result(status);
}

/* What the caller asks for, from its memory, where it may end: nothing is held yet. The handle's number waits in
 * `seen`. */
static bool read_items(const uint8_t *from, struct wait_item *items, uint32_t count)
{
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        struct tessera_wait_item wanted;
        memcpy(&wanted, from + i * sizeof(wanted), sizeof(wanted)); /* at any address */
        items[i] = (struct wait_item){.wanted = wanted.wanted, .seen = wanted.handle};
        good = good && !(wanted.wanted & ~(uint32_t)SIGNALS_ALL);
    }
    return good;
}

/* Hold all, or none. */
static enum status hold_items(struct instance *instance, struct wait_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        enum status status = caller_hold(instance, items[i].seen, OBJECT_ANY, NEEDED_RIGHTS_wait_many, &items[i].grant);
        if (status != STATUS_OK) {
            give_back(items, i);
            return status;
        }
    }
    return STATUS_OK;
}

int32_t host_wait_many(struct instance *instance, uint32_t address, uint32_t count, uint64_t deadline)
{
    struct wait_item few[WAIT_ITEMS_FEW], *items = few;
    uint64_t bytes = count * (uint64_t)sizeof(struct tessera_wait_item);
    const void *from = instance_memory_required(instance, address, bytes, "wait_many: items");
    uint32_t ready = 0;
    if (count > WAIT_ITEMS_MAXIMUM) {
        return -TESSERA_EINVALID;
    }
    if (count > WAIT_ITEMS_FEW && !(items = thread_scratch(WAIT_ITEMS_MAXIMUM * sizeof(items[0])))) {
        return -TESSERA_ENOMEMORY;
    }
    enum status status = read_items(from, items, count) ? hold_items(instance, items, count) : STATUS_INVALID;
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = wait_many(items, count, caller_deadline(instance, deadline), &ready);
    give_back(items, count);
    if (caller_finish(status) != STATUS_OK) {
        return tessera_result(status);
    }
    struct tessera_wait_item *to = instance_memory_required(instance, address, bytes, "wait_many: items");
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&to[i].seen, &items[i].seen, sizeof(to[i].seen));
    }
    return (int32_t)ready;
}

/* ---- Wait sets ---- */

int32_t host_wait_set_create(struct instance *instance)
{
    struct object *set = NULL;
    enum status status = wait_set_create(instance->process->account, &set);
    return caller_give(instance, status, set);
}

int32_t host_wait_set_add(struct instance *instance, uint32_t handle, uint32_t object, uint32_t signals, uint64_t key)
{
    struct object *set;
    struct grant *source;
    uint32_t entry = 0;
    if (signals & ~(uint32_t)SIGNALS_ALL) {
        return -TESSERA_EINVALID;
    }
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(wait_set_add), &set);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    status = caller_hold(instance, object, OBJECT_ANY, RIGHT_WAIT, &source);
    if (status == STATUS_OK) {
        status = wait_set_add(set, source, signals, key, instance->process->account, &entry);
        grant_release(source);
    }
    object_release(set);
    return tessera_handle_result(status, entry);
}

int32_t host_wait_set_change(struct instance *instance, uint32_t handle, uint32_t entry, uint32_t signals)
{
    struct object *set;
    if (signals & ~(uint32_t)SIGNALS_ALL) {
        return -TESSERA_EINVALID;
    }
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(wait_set_change), &set);
    if (status == STATUS_OK) {
        status = wait_set_change(set, entry, signals);
        object_release(set);
    }
    return tessera_result(status);
}

int32_t host_wait_set_remove(struct instance *instance, uint32_t handle, uint32_t entry)
{
    struct object *set;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(wait_set_remove), &set);
    if (status == STATUS_OK) {
        status = wait_set_remove(set, entry);
        object_release(set);
    }
    return tessera_result(status);
}

_Static_assert(sizeof(struct tessera_wait_record) == sizeof(struct wait_record), "copied as it is");

int32_t host_wait_set_wait(struct instance *instance, uint32_t handle, uint32_t address, uint32_t maximum,
                           uint64_t deadline)
{
    struct wait_record few[RECORDS_FEW], *records = few;
    struct object *set;
    uint32_t count = 0;
    instance_memory_required(instance, address, maximum * (uint64_t)sizeof(records[0]), "wait_set_wait: records");
    if (!maximum) {
        return -TESSERA_EINVALID;
    }
    if (maximum > RECORDS_FEW && !(records = thread_scratch(RECORDS_MAXIMUM * sizeof(records[0])))) {
        return -TESSERA_ENOMEMORY;
    }
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(wait_set_wait), &set);
    if (status == STATUS_OK) {
        status = wait_set_wait(set, records, (uint32_t)min_u64(maximum, RECORDS_MAXIMUM),
                               caller_deadline(instance, deadline), &count);
        object_release(set);
    }
    if (caller_finish(status) != STATUS_OK) {
        return tessera_result(status);
    }
    uint64_t bytes = count * (uint64_t)sizeof(records[0]);
    memcpy(instance_memory_required(instance, address, bytes, "wait_set_wait: records"), records, bytes);
    return (int32_t)count;
}
