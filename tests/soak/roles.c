/* The workers of the soak test: each does one thing for ever, checks what it sees, and counts. They end when a partner
 * is gone (status 0), when the driver kills them, or with a note on the board when something was wrong. */
#include "tests/soak/soak.h"

#define MESSAGE_BYTES TESSERA_MESSAGE_BYTES
#define CHANNEL_BYTES 200000

static uint8_t buffer[CHANNEL_BYTES], second[CHANNEL_BYTES];

/* ---- Calls ---- */

#define KEPT_MAXIMUM 4
static struct {
    uint32_t reply, length;
    uint8_t bytes[64];
} kept[KEPT_MAXIMUM];
static uint32_t kept_count;

static void answer_kept(void)
{
    while (kept_count) {
        kept_count--;
        struct tessera_answer answer = {.bytes = kept[kept_count].bytes, .length = kept[kept_count].length};
        int32_t status = tessera_reply_send(kept[kept_count].reply, &answer);
        CHECK(status == 0 || status == -TESSERA_EPEER, status);
    }
}

/* Keep a call for later: its answer comes when there are enough, or when nobody calls for a while. */
static bool keep(uint32_t port, const struct tessera_request *request)
{
    if (request->length > sizeof(kept[0].bytes) || kept_count == KEPT_MAXIMUM || request->handle_count) {
        return false;
    }
    int32_t reply = tessera_port_defer(port);
    CHECK(reply > 0, reply);
    kept[kept_count].reply = (uint32_t)reply;
    kept[kept_count].length = request->length;
    memcpy(kept[kept_count++].bytes, buffer, request->length);
    return true;
}

/* Sends back what it gets, handles too. Now and then it ends in the middle of a call. */
static int serve(void)
{
    uint32_t port = named("port"), handles[TESSERA_MESSAGE_HANDLES];
    struct tessera_answer answer = {.bytes = buffer, .handles = handles};
    bool has_answer = false;
    for (;;) {
        struct tessera_request request = {.bytes = buffer,
                                          .capacity = MESSAGE_BYTES,
                                          .handles = handles,
                                          .handle_capacity = TESSERA_MESSAGE_HANDLES,
                                          .deadline = now() + (kept_count ? 2 : 500) * MILLISECOND};
        AT();
        int32_t status = has_answer ? tessera_port_reply_receive(port, &answer, &request)
                                    : tessera_port_receive(port, &request);
        AT();
        has_answer = false;
        PROGRESS();
        if (status == -TESSERA_EPEER) {
            return 0;
        }
        if (status == -TESSERA_ETIMEOUT) {
            answer_kept();
            continue;
        }
        CHECK(status == 0, status);
        uint32_t chance = random_below(4096);
        if (chance == 0) {
            __builtin_trap();
        }
        if (chance == 1) {
            return 0;
        }
        if (chance < 400 && keep(port, &request)) {
            continue;
        }
        if (chance > 4000) {
            answer_kept();
        }
        if (chance % 16 == 3) {
            spin(random_below(20000));
        }
        answer.length = request.length;
        answer.handle_count = request.handle_count;
        has_answer = true;
    }
}

static uint32_t random_length(uint32_t most)
{
    uint32_t chance = random_below(16);
    return random_below(chance < 10 ? 64 : chance < 14 ? 4096 : most) + 8;
}

static void fill(uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 509) {
        bytes[i] = (uint8_t)random_below(256);
    }
    bytes[length - 1] = (uint8_t)random_below(256);
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 509) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return a[length - 1] == b[length - 1];
}

static int call(void)
{
    uint32_t client = named("client");
    for (;;) {
        uint32_t length = random_length(MESSAGE_BYTES - 8), sent = random_below(8) ? 0 : 1 + random_below(3);
        uint32_t handles[4], back[4];
        fill(buffer, length);
        for (uint32_t i = 0; i < sent; i++) {
            AT();
            handles[i] = HANDLE(tessera_event_create(0));
        }
        struct tessera_call call = {.request = buffer,
                                    .request_bytes = length,
                                    .request_handles = handles,
                                    .request_handle_count = sent,
                                    .answer = second,
                                    .answer_capacity = MESSAGE_BYTES,
                                    .answer_handles = back,
                                    .answer_handle_capacity = 4,
                                    .deadline = random_below(5) ? TESSERA_FOREVER
                                                                : now() + random_below(20) * MILLISECOND / 2};
        AT();
        int32_t status = tessera_port_call(client, &call);
        AT();
        CHECK(status == 0 || status == -TESSERA_EPEER || status == -TESSERA_ETIMEOUT, status);
        CHECK(status != -TESSERA_ETIMEOUT || call.deadline != TESSERA_FOREVER, status);
        if (status == 0) {
            CHECK(call.answer_bytes == length && same(buffer, second, length), call.answer_bytes);
            CHECK(call.answer_handle_count == sent, call.answer_handle_count);
            for (uint32_t i = 0; i < sent; i++) {
                CHECK(tessera_event_signal(back[i]) == 0, i);
                CHECK(tessera_handle_close(back[i]) == 0, i);
            }
        }
        PROGRESS();
        if (status == -TESSERA_EPEER && tessera_wait_one(client, TESSERA_SIGNAL_PEER_CLOSED, 0) > 0) {
            return 0;
        }
    }
}

