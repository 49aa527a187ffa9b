/* Handles, events, timers, waiting and channels, as a program sees them. One case for each argument; the exit status is
 * 0 when all was as it should be, and what was not is printed. tests/ipc/run knows which cases end otherwise. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define MILLISECOND UINT64_C(1000000)
#define SIGNALED    TESSERA_SIGNAL_SIGNALED
#define READABLE    TESSERA_SIGNAL_READABLE
#define WRITABLE    TESSERA_SIGNAL_WRITABLE
#define PEER_CLOSED TESSERA_SIGNAL_PEER_CLOSED
#define FOREVER     TESSERA_FOREVER

static int failures;
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition) && failures++ < 20)                                                                           \
            printf("cases.c:%d: %s\n", __LINE__, #condition);                                                          \
    } while (0)

static uint64_t now(void)
{
    return (uint64_t)tessera_time_coarse();
}

static uint64_t soon(uint64_t milliseconds)
{
    return now() + milliseconds * MILLISECOND;
}

/* A handle, or the end of the case. */
static uint32_t handle(int32_t result)
{
    if (result <= 0) {
        printf("no handle: %d\n", (int)result);
        exit(98);
    }
    return (uint32_t)result;
}

static struct tessera_handle_information information_of(uint32_t number)
{
    struct tessera_handle_information information = {0};
    CHECK(tessera_handle_information(number, &information, sizeof information) == sizeof information);
    return information;
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, argument) != 0)
        exit(99);
    return thread;
}

/* ---- Handles ---- */

static void handles(void)
{
    uint32_t event = handle(tessera_event_create(0));
    struct tessera_handle_information information = information_of(event);
    CHECK(information.type == TESSERA_OBJECT_EVENT && information.signals == 0);
    CHECK(information.rights == (TESSERA_RIGHT_WAIT | TESSERA_RIGHT_SIGNAL | TESSERA_RIGHT_DUPLICATE |
                                 TESSERA_RIGHT_TRANSFER | TESSERA_RIGHT_MANAGE));
    uint32_t waiter = handle(tessera_handle_duplicate(event, TESSERA_RIGHT_WAIT));
    CHECK(tessera_event_signal(waiter) == -TESSERA_ERIGHT);
    CHECK(tessera_handle_duplicate(waiter, TESSERA_RIGHT_WAIT) == -TESSERA_ERIGHT);
    CHECK(tessera_handle_duplicate(event, TESSERA_RIGHT_READ) == -TESSERA_ERIGHT);
    CHECK(tessera_handle_duplicate(event, 1u << 30) == -TESSERA_EINVALID);
    CHECK(tessera_event_signal(event) == 0 && information_of(waiter).signals == SIGNALED);
    uint32_t same = handle(tessera_handle_duplicate(event, TESSERA_RIGHTS_SAME));
    CHECK(tessera_handle_revoke(waiter) == -TESSERA_ERIGHT);
    CHECK(tessera_handle_revoke(event) == 0);
    CHECK(tessera_wait_one(waiter, SIGNALED, 0) == -TESSERA_EHANDLE && tessera_handle_close(same) == -TESSERA_EHANDLE);
    CHECK(tessera_wait_one(event, SIGNALED, 0) == SIGNALED);
    CHECK(tessera_timer_read(event) == -TESSERA_EHANDLE); /* another type */
    CHECK(tessera_handle_close(event) == 0 && tessera_handle_close(event) == -TESSERA_EHANDLE);
    CHECK(tessera_handle_close(0) == -TESSERA_EHANDLE && tessera_event_create(2) == -TESSERA_EINVALID);
    CHECK(tessera_handle_information(0, NULL, 0) == -TESSERA_EHANDLE);
}

/* More than there may be, again and again: the limit, and nothing is lost. */
static void limits(void)
{
    uint32_t first = handle(tessera_event_create(0)), count = 1;
    for (int round = 0; round < 3; round++) {
        int32_t result;
        while ((result = tessera_handle_duplicate(first, TESSERA_RIGHTS_SAME)) > 0)
            count++;
        CHECK(result == -TESSERA_ELIMIT && tessera_event_create(0) == -TESSERA_ELIMIT);
        CHECK(tessera_handle_revoke(first) == 0);
    }
    CHECK(count > 30000);
    uint32_t ends[2];
    CHECK(tessera_channel_create(0, 0, ends) == 0);
}

