/* A process's WASI state: made at its first call from its launch description, freed with the process. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/process.h"

#define DESCRIPTORS_START 16

static void close_descriptor(struct wasi *wasi, struct wasi_descriptor *descriptor)
{
    if (descriptor->kind == WASI_NODE)
        vfs_release(descriptor->node);
    if (descriptor->kind == WASI_CHANNEL)
        wasi_channel_close(wasi, descriptor);
    wasi_cookies_release(&descriptor->cookies);
    *descriptor = (struct wasi_descriptor){.kind = WASI_FREE};
}

static void destroy(struct process *process, void *state)
{
    (void)process;
    struct wasi *wasi = state;
    for (uint32_t fd = 0; fd < wasi->capacity; fd++)
        close_descriptor(wasi, &wasi->descriptors[fd]);
    kernel_free(wasi->descriptors, wasi->capacity * sizeof *wasi->descriptors);
    kernel_free(wasi, sizeof *wasi);
}

static enum wasi_errno grow(struct wasi *wasi)
{
    uint32_t capacity = wasi->capacity ? wasi->capacity * 2 : DESCRIPTORS_START;
    if (capacity > WASI_DESCRIPTORS_LIMIT)
        return WASI_EMFILE;
    struct wasi_descriptor *descriptors = kernel_allocate_zeroed(capacity * sizeof *descriptors);
    if (!descriptors)
        return WASI_ENOMEM;
    if (wasi->capacity)
        memcpy(descriptors, wasi->descriptors, wasi->capacity * sizeof *descriptors);
    kernel_free(wasi->descriptors, wasi->capacity * sizeof *descriptors);
    wasi->descriptors = descriptors;
    wasi->capacity = capacity;
    return WASI_SUCCESS;
}

enum wasi_errno wasi_descriptor_reserve(struct wasi *wasi, uint32_t *fd)
{
    uint32_t free = wasi->lowest_free;
    while (free < wasi->capacity && wasi->descriptors[free].kind != WASI_FREE)
        free++;
    wasi->lowest_free = *fd = free;
    return free == wasi->capacity ? grow(wasi) : WASI_SUCCESS;
}

void wasi_descriptor_set(struct wasi *wasi, uint32_t fd, const struct wasi_descriptor *descriptor)
{
    wasi->descriptors[fd] = *descriptor;
    wasi->lowest_free = fd + 1;
}

/* stdio 0 to 2, the machine's or channels, or without any right, then the directories of the launch description in its
 * order; nothing for a process that was not launched. */
static enum wasi_errno add_initial_descriptors(struct wasi *wasi, const struct launch *launch)
{
    enum wasi_errno error = WASI_SUCCESS;
    uint32_t fd;
    for (enum stream stream = STREAM_INPUT; launch && stream < STREAM_COUNT && error == WASI_SUCCESS; stream++) {
        uint64_t rights = stream == STREAM_INPUT ? WASI_RIGHTS_INPUT : WASI_RIGHTS_OUTPUT;
        struct wasi_descriptor descriptor = {.kind = WASI_STREAM, .stream = stream, .rights = rights};
        descriptor.handle = wasi_stream_handle(wasi->process, stream);
        if (descriptor.handle)
            descriptor.kind = WASI_CHANNEL;
        else if (launch->without_streams)
            descriptor.rights = 0;
        error = wasi_descriptor_reserve(wasi, &fd);
        if (error == WASI_SUCCESS)
            wasi_descriptor_set(wasi, fd, &descriptor);
    }
    for (uint32_t i = 0; launch && i < launch->directory_count && error == WASI_SUCCESS; i++) {
        struct wasi_descriptor descriptor = {
            .kind = WASI_NODE,
            .node = launch->directories[i].node,
            .preopen = launch->directories[i].guest_path,
            .rights = WASI_RIGHTS_DIRECTORY,
            .inheriting = WASI_RIGHTS_DIRECTORY | WASI_RIGHTS_FILE,
        };
        error = wasi_descriptor_reserve(wasi, &fd);
        if (error == WASI_SUCCESS) {
            vfs_acquire(descriptor.node);
            wasi_descriptor_set(wasi, fd, &descriptor);
        }
    }
    return error;
}

struct wasi *wasi_of(struct instance *instance)
{
    struct process *process = instance_process(instance);
    struct wasi *wasi = process_personality(process, PERSONALITY_WASI);
    if (wasi)
        return wasi;
    wasi = kernel_allocate_zeroed(sizeof *wasi);
    if (wasi) {
        wasi->process = process;
        if (add_initial_descriptors(wasi, process_launch(process)) == WASI_SUCCESS) {
            process_set_personality(process, PERSONALITY_WASI, wasi, destroy);
            return wasi;
        }
        destroy(process, wasi);
    }
    instance_trap(instance, TRAP_OUT_OF_MEMORY, "WASI descriptors");
}

