/* The tables above regions (page_tables.h), and which CPUs may remember something of a region of GUEST_ARENA: only
 * those are asked to forget (tlb.h).
 *
 * The tables below `page_root` are the book of what is committed. As long as one CPU runs, it walks the book itself.
 * When a second one is started, each CPU gets a root of its own. What it says of all else is the book's; but for each
 * entry of the root that lies in GUEST_ARENA (512 GiB) the CPU has a table of its own, whose entries, one for each
 * region, are *copies* of the book's, or 0. A CPU begins with nothing. A touch in a region that it has no copy of is a
 * page fault, which ends with the copy made (upper_table_show). All below a copy is common to all CPUs.
 *
 * For each region there is a mask of its *users*, a bit for each CPU. Rules, for a CPU and a region:
 *
 *   1. The copy is made, by the CPU alone, with the region locked (so interrupts are off), after its bit was set.
 *   2. Anybody with the region locked, and the CPU itself, may make it 0. It is, before the table that it names is
 *      forgotten and freed (upper_table_hide).
 *   3. The bit is cleared by the CPU alone, with interrupts off, when it found the copy 0 or made it so, and then
 * forgot *everything*. Forgetting a part would not do: of what somebody else is about to ask for it may remember more.
 *
 * So a CPU without the bit remembers nothing of the region, not even by speculation: what is remembered comes from a
 * walk, all walks go through the copy, and it was 0 since before the CPU forgot. And nobody is missed who will remember
 * something old: the asker writes the tables, then (a fence between them) reads the mask; the CPU sets its bit by a
 * locked instruction and walks after that. If the asker did not see the bit, then the walk sees what he wrote; a 0 in
 * the copy, as anything that is not present, is never remembered. It does not matter which process runs where, and
 * whose memory kernel code touches for whom: a window is an address range as any other.
 *
 * A CPU that is asked keeps its copy if it went through it since it was asked last (the CPU itself notes that in the
 * entry), else it leaves; so one that runs the program no more is asked for nothing once or twice at the most. Bits
 * that are set without need cost an interrupt, and nothing else. */
#ifndef PLATFORM_PC_UPPER_TABLES_H
#define PLATFORM_PC_UPPER_TABLES_H

#include "platform/pc/page_tables.h"

static inline bool is_guest_address(uint64_t address)
{
    return address >= GUEST_ARENA && address < GUEST_ARENA_END;
}

/* Make the table that `entry`, above the regions, is to name, if it is not there; for ever, and for all CPUs. False: no
 * frame. */
bool upper_table_create(uint64_t *entry);

/* Physical address of a root for CPU `number`, which is going to be started, by one that runs; when it is the first
 * that is, CPU 0 gets its own and changes to it. 0: no frame. */
uint64_t upper_tables_for_cpu(uint32_t number);

/* This CPU may walk the region of `address`. Does nothing outside of GUEST_ARENA. */
void upper_table_show(uint64_t address) REQUIRES(region);
/* No CPU walks the table any more that the book's entry of this region named until now; what was remembered is still to
 * be forgotten. */
void upper_table_hide(uint64_t address) REQUIRES(region);

/* For [start, start + bytes) in GUEST_ARENA: the CPUs that may remember something of its regions. */
uint64_t upper_tables_users(uint64_t start, uint64_t bytes);
/* This CPU, with interrupts off, is going to forget that range, since somebody else asked (or, not `asked`, because it
 * wants it itself). False: it remembers nothing of it. */
bool upper_tables_forget(uint64_t start, uint64_t bytes, bool asked);

#endif
