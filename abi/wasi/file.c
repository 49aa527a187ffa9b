/* Open files and streams: reading, writing, position, size, times. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/thread.h"

#define CHUNK_BYTES   (UINT32_C(1) << 20) /* moved between two checkpoints */
#define IOVS_PER_STEP (UINT32_C(1) << 16) /* checked between two checkpoints */
#define OFFSET_LIMIT  (UINT64_C(1) << 63) /* offsets and sizes are below */

/* ---- Reading and writing ---- */

/* One fd_read, fd_write, fd_pread or fd_pwrite. Descriptor and buffers are looked up anew for each chunk, because other
 * threads may run in between. */
struct transfer {
    struct instance *instance;
    uint32_t fd;
    uint32_t iovs, iov_count;
    uint32_t result; /* where the number of bytes goes */
    bool write;
    bool positioned; /* at `offset`, and the descriptor's own stays */
    uint64_t offset;
    const char *iovs_name, *buffer_name, *result_name; /* for the trap report */
};

static struct wasi_iovec load_iovec(const struct transfer *transfer, uint32_t index)
{
    struct wasi_iovec iovec;
    uint64_t address = transfer->iovs + (uint64_t)index * sizeof iovec;
    memcpy(&iovec, instance_memory_required(transfer->instance, address, sizeof iovec, transfer->iovs_name),
           sizeof iovec);
    return iovec;
}

static uint64_t transfer_right(const struct transfer *transfer)
{
    return transfer->write ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ;
}

/* Decode: all pointers, the sum of the lengths, the descriptor and its rights. */
static enum wasi_errno check_transfer(const struct transfer *transfer)
{
    uint64_t total = 0;
    instance_memory_required(transfer->instance, transfer->result, sizeof(uint32_t), transfer->result_name);
    instance_memory_required(transfer->instance, transfer->iovs,
                             transfer->iov_count * (uint64_t)sizeof(struct wasi_iovec), transfer->iovs_name);
    for (uint32_t i = 0; i < transfer->iov_count; i++) {
        struct wasi_iovec iovec = load_iovec(transfer, i);
        instance_memory_required(transfer->instance, iovec.address, iovec.bytes, transfer->buffer_name);
        total += iovec.bytes;
        if (i % IOVS_PER_STEP == IOVS_PER_STEP - 1)
            thread_checkpoint();
    }
    const struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(transfer->instance), transfer->fd);
    if (!descriptor)
        return WASI_EBADF;
    if (descriptor->kind == WASI_NODE && descriptor->node->type == VFS_DIRECTORY)
        return WASI_EISDIR;
    if (transfer->positioned && descriptor->kind != WASI_NODE)
        return WASI_ESPIPE;
    /* As POSIX has it, and as C programs expect it, not ENOTCAPABLE. */
    if (!(descriptor->rights & transfer_right(transfer)))
        return WASI_EBADF;
    if (transfer->positioned && !(descriptor->rights & WASI_RIGHT_FD_SEEK))
        return WASI_ENOTCAPABLE;
    if (total > UINT32_MAX || (transfer->positioned && transfer->offset >= OFFSET_LIMIT))
        return WASI_EINVAL;
    return WASI_SUCCESS;
}

static enum wasi_errno transfer_node(struct transfer *transfer, struct wasi_descriptor *descriptor, void *memory,
                                     uint32_t bytes, size_t *done)
{
    struct vfs_node *node = descriptor->node;
    uint64_t *offset = transfer->positioned ? &transfer->offset : &descriptor->offset;
    enum status status;
    if (*offset > OFFSET_LIMIT - 1 - bytes)
        return transfer->write ? WASI_EFBIG : WASI_EINVAL;
    if (!transfer->write) {
        status = vfs_read(node, *offset, memory, bytes, done);
    } else if ((descriptor->flags & WASI_FDFLAG_APPEND) && !transfer->positioned) {
        uint64_t end;
        status = vfs_append(node, memory, bytes, done, &end);
        if (status == STATUS_OK)
            *offset = end - *done;
    } else {
        status = vfs_write(node, *offset, memory, bytes, done);
    }
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    *offset += *done;
    if (transfer->write && (descriptor->flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_DSYNC)))
        return wasi_errno_of(vfs_sync(node, !(descriptor->flags & WASI_FDFLAG_SYNC)));
    return WASI_SUCCESS;
}

