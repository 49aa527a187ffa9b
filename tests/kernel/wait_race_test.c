/* Wait sets that several CPUs look into: the moments at which they can meet are made to last, by holding the lock of
 * the object that is waited for. */
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MILLISECOND UINT64_C(1000000)
#define CPUS        3

static uint64_t now(void)
{
    return platform_monotonic_nanoseconds();
}

/* ---- CPUs ---- */

static void spin(void *argument)
{
    (void)argument;
    for (uint64_t end = now() + 20 * MILLISECOND; now() < end;)
        thread_checkpoint();
}

static void start_cpus(void)
{
    for (int i = 0; i < 100 && !kernel_cpus[CPUS - 1]; i++) {
        struct thread *threads[CPUS];
        for (int j = 0; j < CPUS; j++)
            CHECK(thread_start(spin, NULL, &threads[j]) == STATUS_OK);
        for (int j = 0; j < CPUS; j++)
            thread_join(threads[j]);
    }
    CHECK(kernel_cpus[CPUS - 1] != NULL);
}

/* ---- Who looks into the set, on a CPU of its own ---- */

struct looker {
    uint32_t cpu;
    uint64_t deadline, over;
    enum status status;
    struct thread *thread;
    uint32_t there, may_look; /* atomic */
};

static struct object *set;
static struct grant *timer;
static uint32_t entry;

static void look(void *argument)
{
    struct looker *looker = argument;
    struct wait_record record;
    uint32_t count;
    thread_set_affinity(thread_current(), UINT64_C(1) << looker->cpu);
    thread_yield();
    CHECK(platform_cpu()->number == looker->cpu);
    __atomic_store_n(&looker->there, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&looker->may_look, __ATOMIC_ACQUIRE))
        platform_relax(1);
    looker->status = wait_set_wait(set, &record, 1, looker->deadline, &count);
    looker->over = now();
}

static void start(struct looker *looker, uint32_t cpu, uint64_t deadline)
{
    *looker = (struct looker){.cpu = cpu, .deadline = deadline};
    CHECK(thread_start(look, looker, &looker->thread) == STATUS_OK);
    while (!__atomic_load_n(&looker->there, __ATOMIC_ACQUIRE))
        thread_yield();
}

/* Somewhere in wait_set_wait, where it waits for the lock that this CPU holds, or asleep. */
static void let_look(struct looker *looker)
{
    __atomic_store_n(&looker->may_look, 1, __ATOMIC_RELEASE);
    for (uint64_t end = now() + 10 * MILLISECOND; now() < end;)
        platform_relax(1);
}

static void begin(struct account *account)
{
    struct object *object;
    CHECK(wait_set_create(account, &set) == STATUS_OK);
    CHECK(timer_object_create(account, &object) == STATUS_OK && grant_create(object, RIGHTS_ALL, &timer) == STATUS_OK);
    object_release(object);
    CHECK(wait_set_add(set, timer, SIGNAL_SIGNALED, 1, account, &entry) == STATUS_OK);
}

static void end(void)
{
    object_release(set);
    grant_drop(timer);
}

/* ---- The moments ---- */

/* Two look at the entry of one timer at the same time: it was notified again behind the first one's back. */
NO_LOCK_ANALYSIS static void two_look_at_one(struct account *account)
{
    struct looker lookers[2];
    begin(account);
    timer_set(timer->object, now() + 500 * MILLISECOND, 0);
    for (uint32_t i = 0; i < 2; i++)
        start(&lookers[i], i + 1, 0);
    spinlock_acquire(&timer->object->lock);
    for (uint32_t i = 0; i < 2; i++) {
        object_notify_all(timer->object);
        let_look(&lookers[i]);
    }
    spinlock_release(&timer->object->lock);
    for (uint32_t i = 0; i < 2; i++) {
        thread_join(lookers[i].thread);
        CHECK(lookers[i].status == STATUS_TIMED_OUT);
    }
    timer_set(timer->object, UINT64_MAX, 0); /* out of the queue of times */
    CHECK(wait_set_remove(set, entry) == STATUS_OK);
    struct wait_record record;
    uint32_t count = 0;
    uint64_t deadline = now() + 700 * MILLISECOND; /* the set does not know the timer any more, nor its time */
    CHECK(wait_set_wait(set, &record, 1, deadline, &count) == STATUS_TIMED_OUT && now() >= deadline);
    end();
}

/* One falls asleep while another one, who does not wait, has the entry in his hands. */
NO_LOCK_ANALYSIS static void one_sleeps_before(struct account *account)
{
    struct looker poller, sleeper;
    begin(account);
    uint64_t due = now() + 200 * MILLISECOND;
    timer_set(timer->object, due, 0);
    start(&poller, 1, 0);
    start(&sleeper, 2, due + 2000 * MILLISECOND);
    spinlock_acquire(&timer->object->lock);
    let_look(&poller);
    let_look(&sleeper);
    spinlock_release(&timer->object->lock);
    thread_join(poller.thread);
    thread_join(sleeper.thread);
    CHECK(poller.status == STATUS_TIMED_OUT);
    CHECK(sleeper.status == STATUS_OK && sleeper.over >= due && sleeper.over < due + 1000 * MILLISECOND);
    end();
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_cpus = CPUS;
    guest_initialize(argv);
    struct account *account = account_create(UINT64_C(64) << 20);
    start_cpus();
    thread_set_affinity(thread_current(), 1);
    thread_yield();
    two_look_at_one(account);
    one_sleeps_before(account);
    CHECK(account->state == ACCOUNT_OWNED);
    account_release(account);
    return checks_report();
}
