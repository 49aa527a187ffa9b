/* A program with threads for the soak test: mutexes and condition variables (futexes), a port between its threads, a
 * channel, events. The first thread signals "alive" when all others have gone on. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define WORKERS 6

static _Atomic uint64_t progress[WORKERS];
static uint32_t port, client, ends[2];

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            exit(__LINE__ % 100 + 100);                                                                                \
    } while (0)

static void *serve(void *argument)
{
    uint8_t bytes[64];
    struct tessera_answer answer = {.bytes = bytes};
    struct tessera_request request = {.bytes = bytes, .capacity = sizeof(bytes), .deadline = TESSERA_FOREVER};
    CHECK(tessera_port_receive(port, &request) == 0);
    for (;;) {
        bytes[0]++;
        answer.length = request.length;
        CHECK(tessera_port_reply_receive(port, &answer, &request) == 0);
        progress[(uintptr_t)argument]++;
    }
}

static void *call(void *argument)
{
    uint8_t bytes[64], answer[64];
    for (uint32_t i = 0;; i++) {
        uint32_t length = i % 60 + 1;
        memset(bytes, (int)i, sizeof(bytes));
        struct tessera_call call = {.request = bytes,
                                    .request_bytes = length,
                                    .answer = answer,
                                    .answer_capacity = sizeof(answer),
                                    .deadline = TESSERA_FOREVER};
        CHECK(tessera_port_call(client, &call) == 0);
        CHECK(call.answer_bytes == length && answer[0] == (uint8_t)(i + 1));
        progress[(uintptr_t)argument]++;
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned turn;

static void *take_turns(void *argument)
{
    unsigned mine = (uintptr_t)argument % 2;
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (turn % 2 != mine) {
            pthread_cond_wait(&condition, &mutex);
        }
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
        progress[(uintptr_t)argument]++;
    }
}

static void *write_messages(void *argument)
{
    uint32_t number = 0;
    for (;; number++) {
        CHECK(tessera_channel_write(ends[0], &number, sizeof(number), NULL, 0, TESSERA_FOREVER) == 0);
        progress[(uintptr_t)argument]++;
    }
}

static void *read_messages(void *argument)
{
    uint32_t number, expected = 0;
    for (;; expected++) {
        CHECK(tessera_channel_read(ends[1], &number, sizeof(number), NULL, 0, TESSERA_FOREVER) == sizeof(number));
        CHECK(number == expected);
        progress[(uintptr_t)argument]++;
    }
}

int main(void)
{
    static void *(*const functions[WORKERS])(void *) = {take_turns, take_turns, serve, call, write_messages,
                                                        read_messages};
    uint32_t alive = (uint32_t)tessera_handle_named("alive", 5);
    uint64_t seen[WORKERS] = {0};
    port = (uint32_t)tessera_port_create();
    client = (uint32_t)tessera_port_client_create(port, 1);
    CHECK(tessera_channel_create(8, 0, ends) == 0);
    for (uintptr_t i = 0; i < WORKERS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, functions[i], (void *)i) == 0);
    }
    for (uint32_t i = 0; i < WORKERS;) {
        if (progress[i] == seen[i]) {
            tessera_wait_many(NULL, 0, (uint64_t)tessera_time_coarse() + 2000000);
            continue;
        }
        seen[i] = progress[i];
        if (++i == WORKERS) {
            tessera_event_signal(alive);
            i = 0;
        }
    }
}
