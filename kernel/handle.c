/* Handle tables. */
#include "kernel/handle.h"

#include "engine/base.h"
#include "kernel/array.h"
#include "kernel/thread.h"

#define SLOTS_FIRST 32 /* of a table that has any */
#define DROP_PIECE  32 /* handles between two preemption points */
#define INDEX_MASK  ((UINT32_C(1) << HANDLE_INDEX_BITS) - 1)
#define SLOTS_BYTES ((INDEX_MASK + 1) * sizeof(struct handle_slot)) /* at the most */

/* What an empty table looks at. */
static struct handle_slot no_slot;

static uint32_t slots_of(const struct handle_table *table) REQUIRES(table->lock)
{
    return table->slots == &no_slot ? 0 : table->mask + 1;
}

/* Those that were ever used, or are known by number: the rest is zeros, and better not touched. */
static uint32_t slots_used(const struct handle_table *table) REQUIRES(table->lock)
{
    return table->slots == &no_slot ? 0 : table->fresh;
}

void handle_table_initialize(struct handle_table *table, uint32_t limit)
{
    *table = (struct handle_table){.slots = &no_slot, .limit = limit, .fresh = HANDLES_KNOWN};
    spinlock_initialize(&table->lock, LOCK_HANDLES);
}

NO_LOCK_ANALYSIS void handle_table_destroy(struct handle_table *table) /* nobody else knows it any more */
{
    for (uint32_t i = slots_used(table); i-- > 0;) { /* as a rule, what was got by a handle goes before that one */
        if (table->slots[i].number) {
            grant_drop(table->slots[i].grant);
        }
        if (i % DROP_PIECE == 0) {
            thread_preemption_point();
        }
    }
    array_free(table->slots, slots_of(table) * sizeof(struct handle_slot), SLOTS_BYTES);
    handle_table_initialize(table, 0);
}

/* ---- Places ---- */

static void append_free(struct handle_table *table, uint32_t index) REQUIRES(table->lock)
{
    table->slots[index].next_free = 0;
    if (table->free_first) {
        table->slots[table->free_last].next_free = index;
    } else {
        table->free_first = index;
    }
    table->free_last = index;
}

static void slot_free(struct handle_table *table, struct handle_slot *slot) REQUIRES(table->lock)
{
    uint32_t index = slot->own_number & INDEX_MASK;
    slot->number = 0;
    slot->own_number = (slot->own_number + (UINT32_C(1) << HANDLE_INDEX_BITS)) & INT32_MAX;
    if (index >= HANDLES_KNOWN) {
        append_free(table, index);
    }
    __atomic_store_n(&table->count, table->count - 1, __ATOMIC_RELAXED);
}

static void slot_fill(struct handle_table *table, struct handle_slot *slot, struct grant *grant) REQUIRES(table->lock)
{
    slot->grant = grant;
    slot->number = slot->own_number;
    __atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELAXED);
    if (grant->object->type == OBJECT_CLOCK) {
        table->clock = slot->number;
    }
}

/* Twice as many places, which are fresh. */
static enum status grow(struct handle_table *table) REQUIRES(table->lock)
{
    uint32_t before = slots_of(table);
    uint32_t after = before ? 2 * before : SLOTS_FIRST;
    if (after > INDEX_MASK + 1) {
        return STATUS_LIMIT;
    }
    struct handle_slot *slots = array_grow(table->slots, before * sizeof(*slots), after * sizeof(*slots), SLOTS_BYTES);
    if (!slots) {
        return STATUS_NO_MEMORY;
    }
    table->slots = slots;
    table->mask = after - 1;
    return STATUS_OK;
}

/* So many slots are looked at under the lock at once. */
#define COLLECT_SLOTS 4096

/* Grants that were revoked still have their places: take those from *position on out, linked by `next`, and move
 * *position. */
static struct grant *collect_revoked(struct handle_table *table, uint32_t *position) REQUIRES(table->lock)
{
    struct grant *list = NULL;
    uint32_t end = (uint32_t)min_u64(slots_used(table), *position + COLLECT_SLOTS);
    for (; *position < end; ++*position) {
        struct handle_slot *slot = &table->slots[*position];
        if (slot->number && __atomic_load_n(&slot->grant->dead, __ATOMIC_ACQUIRE)) {
            slot->grant->next = list; /* it is in no tree */
            list = slot->grant;
            slot_free(table, slot);
        }
    }
    return list;
}

static void drop_all(struct grant *list)
{
    while (list) {
        struct grant *next = list->next;
        list->next = NULL;
        grant_drop(list);
        list = next;
    }
}