/* ---- Events and timers ---- */

static uint32_t ping, pong;

static void *ponger(void *argument)
{
    for (int i = 0; i < 2000; i++) {
        CHECK(tessera_wait_one(ping, SIGNALED, FOREVER) == SIGNALED);
        CHECK(tessera_event_signal(pong) == 0);
    }
    return argument;
}

static void events(void)
{
    ping = handle(tessera_event_create(TESSERA_EVENT_EXCLUSIVE));
    pong = handle(tessera_event_create(TESSERA_EVENT_EXCLUSIVE));
    CHECK(tessera_wait_one(ping, SIGNALED, 0) == -TESSERA_ETIMEOUT);
    uint64_t begin = now();
    CHECK(tessera_wait_one(ping, SIGNALED, begin + 20 * MILLISECOND) == -TESSERA_ETIMEOUT);
    CHECK(now() >= begin + 20 * MILLISECOND);
    CHECK(tessera_wait_one(ping, 0, 0) == -TESSERA_EINVALID &&
          tessera_wait_one(ping, 1u << 31, 0) == -TESSERA_EINVALID);
    pthread_t thread = start(ponger, NULL);
    for (int i = 0; i < 2000; i++) {
        CHECK(tessera_event_signal(ping) == 0);
        CHECK(tessera_wait_one(pong, SIGNALED, FOREVER) == SIGNALED);
    }
    pthread_join(thread, NULL);
    CHECK(tessera_event_signal(ping) == 0 && tessera_event_clear(ping) == 0);
    CHECK(tessera_wait_one(ping, SIGNALED, 0) == -TESSERA_ETIMEOUT);
}

static void timers(void)
{
    uint32_t timer = handle(tessera_timer_create());
    CHECK(tessera_timer_read(timer) == 0);
    uint64_t due = soon(10);
    CHECK(tessera_timer_set(timer, due, 0) == 0 && tessera_wait_one(timer, SIGNALED, FOREVER) == SIGNALED &&
          now() >= due);
    CHECK(tessera_timer_read(timer) == 1 && tessera_wait_one(timer, SIGNALED, soon(5)) == -TESSERA_ETIMEOUT);
    CHECK(tessera_timer_set(timer, now(), 2 * MILLISECOND) == 0);
    int64_t count = 0;
    due = soon(20);
    while (now() < due) {
        CHECK(tessera_wait_one(timer, SIGNALED, FOREVER) == SIGNALED);
        count += tessera_timer_read(timer);
    }
    CHECK(count >= 10 && count < 10000);
    CHECK(tessera_timer_set(timer, 0, UINT64_C(1) << 63) == -TESSERA_EINVALID);
    CHECK(tessera_timer_set(timer, FOREVER, 0) == 0 && tessera_wait_one(timer, SIGNALED, 0) == -TESSERA_ETIMEOUT);
}

/* ---- Waiting ---- */

static void waiting(void)
{
    struct tessera_wait_item items[TESSERA_WAIT_ITEMS + 1];
    for (int i = 0; i < TESSERA_WAIT_ITEMS + 1; i++)
        items[i] = (struct tessera_wait_item){handle(tessera_event_create(0)), SIGNALED, 77};
    CHECK(tessera_wait_many(items, TESSERA_WAIT_ITEMS + 1, 0) == -TESSERA_EINVALID);
    CHECK(tessera_wait_many(items, TESSERA_WAIT_ITEMS, soon(2)) == -TESSERA_ETIMEOUT && items[0].seen == 77);
    CHECK(tessera_event_signal(items[7].handle) == 0 && tessera_event_signal(items[63].handle) == 0);
    CHECK(tessera_wait_many(items, TESSERA_WAIT_ITEMS, FOREVER) == 2);
    CHECK(items[7].seen == SIGNALED && items[63].seen == SIGNALED && items[0].seen == 0);
    items[3].handle = 0;
    CHECK(tessera_wait_many(items, TESSERA_WAIT_ITEMS, FOREVER) == -TESSERA_EHANDLE);
    CHECK(tessera_wait_many(NULL, 0, soon(1)) == -TESSERA_ETIMEOUT);
}

