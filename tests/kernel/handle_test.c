/* Handles: numbers, rights, limits, what closing and revoking do to what was derived, moving between tables, and that
 * no object is left behind. Against a model, too: random operations on a tree of grants over three tables. */
#include "kernel/handle.h"

#include <stdlib.h>

#include "kernel/event.h"
#include "kernel/heap.h"
#include "kernel/port.h"
#include "kernel/system.h"
#include "kernel/thread.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct handle_table first, second;

static uint32_t new_event(struct handle_table *table)
{
    struct object *event;
    uint32_t number = 0;
    CHECK(event_create(NULL, false, &event) == STATUS_OK);
    CHECK(handle_insert_new(table, event, &number) == STATUS_OK);
    return number;
}

static enum status find(struct handle_table *table, uint32_t number, uint32_t rights)
{
    struct object *object;
    enum status status = handle_find(table, number, OBJECT_EVENT, rights, &object);
    if (status == STATUS_OK)
        object_release(object);
    return status;
}

static uint32_t duplicate(struct handle_table *table, uint32_t number, uint32_t rights)
{
    uint32_t result = 0;
    return handle_duplicate(table, number, rights, &result) == STATUS_OK ? result : 0;
}

static uint32_t move(struct handle_table *from, uint32_t number, struct handle_table *to)
{
    struct grant *grant;
    uint32_t result = 0;
    if (handles_take(from, &number, 1, 0, &grant) != STATUS_OK)
        return 0;
    CHECK(handles_insert(to, &grant, 1, &result) == STATUS_OK);
    handles_taken(from, &number, 1);
    return result;
}

static void begin(void)
{
    handle_table_initialize(&first, 64);
    handle_table_initialize(&second, 64);
}

static void end(void)
{
    handle_table_destroy(&first);
    handle_table_destroy(&second);
    CHECK(object_count(OBJECT_EVENT) == 0);
}

static void numbers(void)
{
    begin();
    CHECK(find(&first, 0, 0) == STATUS_BAD_HANDLE); /* a table that never had any */
    CHECK(handle_close(&first, 0) == STATUS_BAD_HANDLE);
    uint32_t number = new_event(&first);
    CHECK((int32_t)number > 0 && find(&first, number, RIGHT_WAIT | RIGHT_SIGNAL | RIGHTS_BASIC) == STATUS_OK);
    CHECK(find(&second, number, 0) == STATUS_BAD_HANDLE);
    CHECK(find(&first, number, RIGHT_READ) == STATUS_DENIED); /* means nothing for an event */
    for (uint32_t bit = 0; bit < 32; bit++)
        CHECK(find(&first, number ^ UINT32_C(1) << bit, 0) == STATUS_BAD_HANDLE);
    struct object *object;
    CHECK(handle_find(&first, number, OBJECT_SYSTEM, 0, &object) == STATUS_BAD_HANDLE);
    CHECK(handle_find(&first, number, OBJECT_ANY, 0, &object) == STATUS_OK);
    object_release(object);
    CHECK(handle_close(&first, number) == STATUS_OK && object_count(OBJECT_EVENT) == 0);
    CHECK(handle_close(&first, number) == STATUS_BAD_HANDLE);
    for (int i = 0; i < 100000; i++) { /* no number comes again soon */
        uint32_t next = new_event(&first);
        if (next == number || find(&first, number, 0) != STATUS_BAD_HANDLE) {
            CHECK(!"a number that is still refused");
            break;
        }
        handle_close(&first, next);
    }
    end();
}

static void known(void)
{
    struct grant *grant;
    begin();
    CHECK(grant_create(system_object(), RIGHTS_ALL, &grant) == STATUS_OK);
    CHECK(!(grant->rights & RIGHT_READ));
    CHECK(handle_insert_known(&first, grant, HANDLE_KNOWN_SYSTEM) == STATUS_OK);
    CHECK(handle_insert_known(&first, grant, HANDLE_KNOWN_SYSTEM) == STATUS_EXISTS);
    CHECK(new_event(&first) >= HANDLES_KNOWN);
    CHECK(!handle_has_clock(&first));
    CHECK(grant_create(clock_object(), RIGHTS_ALL, &grant) == STATUS_OK);
    CHECK(handle_insert_known(&first, grant, HANDLE_KNOWN_CLOCK) == STATUS_OK);
    CHECK(handle_has_clock(&first));
    uint32_t other = duplicate(&first, HANDLE_KNOWN_CLOCK, RIGHT_READ),
             blind = duplicate(&first, HANDLE_KNOWN_CLOCK, 0);
    CHECK(other && blind && handle_close(&first, other) == STATUS_OK && handle_has_clock(&first));
    CHECK(handle_close(&first, HANDLE_KNOWN_CLOCK) == STATUS_OK);
    CHECK(find(&first, HANDLE_KNOWN_CLOCK, 0) == STATUS_BAD_HANDLE);
    CHECK(!handle_has_clock(&first)); /* `blind` cannot read */
    CHECK(object_count(OBJECT_SYSTEM) == 1 && object_count(OBJECT_CLOCK) == 1);
    end();
}

