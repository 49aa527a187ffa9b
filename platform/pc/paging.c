#include "platform/pc/paging.h"

#include "platform/pc/instructions.h"
#include "platform/pc/page_tables.h"
#include "platform/pc/sharing.h"
#include "platform/pc/upper_tables.h"

uint64_t page_root;
struct region_role region;

/* Many, so that processes seldom meet; each in a cache line of its own. */
#define REGION_LOCKS 256
static struct {
    _Alignas(64) struct spinlock lock;
} region_locks[REGION_LOCKS];

static struct spinlock device_lock;
static uint64_t device_next GUARDED_BY(device_lock) = DEVICE_AREA;

static const uint64_t protection_bits[] = {
    [PROTECTION_READ] = ENTRY_NO_EXECUTE,
    [PROTECTION_READ_WRITE] = ENTRY_WRITABLE | ENTRY_NO_EXECUTE,
    [PROTECTION_READ_EXECUTE] = 0,
};

/* End of the part of [start, end) that one entry at this level covers. */
static inline uint64_t part_end(uint64_t start, uint64_t end, int level)
{
    uint64_t next = (start | (level_span(level) - 1)) + 1;
    return next - 1 < end - 1 ? next : end; /* at the very top, both may be 0 */
}

/* ---- Regions ---- */

struct spinlock *region_lock(uint64_t address)
{
    uint64_t number = address >> level_shift(region_level(address));
    return &region_locks[number * UINT64_C(0x9e3779b97f4a7c15) >> 56].lock;
}
_Static_assert(REGION_LOCKS == 1 << 8, "the hash has as many bits");

NO_LOCK_ANALYSIS void regions_acquire(uint64_t a, uint64_t b)
{
    struct spinlock *first = region_lock(a), *second = region_lock(b);
    if (first > second) {
        struct spinlock *swap = first;
        first = second;
        second = swap;
    }
    spinlock_acquire(first);
    if (second != first)
        spinlock_acquire(second);
}

NO_LOCK_ANALYSIS void regions_release(uint64_t a, uint64_t b)
{
    struct spinlock *first = region_lock(a), *second = region_lock(b);
    /* The one that was taken first keeps whether interrupts were on, and so goes last. */
    if (first != second)
        spinlock_release(first > second ? first : second);
    spinlock_release(first > second ? second : first);
}

/* End of the part of [start, end) that lies in the region of `start`. */
static uint64_t region_end(uint64_t start, uint64_t end)
{
    return part_end(start, end, region_level(start));
}

/* ---- Tables ---- */

static bool table_create(uint64_t *entry)
{
    uint64_t frame = frame_allocate(FRAME_KERNEL);
    if (frame == NO_FRAME)
        return false;
    frame_zero(frame, FRAME_BYTES);
    entry_set(entry, frame | ENTRY_TABLE);
    return true;
}

bool entry_split(uint64_t *entry, int level)
{
    uint64_t frame = frame_allocate(FRAME_KERNEL);
    if (frame == NO_FRAME)
        return false;
    uint64_t *table = physical_pointer(frame);
    uint64_t value = *entry, step = 0;
    if (value & ENTRY_PRESENT) {
        step = level_span(level - 1);
        if (level == 2)
            value &= ~ENTRY_HUGE;
    }
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++)
        table[i] = value + i * step;
    entry_set(entry, frame | ENTRY_TABLE);
    return true;
}

/* Make `address` a border: no entry stands for a range with `address` inside it. With `create`, also make the tables in
 * which the pages next to it are going to be written. */
static bool make_border(uint64_t *entry, int level, uint64_t address, bool create) REQUIRES(region)
{
    for (; address % level_span(level) != 0; level--) {
        if (*entry == 0) {
            if (!create)
                return true;
            if (!table_create(entry))
                return false;
        } else if (!is_table(*entry, level) && !entry_split(entry, level)) {
            return false;
        }
        entry = entry_for(table_of(*entry), address, level - 1);
    }
    return true;
}

