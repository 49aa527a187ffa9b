/* Calls between programs under deadlines and time limits, with a server that answers, loops for ever, or ends. This is
 * client and servers, by the first argument; without one it is the program that starts the others, from its own file in
 * /bin: prints what is wrong, its status is the number of that. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sdk/tessera.h"
#include "tests/support/guest.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)

/* What the byte of a request asks for. */
enum { ANSWER, LOOP, END };

static uint32_t module;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static int32_t call(uint32_t client, uint8_t what, uint64_t deadline)
{
    struct tessera_call call = {.request = &what, .request_bytes = 1, .deadline = deadline};
    return tessera_port_call(client, &call);
}

/* ---- Those that are started ---- */

static int serve(void)
{
    uint8_t what = ANSWER;
    uint32_t handle;
    struct tessera_request request = {
        .bytes = &what, .capacity = 1, .handles = &handle, .handle_capacity = 1, .deadline = TESSERA_FOREVER};
    struct tessera_answer answer = {.length = 0};
    int32_t status = tessera_port_receive(TESSERA_PORT, &request);
    while (status == 0 && what == ANSWER) {
        if (request.handle_count) {
            tessera_handle_close(handle);
        }
        status = tessera_port_reply_receive(TESSERA_PORT, &answer, &request);
    }
    for (volatile int i = 0; status == 0 && what == LOOP; i++) {
    }
    return 5;
}

static int ask(uint8_t what)
{
    static const char name[] = "client";
    uint32_t client = (uint32_t)tessera_handle_named(name, sizeof(name) - 1);
    while (call(client, what, TESSERA_FOREVER) == 0) {
    }
    return 6;
}

/* ---- Starting ---- */

/* With a handle of that name; `limit` is its time limit in nanoseconds, as text. */
static uint32_t start(const char *what, const char *handle_name, uint32_t handle, const char *limit)
{
    char text[256];
    int length = snprintf(text, sizeof(text), "name=%s%cstreams=1%cargument=child%cargument=%s%chandle=%s%ctimeout=%s",
                          what, 0, 0, 0, what, 0, handle_name, 0, limit ? limit : "0");
    int32_t process = tessera_process_create(module, text, (uint32_t)length + 1, &handle, 1);
    EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
    return (uint32_t)process;
}

static uint32_t kill(uint32_t process)
{
    EXPECT(tessera_process_kill(process) == 0);
    return finish_program(process);
}

static uint32_t start_server(uint32_t *client, const char *limit)
{
    uint32_t port = (uint32_t)tessera_port_create();
    *client = (uint32_t)tessera_port_client_create(port, 1);
    return start("serve", "port", port, limit);
}

/* ---- Tests ---- */

/* In any order, of any length, answered in time. */
static void deadlines(void)
{
    uint32_t client, server = start_server(&client, NULL);
    uint64_t begin = now();
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t deadline = i % 7 == 6 ? TESSERA_FOREVER : begin + (60 + i * 7919 % 100) * SECOND;
        int32_t status = call(client, ANSWER, deadline);
        if (status) {
            EXPECT(!"a call in time");
            break;
        }
    }
    EXPECT(call(client, ANSWER, 1) == -TESSERA_ETIMEOUT);
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
    EXPECT(kill(server) == 137);
    EXPECT(call(client, ANSWER, now() + SECOND) == -TESSERA_EPEER);
    tessera_handle_close(client);
}

/* A deadline that was not reached ends nothing that comes after it: neither a call, nor another wait. */
static void past_deadlines(void)
{
    uint32_t client, server = start_server(&client, NULL), event = (uint32_t)tessera_event_create(0);
    for (int i = 0; i < 10; i++) {
        int32_t status = call(client, ANSWER, now() + 3 * MILLISECOND);
        EXPECT(status == 0 || status == -TESSERA_ETIMEOUT); /* the machine may be busy */
        uint64_t begin = now();
        if (i % 2) {
            while (now() < begin + 5 * MILLISECOND) {
            }
            EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
            EXPECT(call(client, ANSWER, begin + 60 * SECOND) == 0);
        } else {
            EXPECT(tessera_wait_one(event, TESSERA_SIGNAL_SIGNALED, begin + 10 * MILLISECOND) == -TESSERA_ETIMEOUT);
            EXPECT(now() >= begin + 10 * MILLISECOND);
        }
    }
    EXPECT(kill(server) == 137);
    tessera_handle_close(event);
    tessera_handle_close(client);
}

