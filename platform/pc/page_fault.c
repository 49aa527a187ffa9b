/* What a page fault means: the first touch of a page, a CPU that remembers less than the tables say, or a mistake. */
#include "platform/pc/instructions.h"
#include "platform/pc/page_tables.h"
#include "platform/pc/reservations.h"
#include "platform/pc/sharing.h"
#include "platform/pc/upper_tables.h"

/* Error code of a page fault. */
#define FAULT_WRITE   (UINT64_C(1) << 1)
#define FAULT_EXECUTE (UINT64_C(1) << 4)

static bool access_allowed(uint64_t entry, uint64_t error)
{
    if (error & FAULT_WRITE)
        return entry & ENTRY_WRITABLE;
    return !(error & FAULT_EXECUTE) || !(entry & ENTRY_NO_EXECUTE);
}

/* There one page table serves several reservations, which a huge page must not join. */
static bool in_small_arena(uint64_t address)
{
    return address >= SMALL_ARENA && address < SMALL_ARENA_END;
}

/* ---- Huge pages ---- */

static bool can_promote(const uint64_t *table)
{
    uint64_t bits = table[0] & ENTRY_PROTECTION;
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
        if (!(table[i] & (ENTRY_PRESENT | ENTRY_COMMITTED)) || (table[i] & ENTRY_SHARED) ||
            (table[i] & ENTRY_PROTECTION) != bits)
            return false;
    }
    return true;
}

/* Turn a page table whose pages are all private and of one protection into a huge page. Meanwhile nothing is there: who
 * needs the pages waits for the region. */
static void promote(uint64_t *parent, uint64_t address) REQUIRES(region)
{
    uint64_t *table = table_of(*parent), bits = table[0] & ENTRY_PROTECTION;
    *parent &= ~ENTRY_TOUCHED_MASK; /* if it fails, try again only after as many touches */
    if (!can_promote(table))
        return;
    uint64_t huge = huge_frame_allocate();
    if (huge == NO_FRAME)
        return;
    entry_set(parent, 0);
    tlb_flush(address & ~(HUGE_FRAME_BYTES - 1), HUGE_FRAME_BYTES);
    uint64_t untouched = 0;
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
        uint64_t to = huge + i * FRAME_BYTES;
        if (table[i] & ENTRY_PRESENT) {
            uint64_t frame = table[i] & ENTRY_ADDRESS;
            memcpy(physical_pointer(to), physical_pointer(frame), FRAME_BYTES);
            frame_free(frame);
        } else {
            frame_zero(to, FRAME_BYTES);
            untouched++;
        }
    }
    entry_set(parent, huge | bits | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_HUGE);
    frame_free(physical_of(table));
    if (is_promised(address))
        frames_promise_back(untouched);
}

/* ---- First touch ---- */

/* The entry that tells about `address`: at level 1, or above if it stands for more, or for nothing at all. NULL: there
 * are not even tables. */
static uint64_t *find_entry(uint64_t address, uint64_t **parent, int *level)
{
    uint64_t *entry = region_entry(address, false);
    *level = region_level(address);
    for (; entry && is_table(*entry, *level); (*level)--) {
        *parent = entry;
        entry = entry_for(table_of(*entry), address, *level - 1);
    }
    return entry;
}

/* From there down to the entry of the page itself, larger ranges split; NULL and the result when there is none. */
static uint64_t *page_entry_below(uint64_t *entry, int level, uint64_t address, uint64_t **parent,
                                  enum fault_result *result) REQUIRES(region)
{
    *result = FAULT_INVALID;
    if (!entry || *entry == 0)
        return NULL;
    for (; level > 1; level--) {
        if (!entry_split(entry, level)) {
            *result = FAULT_OUT_OF_MEMORY;
            return NULL;
        }
        *parent = entry;
        entry = entry_for(table_of(*entry), address, level - 1);
    }
    return entry;
}

static uint64_t *page_entry(uint64_t address, enum fault_result *result) REQUIRES(region)
{
    int level;
    uint64_t *parent, *entry = find_entry(address, &parent, &level);
    return page_entry_below(entry, level, address, &parent, result);
}