/* After this, set_range cannot fail. [start, end) lies in the region with this entry. */
static bool make_borders(uint64_t *entry, uint64_t start, uint64_t end, bool create) REQUIRES(region)
{
    int level = region_level(start);
    return make_border(entry, level, start, create) && make_border(entry, level, end, create);
}

/* ---- Fixed mappings, made at boot ---- */

static bool map_fixed(uint64_t address, uint64_t physical, uint64_t bytes, uint64_t bits, int level_maximum)
{
    while (bytes > 0) {
        uint64_t *table = physical_pointer(page_root);
        int level = ROOT_LEVEL;
        while (level > level_maximum || level == ROOT_LEVEL || (address | physical) % level_span(level) != 0 ||
               bytes < level_span(level)) {
            uint64_t *entry = entry_for(table, address, level);
            if (*entry == 0 && !(level == ROOT_LEVEL ? upper_table_create(entry) : table_create(entry)))
                return false;
            table = table_of(*entry);
            level--;
        }
        uint64_t *entry = entry_for(table, address, level);
        uint64_t span = level_span(level),
                 count = min_u64(bytes / span, TABLE_ENTRIES - (uint64_t)(entry - table) % TABLE_ENTRIES);
        uint64_t value = physical | bits | ENTRY_PRESENT | ENTRY_ACCESSED | (level > 1 ? ENTRY_HUGE : 0);
        for (const uint64_t *last = entry + count; entry < last; value += span)
            *entry++ = value;
        address += count * span;
        physical += count * span;
        bytes -= count * span;
    }
    return true;
}

extern uint8_t image_start[], image_rodata[], image_data[], image_end[];
extern uint8_t boot_stacks[], boot_stack_top[], boot_stacks_end[];

static bool map_image_part(const uint8_t *start, const uint8_t *end, uint64_t bits)
{
    return map_fixed((uint64_t)start, (uint64_t)start - KERNEL_BASE, (uint64_t)(end - start), bits, 1);
}

/* Text, constants, data; then the stacks without their guard pages. */
static bool map_image(void)
{
    const uint64_t data = ENTRY_WRITABLE | ENTRY_NO_EXECUTE;
    if (!map_image_part(image_start, image_rodata, 0) || !map_image_part(image_rodata, image_data, ENTRY_NO_EXECUTE) ||
        !map_image_part(image_data, boot_stacks, data) || !map_image_part(boot_stacks_end, image_end, data))
        return false;
    if (!map_image_part(boot_stacks + FRAME_BYTES, boot_stack_top, data))
        return false;
    for (const uint8_t *stack = boot_stack_top; stack < boot_stacks_end; stack += FRAME_BYTES + INTERRUPT_STACK_BYTES) {
        if (!map_image_part(stack + FRAME_BYTES, stack + FRAME_BYTES + INTERRUPT_STACK_BYTES, data))
            return false;
    }
    return true;
}

static bool map_direct(uint64_t start, uint64_t end, uint64_t bits, int level)
{
    return end <= start || map_fixed(DIRECT_MAP + start, start, end - start, ENTRY_NO_EXECUTE | bits, level);
}

/* RAM in pages as large as fit; its ends are rounded outward to 2 MiB, which shows a little of what is next to RAM. In
 * the direct map, too, the image's text and constants are not writable. */
static bool map_all_ram(const struct memory_range *ram, uint32_t ram_count, int level)
{
    uint64_t done = align_up((uint64_t)image_end - KERNEL_BASE, HUGE_FRAME_BYTES);
    uint64_t text = (uint64_t)image_start - KERNEL_BASE, data = (uint64_t)image_data - KERNEL_BASE;
    if (!map_direct(0, text, ENTRY_WRITABLE, 1) || !map_direct(text, data, 0, 1) ||
        !map_direct(data, done, ENTRY_WRITABLE, 2))
        return false;
    for (uint32_t i = 0; i < ram_count; i++) {
        uint64_t start = max_u64(ram[i].start & ~(HUGE_FRAME_BYTES - 1), done);
        uint64_t end = align_up(ram[i].end, HUGE_FRAME_BYTES);
        if (!map_direct(start, end, ENTRY_WRITABLE, level))
            return false;
        done = max_u64(done, end);
    }
    return true;
}

