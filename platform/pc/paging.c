#include "platform/pc/paging.h"

#include "engine/base.h"
#include "platform/pc/instructions.h"
#include "platform/pc/reservations.h"
#include "platform/pc/sharing.h"

/* Bits of an entry. */
#define ENTRY_PRESENT    (UINT64_C(1) << 0)
#define ENTRY_WRITABLE   (UINT64_C(1) << 1)
#define ENTRY_UNCACHED   (UINT64_C(3) << 3) /* PWT, PCD */
#define ENTRY_ACCESSED   (UINT64_C(3) << 5) /* accessed, dirty: set at once, so that the CPU need not */
#define ENTRY_HUGE       (UINT64_C(1) << 7)
#define ENTRY_COMMITTED  (UINT64_C(1) << 9)  /* not present: committed */
#define ENTRY_WINDOW     (UINT64_C(1) << 10) /* not present: number of the window record in the address bits */
#define ENTRY_SHARED     (UINT64_C(1) << 11) /* present: the frame is counted in sharing.c */
#define ENTRY_ADDRESS    UINT64_C(0x000ffffffffff000)
#define ENTRY_NO_EXECUTE (UINT64_C(1) << 63)
#define ENTRY_TABLE      (ENTRY_PRESENT | ENTRY_WRITABLE) /* tables restrict nothing */
#define ENTRY_PROTECTION (ENTRY_WRITABLE | ENTRY_NO_EXECUTE)

/* In an entry that names a page table: how many pages were touched in it; a hint, never counted down. */
#define ENTRY_TOUCHED_SHIFT 52
#define ENTRY_TOUCHED_MASK  (UINT64_C(127) << ENTRY_TOUCHED_SHIFT)

/* Error code of a page fault. */
#define FAULT_WRITE   (UINT64_C(1) << 1)
#define FAULT_EXECUTE (UINT64_C(1) << 4)

#define TABLE_ENTRIES 512
#define ROOT_LEVEL    4

/* More single pages than this are flushed by forgetting everything. */
#define FLUSH_PAGES_MAXIMUM 32

static uint64_t root; /* physical */
static uint64_t device_next = DEVICE_AREA;

static const uint64_t protection_bits[] = {
    [PROTECTION_READ] = ENTRY_NO_EXECUTE,
    [PROTECTION_READ_WRITE] = ENTRY_WRITABLE | ENTRY_NO_EXECUTE,
    [PROTECTION_READ_EXECUTE] = 0,
};

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
/* End of the part of [start, end) that one entry at this level covers. */
static inline uint64_t part_end(uint64_t start, uint64_t end, int level)
{
    uint64_t next = (start | (level_span(level) - 1)) + 1;
    return next - 1 < end - 1 ? next : end; /* at the very top, both may be 0 */
}

static void flush(uint64_t start, uint64_t bytes)
{
    if (bytes > FLUSH_PAGES_MAXIMUM * FRAME_BYTES) {
        write_cr3(root);
    } else {
        for (uint64_t done = 0; done < bytes; done += FRAME_BYTES)
            invalidate_page(start + done);
    }
}

/* ---- Tables ---- */

static bool table_create(uint64_t *entry)
{
    uint64_t frame = frame_allocate(FRAME_KERNEL);
    if (frame == NO_FRAME)
        return false;
    frame_zero(frame, FRAME_BYTES);
    *entry = frame | ENTRY_TABLE;
    return true;
}

/* Replace an entry that stands for a whole range, present or not, by a table of 512 that say the same. */
static bool split(uint64_t *entry, int level)
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
    *entry = frame | ENTRY_TABLE;
    return true;
}

/* Make `address` a border: no entry stands for a range with `address` inside it. With `create`, also make the tables in
 * which the pages next to it are going to be written. */
static bool make_border(uint64_t address, bool create)
{
    uint64_t *table = physical_pointer(root);
    for (int level = ROOT_LEVEL; level > 1; level--) {
        if (address % level_span(level) == 0 && level < ROOT_LEVEL)
            return true;
        uint64_t *entry = entry_for(table, address, level);
        if (*entry == 0) {
            if (!create)
                return true;
            if (!table_create(entry))
                return false;
        } else if (!is_table(*entry, level) && !split(entry, level)) {
            return false;
        }
        table = table_of(*entry);
    }
    return true;
}

