/* Ports without guests: calls and answers between threads of the kernel, their bytes, handles and priorities, and every
 * way in which one side can be gone. */
#include "kernel/port_parts.h"

#include <string.h>

#include "kernel/cpu.h"
#include "kernel/event.h"
#include "kernel/heap.h"
#include "kernel/thread.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define MILLISECOND UINT64_C(1000000)

static struct account *account;
static struct object *port, *client;
static struct grant *port_grant, *client_grant; /* they hold the objects */

static uint64_t soon(uint64_t milliseconds)
{
    return platform_monotonic_nanoseconds() + milliseconds * MILLISECOND;
}

static struct grant *grant_of(struct object *object)
{
    struct grant *grant;
    CHECK(grant_create(object, RIGHTS_ALL, &grant) == STATUS_OK);
    object_release(object);
    return grant;
}

static void begin(void)
{
    CHECK(port_create(account, &port) == STATUS_OK);
    port_grant = grant_of(port);
    CHECK(port_client_create(port, 7, account, &client) == STATUS_OK);
    client_grant = grant_of(client);
}

static void drop(struct grant **grant)
{
    if (*grant)
        grant_drop(*grant);
    *grant = NULL;
}

static void end(void)
{
    drop(&client_grant);
    drop(&port_grant);
    CHECK(object_count(OBJECT_PORT) == 0 && object_count(OBJECT_PORT_CLIENT) == 0);
    CHECK(object_count(OBJECT_REPLY) == 0 && object_count(OBJECT_EVENT) == 0);
}

/* ---- A server: answers `calls` calls with the bytes that it got, each one more ---- */

struct server {
    struct thread *thread;
    uint32_t calls, served;
    uint32_t capacity;
    enum status last;     /* what ended it */
    enum status answered; /* the last answer */
    uint64_t delay;       /* nanoseconds of each call */
    uint32_t priority;    /* as seen in the last call */
    uint64_t badge;
    uint32_t revocations; /* that it knows of */
};

static void serve(void *argument)
{
    struct server *server = argument;
    uint8_t bytes[256];
    uint64_t badge;
    CHECK(port_caller(port, &badge) == STATUS_NOT_FOUND);
    struct port_buffer buffer = {
        .bytes = bytes, .capacity = server->capacity, .grant_capacity = 16, .revocations = server->revocations};
    enum status status = port_receive(port, &buffer, UINT64_MAX);
    while (status == STATUS_OK) {
        struct port_message answer = {.bytes = bytes, .length = buffer.length, .grant_count = buffer.grant_count};
        memcpy(answer.grants, buffer.grants, sizeof(answer.grants));
        for (uint32_t i = 0; i < buffer.length; i++)
            bytes[i]++;
        server->badge = buffer.badge;
        CHECK(port_caller(port, &badge) == STATUS_OK && badge == buffer.badge);
        if (server->delay)
            thread_sleep_until(platform_monotonic_nanoseconds() + server->delay);
        server->priority = thread_current()->priority;
        if (++server->served == server->calls) {
            server->answered = port_reply(port, &answer);
            break;
        }
        status = port_reply_receive(port, &answer, &server->answered, &buffer, UINT64_MAX);
    }
    server->last = status;
}

static void start(struct server *server)
{
    if (!server->capacity)
        server->capacity = 256;
    CHECK(thread_start(serve, server, &server->thread) == STATUS_OK);
}

/* ---- A client ---- */

struct caller {
    struct thread *thread;
    uint64_t deadline;
    uint32_t length, answer_capacity;
    struct port_buffer answer;
    struct port_message request;
    uint8_t bytes[300];
    enum status status;
    bool done;
};

static void call(struct caller *caller)
{
    caller->request.bytes = caller->bytes;
    caller->request.length = caller->length;
    caller->answer.bytes = caller->bytes;
    caller->answer.capacity = caller->answer_capacity;
    caller->answer.grant_capacity = 16;
    caller->status = port_call(client, &caller->request, &caller->answer, caller->deadline);
    caller->done = true;
}

static void call_in_thread(void *argument)
{
    call(argument);
}

static struct caller new_caller(uint32_t length, uint64_t deadline)
{
    struct caller caller = {.deadline = deadline, .length = length, .answer_capacity = 300};
    for (uint32_t i = 0; i < sizeof(caller.bytes); i++)
        caller.bytes[i] = (uint8_t)i;
    return caller;
}

static bool answered_right(const struct caller *caller)
{
    bool right = caller->status == STATUS_OK && caller->answer.length == caller->length;
    for (uint32_t i = 0; i < caller->length; i++)
        right &= caller->bytes[i] == (uint8_t)(i + 1);
    return right;
}

/* ---- What goes well ---- */

