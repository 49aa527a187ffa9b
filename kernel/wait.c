/* Waiting for a few objects: kernel/wait.h. */
#include "kernel/wait.h"

#include "engine/base.h"
#include "kernel/hand_over.h"
#include "kernel/thread.h"
#include "kernel/timer.h"

uint32_t object_look(struct object *object, uint32_t wanted, uint64_t *deadline)
{
    if (object->type == OBJECT_TIMER) {
        timer_look(object, deadline);
    }
    uint32_t signals = object->signals;
    if (object->exclusive && (signals & wanted)) {
        object_signal_locked(object, wanted, 0);
    }
    return signals;
}

struct sleeper {
    struct waiter waiter;
    struct thread *thread;
    bool listed;
};

static bool wake_sleeper(struct waiter *waiter)
{
    return thread_wake(((struct sleeper *)waiter)->thread);
}

/* Look at one item; if it is not ready, get into its object's list. */
static enum status look_or_enlist(struct wait_item *item, struct sleeper *sleeper, bool enlist, uint64_t *deadline)
{
    struct object *object = item->grant->object;
    spinlock_acquire(&object->lock);
    bool revoked = item->grant->revoked;
    item->seen = revoked ? 0 : object_look(object, item->wanted, deadline) & item->wanted;
    if (!revoked && !item->seen && enlist) {
        sleeper->waiter.signals = item->wanted;
        object_add_waiter(object, &sleeper->waiter);
        sleeper->listed = true;
    }
    spinlock_release(&object->lock);
    return revoked ? STATUS_BAD_HANDLE : STATUS_OK;
}

/* Look at all. Nobody is enlisted after one that is ready. */
static enum status look_at_all(struct wait_item *items, struct sleeper *sleepers, uint32_t count, bool enlist,
                               uint64_t *deadline, uint32_t *ready)
{
    *ready = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum status status = look_or_enlist(&items[i], &sleepers[i], enlist && !*ready, deadline);
        if (status != STATUS_OK) {
            return status;
        }
        *ready += items[i].seen != 0;
    }
    return STATUS_OK;
}

static void leave_all(struct sleeper *sleepers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sleepers[i].listed) {
            struct object *object = sleepers[i].waiter.object;
            spinlock_acquire(&object->lock);
            object_remove_waiter(object, &sleepers[i].waiter);
            if (object->exclusive && (object->signals & sleepers[i].waiter.signals)) {
                object_notify_all(object); /* maybe it was this thread alone that knew of it */
            }
            spinlock_release(&object->lock);
            sleepers[i].listed = false;
        }
    }
}

static enum status wait_once(struct wait_item *items, struct sleeper *sleepers, uint32_t count,
                             const enum stream *stream, uint64_t deadline, uint32_t *ready)
{
    uint64_t next = UINT64_MAX;
    thread_wait_begin();
    if (stream) {
        thread_stream_enter(*stream);
    }
    enum status status = look_at_all(items, sleepers, count, true, &next, ready);
    enum wait_result result = WAIT_WOKEN;
    if (status != STATUS_OK || *ready) {
        thread_wait_cancel();
    } else {
        result = thread_wait_finish(min_u64(deadline, next));
    }
    if (stream) {
        thread_stream_leave();
    }
    leave_all(sleepers, count);
    return status == STATUS_OK && result == WAIT_ENDS ? STATUS_ENDING : status;
}

static bool is_over(uint64_t deadline)
{
    return deadline == 0 || (deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= deadline);
}

enum status wait_change(struct grant *grant, uint32_t wanted, uint64_t deadline)
{
    struct wait_item item = {.grant = grant, .wanted = wanted};
    struct sleeper sleeper = {.waiter.notify = wake_sleeper, .thread = thread_current()};
    uint32_t ready;
    return is_over(deadline) ? STATUS_TIMED_OUT : wait_once(&item, &sleeper, 1, NULL, deadline, &ready);
}

enum status wait_changes(struct wait_item *items, uint32_t count, const enum stream *stream, uint64_t deadline)
{
    struct sleeper sleepers[WAIT_CHANGES_MAXIMUM];
    uint32_t ready;
    for (uint32_t i = 0; i < count; i++) {
        sleepers[i] = (struct sleeper){.waiter.notify = wake_sleeper, .thread = thread_current()};
    }
    return is_over(deadline) ? STATUS_TIMED_OUT : wait_once(items, sleepers, count, stream, deadline, &ready);
}

/* As wait_many, for one item: it is looked at when its list is entered, and again when it is left. */
static enum status wait_single(struct wait_item *item, uint64_t deadline, uint32_t *ready)
{
    struct object *object = item->grant->object;
    struct sleeper sleeper = {.waiter.notify = wake_sleeper, .waiter.signals = item->wanted};
    enum wait_result result = WAIT_WOKEN;
    bool over = deadline == 0;
    for (;;) {
        uint64_t next = UINT64_MAX;
        spinlock_acquire(&object->lock);
        bool revoked = item->grant->revoked, ends = result == WAIT_ENDS;
        if (sleeper.listed) {
            object_remove_waiter(object, &sleeper.waiter);
        }
        item->seen = revoked || ends ? 0 : object_look(object, item->wanted, &next) & item->wanted;
        if ((revoked || ends) && sleeper.listed && object->exclusive && (object->signals & item->wanted)) {
            object_notify_all(object); /* maybe it was this thread alone that knew of it */
        }
        bool waits = !revoked && !ends && !item->seen && !over;
        if (waits) {
            sleeper.thread = thread_current();
            sleeper.listed = true;
            thread_wait_begin_here(sleeper.thread);
            object_add_waiter(object, &sleeper.waiter);
        }
        spinlock_release(&object->lock);
        if (!waits) {
            *ready = item->seen != 0;
            return revoked ? STATUS_BAD_HANDLE : ends ? STATUS_ENDING : item->seen ? STATUS_OK : STATUS_TIMED_OUT;
        }
        result = thread_wait_finish(min_u64(deadline, next));
        over = is_over(deadline);
    }
}

enum status wait_many(struct wait_item *items, uint32_t count, uint64_t deadline, uint32_t *ready)
{
    struct sleeper sleepers[WAIT_ITEMS_MAXIMUM];
    uint64_t next = UINT64_MAX;
    if (count == 1) {
        return wait_single(items, deadline, ready);
    }
    enum status status = look_at_all(items, sleepers, count, false, &next, ready);
    if (status != STATUS_OK || *ready) {
        return status;
    }
    struct thread *thread = thread_current();
    for (uint32_t i = 0; i < count; i++) {
        sleepers[i] = (struct sleeper){.waiter.notify = wake_sleeper, .thread = thread};
    }
    while (status == STATUS_OK && !*ready) {
        if (is_over(deadline)) {
            return STATUS_TIMED_OUT;
        }
        status = wait_once(items, sleepers, count, NULL, deadline, ready);
    }
    return status;
}