static void rights(void)
{
    begin();
    uint32_t all = new_event(&first);
    uint32_t fewer = duplicate(&first, all, RIGHT_WAIT | RIGHT_DUPLICATE);
    CHECK(find(&first, fewer, RIGHT_WAIT) == STATUS_OK && find(&first, fewer, RIGHT_SIGNAL) == STATUS_DENIED);
    CHECK(!duplicate(&first, fewer, RIGHT_SIGNAL)); /* rights only shrink */
    uint32_t same = duplicate(&first, fewer, RIGHTS_SAME);
    CHECK(find(&first, same, RIGHT_WAIT | RIGHT_DUPLICATE) == STATUS_OK &&
          find(&first, same, RIGHT_SIGNAL) != STATUS_OK);
    uint32_t last = duplicate(&first, fewer, RIGHT_WAIT);
    CHECK(last && !duplicate(&first, last, 0));
    CHECK(handle_revoke(&first, fewer) == STATUS_DENIED);
    struct grant *grant;
    CHECK(handles_take(&first, &fewer, 1, 0, &grant) == STATUS_DENIED);
    CHECK(find(&first, fewer, RIGHT_WAIT) == STATUS_OK);
    end();
}

static void limits(void)
{
    begin();
    uint32_t numbers_of[64];
    for (int i = 0; i < 64; i++)
        numbers_of[i] = i ? duplicate(&first, numbers_of[0], RIGHTS_SAME) : new_event(&first);
    CHECK(numbers_of[63] && !duplicate(&first, numbers_of[0], RIGHTS_SAME));
    struct object *event;
    uint32_t number;
    CHECK(event_create(NULL, false, &event) == STATUS_OK && handle_insert_new(&first, event, &number) == STATUS_LIMIT);
    CHECK(object_count(OBJECT_EVENT) == 1);
    CHECK(handle_close(&first, numbers_of[63]) == STATUS_OK && duplicate(&first, numbers_of[0], RIGHTS_SAME));
    CHECK(handle_revoke(&first, numbers_of[0]) == STATUS_OK); /* all others: their places can be used */
    for (int i = 1; i < 64; i++)
        CHECK(duplicate(&first, numbers_of[0], RIGHTS_SAME));
    end();
}

static void revocation(void)
{
    begin();
    uint32_t root = new_event(&first), sibling = duplicate(&first, root, RIGHTS_SAME);
    uint32_t child = duplicate(&first, root, RIGHTS_SAME), grandchild = duplicate(&first, child, RIGHTS_SAME);
    uint32_t there = move(&first, duplicate(&first, grandchild, RIGHTS_SAME), &second);
    uint32_t below = duplicate(&second, there, RIGHT_WAIT);
    CHECK(find(&second, below, RIGHT_WAIT) == STATUS_OK);
    CHECK(handle_close(&first, grandchild) == STATUS_OK); /* what is below hangs on the child now */
    CHECK(find(&second, there, 0) == STATUS_OK);
    uint32_t on_way = duplicate(&second, there, RIGHTS_SAME);
    struct grant *message;
    CHECK(handles_take(&second, &on_way, 1, 0, &message) == STATUS_OK);
    handles_taken(&second, &on_way, 1);
    CHECK(handle_revoke(&first, child) == STATUS_OK);
    CHECK(find(&second, there, 0) == STATUS_BAD_HANDLE && find(&second, below, 0) == STATUS_BAD_HANDLE);
    CHECK(handle_close(&second, there) == STATUS_BAD_HANDLE && !duplicate(&second, below, 0));
    CHECK(handles_insert(&second, &message, 1, &on_way) == STATUS_OK && on_way == 0);
    CHECK(find(&first, child, 0) == STATUS_OK && find(&first, root, 0) == STATUS_OK);
    CHECK(find(&first, sibling, 0) == STATUS_OK);
    CHECK(handle_revoke(&first, sibling) == STATUS_OK && find(&first, root, 0) == STATUS_OK);
    /* Two children of a closed handle still are derived from its source. */
    uint32_t middle = duplicate(&first, root, RIGHTS_SAME);
    uint32_t a = duplicate(&first, middle, RIGHTS_SAME), b = duplicate(&first, middle, RIGHTS_SAME);
    CHECK(handle_close(&first, middle) == STATUS_OK && handle_revoke(&first, a) == STATUS_OK);
    CHECK(find(&first, b, 0) == STATUS_OK && handle_revoke(&first, root) == STATUS_OK);
    CHECK(find(&first, a, 0) != STATUS_OK && find(&first, b, 0) != STATUS_OK && find(&first, sibling, 0) != STATUS_OK);
    end();
}

