/* Waiting for signals of objects: of a few at once, and wait sets for many.
 *
 * A *wait* on some objects looks at each of them, and puts the thread into the lists of all while it sleeps: for up to
 * WAIT_ITEMS_MAXIMUM. A *wait set* is an object that remembers what is to be waited for: each entry is in the list of
 * its object all the time, and moves itself to the set's list of ready entries when it is notified. So waiting on a set
 * costs by what is ready, not by what is in it.
 *
 * What is waited for stays a grant: when the handle that it was named by is revoked, or one that this one was derived
 * from, a wait ends with STATUS_BAD_HANDLE, and an entry of a set says nothing any more.
 *
 * Locks: an entry is notified with its object's lock held and then takes the set's, which ranks above (LOCK_WAIT_SET);
 * for that reason there are no sets in sets. */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include "kernel/handle.h"
#include "kernel/platform.h"

/* The signals that are set now, a timer's included; when nothing is, *deadline becomes the time at which to look again,
 * if that is earlier. `wanted` are those that the caller will act on: an exclusive object's are cleared. */
uint32_t object_look(struct object *object, uint32_t wanted, uint64_t *deadline) REQUIRES(object->lock);

/* ---- A few objects ---- */
#define WAIT_ITEMS_MAXIMUM 64

struct wait_item {
    struct waiter waiter; /* the three that are not named by the caller: while the thread sleeps */
    struct thread *thread;
    bool listed;
    struct grant *grant; /* held by the caller */
    uint32_t wanted;     /* signals */
    uint32_t seen;       /* of these, those that were set */
};
/* Until one of the items has one of the wanted signals; at the latest until `deadline` (monotonic; 0: only look,
 * UINT64_MAX: no end). STATUS_OK and the number of items that were ready in *ready; STATUS_TIMED_OUT;
 * STATUS_BAD_HANDLE: a handle was revoked; STATUS_ENDING: the guest is to end, and thread_end_if_asked does it when the
 * caller has tidied up. */
enum status wait_many(struct wait_item *items, uint32_t count, uint64_t deadline, uint32_t *ready);

/* For those who have just looked themselves, and look again when it returns: sleep until one of the signals may have
 * been set, once. Statuses as above. */
enum status wait_change(struct grant *grant, uint32_t wanted, uint64_t deadline);

/* The same for a few (WAIT_CHANGES_MAXIMUM), and for one of the machine's streams to be readable unless `stream` is
 * NULL. */
#define WAIT_CHANGES_MAXIMUM 4
enum status wait_changes(struct wait_item *items, uint32_t count, const enum stream *stream, uint64_t deadline);

/* ---- Wait sets ---- */
#define WAIT_SET_ENTRIES_MAXIMUM (UINT32_C(1) << 20)

struct wait_record {
    uint64_t key; /* as given to wait_set_add */
    uint32_t entry;
    uint32_t signals; /* those wanted that are set */
};

/* An empty set; the reference is the caller's. Its signal is READABLE: there may be something ready in it. */
enum status wait_set_create(struct account *account, struct object **result);
/* Take notice of `signals` of what `source` grants, from now on. `key` is the program's. *entry names the entry for the
 * functions below. STATUS_INVALID for a set; STATUS_LIMIT, STATUS_NO_MEMORY, STATUS_BAD_HANDLE: it is revoked. */
enum status wait_set_add(struct object *set, struct grant *source, uint32_t signals, uint64_t key,
                         struct account *account, uint32_t *entry);
/* Other signals for the entry (0: none for the time being). STATUS_NOT_FOUND. */
enum status wait_set_change(struct object *set, uint32_t entry, uint32_t signals);
enum status wait_set_remove(struct object *set, uint32_t entry);
/* Wait until something in the set is ready, and say what: up to `maximum` records. What stays ready is there the next
 * time, too, behind others that are. As wait_many otherwise. */
enum status wait_set_wait(struct object *set, struct wait_record *records, uint32_t maximum, uint64_t deadline,
                          uint32_t *count);

#endif