/* ---- Channels ---- */

struct header {
    uint32_t sequence, length;
};

static bool write_one(uint32_t channel, uint32_t *sequence)
{
    uint32_t length = random_length(random_below(8) ? 4096 : CHANNEL_BYTES - 8);
    uint32_t count = random_below(10) ? 0 : 2, handles[2];
    struct header header = {*sequence, length};
    fill(buffer, length);
    memcpy(buffer, &header, sizeof(header));
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = HANDLE(tessera_event_create(0));
    }
    AT();
    int32_t status = tessera_channel_write(channel, buffer, length, handles, count,
                                           random_below(4) ? 0 : now() + 5 * MILLISECOND);
    if (status == 0) {
        (*sequence)++;
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK(tessera_handle_close(handles[i]) == 0, i);
    }
    CHECK(status == -TESSERA_EAGAIN || status == -TESSERA_ETIMEOUT || status == -TESSERA_EPEER, status);
    return status != -TESSERA_EPEER;
}

static bool read_one(uint32_t channel, uint32_t *sequence, bool patient)
{
    uint32_t handles[2];
    struct header header;
    AT();
    int32_t status = tessera_channel_read(channel, second, sizeof(second), handles, 2, patient ? TESSERA_FOREVER : 0);
    if (status == -TESSERA_EAGAIN || status == -TESSERA_EPEER) {
        return status == -TESSERA_EAGAIN;
    }
    CHECK(status >= (int32_t)sizeof(header), status);
    memcpy(&header, second, sizeof(header));
    CHECK(header.sequence == (*sequence)++ && header.length == (uint32_t)status, header.sequence);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(!handles[i] || tessera_handle_close(handles[i]) == 0, i);
    }
    PROGRESS();
    return true;
}

/* One of two that write to each other. One of them (`patient`) waits for messages as long as it takes. */
static int talk(void)
{
    uint32_t channel = named("channel"), sent = 0, received = 0;
    bool patient = named("patient") != 0;
    for (;;) {
        bool writes = random_below(2);
        if (!(writes ? write_one(channel, &sent) : read_one(channel, &received, patient && random_below(4) == 0))) {
            return 0;
        }
        if (!patient && random_below(64) == 0) {
            AT();
            tessera_wait_one(channel, TESSERA_SIGNAL_READABLE | TESSERA_SIGNAL_PEER_CLOSED, now() + 20 * MILLISECOND);
        }
    }
}

/* ---- Shared memory and events ---- */

struct turn {
    _Atomic uint32_t turn;
    _Atomic uint32_t value;
};
static uint8_t shared_place[PAGE] __attribute__((aligned(PAGE)));

