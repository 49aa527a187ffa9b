/* Wait sets: kernel/wait.h.
 *
 * An entry is listed with its object from wait_set_add until it is removed. It is in the set's ready list when somebody
 * has to look at it: after it was notified, and as long as its signals stay set. An entry for a timer whose time has
 * not come is in the set's queue of times instead.
 *
 * Who collects takes an entry from the ready list, holding a reference, and looks at it without the set's lock, because
 * the object's comes first. Whether it goes back is decided with both locks held, so no notification is lost. Another
 * one may have looked at it meanwhile, because it was notified again: then it is where it belongs already. */
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/array.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/queue.h"
#include "kernel/thread.h"
#include "kernel/wait.h"

#define ENTRIES_FIRST 16
#define PIECE_ENTRIES 32 /* between two preemption points, or while a lock is held */

struct wait_entry {
    struct waiter waiter; /* in the object's list; `signals` are the wanted ones. The object's lock */
    struct wait_set *set;
    struct grant *grant; /* derived for the entry; holds the object */
    struct account *account;
    uint64_t key;
    uint32_t number;
    /* The set's lock from here on. */
    uint32_t references; /* the set's table, and those who look at it */
    bool removed;        /* it says nothing any more */
    bool ready, timed;   /* in `ready_first`'s list; in `times` */
    struct wait_entry *ready_next, *ready_previous;
    struct queue_node time;
};

/* Of an entry, by its number. Free: the next free one, in the upper half; in the lower half a bit that no pointer has.
 */
union entry_place {
    struct wait_entry *entry;
    uint64_t free;
};
#define PLACE_FREE  UINT64_C(1)
#define NO_PLACE    UINT32_MAX
#define PLACE_BYTES (WAIT_SET_ENTRIES_MAXIMUM * sizeof(union entry_place)) /* at the most */

struct wait_set {
    struct object object;      /* its lock, of rank LOCK_WAIT_SET, guards all of it */
    union entry_place *places; /* the set's account pays */
    uint32_t capacity;
    uint32_t fresh;      /* the first place that was never used; all behind it are zeros */
    uint32_t free_first; /* of the others; NO_PLACE: none is free */
    struct wait_entry *ready_first, *ready_last;
    uint32_t ready_count;
    struct queue times; /* entries for timers, by deadline */
};

enum status wait_set_create(struct account *account, struct object **result)
{
    enum status status = object_allocate(OBJECT_WAIT_SET, sizeof(struct wait_set), account, 0, result);
    if (status == STATUS_OK) {
        spinlock_initialize(&(*result)->lock, LOCK_WAIT_SET);
        ((struct wait_set *)*result)->free_first = NO_PLACE;
    }
    return status;
}

/* ---- The ready list and the times ---- */

static void make_ready(struct wait_set *set, struct wait_entry *entry) REQUIRES(set->object.lock)
{
    if (entry->ready) {
        return;
    }
    if (entry->timed) {
        queue_remove(&set->times, &entry->time);
        entry->timed = false;
    }
    entry->ready = true;
    entry->ready_next = NULL;
    entry->ready_previous = set->ready_last;
    if (set->ready_last) {
        set->ready_last->ready_next = entry;
    } else {
        set->ready_first = entry;
    }
    set->ready_last = entry;
    set->ready_count++;
    object_signal_locked(&set->object, 0, SIGNAL_READABLE);
}

static void make_unready(struct wait_set *set, struct wait_entry *entry) REQUIRES(set->object.lock)
{
    if (entry->timed) {
        queue_remove(&set->times, &entry->time);
        entry->timed = false;
    }
    if (!entry->ready) {
        return;
    }
    if (entry->ready_previous) {
        entry->ready_previous->ready_next = entry->ready_next;
    } else {
        set->ready_first = entry->ready_next;
    }
    if (entry->ready_next) {
        entry->ready_next->ready_previous = entry->ready_previous;
    } else {
        set->ready_last = entry->ready_previous;
    }
    entry->ready = false;
    set->ready_count--;
    if (!set->ready_first) {
        object_signal_locked(&set->object, SIGNAL_READABLE, 0);
    }
}

