/* Channels that nobody can reach: all handles to them lie in messages, which wait at ends that nobody can reach either.
 * Reference counts do not see that. So messages with channels in them (carriers) are listed at the end where they wait,
 * and the ends that have any in one list, under a lock of their own (LOCK_CHANNELS, before any object's). Messages
 * without channels, which are nearly all, do not come by here.
 *
 * Collecting counts, for each end that is in a carrier, the handles to it that are elsewhere: in a table, or in the
 * hands of somebody who moves them. An end with such a handle is reached, and so are those in messages that wait at an
 * end that is. Ends that are not reached are drained, and close by themselves when the last handle is dropped. An end
 * that is not reached stays so, whatever the others do meanwhile: its handles come out of the carriers only with this
 * lock.
 *
 * It is done in pieces, with the lock open in between. What comes into a carrier or out of one meanwhile counts as
 * reached, with the end where that waits. So of an end that is not, nothing has moved: the handles to it lay in
 * carriers all the time, and those at ends that are not reached either; counted at whatever moment, it is the same. A
 * walk goes on where it was: who takes away what it would come to next, moves it on. What is added lies in front of it.
 */
#include "engine/base.h"
#include "kernel/channel_parts.h"
#include "kernel/thread.h"

#define COLLECT_LEAST 64 /* carriers, before a process's end makes it worth a look */

static struct spinlock lock = SPINLOCK(LOCK_CHANNELS);
static struct channel *holders GUARDED_BY(lock);
static uint32_t carrier_count;                    /* atomic for reading; changes with the lock */
static uint32_t collect_at = COLLECT_LEAST;       /* the same */
static bool collecting GUARDED_BY(lock);          /* one at a time: `work_next` is in use until all are drained */
static bool marking GUARDED_BY(lock);             /* whoever moves carriers says so */
static uint32_t collection GUARDED_BY(lock);      /* the number of the latest */
static struct channel *work GUARDED_BY(lock);     /* reached, each with a reference, and not gone through yet */
static struct channel *walk_end GUARDED_BY(lock); /* where the walk is; NULL: at its end, or it is at one end only */
static struct message *walk_message GUARDED_BY(lock); /* the next one there; NULL: none */

#define PIECE_STEPS 64 /* carriers, handles in them, and ends that are looked at with the lock held */

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

/* What is noted at an end while collecting begins anew each time. */
NO_LOCK_ANALYSIS static void begin_notes(struct channel *end)
{
    if (end->collection != collection) {
        end->collection = collection;
        end->outside = 0;
        end->inside = end->reached = false;
    }
}

NO_LOCK_ANALYSIS static void reach(struct channel *end)
{
    begin_notes(end);
    if (!end->reached) {
        end->reached = true;
        object_acquire(&end->object);
        end->work_next = work;
        work = end;
    }
}

/* Call `visit` for each channel to which the message has a working handle, once for each. */
static void visit_carried(const struct message *message, void (*visit)(struct channel *carried))
{
    for (uint32_t i = 0; i < message->handle_count; i++) {
        struct grant *grant = message->grants[i];
        if (grant->object->type == OBJECT_CHANNEL && !grant_is_revoked(grant)) {
            visit((struct channel *)grant->object);
        }
    }
}

/* A carrier comes to an end, or goes. */
NO_LOCK_ANALYSIS static void note_move(struct channel *end, const struct message *message)
{
    if (marking) {
        reach(end);
        visit_carried(message, reach);
    }
}

NO_LOCK_ANALYSIS void channels_carry(struct channel *end, struct message *message)
{
    note_move(end, message);
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
    if (walk_end == end) {
        walk_end = end->holder_next;
        walk_message = walk_end ? walk_end->carriers : NULL;
    }
    if (end->holder_previous) {
        end->holder_previous->holder_next = end->holder_next;
    } else {
        holders = end->holder_next;
    }
    if (end->holder_next) {
        end->holder_next->holder_previous = end->holder_previous;
    }
}

