/* The attributes of files in the layouts of both interfaces. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/process.h"

/* A file's times are those of a clock, too. */
static void blur_times(struct instance *instance, struct vfs_stat *stat)
{
    struct process *process = instance_process(instance);
    if (process_time_step(process) > PROCESS_TIME_FINE) {
        stat->access_time = process_visible_time(process, stat->access_time);
        stat->modify_time = process_visible_time(process, stat->modify_time);
        stat->change_time = process_visible_time(process, stat->change_time);
    }
}

static uint32_t store_preview1(struct instance *instance, uint32_t result, struct vfs_stat *stat,
                               uint8_t filetype)
{
    blur_times(instance, stat);
    struct wasi_filestat value = {
        .device = stat->device,
        .inode = stat->inode,
        .filetype = filetype,
        .links = stat->links,
        .size = stat->size,
        .access_time = stat->access_time,
        .modify_time = stat->modify_time,
        .change_time = stat->change_time,
    };
    memcpy(instance_memory_required(instance, result, sizeof value, "filestat_get: result"), &value, sizeof value);
    return WASI_SUCCESS;
}

static uint32_t store_unstable(struct instance *instance, uint32_t result, struct vfs_stat *stat,
                               uint8_t filetype)
{
    blur_times(instance, stat);
    struct wasi_unstable_filestat value = {
        .device = stat->device,
        .inode = stat->inode,
        .filetype = filetype,
        .links = (uint32_t)min_u64(stat->links, UINT32_MAX),
        .size = stat->size,
        .access_time = stat->access_time,
        .modify_time = stat->modify_time,
        .change_time = stat->change_time,
    };
    memcpy(instance_memory_required(instance, result, sizeof value, "filestat_get: result"), &value, sizeof value);
    return WASI_SUCCESS;
}

uint32_t wasi_preview1_fd_filestat_get(struct instance *instance, uint32_t fd, uint32_t result)
{
    struct vfs_stat stat;
    uint8_t filetype;
    instance_memory_required(instance, result, sizeof(struct wasi_filestat), "fd_filestat_get: result");
    enum wasi_errno error = wasi_stat_descriptor(instance, fd, &stat, &filetype);
    return error == WASI_SUCCESS ? store_preview1(instance, result, &stat, filetype) : error;
}

uint32_t wasi_unstable_fd_filestat_get(struct instance *instance, uint32_t fd, uint32_t result)
{
    struct vfs_stat stat;
    uint8_t filetype;
    instance_memory_required(instance, result, sizeof(struct wasi_unstable_filestat), "fd_filestat_get: result");
    enum wasi_errno error = wasi_stat_descriptor(instance, fd, &stat, &filetype);
    return error == WASI_SUCCESS ? store_unstable(instance, result, &stat, filetype) : error;
}

uint32_t wasi_preview1_path_filestat_get(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path,
                                         uint32_t length, uint32_t result)
{
    struct vfs_stat stat;
    instance_memory_required(instance, result, sizeof(struct wasi_filestat), "path_filestat_get: result");
    enum wasi_errno error = wasi_stat_path(instance, fd, flags, path, length, &stat);
    return error == WASI_SUCCESS ? store_preview1(instance, result, &stat, wasi_filetype(stat.type)) : error;
}

uint32_t wasi_unstable_path_filestat_get(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path,
                                         uint32_t length, uint32_t result)
{
    struct vfs_stat stat;
    instance_memory_required(instance, result, sizeof(struct wasi_unstable_filestat), "path_filestat_get: result");
    enum wasi_errno error = wasi_stat_path(instance, fd, flags, path, length, &stat);
    return error == WASI_SUCCESS ? store_unstable(instance, result, &stat, wasi_filetype(stat.type)) : error;
}