/* WASI_EAGAIN without waiting; the caller decides. */
static enum wasi_errno transfer_stream(const struct transfer *transfer, struct wasi_descriptor *descriptor, void *memory,
                                       uint32_t bytes, size_t *done)
{
    struct wasi *wasi = wasi_of(transfer->instance);
    enum stream stream = descriptor->stream;
    *done = 0;
    if (descriptor->kind == WASI_CHANNEL)
        return transfer->write ? wasi_channel_write(wasi, descriptor, memory, bytes, done)
                               : wasi_channel_read(wasi, descriptor, memory, bytes, done);
    return wasi_errno_of(transfer->write ? platform_stream_write(stream, memory, bytes, done)
                                         : platform_stream_read(stream, memory, bytes, done));
}

/* One chunk; blocks if the descriptor does and `may_wait`. */
static enum wasi_errno transfer_chunk(struct transfer *transfer, uint64_t address, uint32_t bytes, bool may_wait,
                                      size_t *done)
{
    for (;;) {
        void *memory = instance_memory_required(transfer->instance, address, bytes, transfer->buffer_name);
        struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(transfer->instance), transfer->fd);
        if (!descriptor || !(descriptor->rights & transfer_right(transfer)))
            return WASI_EBADF;
        if (descriptor->kind == WASI_NODE)
            return transfer_node(transfer, descriptor, memory, bytes, done);
        enum wasi_errno error = transfer_stream(transfer, descriptor, memory, bytes, done);
        if (error != WASI_EAGAIN || !may_wait || (descriptor->flags & WASI_FDFLAG_NONBLOCK))
            return error;
        if (descriptor->kind == WASI_CHANNEL)
            wasi_channel_wait(wasi_of(transfer->instance), descriptor);
        else
            thread_wait_stream(descriptor->stream, UINT64_MAX);
    }
}

/* Invoke: chunk by chunk until all is done, less came than asked for, or there is an error (which counts only if
 * nothing was done before). A read waits for its first bytes only, a write for all. */
static enum wasi_errno move_all(struct transfer *transfer, uint32_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < transfer->iov_count; i++) {
        struct wasi_iovec iovec = load_iovec(transfer, i);
        for (uint32_t position = 0; position < iovec.bytes;) {
            size_t done = 0;
            uint32_t part = (uint32_t)min_u64(iovec.bytes - position, CHUNK_BYTES);
            enum wasi_errno error = transfer_chunk(transfer, (uint64_t)iovec.address + position, part,
                                                   transfer->write || *total == 0, &done);
            if (error != WASI_SUCCESS)
                return *total ? WASI_SUCCESS : error;
            *total += (uint32_t)done;
            position += (uint32_t)done;
            if (done == 0 || (done < part && !transfer->write))
                return WASI_SUCCESS;
            if (done == CHUNK_BYTES)
                thread_checkpoint();
        }
    }
    return WASI_SUCCESS;
}

static uint32_t run_transfer(struct transfer *transfer)
{
    enum wasi_errno error = check_transfer(transfer);
    if (error != WASI_SUCCESS)
        return error;
    uint32_t total;
    error = move_all(transfer, &total);
    if (error == WASI_SUCCESS)
        memcpy(instance_memory_required(transfer->instance, transfer->result, sizeof total, transfer->result_name),
               &total, sizeof total);
    return error;
}

#define TRANSFER_NAMES(name) .iovs_name = name ": iovs", .buffer_name = name ": buffer", .result_name = name ": result"

uint32_t wasi_fd_read(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint32_t result)
{
    struct transfer transfer = {instance, fd, iovs, iov_count, result, TRANSFER_NAMES("fd_read")};
    return run_transfer(&transfer);
}

uint32_t wasi_fd_write(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint32_t result)
{
    struct transfer transfer = {instance, fd, iovs, iov_count, result, .write = true, TRANSFER_NAMES("fd_write")};
    return run_transfer(&transfer);
}

uint32_t wasi_fd_pread(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint64_t offset,
                       uint32_t result)
{
    struct transfer transfer = {
        instance, fd, iovs, iov_count, result, .positioned = true, .offset = offset, TRANSFER_NAMES("fd_pread")};
    return run_transfer(&transfer);
}

uint32_t wasi_fd_pwrite(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint64_t offset,
                        uint32_t result)
{
    struct transfer transfer = {instance,
                                fd,
                                iovs,
                                iov_count,
                                result,
                                .write = true,
                                .positioned = true,
                                .offset = offset,
                                TRANSFER_NAMES("fd_pwrite")};
    return run_transfer(&transfer);
}