#define MANY 10000

static void *signal_later(void *argument)
{
    tessera_wait_many(NULL, 0, soon(20));
    CHECK(tessera_event_signal(*(uint32_t *)argument) == 0);
    return NULL;
}

static void wait_set(void)
{
    static uint32_t events_of[MANY];
    uint32_t set = handle(tessera_wait_set_create());
    struct tessera_wait_record records[4];
    CHECK(tessera_wait_set_wait(set, records, 4, soon(1)) == -TESSERA_ETIMEOUT);
    CHECK(tessera_wait_set_wait(set, records, 0, 0) == -TESSERA_EINVALID);
    for (uint32_t i = 0; i < MANY; i++) {
        events_of[i] = handle(tessera_event_create(0));
        CHECK(tessera_wait_set_add(set, events_of[i], SIGNALED, i + UINT64_C(5000000000)) == (int32_t)i);
    }
    CHECK(tessera_wait_set_wait(set, records, 4, 0) == -TESSERA_ETIMEOUT);
    for (uint32_t i = 0; i < MANY; i += 7) {
        CHECK(tessera_event_signal(events_of[i]) == 0);
        CHECK(tessera_wait_set_wait(set, records, 4, 0) == 1 && records[0].key == i + UINT64_C(5000000000));
        CHECK(records[0].entry == i && records[0].signals == SIGNALED);
        CHECK(tessera_event_clear(events_of[i]) == 0);
    }
    pthread_t thread = start(signal_later, &events_of[4321]);
    CHECK(tessera_wait_set_wait(set, records, 4, FOREVER) == 1 && records[0].entry == 4321);
    pthread_join(thread, NULL);
    CHECK(tessera_wait_one(set, READABLE, 0) == READABLE);
    CHECK(tessera_wait_set_change(set, 4321, 0) == 0 && tessera_wait_set_wait(set, records, 4, 0) == -TESSERA_ETIMEOUT);
    CHECK(tessera_wait_set_remove(set, 4321) == 0 && tessera_wait_set_remove(set, 4321) == -TESSERA_ENOTFOUND);
    CHECK(tessera_wait_set_add(set, set, READABLE, 0) == -TESSERA_EINVALID);
    CHECK(tessera_wait_set_add(set, 0, SIGNALED, 0) == -TESSERA_EHANDLE);
    CHECK(tessera_wait_set_add(set, events_of[0], 1u << 31, 0) == -TESSERA_EINVALID);
    CHECK(tessera_handle_close(set) == 0);
}

/* ---- Channels ---- */

static uint8_t large[TESSERA_CHANNEL_MESSAGE_BYTES + 1], copy[TESSERA_CHANNEL_MESSAGE_BYTES];

