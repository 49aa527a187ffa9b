#include "kernel/object.h"

#include "kernel/account.h"
#include "kernel/heap.h"

const struct object_type_entry object_types[OBJECT_TYPE_COUNT] = {
#define OBJECT(NAME, name, text, rights)                                                                               \
    [OBJECT_##NAME] = {text, (rights) | RIGHTS_BASIC, name##_object_closed, name##_object_destroy},
#include "kernel/objects.def"
#undef OBJECT
};

/* A line of the cache for each, so that CPUs which make objects of different types do not meet. */
#define CACHE_LINE_BYTES 64
static struct {
    _Alignas(CACHE_LINE_BYTES) uint32_t live;
} counts[OBJECT_TYPE_COUNT];

void object_initialize(struct object *object, enum object_type type, uint32_t signals)
{
    *object = (struct object){.type = (uint16_t)type, .references = 1, .signals = signals};
    spinlock_initialize(&object->lock, LOCK_OBJECT);
    atomic_add_u32(&counts[type].live, 1);
}

enum status object_allocate(enum object_type type, size_t bytes, struct account *account, uint32_t signals,
                            struct object **result)
{
    if (!account_charge(account, bytes)) {
        return STATUS_LIMIT;
    }
    struct object *object = kernel_allocate_zeroed(bytes);
    if (!object) {
        account_credit(account, bytes);
        return STATUS_NO_MEMORY;
    }
    object_initialize(object, type, signals);
    object->account = account;
    object->bytes = bytes;
    *result = object;
    return STATUS_OK;
}

void object_free(struct object *object)
{
    struct account *account = object->account;
    uint64_t bytes = object->bytes;
    kernel_free(object, bytes);
    account_credit(account, bytes);
}

void object_end(struct object *object)
{
    atomic_add_u32(&counts[object->type].live, -1);
    object_types[object->type].destroy(object);
}

uint64_t object_count(enum object_type type)
{
    return __atomic_load_n(&counts[type].live, __ATOMIC_RELAXED);
}

void object_signal_locked(struct object *object, uint32_t clear, uint32_t set)
{
    uint32_t before = object->signals;
    uint32_t after = (before & ~clear) | set;
    __atomic_store_n(&object->signals, after, __ATOMIC_RELEASE);
    uint32_t fresh = after & ~before;
    if (fresh) {
        for (struct waiter *waiter = object->waiters_first; waiter; waiter = waiter->next) {
            if ((waiter->signals & fresh) && waiter->notify(waiter) && object->exclusive) {
                return;
            }
        }
    }
}

void object_signal(struct object *object, uint32_t clear, uint32_t set)
{
    spinlock_acquire(&object->lock);
    object_signal_locked(object, clear, set);
    spinlock_release(&object->lock);
}

void object_add_waiter(struct object *object, struct waiter *waiter)
{
    waiter->object = object;
    waiter->next = NULL;
    waiter->previous = object->waiters_last;
    if (object->waiters_last) {
        object->waiters_last->next = waiter;
    } else {
        __atomic_store_n(&object->waiters_first, waiter, __ATOMIC_RELAXED);
    }
    object->waiters_last = waiter;
}

void object_remove_waiter(struct object *object, struct waiter *waiter)
{
    if (waiter->previous) {
        waiter->previous->next = waiter->next;
    } else {
        __atomic_store_n(&object->waiters_first, waiter->next, __ATOMIC_RELAXED);
    }
    if (waiter->next) {
        waiter->next->previous = waiter->previous;
    } else {
        object->waiters_last = waiter->previous;
    }
}

void object_notify_all(struct object *object)
{
    for (struct waiter *waiter = object->waiters_first; waiter; waiter = waiter->next) {
        waiter->notify(waiter);
    }
}