static void calls(void)
{
    begin();
    struct server server = {.calls = 600};
    bool right = true;
    start(&server);
    for (uint32_t i = 0; i < 600; i++) {
        struct caller caller = new_caller(i % 257, i % 2 ? UINT64_MAX : soon(10000));
        call(&caller);
        right &= answered_right(&caller);
    }
    CHECK(right);
    thread_join(server.thread);
    CHECK(server.served == 600 && server.last == STATUS_OK && server.answered == STATUS_OK && server.badge == 7);
    end();
}

/* More callers than servers: all are served, in turn. */
static void crowd(void)
{
    begin();
    struct server servers[2] = {{.calls = 0, .delay = MILLISECOND / 4}, {.calls = 0}};
    struct caller callers[20];
    for (uint32_t i = 0; i < 20; i++) {
        callers[i] = new_caller(i, UINT64_MAX);
        CHECK(thread_start(call_in_thread, &callers[i], &callers[i].thread) == STATUS_OK);
    }
    thread_yield();
    CHECK(object_signals(port) & SIGNAL_READABLE);
    start(&servers[0]);
    start(&servers[1]);
    for (uint32_t i = 0; i < 20; i++) {
        thread_join(callers[i].thread);
        CHECK(answered_right(&callers[i]));
    }
    CHECK(!(object_signals(port) & SIGNAL_READABLE));
    drop(&client_grant); /* nobody can call any more */
    thread_join(servers[0].thread);
    thread_join(servers[1].thread);
    CHECK(servers[0].last == STATUS_CLOSED && servers[1].last == STATUS_CLOSED);
    CHECK(servers[0].served + servers[1].served == 20);
    end();
}

static void handles(void)
{
    begin();
    struct server server = {.calls = 1};
    struct object *event;
    start(&server);
    struct caller caller = new_caller(3, UINT64_MAX);
    CHECK(event_create(account, false, &event) == STATUS_OK);
    caller.request.grants[0] = grant_of(event);
    caller.request.grant_count = 1;
    call(&caller);
    CHECK(answered_right(&caller) && caller.answer.grant_count == 1 && caller.answer.grants[0]->object == event);
    grant_drop(caller.answer.grants[0]);
    thread_join(server.thread);
    end();
}

static void deferred(void)
{
    begin();
    uint8_t bytes[16];
    struct port_buffer buffer = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct caller callers[3];
    struct object *replies[3];
    for (uint32_t i = 0; i < 3; i++) {
        callers[i] = new_caller(1, UINT64_MAX);
        CHECK(thread_start(call_in_thread, &callers[i], &callers[i].thread) == STATUS_OK);
        CHECK(port_receive(port, &buffer, UINT64_MAX) == STATUS_OK);
        CHECK(port_receive(port, &buffer, 0) == STATUS_BUSY);
        CHECK(port_defer(port, account, &replies[i]) == STATUS_OK);
        CHECK(port_defer(port, account, &replies[0]) == STATUS_NOT_FOUND || i != 0);
    }
    struct port_message answer = {.bytes = (const uint8_t *)"\1", .length = 1};
    CHECK(reply_send(replies[1], &answer) == STATUS_OK);
    CHECK(reply_send(replies[1], &answer) == STATUS_CLOSED); /* once */
    CHECK(reply_send(replies[0], &answer) == STATUS_OK);
    struct grant *dropped = grant_of(replies[2]);
    grant_drop(dropped);
    for (uint32_t i = 0; i < 3; i++) {
        thread_join(callers[i].thread);
        CHECK(i == 2 ? callers[i].status == STATUS_CLOSED : answered_right(&callers[i]));
    }
    object_release(replies[0]);
    object_release(replies[1]);
    end();
}

static void priorities(void)
{
    begin();
    struct server server = {.calls = 2, .delay = MILLISECOND};
    start(&server);
    thread_yield();
    struct caller low = new_caller(1, UINT64_MAX), high = new_caller(1, UINT64_MAX);
    CHECK(thread_start(call_in_thread, &low, &low.thread) == STATUS_OK);
    thread_yield(); /* the server has the call, and sleeps */
    CHECK(thread_start(call_in_thread, &high, &high.thread) == STATUS_OK);
    thread_set_priority(high.thread, PRIORITY_HIGH);
    thread_join(low.thread);
    CHECK(server.served >= 1);
    thread_join(high.thread);
    thread_join(server.thread);
    CHECK(answered_right(&low) && answered_right(&high) && server.priority == PRIORITY_HIGH);
    end();
}

/* ---- What does not ---- */

static void sizes(void)
{
    begin();
    struct server server = {.calls = 1, .capacity = 8};
    start(&server);
    thread_yield();
    struct caller caller = new_caller(9, UINT64_MAX);
    call(&caller);
    CHECK(caller.status == STATUS_TOO_LARGE); /* the server saw nothing of it */
    caller = new_caller(8, UINT64_MAX);
    caller.answer_capacity = 7;
    call(&caller);
    CHECK(caller.status == STATUS_TOO_LARGE);
    thread_join(server.thread);
    CHECK(server.answered == STATUS_TOO_LARGE);
    end();
}

