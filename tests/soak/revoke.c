/* Revocation while others use what is revoked.
 *
 * One program ("revoke") makes objects in rounds, gives handles that are derived from its own to the others, revokes
 * them at a random moment, and then writes the round's number where all can see it. The others use the handles in all
 * ways, duplicate them, and send them on to each other. Each notes the last round that was over *before* it began: if
 * something then works through a handle of that round or an earlier one, the revocation was not complete when it
 * returned. */
#include "tests/soak/soak.h"

#define HOLDERS 3

struct stamps {
    _Atomic uint32_t over; /* rounds up to this one are revoked */
};
static uint8_t stamps_place[PAGE] __attribute__((aligned(PAGE)));
static uint8_t mapped_place[PAGE] __attribute__((aligned(PAGE)));

static struct stamps *show_stamps(void)
{
    CHECK(tessera_memory_map(named("stamps"), stamps_place, 0, PAGE, TESSERA_MAP_WRITE) == 0, 0);
    return (struct stamps *)(void *)stamps_place;
}

static const char *holder_name(uint32_t i)
{
    static const char *const names[] = {"holder-0", "holder-1", "holder-2", "holder-3"};
    return names[i];
}

enum { EVENT, MEMORY, CLIENT, KINDS };

/* ---- The one that revokes ---- */

/* A handle derived from `root`, at a random depth; those between are closed or stay. */
static uint32_t derive(uint32_t root, uint32_t *rest, uint32_t *count)
{
    uint32_t handle = HANDLE(tessera_handle_duplicate(root, TESSERA_RIGHTS_SAME));
    for (uint32_t depth = random_below(3); depth; depth--) {
        uint32_t next = HANDLE(tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME));
        if (random_below(2)) {
            CHECK(tessera_handle_close(handle) == 0, 0);
        } else {
            rest[(*count)++] = handle;
        }
        handle = next;
    }
    return handle;
}

int revoke_role(void)
{
    struct stamps *stamps = show_stamps();
    uint32_t port = HANDLE(tessera_port_create());
    for (uint32_t round = 1;; round++) {
        uint32_t roots[KINDS], rest[64], count = 0;
        AT();
        roots[EVENT] = HANDLE(tessera_event_create(0));
        roots[MEMORY] = HANDLE(tessera_memory_create(PAGE));
        roots[CLIENT] = HANDLE(tessera_port_client_create(port, round));
        for (uint32_t i = 0; i < HOLDERS + 1; i++) {
            uint32_t handles[KINDS];
            for (uint32_t kind = 0; kind < KINDS; kind++) {
                handles[kind] = derive(roots[kind], rest, &count);
            }
            AT();
            int32_t status = tessera_channel_write(named(holder_name(i)), &round, sizeof(round), handles, KINDS, 0);
            if (status == -TESSERA_EPEER) {
                return 0;
            }
            CHECK(status == 0 || status == -TESSERA_EAGAIN, status);
            for (uint32_t kind = 0; status && kind < KINDS; kind++) {
                rest[count++] = handles[kind];
            }
        }
        AT();
        uint32_t chance = random_below(8);
        if (chance == 0) {
            tessera_wait_many(NULL, 0, now() + MILLISECOND);
        } else {
            spin(random_below(1u << (8 + chance)));
        }
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            AT();
            CHECK(tessera_handle_revoke(roots[kind]) == 0, kind);
        }
        stamps->over = round;
        while (count) {
            CHECK(tessera_handle_close(rest[--count]) == -TESSERA_EHANDLE, count);
        }
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            CHECK(tessera_handle_close(roots[kind]) == 0, kind);
        }
        PROGRESS();
    }
}

/* ---- Those that use ---- */

/* One use of a handle; whether it could be used is whether this is not -TESSERA_EHANDLE. */
static int32_t use(uint32_t kind, uint32_t handle, uint32_t how)
{
    static const uint32_t signals[] = {TESSERA_SIGNAL_SIGNALED, TESSERA_SIGNAL_READABLE, TESSERA_SIGNAL_PEER_CLOSED};
    struct tessera_handle_information information;
    struct tessera_wait_item item = {handle, signals[kind], 0};
    struct tessera_call call = {.request = &how, .request_bytes = 1, .deadline = now() + 50000};
    int32_t result;
    switch (how) {
    case 0:
        result = tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME);
        if (result > 0) {
            use(kind, (uint32_t)result, 1 + random_below(4));
            tessera_handle_close((uint32_t)result);
        }
        return result;
    case 1:
        return tessera_handle_information(handle, &information, sizeof(information));
    case 2:
        return tessera_wait_one(handle, signals[kind], 0);
    case 3:
        return tessera_wait_many(&item, 1, now() + 100000);
    default:
        return kind == EVENT    ? tessera_event_signal(handle)
               : kind == MEMORY ? (int32_t)tessera_memory_size(handle)
                                : tessera_port_call(handle, &call);
    }
}