/* ---- Looking descriptors up ---- */

struct wasi_descriptor *wasi_descriptor(struct wasi *wasi, uint32_t fd)
{
    if (fd >= wasi->capacity || wasi->descriptors[fd].kind == WASI_FREE)
        return NULL;
    return &wasi->descriptors[fd];
}

enum wasi_errno wasi_node_descriptor(struct wasi *wasi, uint32_t fd, uint64_t rights, enum wasi_errno stream_error,
                                     struct wasi_descriptor **result)
{
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi, fd);
    if (!descriptor)
        return WASI_EBADF;
    if (descriptor->kind != WASI_NODE)
        return stream_error;
    if ((descriptor->rights & rights) != rights)
        return WASI_ENOTCAPABLE;
    *result = descriptor;
    return WASI_SUCCESS;
}

enum wasi_errno wasi_directory(struct wasi *wasi, uint32_t fd, uint64_t rights, struct wasi_descriptor **result)
{
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi, fd);
    if (!descriptor)
        return WASI_EBADF;
    if (descriptor->kind != WASI_NODE || descriptor->node->type != VFS_DIRECTORY)
        return WASI_ENOTDIR;
    return wasi_node_descriptor(wasi, fd, rights, WASI_ENOTDIR, result);
}

/* ---- Descriptors as such ---- */

uint32_t wasi_fd_close(struct instance *instance, uint32_t fd)
{
    struct wasi *wasi = wasi_of(instance);
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi, fd);
    if (!descriptor)
        return WASI_EBADF;
    close_descriptor(wasi, descriptor);
    wasi->lowest_free = (uint32_t)min_u64(wasi->lowest_free, fd);
    return WASI_SUCCESS;
}

uint32_t wasi_fd_renumber(struct instance *instance, uint32_t from, uint32_t to)
{
    struct wasi *wasi = wasi_of(instance);
    struct wasi_descriptor *source = wasi_descriptor(wasi, from), *target = wasi_descriptor(wasi, to);
    if (!source || !target)
        return WASI_EBADF;
    if (source == target)
        return WASI_SUCCESS;
    close_descriptor(wasi, target);
    *target = *source;
    *source = (struct wasi_descriptor){.kind = WASI_FREE};
    wasi->lowest_free = (uint32_t)min_u64(wasi->lowest_free, from);
    return WASI_SUCCESS;
}

uint32_t wasi_fd_fdstat_get(struct instance *instance, uint32_t fd, uint32_t result)
{
    void *stat = instance_memory_required(instance, result, sizeof(struct wasi_fdstat), "fd_fdstat_get: result");
    const struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    if (!descriptor)
        return WASI_EBADF;
    struct wasi_fdstat value = {
        .filetype = wasi_descriptor_filetype(descriptor),
        .flags = descriptor->flags,
        .rights = descriptor->rights,
        .inheriting = descriptor->inheriting,
    };
    memcpy(stat, &value, sizeof value);
    return WASI_SUCCESS;
}

uint32_t wasi_fd_fdstat_set_flags(struct instance *instance, uint32_t fd, uint32_t flags)
{
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    if (!descriptor)
        return WASI_EBADF;
    if (!(descriptor->rights & WASI_RIGHT_FD_FDSTAT_SET_FLAGS))
        return WASI_ENOTCAPABLE;
    if (flags & ~(uint32_t)WASI_FDFLAGS)
        return WASI_EINVAL;
    descriptor->flags = (uint16_t)flags;
    return WASI_SUCCESS;
}

/* Rights only shrink. */
uint32_t wasi_fd_fdstat_set_rights(struct instance *instance, uint32_t fd, uint64_t rights, uint64_t inheriting)
{
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    if (!descriptor)
        return WASI_EBADF;
    if ((rights & ~descriptor->rights) || (inheriting & ~descriptor->inheriting))
        return WASI_ENOTCAPABLE;
    descriptor->rights = rights;
    descriptor->inheriting = inheriting;
    return WASI_SUCCESS;
}

/* A preopened directory, or NULL. */
static const struct wasi_descriptor *find_preopen(struct instance *instance, uint32_t fd)
{
    const struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    return descriptor && descriptor->preopen ? descriptor : NULL;
}

