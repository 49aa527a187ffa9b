/* An event for which very many entries of a wait set wait, more than are notified at once: signals from two CPUs while
 * entries come and go, handles are revoked and the set is collected. For the sanitizers above all. */
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/event.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MILLISECOND UINT64_C(1000000)
#define ENTRIES     600 /* of each that adds */

static struct account *account;
static struct grant *event;
static struct object *set;
static uint32_t stop; /* atomic */

static bool goes_on(void)
{
    thread_checkpoint();
    return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void signal_often(void *argument)
{
    (void)argument;
    while (goes_on()) {
        if (object_signal_start(event->object, 0, SIGNAL_SIGNALED)) {
            object_notify_rest(event->object);
            object_release(event->object);
        }
        object_signal(event->object, SIGNAL_SIGNALED, 0);
    }
}

static void add_and_remove(void *argument)
{
    uint32_t *entries = argument, next = 0;
    for (uint32_t i = 0; i < ENTRIES; i++)
        CHECK(wait_set_add(set, event, SIGNAL_SIGNALED, 1, account, &entries[i]) == STATUS_OK);
    while (goes_on()) {
        uint32_t *entry = &entries[next = (next + 77) % ENTRIES];
        CHECK(wait_set_remove(set, *entry) == STATUS_OK);
        CHECK(wait_set_add(set, event, SIGNAL_SIGNALED, 1, account, entry) == STATUS_OK);
    }
    for (uint32_t i = 0; i < ENTRIES; i++)
        CHECK(wait_set_remove(set, entries[i]) == STATUS_OK);
}

static void revoke_often(void *argument)
{
    (void)argument;
    while (goes_on()) {
        struct grant *handle, *derived;
        struct object *other;
        uint32_t entry;
        CHECK(grant_derive(event, RIGHTS_ALL, true, NULL, &handle) == STATUS_OK);
        CHECK(grant_derive(handle, RIGHTS_ALL, true, NULL, &derived) == STATUS_OK);
        CHECK(wait_set_create(account, &other) == STATUS_OK);
        CHECK(wait_set_add(other, derived, SIGNAL_SIGNALED, 1, account, &entry) == STATUS_OK);
        grant_revoke(handle);
        grant_drop(derived);
        grant_drop(handle);
        object_release(other);
    }
}

static void collect_often(void *argument)
{
    struct wait_record records[64];
    uint32_t count;
    (void)argument;
    while (goes_on())
        wait_set_wait(set, records, 64, platform_monotonic_nanoseconds() + MILLISECOND, &count);
}

int main(int argc, char **argv)
{
    (void)argc;
    static uint32_t entries[2][ENTRIES];
    static const struct {
        void (*entry)(void *argument);
        void *argument;
    } parts[] = {{signal_often, NULL}, {add_and_remove, entries[0]}, {add_and_remove, entries[1]},
                 {revoke_often, NULL}, {collect_often, NULL},        {signal_often, NULL}};
    struct thread *threads[ARRAY_COUNT(parts)];
    struct object *object;
    guest_cpus = 4;
    guest_initialize(argv);
    account = account_create(UINT64_C(64) << 20);
    CHECK(event_create(account, false, &object) == STATUS_OK && grant_create(object, RIGHTS_ALL, &event) == STATUS_OK);
    object_release(object);
    CHECK(wait_set_create(account, &set) == STATUS_OK);
    for (uint32_t i = 0; i < ARRAY_COUNT(parts); i++)
        CHECK(thread_start(parts[i].entry, parts[i].argument, &threads[i]) == STATUS_OK);
    thread_sleep_until(platform_monotonic_nanoseconds() + 2000 * MILLISECOND);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < ARRAY_COUNT(parts); i++)
        thread_join(threads[i]);
    CHECK(!event->object->waiters_first && !object_has_rest(event->object));
    grant_drop(event);
    object_release(set);
    CHECK(account->state == ACCOUNT_OWNED);
    account_release(account);
    return checks_report();
}
