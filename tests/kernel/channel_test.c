/* Channels: order, bounds and the signals that go with them, the end of an end, handles on their way, and that floods
 * end at the account of who makes them. */
#include "kernel/channel.h"

#include <stdlib.h>

#include "kernel/account.h"
#include "kernel/event.h"
#include "kernel/heap.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct account *account;

struct pair {
    struct grant *ends[2];
};

static struct grant *grant_of(struct object *object)
{
    struct grant *grant;
    CHECK(grant_create(object, RIGHTS_ALL, &grant) == STATUS_OK);
    object_release(object);
    return grant;
}

static struct pair new_pair(uint32_t messages, uint32_t bytes)
{
    struct object *ends[2];
    CHECK(channel_create(messages, bytes, account, ends) == STATUS_OK);
    return (struct pair){{grant_of(ends[0]), grant_of(ends[1])}};
}

static void drop_pair(struct pair pair)
{
    grant_drop(pair.ends[0]);
    grant_drop(pair.ends[1]);
}

static enum status write_bytes(struct grant *end, uint32_t bytes, uint8_t value)
{
    struct message *message;
    enum status status = message_create(bytes, 0, account, &message);
    if (status != STATUS_OK)
        return status;
    memset(message_bytes(message), value, bytes);
    status = channel_write(end->object, message);
    if (status != STATUS_OK)
        message_destroy(message);
    return status;
}

/* The first byte of the next message, or the negative of a status. */
static int read_byte(struct grant *end)
{
    struct message *message;
    enum status status = channel_read(end->object, UINT32_MAX, HANDLES_PER_MESSAGE, &message);
    if (status != STATUS_OK)
        return -(int)status;
    int value = message->bytes ? message_bytes(message)[0] : 256;
    message_destroy(message);
    return value;
}

static bool has(struct grant *end, uint32_t signals)
{
    return (object_signals(end->object) & signals) == signals;
}