/* Two take turns; a wake that is lost leaves both asleep. */
static int ping(void)
{
    struct turn *turn = (struct turn *)(void *)shared_place;
    uint32_t mine = named("mine"), other = named("other"), side = named("first") ? 0 : 1;
    CHECK(tessera_memory_map(named("memory"), shared_place, 0, PAGE, TESSERA_MAP_WRITE) == 0, 0);
    for (;;) {
        while (turn->turn % 2 != side) {
            AT();
            int32_t seen = tessera_wait_one(mine, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
            CHECK(seen == TESSERA_SIGNAL_SIGNALED, seen);
            AT();
            CHECK(tessera_event_clear(mine) == 0, 0);
        }
        CHECK(turn->value == turn->turn, turn->value);
        turn->value = turn->turn + 1;
        turn->turn++;
        AT();
        CHECK(tessera_event_signal(other) == 0, 0);
        PROGRESS();
        if (random_below(32) == 0) {
            spin(random_below(5000));
        }
    }
}

/* ---- Wait sets ---- */

#define TICKETS 4
#define TIMERS  6
struct tickets {
    _Atomic uint32_t asked[2][TICKETS], answered[2][TICKETS];
};

static const char *event_name(uint32_t who, uint32_t event)
{
    static char name[16];
    snprintf(name, sizeof(name), "event-%u-%u", (unsigned)who, (unsigned)event);
    return name;
}

static const char *answer_name(uint32_t who)
{
    return who ? "answer-1" : "answer-0";
}

/* Answers tickets of two others, which come as events in a wait set; with timers in it, and entries that come and go. */
static int collect(void)
{
    struct tickets *tickets = (struct tickets *)(void *)shared_place;
    uint32_t set = HANDLE(tessera_wait_set_create()), events[2][TICKETS], entries[2][TICKETS], answers[2];
    uint32_t timers[TIMERS];
    CHECK(tessera_memory_map(named("memory"), shared_place, 0, PAGE, TESSERA_MAP_WRITE) == 0, 0);
    for (uint32_t i = 0; i < 2 * TICKETS; i++) {
        uint32_t who = i / TICKETS, ticket = i % TICKETS;
        answers[who] = named(answer_name(who));
        events[who][ticket] = named(event_name(who, ticket));
        int32_t entry = tessera_wait_set_add(set, events[who][ticket], TESSERA_SIGNAL_SIGNALED, i);
        CHECK(entry >= 0, entry);
        entries[who][ticket] = (uint32_t)entry;
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i] = HANDLE(tessera_timer_create());
        CHECK(tessera_timer_set(timers[i], now() + i * MILLISECOND, (i + 3) * 5 * MILLISECOND) == 0, i);
        CHECK(tessera_wait_set_add(set, timers[i], TESSERA_SIGNAL_SIGNALED, 100 + i) >= 0, i);
    }
    for (;;) {
        struct tessera_wait_record records[8];
        AT();
        int32_t count = tessera_wait_set_wait(set, records, 1 + random_below(8), TESSERA_FOREVER);
        AT();
        CHECK(count > 0, count);
        for (int32_t i = 0; i < count; i++) {
            uint32_t key = (uint32_t)records[i].key, who = key / TICKETS, ticket = key % TICKETS;
            if (key >= 100) {
                tessera_timer_read(timers[key - 100]);
                continue;
            }
            CHECK(tessera_event_clear(events[who][ticket]) == 0, key);
            tickets->answered[who][ticket] = tickets->asked[who][ticket];
            CHECK(tessera_event_signal(answers[who]) == 0, key);
            if (random_below(16) == 0) { /* there is nothing between out and in that is not seen */
                CHECK(tessera_wait_set_remove(set, entries[who][ticket]) == 0, key);
                int32_t entry = tessera_wait_set_add(set, events[who][ticket], TESSERA_SIGNAL_SIGNALED, key);
                CHECK(entry >= 0, entry);
                entries[who][ticket] = (uint32_t)entry;
            } else if (random_below(16) == 0) {
                CHECK(tessera_wait_set_change(set, entries[who][ticket], 0) == 0, key);
                CHECK(tessera_wait_set_change(set, entries[who][ticket], TESSERA_SIGNAL_SIGNALED) == 0, key);
            }
        }
        PROGRESS();
    }
}

static int ask(void)
{
    struct tickets *tickets = (struct tickets *)(void *)shared_place;
    uint32_t who = named("event-1-0") ? 1 : 0, answered = named(answer_name(who)), events[TICKETS];
    CHECK(tessera_memory_map(named("memory"), shared_place, 0, PAGE, TESSERA_MAP_WRITE) == 0, 0);
    for (uint32_t i = 0; i < TICKETS; i++) {
        events[i] = named(event_name(who, i));
    }
    for (;;) {
        uint32_t ticket = random_below(TICKETS);
        tickets->asked[who][ticket]++;
        AT();
        CHECK(tessera_event_signal(events[ticket]) == 0, ticket);
        while (tickets->answered[who][ticket] != tickets->asked[who][ticket]) {
            AT();
            CHECK(tessera_wait_one(answered, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER) > 0, ticket);
            CHECK(tessera_event_clear(answered) == 0, ticket);
        }
        PROGRESS();
    }
}

/* ---- Processes ---- */