/* Use them until they are revoked, or for some time. */
static void use_all(const struct stamps *stamps, uint32_t round, const uint32_t *handles)
{
    bool works[KINDS] = {handles[EVENT] != 0, handles[MEMORY] != 0, handles[CLIENT] != 0};
    for (uint32_t turns = random_below(64); turns && (works[0] || works[1] || works[2]); turns--) {
        uint32_t kind = random_below(KINDS), how = random_below(5), over = stamps->over;
        if (handles[kind]) {
            AT();
            bool good = use(kind, handles[kind], how) != -TESSERA_EHANDLE;
            CHECK(!good || over < round, kind * 1000 + how);
            CHECK(works[kind] || !good, kind * 1000 + how); /* what was revoked stays revoked */
            works[kind] = good;
        }
    }
}

struct bundle {
    uint32_t round;
    uint32_t handles[KINDS];
};

static bool take(uint32_t channel, struct bundle *bundle, uint64_t deadline, const struct stamps *stamps)
{
    uint32_t over = stamps->over;
    AT();
    int32_t status = tessera_channel_read(channel, &bundle->round, sizeof(bundle->round), bundle->handles, KINDS,
                                          deadline);
    if (status == -TESSERA_EPEER) {
        exit(0);
    }
    CHECK(status == 4 || status == -TESSERA_EAGAIN || status == -TESSERA_ETIMEOUT, status);
    for (uint32_t i = 0; status == 4 && i < KINDS; i++) {
        CHECK(!bundle->handles[i] || over < bundle->round, i + 5000); /* it came out of the message alive */
    }
    return status == 4;
}

/* Takes bundles from the one that revokes and from its neighbour, and sends copies or the handles themselves on. */
int hold_role(void)
{
    struct stamps *stamps = show_stamps();
    uint32_t from[] = {named("from"), named("left")}, to = named("right");
    for (;;) {
        struct bundle bundle = {0};
        uint32_t which = random_below(2);
        if (!take(from[which], &bundle, which ? 0 : now() + 2 * MILLISECOND, stamps)) {
            continue;
        }
        use_all(stamps, bundle.round, bundle.handles);
        uint32_t over = stamps->over;
        AT();
        if (bundle.handles[0] && bundle.handles[1] && bundle.handles[2]) {
            int32_t status = tessera_channel_write(to, &bundle.round, sizeof(bundle.round), bundle.handles, KINDS, 0);
            CHECK(status != 0 || over < bundle.round, 6000);
            if (status == -TESSERA_EPEER) {
                return 0;
            }
            CHECK(status == 0 || status == -TESSERA_EAGAIN || status == -TESSERA_EHANDLE, status);
            if (status == 0) {
                memset(bundle.handles, 0, sizeof(bundle.handles));
            }
        }
        for (uint32_t i = 0; i < KINDS; i++) {
            tessera_handle_close(bundle.handles[i]);
        }
        PROGRESS();
    }
}

/* Shows the memory and looks at it until that ends this program: then, and not later. */
int map_role(void)
{
    struct stamps *stamps = show_stamps();
    uint32_t from = named("from");
    for (;;) {
        struct bundle bundle;
        if (!take(from, &bundle, now() + 50 * MILLISECOND, stamps)) {
            PROGRESS();
            continue;
        }
        PROGRESS();
        uint32_t over = stamps->over;
        AT();
        int32_t status = tessera_memory_map(bundle.handles[MEMORY], mapped_place, 0, PAGE, random_below(3));
        CHECK(status == 0 || status == -TESSERA_EHANDLE, status);
        CHECK(status != 0 || over < bundle.round, 7000);
        if (status == 0) {
            for (uint32_t i = random_below(100000);; i++) {
                over = stamps->over;
                ((volatile uint8_t *)mapped_place)[i % PAGE];
                CHECK(over < bundle.round, 8000);
                if (i % 1024 == 0 && random_below(64) == 0) {
                    break;
                }
            }
            AT();
            CHECK(tessera_memory_unmap(mapped_place) == 0, 0);
        }
        for (uint32_t i = 0; i < KINDS; i++) {
            tessera_handle_close(bundle.handles[i]);
        }
    }
}