/* Memory that is not there, on either side: nobody falls over, and both go on. */
static void faults(void)
{
    begin();
    uint8_t *nothing = platform_reserve(PLATFORM_PAGE_BYTES);
    struct server server = {.calls = 2};
    start(&server);
    thread_yield();
    struct caller caller = new_caller(5, UINT64_MAX);
    struct port_message request = {.bytes = nothing, .length = 5};
    CHECK(port_call(client, &request, &caller.answer, UINT64_MAX) == STATUS_INVALID);
    request.length = 0; /* nothing is touched */
    CHECK(port_call(client, &request, &caller.answer, UINT64_MAX) == STATUS_OK);
    request = (struct port_message){.bytes = caller.bytes, .length = 5};
    struct port_buffer answer = {.bytes = nothing, .capacity = 5};
    CHECK(port_call(client, &request, &answer, UINT64_MAX) == STATUS_INVALID);
    thread_join(server.thread);
    CHECK(server.served == 2 && server.answered == STATUS_INVALID);

    struct port_buffer buffer = {.bytes = nothing, .capacity = 5};
    CHECK(thread_start(call_in_thread, &caller, &caller.thread) == STATUS_OK);
    thread_yield();
    CHECK(port_receive(port, &buffer, UINT64_MAX) == STATUS_INVALID);
    thread_join(caller.thread);
    CHECK(caller.status == STATUS_INVALID);
    platform_release(nothing, PLATFORM_PAGE_BYTES);
    end();
}

static void deadlines(void)
{
    begin();
    struct caller caller = new_caller(1, soon(2));
    call(&caller);
    CHECK(caller.status == STATUS_TIMED_OUT); /* queued */
    struct server server = {.calls = 2, .delay = 20 * MILLISECOND};
    start(&server);
    thread_yield();
    caller = new_caller(1, soon(2));
    call(&caller);
    CHECK(caller.status == STATUS_TIMED_OUT); /* at work */
    caller = new_caller(1, UINT64_MAX);
    call(&caller);
    CHECK(answered_right(&caller));
    thread_join(server.thread);
    uint8_t bytes[16];
    struct port_buffer buffer = {.bytes = bytes, .capacity = sizeof(bytes)};
    CHECK(port_receive(port, &buffer, soon(2)) == STATUS_TIMED_OUT);
    CHECK(port_receive(port, &buffer, 0) == STATUS_TIMED_OUT);
    struct port_message answer = {0};
    CHECK(port_reply(port, &answer) == STATUS_CLOSED);
    end();
}

/* The server's end is gone: while a call is queued, while one is at work, and before one is made. */
static void gone(void)
{
    begin();
    uint8_t bytes[300];
    struct port_buffer buffer = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct caller callers[3];
    for (uint32_t i = 0; i < 3; i++) {
        callers[i] = new_caller(i, UINT64_MAX);
        CHECK(thread_start(call_in_thread, &callers[i], &callers[i].thread) == STATUS_OK);
    }
    CHECK(port_receive(port, &buffer, UINT64_MAX) == STATUS_OK);
    object_acquire(port);
    drop(&port_grant);
    for (uint32_t i = 0; i < 3; i++) {
        thread_join(callers[i].thread);
        CHECK(callers[i].status == STATUS_CLOSED);
    }
    CHECK(object_signals(client) & SIGNAL_PEER_CLOSED);
    struct port_message answer = {0};
    CHECK(port_reply(port, &answer) == STATUS_CLOSED);
    struct caller late = new_caller(1, UINT64_MAX);
    call(&late);
    CHECK(late.status == STATUS_CLOSED);
    object_release(port);
    end();
}

/* The last handle is closed before one who had it begins to wait; and client ends that nobody got a handle to. */
static void closed_before(void)
{
    begin();
    uint8_t bytes[300];
    struct port_buffer buffer = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct object *others[3];
    for (uint32_t i = 0; i < 3; i++)
        CHECK(port_client_create(port, i, account, &others[i]) == STATUS_OK);
    for (uint32_t i = 0; i < 3; i++)
        object_release(others[(i + 1) % 3]);
    object_acquire(port);
    drop(&port_grant);
    CHECK(port_receive(port, &buffer, soon(2000)) == STATUS_CLOSED);
    CHECK(port_client_create(port, 1, account, &others[0]) == STATUS_OK);
    CHECK(object_signals(others[0]) & SIGNAL_PEER_CLOSED);
    CHECK(port_receive(port, &buffer, soon(2000)) == STATUS_CLOSED);
    object_release(others[0]);
    object_release(port);
    end();
}

