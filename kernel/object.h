/* Kernel objects: what handles refer to.
 *
 * An object lives by its reference count. References are held by its handles and, inside the kernel, by whoever keeps a
 * pointer to it across a wait. Besides, the *handles* to it are counted: when the last one is gone nobody can use the
 * object any more, and its type acts on that (a channel tells its other end), however long references remain.
 *
 * An object has a set of *signals*, and a list of waiters that want to hear of some of them. Both change under its
 * lock, as do the derivations of its handles (kernel/handle.h) and most of what its type adds. Lock order: a handle
 * table's lock comes before an object's; a second object is locked as LOCK_OBJECT_INNER, see where that is done. */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/lock.h"
#include "kernel/status.h"

/* What the holder of a handle may do: name, text. Bits in this order, which is the guests' numbering. */
#define RIGHTS(X)                                                                                                      \
    X(READ, "read")           /* take out what is in it: bytes, messages, the time */                                  \
    X(WRITE, "write")         /* put something in */                                                                   \
    X(EXECUTE, "execute")     /* run it: start programs, call */                                                       \
    X(WAIT, "wait")           /* wait for its signals */                                                               \
    X(SIGNAL, "signal")       /* set and clear signals */                                                              \
    X(DUPLICATE, "duplicate") /* make further handles to it, with these rights or fewer */                             \
    X(TRANSFER, "transfer")   /* give the handle to somebody else */                                                   \
    X(MANAGE, "manage")       /* control it; revoke what was duplicated from this handle */                            \
    X(INSPECT, "inspect")     /* read information about it */                                                          \
    X(MAP, "map")             /* show it in a linear memory */
enum right_number {
#define RIGHT_NUMBER(NAME, text) RIGHT_NUMBER_##NAME,
    RIGHTS(RIGHT_NUMBER)
#undef RIGHT_NUMBER
        RIGHT_COUNT
};
enum {
#define RIGHT_BIT(NAME, text) RIGHT_##NAME = 1u << RIGHT_NUMBER_##NAME,
    RIGHTS(RIGHT_BIT)
#undef RIGHT_BIT
        RIGHTS_ALL = (1u << RIGHT_COUNT) - 1,
    RIGHTS_SAME = 0x80000000,                                      /* where a handle is derived: as many as there are */
    RIGHTS_BASIC = RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_MANAGE /* of every type */
};

/* States that can be waited for: name, text. Bits in this order, which is the guests' numbering. */
#define SIGNALS(X)                                                                                                     \
    X(READABLE, "readable")       /* there is something to take out */                                                 \
    X(WRITABLE, "writable")       /* there is room to put something in */                                              \
    X(PEER_CLOSED, "peer closed") /* the other end is gone */                                                          \
    X(SIGNALED, "signaled")       /* an event was signaled, a timer's time has come */                                 \
    X(EXITED, "exited")           /* a process or thread has ended */
enum signal_number {
#define SIGNAL_NUMBER(NAME, text) SIGNAL_NUMBER_##NAME,
    SIGNALS(SIGNAL_NUMBER)
#undef SIGNAL_NUMBER
        SIGNAL_COUNT
};
enum {
#define SIGNAL_BIT(NAME, text) SIGNAL_##NAME = 1u << SIGNAL_NUMBER_##NAME,
    SIGNALS(SIGNAL_BIT)
#undef SIGNAL_BIT
        SIGNALS_ALL = (1u << SIGNAL_COUNT) - 1
};

enum object_type {
    OBJECT_ANY, /* no object's; any type, where one is asked for */
#define OBJECT(NAME, name, text, rights) OBJECT_##NAME,
#include "kernel/objects.def"
#undef OBJECT
    OBJECT_TYPE_COUNT
};

struct account;
struct object;

/* What the table names. */
#define OBJECT(NAME, name, text, rights)                                                                               \
    void name##_object_closed(struct object *object);                                                                  \
    void name##_object_destroy(struct object *object);
#include "kernel/objects.def"
#undef OBJECT

struct object_type_entry {
    const char *name;
    uint32_t rights;                        /* that a handle may have, the basic ones included */
    void (*closed)(struct object *object);  /* no lock is held */
    void (*destroy)(struct object *object); /* the same; frees the object's memory */
};
extern const struct object_type_entry object_types[OBJECT_TYPE_COUNT];