static void moving(void)
{
    begin();
    uint32_t set[3] = {new_event(&first), new_event(&first), new_event(&first)}, result[3];
    struct grant *grants[3];
    uint32_t twice[2] = {set[0], set[0]};
    CHECK(handles_take(&first, twice, 2, 0, grants) == STATUS_BAD_HANDLE && find(&first, set[0], 0) == STATUS_OK);
    CHECK(handles_take(&first, set, 3, RIGHT_READ, grants) == STATUS_DENIED);
    CHECK(handles_take(&first, set, 3, RIGHT_WAIT, grants) == STATUS_OK);
    CHECK(find(&first, set[1], 0) == STATUS_BAD_HANDLE && handle_close(&first, set[1]) == STATUS_BAD_HANDLE);
    handles_put_back(&first, set, 3);
    CHECK(find(&first, set[1], 0) == STATUS_OK);
    handle_table_initialize(&second, 2);
    CHECK(handles_take(&first, set, 3, 0, grants) == STATUS_OK);
    CHECK(handles_insert(&second, grants, 3, result) == STATUS_LIMIT && second.count == 0);
    handles_put_back(&first, set, 3);
    CHECK(move(&first, set[0], &second) && move(&first, set[1], &second));
    CHECK(find(&first, set[0], 0) == STATUS_BAD_HANDLE && find(&first, set[2], 0) == STATUS_OK);
    CHECK(first.count == 1 && object_count(OBJECT_EVENT) == 3);
    end();
}

/* ---- Derived things that are no handles ---- */

static int undone;
static bool undo(struct grant *grant) /* in two pieces */
{
    (void)grant;
    return ++undone % 2;
}

static void mappings(void)
{
    begin();
    uint32_t root = new_event(&first), child = duplicate(&first, root, RIGHTS_SAME);
    struct grant *mapping;
    spinlock_acquire(&first.lock);
    CHECK(grant_derive(handle_grant(&first, child), RIGHTS_ALL, false, undo, &mapping) == STATUS_OK);
    spinlock_release(&first.lock);
    CHECK(handle_close(&first, child) == STATUS_OK && !grant_is_revoked(mapping));
    CHECK(handle_revoke(&first, root) == STATUS_OK && undone == 2 && grant_is_revoked(mapping));
    grant_drop(mapping);
    end();
}

/* A handle that is lent, and closed by its owner meanwhile: with the end of the loan the object ends. */
static void last_by_revoking(void)
{
    struct object *port = NULL, *client = NULL;
    struct grant *lent;
    uint32_t number = 0, other = 0;
    begin();
    CHECK(port_create(NULL, &port) == STATUS_OK && port_client_create(port, 0, NULL, &client) == STATUS_OK);
    CHECK(handle_insert_new(&first, port, &number) == STATUS_OK);
    CHECK(handle_insert_new(&second, client, &other) == STATUS_OK);
    spinlock_acquire(&first.lock);
    CHECK(grant_lend(handle_grant(&first, number), &lent) == STATUS_OK);
    spinlock_release(&first.lock);
    CHECK(handle_close(&first, number) == STATUS_OK);
    CHECK(!(object_signals(client) & SIGNAL_PEER_CLOSED));
    grant_end_loan(lent);
    CHECK(object_signals(client) & SIGNAL_PEER_CLOSED);
    grant_drop(lent);
    end();
    CHECK(object_count(OBJECT_PORT) == 0);
}

static struct grant *lend(struct handle_table *from, uint32_t number, struct handle_table *to, uint32_t *lent)
{
    struct grant *grant = NULL;
    spinlock_acquire(&from->lock);
    CHECK(grant_lend(handle_grant(from, number), &grant) == STATUS_OK);
    spinlock_release(&from->lock);
    CHECK(handle_insert(to, grant, lent) == STATUS_OK);
    return grant;
}

