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

static bool wake_sleeper(struct waiter *waiter)
{
    return thread_wake(((struct wait_item *)waiter)->thread);
}

/* Look at one item; if it is not ready, get into its object's list. */
static enum status look_or_enlist(struct wait_item *item, bool enlist, uint64_t *deadline)
{
    struct object *object = item->grant->object;
    spinlock_acquire(&object->lock);
    bool revoked = item->grant->revoked;
    item->seen = revoked ? 0 : object_look(object, item->wanted, deadline) & item->wanted;
    if (!revoked && !item->seen && enlist) {
        item->waiter = (struct waiter){.notify = wake_sleeper, .signals = item->wanted};
        item->thread = thread_current();
        object_add_waiter(object, &item->waiter);
        item->listed = true;
    }
    spinlock_release(&object->lock);
    return revoked ? STATUS_BAD_HANDLE : STATUS_OK;
}

/* Look at all. Nobody is enlisted after one that is ready. */
static enum status look_at_all(struct wait_item *items, uint32_t count, bool enlist, uint64_t *deadline,
                               uint32_t *ready)
{
    *ready = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum status status = look_or_enlist(&items[i], enlist && !*ready, deadline);
        if (status != STATUS_OK) {
            return status;
        }
        *ready += items[i].seen != 0;
    }
    return STATUS_OK;
}

static void leave_all(struct wait_item *items, uint32_t count)
{
    for (struct wait_item *item = items; item < items + count; item++) {
        if (item->listed) {
            struct object *object = item->waiter.object;
            spinlock_acquire(&object->lock);
            object_remove_waiter(object, &item->waiter);
            if (object->exclusive && (object->signals & item->waiter.signals)) {
                object_notify_all(object); /* maybe it was this thread alone that knew of it */
            }
            spinlock_release(&object->lock);
            item->listed = false;
        }
    }
}

static enum status wait_once(struct wait_item *items, uint32_t count, const enum stream *stream,
                             uint64_t deadline, uint32_t *ready)
{
    uint64_t next = UINT64_MAX;
    thread_wait_begin();
    if (stream) {
        thread_stream_enter(*stream);
    }
    enum status status = look_at_all(items, count, true, &next, ready);
    enum wait_result result = WAIT_WOKEN;
    if (status != STATUS_OK || *ready) {
        thread_wait_cancel();
    } else {
        result = thread_wait_finish(min_u64(deadline, next));
    }
    if (stream) {
        thread_stream_leave();
    }
    leave_all(items, count);
    return status == STATUS_OK && result == WAIT_ENDS ? STATUS_ENDING : status;
}

static bool is_over(uint64_t deadline)
{
    return deadline == 0 || (deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= deadline);
}

enum status wait_change(struct grant *grant, uint32_t wanted, uint64_t deadline)
{
    struct wait_item item = {.grant = grant, .wanted = wanted};
    uint32_t ready;
    return is_over(deadline) ? STATUS_TIMED_OUT : wait_once(&item, 1, NULL, deadline, &ready);
}

enum status wait_changes(struct wait_item *items, uint32_t count, const enum stream *stream, uint64_t deadline)
{
    uint32_t ready;
    for (uint32_t i = 0; i < count; i++) {
        items[i].listed = false;
    }
    return is_over(deadline) ? STATUS_TIMED_OUT : wait_once(items, count, stream, deadline, &ready);
}

/* As wait_many, for one item: it is looked at when its list is entered, and again when it is left. */
static enum status wait_single(struct wait_item *item, uint64_t deadline, uint32_t *ready)
{
    struct object *object = item->grant->object;
    enum wait_result result = WAIT_WOKEN;
    bool over = deadline == 0;
    item->listed = false;
    for (;;) {
        uint64_t next = UINT64_MAX;
        spinlock_acquire(&object->lock);
        bool revoked = item->grant->revoked, ends = result == WAIT_ENDS;
        if (item->listed) {
            object_remove_waiter(object, &item->waiter);
        }
        item->seen = revoked || ends ? 0 : object_look(object, item->wanted, &next) & item->wanted;
        if ((revoked || ends) && item->listed && object->exclusive && (object->signals & item->wanted)) {
            object_notify_all(object); /* maybe it was this thread alone that knew of it */
        }
        bool waits = !revoked && !ends && !item->seen && !over;
        if (waits) {
            item->waiter = (struct waiter){.notify = wake_sleeper, .signals = item->wanted};
            item->thread = thread_current();
            item->listed = true;
            thread_wait_begin_here(item->thread);
            object_add_waiter(object, &item->waiter);
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
    uint64_t next = UINT64_MAX;
    if (count == 1) {
        return wait_single(items, deadline, ready);
    }
    for (uint32_t i = 0; i < count; i++) {
        items[i].listed = false;
    }
    enum status status = look_at_all(items, count, false, &next, ready);
    while (status == STATUS_OK && !*ready) {
        if (is_over(deadline)) {
            return STATUS_TIMED_OUT;
        }
        status = wait_once(items, count, NULL, deadline, ready);
    }
    return status;
}
