/* Waiting: for a few objects and with sets, by several threads, with timers, revocation, and what a set of 10,000
 * costs.
 */
#include "engine/base.h"
#include "kernel/wait.h"

#include "kernel/account.h"
#include "kernel/event.h"
#include "kernel/heap.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MILLISECOND UINT64_C(1000000)
#define MANY        10000

static struct account *account;

static uint64_t now(void)
{
    return platform_monotonic_nanoseconds();
}

static struct grant *grant_of(struct object *object)
{
    struct grant *grant;
    CHECK(grant_create(object, RIGHTS_ALL, &grant) == STATUS_OK);
    object_release(object); /* the grant has its own */
    return grant;
}

static struct grant *new_event(bool exclusive)
{
    struct object *event;
    CHECK(event_create(account, exclusive, &event) == STATUS_OK);
    return grant_of(event);
}

static struct grant *new_timer(void)
{
    struct object *timer;
    CHECK(timer_object_create(account, &timer) == STATUS_OK);
    return grant_of(timer);
}

static enum status wait_for(struct grant *grant, uint64_t deadline)
{
    struct wait_item item = {.grant = grant, .wanted = SIGNAL_SIGNALED};
    uint32_t ready;
    enum status status = wait_many(&item, 1, deadline, &ready);
    CHECK(status != STATUS_OK || (ready == 1 && item.seen == SIGNAL_SIGNALED));
    return status;
}

/* ---- Threads that wait ---- */

struct sleeper {
    struct grant *grant;
    struct thread *thread;
    uint64_t deadline, over;
    enum status status;
    bool done;
};

static void sleep_in_thread(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->status = wait_for(sleeper->grant, sleeper->deadline);
    sleeper->over = now();
    sleeper->done = true;
}

static void start(struct sleeper *sleeper, struct grant *grant, uint64_t deadline)
{
    *sleeper = (struct sleeper){.grant = grant, .deadline = deadline};
    CHECK(thread_start(sleep_in_thread, sleeper, &sleeper->thread) == STATUS_OK);
}

static void pause_for(uint64_t milliseconds)
{
    thread_sleep_until(now() + milliseconds * MILLISECOND);
}

static void events(void)
{
    struct grant *event = new_event(false);
    CHECK(wait_for(event, 0) == STATUS_TIMED_OUT);
    uint64_t begin = now();
    CHECK(wait_for(event, begin + 20 * MILLISECOND) == STATUS_TIMED_OUT && now() >= begin + 20 * MILLISECOND);
    object_signal(event->object, 0, SIGNAL_SIGNALED);
    CHECK(wait_for(event, 0) == STATUS_OK && wait_for(event, UINT64_MAX) == STATUS_OK);
    object_signal(event->object, SIGNAL_SIGNALED, 0);
    struct sleeper sleepers[3];
    for (int i = 0; i < 3; i++)
        start(&sleepers[i], event, UINT64_MAX);
    pause_for(5);
    object_signal(event->object, 0, SIGNAL_SIGNALED);
    for (int i = 0; i < 3; i++) {
        thread_join(sleepers[i].thread);
        CHECK(sleepers[i].status == STATUS_OK);
    }
    CHECK(event->object->waiters_first == NULL);
    grant_drop(event);
}

static void exclusive(void)
{
    struct grant *event = new_event(true);
    struct sleeper sleepers[3];
    for (int i = 0; i < 3; i++)
        start(&sleepers[i], event, UINT64_MAX);
    for (int signals = 1; signals <= 3; signals++) {
        pause_for(5);
        object_signal(event->object, 0, SIGNAL_SIGNALED);
        pause_for(5);
        CHECK(sleepers[0].done + sleepers[1].done + sleepers[2].done == signals);
    }
    for (int i = 0; i < 3; i++)
        thread_join(sleepers[i].thread);
    object_signal(event->object, 0, SIGNAL_SIGNALED);
    CHECK(wait_for(event, 0) == STATUS_OK && wait_for(event, 0) == STATUS_TIMED_OUT);
    grant_drop(event);
}