static void order_and_bounds(void)
{
    struct pair pair = new_pair(4, 100);
    struct grant *a = pair.ends[0], *b = pair.ends[1];
    uint32_t bytes, handles;
    CHECK(has(a, SIGNAL_WRITABLE) && !has(b, SIGNAL_READABLE) && read_byte(b) == -(int)STATUS_AGAIN);
    CHECK(channel_next(b->object, &bytes, &handles) == STATUS_AGAIN);
    for (uint8_t i = 0; i < 4; i++)
        CHECK(write_bytes(a, 10u + i, i) == STATUS_OK);
    CHECK(has(b, SIGNAL_READABLE) && !has(a, SIGNAL_WRITABLE) && has(b, SIGNAL_WRITABLE));
    CHECK(channel_next(b->object, &bytes, &handles) == STATUS_OK && bytes == 10 && handles == 0);
    CHECK(write_bytes(a, 1, 9) == STATUS_AGAIN);
    CHECK(write_bytes(b, 1, 77) == STATUS_OK && read_byte(a) == 77); /* the other direction has its own room */
    CHECK(read_byte(b) == 0 && has(a, SIGNAL_WRITABLE));
    CHECK(write_bytes(a, 0, 0) == STATUS_OK && !has(a, SIGNAL_WRITABLE));
    CHECK(read_byte(b) == 1 && read_byte(b) == 2 && read_byte(b) == 3 && read_byte(b) == 256);
    CHECK(!has(b, SIGNAL_READABLE) && has(a, SIGNAL_WRITABLE));
    /* By bytes: what was refused must fit before it is writable again. */
    CHECK(write_bytes(a, 101, 0) == STATUS_TOO_LARGE && has(a, SIGNAL_WRITABLE));
    CHECK(write_bytes(a, 30, 1) == STATUS_OK && write_bytes(a, 30, 2) == STATUS_OK);
    CHECK(write_bytes(a, 80, 3) == STATUS_AGAIN && !has(a, SIGNAL_WRITABLE));
    CHECK(read_byte(b) == 1 && !has(a, SIGNAL_WRITABLE) && write_bytes(a, 5, 4) == STATUS_OK);
    CHECK(read_byte(b) == 2 && has(a, SIGNAL_WRITABLE) && write_bytes(a, 80, 3) == STATUS_OK);
    CHECK(read_byte(b) == 4 && read_byte(b) == 3);
    struct message *message;
    CHECK(write_bytes(a, 50, 8) == STATUS_OK);
    CHECK(channel_read(b->object, 49, 0, &message) == STATUS_TOO_LARGE && has(b, SIGNAL_READABLE));
    CHECK(channel_read(b->object, 50, 0, &message) == STATUS_OK);
    CHECK(write_bytes(a, 10, 9) == STATUS_OK);
    channel_unread(b->object, message);
    CHECK(read_byte(b) == 8 && read_byte(b) == 9);
    /* What is put back may be more than there is room for: then there is none. */
    CHECK(write_bytes(a, 100, 5) == STATUS_OK && channel_read(b->object, 100, 0, &message) == STATUS_OK);
    CHECK(write_bytes(a, 100, 6) == STATUS_OK);
    channel_unread(b->object, message);
    CHECK(write_bytes(a, 50, 7) == STATUS_AGAIN);
    CHECK(read_byte(b) == 5 && write_bytes(a, 1, 7) == STATUS_AGAIN && read_byte(b) == 6);
    CHECK(write_bytes(a, 50, 7) == STATUS_OK && read_byte(b) == 7);
    drop_pair(pair);
    struct object *ends[2];
    CHECK(channel_create(CHANNEL_MESSAGES_MAXIMUM + 1, 0, account, ends) == STATUS_INVALID);
    CHECK(channel_create(0, CHANNEL_BYTES_MAXIMUM + 1, account, ends) == STATUS_INVALID);
    CHECK(message_create(MESSAGE_BYTES_MAXIMUM + 1, 0, account, &message) == STATUS_TOO_LARGE);
    CHECK(message_create(0, HANDLES_PER_MESSAGE + 1, account, &message) == STATUS_TOO_LARGE);
}

static void closing(void)
{
    struct pair pair = new_pair(0, 0);
    struct grant *a = pair.ends[0], *b = pair.ends[1], *second;
    CHECK(write_bytes(a, 3, 5) == STATUS_OK && write_bytes(b, 3, 6) == STATUS_OK);
    CHECK(grant_derive(a, RIGHTS_ALL, true, NULL, &second) == STATUS_OK);
    grant_drop(a);
    CHECK(!has(b, SIGNAL_PEER_CLOSED)); /* there is another handle */
    grant_drop(second);
    CHECK(has(b, SIGNAL_PEER_CLOSED) && !has(b, SIGNAL_WRITABLE) && has(b, SIGNAL_READABLE));
    CHECK(write_bytes(b, 1, 1) == STATUS_CLOSED && read_byte(b) == 5 && read_byte(b) == -(int)STATUS_CLOSED);
    grant_drop(b);
}

static struct message *message_with(struct grant *grant)
{
    struct message *message;
    CHECK(message_create(0, 1, account, &message) == STATUS_OK);
    message->grants[0] = grant;
    return message;
}

static void handles(void)
{
    struct pair pair = new_pair(0, 0), inner = new_pair(0, 0);
    struct object *event;
    struct message *message;
    /* Itself, or its other end, in the channel would never be closed. */
    for (int i = 0; i < 2; i++) {
        struct grant *again;
        CHECK(grant_derive(pair.ends[i], RIGHTS_ALL, true, NULL, &again) == STATUS_OK);
        message = message_with(again);
        CHECK(channel_write(pair.ends[0]->object, message) == STATUS_INVALID);
        message_destroy(message);
    }
    CHECK(event_create(account, false, &event) == STATUS_OK);
    CHECK(channel_write(pair.ends[0]->object, message_with(grant_of(event))) == STATUS_OK);
    CHECK(channel_write(pair.ends[0]->object, message_with(inner.ends[1])) == STATUS_OK);
    CHECK(channel_read(pair.ends[1]->object, 0, 0, &message) == STATUS_TOO_LARGE);
    CHECK(channel_read(pair.ends[1]->object, 0, 1, &message) == STATUS_OK && message->grants[0]->object == event);
    message_destroy(message);
    CHECK(object_count(OBJECT_EVENT) == 0 && !has(inner.ends[0], SIGNAL_PEER_CLOSED));
    drop_pair(pair); /* and with it what is on its way */
    CHECK(has(inner.ends[0], SIGNAL_PEER_CLOSED));
    grant_drop(inner.ends[0]);
}

