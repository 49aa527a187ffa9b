/* Address space: which ranges are reserved.
 *
 * An arena for guests and three by size for all else (layout.h), so that a reservation of 1 GiB or more owns whole page
 * directories, one of 2 MiB or more whole page tables, and no huge page ever spans two reservations. In each, free and
 * reserved extents form one list by address; free ones also stand in lists by power-of-two size, reserved ones in a
 * hash by their start. Reserve and release take constant time, whatever the number of reservations. */
#ifndef PLATFORM_PC_RESERVATIONS_H
#define PLATFORM_PC_RESERVATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Where window pages come from: `*source` becomes the address that window record `window` gives for `address`. False:
 * the source was released. */
bool reservation_window_source(uint32_t window, uint64_t address, uint64_t *source);

#endif