static void several(void)
{
    struct wait_item items[WAIT_ITEMS_MAXIMUM];
    uint32_t ready;
    for (uint32_t i = 0; i < WAIT_ITEMS_MAXIMUM; i++)
        items[i] = (struct wait_item){.grant = new_event(false), .wanted = SIGNAL_SIGNALED};
    CHECK(wait_many(items, WAIT_ITEMS_MAXIMUM, now() + MILLISECOND, &ready) == STATUS_TIMED_OUT);
    object_signal(items[5].grant->object, 0, SIGNAL_SIGNALED);
    object_signal(items[63].grant->object, 0, SIGNAL_SIGNALED);
    items[63].wanted = SIGNAL_READABLE;
    CHECK(wait_many(items, WAIT_ITEMS_MAXIMUM, UINT64_MAX, &ready) == STATUS_OK && ready == 1 && items[5].seen);
    items[63].wanted = SIGNAL_READABLE | SIGNAL_SIGNALED;
    CHECK(wait_many(items, WAIT_ITEMS_MAXIMUM, 0, &ready) == STATUS_OK && ready == 2);
    CHECK(items[63].seen == SIGNAL_SIGNALED && items[0].seen == 0);
    CHECK(wait_many(items, 0, now() + MILLISECOND, &ready) == STATUS_TIMED_OUT);
    for (uint32_t i = 0; i < WAIT_ITEMS_MAXIMUM; i++) {
        CHECK(items[i].grant->object->waiters_first == NULL);
        grant_drop(items[i].grant);
    }
}

static void revoked(void)
{
    struct grant *event = new_event(false), *derived;
    struct sleeper sleeper;
    CHECK(grant_derive(event, RIGHTS_ALL, true, NULL, &derived) == STATUS_OK);
    start(&sleeper, derived, UINT64_MAX);
    pause_for(5);
    CHECK(!sleeper.done);
    grant_revoke(event);
    thread_join(sleeper.thread);
    CHECK(sleeper.status == STATUS_BAD_HANDLE && wait_for(derived, UINT64_MAX) == STATUS_BAD_HANDLE);
    grant_drop(derived);
    grant_drop(event);
}

static void timers(void)
{
    struct grant *timer = new_timer();
    struct sleeper sleeper;
    CHECK(wait_for(timer, now() + MILLISECOND) == STATUS_TIMED_OUT && timer_read(timer->object) == 0);
    uint64_t due = now() + 10 * MILLISECOND;
    timer_set(timer->object, due, 0);
    CHECK(wait_for(timer, 0) == STATUS_TIMED_OUT);
    CHECK(wait_for(timer, UINT64_MAX) == STATUS_OK && now() >= due);
    CHECK(wait_for(timer, 0) == STATUS_OK && timer_read(timer->object) == 1 && timer_read(timer->object) == 0);
    CHECK(wait_for(timer, 0) == STATUS_TIMED_OUT);
    timer_set(timer->object, now() - 7 * MILLISECOND, 2 * MILLISECOND);
    CHECK(timer_read(timer->object) >= 4 && wait_for(timer, UINT64_MAX) == STATUS_OK);
    CHECK(timer_read(timer->object) >= 1);
    timer_set(timer->object, now() + 1000000 * MILLISECOND, 0);
    start(&sleeper, timer, UINT64_MAX);
    pause_for(5);
    due = now() + 5 * MILLISECOND;
    timer_set(timer->object, due, 0); /* earlier, while somebody sleeps */
    thread_join(sleeper.thread);
    CHECK(sleeper.status == STATUS_OK && sleeper.over >= due && sleeper.over < due + 1000 * MILLISECOND);
    timer_set(timer->object, now() + MILLISECOND, 0);
    start(&sleeper, timer, now() + 20 * MILLISECOND);
    thread_yield();
    timer_set(timer->object, UINT64_MAX, 0); /* never after all */
    thread_join(sleeper.thread);
    CHECK(sleeper.status == STATUS_TIMED_OUT);
    timer_set(timer->object, 0, INT64_MAX); /* the next but one is beyond the end of time */
    CHECK(timer_read(timer->object) == 1 && timer_read(timer->object) == 0);
    grant_drop(timer);
}

/* ---- Sets ---- */

static uint32_t collect(struct object *set, struct wait_record *records, uint32_t maximum)
{
    uint32_t count;
    enum status status = wait_set_wait(set, records, maximum, 0, &count);
    CHECK(status == STATUS_OK ? count : status == STATUS_TIMED_OUT);
    return status == STATUS_OK ? count : 0;
}

static struct object *new_set(void)
{
    struct object *set;
    CHECK(wait_set_create(account, &set) == STATUS_OK);
    return set;
}