/* Each in a message of the one before it: closed from one end, on a flat stack. */
static void nested(void)
{
    struct pair first = new_pair(1, 1), last = first;
    for (int i = 0; i < 20000; i++) {
        struct pair next = new_pair(1, 1);
        CHECK(channel_write(last.ends[0]->object, message_with(next.ends[1])) == STATUS_OK);
        if (i)
            grant_drop(last.ends[0]);
        last = next;
    }
    CHECK(object_count(OBJECT_CHANNEL) > 20000);
    grant_drop(last.ends[0]);
    drop_pair(first);
    CHECK(object_count(OBJECT_CHANNEL) == 0);
}

static void write_handles(struct grant *end, struct grant *first, struct grant *second)
{
    struct message *message;
    CHECK(message_create(0, second ? 2 : 1, account, &message) == STATUS_OK);
    message->grants[0] = first;
    if (second)
        message->grants[1] = second;
    CHECK(channel_write(end->object, message) == STATUS_OK);
}

/* Channels whose handles lie in messages of each other. */
static void cycles(void)
{
    struct pair first = new_pair(0, 0), second = new_pair(0, 0), third = new_pair(0, 0);
    CHECK(write_bytes(first.ends[0], 10, 1) == STATUS_OK);
    write_handles(second.ends[0], first.ends[1], NULL);
    write_handles(third.ends[0], second.ends[1], NULL);
    write_handles(first.ends[0], third.ends[1], third.ends[0]);
    CHECK(object_count(OBJECT_CHANNEL) == 6 && !has(first.ends[0], SIGNAL_PEER_CLOSED));
    channel_collect(); /* what was written there nobody can read: each other end lies in a message at the next one */
    CHECK(object_count(OBJECT_CHANNEL) == 2);
    CHECK(has(first.ends[0], SIGNAL_PEER_CLOSED) && has(second.ends[0], SIGNAL_PEER_CLOSED));
    grant_drop(first.ends[0]);
    grant_drop(second.ends[0]);
    CHECK(object_count(OBJECT_CHANNEL) == 0);

    /* A long one, and a handle to one of them somewhere else. */
    struct pair pairs[100];
    struct grant *kept = NULL;
    struct message *message;
    for (int i = 0; i < 100; i++)
        pairs[i] = new_pair(0, 0);
    CHECK(grant_derive(pairs[33].ends[1], RIGHTS_ALL, true, NULL, &kept) == STATUS_OK);
    for (int i = 0; i < 100; i++)
        write_handles(pairs[i].ends[0], pairs[(i + 1) % 100].ends[1], NULL);
    for (int i = 0; i < 100; i++)
        grant_drop(pairs[i].ends[0]);
    channel_collect();
    CHECK(object_count(OBJECT_CHANNEL) == 200 - 100);
    CHECK(channel_read(kept->object, 0, 1, &message) == STATUS_OK &&
          message->grants[0]->object == pairs[34].ends[1]->object);
    message_destroy(message); /* and with it one after the other, up to the one that is kept */
    CHECK(object_count(OBJECT_CHANNEL) == 1);
    grant_drop(kept);

    /* Revoked on its way, a handle keeps nothing. */
    first = new_pair(0, 0);
    second = new_pair(0, 0);
    struct grant *child;
    CHECK(grant_derive(first.ends[1], RIGHTS_ALL, true, NULL, &child) == STATUS_OK);
    write_handles(second.ends[0], child, NULL);
    write_handles(first.ends[0], second.ends[1], NULL);
    grant_revoke(first.ends[1]);
    grant_drop(second.ends[0]);
    channel_collect();
    CHECK(object_count(OBJECT_CHANNEL) >= 3 && channel_read(first.ends[1]->object, 0, 1, &message) == STATUS_OK);
    message_destroy(message);
    drop_pair(first);
    CHECK(object_count(OBJECT_CHANNEL) == 0);
}