/* Nobody need be waiting for the set, so of an exclusive object others are notified, too. */
static bool notify_entry(struct waiter *waiter)
{
    struct wait_entry *entry = (struct wait_entry *)waiter;
    struct wait_set *set = entry->set;
    spinlock_acquire(&set->object.lock);
    if (!entry->removed) {
        make_ready(set, entry);
    }
    spinlock_release(&set->object.lock);
    return false;
}

/* ---- Entries ---- */

static void entry_release(struct wait_set *set, struct wait_entry *entry)
{
    spinlock_acquire(&set->object.lock);
    bool last = --entry->references == 0;
    spinlock_release(&set->object.lock);
    if (last) {
        struct account *account = entry->account;
        grant_drop(entry->grant);
        kernel_free(entry, sizeof(*entry));
        account_credit(account, sizeof(*entry) + sizeof(struct grant));
    }
}

static enum status grow(struct wait_set *set) REQUIRES(set->object.lock)
{
    uint32_t capacity = set->capacity ? 2 * set->capacity : ENTRIES_FIRST;
    if (capacity > WAIT_SET_ENTRIES_MAXIMUM) {
        return STATUS_LIMIT;
    }
    uint64_t more = (capacity - set->capacity) * sizeof(union entry_place);
    if (!account_charge(set->object.account, more)) {
        return STATUS_LIMIT;
    }
    union entry_place *places =
        array_grow(set->places, set->capacity * sizeof(*places), capacity * sizeof(*places), PLACE_BYTES);
    if (!places) {
        account_credit(set->object.account, more);
        return STATUS_NO_MEMORY;
    }
    set->places = places;
    set->capacity = capacity;
    return STATUS_OK;
}

/* A number for the entry, under which it is found from now on. */
static enum status enter(struct wait_set *set, struct wait_entry *entry)
{
    enum status status = STATUS_OK;
    spinlock_acquire(&set->object.lock);
    if (set->free_first == NO_PLACE && set->fresh == set->capacity) {
        status = grow(set);
    }
    if (status == STATUS_OK) {
        entry->number = set->free_first;
        if (entry->number == NO_PLACE) {
            entry->number = set->fresh++;
        } else {
            set->free_first = (uint32_t)(set->places[entry->number].free >> 32);
        }
        set->places[entry->number].entry = entry;
    }
    spinlock_release(&set->object.lock);
    return status;
}

/* Find an entry and hold it; `take` removes it from the table, whose reference the caller then has. */
static struct wait_entry *entry_find(struct wait_set *set, uint32_t number, bool take)
{
    struct wait_entry *entry = NULL;
    spinlock_acquire(&set->object.lock);
    if (number < set->fresh && !(set->places[number].free & PLACE_FREE)) {
        entry = set->places[number].entry;
        if (take) {
            set->places[number].free = (uint64_t)set->free_first << 32 | PLACE_FREE;
            set->free_first = number;
            entry->removed = true;
            make_unready(set, entry);
        } else {
            entry->references++;
        }
    }
    spinlock_release(&set->object.lock);
    return entry;
}

static void entry_end(struct wait_set *set, struct wait_entry *entry)
{
    struct object *object = entry->grant->object;
    spinlock_acquire(&object->lock);
    object_remove_waiter(object, &entry->waiter);
    if (object->exclusive && (object->signals & entry->waiter.signals)) {
        object_notify_all(object);
    }
    spinlock_release(&object->lock);
    entry_release(set, entry);
}

static enum status entry_create(struct wait_set *set, struct grant *source, uint32_t signals, uint64_t key,
                                struct account *account, struct wait_entry **result)
{
    struct wait_entry *entry = kernel_allocate_zeroed(sizeof(*entry));
    if (!entry) {
        return STATUS_NO_MEMORY;
    }
    enum status status = grant_derive(source, 0, false, NULL, &entry->grant);
    if (status != STATUS_OK) {
        kernel_free(entry, sizeof(*entry));
        return status;
    }
    entry->waiter.notify = notify_entry;
    entry->waiter.signals = signals;
    entry->set = set;
    entry->account = account;
    entry->key = key;
    entry->references = 1;
    *result = entry;
    return STATUS_OK;
}