/* After this, set_range cannot fail. A border that ends the root's entry belongs to the next one, where nothing is to
 * be written. */
static bool make_borders(uint64_t start, uint64_t end, bool create)
{
    return make_border(start, create) && make_border(end, create && end % level_span(ROOT_LEVEL) != 0);
}

/* ---- Fixed mappings, made at boot ---- */

static bool map_fixed(uint64_t address, uint64_t physical, uint64_t bytes, uint64_t bits, int level_maximum)
{
    while (bytes > 0) {
        uint64_t *table = physical_pointer(root);
        int level = ROOT_LEVEL;
        while (level > level_maximum || level == ROOT_LEVEL || (address | physical) % level_span(level) != 0 ||
               bytes < level_span(level)) {
            uint64_t *entry = entry_for(table, address, level);
            if (*entry == 0 && !table_create(entry))
                return false;
            table = table_of(*entry);
            level--;
        }
        uint64_t *entry = entry_for(table, address, level);
        uint64_t span = level_span(level),
                 count = min_u64(bytes / span, TABLE_ENTRIES - (uint64_t)(entry - table) % TABLE_ENTRIES);
        for (; count > 0; count--) {
            *entry++ = physical | bits | ENTRY_PRESENT | ENTRY_ACCESSED | (level > 1 ? ENTRY_HUGE : 0);
            address += span;
            physical += span;
            bytes -= span;
        }
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
        !map_direct(data, done, ENTRY_WRITABLE, 1))
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
    root = physical_of(table);
    if (!map_image() || !map_all_ram(ram, ram_count, huge_1g ? 3 : 2))
        return false;
    write_cr3(root);
    return true;
}

void *map_physical(uint64_t physical, uint64_t bytes, bool cached)
{
    uint64_t start = physical & ~(FRAME_BYTES - 1), end = align_up(physical + bytes, FRAME_BYTES);
    uint64_t address = device_next;
    if (!map_fixed(address, start, end - start, ENTRY_WRITABLE | ENTRY_NO_EXECUTE | (cached ? 0 : ENTRY_UNCACHED), 1))
        return NULL;
    device_next += end - start;
    return (void *)(address + (physical - start));
}

/* ---- Ranges ---- */

/* Write `value` wherever nothing is. Borders and tables are made. Returns for how many pages. */
static uint64_t set_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t value)
{
    uint64_t pages = 0;
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level);
        if (is_table(*entry, level)) {
            pages += set_range(table_of(*entry), level - 1, start, next, value);
        } else if (*entry == 0) {
            *entry = value;
            pages += level_span(level) / FRAME_BYTES;
        }
    }
    return pages;
}

/* What the kernel commits for itself is promised; what guests get is theirs if it is there. */
static bool is_promised(uint64_t address)
{
    return address < GUEST_ARENA || address >= GUEST_ARENA_END;
}

static enum status commit(uint64_t start, uint64_t bytes, uint64_t entry, bool promise)
{
    uint64_t pages = bytes / FRAME_BYTES;
    if (promise ? !frames_promise(pages) : !frames_plentiful())
        return STATUS_NO_MEMORY;
    bool done = make_borders(start, start + bytes, true);
    uint64_t set = done ? set_range(physical_pointer(root), ROOT_LEVEL, start, start + bytes, entry) : 0;
    if (promise)
        frames_promise_back(pages - set);
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status paging_commit(uint64_t start, uint64_t bytes, enum protection protection)
{
    bool interrupts = interrupts_disable();
    enum status status = commit(start, bytes, ENTRY_COMMITTED | protection_bits[protection], is_promised(start));
    interrupts_restore(interrupts);
    return status;
}

enum status paging_window(uint64_t start, uint64_t bytes, uint32_t window)
{
    bool interrupts = interrupts_disable();
    uint64_t entry = ENTRY_WINDOW | protection_bits[PROTECTION_READ_WRITE] | (uint64_t)window << 12;
    enum status status = commit(start, bytes, entry, false);
    interrupts_restore(interrupts);
    return status;
}

/* False: something in the range was not committed. */
static bool protect_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t bits)
{
    bool complete = true;
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level);
        if (is_table(*entry, level))
            complete &= protect_range(table_of(*entry), level - 1, start, next, bits);
        else if (*entry == 0)
            complete = false;
        else
            *entry = (*entry & ~ENTRY_PROTECTION) | bits;
    }
    return complete;
}