static void floods(void)
{
    struct account *whole = account;
    account = account_create(100000);
    struct pair pair = new_pair(CHANNEL_MESSAGES_MAXIMUM, CHANNEL_BYTES_MAXIMUM);
    enum status status;
    uint32_t count = 0;
    while ((status = write_bytes(pair.ends[0], 100, 1)) == STATUS_OK)
        count++;
    CHECK(status == STATUS_LIMIT && count > 300 && count < 1000);
    CHECK(read_byte(pair.ends[1]) == 1 && write_bytes(pair.ends[0], 100, 1) == STATUS_OK);
    drop_pair(pair);
    CHECK(account->state == ACCOUNT_OWNED);
    account_release(account);
    account = whole;
}

/* ---- Threads ---- */

#define ROUNDS 20000

static enum status wait_for(struct grant *grant, uint32_t signals)
{
    struct wait_item item = {.grant = grant, .wanted = signals};
    uint32_t ready;
    return wait_many(&item, 1, UINT64_MAX, &ready);
}

static void echo(void *argument)
{
    struct grant *end = argument;
    struct message *message;
    for (;;) {
        enum status status = channel_read(end->object, UINT32_MAX, 0, &message);
        if (status == STATUS_CLOSED)
            return;
        if (status == STATUS_AGAIN) {
            CHECK(wait_for(end, SIGNAL_READABLE | SIGNAL_PEER_CLOSED) == STATUS_OK);
        } else {
            while ((status = channel_write(end->object, message)) == STATUS_AGAIN)
                CHECK(wait_for(end, SIGNAL_WRITABLE | SIGNAL_PEER_CLOSED) == STATUS_OK);
            if (status != STATUS_OK)
                message_destroy(message);
        }
    }
}

static void threads(void)
{
    struct pair pair = new_pair(3, 1000);
    struct thread *thread;
    uint32_t sent = 0, received = 0, wrong = 0;
    CHECK(thread_start(echo, pair.ends[1], &thread) == STATUS_OK);
    while (received < ROUNDS) {
        while (sent < ROUNDS && write_bytes(pair.ends[0], sent % 300, (uint8_t)sent) == STATUS_OK)
            sent++;
        int byte = read_byte(pair.ends[0]);
        if (byte >= 0) {
            wrong += byte != (received % 300 ? (uint8_t)received : 256);
            received++;
        } else if (sent < ROUNDS) {
            CHECK(wait_for(pair.ends[0], SIGNAL_READABLE | SIGNAL_WRITABLE) == STATUS_OK);
        } else {
            CHECK(wait_for(pair.ends[0], SIGNAL_READABLE) == STATUS_OK);
        }
    }
    CHECK(wrong == 0);
    grant_drop(pair.ends[0]);
    thread_join(thread);
    grant_drop(pair.ends[1]);
}

/* ---- From memory to memory ---- */

/* A thread that waits for a message. */
struct waiting {
    struct grant *end;
    struct channel_reader reader;
    uint8_t bytes[8];
    struct message *message;
    enum status status;
    bool over;
    struct thread *thread;
};

static void receive(void *argument)
{
    struct waiting *waiting = argument;
    waiting->status = channel_receive(waiting->end, &waiting->reader, 1, &waiting->message);
    waiting->over = true;
}

