#include "kernel/object.h"

#include "kernel/account.h"
#include "kernel/heap.h"
#include "kernel/thread.h"

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

/* ---- Notifying ----
 *
 * Those who are still to be notified are the first of the list, up to `unnotified`; a piece of them that was moves to
 * its end, in one step. So whoever comes or goes between two pieces changes nothing, and several may be at it: each
 * goes on until nobody is left. */

#define PIECE_WAITERS 128
#define NOTIFY_ALL    UINT32_MAX /* as signals: whatever they want */

/* Looked at without the lock, too. */
static void set_unnotified(struct object *object, struct waiter *last) REQUIRES(object->lock)
{
    __atomic_store_n(&object->unnotified, last, __ATOMIC_RELAXED);
}

/* All before `waiter` go to the end. */
static void rotate(struct object *object, struct waiter *waiter) REQUIRES(object->lock)
{
    struct waiter *first = object->waiters_first, *last = waiter->previous;
    object->waiters_last->next = first;
    first->previous = object->waiters_last;
    object->waiters_last = last;
    last->next = NULL;
    waiter->previous = NULL;
    __atomic_store_n(&object->waiters_first, waiter, __ATOMIC_RELAXED);
}

/* There are more than a piece: those from `next` on are noted, up to `last`. */
__attribute__((noinline)) static void note_rest(struct object *object, uint32_t signals, struct waiter *next)
    REQUIRES(object->lock)
{
    struct waiter *last = object->waiters_last;
    bool more = object->unnotified; /* there is a rest already: all of them for both */
    set_unnotified(object, last);
    object->unnotified_signals = signals | (more ? object->unnotified_signals : 0);
    if (!more) {
        rotate(object, next);
    }
}

/* A first piece; the rest is noted. */
static inline void notify_begin(struct object *object, uint32_t signals) REQUIRES(object->lock)
{
    struct waiter *waiter = object->waiters_first;
    for (uint32_t i = 0; waiter && i < PIECE_WAITERS; i++, waiter = waiter->next) {
        bool wants = (waiter->signals & signals) || signals == NOTIFY_ALL;
        if (wants && waiter->notify(waiter) && object->exclusive && signals != NOTIFY_ALL) {
            return;
        }
    }
    if (waiter) {
        note_rest(object, signals, waiter);
    }
}

/* A piece of the rest. False: there is none any more, or one will look at an exclusive object. */
static bool notify_more(struct object *object) REQUIRES(object->lock)
{
    const struct waiter *last = object->unnotified;
    uint32_t signals = object->unnotified_signals;
    struct waiter *waiter = object->waiters_first;
    bool more = last;
    for (uint32_t i = 0; more && i < PIECE_WAITERS; i++) {
        bool wants = (waiter->signals & signals) || signals == NOTIFY_ALL;
        bool taken = wants && waiter->notify(waiter) && object->exclusive && signals != NOTIFY_ALL;
        more = !taken && waiter != last;
        waiter = waiter->next;
    }
    if (more) {
        rotate(object, waiter);
    } else {
        set_unnotified(object, NULL);
    }
    return more;
}

void object_notify_rest(struct object *object)
{
    for (bool more = __atomic_load_n(&object->unnotified, __ATOMIC_RELAXED); more;) {
        spinlock_acquire(&object->lock);
        more = notify_more(object);
        spinlock_release(&object->lock);
        thread_preemption_point();
    }
}

/* True: a signal was newly set. */
static inline bool signal_begin(struct object *object, uint32_t clear, uint32_t set) REQUIRES(object->lock)
{
    uint32_t before = object->signals;
    uint32_t after = (before & ~clear) | set;
    uint32_t fresh = after & ~before;
    __atomic_store_n(&object->signals, after, __ATOMIC_RELEASE);
    if (fresh) {
        notify_begin(object, fresh);
    }
    return fresh;
}

void object_signal_begin(struct object *object, uint32_t clear, uint32_t set)
{
    signal_begin(object, clear, set);
}

void object_signal_locked(struct object *object, uint32_t clear, uint32_t set)
{
    if (signal_begin(object, clear, set)) {
        while (object->unnotified && notify_more(object)) {
        }
    }
}

void object_signal(struct object *object, uint32_t clear, uint32_t set)
{
    spinlock_acquire(&object->lock);
    object_signal_locked(object, clear, set);
    spinlock_release(&object->lock);
}

bool object_signal_start(struct object *object, uint32_t clear, uint32_t set)
{
    spinlock_acquire(&object->lock);
    bool rest = signal_begin(object, clear, set) && object->unnotified;
    if (rest) {
        object_acquire(object);
    }
    spinlock_release(&object->lock);
    return rest;
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
    if (object->unnotified == waiter) {
        set_unnotified(object, waiter->previous);
    }
    if (waiter->next) {
        waiter->next->previous = waiter->previous;
    } else {
        object->waiters_last = waiter->previous;
    }
}

void object_notify_all_begin(struct object *object)
{
    notify_begin(object, NOTIFY_ALL);
}

void object_notify_all(struct object *object)
{
    object_notify_all_begin(object);
    while (object->unnotified && notify_more(object)) {
    }
}
