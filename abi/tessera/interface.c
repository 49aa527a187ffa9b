/* The interface "tessera" as a table, and what guests and kernel number alike. */
#include "abi/tessera/interface.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/guest_copy.h"
#include "kernel/thread.h"

#define COPY_PIECE_BYTES 65536

#define SAME(guests, kernels) _Static_assert((uint32_t)(guests) == (uint32_t)(kernels), "the guests' number is another")

#define RIGHT(NAME, text) SAME(TESSERA_RIGHT_##NAME, RIGHT_##NAME);
RIGHTS(RIGHT)
#undef RIGHT
#define SIGNAL(NAME, text) SAME(TESSERA_SIGNAL_##NAME, SIGNAL_##NAME);
SIGNALS(SIGNAL)
#undef SIGNAL
#define OBJECT(NAME, name, text, rights) SAME(TESSERA_OBJECT_##NAME, OBJECT_##NAME);
#include "kernel/objects.def"
#undef OBJECT
SAME(TESSERA_SYSTEM, HANDLE_KNOWN_SYSTEM);
SAME(TESSERA_CLOCK, HANDLE_KNOWN_CLOCK);
SAME(TESSERA_PORT, HANDLE_KNOWN_PORT);

int32_t tessera_error(enum status status)
{
    switch (status) {
    case STATUS_BAD_HANDLE:
        return -TESSERA_EHANDLE;
    case STATUS_DENIED:
        return -TESSERA_ERIGHT;
    case STATUS_INVALID:
        return -TESSERA_EINVALID;
    case STATUS_NOT_FOUND:
    case STATUS_OUTSIDE:
    case STATUS_NOT_DIRECTORY:
        return -TESSERA_ENOTFOUND;
    case STATUS_NO_MEMORY:
        return -TESSERA_ENOMEMORY;
    case STATUS_LIMIT:
        return -TESSERA_ELIMIT;
    case STATUS_AGAIN:
        return -TESSERA_EAGAIN;
    case STATUS_CLOSED:
        return -TESSERA_EPEER;
    case STATUS_TOO_LARGE:
        return -TESSERA_ETOOLARGE;
    case STATUS_TIMED_OUT:
        return -TESSERA_ETIMEOUT;
    case STATUS_EXISTS:
        return -TESSERA_EEXISTS;
    case STATUS_BUSY:
        return -TESSERA_EBUSY;
    case STATUS_NOT_SUPPORTED:
        return -TESSERA_ENOTSUPPORTED;
    case STATUS_BAD_MODULE:
    case STATUS_UNLINKABLE:
        return -TESSERA_EMODULE;
    default:
        return -TESSERA_EIO;
    }
}

bool caller_copy(void *to, const void *from, uint32_t bytes)
{
    uint32_t piece;
    for (uint32_t done = 0; done < bytes; done += piece) {
        piece = (uint32_t)min_u64(bytes - done, COPY_PIECE_BYTES);
        if (guest_copy((uint8_t *)to + done, (const uint8_t *)from + done, piece)) {
            return false;
        }
        thread_preemption_point();
    }
    return true;
}

int32_t caller_give(struct instance *instance, enum status status, struct object *object)
{
    uint32_t number = 0;
    if (status == STATUS_OK) {
        status = handle_insert_new(caller_handles(instance), object, &number);
    }
    return tessera_handle_result(status, number);
}

enum status caller_check(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights)
{
    struct object *object;
    struct handle_table *table = caller_handles(instance);
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, type, rights, &object);
    spinlock_release(&table->lock);
    return status;
}

static const struct host_function functions[] = {
#define FUNCTION(name, result, signature, parameters, type, rights) {#name, signature, (void (*)(void))host_##name},
#include "abi/tessera/functions.def"
#undef FUNCTION
};

const struct host_interface tessera_interface = {"tessera", functions, ARRAY_COUNT(functions)};
