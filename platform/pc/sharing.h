/* How often a frame is shown, for frames that are shown in more than one place. The counters lie in an array by frame
 * number that grows page by page where it is needed. Several CPUs may call them for the same frame. */
#ifndef PLATFORM_PC_SHARING_H
#define PLATFORM_PC_SHARING_H

#include <stdbool.h>
#include <stdint.h>

/* One more place; `first`: so far there is one, whose region is locked. False: no memory for the counters. */
bool sharing_add(uint64_t frame, bool first);
/* One place less. True: it was the last. */
bool sharing_drop(uint64_t frame);

#endif