static void sets(void)
{
    struct object *set = new_set();
    struct grant *a = new_event(false), *b = new_event(true), *child;
    struct wait_record records[4];
    uint32_t entries[3];
    CHECK(collect(set, records, 4) == 0);
    CHECK(wait_set_add(set, a, SIGNAL_SIGNALED, 10, account, &entries[0]) == STATUS_OK);
    CHECK(wait_set_add(set, b, SIGNAL_SIGNALED, 20, account, &entries[1]) == STATUS_OK);
    CHECK(collect(set, records, 4) == 0 && !(object_signals(set) & SIGNAL_READABLE));
    object_signal(a->object, 0, SIGNAL_SIGNALED);
    object_signal(b->object, 0, SIGNAL_SIGNALED);
    CHECK(object_signals(set) & SIGNAL_READABLE);
    CHECK(collect(set, records, 4) == 2 && records[0].key == 10 && records[0].entry == entries[0]);
    CHECK(records[1].key == 20 && records[1].signals == SIGNAL_SIGNALED);
    CHECK(collect(set, records, 4) == 1 && records[0].key == 10); /* seeing b cleared it; a stays */
    CHECK(wait_set_change(set, entries[0], 0) == STATUS_OK && collect(set, records, 4) == 0);
    CHECK(wait_set_change(set, entries[0], SIGNAL_SIGNALED) == STATUS_OK && collect(set, records, 4) == 1);
    CHECK(wait_set_remove(set, entries[0]) == STATUS_OK && collect(set, records, 4) == 0);
    CHECK(wait_set_remove(set, entries[0]) == STATUS_NOT_FOUND && wait_set_remove(set, 77777) == STATUS_NOT_FOUND);
    CHECK(wait_set_change(set, entries[0], 0) == STATUS_NOT_FOUND);
    /* What comes of a handle that is revoked later. */
    CHECK(grant_derive(a, RIGHTS_ALL, true, NULL, &child) == STATUS_OK);
    CHECK(wait_set_add(set, child, SIGNAL_SIGNALED, 30, account, &entries[2]) == STATUS_OK);
    grant_drop(child);
    CHECK(collect(set, records, 4) == 1 && records[0].key == 30);
    grant_revoke(a);
    CHECK(collect(set, records, 4) == 0);
    struct grant *other = grant_of(new_set());
    CHECK(wait_set_add(set, other, SIGNAL_READABLE, 0, account, &entries[0]) == STATUS_INVALID);
    grant_drop(other);
    grant_drop(a);
    grant_drop(b);
    object_release(set);
}

static struct object *shared_set;
static uint64_t set_keys;

static void wait_in_thread(void *argument)
{
    struct wait_record record;
    uint32_t count;
    (void)argument;
    CHECK(wait_set_wait(shared_set, &record, 1, UINT64_MAX, &count) == STATUS_OK && count == 1);
    set_keys += record.key;
}

static void set_threads(void)
{
    struct grant *event = new_event(true), *timer = new_timer();
    struct thread *threads[2];
    uint32_t entry;
    shared_set = new_set();
    set_keys = 0;
    CHECK(wait_set_add(shared_set, event, SIGNAL_SIGNALED, 1, account, &entry) == STATUS_OK);
    CHECK(wait_set_add(shared_set, timer, SIGNAL_SIGNALED, 100, account, &entry) == STATUS_OK);
    for (int i = 0; i < 2; i++)
        CHECK(thread_start(wait_in_thread, NULL, &threads[i]) == STATUS_OK);
    pause_for(5);
    object_signal(event->object, 0, SIGNAL_SIGNALED);
    pause_for(5);
    CHECK(set_keys == 1);
    timer_set(timer->object, now() + 5 * MILLISECOND, 0); /* one sleeps without a deadline meanwhile */
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
    CHECK(set_keys == 101);
    grant_drop(event);
    grant_drop(timer);
    object_release(shared_set);
}