static void channel(void)
{
    uint32_t ends[2], got[3] = {7, 7, 7};
    char buffer[16];
    CHECK(tessera_channel_create(4, 0, ends) == 0);
    CHECK(tessera_channel_read(ends[1], buffer, sizeof buffer, NULL, 0, 0) == -TESSERA_EAGAIN);
    CHECK(tessera_channel_read(ends[1], buffer, sizeof buffer, NULL, 0, soon(2)) == -TESSERA_ETIMEOUT);
    CHECK(tessera_channel_next(ends[1]) == -TESSERA_EAGAIN);
    CHECK(tessera_channel_write(ends[0], "hello", 5, NULL, 0, 0) == 0);
    CHECK(tessera_channel_write(ends[1], "back", 4, NULL, 0, 0) == 0);
    CHECK(tessera_channel_next(ends[1]) == 5 && tessera_wait_one(ends[1], READABLE, FOREVER) == READABLE);
    CHECK(tessera_channel_read(ends[1], buffer, 4, NULL, 0, 0) == -TESSERA_ETOOLARGE);
    CHECK(tessera_channel_read(ends[1], buffer, 5, NULL, 0, 0) == 5 && !memcmp(buffer, "hello", 5));
    CHECK(tessera_channel_read(ends[0], buffer, 16, NULL, 0, 0) == 4 && !memcmp(buffer, "back", 4));
    /* Backpressure. */
    for (int i = 0; i < 4; i++)
        CHECK(tessera_channel_write(ends[0], "", 0, NULL, 0, 0) == 0);
    CHECK(tessera_channel_write(ends[0], "", 0, NULL, 0, 0) == -TESSERA_EAGAIN);
    CHECK(tessera_channel_write(ends[0], "", 0, NULL, 0, soon(2)) == -TESSERA_ETIMEOUT);
    CHECK(tessera_wait_one(ends[0], WRITABLE, 0) == -TESSERA_ETIMEOUT);
    CHECK(tessera_channel_read(ends[1], buffer, 0, NULL, 0, 0) == 0 &&
          tessera_wait_one(ends[0], WRITABLE, 0) == WRITABLE);
    for (int i = 0; i < 3; i++)
        CHECK(tessera_channel_read(ends[1], buffer, 0, NULL, 0, 0) == 0);
    /* Handles ride along, and only if the message is written. */
    uint32_t event = handle(tessera_event_create(0)),
             fewer = handle(tessera_handle_duplicate(event, TESSERA_RIGHT_WAIT));
    uint32_t twice[2] = {event, event}, own[1] = {ends[0]}, unmovable[1] = {fewer};
    CHECK(tessera_channel_write(ends[0], "x", 1, twice, 2, 0) == -TESSERA_EHANDLE);
    CHECK(tessera_channel_write(ends[0], "x", 1, own, 1, 0) == -TESSERA_EINVALID);
    CHECK(tessera_channel_write(ends[0], "x", 1, unmovable, 1, 0) == -TESSERA_ERIGHT);
    CHECK(tessera_channel_write(ends[0], "x", 1, &event, 1, 0) == 0);
    CHECK(tessera_event_signal(event) == -TESSERA_EHANDLE && tessera_wait_one(fewer, SIGNALED, 0) == -TESSERA_ETIMEOUT);
    CHECK(tessera_channel_next(ends[1]) == (INT64_C(1) << 32) + 1);
    CHECK(tessera_channel_read(ends[1], buffer, 16, NULL, 0, 0) == -TESSERA_ETOOLARGE);
    CHECK(tessera_channel_read(ends[1], buffer, 16, got, 17, 0) == -TESSERA_EINVALID);
    CHECK(tessera_channel_read(ends[1], buffer, 16, got, 2, 0) == 1 && got[0] && got[1] == 0 && got[2] == 7);
    CHECK(tessera_event_signal(got[0]) == 0 && tessera_wait_one(fewer, SIGNALED, 0) == SIGNALED);
    /* One that is revoked on its way. */
    uint32_t sent = handle(tessera_handle_duplicate(got[0], TESSERA_RIGHTS_SAME));
    CHECK(tessera_channel_write(ends[0], "y", 1, &sent, 1, 0) == 0 && tessera_handle_revoke(got[0]) == 0);
    CHECK(tessera_channel_read(ends[1], buffer, 16, got + 1, 1, 0) == 1 && got[1] == 0);
    /* The end of an end. */
    CHECK(tessera_channel_write(ends[0], "last", 4, NULL, 0, 0) == 0 && tessera_handle_close(ends[0]) == 0);
    CHECK(tessera_wait_one(ends[1], PEER_CLOSED, FOREVER) == PEER_CLOSED);
    CHECK(tessera_channel_write(ends[1], "z", 1, NULL, 0, 0) == -TESSERA_EPEER);
    CHECK(tessera_channel_read(ends[1], buffer, 16, NULL, 0, FOREVER) == 4);
    CHECK(tessera_channel_read(ends[1], buffer, 16, NULL, 0, FOREVER) == -TESSERA_EPEER);
    CHECK(tessera_channel_next(ends[1]) == -TESSERA_EPEER);
    CHECK(tessera_channel_create(65537, 0, ends) == -TESSERA_EINVALID);
}

