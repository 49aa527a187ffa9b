/* The soak test: `soak SECONDS SEED SCALE [PAUSE [revoke]]`. Groups of programs that talk to each other run for so long,
 * and are killed and started again at random moments, one every PAUSE milliseconds (20) on average; with `revoke` only
 * those that revoke and use what is revoked. Whoever makes no progress for STALL
 * seconds is a stall: the test says where everybody is, and fails. So it does when somebody finds something wrong.
 * Status 0: all went on until the end.
 *
 * It starts itself (/tests/soak.wasm) with a role's name as argument; roles.c has the roles. */
#include "tests/soak/soak.h"

#define STALL        (30 * SECOND)
#define MEMBERS      8
#define GROUPS       48
#define LOOK         (200 * MILLISECOND)
#define NAMES        "driver"
#define HANDLES_MOST 16

struct member {
    const char *role;
    uint32_t process; /* 0: it ended */
    uint32_t slot;    /* on the board; 0: none */
    uint32_t alive;   /* an event that it signals instead; 0: none */
    uint64_t progress;
    uint64_t since; /* when it last went on */
};

struct group {
    void (*start)(struct group *group);
    struct member members[MEMBERS];
    uint32_t count;
};

static uint8_t board_place[BOARD_BYTES] __attribute__((aligned(PAGE)));
static struct board *const board = (struct board *)(void *)board_place;
static uint32_t board_memory, module, threads_module, shared_port, shared_client, wait_set;
static struct group groups[GROUPS];
static uint32_t group_count, slot_next;
static uint64_t kills, rounds_of_ended, started;

/* ---- Failures ---- */

static void dump_processes(void)
{
    static struct tessera_process_information list[256];
    uint64_t position = 0;
    int32_t count = tessera_process_list(TESSERA_SYSTEM, &position, list, 256);
    for (int32_t i = 0; i < count; i++) {
        printf("  process %u %s: %u threads, cpu %llu ms, %llu switches, calls %llu/%llu, messages %llu/%llu, handles %u\n",
               list[i].id, list[i].name, list[i].threads, (unsigned long long)(list[i].cpu_nanoseconds / MILLISECOND),
               (unsigned long long)list[i].switches, (unsigned long long)list[i].calls_made,
               (unsigned long long)list[i].calls_served, (unsigned long long)list[i].messages_sent,
               (unsigned long long)list[i].messages_received, list[i].handles);
    }
}

_Noreturn static void give_up(const char *why, const struct member *who)
{
    uint64_t time = now();
    printf("soak: %s: %s\n", who ? who->role : NAMES, why);
    for (uint32_t i = 0; i < group_count; i++) {
        for (uint32_t k = 0; k < groups[i].count; k++) {
            const struct member *member = &groups[i].members[k];
            struct tessera_process_status status = {0};
            if (member->process) {
                tessera_process_status(member->process, &status, sizeof(status));
            }
            printf("  %u.%u %s: process %u, state %u, round %llu, line %u, went on %llu ms ago%s\n", i, k, member->role,
                   status.id, status.state, (unsigned long long)board->slots[member->slot].progress,
                   board->slots[member->slot].step, (unsigned long long)((time - member->since) / MILLISECOND),
                   member == who ? " <--" : "");
        }
    }
    dump_processes();
    fflush(stdout);
    exit(1);
}

#define EXPECT(condition, who)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            give_up("driver.c: " #condition, who);                                                                     \
    } while (0)

static uint32_t must(int32_t handle)
{
    if (handle <= 0) {
        printf("driver: %d\n", handle);
    }
    EXPECT(handle > 0, NULL);
    return (uint32_t)handle;
}

static uint32_t copy(uint32_t handle)
{
    return must(tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME));
}

/* ---- Starting programs ---- */

struct wiring {
    const char *names[HANDLES_MOST];
    uint32_t handles[HANDLES_MOST], count;
};

static void wire(struct wiring *wiring, const char *name, uint32_t handle)
{
    wiring->names[wiring->count] = name;
    wiring->handles[wiring->count++] = handle;
}

static int add_field(char *text, int length, const char *key, const char *value)
{
    return length + 1 + snprintf(text + length, (size_t)(1000 - length), "%s=%s", key, value);
}