bool paging_initialize(const struct memory_range *ram, uint32_t ram_count, bool huge_1g)
{
    const void *table = frame_allocate_metadata();
    if (!table)
        return false;
    page_root = physical_of(table);
    if (!map_image() || !map_all_ram(ram, ram_count, huge_1g ? 3 : 2))
        return false;
    write_cr3(page_root);
    return true;
}

void *map_physical(uint64_t physical, uint64_t bytes, bool cached)
{
    uint64_t start = physical & ~(FRAME_BYTES - 1), end = align_up(physical + bytes, FRAME_BYTES);
    const uint64_t bits = ENTRY_WRITABLE | ENTRY_NO_EXECUTE | (cached ? 0 : ENTRY_UNCACHED);
    spinlock_acquire(&device_lock);
    uint64_t address = device_next;
    bool done = map_fixed(address, start, end - start, bits, 1);
    if (done)
        device_next += end - start;
    spinlock_release(&device_lock);
    return done ? (void *)(address + (physical - start)) : NULL;
}

/* ---- Ranges: a region after the other, and in each of them from its entry downward ---- */

/* The table in which a region's entry stands. */
static uint64_t *table_around(uint64_t *entry)
{
    return (uint64_t *)((uint64_t)entry & ~(FRAME_BYTES - 1));
}

/* Write `value` wherever nothing is. Borders and tables are made. Returns for how many pages. */
static uint64_t set_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t value) REQUIRES(region)
{
    uint64_t pages = 0;
    if (level == 1) {
        uint64_t *entry = entry_for(table, start, level);
        for (const uint64_t *last = entry + (end - start) / FRAME_BYTES; entry < last; entry++) {
            if (*entry == 0) {
                *entry = value; /* which is not present, so no page walk looks at it */
                pages++;
            }
        }
        return pages;
    }
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level);
        if (is_table(*entry, level)) {
            pages += set_range(table_of(*entry), level - 1, start, next, value);
        } else if (*entry == 0) {
            entry_set(entry, value);
            pages += level_span(level) / FRAME_BYTES;
        }
    }
    return pages;
}

/* In one region. `*set` grows by the pages. */
static bool set_region(uint64_t start, uint64_t end, uint64_t value, uint64_t *set)
{
    uint64_t *entry = region_entry(start, true);
    if (!entry)
        return false;
    region_acquire(start);
    bool done = make_borders(entry, start, end, true);
    if (done)
        *set += set_range(table_around(entry), region_level(start), start, end, value);
    region_release(start);
    return done;
}

static enum status commit(uint64_t start, uint64_t bytes, uint64_t entry, bool promise)
{
    uint64_t pages = bytes / FRAME_BYTES, end = start + bytes, set = 0;
    if (promise ? !frames_promise(pages) : !frames_plentiful())
        return STATUS_NO_MEMORY;
    uint64_t at = start;
    while (at != end && set_region(at, region_end(at, end), entry, &set))
        at = region_end(at, end);
    if (at != end && at != start)
        paging_decommit(start, at - start); /* takes back the promises of what was set */
    if (promise)
        frames_promise_back(pages - set);
    return at == end ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status paging_commit(uint64_t start, uint64_t bytes, enum protection protection)
{
    return commit(start, bytes, ENTRY_COMMITTED | protection_bits[protection], is_promised(start));
}

static uint64_t window_entry(uint32_t window, bool copy)
{
    return ENTRY_WINDOW | protection_bits[PROTECTION_READ_WRITE] | (uint64_t)window << 12 | (copy ? ENTRY_COPY : 0);
}

enum status paging_window(uint64_t start, uint64_t bytes, uint32_t window, bool copy)
{
    return commit(start, bytes, window_entry(window, copy), false);
}

/* What happened to a range: all of it was committed, something lost a right that a CPU may remember. */
struct protect_result {
    bool complete, stale;
};

static bool loses_right(uint64_t old, uint64_t bits)
{
    return (old & ENTRY_PRESENT) && ((old & ~bits & ENTRY_WRITABLE) || (~old & bits & ENTRY_NO_EXECUTE));
}

static void protect_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t bits,
                          struct protect_result *result) REQUIRES(region)
{
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level), value = *entry;
        if (is_table(value, level)) {
            protect_range(table_of(value), level - 1, start, next, bits, result);
        } else if (value == 0) {
            result->complete = false;
        } else {
            result->stale |= loses_right(value, bits);
            entry_set(entry, (value & ~ENTRY_PROTECTION) | bits);
        }
    }
}