/* Two events and a timer in 10,000: the time of looking does not depend on the others. */
static void many(void)
{
    static struct grant *grants[MANY];
    struct object *set = new_set();
    struct wait_record records[8];
    uint32_t entry, found = 0;
    uint64_t nanoseconds[2];
    for (uint32_t i = 0; i < MANY; i++) {
        grants[i] = i % 2 ? new_event(false) : new_timer();
        if (i % 2 == 0)
            timer_set(grants[i]->object, now() + 3600000 * MILLISECOND + i, 0);
        CHECK(wait_set_add(set, grants[i], SIGNAL_SIGNALED, i, account, &entry) == STATUS_OK);
        if (i == 99 || i == MANY - 1) {
            while (collect(set, records, 8)) /* all have been looked at once */
                ;
            uint64_t *least = &nanoseconds[i != 99]; /* of many rounds: what else the machine does is not in it */
            *least = UINT64_MAX;
            for (uint32_t round = 0; round < 200; round++) {
                uint64_t begin = now();
                object_signal(grants[1]->object, 0, SIGNAL_SIGNALED);
                found += collect(set, records, 8);
                object_signal(grants[1]->object, SIGNAL_SIGNALED, 0);
                found += collect(set, records, 8);
                *least = min_u64(*least, now() - begin);
            }
        }
    }
    CHECK(found == 400);
    timer_set(grants[4000]->object, now() + MILLISECOND, 0);
    CHECK(wait_set_wait(set, records, 8, UINT64_MAX, &found) == STATUS_OK && found == 1 && records[0].key == 4000);
    printf("signal, look, clear, look: %llu ns with 100 in the set, %llu ns with %d\n",
           (unsigned long long)nanoseconds[0], (unsigned long long)nanoseconds[1], MANY);
    CHECK(nanoseconds[1] < 20 * nanoseconds[0] + 20000);
    for (uint32_t i = 0; i < MANY / 2; i++)
        grant_drop(grants[i]);
    object_release(set);
    for (uint32_t i = MANY / 2; i < MANY; i++)
        grant_drop(grants[i]);
}

/* ---- Many waiters of one object are notified in pieces ---- */

#define WIDE 1000

struct counting {
    struct waiter waiter;
    uint32_t notified;
    bool looks;
};

static bool count_notified(struct waiter *waiter)
{
    struct counting *counting = (struct counting *)waiter;
    counting->notified++;
    return counting->looks;
}

static uint32_t notified_of(const struct counting *waiters, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++)
        count += waiters[i].notified > 0;
    return count;
}

static void list_all(struct object *object, struct counting *waiters, uint32_t count, uint32_t signals)
    REQUIRES(object->lock)
{
    for (uint32_t i = 0; i < count; i++) {
        waiters[i] = (struct counting){.waiter = {.notify = count_notified, .signals = signals}};
        object_add_waiter(object, &waiters[i].waiter);
    }
}

static void leave_all(struct object *object, struct counting *waiters, uint32_t from, uint32_t to)
    REQUIRES(object->lock)
{
    for (uint32_t i = from; i < to; i++)
        object_remove_waiter(object, &waiters[i].waiter);
}

NO_LOCK_ANALYSIS static void wide(void)
{
    static struct counting waiters[WIDE + 1];
    struct grant *grant = new_event(false);
    struct object *event = grant->object;
    /* Some leave between two pieces, among them the first and the last that are still to be notified; one comes. */
    spinlock_acquire(&event->lock);
    list_all(event, waiters, WIDE, SIGNAL_SIGNALED);
    object_signal_begin(event, 0, SIGNAL_SIGNALED);
    uint32_t piece = notified_of(waiters, 0, WIDE);
    CHECK(piece > 0 && piece < WIDE / 2 && object_has_rest(event) && notified_of(waiters, 0, piece) == piece);
    leave_all(event, waiters, WIDE - 3, WIDE);
    leave_all(event, waiters, piece, piece + 2);
    leave_all(event, waiters, 0, 2);
    waiters[WIDE] = (struct counting){.waiter = {.notify = count_notified, .signals = SIGNAL_SIGNALED}};
    object_add_waiter(event, &waiters[WIDE].waiter);
    spinlock_release(&event->lock);
    object_notify_rest(event);
    CHECK(!object_has_rest(event) && notified_of(waiters, 0, WIDE) == WIDE - 5);
    CHECK(waiters[WIDE].notified == 0 && waiters[2].notified == 1 && waiters[WIDE - 4].notified == 1);
    /* Others begin while there is a rest: all are notified for both. All that are left leave. */
    spinlock_acquire(&event->lock);
    leave_all(event, waiters, 2, piece);
    leave_all(event, waiters, piece + 2, WIDE - 3);
    leave_all(event, waiters, WIDE, WIDE + 1);
    CHECK(!event->waiters_first && !event->waiters_last);
    list_all(event, waiters, WIDE, SIGNAL_EXITED);
    object_notify_all_begin(event);
    object_signal_begin(event, SIGNAL_SIGNALED, SIGNAL_EXITED);
    spinlock_release(&event->lock);
    object_notify_rest(event);
    spinlock_acquire(&event->lock);
    CHECK(notified_of(waiters, 0, WIDE) == WIDE && !object_has_rest(event));
    leave_all(event, waiters, 0, WIDE);
    /* The one who looks at an exclusive object's signal may be behind many who do not. */
    event->exclusive = true;
    list_all(event, waiters, WIDE, SIGNAL_SIGNALED);
    waiters[WIDE / 2].looks = waiters[WIDE - 1].looks = true;
    object_signal_begin(event, SIGNAL_EXITED, SIGNAL_SIGNALED);
    spinlock_release(&event->lock);
    object_notify_rest(event);
    spinlock_acquire(&event->lock);
    CHECK(notified_of(waiters, 0, WIDE) == WIDE / 2 + 1 && !object_has_rest(event));
    /* Who does not go on in pieces leaves no rest. */
    object_signal_locked(event, SIGNAL_SIGNALED, 0);
    event->exclusive = false;
    object_signal_locked(event, 0, SIGNAL_SIGNALED);
    CHECK(notified_of(waiters, 0, WIDE) == WIDE && !object_has_rest(event));
    object_signal_begin(event, SIGNAL_SIGNALED, 0);
    object_signal_begin(event, 0, SIGNAL_SIGNALED);
    leave_all(event, waiters, 0, WIDE);
    CHECK(!object_has_rest(event) && !event->waiters_first && !event->waiters_last);
    spinlock_release(&event->lock);
    grant_drop(grant);
}

