/* Channels that nobody can reach are looked for, in pieces, while others make such, and others again move channels from
 * message to message, which somebody can reach all the time: none of theirs is lost. */
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/channel.h"
#include "kernel/thread.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define STANDING 300 /* channels in messages that do not move, so that a look takes a while */

static struct account *account;
static uint32_t stop; /* atomic */

static bool goes_on(void)
{
    thread_preemption_point();
    return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

struct pair {
    struct grant *ends[2];
};

static struct pair new_pair(void)
{
    struct object *ends[2];
    struct pair pair = {{NULL, NULL}};
    CHECK(channel_create(CHANNEL_MESSAGES_MAXIMUM, 0, account, ends) == STATUS_OK);
    for (int i = 0; i < 2; i++) {
        CHECK(grant_create(ends[i], RIGHTS_ALL, &pair.ends[i]) == STATUS_OK);
        object_release(ends[i]);
    }
    return pair;
}

static void give(const struct grant *end, struct grant *moved)
{
    struct message *message;
    CHECK(message_create(0, 1, account, &message) == STATUS_OK);
    message->grants[0] = moved;
    CHECK(channel_write(end->object, message) == STATUS_OK);
}

static struct grant *take(const struct grant *end)
{
    struct message *message;
    if (channel_read(end->object, 0, 1, &message) != STATUS_OK) {
        CHECK(!"a message is there");
        return NULL;
    }
    struct grant *moved = message->grants[0];
    message->grants[0] = NULL;
    message_destroy(message);
    return moved;
}

/* One with a message in it, in a message of one that is in a message of a third one; it goes to another and comes back.
 */
static void move(void *argument)
{
    struct pair inner = new_pair(), a = new_pair(), b = new_pair(), c = new_pair(), last = new_pair();
    (void)argument;
    give(inner.ends[0], last.ends[0]);
    give(a.ends[0], inner.ends[1]);
    give(c.ends[0], a.ends[1]);
    bool right = true;
    while (right && goes_on()) {
        struct grant *outer = take(c.ends[1]), *moved = outer ? take(outer) : NULL;
        right = moved;
        if (right) {
            give(b.ends[0], moved);
            give(c.ends[0], outer);
            moved = take(b.ends[1]);
            right = moved;
        }
        if (right)
            give(a.ends[0], moved);
    }
    struct grant *outer = right ? take(c.ends[1]) : NULL, *moved = outer ? take(outer) : NULL;
    struct grant *left = moved ? take(moved) : NULL;
    CHECK(left);
    if (left) {
        struct grant *const all[] = {left, moved, outer};
        for (uint32_t i = 0; i < ARRAY_COUNT(all); i++)
            grant_drop(all[i]);
    }
    struct grant *const rest[] = {last.ends[1], inner.ends[0], a.ends[0], b.ends[0], b.ends[1], c.ends[0], c.ends[1]};
    for (uint32_t i = 0; i < ARRAY_COUNT(rest); i++)
        grant_drop(rest[i]);
}

static void lose(void *argument)
{
    (void)argument;
    while (goes_on()) {
        struct pair a = new_pair(), b = new_pair();
        give(a.ends[0], b.ends[1]);
        give(b.ends[0], a.ends[1]);
        grant_drop(a.ends[0]);
        grant_drop(b.ends[0]);
    }
}

static void collect(void *argument)
{
    (void)argument;
    while (goes_on())
        channel_collect();
}

int main(int argc, char **argv)
{
    (void)argc;
    static void (*const parts[])(void *argument) = {move, move, move, lose, collect, collect};
    struct thread *threads[ARRAY_COUNT(parts)];
    struct grant *others[STANDING];
    guest_cpus = 4;
    guest_initialize(argv);
    account = account_create(UINT64_C(64) << 20);
    struct pair standing = new_pair();
    for (uint32_t i = 0; i < STANDING; i++) {
        struct pair pair = new_pair();
        others[i] = pair.ends[0];
        give(standing.ends[0], pair.ends[1]);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(parts); i++)
        CHECK(thread_start(parts[i], NULL, &threads[i]) == STATUS_OK);
    thread_sleep_until(platform_monotonic_nanoseconds() + UINT64_C(2000000000));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < ARRAY_COUNT(parts); i++)
        thread_join(threads[i]);
    for (uint32_t i = 0; i < STANDING; i++) {
        grant_drop(take(standing.ends[1]));
        grant_drop(others[i]);
    }
    grant_drop(standing.ends[0]);
    grant_drop(standing.ends[1]);
    channel_collect();
    CHECK(object_count(OBJECT_CHANNEL) == 0 && account->state == ACCOUNT_OWNED);
    account_release(account);
    return checks_report();
}
