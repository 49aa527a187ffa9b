/* Handles: the only authority that a process has beyond its own memory.
 *
 * A process has a table of handles and knows them by numbers. A number is an index and a generation, so that the number
 * of a closed handle stays refused when its place is taken by another one (until the place was used
 * 2^HANDLE_GENERATION_BITS times; places are used in turn). 0 is never a handle.
 *
 * What stands behind a number is a *grant*: an object, rights, and its place in the tree of grants to that object.
 * Duplicating makes a grant derived from the first one, with the same rights or fewer; giving a handle to another
 * process moves the grant, which keeps its place. Revoking a handle kills all that was derived from it, at any depth
 * and wherever it is: in tables, in messages on their way, in mappings made through it. Closing a handle kills nothing:
 * what was derived from it then counts as derived from where it came from.
 *
 * Cost: a look-up reads slot and grant under the table's lock. A grant that is closed while others are derived from it
 * stays in the tree only as long as two or more of its children do, so there are never more such than there are
 * handles. Revoking is linear in what is revoked, in pieces with preemption points between them.
 *
 * Locks: a table's own lock guards its slots, and is what tells whoever looks up that the object stays alive as long as
 * it is held. The tree of grants is guarded by the lock of their object; so there is no lock for all. */
#ifndef KERNEL_HANDLE_H
#define KERNEL_HANDLE_H

#include "kernel/object.h"
#include "kernel/status.h"

/* ---- Grants ---- */

struct grant {
    struct object *object;                          /* a reference */
    struct grant *parent, *child, *next, *previous; /* tree; under the object's lock */
    /* When it is revoked and not a handle's: undo what was made through it, unless its owner has dropped it. Called
     * with the object's lock held; true: there is more to be undone, and others may have the lock before. NULL:
     * nothing. */
    bool (*undo)(struct grant *grant);
    uint32_t rights;
    uint32_t references; /* atomic: its owner's, and of those who use it at the moment */
    /* Who revoke what was derived from it, at the moment, or will because they lent it: it stays in the tree. The
     * object's lock. */
    uint16_t revokers;
    uint8_t revoked; /* it is invalid; set under the object's lock, read without */
    uint8_t dead;    /* and out of the tree: its owner may use `next`. The same */
    bool is_handle;  /* counts in object.handle_count */
    bool closed;     /* has no owner; in the tree for the sake of its children. Under the object's lock */
};

/* A grant from nowhere: the kernel's decision that somebody shall have this object. Takes a reference of its own to the
 * object. The rights are cut to those of the type. The grant belongs to the caller: it goes into a table or is
 * dropped. */
enum status grant_create(struct object *object, uint32_t rights, struct grant **result);
/* A grant derived from `source`, with those of its rights that are in `rights`. A handle, or else (`is_handle` false)
 * something that the kernel makes through it and that ends with it: `undo` may be given then. STATUS_BAD_HANDLE when
 * the source is revoked. */
enum status grant_derive(struct grant *source, uint32_t rights, bool is_handle, bool (*undo)(struct grant *grant),
                         struct grant **result);
/* A handle derived from `source` that is lent: it is to be dropped or put into a table, as one of grant_derive, and
 * grant_end_loan kills it with all that is derived from it, whether it was dropped meanwhile or not. */
enum status grant_lend(struct grant *source, struct grant **result);
/* Once for each that was lent. As grant_revoke. */
void grant_end_loan(struct grant *grant);
/* The owner's end of it: with the last handle the object is closed. */
void grant_drop(struct grant *grant);
/* Kill all that is derived from it. When this returned, no operation begins through any of that; mappings are gone.
 * Has preemption points (kernel/thread.h). */
void grant_revoke(struct grant *grant);
/* For who keeps a pointer to a grant that may be dropped meanwhile. */
static inline void grant_acquire(struct grant *grant)
{
    atomic_add_u32(&grant->references, 1);
}
void grant_release(struct grant *grant);
static inline bool grant_is_revoked(const struct grant *grant)
{
    return __atomic_load_n(&grant->revoked, __ATOMIC_ACQUIRE);
}

/* ---- Tables ---- */

#define HANDLE_INDEX_BITS      18
#define HANDLE_GENERATION_BITS 13 /* numbers are positive as int32_t */
#define HANDLES_MAXIMUM        ((UINT32_C(1) << HANDLE_INDEX_BITS) - HANDLES_KNOWN)
/* Places below are given by handle_insert_known only: numbers that programs know by convention. */
#define HANDLES_KNOWN       8
#define HANDLE_KNOWN_SYSTEM 1
#define HANDLE_KNOWN_CLOCK  2
#define HANDLE_KNOWN_PORT   3

struct handle_slot {
    union {
        struct grant *grant; /* in use */
        uint32_t next_free;  /* free: an index, 0 at the end */
    };
    uint32_t number;     /* what it answers to; 0: free, or its grant is being taken out */
    uint32_t own_number; /* of the handle that is in it, or else of the next one */
};

struct handle_table {
    struct spinlock lock; /* guards all of it */
    uint32_t mask;        /* number of slots - 1; a power of two */
    struct handle_slot *slots;
    uint32_t count, limit;
    uint32_t fresh;                 /* index of the first slot that was never used; all behind it are zeros */
    uint32_t free_first, free_last; /* indices; 0: none. First closed, first used again, when none is fresh */
    uint32_t clock; /* number of a handle to the clock; 0: none. A hint: what it answers to may be gone */
};

