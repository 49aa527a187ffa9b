/* Listing directories.
 *
 * A guest's cookie is a small number: 0 and 1 stand before "." and "..", and 2 + N before the N-th entry. A file
 * system's own cookies may have 63 bits, which C programs on wasm32 cut to a `long` (telldir), so the descriptor
 * remembers which of them stands before which entry. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/thread.h"

#define RECORDS_BYTES   4096
#define COOKIE_FIRST    2
#define COOKIES_MINIMUM 64

struct listing {
    struct wasi_descriptor *descriptor;
    uint64_t number; /* of the next entry */
    uint8_t *buffer; /* the guest's */
    uint32_t bytes, used;
};

void wasi_cookies_release(struct wasi_cookies *cookies)
{
    if (cookies->capacity) {
        kernel_free(cookies->numbers, cookies->capacity * sizeof *cookies->numbers);
        account_credit(cookies->account, cookies->capacity * sizeof *cookies->numbers);
    }
    *cookies = (struct wasi_cookies){0};
}

/* The file system's cookie before entry `number` is `cookie`. */
static enum status remember(struct wasi_cookies *cookies, uint64_t number, uint64_t cookie)
{
    if (number >= cookies->capacity) {
        uint32_t capacity = cookies->capacity ? cookies->capacity * 2 : COOKIES_MINIMUM;
        uint64_t more = (capacity - cookies->capacity) * sizeof(uint64_t);
        if (!account_charge(cookies->account, more))
            return STATUS_NO_MEMORY;
        uint64_t *numbers = kernel_allocate(capacity * sizeof *numbers);
        if (!numbers) {
            account_credit(cookies->account, more);
            return STATUS_NO_MEMORY;
        }
        if (cookies->count)
            memcpy(numbers, cookies->numbers, cookies->count * sizeof *numbers);
        if (cookies->capacity)
            kernel_free(cookies->numbers, cookies->capacity * sizeof *numbers);
        cookies->numbers = numbers;
        cookies->capacity = capacity;
    }
    cookies->numbers[number] = cookie;
    cookies->count = (uint32_t)max_u64(cookies->count, number + 1);
    return STATUS_OK;
}

/* Append one entry, cut off where the buffer ends; false when it is full. */
static bool list_entry(struct listing *listing, uint64_t next, uint64_t inode, uint8_t filetype, const char *name,
                       uint32_t name_length)
{
    struct wasi_dirent entry = {.next = next, .inode = inode, .name_length = name_length, .filetype = filetype};
    uint32_t part = (uint32_t)min_u64(sizeof entry, listing->bytes - listing->used);
    memcpy(listing->buffer + listing->used, &entry, part);
    listing->used += part;
    part = (uint32_t)min_u64(name_length, listing->bytes - listing->used);
    memcpy(listing->buffer + listing->used, name, part);
    listing->used += part;
    return listing->used < listing->bytes;
}

static bool list_dots(struct listing *listing, uint64_t cookie)
{
    struct vfs_stat stat = {0};
    vfs_stat(listing->descriptor->node, &stat);
    if (cookie == 0 && !list_entry(listing, 1, stat.inode, WASI_FILETYPE_DIRECTORY, ".", 1))
        return false;
    return list_entry(listing, COOKIE_FIRST, stat.inode, WASI_FILETYPE_DIRECTORY, "..", 2);
}

/* One batch of the file system's records; `*more` unless the buffer is full or the directory is at its end. */
static enum status list_batch(struct listing *listing, void *records, bool *more)
{
    struct wasi_cookies *cookies = &listing->descriptor->cookies;
    size_t done = 0;
    enum status status =
        vfs_read_directory(listing->descriptor->node, cookies->numbers[listing->number], records, RECORDS_BYTES, &done);
    *more = done > 0;
    for (size_t position = 0; status == STATUS_OK && position < done && *more;) {
        const struct vfs_entry *entry = (const struct vfs_entry *)((const char *)records + position);
        status = remember(cookies, ++listing->number, entry->next);
        if (status == STATUS_OK)
            *more = list_entry(listing, listing->number + COOKIE_FIRST, entry->inode, wasi_filetype(entry->type),
                               entry->name, entry->name_length);
        position += VFS_ENTRY_BYTES(entry->name_length);
    }
    return status;
}

static enum status list(struct listing *listing)
{
    void *records = thread_scratch(RECORDS_BYTES); /* the guest may end where its buffer is touched */
    if (!records)
        return STATUS_NO_MEMORY;
    enum status status = remember(&listing->descriptor->cookies, 0, 0);
    bool more = true;
    if (listing->number >= listing->descriptor->cookies.count)
        status = STATUS_INVALID; /* never given out */
    while (status == STATUS_OK && more)
        status = list_batch(listing, records, &more);
    return status;
}

uint32_t wasi_fd_readdir(struct instance *instance, uint32_t fd, uint32_t buffer, uint32_t bytes, uint64_t cookie,
                         uint32_t result)
{
    struct listing listing = {.bytes = bytes};
    listing.buffer = instance_memory_required(instance, buffer, bytes, "fd_readdir: buffer");
    void *result_memory = instance_memory_required(instance, result, sizeof(uint32_t), "fd_readdir: result");
    enum wasi_errno error = wasi_directory(wasi_of(instance), fd, WASI_RIGHT_FD_READDIR, &listing.descriptor);
    if (error != WASI_SUCCESS)
        return error;
    listing.descriptor->cookies.account = instance->process->account;
    listing.number = cookie > COOKIE_FIRST ? cookie - COOKIE_FIRST : 0;
    enum status status = STATUS_OK;
    if (bytes > 0 && (cookie >= COOKIE_FIRST || list_dots(&listing, cookie)))
        status = list(&listing);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    memcpy(result_memory, &listing.used, sizeof listing.used);
    return WASI_SUCCESS;
}
