/* Page tables: what lies where, and what a page fault means.
 *
 * The page tables are also the book of what is committed, so there is no second structure to keep: an entry that is not
 * present is nothing (0), *committed* (a frame comes at the first touch) or a *window* (the page of another place comes
 * at the first touch). At the higher levels such an entry stands for 2 MiB or 1 GiB at once, so committing 4 GiB
 * writes four words. Protection bits lie where they do in present entries.
 *
 * A region of 2 MiB that is committed as a whole with one protection starts with small pages; after
 * PAGING_PROMOTE_FAULTS first touches it becomes one huge page, if there is a huge frame.
 *
 * A window can also be a copy: a page of it shows the source's, not writable, until it is stored to.
 *
 * A frame that is seen in more than one place is marked shared in each entry and counted; only 4 KiB frames are shared.
 *
 * Every region of the tables has a lock (page_tables.h), taken with interrupts off: what an interrupt does may touch a
 * page for the first time. A page fault never happens inside these functions, which touch the direct map only. What was
 * taken away is freed when no CPU remembers it any more (tlb.h). Concurrent calls are for different ranges; faults may
 * come anywhere at any time. */
#ifndef PLATFORM_PC_PAGING_H
#define PLATFORM_PC_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"
#include "platform/pc/frames.h"

#define PAGING_PROMOTE_FAULTS 64

/* Build the kernel's own tables (image with W^X and stack guards, direct map of `ram`) and switch to them. False: out
 * of memory. */
bool paging_initialize(const struct memory_range *ram, uint32_t ram_count, bool huge_1g);

/* Show physical memory that is not RAM; uncached for device registers. For ever. NULL: no memory for tables. */
void *map_physical(uint64_t physical, uint64_t bytes, bool cached);

/* Ranges are page-aligned and inside one reservation. Commit and window: nothing is committed there yet; on
 * STATUS_NO_MEMORY nothing has changed (protect: perhaps a part). `window` is the number of a window record
 * (reservations.h). */
enum status paging_commit(uint64_t start, uint64_t bytes, enum protection protection);
enum status paging_window(uint64_t start, uint64_t bytes, uint32_t window, bool copy);
enum status paging_protect(uint64_t start, uint64_t bytes, enum protection protection);
void paging_decommit(uint64_t start, uint64_t bytes);
/* A range that was committed, or made a window with copies, becomes so again: what was stored there is gone, pages that
 * only show their source stay. Where it was committed, up to `kept` pages keep their frames and are zeroed. False:
 * there is no frame for a table, and part of it may be done. */
bool paging_renew(uint64_t start, uint64_t bytes, uint32_t kept);
bool paging_renew_window(uint64_t start, uint64_t bytes, uint32_t window);

/* What a first touch of each page would do, but contents are arbitrary. False: no frame, and part of it is done. */
bool paging_populate(uint64_t start, uint64_t bytes);

enum fault_result {
    FAULT_RESOLVED,
    FAULT_INVALID,      /* nothing there, or not that way */
    FAULT_OUT_OF_MEMORY /* committed, but there is no frame */
};
/* Can it be read without a fault? For looking at what may be broken; takes no lock, so the other CPUs stand still. */
bool paging_is_readable(uint64_t address);
/* `error` is the CPU's error code. */
enum fault_result paging_fault(uint64_t address, uint64_t error);

#endif