/* A member more in the group; the handles become its own. */
static struct member *launch(struct group *group, uint32_t of_module, const char *role, struct wiring *wiring,
                             const char *memory)
{
    struct member *member = &group->members[group->count++];
    char text[1000], number[24];
    int length = 0;
    *member = (struct member){.role = role, .since = now()};
    if (of_module == module) {
        slot_next = slot_next % SLOTS + 1;
        member->slot = slot_next;
        memset(&board->slots[slot_next], 0, sizeof(struct slot));
        wire(wiring, "board", copy(board_memory));
        wire(wiring, "clock", copy(TESSERA_CLOCK));
    }
    length = add_field(text, length, "name", role);
    length = add_field(text, length, "streams", "1");
    length = add_field(text, length, "argument", "soak");
    length = add_field(text, length, "argument", role);
    snprintf(number, sizeof(number), "%u", member->slot);
    length = add_field(text, length, "argument", number);
    snprintf(number, sizeof(number), "%u", random_below(1u << 30));
    length = add_field(text, length, "argument", number);
    length = add_field(text, length, "memory", memory);
    length = add_field(text, length, "objects", "1500000");
    length = add_field(text, length, "handles", "200");
    length = add_field(text, length, "threads", of_module == module ? "8" : "12");
    length = add_field(text, length, "share", "500");
    for (uint32_t i = 0; i < wiring->count; i++) {
        length = add_field(text, length, "handle", wiring->names[i]);
    }
    member->process =
        must(tessera_process_create(of_module, text, (uint32_t)length, wiring->handles, wiring->count));
    EXPECT(tessera_process_start(member->process) == 0, member);
    wiring->count = 0;
    return member;
}

#define SMALL "1048576"

/* ---- The groups ---- */

static void start_server(struct group *group)
{
    struct wiring wiring = {.count = 0};
    wire(&wiring, "port", copy(shared_port));
    launch(group, module, "serve", &wiring, SMALL);
}

static void start_caller(struct group *group)
{
    struct wiring wiring = {.count = 0};
    wire(&wiring, "client", copy(shared_client));
    launch(group, module, "call", &wiring, SMALL);
}

/* A server that is the only one with its port: callers hear of its end. */
static void start_own_server(struct group *group)
{
    struct wiring wiring = {.count = 0};
    uint32_t port = must(tessera_port_create()), client = must(tessera_port_client_create(port, 7));
    wire(&wiring, "client", copy(client));
    launch(group, module, "call", &wiring, SMALL);
    wire(&wiring, "client", client);
    launch(group, module, "call", &wiring, SMALL);
    wire(&wiring, "port", port);
    launch(group, module, "serve", &wiring, SMALL);
}

static void start_talk(struct group *group)
{
    uint32_t ends[2];
    struct wiring wiring = {.count = 0};
    EXPECT(tessera_channel_create(0, 0, ends) == 0, NULL);
    wire(&wiring, "channel", ends[0]);
    wire(&wiring, "patient", must(tessera_event_create(0)));
    launch(group, module, "talk", &wiring, SMALL);
    wire(&wiring, "channel", ends[1]);
    launch(group, module, "talk", &wiring, SMALL);
}

static void start_ping(struct group *group)
{
    struct wiring wiring = {.count = 0};
    uint32_t events[] = {must(tessera_event_create(0)), must(tessera_event_create(TESSERA_EVENT_EXCLUSIVE))};
    uint32_t memory = must(tessera_memory_create(PAGE));
    wire(&wiring, "mine", copy(events[0]));
    wire(&wiring, "other", copy(events[1]));
    wire(&wiring, "memory", copy(memory));
    wire(&wiring, "first", must(tessera_event_create(0)));
    launch(group, module, "ping", &wiring, SMALL);
    wire(&wiring, "mine", events[1]);
    wire(&wiring, "other", events[0]);
    wire(&wiring, "memory", memory);
    launch(group, module, "ping", &wiring, SMALL);
}

static void start_collect(struct group *group)
{
    static const char *const names[2][4] = {{"event-0-0", "event-0-1", "event-0-2", "event-0-3"},
                                            {"event-1-0", "event-1-1", "event-1-2", "event-1-3"}};
    static const char *const answer_names[] = {"answer-0", "answer-1"};
    struct wiring collector = {.count = 0};
    uint32_t memory = must(tessera_memory_create(PAGE));
    for (uint32_t who = 0; who < 2; who++) {
        struct wiring asker = {.count = 0};
        uint32_t answer = must(tessera_event_create(0));
        wire(&asker, answer_names[who], copy(answer));
        wire(&collector, answer_names[who], answer);
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t event = must(tessera_event_create(0));
            wire(&asker, names[who][i], copy(event));
            wire(&collector, names[who][i], event);
        }
        wire(&asker, "memory", copy(memory));
        launch(group, module, "ask", &asker, SMALL);
    }
    wire(&collector, "memory", memory);
    launch(group, module, "collect", &collector, SMALL);
}

static void start_spawn(struct group *group)
{
    struct wiring wiring = {.count = 0};
    wire(&wiring, "module", copy(module));
    launch(group, module, "spawn", &wiring, "8388608");
}