/* ---- Position ---- */

/* Of a file. A stream has no position; a directory's is the cookie of fd_readdir. */
static enum wasi_errno seekable(struct instance *instance, uint32_t fd, uint64_t right, struct wasi_descriptor **result)
{
    enum wasi_errno error = wasi_node_descriptor(wasi_of(instance), fd, 0, WASI_ESPIPE, result);
    if (error != WASI_SUCCESS)
        return error;
    if ((*result)->node->type == VFS_DIRECTORY)
        return WASI_EBADF;
    return (*result)->rights & right ? WASI_SUCCESS : WASI_ENOTCAPABLE;
}

static uint32_t seek(struct instance *instance, uint32_t fd, int64_t offset, enum wasi_whence whence, void *result)
{
    struct wasi_descriptor *descriptor;
    struct vfs_stat stat;
    uint64_t right =
        whence == WASI_WHENCE_CUR && offset == 0 ? WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL : WASI_RIGHT_FD_SEEK;
    int64_t base = 0, target;
    enum wasi_errno error = seekable(instance, fd, right, &descriptor);
    if (error != WASI_SUCCESS)
        return error;
    if (whence == WASI_WHENCE_CUR) {
        base = (int64_t)descriptor->offset;
    } else if (whence == WASI_WHENCE_END) {
        error = wasi_errno_of(vfs_stat(descriptor->node, &stat));
        if (error != WASI_SUCCESS)
            return error;
        base = (int64_t)stat.size;
    } else if (whence != WASI_WHENCE_SET) {
        return WASI_EINVAL;
    }
    if (__builtin_add_overflow(base, offset, &target) || target < 0)
        return WASI_EINVAL;
    descriptor->offset = (uint64_t)target;
    memcpy(result, &descriptor->offset, sizeof descriptor->offset);
    return WASI_SUCCESS;
}

uint32_t wasi_preview1_fd_seek(struct instance *instance, uint32_t fd, uint64_t offset, uint32_t whence,
                               uint32_t result)
{
    void *memory = instance_memory_required(instance, result, sizeof(uint64_t), "fd_seek: result");
    return seek(instance, fd, (int64_t)offset, whence, memory);
}

uint32_t wasi_unstable_fd_seek(struct instance *instance, uint32_t fd, uint64_t offset, uint32_t whence,
                               uint32_t result)
{
    static const uint8_t whences[] = {WASI_WHENCE_CUR, WASI_WHENCE_END, WASI_WHENCE_SET};
    void *memory = instance_memory_required(instance, result, sizeof(uint64_t), "fd_seek: result");
    if (whence >= ARRAY_COUNT(whences))
        return WASI_EINVAL;
    return seek(instance, fd, (int64_t)offset, whences[whence], memory);
}

uint32_t wasi_fd_tell(struct instance *instance, uint32_t fd, uint32_t result)
{
    struct wasi_descriptor *descriptor;
    void *memory = instance_memory_required(instance, result, sizeof(uint64_t), "fd_tell: result");
    enum wasi_errno error = seekable(instance, fd, WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL, &descriptor);
    if (error == WASI_SUCCESS)
        memcpy(memory, &descriptor->offset, sizeof descriptor->offset);
    return error;
}

/* ---- Size, times, and what is asked of storage ---- */

enum wasi_errno wasi_stat_descriptor(struct instance *instance, uint32_t fd, struct vfs_stat *stat, uint8_t *filetype)
{
    const struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    if (!descriptor)
        return WASI_EBADF;
    if (!(descriptor->rights & WASI_RIGHT_FD_FILESTAT_GET))
        return WASI_ENOTCAPABLE;
    *filetype = wasi_descriptor_filetype(descriptor);
    *stat = (struct vfs_stat){.links = 1};
    return descriptor->kind == WASI_NODE ? wasi_errno_of(vfs_stat(descriptor->node, stat)) : WASI_SUCCESS;
}

uint32_t wasi_fd_filestat_set_size(struct instance *instance, uint32_t fd, uint64_t size)
{
    struct wasi_descriptor *descriptor;
    enum wasi_errno error =
        wasi_node_descriptor(wasi_of(instance), fd, WASI_RIGHT_FD_FILESTAT_SET_SIZE, WASI_EINVAL, &descriptor);
    if (error != WASI_SUCCESS)
        return error;
    return size < OFFSET_LIMIT ? wasi_errno_of(vfs_truncate(descriptor->node, size)) : WASI_EFBIG;
}