/* What is lent ends in time, whoever was quicker to close or to revoke. */
static void loans(void)
{
    uint32_t lent, copy;
    begin();
    uint32_t number = new_event(&first);
    struct grant *loan = lend(&first, number, &second, &lent);
    CHECK((copy = duplicate(&second, lent, RIGHTS_SAME)) != 0);
    grant_end_loan(loan);
    CHECK(find(&second, lent, 0) == STATUS_BAD_HANDLE && find(&second, copy, 0) == STATUS_BAD_HANDLE);
    CHECK(duplicate(&second, lent, RIGHTS_SAME) == 0 && find(&first, number, 0) == STATUS_OK);

    loan = lend(&first, number, &second, &lent); /* closed, but a copy of it not */
    copy = duplicate(&second, lent, RIGHTS_SAME);
    CHECK(handle_close(&second, lent) == STATUS_OK && find(&second, copy, 0) == STATUS_OK);
    CHECK(handle_close(&first, number) == STATUS_OK && find(&second, copy, 0) == STATUS_OK);
    grant_end_loan(loan);
    CHECK(find(&second, copy, 0) == STATUS_BAD_HANDLE);

    number = new_event(&first);
    loan = lend(&first, number, &second, &lent);
    CHECK(handle_revoke(&first, number) == STATUS_OK && find(&second, lent, 0) == STATUS_BAD_HANDLE);
    grant_end_loan(loan);
    CHECK(find(&first, number, 0) == STATUS_OK);
    end();
}

/* ---- Several CPUs ---- */

#define USERS  3
#define ROUNDS 30

/* Each has a table, to which the handle of the round is moved; it makes others from it, and uses all. A use that begins
 * when the revocation of its round has returned must fail. */
static struct user {
    struct handle_table table;
    struct thread *thread;
    uint64_t given; /* the round, and in the low half the number of its handle. Atomic */
    uint64_t used, refused, late;
} users[USERS];
static uint32_t revoked_round; /* the last whose revocation returned; atomic */

static void use(struct user *user, uint32_t round, uint32_t number)
{
    bool over = __atomic_load_n(&revoked_round, __ATOMIC_SEQ_CST) >= round;
    enum status status = number ? find(&user->table, number, RIGHT_WAIT) : STATUS_BAD_HANDLE;
    user->used += status == STATUS_OK;
    user->refused += status != STATUS_OK;
    user->late += over && status == STATUS_OK;
}

static void use_all_rounds(void *argument)
{
    struct user *user = argument;
    for (uint64_t last = 0; last >> 32 < ROUNDS;) {
        uint64_t given;
        while ((given = __atomic_load_n(&user->given, __ATOMIC_SEQ_CST)) == last)
            thread_checkpoint();
        uint32_t round = (uint32_t)(given >> 32), number = (uint32_t)given;
        last = given;
        while (__atomic_load_n(&revoked_round, __ATOMIC_SEQ_CST) < round) {
            uint32_t copy = duplicate(&user->table, number, RIGHTS_SAME);
            uint32_t below = copy ? duplicate(&user->table, copy, RIGHT_WAIT) : 0;
            use(user, round, copy);
            use(user, round, below);
            handle_close(&user->table, copy); /* what is below hangs on the round's handle then */
            use(user, round, below);
            handle_close(&user->table, below);
            thread_checkpoint();
        }
        use(user, round, number);
        handle_close(&user->table, number);
    }
}

static void parallel(void)
{
    begin();
    uint32_t root = new_event(&first);
    revoked_round = 0;
    thread_set_priority(thread_current(), PRIORITY_HIGH); /* else each round takes some time slices */
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){0};
        handle_table_initialize(&users[i].table, 64);
        CHECK(thread_start(use_all_rounds, &users[i], &users[i].thread) == STATUS_OK);
    }
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < USERS; i++) {
            uint32_t number = move(&first, duplicate(&first, root, RIGHTS_SAME), &users[i].table);
            CHECK(number != 0);
            __atomic_store_n(&users[i].given, (uint64_t)round << 32 | number, __ATOMIC_SEQ_CST);
        }
        thread_sleep_until(platform_monotonic_nanoseconds() + 3000000);
        CHECK(handle_revoke(&first, root) == STATUS_OK);
        __atomic_store_n(&revoked_round, round, __ATOMIC_SEQ_CST);
    }
    for (int i = 0; i < USERS; i++) {
        thread_join(users[i].thread);
        CHECK(users[i].late == 0);
        CHECK(users[i].used > 0);
        handle_table_destroy(&users[i].table);
    }
    thread_set_priority(thread_current(), PRIORITY_NORMAL);
    end();
}

/* ---- A model ---- */