static uint64_t present(uint64_t frame, uint64_t committed)
{
    return frame | (committed & ENTRY_PROTECTION) | ENTRY_PRESENT | ENTRY_ACCESSED;
}

/* The first touch of a committed page: a zeroed frame. */
static enum fault_result fault_in_frame(uint64_t *entry, uint64_t *parent, uint64_t address) REQUIRES(region)
{
    uint64_t frame = frame_allocate(is_promised(address) ? FRAME_PROMISED : FRAME_GUEST);
    if (frame == NO_FRAME)
        return FAULT_OUT_OF_MEMORY;
    frame_zero(frame, FRAME_BYTES);
    entry_set(entry, present(frame, *entry));
    if (!in_small_arena(address)) {
        *parent += UINT64_C(1) << ENTRY_TOUCHED_SHIFT;
        if ((*parent & ENTRY_TOUCHED_MASK) >> ENTRY_TOUCHED_SHIFT >= PAGING_PROMOTE_FAULTS)
            promote(parent, address); /* in any case it counts from 0 again, so the count never leaves its bits */
    }
    return FAULT_RESOLVED;
}

/* A page of its own with what is in the frame of `from`; what the entry says is not to be remembered by any CPU. */
static enum fault_result fault_in_copy(uint64_t *entry, uint64_t from) REQUIRES(region)
{
    uint64_t frame = frame_allocate(FRAME_GUEST);
    if (frame == NO_FRAME)
        return FAULT_OUT_OF_MEMORY;
    memcpy(physical_pointer(frame), physical_pointer(from & ENTRY_ADDRESS), FRAME_BYTES);
    entry_set(entry, frame | ENTRY_WRITABLE | ENTRY_NO_EXECUTE | ENTRY_PRESENT | ENTRY_ACCESSED);
    return FAULT_RESOLVED;
}

/* A page that shows its source is stored to. Nobody may look at the old one when the first store is done. */
static enum fault_result copy_shown(uint64_t *entry, uint64_t address) REQUIRES(region)
{
    uint64_t old = *entry;
    entry_set(entry, 0);
    tlb_flush(address & ~(FRAME_BYTES - 1), FRAME_BYTES);
    enum fault_result result = fault_in_copy(entry, old);
    if (result == FAULT_RESOLVED)
        page_free(old);
    else
        entry_set(entry, old);
    return result;
}

static bool is_shown_copy(uint64_t entry)
{
    return (entry & (ENTRY_PRESENT | ENTRY_COPY)) == (ENTRY_PRESENT | ENTRY_COPY);
}

/* Where window page `entry` comes from. False: nowhere any more. */
static bool window_source(uint64_t entry, uint64_t address, uint64_t *source)
{
    return reservation_window_source((uint32_t)((entry & ENTRY_ADDRESS) >> 12), address, source);
}

/* Do what needs no other region. True: the page is a window's; nothing is done yet, and it is to show `*source`, or,
 * with `*copy`, a copy of it. */
static bool fault_in_own(uint64_t address, uint64_t error, enum fault_result *result, uint64_t *source, bool *copy)
    REQUIRES(region)
{
    int level;
    uint64_t *parent, *entry = find_entry(address, &parent, &level);
    *result = FAULT_INVALID;
    if (entry && is_shown_copy(*entry) && (error & FAULT_WRITE)) {
        *result = copy_shown(entry, address);
        return false;
    }
    if (!entry || !access_allowed(*entry, error))
        return false;
    if (*entry & ENTRY_PRESENT) { /* by now; the TLB may remember less than the tables say */
        invalidate_page(address);
        *result = FAULT_RESOLVED;
        return false;
    }
    entry = page_entry_below(entry, level, address, &parent, result);
    if (!entry)
        return false;
    *result = FAULT_INVALID;
    if (*entry & ENTRY_WINDOW) {
        *copy = *entry & ENTRY_COPY;
        return window_source(*entry, address, source);
    }
    *result = fault_in_frame(entry, parent, address);
    return false;
}