NO_LOCK_ANALYSIS void channels_carry_no_more(struct channel *end, struct message *message)
{
    note_move(end, message);
    walk_message = walk_message == message ? message->carrier_next : walk_message;
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

/* ---- Collecting ---- */

/* After so many steps others may have the lock, and run. */
static void step(uint32_t *steps, uint32_t more) REQUIRES(lock)
{
    *steps += more;
    if (*steps >= PIECE_STEPS) {
        *steps = 0;
        spinlock_release(&lock);
        thread_preemption_point();
        spinlock_acquire(&lock);
    }
}

/* The carriers from walk_message on. */
static void walk_carriers(void (*visit)(struct channel *carried), uint32_t *steps) REQUIRES(lock)
{
    while (walk_message) {
        const struct message *message = walk_message;
        walk_message = message->carrier_next;
        visit_carried(message, visit);
        step(steps, 1 + message->handle_count);
    }
}

/* All carriers. */
static void walk(void (*visit)(struct channel *carried)) REQUIRES(lock)
{
    uint32_t steps = 0;
    walk_end = holders;
    walk_message = holders ? holders->carriers : NULL;
    while (walk_end) {
        walk_carriers(visit, &steps);
        if (walk_end) { /* it may be another one by now, with carriers left */
            walk_end = walk_message ? walk_end : walk_end->holder_next;
            walk_message = walk_message ? walk_message : walk_end ? walk_end->carriers : NULL;
        }
    }
}

/* All ends with carriers. */
static void walk_holders(void (*visit)(struct channel *end)) REQUIRES(lock)
{
    uint32_t steps = 0;
    walk_end = holders;
    while (walk_end) {
        struct channel *end = walk_end;
        walk_end = end->holder_next;
        visit(end);
        step(&steps, 1);
    }
    walk_message = NULL;
}

NO_LOCK_ANALYSIS static void count_all_handles(struct channel *carried)
{
    begin_notes(carried);
    spinlock_acquire(&carried->object.lock);
    carried->outside = carried->object.handle_count;
    spinlock_release(&carried->object.lock);
    carried->inside = true;
}

static void count_one_less(struct channel *carried)
{
    carried->outside -= carried->outside > 0;
}

static void reach_if_outside(struct channel *end)
{
    begin_notes(end);
    if (!end->inside || end->outside) {
        reach(end);
    }
}

static void mark(void) REQUIRES(lock)
{
    uint32_t steps = 0;
    collection++;
    marking = true;
    walk(count_all_handles);
    walk(count_one_less);
    walk_holders(reach_if_outside);
    while (work) {
        struct channel *end = work;
        work = end->work_next;
        walk_message = end->carriers;
        walk_carriers(reach, &steps);
        spinlock_release(&lock);
        object_release(&end->object);
        spinlock_acquire(&lock);
        step(&steps, 1);
    }
    marking = false;
}

static struct channel *lost GUARDED_BY(lock); /* each with a reference */

NO_LOCK_ANALYSIS static void note_lost(struct channel *end)
{
    if (end->collection == collection && !end->reached) { /* those that came later are not even noted */
        object_acquire(&end->object);
        end->work_next = lost;
        lost = end;
    }
}

void channel_collect(void)
{
    spinlock_acquire(&lock);
    if (collecting) {
        spinlock_release(&lock);
        return;
    }
    collecting = true;
    mark();
    walk_holders(note_lost);
    uint64_t twice = 2 * (uint64_t)__atomic_load_n(&carrier_count, __ATOMIC_RELAXED);
    __atomic_store_n(&collect_at, (uint32_t)max_u64(COLLECT_LEAST, twice), __ATOMIC_RELAXED);
    while (lost) {
        struct channel *end = lost;
        lost = end->work_next;
        spinlock_release(&lock);
        channel_drain(end, false);
        object_release(&end->object);
        spinlock_acquire(&lock);
    }
    collecting = false;
    spinlock_release(&lock);
}

void channel_collect_if_due(void)
{
    if (__atomic_load_n(&carrier_count, __ATOMIC_RELAXED) >= __atomic_load_n(&collect_at, __ATOMIC_RELAXED)) {
        channel_collect();
    }
}