/* Listed with its object, it is to be looked at a first time. */
static void entry_begin(struct wait_entry *entry)
{
    struct object *object = entry->grant->object;
    spinlock_acquire(&object->lock);
    object_add_waiter(object, &entry->waiter);
    notify_entry(&entry->waiter);
    spinlock_release(&object->lock);
}

enum status wait_set_add(struct object *object, struct grant *source, uint32_t signals, uint64_t key,
                         struct account *account, uint32_t *number)
{
    struct wait_set *set = (struct wait_set *)object;
    struct wait_entry *entry;
    if (source->object->type == OBJECT_WAIT_SET) {
        return STATUS_INVALID;
    }
    if (!account_charge(account, sizeof(*entry) + sizeof(struct grant))) {
        return STATUS_LIMIT;
    }
    enum status status = entry_create(set, source, signals, key, account, &entry);
    if (status == STATUS_OK) {
        entry_begin(entry);
        status = enter(set, entry);
        *number = entry->number;
        if (status != STATUS_OK) {
            spinlock_acquire(&set->object.lock);
            entry->removed = true;
            make_unready(set, entry);
            spinlock_release(&set->object.lock);
            entry_end(set, entry);
        }
    } else {
        account_credit(account, sizeof(*entry) + sizeof(struct grant));
    }
    return status;
}

enum status wait_set_change(struct object *object, uint32_t number, uint32_t signals)
{
    struct wait_set *set = (struct wait_set *)object;
    struct wait_entry *entry = entry_find(set, number, false);
    if (!entry) {
        return STATUS_NOT_FOUND;
    }
    struct object *waited = entry->grant->object;
    spinlock_acquire(&waited->lock);
    entry->waiter.signals = signals;
    notify_entry(&entry->waiter);
    spinlock_release(&waited->lock);
    entry_release(set, entry);
    return STATUS_OK;
}

enum status wait_set_remove(struct object *object, uint32_t number)
{
    struct wait_set *set = (struct wait_set *)object;
    struct wait_entry *entry = entry_find(set, number, true);
    if (!entry) {
        return STATUS_NOT_FOUND;
    }
    entry_end(set, entry);
    return STATUS_OK;
}

/* ---- Waiting ---- */

/* The next entry that is to be looked at, held; NULL: none. Those whose time has come are. */
static struct wait_entry *take_ready(struct wait_set *set)
{
    spinlock_acquire(&set->object.lock);
    struct wait_entry *entry = set->ready_first;
    if (entry) {
        make_unready(set, entry);
        entry->references++;
    }
    spinlock_release(&set->object.lock);
    return entry;
}

/* Those whose time has come are to be looked at; a piece of them. False: that was all. */
static bool gather_piece(struct wait_set *set, uint32_t *count)
{
    spinlock_acquire(&set->object.lock);
    uint64_t now = set->times.first ? platform_monotonic_nanoseconds() : 0;
    uint32_t taken = 0;
    while (set->times.first && set->times.first->key <= now && taken++ < PIECE_ENTRIES) {
        make_ready(set, (struct wait_entry *)((uint8_t *)set->times.first - offsetof(struct wait_entry, time)));
    }
    *count = set->ready_count;
    spinlock_release(&set->object.lock);
    return taken > PIECE_ENTRIES;
}

/* How many there are to be looked at. */
static uint32_t gather_ready(struct wait_set *set)
{
    uint32_t count;
    while (gather_piece(set, &count)) {
        thread_preemption_point();
    }
    return count;
}

