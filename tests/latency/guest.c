/* What a program can have the kernel do that takes long: one case for each argument. tests/latency/boot.c measures how
 * late somebody else gets the CPU meanwhile. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define HANDLES  12000
#define ENTRIES  210000
#define CARRIERS 60000
#define BYTES    (UINT32_C(200) << 20)

static uint32_t must(int32_t result)
{
    if (result < 0) {
        exit(2);
    }
    return (uint32_t)result;
}

static uint32_t copy(uint32_t handle)
{
    return must(tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME));
}

/* Many derived from one; each from the one before. */
static void revoke_wide(void)
{
    uint32_t root = must(tessera_event_create(0));
    for (uint32_t i = 0; i < HANDLES; i++) {
        copy(root);
    }
    must(tessera_handle_revoke(root));
    must(tessera_event_create(0)); /* the table is not full, and still has them: they go with the program */
}

static void revoke_deep(void)
{
    uint32_t root = must(tessera_event_create(0)), last = root;
    for (uint32_t i = 0; i < HANDLES; i++) {
        last = copy(last);
    }
    must(tessera_handle_revoke(root));
}

/* The table goes with the program. */
static void many_handles(void)
{
    for (uint32_t i = 0; i < HANDLES; i++) {
        must(tessera_event_create(0));
    }
}

static void full_table(void)
{
    uint32_t event = must(tessera_event_create(0));
    while (tessera_handle_duplicate(event, TESSERA_RIGHTS_SAME) > 0) {
    }
    for (uint32_t i = 0; i < 100; i++) {
        tessera_handle_duplicate(event, TESSERA_RIGHTS_SAME);
    }
}

/* A wait set of many entries, of which the first is taken out and put in again and again. */
static void many_entries(void)
{
    uint32_t event = must(tessera_event_create(0)), set = must(tessera_wait_set_create());
    uint32_t first = must(tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, 0));
    for (uint32_t i = 0; i < ENTRIES; i++) {
        must(tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, i));
    }
    for (uint32_t i = 0; i < 10; i++) {
        must(tessera_wait_set_remove(set, first));
        first = must(tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, i));
        must(tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, i));
    }
}

/* Entries of a wait set for one event, which notifies all of them. */
static void wide_event(void)
{
    uint32_t event = must(tessera_event_create(0)), set = must(tessera_wait_set_create());
    struct tessera_wait_record records[256];
    for (uint32_t i = 0; i < HANDLES; i++) {
        must(tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, i));
    }
    for (uint32_t i = 0; i < 20; i++) {
        must(tessera_event_signal(event));
        must(tessera_event_clear(event));
        tessera_wait_set_wait(set, records, 256, 0); /* none of them says anything */
    }
    must(tessera_handle_close(set));
}

/* The same for an end of a channel. */
static void wide_channel(void)
{
    uint32_t ends[2], set = must(tessera_wait_set_create());
    must(tessera_channel_create(4, 64, ends));
    for (uint32_t i = 0; i < HANDLES; i++) {
        must(tessera_wait_set_add(set, ends[0], TESSERA_SIGNAL_READABLE | TESSERA_SIGNAL_PEER_CLOSED, i));
    }
    for (uint32_t i = 0; i < 4; i++) {
        must(tessera_channel_write(ends[1], &i, sizeof(i), NULL, 0, 0));
    }
    must(tessera_handle_close(ends[1]));
    must(tessera_handle_revoke(ends[0]));
}

/* Client ends of a port that is closed. */
static void clients(void)
{
    uint32_t port = must(tessera_port_create());
    for (uint32_t i = 0; i < 2 * HANDLES; i++) {
        must(tessera_port_client_create(port, i));
    }
    must(tessera_handle_close(port));
}

static void timers(void)
{
    uint32_t set = must(tessera_wait_set_create());
    uint64_t time = (uint64_t)tessera_time_coarse();
    struct tessera_wait_record records[256];
    for (uint32_t i = 0; i < HANDLES; i++) {
        uint32_t timer = must(tessera_timer_create());
        must(tessera_timer_set(timer, time + 1000000000, 0));
        must(tessera_wait_set_add(set, timer, TESSERA_SIGNAL_SIGNALED, i));
    }
    tessera_wait_set_wait(set, records, 256, 0);
    tessera_wait_set_wait(set, records, 256, time + 1100000000);
}

