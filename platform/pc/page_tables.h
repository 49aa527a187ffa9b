/* Inside of paging.c and page_fault.c: entries, and the regions that are locked.
 *
 * A region is what one entry stands for at a level that depends on the arena: 1 GiB in those for large reservations,
 * where a reservation owns whole regions, 2 MiB in those for small ones. Its lock guards that entry and all below it.
 * Locks are shared by regions whose addresses happen to give the same number, so two are taken by their number. The
 * tables above regions are made once and never freed; reading their entries needs no lock. */
#ifndef PLATFORM_PC_PAGE_TABLES_H
#define PLATFORM_PC_PAGE_TABLES_H

#include "engine/base.h"
#include "platform/pc/paging.h"
#include "platform/pc/spinlock.h"

/* Bits of an entry. */
#define ENTRY_PRESENT   (UINT64_C(1) << 0)
#define ENTRY_WRITABLE  (UINT64_C(1) << 1)
#define ENTRY_UNCACHED  (UINT64_C(3) << 3) /* PWT, PCD */
#define ENTRY_ACCESSED  (UINT64_C(3) << 5) /* accessed, dirty: set at once, so that the CPU need not */
#define ENTRY_HUGE      (UINT64_C(1) << 7)
#define ENTRY_COMMITTED (UINT64_C(1) << 9)  /* not present: committed */
#define ENTRY_WINDOW    (UINT64_C(1) << 10) /* not present: number of the window record in the address bits */
#define ENTRY_SHARED    (UINT64_C(1) << 11) /* present: the frame is counted in sharing.c */
/* With ENTRY_WINDOW: the page becomes a copy when it is stored to. Present: it still shows the source, not writable. */
#define ENTRY_COPY       (UINT64_C(1) << 60)
#define ENTRY_ADDRESS    UINT64_C(0x000ffffffffff000)
#define ENTRY_NO_EXECUTE (UINT64_C(1) << 63)
/* Tables restrict nothing. */
#define ENTRY_TABLE      (ENTRY_PRESENT | ENTRY_WRITABLE | UINT64_C(1) << 5)
#define ENTRY_PROTECTION (ENTRY_WRITABLE | ENTRY_NO_EXECUTE)

/* In an entry that names a page table: how many pages were touched in it; a hint, never counted down. */
#define ENTRY_TOUCHED_SHIFT 52
#define ENTRY_TOUCHED_MASK  (UINT64_C(127) << ENTRY_TOUCHED_SHIFT)

#define TABLE_ENTRIES 512
#define ROOT_LEVEL    4

extern uint64_t page_root; /* physical; 0: not made yet */

static inline uint32_t level_shift(int level)
{
    return 12 + 9 * (uint32_t)(level - 1);
}
static inline uint64_t level_span(int level)
{
    return UINT64_C(1) << level_shift(level);
}
static inline bool is_table(uint64_t entry, int level)
{
    return level > 1 && (entry & (ENTRY_PRESENT | ENTRY_HUGE)) == ENTRY_PRESENT;
}
static inline uint64_t *table_of(uint64_t entry)
{
    return physical_pointer(entry & ENTRY_ADDRESS);
}
static inline uint64_t *entry_for(uint64_t *table, uint64_t address, int level)
{
    return &table[address >> level_shift(level) & (TABLE_ENTRIES - 1)];
}
/* Other CPUs' page walks see what an entry names as it is before the entry. */
static inline void entry_set(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Give back the frame of a page, or its part in it. */
void page_free(uint64_t entry);

/* What the kernel commits for itself is promised; what guests get is theirs if it is there. */
static inline bool is_promised(uint64_t address)
{
    return address < GUEST_ARENA || address >= GUEST_ARENA_END;
}

/* ---- Regions ---- */

static inline int region_level(uint64_t address)
{
    return address >= SMALL_ARENA && address < MIDDLE_ARENA_END ? 2 : 3;
}

/* In upper_tables.c: the entry of the region of `address`. NULL: there is none yet, and with `create` no memory for the tables above. */
uint64_t *region_entry(uint64_t address, bool create);

/* For the analysis: some region's lock is held. Which one it has to be depends on addresses, beyond what clang sees. */
struct __attribute__((capability("region"))) region_role {
    char nothing;
};
extern struct region_role region;

struct spinlock *region_lock(uint64_t address);
NO_LOCK_ANALYSIS static inline void region_acquire(uint64_t address) ACQUIRES(region)
{
    spinlock_acquire(region_lock(address));
}
NO_LOCK_ANALYSIS static inline void region_release(uint64_t address) RELEASES(region)
{
    spinlock_release(region_lock(address));
}
/* Two at once, or one if they share their lock. */
void regions_acquire(uint64_t a, uint64_t b) ACQUIRES(region);
void regions_release(uint64_t a, uint64_t b) RELEASES(region);

/* Replace an entry that stands for a whole range, present or not, by a table of 512 that say the same. False: no
 * frame. */
bool entry_split(uint64_t *entry, int level) REQUIRES(region);

#endif