static bool has_room(const struct handle_table *table, uint32_t count) REQUIRES(table->lock)
{
    return table->count <= table->limit && table->limit - table->count >= count;
}

/* Room for `count` more handles, within the limit. The next handle that does not fit pays for taking out what was
 * revoked, so a table that is full of handles that work is looked at each time; the lock is not held all the while. */
static enum status prepare(struct handle_table *table, uint32_t count) REQUIRES(table->lock)
{
    for (uint32_t position = 0; !has_room(table, count) && position < slots_used(table);) {
        struct grant *revoked = collect_revoked(table, &position);
        spinlock_release(&table->lock);
        drop_all(revoked);
        thread_preemption_point();
        spinlock_acquire(&table->lock);
    }
    if (!has_room(table, count)) {
        return STATUS_LIMIT;
    }
    enum status status = STATUS_OK;
    while (status == STATUS_OK && slots_of(table) < HANDLES_KNOWN + table->count + count) {
        status = grow(table);
    }
    return status;
}

static uint32_t insert_next(struct handle_table *table, struct grant *grant) REQUIRES(table->lock)
{
    struct handle_slot *slot;
    if (table->fresh <= table->mask) {
        slot = &table->slots[table->fresh];
        slot->own_number = table->fresh++;
    } else {
        slot = &table->slots[table->free_first];
        table->free_first = slot->next_free;
    }
    slot_fill(table, slot, grant);
    return slot->number;
}

enum status handle_insert(struct handle_table *table, struct grant *grant, uint32_t *number)
{
    spinlock_acquire(&table->lock);
    enum status status = prepare(table, 1);
    if (status == STATUS_OK) {
        *number = insert_next(table, grant);
    }
    spinlock_release(&table->lock);
    return status;
}

enum status handle_insert_known(struct handle_table *table, struct grant *grant, uint32_t number)
{
    spinlock_acquire(&table->lock);
    enum status status = prepare(table, 1);
    if (status == STATUS_OK && table->slots[number].number) {
        status = STATUS_EXISTS;
    }
    if (status == STATUS_OK) {
        table->slots[number].own_number = number;
        slot_fill(table, &table->slots[number], grant);
    }
    spinlock_release(&table->lock);
    return status;
}

enum status handle_insert_new(struct handle_table *table, struct object *object, uint32_t *number)
{
    struct grant *grant;
    enum status status = grant_create(object, RIGHTS_ALL, &grant);
    if (status == STATUS_OK) {
        status = handle_insert(table, grant, number);
        if (status != STATUS_OK) {
            grant_drop(grant);
        }
    }
    object_release(object);
    return status;
}

/* ---- Using ---- */

enum status handle_find(struct handle_table *table, uint32_t number, enum object_type type, uint32_t rights,
                        struct object **result)
{
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, number, type, rights, result);
    if (status == STATUS_OK) {
        object_acquire(*result);
    }
    spinlock_release(&table->lock);
    return status;
}

enum status handle_hold(struct handle_table *table, uint32_t number, enum object_type type, uint32_t rights,
                        struct grant **result)
{
    struct object *object;
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, number, type, rights, &object);
    if (status == STATUS_OK) {
        *result = handle_grant(table, number);
        if (*result) {
            grant_acquire(*result);
        } else { /* revoked between the two looks */
            status = STATUS_BAD_HANDLE;
        }
    }
    spinlock_release(&table->lock);
    return status;
}

enum status handle_close(struct handle_table *table, uint32_t number)
{
    spinlock_acquire(&table->lock);
    struct handle_slot *slot = &table->slots[number & table->mask];
    struct grant *grant = slot->number == number && number ? slot->grant : NULL;
    bool revoked = grant && grant_is_revoked(grant);
    if (grant) {
        slot_free(table, slot);
    }
    spinlock_release(&table->lock);
    if (grant) {
        grant_drop(grant);
    }
    return grant && !revoked ? STATUS_OK : STATUS_BAD_HANDLE;
}

/* The grant behind a number if it has the rights. */
static enum status grant_with(const struct handle_table *table, uint32_t number, uint32_t rights, struct grant **result)
    REQUIRES(table->lock)
{
    *result = handle_grant(table, number);
    return !*result ? STATUS_BAD_HANDLE : rights & ~(*result)->rights ? STATUS_DENIED : STATUS_OK;
}