/* Makes programs and ends them at any moment. */
static int spawn(void)
{
    static const char *const lives[] = {"loop", "sleep", "exit", "trap", "busy"};
    uint32_t module = named("module"), board = named("board");
    for (;;) {
        const char *life = lives[random_below(5)];
        char text[256];
        int length = snprintf(text, sizeof(text), "name=%s%cargument=soak%cargument=%s%chandle=board%cmemory=1048576%c"
                              "objects=65536%chandles=40%cthreads=1%cshare=20%c",
                              life, 0, 0, life, 0, 0, 0, 0, 0, 0, 0);
        AT();
        uint32_t handles[] = {HANDLE(tessera_handle_duplicate(board, TESSERA_RIGHTS_SAME))};
        int32_t child = tessera_process_create(module, text, (uint32_t)length, handles, 1);
        if (child == -TESSERA_ELIMIT) { /* those whose last handle was closed have not all ended yet */
            tessera_handle_close(handles[0]);
            tessera_wait_many(NULL, 0, now() + MILLISECOND);
            continue;
        }
        CHECK(child > 0, child);
        uint32_t process = (uint32_t)child;
        AT();
        if (random_below(16)) {
            CHECK(tessera_process_start(process) == 0, 0);
        }
        uint32_t chance = random_below(4);
        if (chance == 1) {
            spin(random_below(40000));
        } else if (chance == 2) {
            tessera_wait_one(process, TESSERA_SIGNAL_EXITED, now() + random_below(3000) * 1000);
        }
        if (random_below(8)) {
            AT();
            CHECK(tessera_process_kill(process) == 0, 0);
            AT();
            CHECK(tessera_wait_one(process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) > 0, 0);
            struct tessera_process_status status;
            CHECK(tessera_process_status(process, &status, sizeof(status)) == sizeof(status), 0);
            CHECK(status.conventional_status == 137 || status.conventional_status == 3 ||
                      status.conventional_status == 134, status.conventional_status);
            CHECK(tessera_handle_close(process) == 0, 0);
        } else { /* it is killed by that, and ends when it does */
            CHECK(tessera_handle_close(process) == 0, 0);
            AT();
            tessera_wait_many(NULL, 0, now() + 10 * MILLISECOND);
        }
        PROGRESS();
    }
}

/* Lives of those children. They have no place on the board. */
static int loop(void)
{
    for (;;) {
        spin(1000000);
    }
}

static int sleep_for_ever(void)
{
    uint32_t event = (uint32_t)tessera_event_create(0);
    return tessera_wait_one(event, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER);
}

static int leave(void)
{
    return 3;
}

static int trap(void)
{
    __builtin_trap();
}

/* Objects of all kinds, to be found in any state. */
static int busy(void)
{
    for (;;) {
        uint32_t ends[2], event = (uint32_t)tessera_event_create(TESSERA_EVENT_EXCLUSIVE), moved = event;
        uint32_t set = (uint32_t)tessera_wait_set_create();
        if (tessera_channel_create(0, 0, ends) == 0) {
            tessera_wait_set_add(set, ends[0], TESSERA_SIGNAL_READABLE, 1);
            tessera_wait_set_add(set, event, TESSERA_SIGNAL_SIGNALED, 2);
            tessera_channel_write(ends[1], buffer, 3000, &moved, 1, 0);
            tessera_channel_write(ends[0], buffer, 3, &ends[1], 1, 0);
        }
        if (tessera_memory_map(named("board"), shared_place, 0, PAGE, 0) == 0) {
            tessera_memory_unmap(shared_place);
        }
        tessera_handle_close(set);
        tessera_handle_close(ends[0]);
        tessera_handle_close(ends[1]);
        tessera_handle_close(event);
        uint32_t port = (uint32_t)tessera_port_create(), client = (uint32_t)tessera_port_client_create(port, 1);
        struct tessera_call call = {.request = buffer, .request_bytes = 1, .deadline = now() + MILLISECOND};
        tessera_port_call(client, &call);
        tessera_handle_close(port);
        tessera_handle_close(client);
    }
}

role_function *find_role(const char *name)
{
    static const struct {
        const char *name;
        role_function *function;
    } roles[] = {{"serve", serve}, {"call", call},   {"talk", talk},         {"ping", ping},
                 {"collect", collect}, {"ask", ask}, {"spawn", spawn},       {"loop", loop},
                 {"sleep", sleep_for_ever}, {"exit", leave}, {"trap", trap}, {"busy", busy},
                 {"revoke", revoke_role}, {"hold", hold_role}, {"map", map_role}};
    for (uint32_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, name) == 0) {
            return roles[i].function;
        }
    }
    return NULL;
}