/* A handle to the port is revoked: who waits is told to look, who answers a call does so before. */
static void revoked(void)
{
    struct grant *derived;
    begin();
    struct server server = {.calls = 2};
    CHECK(grant_derive(port_grant, RIGHTS_ALL, true, NULL, &derived) == STATUS_OK);
    start(&server);
    thread_sleep_until(soon(1));
    grant_revoke(port_grant);
    grant_drop(derived);
    thread_join(server.thread);
    CHECK(server.last == STATUS_AGAIN && server.served == 0);
    grant_revoke(port_grant); /* nothing hangs on it: nobody is disturbed */
    CHECK(port_revocations(port) == 1);

    server = (struct server){.calls = 2}; /* one that looked before */
    start(&server);
    thread_join(server.thread);
    CHECK(server.last == STATUS_AGAIN && server.served == 0);

    CHECK(grant_derive(port_grant, RIGHTS_ALL, true, NULL, &derived) == STATUS_OK);
    server = (struct server){.calls = 2, .delay = 5 * MILLISECOND, .revocations = 1};
    struct caller caller = new_caller(100, UINT64_MAX), late = new_caller(100, soon(1));
    start(&server);
    CHECK(thread_start(call_in_thread, &caller, &caller.thread) == STATUS_OK);
    thread_sleep_until(soon(1));
    grant_revoke(port_grant);
    grant_drop(derived);
    thread_join(caller.thread);
    thread_join(server.thread);
    CHECK(answered_right(&caller));
    CHECK(server.last == STATUS_AGAIN && server.served == 1 && server.answered == STATUS_OK);
    call(&late); /* the port is there, and nobody who serves it */
    CHECK(late.status == STATUS_TIMED_OUT);
    end();
}

/* A thread of the server ends with a call that it did not answer. */
static void abandon(void *argument)
{
    uint8_t bytes[16];
    struct port_buffer buffer = {.bytes = bytes, .capacity = sizeof(bytes)};
    CHECK(port_receive(port, &buffer, UINT64_MAX) == STATUS_OK);
    port_abandon_call();
    (void)argument;
}

static void abandoned(void)
{
    begin();
    struct thread *thread;
    CHECK(thread_start(abandon, NULL, &thread) == STATUS_OK);
    struct caller caller = new_caller(1, UINT64_MAX);
    call(&caller);
    CHECK(caller.status == STATUS_CLOSED);
    thread_join(thread);
    end();
}

/* ---- CPU time ---- */

#define BURNS             5
#define BURN_MILLISECONDS 4

struct timed {
    struct thread *thread;
    uint64_t run_time;
};

/* Computes, then hands its CPU over to a server that will not answer in time. */
static void burn_and_call(void *argument)
{
    struct timed *caller = argument;
    struct port_message nothing = {0};
    struct port_buffer answer = {0};
    for (uint32_t i = 0; i < BURNS; i++) {
        for (uint64_t until = soon(BURN_MILLISECONDS); platform_monotonic_nanoseconds() < until;)
            ;
        bool last = i == BURNS - 1; /* then the server drops what it kept */
        CHECK(port_call(client, &nothing, &answer, last ? UINT64_MAX : soon(1)) ==
              (last ? STATUS_CLOSED : STATUS_TIMED_OUT));
    }
    scheduler_leave_share(); /* charges it */
    caller->run_time = thread_current()->run_time;
}

static void keep_calls(void *argument)
{
    struct timed *server = argument;
    struct object *replies[BURNS];
    struct port_buffer buffer = {0};
    for (uint32_t i = 0; i < BURNS; i++) {
        CHECK(port_receive(port, &buffer, UINT64_MAX) == STATUS_OK);
        CHECK(port_defer(port, account, &replies[i]) == STATUS_OK);
    }
    scheduler_leave_share(); /* charges it */
    server->run_time = thread_current()->run_time;
    for (uint32_t i = 0; i < BURNS; i++)
        object_release(replies[i]); /* without ever having had a handle */
}

/* Nobody computes at the cost of whom he calls. */
static void charging(void)
{
    struct timed caller = {0}, server = {0};
    uint64_t burnt = BURNS * BURN_MILLISECONDS * MILLISECOND;
    begin();
    CHECK(thread_start(keep_calls, &server, &server.thread) == STATUS_OK);
    CHECK(thread_start(burn_and_call, &caller, &caller.thread) == STATUS_OK);
    thread_join(caller.thread);
    thread_join(server.thread);
    CHECK(caller.run_time >= burnt / 2 && server.run_time < burnt / 4);
    end();
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    account = account_create(UINT64_C(1) << 20);
    calls();
    crowd();
    handles();
    deferred();
    priorities();
    sizes();
    faults();
    deadlines();
    gone();
    closed_before();
    revoked();
    abandoned();
    charging();
    CHECK(account_used(account) == 0);
    account_release(account);
    return checks_report();
}