enum status handle_duplicate(struct handle_table *table, uint32_t number, uint32_t rights, uint32_t *result)
{
    struct grant *source, *derived = NULL;
    uint32_t needed = rights == RIGHTS_SAME ? 0 : rights;
    spinlock_acquire(&table->lock);
    enum status status = grant_with(table, number, needed | RIGHT_DUPLICATE, &source);
    if (status == STATUS_OK) {
        status = prepare(table, 1);
    }
    if (status == STATUS_OK) { /* the lock may have been open */
        status = grant_with(table, number, needed | RIGHT_DUPLICATE, &source);
    }
    if (status == STATUS_OK) {
        status = grant_derive(source, rights == RIGHTS_SAME ? source->rights : rights, true, NULL, &derived);
    }
    if (status == STATUS_OK) {
        *result = insert_next(table, derived);
    }
    spinlock_release(&table->lock);
    return status;
}

enum status handle_revoke(struct handle_table *table, uint32_t number)
{
    struct grant *grant;
    spinlock_acquire(&table->lock);
    enum status status = grant_with(table, number, RIGHT_MANAGE, &grant);
    if (status == STATUS_OK) {
        grant_acquire(grant);
    }
    spinlock_release(&table->lock);
    if (status == STATUS_OK) {
        grant_revoke(grant);
        grant_release(grant);
    }
    return status;
}

/* Another one, from *position on; a piece of the table. */
static bool find_clock(struct handle_table *table, uint32_t *position)
{
    struct object *clock;
    bool found = false;
    spinlock_acquire(&table->lock);
    uint32_t end = (uint32_t)min_u64(slots_used(table), *position + COLLECT_SLOTS);
    for (; *position < end && !found; ++*position) {
        uint32_t number = table->slots[*position].number;
        found = number && handle_find_locked(table, number, OBJECT_CLOCK, RIGHT_READ, &clock) == STATUS_OK;
        table->clock = found ? number : table->clock;
    }
    if (*position == slots_used(table) || found) {
        *position = UINT32_MAX;
    }
    spinlock_release(&table->lock);
    return found;
}

bool handle_has_clock(struct handle_table *table)
{
    struct object *clock;
    if (!__atomic_load_n(&table->clock, __ATOMIC_RELAXED)) {
        return false;
    }
    spinlock_acquire(&table->lock);
    uint32_t hint = table->clock;
    bool found = handle_find_locked(table, hint, OBJECT_CLOCK, RIGHT_READ, &clock) == STATUS_OK;
    spinlock_release(&table->lock);
    if (found) {
        return true;
    }
    for (uint32_t position = 0; !found && position != UINT32_MAX;) {
        found = find_clock(table, &position);
        thread_preemption_point();
    }
    spinlock_acquire(&table->lock);
    if (!found && table->clock == hint) { /* nobody got one meanwhile */
        table->clock = 0;
    }
    spinlock_release(&table->lock);
    return found;
}

/* ---- Moving ---- */

void handles_put_back(struct handle_table *table, const uint32_t *numbers, uint32_t count)
{
    spinlock_acquire(&table->lock);
    for (uint32_t i = 0; i < count; i++) {
        table->slots[numbers[i] & INDEX_MASK].number = numbers[i];
    }
    spinlock_release(&table->lock);
}

enum status handles_take(struct handle_table *table, const uint32_t *numbers, uint32_t count, uint32_t rights,
                         struct grant **grants)
{
    enum status status = STATUS_OK;
    uint32_t taken = 0;
    spinlock_acquire(&table->lock);
    for (; taken < count; taken++) {
        status = grant_with(table, numbers[taken], rights | RIGHT_TRANSFER, &grants[taken]);
        if (status != STATUS_OK) {
            break;
        }
        table->slots[numbers[taken] & INDEX_MASK].number = 0;
    }
    spinlock_release(&table->lock);
    if (status != STATUS_OK) {
        handles_put_back(table, numbers, taken);
    }
    return status;
}

void handles_taken(struct handle_table *table, const uint32_t *numbers, uint32_t count)
{
    spinlock_acquire(&table->lock);
    for (uint32_t i = 0; i < count; i++) {
        slot_free(table, &table->slots[numbers[i] & INDEX_MASK]);
    }
    spinlock_release(&table->lock);
}

enum status handles_insert(struct handle_table *table, struct grant *const *grants, uint32_t count, uint32_t *numbers)
{
    spinlock_acquire(&table->lock);
    enum status status = prepare(table, count);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        numbers[i] = grant_is_revoked(grants[i]) ? 0 : insert_next(table, grants[i]);
    }
    spinlock_release(&table->lock);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        if (!numbers[i]) {
            grant_drop(grants[i]);
        }
    }
    return status;
}
