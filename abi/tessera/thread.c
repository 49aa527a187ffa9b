/* Threads behind handles. */
#include "kernel/thread_object.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "engine/format.h"

_Static_assert((int)TESSERA_PRIORITY_BACKGROUND == PRIORITY_BACKGROUND &&
                   (int)TESSERA_PRIORITY_NORMAL == PRIORITY_NORMAL && (int)TESSERA_PRIORITY_HIGH == PRIORITY_HIGH &&
                   (int)TESSERA_PRIORITY_URGENT == PRIORITY_URGENT,
               "the guests' numbers");

int32_t host_thread_create(struct instance *instance, uint32_t argument)
{
    struct object *thread = NULL;
    uint32_t handle, number;
    enum status status = thread_object_create(instance->process, &thread);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    object_acquire(thread); /* the handle may be closed by others as soon as it is there */
    status = handle_insert_new(caller_handles(instance), thread, &handle);
    if (status == STATUS_OK) {
        status = process_spawn(instance, argument, thread, &number);
        if (status != STATUS_OK) {
            handle_close(caller_handles(instance), handle);
        }
    }
    object_release(thread);
    return tessera_handle_result(status, handle);
}

int32_t host_thread_self(struct instance *instance)
{
    struct object *thread = NULL;
    enum status status = thread_object_current(&thread);
    return caller_give(instance, status, thread);
}

/* The rest: do something with what a handle is to. */
static enum status find(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights,
                        struct object **thread)
{
    return handle_find(caller_handles(instance), handle, type, rights, thread);
}

int32_t host_thread_kill(struct instance *instance, uint32_t handle)
{
    struct object *thread;
    enum status status = find(instance, handle, NEEDS(thread_kill), &thread);
    if (status == STATUS_OK) {
        thread_object_kill(thread);
        object_release(thread);
    }
    return tessera_result(status);
}

int32_t host_thread_suspend(struct instance *instance, uint32_t handle)
{
    struct object *thread;
    enum status status = find(instance, handle, NEEDS(thread_suspend), &thread);
    if (status == STATUS_OK) {
        status = thread_object_suspend(thread);
        object_release(thread);
    }
    return tessera_result(status);
}

int32_t host_thread_resume(struct instance *instance, uint32_t handle)
{
    struct object *thread;
    enum status status = find(instance, handle, NEEDS(thread_resume), &thread);
    if (status == STATUS_OK) {
        status = thread_object_resume(thread);
        object_release(thread);
    }
    return tessera_result(status);
}

int32_t host_thread_set_priority(struct instance *instance, uint32_t handle, uint32_t priority)
{
    struct object *thread;
    enum status status = find(instance, handle, NEEDS(thread_set_priority), &thread);
    if (status == STATUS_OK) {
        status = priority < PRIORITY_COUNT ? thread_object_set_priority(thread, (enum thread_priority)priority)
                                           : STATUS_INVALID;
        object_release(thread);
    }
    return tessera_result(status);
}

int32_t host_thread_set_affinity(struct instance *instance, uint32_t handle, uint64_t cpus)
{
    struct object *thread;
    enum status status = find(instance, handle, NEEDS(thread_set_affinity), &thread);
    if (status == STATUS_OK) {
        status = cpus ? thread_object_set_affinity(thread, cpus) : STATUS_INVALID;
        object_release(thread);
    }
    return tessera_result(status);
}

static uint32_t state_of(const struct thread_object_information *information)
{
    switch (information->state) {
    case THREAD_OBJECT_CREATED:
        return TESSERA_THREAD_CREATED;
    case THREAD_OBJECT_RUNNING:
        return information->suspended ? TESSERA_THREAD_SUSPENDED
               : information->waits   ? TESSERA_THREAD_WAITING
                                      : TESSERA_THREAD_RUNNING;
    case THREAD_OBJECT_ENDED:
        break;
    }
    return TESSERA_THREAD_EXITED;
}

int32_t host_thread_information(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t bytes)
{
    struct thread_object_information information;
    struct object *thread;
    bytes = (uint32_t)min_u64(bytes, sizeof(struct tessera_thread_information));
    void *to = instance_memory_required(instance, buffer, bytes, "thread_information: buffer");
    enum status status = find(instance, handle, NEEDS(thread_information), &thread);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    thread_object_information(thread, &information);
    object_release(thread);
    struct tessera_thread_information described = {
        .state = state_of(&information),
        .process = information.process,
        .number = information.number,
        .priority = information.priority,
        .affinity = information.affinity,
        .cpu_nanoseconds = process_visible_time(instance->process, information.run_time),
    };
    if (information.state == THREAD_OBJECT_ENDED) {
        format_text(described.reason, sizeof(described.reason), "%s",
                    information.trap == TRAP_NONE ? "returned" : trap_text(information.trap));
    }
    memcpy(to, &described, bytes);
    return (int32_t)bytes;
}