enum status paging_protect(uint64_t start, uint64_t bytes, enum protection protection)
{
    bool interrupts = interrupts_disable();
    enum status status = STATUS_NO_MEMORY;
    if (make_borders(start, start + bytes, false)) {
        bool complete =
            protect_range(physical_pointer(root), ROOT_LEVEL, start, start + bytes, protection_bits[protection]);
        flush(start, bytes);
        status = complete ? STATUS_OK : STATUS_INVALID;
    }
    interrupts_restore(interrupts);
    return status;
}

static void free_page(uint64_t entry)
{
    uint64_t frame = entry & ENTRY_ADDRESS;
    if (!(entry & ENTRY_SHARED) || sharing_drop(frame))
        frame_free(frame);
}

/* Clear [start, end) of a table and free what was there; `*untouched` grows by the pages that had no frame yet. True:
 * the CPU may remember some of it. */
static bool clear_range(uint64_t *table, int level, uint64_t start, uint64_t end, uint64_t *untouched)
{
    bool present = false;
    for (uint64_t next; start != end; start = next) {
        next = part_end(start, end, level);
        uint64_t *entry = entry_for(table, start, level), value = *entry;
        if (value == 0)
            continue;
        if (is_table(value, level)) {
            uint64_t *inner = table_of(value);
            present |= clear_range(inner, level - 1, start, next, untouched);
            bool empty = true;
            if (next - start != level_span(level)) {
                for (uint32_t i = 0; i < TABLE_ENTRIES && empty; i++)
                    empty = inner[i] == 0;
            }
            if (!empty)
                continue;
            frame_free(value & ENTRY_ADDRESS);
            present = true; /* the CPU may remember the table */
        } else if (value & ENTRY_PRESENT) {
            present = true;
            if (level == 1)
                free_page(value);
            else
                huge_frame_free(value & ENTRY_ADDRESS & ~(HUGE_FRAME_BYTES - 1));
        } else if (value & ENTRY_COMMITTED) {
            *untouched += (next - start) / FRAME_BYTES;
        }
        *entry = 0;
    }
    return present;
}

void paging_decommit(uint64_t start, uint64_t bytes)
{
    bool interrupts = interrupts_disable();
    /* Borders inside huge pages or large committed ranges need tables, from the reserve if need be. */
    if (!make_borders(start, start + bytes, false))
        platform_panic("no frame for a page table in the reserve");
    uint64_t untouched = 0;
    if (clear_range(physical_pointer(root), ROOT_LEVEL, start, start + bytes, &untouched))
        flush(start, bytes);
    if (is_promised(start))
        frames_promise_back(untouched);
    interrupts_restore(interrupts);
}

/* ---- Faults ---- */

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

/* Turn a page table whose pages are all private and of one protection into a huge page. */
static void promote(uint64_t *parent, uint64_t address)
{
    uint64_t *table = table_of(*parent), bits = table[0] & ENTRY_PROTECTION;
    *parent &= ~ENTRY_TOUCHED_MASK; /* if it fails, try again only after as many touches */
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
        if (!(table[i] & (ENTRY_PRESENT | ENTRY_COMMITTED)) || (table[i] & ENTRY_SHARED) ||
            (table[i] & ENTRY_PROTECTION) != bits)
            return;
    }
    uint64_t huge = huge_frame_allocate();
    if (huge == NO_FRAME)
        return;
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
    if (is_promised(address))
        frames_promise_back(untouched);
    uint64_t old = *parent & ENTRY_ADDRESS;
    *parent = huge | bits | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_HUGE;
    frame_free(old);
    flush(address & ~(HUGE_FRAME_BYTES - 1), HUGE_FRAME_BYTES);
}