/* With both regions locked: let the window page show the source's, which has a frame, or become a copy of it if it is
 * stored to and is not to change the source. False: things are not as they were any more. */
static bool show_source(uint64_t address, uint64_t source_address, uint64_t error, enum fault_result *result)
    REQUIRES(region)
{
    uint64_t now, *entry = page_entry(address, result);
    if (!entry)
        return *result == FAULT_OUT_OF_MEMORY;
    if ((*entry & ENTRY_PRESENT) || !(*entry & ENTRY_WINDOW) || !window_source(*entry, address, &now) ||
        now != source_address)
        return false;
    uint64_t *source = page_entry(source_address, result); /* only small pages are shared */
    if (!source)
        return *result == FAULT_OUT_OF_MEMORY;
    uint64_t copy = *entry & ENTRY_COPY;
    if (!(*source & ENTRY_PRESENT) || (is_shown_copy(*source) && !copy))
        return false;
    if (copy && (error & FAULT_WRITE)) {
        *result = fault_in_copy(entry, *source);
        return true;
    }
    uint64_t frame = *source & ENTRY_ADDRESS;
    *result = FAULT_OUT_OF_MEMORY;
    if (!sharing_add(frame, !(*source & ENTRY_SHARED)))
        return true;
    entry_set(source, *source | ENTRY_SHARED);
    uint64_t protection = copy ? ENTRY_NO_EXECUTE | ENTRY_COPY : *entry & ENTRY_PROTECTION;
    entry_set(entry, frame | protection | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_SHARED);
    *result = FAULT_RESOLVED;
    return true;
}

/* A window onto a window onto ... is followed so far. */
#define WINDOW_DEPTH_MAXIMUM 4

/* The source of a window is touched first, stored to if the window may be, with no lock held; if others changed either
 * in between, all begins again, with what they made of it. */
static enum fault_result fault_in(uint64_t address, uint64_t error, uint32_t depth)
{
    for (;;) {
        enum fault_result result;
        uint64_t source;
        bool copy = false;
        region_acquire(address);
        bool window = fault_in_own(address, error, &result, &source, &copy);
        if (result == FAULT_RESOLVED && depth == 0)
            upper_table_show(address);
        region_release(address);
        if (!window || depth == WINDOW_DEPTH_MAXIMUM)
            return result;
        result = fault_in(source, copy ? 0 : FAULT_WRITE, depth + 1);
        if (result != FAULT_RESOLVED)
            return result;
        regions_acquire(address, source);
        bool done = show_source(address, source, error, &result);
        if (done && result == FAULT_RESOLVED && depth == 0)
            upper_table_show(address);
        regions_release(address, source);
        if (done)
            return result;
    }
}

/* ---- Before the first touch ---- */

static bool populate_page(uint64_t address) REQUIRES(region)
{
    enum fault_result result;
    uint64_t *entry = page_entry(address, &result);
    if (!entry || *entry & ENTRY_PRESENT)
        return entry;
    uint64_t frame = frame_allocate(is_promised(address) ? FRAME_PROMISED : FRAME_GUEST);
    if (frame != NO_FRAME)
        entry_set(entry, present(frame, *entry));
    return frame != NO_FRAME;
}

bool paging_populate(uint64_t start, uint64_t bytes)
{
    bool done = true;
    for (uint64_t address = start; done && address < start + bytes; address += FRAME_BYTES) {
        region_acquire(address);
        done = populate_page(address);
        region_release(address);
    }
    return done;
}

/* ---- Faults ---- */

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

bool paging_is_readable(uint64_t address)
{
    int level;
    uint64_t *parent;
    const uint64_t *entry = page_root && is_canonical(address) ? find_entry(address, &parent, &level) : NULL;
    return entry && *entry & ENTRY_PRESENT;
}

enum fault_result paging_fault(uint64_t address, uint64_t error)
{
    return page_root && is_canonical(address) ? fault_in(address, error, 0) : FAULT_INVALID;
}
