#include "kernel/array.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/platform.h"

static bool is_reserved(size_t bytes)
{
    return bytes > ARRAY_COPIED_BYTES;
}

static size_t pages(size_t bytes)
{
    return align_up(bytes, PLATFORM_PAGE_BYTES);
}

/* Zeroed, and not from one of before. */
static void *create(size_t bytes, size_t maximum)
{
    if (!is_reserved(bytes)) {
        return kernel_allocate_zeroed(bytes);
    }
    void *array = platform_reserve(maximum);
    if (array && platform_commit(array, pages(bytes), PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(array, maximum);
        array = NULL;
    }
    return array;
}

void *array_grow(void *array, size_t before, size_t after, size_t maximum)
{
    if (is_reserved(before)) {
        size_t there = pages(before), more = pages(after) - there;
        bool done = !more || platform_commit((uint8_t *)array + there, more, PROTECTION_READ_WRITE) == STATUS_OK;
        return done ? array : NULL;
    }
    void *grown = create(after, maximum);
    if (grown && before) {
        memcpy(grown, array, before);
        kernel_free(array, before);
    }
    return grown;
}

void array_free(void *array, size_t bytes, size_t maximum)
{
    if (is_reserved(bytes)) {
        platform_release(array, maximum);
    } else if (bytes) {
        kernel_free(array, bytes);
    }
}