static void start_revoke(struct group *group)
{
    static const char *const names[] = {"holder-0", "holder-1", "holder-2", "holder-3"};
    struct wiring revoker = {.count = 0};
    uint32_t stamps = must(tessera_memory_create(PAGE)), ring[3][2], ends[2];
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT(tessera_channel_create(4, 0, ring[i]) == 0, NULL);
    }
    for (uint32_t i = 0; i < 4; i++) {
        struct wiring holder = {.count = 0};
        EXPECT(tessera_channel_create(2, 0, ends) == 0, NULL);
        wire(&revoker, names[i], ends[0]);
        wire(&holder, "from", ends[1]);
        wire(&holder, "stamps", copy(stamps));
        if (i < 3) {
            wire(&holder, "right", ring[i][0]);
            wire(&holder, "left", ring[(i + 1) % 3][1]);
        }
        launch(group, module, i < 3 ? "hold" : "map", &holder, SMALL);
    }
    wire(&revoker, "stamps", stamps);
    launch(group, module, "revoke", &revoker, SMALL);
}

static void start_threads(struct group *group)
{
    struct wiring wiring = {.count = 0};
    uint32_t alive = must(tessera_event_create(0));
    wire(&wiring, "alive", copy(alive));
    launch(group, threads_module, "threads", &wiring, "8388608")->alive = alive;
}

/* How many of each for one CPU and a half. */
static const struct {
    void (*start)(struct group *group);
    uint32_t count;
} kinds[] = {{start_server, 2}, {start_caller, 2},  {start_own_server, 1}, {start_talk, 1},   {start_ping, 1},
             {start_collect, 1}, {start_spawn, 1},  {start_revoke, 1},     {start_threads, 1}};

static bool is_wanted(uint32_t kind, const char *only)
{
    return !only || (strcmp(only, "revoke") == 0 && kinds[kind].start == start_revoke);
}

/* ---- Their ends ---- */

static bool is_fine(const struct member *member, const struct tessera_process_status *status)
{
    if (board->slots[member->slot].failed && member->slot) {
        return false;
    }
    if (status->state == TESSERA_PROCESS_EXITED) {
        return status->exit_status == 0;
    }
    return strcmp(status->reason, "killed") == 0 ||
           (strcmp(member->role, "serve") == 0 && strcmp(status->reason, "unreachable") == 0) ||
           (strcmp(member->role, "map") == 0 && strcmp(status->reason, "access that a mapping does not allow") == 0);
}

static void end_member(struct member *member)
{
    struct tessera_process_status status = {0};
    struct slot *slot = &board->slots[member->slot];
    EXPECT(tessera_process_kill(member->process) == 0, member);
    int32_t seen = tessera_wait_one(member->process, TESSERA_SIGNAL_EXITED, now() + STALL);
    EXPECT(seen == TESSERA_SIGNAL_EXITED, member);
    EXPECT(tessera_process_status(member->process, &status, sizeof(status)) == sizeof(status), member);
    rounds_of_ended += slot->progress;
    if (!is_fine(member, &status)) {
        printf("%s ended with status %u, %s; line %u: %s\n", member->role, status.conventional_status, status.reason,
               slot->failed, slot->note);
        give_up("found something wrong", member);
    }
    EXPECT(tessera_handle_close(member->process) == 0, member);
    if (member->alive) {
        EXPECT(tessera_handle_close(member->alive) == 0, member);
    }
    member->process = member->alive = 0;
}

static void end_group(struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        tessera_process_kill(group->members[i].process);
    }
    for (uint32_t i = 0; i < group->count; i++) {
        end_member(&group->members[i]);
    }
    group->count = 0;
}

static void start_group(struct group *group)
{
    started++;
    group->start(group);
    for (uint32_t i = 0; i < group->count; i++) {
        int32_t entry = tessera_wait_set_add(wait_set, group->members[i].process, TESSERA_SIGNAL_EXITED,
                                             (uint64_t)(group - groups));
        EXPECT(entry >= 0, &group->members[i]);
    }
}

/* ---- Watching ---- */

static void look_at(struct member *member, uint64_t time)
{
    uint64_t progress = board->slots[member->slot].progress;
    if (member->alive && tessera_wait_one(member->alive, TESSERA_SIGNAL_SIGNALED, 0) > 0) {
        tessera_event_clear(member->alive);
        progress = member->progress + 1;
    } else if (member->alive) {
        progress = member->progress;
    }
    if (progress != member->progress) {
        member->progress = progress;
        member->since = time;
    } else if (time - member->since > STALL) {
        give_up("no progress", member);
    }
}