static bool protect_region(uint64_t start, uint64_t end, uint64_t bits, struct protect_result *result)
{
    uint64_t *entry = region_entry(start, false);
    if (!entry) {
        result->complete = false;
        return true;
    }
    region_acquire(start);
    bool done = make_borders(entry, start, end, false);
    if (done)
        protect_range(table_around(entry), region_level(start), start, end, bits, result);
    region_release(start);
    return done;
}

enum status paging_protect(uint64_t start, uint64_t bytes, enum protection protection)
{
    struct protect_result result = {.complete = true};
    uint64_t at = start, end = start + bytes;
    while (at != end && protect_region(at, region_end(at, end), protection_bits[protection], &result))
        at = region_end(at, end);
    if (result.stale)
        tlb_flush(start, bytes);
    return at != end ? STATUS_NO_MEMORY : result.complete ? STATUS_OK : STATUS_INVALID;
}

/* ---- Taking away: entries are cleared and collected, all CPUs forget the range, then what was there is freed ---- */

#define COLLECTED_MAXIMUM 12 /* it lies on kernel stacks */

struct collection {
    uint64_t start, bytes; /* what is to be forgotten */
    uint64_t untouched;    /* pages that had no frame yet */
    uint32_t count;
    struct {
        uint64_t entry;
        int level;
    } items[COLLECTED_MAXIMUM];
};

void page_free(uint64_t entry)
{
    uint64_t frame = entry & ENTRY_ADDRESS;
    if (!(entry & ENTRY_SHARED) || sharing_drop(frame))
        frame_free(frame);
}

/* What an entry stood for, with all below. Returns the pages that had no frame yet. */
static uint64_t free_entry(uint64_t entry, int level)
{
    uint64_t untouched = 0;
    if (is_table(entry, level)) {
        const uint64_t *inner = table_of(entry);
        for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
            if (inner[i] != 0)
                untouched += free_entry(inner[i], level - 1);
        }
        frame_free(entry & ENTRY_ADDRESS);
    } else if (entry & ENTRY_PRESENT) {
        if (level == 1)
            page_free(entry);
        else
            huge_frame_free(entry & ENTRY_ADDRESS & ~(HUGE_FRAME_BYTES - 1));
    } else if (entry & ENTRY_COMMITTED) {
        untouched = level_span(level) / FRAME_BYTES;
    }
    return untouched;
}

static void collection_free(struct collection *collection)
{
    if (collection->count > 0)
        tlb_flush(collection->start, collection->bytes);
    for (uint32_t i = 0; i < collection->count; i++)
        collection->untouched += free_entry(collection->items[i].entry, collection->items[i].level);
    collection->count = 0;
}

static void collect(struct collection *collection, uint64_t entry, int level)
{
    if (collection->count == COLLECTED_MAXIMUM)
        collection_free(collection);
    collection->items[collection->count].entry = entry;
    collection->items[collection->count++].level = level;
}

static bool is_empty(const uint64_t *table)
{
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
        if (table[i] != 0)
            return false;
    }
    return true;
}