/* The server has the CPU that was handed to it, and keeps it; the second and third time behind calls that were
 * answered, when no other reason for the timer to come is left. */
static void server_loops(void)
{
    for (int i = 0; i < 3; i++) {
        uint32_t client, server = start_server(&client, NULL);
        uint64_t begin = now();
        while (i && now() < begin + 50 * MILLISECOND) {
            EXPECT(call(client, ANSWER, i == 1 ? begin + 60 * SECOND : TESSERA_FOREVER) == 0);
        }
        begin = now();
        EXPECT(call(client, LOOP, begin + 30 * MILLISECOND) == -TESSERA_ETIMEOUT);
        uint64_t end = now();
        EXPECT(end >= begin + 30 * MILLISECOND && end < begin + 10 * SECOND);
        EXPECT(kill(server) == 137);
        tessera_handle_close(client);
    }
}

/* Time limits: of the server, and of a caller whose call is not answered. */
static void limits(void)
{
    uint32_t client, server = start_server(&client, "60000000");
    while (call(client, ANSWER, TESSERA_FOREVER) == 0) { /* to and fro until the time is over */
    }
    EXPECT(finish_program(server) == 124);
    tessera_handle_close(client);
    server = start_server(&client, "60000000");
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0 && call(client, LOOP, TESSERA_FOREVER) == -TESSERA_EPEER);
    EXPECT(finish_program(server) == 124);
    tessera_handle_close(client);
    for (int i = 0; i < 2; i++) {
        server = start_server(&client, NULL);
        EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
        uint32_t handle = (uint32_t)tessera_handle_duplicate(client, TESSERA_RIGHTS_SAME);
        EXPECT(finish_program(start(i ? "ask" : "loop", "client", handle, "60000000")) == 124);
        EXPECT(kill(server) == 137);
        tessera_handle_close(client);
    }
}

/* Who calls is killed, at any moment: the server goes on. */
static void kills(void)
{
    uint32_t client, server = start_server(&client, NULL);
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
    for (uint64_t i = 0; i < 20; i++) {
        uint32_t handle = (uint32_t)tessera_handle_duplicate(client, TESSERA_RIGHTS_SAME);
        uint32_t caller = start("ask", "client", handle, i % 2 ? "60000000000" : NULL);
        uint64_t begin = now();
        while (now() < begin + i % 3 * MILLISECOND) {
        }
        EXPECT(call(client, ANSWER, i % 4 < 2 ? TESSERA_FOREVER : begin + 60 * SECOND) == 0);
        EXPECT(kill(caller) == 137);
    }
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
    EXPECT(call(client, END, TESSERA_FOREVER) == -TESSERA_EPEER);
    EXPECT(finish_program(server) == 5);
    tessera_handle_close(client);
}

/* The handle that is called through goes along with the call, and the server closes it. */
static void given_away(void)
{
    uint32_t client, server = start_server(&client, NULL);
    uint8_t what = ANSWER;
    struct tessera_call last = {.request = &what,
                                .request_bytes = 1,
                                .request_handles = &client,
                                .request_handle_count = 1,
                                .deadline = TESSERA_FOREVER};
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == 0);
    EXPECT(tessera_port_call(client, &last) == 0);
    EXPECT(call(client, ANSWER, TESSERA_FOREVER) == -TESSERA_EHANDLE);
    EXPECT(finish_program(server) == 5); /* nobody can call it any more */
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "child") == 0) {
        return strcmp(argv[1], "serve") == 0 ? serve() : ask(strcmp(argv[1], "loop") == 0 ? LOOP : ANSWER);
    }
    static const char self[] = "/bin/calls.wasm";
    module = (uint32_t)tessera_module_load(self, sizeof(self) - 1);
    deadlines();
    past_deadlines();
    server_loops();
    limits();
    kills();
    given_away();
    return failures;
}
