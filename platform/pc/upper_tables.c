#include "platform/pc/upper_tables.h"

#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"

/* Set by the CPU in an entry through which it walked. */
#define ENTRY_WALKED (UINT64_C(1) << 5)

#define REGION_BYTES (UINT64_C(1) << 30)
#define SLOT_SHIFT   39 /* of what one entry of a root stands for */
#define SLOT_FIRST   (GUEST_ARENA >> SLOT_SHIFT)
#define SLOT_COUNT   ((GUEST_ARENA_END >> SLOT_SHIFT) - SLOT_FIRST)

static struct spinlock tables_lock;            /* making of tables above regions */
static uint64_t *roots[PLATFORM_CPUS_MAXIMUM]; /* of CPUs that run or are to; NULL: none. Written under the lock */
static uint64_t *users[SLOT_COUNT]; /* masks, atomic, of the 512 regions; made under the lock, before a copy */
static bool several;                /* CPUs walk roots of their own; changed while there is one */

static bool is_guest_slot(uint64_t index)
{
    return index >= SLOT_FIRST && index < SLOT_FIRST + SLOT_COUNT;
}

static uint64_t *mask_of(uint64_t address)
{
    uint64_t *masks = users[(address >> SLOT_SHIFT) - SLOT_FIRST];
    return masks ? &masks[address / REGION_BYTES % TABLE_ENTRIES] : NULL;
}

/* The entry of the region in the CPU's own table; there is one for whatever the book has a table for. */
static uint64_t *copy_of(uint32_t cpu, uint64_t address)
{
    return entry_for(table_of(roots[cpu][address >> SLOT_SHIFT]), address, ROOT_LEVEL - 1);
}

/* ---- Making ---- */

static bool metadata_table_create(uint64_t *entry)
{
    const void *table = frame_allocate_metadata();
    if (table)
        entry_set(entry, physical_of(table) | ENTRY_TABLE);
    return table != NULL;
}

/* What each CPU with a root has for a slot of guests beside the book's table. */
static bool slot_prepare(uint64_t index) REQUIRES(tables_lock)
{
    uint64_t **masks = &users[index - SLOT_FIRST];
    if (!*masks && !(*masks = frame_allocate_metadata()))
        return false;
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM; i++) {
        if (roots[i] && roots[i][index] == 0 && !metadata_table_create(&roots[i][index]))
            return false;
    }
    return true;
}

/* The book's root gets an entry. All CPUs have it, or what stands for it, before anybody finds it in the book. */
static bool slot_create(uint64_t *entry, uint64_t index) REQUIRES(tables_lock)
{
    const void *table = frame_allocate_metadata();
    if (!table)
        return false;
    uint64_t value = physical_of(table) | ENTRY_TABLE;
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM && !is_guest_slot(index); i++) {
        if (roots[i])
            entry_set(&roots[i][index], value);
    }
    entry_set(entry, value);
    return true;
}

bool upper_table_create(uint64_t *entry)
{
    spinlock_acquire(&tables_lock);
    if (*entry == 0) {
        uint64_t index = (uint64_t)(entry - (uint64_t *)physical_pointer(page_root));
        if (index >= TABLE_ENTRIES)
            metadata_table_create(entry);
        else if (!is_guest_slot(index) || !several || slot_prepare(index))
            slot_create(entry, index);
    }
    spinlock_release(&tables_lock);
    return *entry != 0;
}

uint64_t *region_entry(uint64_t address, bool create)
{
    uint64_t *table = physical_pointer(page_root);
    for (int level = ROOT_LEVEL; level > region_level(address); level--) {
        uint64_t *entry = entry_for(table, address, level);
        uint64_t value = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
        if (value == 0) {
            if (!create || !upper_table_create(entry))
                return NULL;
            value = *entry;
        }
        if (!is_table(value, level))
            return NULL;
        table = table_of(value);
    }
    return entry_for(table, address, region_level(address));
}

/* ---- A further CPU ---- */