/* True: the record says what is set. */
static bool look_at(struct wait_set *set, struct wait_entry *entry, struct wait_record *record)
{
    struct object *object = entry->grant->object;
    uint64_t deadline = UINT64_MAX;
    spinlock_acquire(&object->lock);
    uint32_t wanted = entry->grant->revoked ? 0 : entry->waiter.signals;
    uint32_t seen = wanted ? object_look(object, wanted, &deadline) & wanted : 0;
    spinlock_acquire(&set->object.lock);
    if (entry->removed) {
        seen = 0;
    } else if (seen && !object->exclusive) {
        make_ready(set, entry);
    } else if (wanted && !seen && deadline != UINT64_MAX && !entry->ready && !entry->timed) {
        queue_insert(&set->times, &entry->time, deadline);
        entry->timed = true;
        if (set->times.first == &entry->time) { /* who sleeps does not know of it; the caller may not wait so long */
            object_notify_all(&set->object);
        }
    }
    spinlock_release(&set->object.lock);
    spinlock_release(&object->lock);
    *record = (struct wait_record){entry->key, entry->number, seen};
    return seen != 0;
}

static uint32_t collect(struct wait_set *set, struct wait_record *records, uint32_t maximum)
{
    uint32_t count = 0;
    for (uint32_t left = gather_ready(set); left && count < maximum; left--) {
        struct wait_entry *entry = take_ready(set);
        if (!entry) {
            break;
        }
        count += look_at(set, entry, &records[count]);
        entry_release(set, entry);
        if (left % PIECE_ENTRIES == 0) { /* most may say nothing any more */
            thread_preemption_point();
        }
    }
    return count;
}

struct sleeper {
    struct waiter waiter;
    struct thread *thread;
};

static bool wake_sleeper(struct waiter *waiter)
{
    return thread_wake(((struct sleeper *)waiter)->thread);
}

/* Sleep until there is something to look at, or until `deadline`. */
static enum wait_result sleep_on(struct wait_set *set, uint64_t deadline)
{
    struct sleeper sleeper = {.waiter = {.signals = SIGNAL_READABLE, .notify = wake_sleeper},
                              .thread = thread_current()};
    enum wait_result result = WAIT_WOKEN;
    thread_wait_begin();
    spinlock_acquire(&set->object.lock);
    bool ready = set->ready_first != NULL;
    uint64_t next = set->times.first ? set->times.first->key : UINT64_MAX;
    if (!ready) {
        object_add_waiter(&set->object, &sleeper.waiter);
    }
    spinlock_release(&set->object.lock);
    if (ready) {
        thread_wait_cancel();
        return result;
    }
    result = thread_wait_finish(min_u64(deadline, next));
    spinlock_acquire(&set->object.lock);
    object_remove_waiter(&set->object, &sleeper.waiter);
    spinlock_release(&set->object.lock);
    return result;
}

enum status wait_set_wait(struct object *object, struct wait_record *records, uint32_t maximum, uint64_t deadline,
                          uint32_t *count)
{
    struct wait_set *set = (struct wait_set *)object;
    for (;;) {
        *count = collect(set, records, maximum);
        if (*count || !maximum) {
            return STATUS_OK;
        }
        if (deadline == 0 || (deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= deadline)) {
            return STATUS_TIMED_OUT;
        }
        if (sleep_on(set, deadline) == WAIT_ENDS) {
            return STATUS_ENDING;
        }
    }
}

/* ---- The end ---- */

void wait_set_object_closed(struct object *object)
{
    (void)object;
}

void wait_set_object_destroy(struct object *object)
{
    struct wait_set *set = (struct wait_set *)object;
    for (uint32_t i = 0; i < set->fresh; i++) {
        struct wait_entry *entry = entry_find(set, i, true);
        if (entry) {
            entry_end(set, entry);
        }
        if (i % PIECE_ENTRIES == 0) {
            thread_preemption_point();
        }
    }
    array_free(set->places, set->capacity * sizeof(*set->places), PLACE_BYTES);
    account_credit(object->account, set->capacity * sizeof(*set->places));
    object_free(object);
}