static void look_at_all(void)
{
    uint64_t time = now();
    for (uint32_t i = 0; i < group_count; i++) {
        for (uint32_t k = 0; k < groups[i].count; k++) {
            look_at(&groups[i].members[k], time);
        }
    }
}

static bool has_ended(const struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (tessera_wait_one(group->members[i].process, TESSERA_SIGNAL_EXITED, 0) > 0) {
            return true;
        }
    }
    return false;
}

static void kill_somebody(void)
{
    struct group *group = &groups[random_below(group_count)];
    kills++;
    EXPECT(tessera_process_kill(group->members[random_below(group->count)].process) == 0, NULL);
}

/* Entries of the set stay when a process is gone: they are forgotten by a new set. */
static void renew_wait_set(void)
{
    tessera_handle_close(wait_set);
    wait_set = must(tessera_wait_set_create());
    for (uint32_t i = 0; i < group_count; i++) {
        for (uint32_t k = 0; k < groups[i].count; k++) {
            EXPECT(tessera_wait_set_add(wait_set, groups[i].members[k].process, TESSERA_SIGNAL_EXITED, i) >= 0, NULL);
        }
    }
}

static void run_until(uint64_t end, uint32_t pause)
{
    uint64_t look = now(), kill = look;
    for (uint64_t time = look; time < end; time = now()) {
        struct tessera_wait_record records[16];
        int32_t count = tessera_wait_set_wait(wait_set, records, 16, kill < look ? kill : look);
        EXPECT(count > 0 || count == -TESSERA_ETIMEOUT, NULL);
        for (int32_t i = 0; i < count; i++) {
            struct group *group = &groups[records[i].key];
            if (has_ended(group)) { /* else it is of those that were there before */
                end_group(group);
                start_group(group);
            }
        }
        if (count > 0) {
            renew_wait_set();
        }
        time = now();
        if (time >= kill) {
            kill_somebody();
            kill = time + random_below(2 * pause) * MILLISECOND;
        }
        if (time >= look) {
            look_at_all();
            look = time + LOOK;
        }
    }
}

/* Children of those that ended are ended by that, but nobody waited for them. */
static void wait_for_children(void)
{
    static struct tessera_process_information list[2];
    uint64_t position = 0, end = now() + STALL;
    while (tessera_process_list(TESSERA_SYSTEM, &position, list, 2) > 1) {
        EXPECT(now() < end, NULL);
        tessera_wait_many(NULL, 0, now() + 5 * MILLISECOND);
        position = 0;
    }
    tessera_wait_many(NULL, 0, now() + 50 * MILLISECOND); /* the last of them has left the list, but not all else */
}

/* ---- All of it ---- */

static uint32_t load(const char *path)
{
    return must(tessera_module_load(path, (uint32_t)strlen(path)));
}

int main(int count, char **words)
{
    role_function *role = count > 1 ? find_role(words[1]) : NULL;
    if (role) {
        if (count > 3) {
            attach(words[2], words[3]);
        }
        return role();
    }
    if (count < 4) {
        printf("soak SECONDS SEED SCALE [PAUSE [revoke]]\n");
        return 2;
    }
    uint32_t scale = (uint32_t)atoi(words[3]), pause = count > 4 ? (uint32_t)atoi(words[4]) : 20;
    const char *only = count > 5 ? words[5] : NULL;
    uint64_t end = now() + strtoull(words[1], NULL, 0) * SECOND;
    random_state = strtoull(words[2], NULL, 0) * 0x9e3779b97f4a7c15 | 1;
    board_memory = must(tessera_memory_create(BOARD_BYTES));
    EXPECT(tessera_memory_map(board_memory, board_place, 0, BOARD_BYTES, TESSERA_MAP_WRITE) == 0, NULL);
    module = load("/tests/soak.wasm");
    threads_module = load("/tests/threads.wasm");
    shared_port = must(tessera_port_create());
    shared_client = must(tessera_port_client_create(shared_port, 1));
    wait_set = must(tessera_wait_set_create());
    for (uint32_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        for (uint32_t i = 0; is_wanted(kind, only) && i < kinds[kind].count * scale && group_count < GROUPS; i++) {
            groups[group_count].start = kinds[kind].start;
            start_group(&groups[group_count++]);
        }
    }
    run_until(end, pause);
    for (uint32_t i = 0; i < group_count; i++) {
        end_group(&groups[i]);
    }
    wait_for_children();
    printf("soak: %llu groups started, %llu kills, %llu rounds\n", (unsigned long long)started,
           (unsigned long long)kills, (unsigned long long)rounds_of_ended);
    return 0;
}