/* A root with all that it has to have; what failed before goes on from there. */
static bool root_prepare(uint32_t number) REQUIRES(tables_lock)
{
    if (!roots[number] && !(roots[number] = frame_allocate_metadata()))
        return false;
    const uint64_t *book = physical_pointer(page_root);
    for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
        if (book[i] != 0 && is_guest_slot(i) && !slot_prepare(i))
            return false;
        if (book[i] != 0 && !is_guest_slot(i))
            roots[number][i] = book[i];
    }
    return true;
}

/* CPU 0, which is still the only one, changes from the book to its own root. It may remember everything. */
static void leave_book(void) REQUIRES(tables_lock)
{
    const uint64_t *book = physical_pointer(page_root);
    for (uint64_t i = SLOT_FIRST; i < SLOT_FIRST + SLOT_COUNT; i++) {
        if (book[i] == 0)
            continue;
        const uint64_t *regions = table_of(book[i]);
        for (uint64_t k = 0; k < TABLE_ENTRIES; k++) {
            bool table = is_table(regions[k], ROOT_LEVEL - 1);
            users[i - SLOT_FIRST][k] = table;
            table_of(roots[0][i])[k] = table ? regions[k] : 0;
        }
    }
    several = true;
    write_cr3(physical_of(roots[0]));
}

uint64_t upper_tables_for_cpu(uint32_t number)
{
    spinlock_acquire(&tables_lock);
    bool done = root_prepare(0) && root_prepare(number);
    if (done && !several)
        leave_book();
    spinlock_release(&tables_lock);
    return done ? physical_of(roots[number]) : 0;
}

/* ---- Users of regions ---- */

static uint64_t own_bit(void)
{
    return UINT64_C(1) << pc_cpu()->number;
}

void upper_table_show(uint64_t address)
{
    if (!several || !is_guest_address(address))
        return;
    uint64_t *copy = copy_of(pc_cpu()->number, address);
    const uint64_t *entry = region_entry(address, false);
    if (*copy == 0 && is_table(*entry, ROOT_LEVEL - 1)) {
        __atomic_fetch_or(mask_of(address), own_bit(), __ATOMIC_SEQ_CST);
        entry_set(copy, *entry & ~ENTRY_WALKED);
    }
}

void upper_table_hide(uint64_t address)
{
    if (!several || !is_guest_address(address))
        return;
    for (uint64_t bits = __atomic_load_n(mask_of(address), __ATOMIC_SEQ_CST); bits; bits &= bits - 1)
        __atomic_store_n(copy_of((uint32_t)__builtin_ctzll(bits), address), 0, __ATOMIC_SEQ_CST);
}

uint64_t upper_tables_users(uint64_t start, uint64_t bytes)
{
    uint64_t all = 0;
    for (uint64_t at = start & ~(REGION_BYTES - 1); at < start + bytes; at += REGION_BYTES) {
        const uint64_t *mask = mask_of(at);
        all |= mask ? __atomic_load_n(mask, __ATOMIC_SEQ_CST) : 0;
    }
    return all;
}

/* Is the copy 0 now? It becomes so if somebody else asked and this CPU did not go through it since that happened last.
 */
static bool leave(uint64_t *copy, bool asked)
{
    uint64_t value = __atomic_load_n(copy, __ATOMIC_RELAXED);
    if (value & ENTRY_WALKED)
        __atomic_fetch_and(copy, ~ENTRY_WALKED, __ATOMIC_RELAXED);
    else if (asked && value != 0)
        return __atomic_compare_exchange_n(copy, &value, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) || value == 0;
    return value == 0;
}

bool upper_tables_forget(uint64_t start, uint64_t bytes, bool asked)
{
    bool remembers = !several;
    for (uint64_t at = start & ~(REGION_BYTES - 1); several && at < start + bytes; at += REGION_BYTES) {
        uint64_t *mask = mask_of(at);
        if (!mask || !(__atomic_load_n(mask, __ATOMIC_RELAXED) & own_bit()))
            continue;
        if (leave(copy_of(pc_cpu()->number, at), asked)) {
            write_cr3(read_cr3()); /* rule 3 */
            __atomic_fetch_and(mask, ~own_bit(), __ATOMIC_SEQ_CST);
        } else {
            remembers = true;
        }
    }
    return remembers;
}
