#include "kernel/image.h"

#include "engine/base.h"
#include "engine/module.h"
#include "engine/x64/abi.h"
#include "kernel/platform.h"

/* Less data than this is copied sooner than mapped. */
#define IMAGE_BYTES_MINIMUM (UINT64_C(4) * PLATFORM_PAGE_BYTES)
/* Data that is scattered over more than this is not worth the pages between. */
#define IMAGE_BYTES_MAXIMUM(data_bytes) (4 * (data_bytes) + (UINT64_C(128) << 10))

static uint64_t segment_place(const struct module *module, const struct data_segment *segment)
{
    return module->memories[segment->memory].limits.is_64 ? segment->offset->bits[0]
                                                          : (uint32_t)segment->offset->bits[0];
}

/* Where the last byte of data for memory 0 ends; UINT64_MAX when it cannot be told, or something does not fit. */
static uint64_t data_end(const struct module *module, uint64_t *data_bytes)
{
    uint64_t end = 0;
    *data_bytes = 0;
    for (uint32_t i = 0; i < module->data_segment_count; i++) {
        const struct data_segment *segment = &module->data_segments[i];
        if (segment->mode != SEGMENT_ACTIVE) {
            continue;
        }
        if (segment->memory < module->memory_import_count || segment->offset->kind != CONSTANT_VALUE) {
            return UINT64_MAX;
        }
        const struct memory_type *type = &module->memories[segment->memory];
        uint64_t page = memory_page_bytes(type), at = segment_place(module, segment);
        uint64_t size = min_u64(type->limits.minimum, ABI_MEMORY64_MAXIMUM_BYTES / page) * page;
        if (at > size || segment->size > size - at) {
            return UINT64_MAX;
        }
        if (segment->memory == 0 && segment->size) {
            end = max_u64(end, at + segment->size);
            *data_bytes += segment->size;
        }
    }
    return end;
}

bool image_is_possible(const struct module *module)
{
    uint64_t data_bytes;
    if (module->memory_count == 0 || module->memory_import_count) {
        return false;
    }
    uint64_t end = data_end(module, &data_bytes);
    return data_bytes >= IMAGE_BYTES_MINIMUM && end <= IMAGE_BYTES_MAXIMUM(data_bytes);
}

bool image_create(const struct module *module, struct image *image)
{
    uint64_t data_bytes;
    image->bytes = align_up(data_end(module, &data_bytes), PLATFORM_PAGE_BYTES);
    image->pages = platform_reserve(image->bytes);
    if (!image->pages) {
        return false;
    }
    if (platform_commit(image->pages, image->bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(image->pages, image->bytes);
        image->pages = NULL;
        return false;
    }
    for (uint32_t i = 0; i < module->data_segment_count; i++) {
        const struct data_segment *segment = &module->data_segments[i];
        if (segment->mode == SEGMENT_ACTIVE && segment->memory == 0) {
            memcpy(image->pages + segment_place(module, segment), segment->bytes, segment->size);
        }
    }
    return true;
}

void image_destroy(struct image *image)
{
    if (image->pages) {
        platform_release(image->pages, image->bytes);
        image->pages = NULL;
    }
}