/* An empty table for `limit` handles at most; it may be changed later. */
void handle_table_initialize(struct handle_table *table, uint32_t limit);
/* Drops all. Nobody else may use the table any more. */
void handle_table_destroy(struct handle_table *table);

/* Put a grant into a table, which owns it from then on; if it fails, the caller still does. STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status handle_insert(struct handle_table *table, struct grant *grant, uint32_t *number) EXCLUDES(table->lock);
/* The same at a place with a number that programs know, from 1 to HANDLES_KNOWN - 1; STATUS_EXISTS. For processes that
 * do not run yet. */
enum status handle_insert_known(struct handle_table *table, struct grant *grant, uint32_t number) EXCLUDES(table->lock);
/* A new object's first handle, with all rights that its type has: takes over the caller's reference to the object, even
 * when it fails. */
enum status handle_insert_new(struct handle_table *table, struct object *object, uint32_t *number)
    EXCLUDES(table->lock);

/* The grant behind a number, or NULL. It stays as long as the lock is held. */
static inline struct grant *handle_grant(const struct handle_table *table, uint32_t number) REQUIRES(table->lock)
{
    /* Every number selects a slot, also when speculating. */
    const struct handle_slot *slot = &table->slots[number & table->mask];
    if (slot->number != number || !number || grant_is_revoked(slot->grant)) {
        return NULL;
    }
    return slot->grant;
}

/* The object behind a number, if it is of this type (or OBJECT_ANY) and the handle has all of these rights. The object
 * stays as long as the lock is held; who wants it for longer takes a reference. STATUS_BAD_HANDLE: there is no such
 * handle, or it is to something else; STATUS_DENIED: it does not have the rights. */
static inline enum status handle_find_locked(const struct handle_table *table, uint32_t number, enum object_type type,
                                             uint32_t rights, struct object **result) REQUIRES(table->lock)
{
    const struct grant *grant = handle_grant(table, number);
    if (!grant || (grant->object->type != type && type != OBJECT_ANY)) {
        return STATUS_BAD_HANDLE;
    }
    if (rights & ~grant->rights) {
        return STATUS_DENIED;
    }
    *result = grant->object;
    return STATUS_OK;
}
/* The same with a reference to the object, which the caller gives back with object_release. */
enum status handle_find(struct handle_table *table, uint32_t number, enum object_type type, uint32_t rights,
                        struct object **result) EXCLUDES(table->lock);
/* handle_find_locked for the only thread of the table's process (thread.shares is NULL), without the lock: nobody else
 * fills or frees its slots. A grant that is revoked keeps its slot, and so its object, until this thread takes it out:
 * the object stays as long as the thread neither closes nor moves nor makes handles. */
NO_LOCK_ANALYSIS static inline enum status handle_find_alone(const struct handle_table *table, uint32_t number,
                                                             enum object_type type, uint32_t rights,
                                                             struct object **result)
{
    return handle_find_locked(table, number, type, rights, result);
}

/* The grant behind such a number, for who waits: held until grant_release. */
enum status handle_hold(struct handle_table *table, uint32_t number, enum object_type type, uint32_t rights,
                        struct grant **result) EXCLUDES(table->lock);

enum status handle_close(struct handle_table *table, uint32_t number) EXCLUDES(table->lock);
/* STATUS_DENIED without RIGHT_DUPLICATE, or when `rights` (RIGHTS_SAME: all of the handle's) has one that the handle
 * does not have. */
enum status handle_duplicate(struct handle_table *table, uint32_t number, uint32_t rights, uint32_t *result)
    EXCLUDES(table->lock);
/* Needs RIGHT_MANAGE. */
enum status handle_revoke(struct handle_table *table, uint32_t number) EXCLUDES(table->lock);

/* ---- Moving handles between tables ----
 * Taking: all or none. handles_take makes the numbers invalid and gives the grants; then, without a wait in between,
 * either handles_taken (the grants are the caller's, the places are free) or handles_put_back (nothing happened). A
 * number that is named twice is refused. Each handle needs RIGHT_TRANSFER and the rights asked for. */
#define HANDLES_PER_MESSAGE 16
enum status handles_take(struct handle_table *table, const uint32_t *numbers, uint32_t count, uint32_t rights,
                         struct grant **grants) EXCLUDES(table->lock);
void handles_taken(struct handle_table *table, const uint32_t *numbers, uint32_t count) EXCLUDES(table->lock);
void handles_put_back(struct handle_table *table, const uint32_t *numbers, uint32_t count) EXCLUDES(table->lock);
/* Put grants into a table, all or none: STATUS_LIMIT or STATUS_NO_MEMORY, and they still are the caller's. One that was
 * revoked on its way is dropped, and its number is 0. */
enum status handles_insert(struct handle_table *table, struct grant *const *grants, uint32_t count, uint32_t *numbers)
    EXCLUDES(table->lock);

/* Is there a handle to the clock with RIGHT_READ? See process_visible_time. */
bool handle_has_clock(struct handle_table *table) EXCLUDES(table->lock);

#endif