/* Somebody who wants to know when one of `signals` is set. In the list of one object, under that object's lock. */
struct waiter {
    struct waiter *next, *previous;
    struct object *object;
    uint32_t signals; /* wanted */
    /* One of the wanted signals is set, or something else has changed that he wants to look at himself (a handle was
     * revoked, a timer set). Called with the object's lock held, maybe more than once; takes locks of rank WAIT_SET and
     * above only. True: he will look. */
    bool (*notify)(struct waiter *waiter);
};

struct object {
    struct spinlock lock;
    uint16_t type;         /* enum object_type */
    bool exclusive;        /* a signal is for one waiter, who clears it when he sees it: one is notified, not all */
    uint32_t references;   /* atomic */
    uint32_t handle_count; /* handles that work, in tables and on their way; under the lock */
    uint32_t signals;      /* changes under the lock; may be read without */
    /* Under the lock: who waits, first come first (whether anybody does may be read without); the last of those, from
     * the first on, who are still to be notified, of these signals; NULL: there are none. */
    uint32_t unnotified_signals;
    struct waiter *waiters_first, *waiters_last, *unnotified;
    struct account *account; /* that pays for `bytes`; NULL: the kernel */
    uint64_t bytes;
};

/* A new object with one reference, the caller's; without handles and with these signals. */
void object_initialize(struct object *object, enum object_type type, uint32_t signals);
/* The same for one that begins a block of `bytes` bytes, zeroed, which `account` pays for. STATUS_NO_MEMORY,
 * STATUS_LIMIT. */
enum status object_allocate(enum object_type type, size_t bytes, struct account *account, uint32_t signals,
                            struct object **result);
/* The end of such a block, for the destroy functions of the types. */
void object_free(struct object *object);
static inline void object_acquire(struct object *object)
{
    atomic_add_u32(&object->references, 1);
}
void object_end(struct object *object); /* there is no reference any more */
/* Gives up a reference; with the last one the object is destroyed. No lock may be held but for those that the type's
 * destroy function allows. */
static inline void object_release(struct object *object)
{
    if (atomic_add_u32(&object->references, -1) == 1) {
        object_end(object);
    }
}

static inline uint32_t object_signals(const struct object *object)
{
    return __atomic_load_n(&object->signals, __ATOMIC_ACQUIRE);
}
/* Change the signals: first `clear`, then `set`. Waiters that want one which was newly set are notified: all of them,
 * or of an exclusive object the first that will look. */
void object_signal_locked(struct object *object, uint32_t clear, uint32_t set) REQUIRES(object->lock);
void object_signal(struct object *object, uint32_t clear, uint32_t set) EXCLUDES(object->lock);
/* The same where a guest can make the waiters many: notifies a first piece of them. Whoever calls one of these calls
 * object_notify_rest afterwards, holding a reference but no lock; it has preemption points. */
void object_signal_begin(struct object *object, uint32_t clear, uint32_t set) REQUIRES(object->lock);
void object_notify_all_begin(struct object *object) REQUIRES(object->lock);
static inline bool object_has_rest(const struct object *object)
{
    return __atomic_load_n(&object->unnotified, __ATOMIC_RELAXED);
}
void object_notify_rest(struct object *object) EXCLUDES(object->lock);
/* The same under another lock that keeps the object. True: there is a rest, and a reference for who sees to it, when
 * that lock is open again. */
bool object_signal_start(struct object *object, uint32_t clear, uint32_t set) EXCLUDES(object->lock);

/* Into and out of the object's list. Who leaves an exclusive object without having looked at a signal that he may have
 * been notified of, calls object_notify_all afterwards. */
void object_add_waiter(struct object *object, struct waiter *waiter) REQUIRES(object->lock);
void object_remove_waiter(struct object *object, struct waiter *waiter) REQUIRES(object->lock);
/* Notify all waiters, whatever they want: something that is no signal has changed. */
void object_notify_all(struct object *object) REQUIRES(object->lock);

/* How many objects of a type live, for tests and statistics. */
uint64_t object_count(enum object_type type);

#endif
