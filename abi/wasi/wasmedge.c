/* The sockets that WasmEdge added to wasi_snapshot_preview1, before there was a standard for them. Programs built for
 * it import them whether they use them or not (its QuickJS does), so they can be linked; each says ENOSYS. sock_accept
 * has another type here than in preview 1. */
#include "abi/wasi/interface.h"
#include "abi/wasi/types.h"
#include "engine/base.h"

static uint32_t not_here(struct instance *instance)
{
    (void)instance;
    return WASI_ENOSYS;
}

#define NOT_HERE(name, signature) {name, signature, (void (*)(void))not_here}
static const struct host_function functions[] = {
    NOT_HERE("sock_open", "iii:i"),         NOT_HERE("sock_bind", "iii:i"),
    NOT_HERE("sock_listen", "ii:i"),        NOT_HERE("sock_accept", "ii:i"),
    NOT_HERE("sock_connect", "iii:i"),      NOT_HERE("sock_getlocaladdr", "iiii:i"),
    NOT_HERE("sock_getpeeraddr", "iiii:i"), NOT_HERE("sock_getsockopt", "iiiii:i"),
    NOT_HERE("sock_setsockopt", "iiiii:i"), NOT_HERE("sock_getaddrinfo", "iiiiiiii:i"),
};

const struct host_interface wasi_wasmedge_interface = {
    .module = "wasi_snapshot_preview1",
    .functions = functions,
    .count = ARRAY_COUNT(functions),
};
