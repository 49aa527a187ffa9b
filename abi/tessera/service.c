/* Serving the interfaces that a module exports: kernel/service.h. */
#include "abi/tessera/interface.h"
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/service.h"

int32_t host_port_serve(struct instance *instance, uint32_t handle)
{
    struct object *port;
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(port_serve), &port);
    if (status == STATUS_OK) {
        status = service_serve(instance, port);
    }
    return tessera_result(status);
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
