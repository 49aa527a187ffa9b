/* Ranges that begin as copies of others, the simple way: with pages of their own from the start. */
#include "engine/base.h"
#include "kernel/platform.h"

enum status platform_map_copy(void *window, void *source, size_t bytes)
{
    enum status status = platform_commit(window, bytes, PROTECTION_READ_WRITE);
    if (status == STATUS_OK)
        memcpy(window, source, bytes);
    return status;
}

enum status platform_discard(void *address, size_t bytes)
{
    platform_decommit(address, bytes);
    return bytes > 0 ? platform_commit(address, bytes, PROTECTION_READ_WRITE) : STATUS_OK;
}

enum status platform_reset(void *address, size_t bytes, const void *source, size_t source_bytes)
{
    enum status status = platform_discard(address, bytes);
    if (status == STATUS_OK && source_bytes)
        memcpy(address, source, source_bytes);
    return status;
}
