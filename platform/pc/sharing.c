#include "platform/pc/sharing.h"

#include <stddef.h>

#include "platform/pc/frames.h"

#define COUNTERS_PER_PAGE (FRAME_BYTES / sizeof(uint32_t))
#define POINTERS_PER_PAGE (FRAME_BYTES / sizeof(void *))

/* Two levels above the counters: page, and page of pages. 512 of the latter reach 1 TiB; beyond that nothing is shared.
 * Not locked: see paging.h. */
static uint32_t **pages[512];

static uint32_t *counter(uint64_t frame, bool create)
{
    uint64_t number = frame / FRAME_BYTES, page = number / COUNTERS_PER_PAGE;
    if (page / POINTERS_PER_PAGE >= 512)
        return NULL;
    uint32_t ***directory = &pages[page / POINTERS_PER_PAGE];
    if (!*directory && create)
        *directory = frame_allocate_metadata();
    if (!*directory)
        return NULL;
    uint32_t **counters = &(*directory)[page % POINTERS_PER_PAGE];
    if (!*counters && create)
        *counters = frame_allocate_metadata();
    return *counters ? &(*counters)[number % COUNTERS_PER_PAGE] : NULL;
}

bool sharing_add(uint64_t frame, bool first)
{
    uint32_t *count = counter(frame, true);
    if (!count)
        return false;
    *count = first ? 2 : *count + 1;
    return true;
}

bool sharing_drop(uint64_t frame)
{
    uint32_t *count = counter(frame, false);
    return --*count == 0;
}