static void messages(void)
{
    uint32_t ends[2], event = must(tessera_event_create(0));
    must(tessera_channel_create(65536, 16 << 20, ends));
    for (uint32_t i = 0; i < HANDLES; i++) {
        uint32_t moved = copy(event);
        must(tessera_channel_write(ends[0], &moved, 4, &moved, 1, 0));
    }
    must(tessera_handle_close(ends[1]));
}

/* Channels in messages, which are looked through for those that nobody can reach when there is no room for more. */
static void carriers(void)
{
    static uint8_t bytes[1 << 16];
    uint32_t ends[2], outer[2], full[4][2];
    must(tessera_channel_create(65536, 16 << 20, outer));
    for (uint32_t i = 0; i < 4; i++) {
        must(tessera_channel_create(65536, 16 << 20, full[i]));
    }
    for (uint32_t i = 0; i < CARRIERS; i++) {
        if (tessera_channel_create(1, 64, ends) || tessera_channel_write(outer[0], NULL, 0, &ends[0], 1, 0) ||
            tessera_handle_close(ends[1])) {
            break;
        }
    }
    for (uint32_t size = sizeof(bytes); size >= 16; size /= 2) {
        for (uint32_t i = 0; i < 4; i++) {
            while (tessera_channel_write(full[i][0], bytes, size, NULL, 0, 0) == 0) {
            }
        }
    }
    for (uint32_t i = 0; i < 5; i++) {
        if (tessera_channel_create(1, 64, ends) == 0) {
            exit(3);
        }
    }
}

static void fill(void)
{
    uint8_t *bytes = malloc(BYTES);
    memset(bytes, 1, BYTES);
    memmove(bytes + 1, bytes, BYTES - 1);
    memmove(bytes, bytes + 1, BYTES - 1);
}

/* Frames of a memory object, shown and hidden. */
static void mapping(void)
{
    uint32_t bytes = 48 << 20, memory = must(tessera_memory_create(bytes));
    uint8_t *place = aligned_alloc(TESSERA_PAGE_BYTES, bytes);
    must(tessera_memory_map(memory, place, 0, bytes, TESSERA_MAP_WRITE));
    memset(place, 1, bytes);
    must(tessera_memory_unmap(place));
    uint32_t derived = copy(memory);
    must(tessera_memory_map(derived, place, 0, bytes, TESSERA_MAP_WRITE));
    must(tessera_handle_revoke(memory));
    must(tessera_memory_unmap(place));
}

static void put(uint8_t **at, uint32_t number)
{
    for (uint32_t i = 0; i < 4; i++) {
        *(*at)++ = (uint8_t)(number >> 7 * i) | 0x80;
    }
    *(*at)++ = (uint8_t)(number >> 28);
}

/* A module of so many functions, each with a body of so many additions. */
static void module(uint32_t functions, uint32_t additions)
{
    uint32_t body = 2 + 3 * additions + 1;
    uint8_t *bytes = malloc(64 + functions * (body + 16)), *at = bytes;
    memcpy(at, "\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3", 16);
    at += 16;
    put(&at, 5 + functions);
    put(&at, functions);
    memset(at, 0, functions);
    at += functions;
    *at++ = 10;
    put(&at, 5 + functions * (5 + body));
    put(&at, functions);
    for (uint32_t i = 0; i < functions; i++) {
        put(&at, body);
        *at++ = 0;
        *at++ = 0x41; /* i32.const 0, and i32.const 1, i32.add for each */
        *at++ = 0;
        for (uint32_t k = 0; k + 1 < additions; k++) {
            memcpy(at, "\x41\1\x6a", 3);
            at += 3;
        }
        *at++ = 0x01; /* nop */
        *at++ = 0x01;
        *at++ = 0x0b;
    }
    must(tessera_module_create(bytes, (uint32_t)(at - bytes)));
}

static void many_functions(void)
{
    module(20000, 40);
}

static void long_functions(void)
{
    module(40, 20000);
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"revoke-wide", revoke_wide},   {"revoke-deep", revoke_deep},  {"handles", many_handles},
                 {"full-table", full_table},     {"entries", many_entries},     {"wide-event", wide_event},
                 {"wide-channel", wide_channel}, {"clients", clients},          {"timers", timers},
                 {"messages", messages},         {"carriers", carriers},        {"fill", fill},
                 {"mapping", mapping},           {"functions", many_functions}, {"long-functions", long_functions}};
    for (uint32_t i = 0; count > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, words[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 3;
}