#define MODEL_HANDLES 48
struct model_handle {
    bool there, revoked;
    int parent; /* in `model`, -1: none; a closed one's parent counts on */
    int table;
    uint32_t number;
    struct grant *loan; /* NULL: it is not lent */
};
static struct model_handle model[1 << 15];
static int model_count;

static bool model_is_below(int handle, int ancestor)
{
    for (handle = model[handle].parent; handle >= 0; handle = model[handle].parent)
        if (handle == ancestor)
            return true;
    return false;
}

static int model_pick(void)
{
    int live[MODEL_HANDLES], count = 0;
    for (int i = 0; i < model_count; i++)
        if (model[i].there && !model[i].revoked)
            live[count++] = i;
    return count ? live[rand() % count] : -1;
}

static void model_check(struct handle_table *tables)
{
    for (int i = 0; i < model_count; i++) {
        bool wanted = model[i].there && !model[i].revoked;
        if (model[i].number && (find(&tables[model[i].table], model[i].number, 0) == STATUS_OK) != wanted) {
            CHECK(!"the model says something else");
            return;
        }
    }
}

/* All that is derived from it is revoked, and it itself with `too`. */
static void model_revoke(int handle, bool too, int *live)
{
    for (int i = 0; i < model_count; i++)
        if (model[i].there && !model[i].revoked && ((too && i == handle) || model_is_below(i, handle))) {
            model[i].revoked = true;
            --*live;
        }
}

/* One of those that are lent, if there are. */
static void model_end_loan(int *live)
{
    int at = model_count ? rand() % model_count : 0;
    for (int i = 0; i < model_count; i++) {
        int handle = (at + i) % model_count;
        if (model[handle].loan) {
            grant_end_loan(model[handle].loan);
            model[handle].loan = NULL;
            model_revoke(handle, true, live);
            return;
        }
    }
}

static void model_step(struct handle_table *tables, int *live)
{
    int handle = model_pick(), what = rand() % 10;
    struct model_handle *it = handle < 0 ? NULL : &model[handle];
    if (handle >= 0 && what == 0) {
        CHECK(handle_revoke(&tables[it->table], it->number) == STATUS_OK);
        model_revoke(handle, false, live);
    } else if (what == 9) {
        model_end_loan(live);
    } else if (handle >= 0 && what == 8 && *live < MODEL_HANDLES) {
        struct model_handle lent = {true, false, handle, rand() % 3, 0, NULL};
        lent.loan = lend(&tables[it->table], it->number, &tables[lent.table], &lent.number);
        model[model_count++] = lent;
        ++*live;
    } else if (handle >= 0 && what <= 3) {
        CHECK(handle_close(&tables[it->table], it->number) == STATUS_OK);
        it->there = false;
        --*live;
    } else if (handle >= 0 && what == 4) {
        int to = rand() % 3;
        it->number = move(&tables[it->table], it->number, &tables[to]);
        it->table = to;
        CHECK(it->number != 0);
    } else if (*live < MODEL_HANDLES) {
        bool fresh = handle < 0 || what == 5;
        int table = fresh ? rand() % 3 : it->table;
        uint32_t number = fresh ? new_event(&tables[table]) : duplicate(&tables[table], it->number, RIGHTS_SAME);
        CHECK(number != 0);
        model[model_count++] = (struct model_handle){true, false, fresh ? -1 : handle, table, number, NULL};
        ++*live;
    }
}

static void against_model(unsigned seed)
{
    struct handle_table tables[3];
    int live = 0;
    srand(seed);
    model_count = 0;
    for (int i = 0; i < 3; i++)
        handle_table_initialize(&tables[i], MODEL_HANDLES);
    for (int step = 0; step < 3000; step++) {
        model_step(tables, &live);
        if (step % 16 == 0)
            model_check(tables);
    }
    model_check(tables);
    for (int i = 0; i < 3; i++) {
        handle_table_destroy(&tables[i]);
        model_end_loan(&live);
    }
    for (int i = 0; i < model_count; i++)
        if (model[i].loan)
            grant_end_loan(model[i].loan);
    CHECK(object_count(OBJECT_EVENT) == 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct heap_statistics heap[2];
    guest_cpus = USERS;
    guest_initialize(argv);
    for (int round = 0; round < 2; round++) {
        numbers();
        known();
        rights();
        limits();
        revocation();
        undone = 0;
        mappings();
        last_by_revoking();
        loans();
        moving();
        parallel();
        for (unsigned seed = 1; seed <= 20; seed++)
            against_model(seed);
        kernel_heap_trim();
        kernel_heap_statistics(&heap[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    return checks_report();
}
