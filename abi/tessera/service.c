/* Serving the interfaces that a module exports: kernel/service.h. */
#include "abi/tessera/interface.h"
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/launch.h"
#include "kernel/launch_description.h"
#include "kernel/service.h"

int32_t host_port_serve(struct instance *instance, uint32_t handle)
{
    enum status status = caller_check(instance, handle, NEEDS(port_serve));
    return tessera_result(status == STATUS_OK ? service_serve(instance, handle, UINT64_MAX) : status);
}

int32_t host_port_serve_until(struct instance *instance, uint32_t handle, uint64_t deadline)
{
    enum status status = caller_check(instance, handle, NEEDS(port_serve_until));
    deadline = caller_deadline(instance, deadline);
    return tessera_result(status == STATUS_OK ? service_serve(instance, handle, deadline) : status);
}

int32_t host_service_deadline(struct instance *instance, uint64_t deadline)
{
    service_set_deadline(caller_deadline(instance, deadline));
    return 0;
}

int32_t host_interface_handle(struct instance *instance, uint32_t name, uint32_t bytes)
{
    const char *text = instance_memory_required(instance, name, bytes, "interface_handle: name");
    uint32_t handle = service_binding(instance->process, (struct name){text, bytes});
    return handle ? (int32_t)handle : -TESSERA_ENOTFOUND;
}

/* ---- Handing interfaces on ---- */
static bool parse_handle(const char *text, uint32_t *handle)
{
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9' && number <= INT32_MAX; text++) {
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *handle = (uint32_t)number;
    return !*text && number && number <= INT32_MAX;
}

/* "NAME" or "NAME=HANDLE". */
static enum status decode_binding(const struct process *process, const char *text, struct launch_binding *binding,
                                  uint32_t *handle)
{
    uint32_t length = 0;
    while (text[length] && text[length] != '=') {
        length++;
    }
    binding->interface = text;
    binding->interface_length = length;
    if (text[length]) {
        return parse_handle(text + length + 1, handle) ? STATUS_OK : STATUS_INVALID;
    }
    *handle = service_binding(process, (struct name){text, length});
    return *handle ? STATUS_OK : STATUS_INVALID;
}

/* A duplicate that is in no table yet. */
static enum status duplicate(struct handle_table *table, uint32_t handle, struct grant **result)
{
    const uint32_t needed = RIGHT_DUPLICATE | RIGHT_TRANSFER;
    spinlock_acquire(&table->lock);
    struct grant *grant = handle_grant(table, handle);
    enum status status = !grant || grant->object->type != OBJECT_PORT_CLIENT ? STATUS_BAD_HANDLE
                         : needed & ~grant->rights ? STATUS_DENIED
                                                   : grant_derive(grant, RIGHTS_ALL, true, NULL, result);
    spinlock_release(&table->lock);
    return status;
}

enum status caller_bindings(struct process *process, const struct launch_description *description,
                            struct launch_binding *bindings)
{
    enum status status = STATUS_OK;
    uint32_t count = 0;
    while (count < description->interface_count && status == STATUS_OK) {
        uint32_t handle;
        status = decode_binding(process, description->interfaces[count], &bindings[count], &handle);
        if (status == STATUS_OK) {
            status = duplicate(&process->handles, handle, &bindings[count].grant);
        }
        count += status == STATUS_OK;
    }
    if (status != STATUS_OK) {
        caller_bindings_drop(bindings, count);
    }
    return status;
}

void caller_bindings_drop(const struct launch_binding *bindings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        grant_drop(bindings[i].grant);
    }
}

/* Of the interface in interfaces/kernel.wit, whose resource is any handle. One that is gone already is not missed: what
 * was lent is taken back by the kernel. */
static void drop_handle(struct instance *instance, uint32_t handle)
{
    handle_close(caller_handles(instance), handle);
}

static const struct host_function handle_functions[] = {{"[resource-drop]handle", "i:", (void (*)(void))drop_handle}};

const struct host_interface tessera_handles_interface = {"tessera:kernel/handles", handle_functions,
                                                         ARRAY_COUNT(handle_functions)};