static void large_messages(void)
{
    uint32_t ends[2];
    CHECK(tessera_channel_create(0, 1u << 22, ends) == 0);
    CHECK(tessera_channel_write(ends[0], large, sizeof large, NULL, 0, 0) == -TESSERA_ETOOLARGE);
    for (uint32_t bytes = 1; bytes <= sizeof copy; bytes = bytes * 2 + (bytes < 1000)) {
        bytes = bytes > sizeof copy ? sizeof copy : bytes;
        for (uint32_t i = 0; i < bytes; i++)
            large[i] = (uint8_t)(i * 7 + bytes);
        CHECK(tessera_channel_write(ends[0], large, bytes, NULL, 0, 0) == 0);
        memset(copy, 0, bytes);
        CHECK(tessera_channel_read(ends[1], copy, sizeof copy, NULL, 0, 0) == (int32_t)bytes);
        CHECK(memcmp(copy, large, bytes) == 0);
    }
}

#define MESSAGES 20000

static void *consumer(void *argument)
{
    uint32_t end = *(uint32_t *)argument, expected = 0, value[64];
    for (;;) {
        int32_t bytes = tessera_channel_read(end, value, sizeof value, NULL, 0, FOREVER);
        if (bytes == -TESSERA_EPEER)
            break;
        CHECK(bytes == (int32_t)(4 + expected % 60 * 4) && value[0] == expected);
        expected++;
    }
    CHECK(expected == MESSAGES);
    return NULL;
}

static void stream(void)
{
    uint32_t ends[2], value[64] = {0};
    CHECK(tessera_channel_create(8, 1000, ends) == 0);
    pthread_t thread = start(consumer, &ends[1]);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        value[0] = i;
        CHECK(tessera_channel_write(ends[0], value, 4 + i % 60 * 4, NULL, 0, FOREVER) == 0);
    }
    CHECK(tessera_handle_close(ends[0]) == 0);
    pthread_join(thread, NULL);
}

/* Whoever writes what nobody reads comes to his limit, and can go on when it is read. */
static void flood(void)
{
    uint32_t channels = 0, total = 0;
    static uint32_t ends[4096][2];
    int32_t result = 0;
    while (channels < 4096 && result != -TESSERA_ELIMIT) {
        result = tessera_channel_create(65536, 1u << 24, ends[channels]);
        CHECK(result == 0 || result == -TESSERA_ELIMIT);
        for (channels += result == 0; result == 0; total++)
            result = tessera_channel_write(ends[channels - 1][0], large, 65536, NULL, 0, 0);
    }
    CHECK(result == -TESSERA_ELIMIT && total > 100 && total < 2000);
    CHECK(tessera_channel_write(ends[0][0], large, 65536, NULL, 0, 0) == -TESSERA_ELIMIT ||
          tessera_channel_write(ends[0][0], large, 65536, NULL, 0, 0) == -TESSERA_EAGAIN);
    CHECK(tessera_channel_read(ends[0][1], copy, sizeof copy, NULL, 0, 0) == 65536);
    CHECK(tessera_channel_write(ends[0][0], large, 65536, NULL, 0, 0) == 0);
}

/* Channels in messages of channels: counted by nobody's table, but charged. */
static void hidden(void)
{
    uint32_t outer[2], ends[2], count = 0;
    int32_t result = 0;
    CHECK(tessera_channel_create(65536, 0, outer) == 0);
    while (result == 0 && (result = tessera_channel_create(65536, 0, ends)) == 0) {
        result = tessera_channel_write(outer[0], "", 0, ends, 2, 0);
        if (result == -TESSERA_EAGAIN) { /* this one is full: go on in the next */
            CHECK(tessera_channel_write(ends[0], "", 0, outer, 2, 0) == 0);
            memcpy(outer, ends, sizeof outer);
            result = 0;
        }
        count++;
    }
    CHECK(result == -TESSERA_ELIMIT && count > 1000);
}