/* Clear [start, end) of a table. Whole tables are unhooked with what is in them, and freed when they are empty. (A
 * table, too, is remembered.) */
static void clear_range(uint64_t *table, int level, uint64_t start, uint64_t end, struct collection *collection)
    REQUIRES(region)
{
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level), value = *entry;
        if (value == 0)
            continue;
        if (is_table(value, level) && next - start != level_span(level)) {
            clear_range(table_of(value), level - 1, start, next, collection);
            if (!is_empty(table_of(value)))
                continue;
        }
        entry_set(entry, 0);
        if (is_table(value, level) && level == ROOT_LEVEL - 1)
            upper_table_hide(start);
        if (value & ENTRY_PRESENT)
            collect(collection, value, level);
        else if (value & ENTRY_COMMITTED)
            collection->untouched += (next - start) / FRAME_BYTES;
    }
}

static void clear_region(uint64_t start, uint64_t end, struct collection *collection)
{
    uint64_t *entry = region_entry(start, false);
    if (!entry)
        return;
    region_acquire(start);
    /* Borders inside huge pages or large committed ranges need tables, from the reserve if need be. */
    if (!make_borders(entry, start, end, false)) {
        collection_free(collection);
        if (!make_borders(entry, start, end, false))
            platform_panic("no frame for a page table in the reserve");
    }
    clear_range(table_around(entry), region_level(start), start, end, collection);
    region_release(start);
}

void paging_decommit(uint64_t start, uint64_t bytes)
{
    struct collection collection;
    collection.start = start;
    collection.bytes = bytes;
    collection.untouched = collection.count = 0;
    for (uint64_t at = start, end = start + bytes, next; at != end; at = next) {
        next = region_end(at, end);
        clear_region(at, next, &collection);
    }
    collection_free(&collection);
    if (is_promised(start))
        frames_promise_back(collection.untouched);
}

/* ---- Beginning anew ---- */

/* Bring entries back to `value`; those that are not present are that already. */
static void renew_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t value, uint32_t *kept,
                        struct collection *collection) REQUIRES(region)
{
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level), old = *entry;
        if (!(old & ENTRY_PRESENT) || (old & ENTRY_COPY)) {
            continue;
        }
        if (is_table(old, level)) {
            renew_range(table_of(old), level - 1, start, next, value, kept, collection);
        } else if (level == 1 && *kept > 0 && (value & ENTRY_COMMITTED) && !(old & ENTRY_SHARED)) {
            frame_zero(old & ENTRY_ADDRESS, FRAME_BYTES);
            --*kept;
        } else {
            entry_set(entry, value);
            collect(collection, old, level);
        }
    }
}

static bool renew_region(uint64_t start, uint64_t end, uint64_t value, uint32_t *kept, struct collection *collection)
{
    uint64_t *entry = region_entry(start, false);
    if (!entry)
        return true;
    region_acquire(start);
    bool done = make_borders(entry, start, end, false);
    if (done)
        renew_range(table_around(entry), region_level(start), start, end, value, kept, collection);
    region_release(start);
    return done;
}

static bool renew(uint64_t start, uint64_t bytes, uint64_t value, uint32_t kept)
{
    struct collection collection;
    collection.start = start;
    collection.bytes = bytes;
    collection.untouched = collection.count = 0;
    uint64_t at = start, end = start + bytes;
    while (at != end && renew_region(at, region_end(at, end), value, &kept, &collection))
        at = region_end(at, end);
    collection_free(&collection);
    return at == end;
}

bool paging_renew(uint64_t start, uint64_t bytes, uint32_t kept)
{
    return renew(start, bytes, ENTRY_COMMITTED | protection_bits[PROTECTION_READ_WRITE], kept);
}

bool paging_renew_window(uint64_t start, uint64_t bytes, uint32_t window)
{
    return renew(start, bytes, window_entry(window, true), 0);
}