/* The entry for the page at `address`, all larger ranges above it split; NULL and the result when there is none. */
static uint64_t *page_entry(uint64_t address, uint64_t **parent, enum fault_result *result)
{
    uint64_t *table = physical_pointer(root), *entry;
    for (int level = ROOT_LEVEL;; level--) {
        entry = entry_for(table, address, level);
        if (*entry == 0) {
            *result = FAULT_INVALID;
            return NULL;
        }
        if (level == 1)
            return entry;
        if (!is_table(*entry, level) && !split(entry, level)) {
            *result = FAULT_OUT_OF_MEMORY;
            return NULL;
        }
        table = table_of(*entry);
        *parent = entry;
    }
}

/* A window onto a window onto ... is followed so far. */
#define WINDOW_DEPTH_MAXIMUM 4

static enum fault_result fault_in(uint64_t address, uint64_t error, uint32_t depth);

/* The first touch of a window page: show the source's page. */
static enum fault_result fault_in_window(uint64_t *entry, uint64_t address, uint32_t depth)
{
    uint64_t source_address;
    uint64_t *source, *parent;
    enum fault_result result;
    if (depth == WINDOW_DEPTH_MAXIMUM ||
        !reservation_window_source((uint32_t)((*entry & ENTRY_ADDRESS) >> 12), address, &source_address))
        return FAULT_INVALID;
    source = page_entry(source_address, &parent, &result); /* a huge page is split here: only small ones are shared */
    if (!source)
        return result;
    if (!(*source & ENTRY_PRESENT)) {
        result = fault_in(source_address, 0, depth + 1);
        if (result != FAULT_RESOLVED)
            return result;
        source = page_entry(source_address, &parent, &result); /* it may have become a huge page */
        if (!source)
            return result;
    }
    uint64_t frame = *source & ENTRY_ADDRESS;
    if (!sharing_add(frame, !(*source & ENTRY_SHARED)))
        return FAULT_OUT_OF_MEMORY;
    *source |= ENTRY_SHARED;
    *entry = frame | (*entry & ENTRY_PROTECTION) | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_SHARED;
    return FAULT_RESOLVED;
}

static enum fault_result fault_in(uint64_t address, uint64_t error, uint32_t depth)
{
    enum fault_result result;
    uint64_t *parent = NULL, *entry = page_entry(address, &parent, &result);
    if (!entry)
        return result;
    if (!access_allowed(*entry, error))
        return FAULT_INVALID;
    if (*entry & ENTRY_WINDOW)
        return fault_in_window(entry, address, depth);
    uint64_t frame = frame_allocate(is_promised(address) ? FRAME_PROMISED : FRAME_GUEST);
    if (frame == NO_FRAME)
        return FAULT_OUT_OF_MEMORY;
    frame_zero(frame, FRAME_BYTES);
    *entry = frame | (*entry & ENTRY_PROTECTION) | ENTRY_PRESENT | ENTRY_ACCESSED;
    if (!in_small_arena(address)) {
        *parent += UINT64_C(1) << ENTRY_TOUCHED_SHIFT;
        if ((*parent & ENTRY_TOUCHED_MASK) >> ENTRY_TOUCHED_SHIFT >= PAGING_PROMOTE_FAULTS)
            promote(parent, address); /* in any case it counts from 0 again, so the count never leaves its bits */
    }
    return FAULT_RESOLVED;
}

/* Is the page there by now, and may it be used so? The TLB may remember less than the tables say. */
static bool present_and_allowed(uint64_t address, uint64_t error, bool *present)
{
    uint64_t *table = physical_pointer(root);
    for (int level = ROOT_LEVEL; level > 0; level--) {
        uint64_t entry = *entry_for(table, address, level);
        if (!(entry & ENTRY_PRESENT))
            return *present = false;
        if (!is_table(entry, level)) {
            *present = true;
            return access_allowed(entry, error);
        }
        table = table_of(entry);
    }
    return *present = false;
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

bool paging_is_readable(uint64_t address)
{
    bool present;
    return root && is_canonical(address) && present_and_allowed(address, 0, &present);
}

enum fault_result paging_fault(uint64_t address, uint64_t error)
{
    bool present;
    if (!root || !is_canonical(address))
        return FAULT_INVALID;
    if (present_and_allowed(address, error, &present)) {
        invalidate_page(address);
        return FAULT_RESOLVED;
    }
    return present ? FAULT_INVALID : fault_in(address, error, 0);
}