/* Channels that only messages of each other have, more than fit: those that nobody can reach make room. */
static void cycles(void)
{
    for (int i = 0; i < 150000 && failures == 0; i++) {
        uint32_t a[2], b[2];
        CHECK(tessera_channel_create(0, 0, a) == 0 && tessera_channel_create(0, 0, b) == 0);
        CHECK(tessera_channel_write(a[0], "", 0, &b[1], 1, 0) == 0);
        CHECK(tessera_channel_write(b[0], "", 0, &a[1], 1, 0) == 0);
        CHECK(tessera_handle_close(a[0]) == 0 && tessera_handle_close(b[0]) == 0);
    }
}

/* ---- Ends ---- */

static void *sleeper(void *argument)
{
    char byte = 0;
    uint32_t ends[2], set = handle(tessera_wait_set_create());
    struct tessera_wait_record record;
    struct tessera_wait_item item = {handle(tessera_event_create(0)), SIGNALED, 0};
    CHECK(tessera_channel_create(1, 1, ends) == 0 && tessera_channel_write(ends[0], "", 1, NULL, 0, 0) == 0);
    switch ((long)argument % 4) {
    case 0:
        tessera_channel_read(ends[0], &byte, 1, NULL, 0, FOREVER);
        break;
    case 1:
        tessera_channel_write(ends[0], &byte, 1, NULL, 0, FOREVER);
        break;
    case 2:
        tessera_wait_many(&item, 1, FOREVER);
        break;
    default:
        tessera_wait_set_wait(set, &record, 1, FOREVER);
    }
    printf("woken\n");
    return NULL;
}

/* The end of the program ends every kind of wait. */
static void sleepers(void)
{
    for (long i = 0; i < 16; i++)
        start(sleeper, (void *)i);
    tessera_wait_many(NULL, 0, soon(20));
    exit(55);
}

static void for_ever(void)
{
    for (long i = 0; i < 3; i++)
        start(sleeper, (void *)i);
    sleeper((void *)3);
}

/* One handle, and a thread that revokes what the others duplicate and use: never does one work after that. */
static uint32_t contested;
static uint32_t copies[4], stop;

static void *user(void *argument)
{
    long index = (long)argument;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        int32_t mine = tessera_handle_duplicate(contested, TESSERA_RIGHTS_SAME);
        if (mine <= 0)
            continue;
        int32_t below = tessera_handle_duplicate((uint32_t)mine, TESSERA_RIGHT_SIGNAL);
        __atomic_store_n(&copies[index], (uint32_t)below, __ATOMIC_SEQ_CST);
        for (int i = 0; i < 20; i++) {
            int32_t result = below > 0 ? tessera_event_signal((uint32_t)below) : -TESSERA_EHANDLE;
            CHECK(result == 0 || result == -TESSERA_EHANDLE);
        }
        tessera_handle_close((uint32_t)mine);
        tessera_handle_close((uint32_t)below);
    }
    return NULL;
}

static void revocation(void)
{
    pthread_t threads[4];
    uint32_t rounds = 0;
    contested = handle(tessera_event_create(0));
    for (long i = 0; i < 4; i++)
        threads[i] = start(user, (void *)i);
    for (uint64_t end = soon(300); now() < end; rounds++) {
        uint32_t seen[4];
        for (int i = 0; i < 4; i++)
            seen[i] = __atomic_load_n(&copies[i], __ATOMIC_SEQ_CST);
        CHECK(tessera_handle_revoke(contested) == 0);
        for (int i = 0; i < 4; i++)
            CHECK((int32_t)seen[i] <= 0 || tessera_event_signal(seen[i]) == -TESSERA_EHANDLE);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(rounds > 100);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } cases[] = {
        {"handles", handles},       {"limits", limits},     {"events", events},   {"timers", timers},
        {"waiting", waiting},       {"wait_set", wait_set}, {"channel", channel}, {"large", large_messages},
        {"stream", stream},         {"flood", flood},       {"hidden", hidden},   {"sleepers", sleepers},
        {"revocation", revocation}, {"for_ever", for_ever}, {"cycles", cycles},
    };
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(argv[1], cases[i].name)) {
            cases[i].function();
            return failures > 0;
        }
    return 97;
}
