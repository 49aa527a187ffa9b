/* Channels that nobody can reach: all handles to them lie in messages, which wait at ends that nobody can reach either.
 * Reference counts do not see that. So messages with channels in them (carriers) are listed at the end where they wait,
 * and the ends that have any in one list, under a lock of their own (LOCK_CHANNELS, before any object's). Messages
 * without channels, which are nearly all, do not come by here.
 *
 * Collecting counts, for each end that is in a carrier, the handles to it that are elsewhere: in a table, or in the
 * hands of somebody who moves them. An end with such a handle is reached, and so are those in messages that wait at an
 * end that is. Ends that are not reached are drained, and close by themselves when the last handle is dropped. An end
 * that is not reached stays so, whatever the others do meanwhile: its handles come out of the carriers only with this
 * lock. */
#include "engine/base.h"
#include "kernel/channel_parts.h"

#define COLLECT_LEAST 64 /* carriers, before a process's end makes it worth a look */

static struct spinlock lock = SPINLOCK(LOCK_CHANNELS);
static struct channel *holders GUARDED_BY(lock);
static uint32_t carrier_count; /* atomic for reading; changes with the lock */
static uint32_t collect_at = COLLECT_LEAST;
static bool collecting GUARDED_BY(lock); /* one at a time: `work_next` is in use until all are drained */

NO_LOCK_ANALYSIS void channels_lock(void)
{
    spinlock_acquire(&lock);
}

NO_LOCK_ANALYSIS bool channels_lock_for(const struct message *message)
{
    bool carrier = message_is_carrier(message);
    if (carrier) {
        spinlock_acquire(&lock);
    }
    return carrier;
}

NO_LOCK_ANALYSIS void channels_unlock(bool locked)
{
    if (locked) {
        spinlock_release(&lock);
    }
}

bool message_is_carrier(const struct message *message)
{
    for (uint32_t i = 0; i < message->handle_count; i++) {
        if (message->grants[i]->object->type == OBJECT_CHANNEL) {
            return true;
        }
    }
    return false;
}

static void count_carriers(int32_t change)
{
    __atomic_fetch_add(&carrier_count, (uint32_t)change, __ATOMIC_RELAXED);
}

NO_LOCK_ANALYSIS void channels_carry(struct channel *end, struct message *message)
{
    if (!end->carriers) {
        end->holder_previous = NULL;
        end->holder_next = holders;
        if (holders) {
            holders->holder_previous = end;
        }
        holders = end;
    }
    message->carrier_previous = NULL;
    message->carrier_next = end->carriers;
    if (end->carriers) {
        end->carriers->carrier_previous = message;
    }
    end->carriers = message;
    count_carriers(1);
}

NO_LOCK_ANALYSIS static void hold_nothing(struct channel *end)
{
    if (end->holder_previous) {
        end->holder_previous->holder_next = end->holder_next;
    } else {
        holders = end->holder_next;
    }
    if (end->holder_next) {
        end->holder_next->holder_previous = end->holder_previous;
    }
}

void channels_carry_no_more(struct channel *end, struct message *message)
{
    if (message->carrier_previous) {
        message->carrier_previous->carrier_next = message->carrier_next;
    } else {
        end->carriers = message->carrier_next;
    }
    if (message->carrier_next) {
        message->carrier_next->carrier_previous = message->carrier_previous;
    }
    count_carriers(-1);
    if (!end->carriers) {
        hold_nothing(end);
    }
}

void channels_carry_nothing(struct channel *end)
{
    while (end->carriers) {
        channels_carry_no_more(end, end->carriers);
    }
}

/* ---- Collecting ---- */

/* Call `visit` for each end that has a working handle in a carrier, once for each such handle. */
REQUIRES(lock)
static void visit_carried(const struct channel *end, void (*visit)(struct channel *carried, void *context),
                          void *context)
{
    for (struct message *message = end->carriers; message; message = message->carrier_next) {
        for (uint32_t i = 0; i < message->handle_count; i++) {
            struct grant *grant = message->grants[i];
            if (grant->object->type == OBJECT_CHANNEL && !grant_is_revoked(grant)) {
                visit((struct channel *)grant->object, context);
            }
        }
    }
}

static void count_all_handles(struct channel *carried, void *context)
{
    (void)context;
    spinlock_acquire(&carried->object.lock);
    carried->outside = carried->object.handle_count;
    spinlock_release(&carried->object.lock);
    carried->inside = true;
    carried->reached = false;
}

static void count_one_less(struct channel *carried, void *context)
{
    (void)context;
    carried->outside -= carried->outside > 0;
}

static void reach(struct channel *end, struct channel **work)
{
    if (!end->reached) {
        end->reached = true;
        end->work_next = *work;
        *work = end;
    }
}

static void reach_carried(struct channel *carried, void *context)
{
    reach(carried, context);
}

REQUIRES(lock) static void mark(void)
{
    struct channel *work = NULL;
    for (struct channel *end = holders; end; end = end->holder_next) {
        end->inside = end->reached = false;
    }
    for (struct channel *end = holders; end; end = end->holder_next) {
        visit_carried(end, count_all_handles, NULL);
    }
    for (struct channel *end = holders; end; end = end->holder_next) {
        visit_carried(end, count_one_less, NULL);
    }
    for (struct channel *end = holders; end; end = end->holder_next) {
        if (!end->inside || end->outside) {
            reach(end, &work);
        }
    }
    while (work) {
        struct channel *end = work;
        work = end->work_next;
        visit_carried(end, reach_carried, &work);
    }
}

void channel_collect(void)
{
    struct channel *lost = NULL;
    spinlock_acquire(&lock);
    if (collecting) {
        spinlock_release(&lock);
        return;
    }
    collecting = true;
    mark();
    for (struct channel *end = holders; end; end = end->holder_next) {
        if (!end->reached) {
            object_acquire(&end->object);
            end->work_next = lost;
            lost = end;
        }
    }
    collect_at = (uint32_t)max_u64(COLLECT_LEAST, 2 * (uint64_t)carrier_count);
    spinlock_release(&lock);
    while (lost) {
        struct channel *next = lost->work_next;
        channel_drain(lost, false);
        object_release(&lost->object);
        lost = next;
    }
    spinlock_acquire(&lock);
    collecting = false;
    spinlock_release(&lock);
}

void channel_collect_if_due(void)
{
    if (__atomic_load_n(&carrier_count, __ATOMIC_RELAXED) >= __atomic_load_n(&collect_at, __ATOMIC_RELAXED)) {
        channel_collect();
    }
}