uint32_t wasi_fd_prestat_get(struct instance *instance, uint32_t fd, uint32_t result)
{
    void *prestat = instance_memory_required(instance, result, sizeof(struct wasi_prestat), "fd_prestat_get: result");
    const struct wasi_descriptor *descriptor = find_preopen(instance, fd);
    if (!descriptor)
        return WASI_EBADF;
    struct wasi_prestat value = {.name_length = (uint32_t)strlen(descriptor->preopen)};
    memcpy(prestat, &value, sizeof value);
    return WASI_SUCCESS;
}

/* The name without a terminator, as wasi-libc expects it. */
uint32_t wasi_fd_prestat_dir_name(struct instance *instance, uint32_t fd, uint32_t path, uint32_t length)
{
    void *buffer = instance_memory_required(instance, path, length, "fd_prestat_dir_name: path");
    const struct wasi_descriptor *descriptor = find_preopen(instance, fd);
    if (!descriptor)
        return WASI_EBADF;
    size_t needed = strlen(descriptor->preopen);
    if (length < needed)
        return WASI_ENAMETOOLONG;
    memcpy(buffer, descriptor->preopen, needed);
    return WASI_SUCCESS;
}

/* ---- Translations ---- */

uint8_t wasi_filetype(enum vfs_type type)
{
    static const uint8_t filetypes[] = {
        [VFS_FILE] = WASI_FILETYPE_REGULAR_FILE,     [VFS_DIRECTORY] = WASI_FILETYPE_DIRECTORY,
        [VFS_SYMLINK] = WASI_FILETYPE_SYMBOLIC_LINK, [VFS_CHARACTER] = WASI_FILETYPE_CHARACTER_DEVICE,
        [VFS_BLOCK] = WASI_FILETYPE_BLOCK_DEVICE,    [VFS_OTHER] = WASI_FILETYPE_UNKNOWN,
    };
    return type < ARRAY_COUNT(filetypes) ? filetypes[type] : WASI_FILETYPE_UNKNOWN;
}

uint8_t wasi_descriptor_filetype(const struct wasi_descriptor *descriptor)
{
    if (descriptor->kind == WASI_NODE)
        return wasi_filetype(descriptor->node->type);
    if (descriptor->kind == WASI_CHANNEL)
        return WASI_FILETYPE_UNKNOWN;
    return descriptor->rights && platform_stream_is_terminal(descriptor->stream) ? WASI_FILETYPE_CHARACTER_DEVICE
                                                                                 : WASI_FILETYPE_UNKNOWN;
}

enum wasi_errno wasi_errno_of(enum status status)
{
    static const uint8_t numbers[STATUS_COUNT] = {
        [STATUS_OK] = WASI_SUCCESS,
        [STATUS_NO_MEMORY] = WASI_ENOMEM,
        [STATUS_LIMIT] = WASI_EMFILE,
        [STATUS_INVALID] = WASI_EINVAL,
        [STATUS_NOT_FOUND] = WASI_ENOENT,
        [STATUS_EXISTS] = WASI_EEXIST,
        [STATUS_DENIED] = WASI_EACCES,
        [STATUS_BAD_HANDLE] = WASI_EBADF,
        [STATUS_AGAIN] = WASI_EAGAIN,
        [STATUS_NOT_SUPPORTED] = WASI_ENOTSUP,
        [STATUS_IO] = WASI_EIO,
        [STATUS_NOT_DIRECTORY] = WASI_ENOTDIR,
        [STATUS_IS_DIRECTORY] = WASI_EISDIR,
        [STATUS_NOT_EMPTY] = WASI_ENOTEMPTY,
        [STATUS_NAME_TOO_LONG] = WASI_ENAMETOOLONG,
        [STATUS_LOOP] = WASI_ELOOP,
        [STATUS_NO_SPACE] = WASI_ENOSPC,
        [STATUS_TOO_LARGE] = WASI_EFBIG,
        [STATUS_READ_ONLY] = WASI_EROFS,
        [STATUS_CROSS_DEVICE] = WASI_EXDEV,
        [STATUS_BUSY] = WASI_EBUSY,
        [STATUS_NOT_PERMITTED] = WASI_EPERM,
        [STATUS_OUTSIDE] = WASI_EPERM,
        [STATUS_CLOSED] = WASI_EPIPE,
    };
    if (status == STATUS_OK)
        return WASI_SUCCESS;
    return (unsigned)status < STATUS_COUNT && numbers[status] ? (enum wasi_errno)numbers[status] : WASI_EIO;
}