static void limits(void)
{
    struct account *small = account_create(4096);
    struct object *set = NULL, *event = NULL;
    uint32_t entry, entries = 0, events_made = 0;
    static struct object *made[64];
    CHECK(wait_set_create(small, &set) == STATUS_OK && event_create(small, false, &event) == STATUS_OK);
    struct grant *grant = grant_of(event);
    while (wait_set_add(set, grant, SIGNAL_SIGNALED, 0, small, &entry) == STATUS_OK)
        entries++;
    CHECK(entries > 4 && entries < 32);
    while (events_made < 64 && event_create(small, false, &made[events_made]) == STATUS_OK)
        events_made++;
    CHECK(events_made < 32);
    account_release(small); /* what is charged to it keeps it */
    object_release(set);
    for (uint32_t i = 0; i < events_made; i++)
        object_release(made[i]);
    CHECK(small->state == grant->object->bytes);
    grant_drop(grant);
}

/* Entries for an event, all removed again. False: there is no more room. */
static bool fill_and_empty(struct object *set, struct grant *grant, struct account *payer)
{
    static uint32_t entries[100];
    uint32_t count = 0;
    while (count < 100 && wait_set_add(set, grant, SIGNAL_SIGNALED, 0, payer, &entries[count]) == STATUS_OK)
        count++;
    for (uint32_t i = 0; i < count; i++)
        CHECK(wait_set_remove(set, entries[i]) == STATUS_OK);
    return count == 100;
}

/* A set that had many entries is as large as those were, without them, too. */
static void empty_sets(void)
{
    struct account *small = account_create(65536);
    static struct object *made[200];
    uint32_t count = 0;
    struct grant *grant = new_event(false);
    while (count < 200 && wait_set_create(small, &made[count]) == STATUS_OK)
        if (!fill_and_empty(made[count++], grant, small))
            break;
    CHECK(count > 8 && count < 50);
    while (count)
        object_release(made[--count]);
    CHECK(account_used(small) == 0);
    account_release(small);
    grant_drop(grant);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct heap_statistics heap[2];
    guest_initialize(argv);
    for (int round = 0; round < 2; round++) {
        account = account_create(UINT64_C(64) << 20);
        events();
        exclusive();
        several();
        revoked();
        timers();
        sets();
        set_threads();
        many();
        wide();
        limits();
        empty_sets();
        CHECK(account->state == ACCOUNT_OWNED);
        account_release(account);
        for (enum object_type type = OBJECT_EVENT; type <= OBJECT_WAIT_SET; type++)
            CHECK(object_count(type) == 0);
        kernel_heap_trim();
        kernel_heap_statistics(&heap[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    return checks_report();
}
