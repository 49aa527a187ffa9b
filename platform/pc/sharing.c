#include "platform/pc/sharing.h"

#include <stddef.h>

#include "platform/pc/frames.h"
#include "platform/pc/spinlock.h"

#define COUNTERS_PER_PAGE (FRAME_BYTES / sizeof(uint32_t))
#define POINTERS_PER_PAGE (FRAME_BYTES / sizeof(void *))

/* Two levels above the counters: page, and page of pages. 512 of the latter reach 1 TiB; beyond that nothing is shared.
 * Pages are made under the lock and stay; the counters are atomic. */
static struct spinlock lock;
static void *pages[512];

/* What `*place` points to; with `create` made if need be. */
static void *part(void **place, bool create)
{
    void *there = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (there || !create)
        return there;
    spinlock_acquire(&lock);
    there = *place;
    if (!there) {
        there = frame_allocate_metadata();
        __atomic_store_n(place, there, __ATOMIC_RELEASE);
    }
    spinlock_release(&lock);
    return there;
}

static uint32_t *counter(uint64_t frame, bool create)
{
    uint64_t number = frame / FRAME_BYTES, page = number / COUNTERS_PER_PAGE;
    if (page / POINTERS_PER_PAGE >= 512)
        return NULL;
    void **directory = part(&pages[page / POINTERS_PER_PAGE], create);
    if (!directory)
        return NULL;
    uint32_t *counters = part(&directory[page % POINTERS_PER_PAGE], create);
    return counters ? &counters[number % COUNTERS_PER_PAGE] : NULL;
}

bool sharing_add(uint64_t frame, bool first)
{
    uint32_t *count = counter(frame, true);
    if (!count)
        return false;
    if (first)
        __atomic_store_n(count, 2, __ATOMIC_RELAXED);
    else
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
    return true;
}

bool sharing_drop(uint64_t frame)
{
    return __atomic_sub_fetch(counter(frame, false), 1, __ATOMIC_ACQ_REL) == 0;
}