/* It waits when this returns: there is one CPU. */
static void start_waiting(struct waiting *waiting, struct grant *end, uint32_t capacity, uint64_t deadline)
{
    *waiting = (struct waiting){.end = end};
    waiting->reader.bytes = waiting->bytes;
    waiting->reader.capacity = capacity;
    waiting->reader.deadline = deadline;
    CHECK(thread_start(receive, waiting, &waiting->thread) == STATUS_OK);
    thread_yield();
    CHECK(!waiting->over && end->object->waiters_last == &waiting->reader.waiter);
}

static bool gets_nothing(struct waiting *waiting, enum status status)
{
    thread_join(waiting->thread);
    return waiting->status == status && !waiting->message && !waiting->end->object->waiters_first;
}

static bool gets(struct waiting *waiting, const char *text)
{
    return gets_nothing(waiting, STATUS_OK) && waiting->reader.length == strlen(text) &&
           memcmp(waiting->bytes, text, strlen(text)) == 0;
}

static void straight(void)
{
    struct pair pair = new_pair(4, 100);
    struct grant *a = pair.ends[0], *b = pair.ends[1];
    struct waiting first, second;
    CHECK(!channel_give(a->object, "nobody", 6));

    uint64_t used = account_used(account);
    start_waiting(&first, b, 8, UINT64_MAX); /* first come, first served */
    start_waiting(&second, b, 8, UINT64_MAX);
    CHECK(channel_give(a->object, "one", 3) && !has(b, SIGNAL_READABLE));
    CHECK(channel_give(a->object, "", 0) && account_used(account) == used);
    CHECK(!channel_give(a->object, "none", 4));
    CHECK(gets(&first, "one") && gets(&second, ""));

    start_waiting(&first, b, 3, UINT64_MAX); /* no room, or a page that is not there: as if it had not been tried */
    CHECK(!channel_give(a->object, "four", 4));
    CHECK(!channel_give(a->object, (const void *)4096, 3));
    CHECK(!first.over && channel_give(a->object, "3 b", 3) && gets(&first, "3 b"));
    start_waiting(&first, b, 3, UINT64_MAX);
    CHECK(write_bytes(a, 4, 1) == STATUS_OK && gets_nothing(&first, STATUS_TOO_LARGE));
    CHECK(!channel_give(a->object, "behind", 6) && read_byte(b) == 1);

    start_waiting(&first, b, 8, UINT64_MAX); /* what comes through the kernel */
    CHECK(write_bytes(a, 4, 9) == STATUS_OK);
    thread_join(first.thread);
    CHECK(first.status == STATUS_OK && first.message && message_bytes(first.message)[3] == 9);
    message_destroy(first.message);

    start_waiting(&first, b, 8, platform_monotonic_nanoseconds() + 1000000); /* every other end of a wait */
    CHECK(gets_nothing(&first, STATUS_TIMED_OUT) && !channel_give(a->object, "late", 4));
    struct grant *derived;
    CHECK(grant_derive(b, RIGHTS_ALL, true, NULL, &derived) == STATUS_OK);
    start_waiting(&first, derived, 8, UINT64_MAX);
    grant_revoke(b);
    CHECK(!channel_give(a->object, "revoked", 7) && gets_nothing(&first, STATUS_BAD_HANDLE));
    grant_drop(derived);
    start_waiting(&first, b, 8, UINT64_MAX);
    grant_drop(a);
    CHECK(gets_nothing(&first, STATUS_CLOSED));
    grant_drop(b);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct heap_statistics heap[2];
    guest_initialize(argv);
    for (int round = 0; round < 2; round++) {
        account = account_create(UINT64_C(64) << 20);
        order_and_bounds();
        closing();
        handles();
        nested();
        cycles();
        floods();
        threads();
        straight();
        CHECK(account->state == ACCOUNT_OWNED && object_count(OBJECT_CHANNEL) == 0);
        account_release(account);
        kernel_heap_trim();
        kernel_heap_statistics(&heap[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    return checks_report();
}