uint32_t wasi_fd_allocate(struct instance *instance, uint32_t fd, uint64_t offset, uint64_t bytes)
{
    struct wasi_descriptor *descriptor;
    struct vfs_stat stat;
    enum wasi_errno error =
        wasi_node_descriptor(wasi_of(instance), fd, WASI_RIGHT_FD_ALLOCATE, WASI_ESPIPE, &descriptor);
    if (error != WASI_SUCCESS)
        return error;
    if (bytes == 0 || offset >= OFFSET_LIMIT)
        return WASI_EINVAL;
    if (bytes >= OFFSET_LIMIT - offset)
        return WASI_EFBIG;
    enum status status = vfs_stat(descriptor->node, &stat);
    if (status == STATUS_OK && stat.size < offset + bytes)
        status = vfs_truncate(descriptor->node, offset + bytes);
    return wasi_errno_of(status);
}

enum wasi_errno wasi_decode_times(uint32_t flags, uint64_t *access_time, uint64_t *modify_time)
{
    uint32_t access = flags & (WASI_FST_ATIM | WASI_FST_ATIM_NOW), modify = flags & (WASI_FST_MTIM | WASI_FST_MTIM_NOW);
    if ((flags & ~(uint32_t)WASI_FSTFLAGS) || access == (WASI_FST_ATIM | WASI_FST_ATIM_NOW) ||
        modify == (WASI_FST_MTIM | WASI_FST_MTIM_NOW))
        return WASI_EINVAL;
    if ((access == WASI_FST_ATIM && *access_time == VFS_TIME_KEEP) ||
        (modify == WASI_FST_MTIM && *modify_time == VFS_TIME_KEEP))
        return WASI_EINVAL;
    uint64_t now = platform_realtime_nanoseconds();
    if (access != WASI_FST_ATIM)
        *access_time = access ? now : VFS_TIME_KEEP;
    if (modify != WASI_FST_MTIM)
        *modify_time = modify ? now : VFS_TIME_KEEP;
    return WASI_SUCCESS;
}

uint32_t wasi_fd_filestat_set_times(struct instance *instance, uint32_t fd, uint64_t access_time, uint64_t modify_time,
                                    uint32_t flags)
{
    struct wasi_descriptor *descriptor;
    enum wasi_errno error = wasi_decode_times(flags, &access_time, &modify_time);
    if (error == WASI_SUCCESS)
        error = wasi_node_descriptor(wasi_of(instance), fd, WASI_RIGHT_FD_FILESTAT_SET_TIMES, WASI_EINVAL, &descriptor);
    if (error != WASI_SUCCESS)
        return error;
    return wasi_errno_of(vfs_set_times(descriptor->node, access_time, modify_time));
}

uint32_t wasi_fd_advise(struct instance *instance, uint32_t fd, uint64_t offset, uint64_t bytes, uint32_t advice)
{
    struct wasi_descriptor *descriptor;
    enum wasi_errno error = wasi_node_descriptor(wasi_of(instance), fd, 0, WASI_ESPIPE, &descriptor);
    if (error != WASI_SUCCESS)
        return error;
    if (descriptor->node->type == VFS_DIRECTORY)
        return WASI_EBADF;
    if (!(descriptor->rights & WASI_RIGHT_FD_ADVISE))
        return WASI_ENOTCAPABLE;
    return advice < WASI_ADVICE_COUNT && bytes <= UINT64_MAX - offset ? WASI_SUCCESS : WASI_EINVAL;
}

static uint32_t sync(struct instance *instance, uint32_t fd, uint64_t right, bool only_data)
{
    const struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(instance), fd);
    if (!descriptor)
        return WASI_EBADF;
    if (!(descriptor->rights & right))
        return WASI_ENOTCAPABLE;
    return descriptor->kind == WASI_NODE ? wasi_errno_of(vfs_sync(descriptor->node, only_data)) : WASI_EINVAL;
}

uint32_t wasi_fd_sync(struct instance *instance, uint32_t fd)
{
    return sync(instance, fd, WASI_RIGHT_FD_SYNC, false);
}

uint32_t wasi_fd_datasync(struct instance *instance, uint32_t fd)
{
    return sync(instance, fd, WASI_RIGHT_FD_DATASYNC, true);
}
