/* Folders of the host; see hostfs.h.
 *
 * Authority: every call below names its object by a descriptor and at most one component that vfs.c checked (no slash,
 * not `..`), always without following a link in it; only open_path gives Linux a whole path, and RESOLVE_BENEATH. */
#include "platform/linux/hostfs.h"
#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* openat2 gives up with EAGAIN when directories are renamed during a walk with `..`. */
#define WALK_TRIES 16

struct host_node {
    struct vfs_node node;
    int file;          /* for good, but what it names may change with `listable` */
    struct mutex lock; /* of a directory: for `listable` and the place that it is read at */
    bool listable;     /* opened for reading, not with O_PATH */
};

static const struct vfs_operations operations_with_openat2, operations_walking;

static struct host_node *host_node(struct vfs_node *node)
{
    return (struct host_node *)node;
}

static enum status status_of_errno(void)
{
    switch (errno) {
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case EMFILE:
    case ENFILE:
    case EMLINK:
        return STATUS_LIMIT;
    case EINVAL:
        return STATUS_INVALID;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_EXISTS;
    case EACCES:
        return STATUS_DENIED;
    case EBADF:
        return STATUS_BAD_HANDLE;
    case EAGAIN:
    case EINTR:
        return STATUS_AGAIN;
    case EOPNOTSUPP:
    case ENOSYS:
        return STATUS_NOT_SUPPORTED;
    case ENOTDIR:
        return STATUS_NOT_DIRECTORY;
    case EISDIR:
        return STATUS_IS_DIRECTORY;
    case ENOTEMPTY:
        return STATUS_NOT_EMPTY;
    case ENAMETOOLONG:
        return STATUS_NAME_TOO_LONG;
    case ELOOP:
        return STATUS_LOOP;
    case ENOSPC:
    case EDQUOT:
        return STATUS_NO_SPACE;
    case EFBIG:
    case EOVERFLOW:
        return STATUS_TOO_LARGE;
    case EROFS:
        return STATUS_READ_ONLY;
    case EXDEV:
        return STATUS_CROSS_DEVICE;
    case EBUSY:
    case ETXTBSY:
        return STATUS_BUSY;
    case EPERM:
        return STATUS_NOT_PERMITTED;
    case EPIPE:
        return STATUS_CLOSED;
    default:
        return STATUS_IO;
    }
}

static enum status status_of(long result)
{
    return result < 0 ? status_of_errno() : STATUS_OK;
}

/* ---- Names: bytes with a length in the kernel, terminated for Linux ---- */

struct terminated_name {
    char text[VFS_NAME_BYTES + 1];
};

static const char *terminate(struct terminated_name *buffer, const char *name, size_t length)
{
    memcpy(buffer->text, name, length);
    buffer->text[length] = '\0';
    return buffer->text;
}

/* ---- Opening ---- */

static enum vfs_type type_of_mode(mode_t mode)
{
    return S_ISREG(mode)   ? VFS_FILE
           : S_ISDIR(mode) ? VFS_DIRECTORY
           : S_ISLNK(mode) ? VFS_SYMLINK
           : S_ISCHR(mode) ? VFS_CHARACTER
           : S_ISBLK(mode) ? VFS_BLOCK
                           : VFS_OTHER;
}

static int linux_flags(unsigned flags)
{
    /* Neither wait for the other end of a FIFO, nor make a terminal ours. */
    int result = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    bool writes = flags & (VFS_WRITE | VFS_TRUNCATE);
    if (flags & (VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE))
        result |= !writes ? O_RDONLY : flags & VFS_READ ? O_RDWR : O_WRONLY;
    else
        result = O_CLOEXEC | O_PATH;
    result |= flags & VFS_CREATE ? O_CREAT : 0;
    result |= flags & VFS_EXCLUSIVE && flags & VFS_CREATE ? O_EXCL : 0;
    result |= flags & VFS_TRUNCATE ? O_TRUNC : 0;
    result |= flags & VFS_ONLY_DIRECTORY ? O_DIRECTORY : 0;
    result |= flags & VFS_FOLLOW ? 0 : O_NOFOLLOW;
    return result;
}

/* A node for an open file, which it takes over (and closes on failure). */
static enum status make_node(int file, const struct vfs_operations *operations, unsigned flags,
                             struct vfs_node **result)
{
    struct stat stat;
    struct host_node *node = kernel_allocate(sizeof *node);
    if (!node || fstat(file, &stat) != 0) {
        kernel_free(node, sizeof *node);
        close(file);
        return node ? STATUS_IO : STATUS_NO_MEMORY;
    }
    vfs_node_initialize(&node->node, operations, type_of_mode(stat.st_mode));
    mutex_initialize(&node->lock);
    node->file = file;
    node->listable = S_ISDIR(stat.st_mode) && flags & VFS_READ;
    *result = &node->node;
    return STATUS_OK;
}

static void host_destroy(struct vfs_node *node)
{
    close(host_node(node)->file);
    kernel_free(node, sizeof(struct host_node));
}

static enum status host_open(struct vfs_node *directory, const char *name, size_t length, unsigned flags,
                             struct vfs_node **result)
{
    struct terminated_name buffer;
    int parent = host_node(directory)->file;
    const char *text = terminate(&buffer, name, length);
    int file = openat(parent, text, linux_flags(flags), 0666);
    /* Maybe a symbolic link, whose own node is wanted. */
    if (file < 0 && errno == ELOOP && !(flags & VFS_EXCLUSIVE))
        file = openat(parent, text, linux_flags(0), 0);
    if (file < 0)
        return status_of_errno();
    return make_node(file, directory->operations, flags, result);
}

static long openat2_beneath(int directory, const char *path, unsigned flags)
{
    struct open_how how = {
        .flags = (uint64_t)linux_flags(flags),
        .mode = flags & VFS_CREATE ? 0666 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long file;
    int tries = 0;
    do
        file = syscall(SYS_openat2, directory, path, &how, sizeof how);
    while (file < 0 && errno == EAGAIN && ++tries < WALK_TRIES);
    return file;
}

static enum status host_open_path(struct vfs_node *directory, const char *path, size_t length, unsigned flags,
                                  struct vfs_node **result)
{
    char text[VFS_PATH_BYTES + 1];
    memcpy(text, path, length);
    text[length] = '\0';
    long file = openat2_beneath(host_node(directory)->file, text, flags);
    if (file < 0)
        return errno == EXDEV ? STATUS_OUTSIDE : status_of_errno();
    return make_node((int)file, directory->operations, flags, result);
}

/* ---- Directories ---- */

static enum status host_make_directory(struct vfs_node *directory, const char *name, size_t length)
{
    struct terminated_name buffer;
    return status_of(mkdirat(host_node(directory)->file, terminate(&buffer, name, length), 0777));
}

static enum status host_remove_directory(struct vfs_node *directory, const char *name, size_t length)
{
    struct terminated_name buffer;
    enum status status =
        status_of(unlinkat(host_node(directory)->file, terminate(&buffer, name, length), AT_REMOVEDIR));
    return status == STATUS_EXISTS ? STATUS_NOT_EMPTY : status; /* POSIX allows both */
}

static enum status host_unlink(struct vfs_node *directory, const char *name, size_t length)
{
    struct terminated_name buffer;
    return status_of(unlinkat(host_node(directory)->file, terminate(&buffer, name, length), 0));
}

static enum status host_rename(struct vfs_node *from, const char *from_name, size_t from_length, struct vfs_node *to,
                               const char *to_name, size_t to_length)
{
    struct terminated_name from_buffer, to_buffer;
    enum status status = status_of(renameat(host_node(from)->file, terminate(&from_buffer, from_name, from_length),
                                            host_node(to)->file, terminate(&to_buffer, to_name, to_length)));
    return status == STATUS_EXISTS ? STATUS_NOT_EMPTY : status;
}

/* A path that names an open file, O_PATH or not, also where AT_EMPTY_PATH needs a privilege. */
struct descriptor_path {
    char text[32];
};

static const char *descriptor_path(struct descriptor_path *buffer, int file)
{
    snprintf(buffer->text, sizeof buffer->text, "/proc/self/fd/%d", file);
    return buffer->text;
}

static enum status host_link(struct vfs_node *directory, const char *name, size_t length, struct vfs_node *target)
{
    struct terminated_name buffer;
    struct descriptor_path path;
    const char *text = terminate(&buffer, name, length);
    int parent = host_node(directory)->file, file = host_node(target)->file;
    if (linkat(file, "", parent, text, AT_EMPTY_PATH) == 0)
        return STATUS_OK;
    if (errno != ENOENT && errno != EPERM)
        return status_of_errno();
    return status_of(linkat(AT_FDCWD, descriptor_path(&path, file), parent, text, AT_SYMLINK_FOLLOW));
}

static enum status host_make_symlink(struct vfs_node *directory, const char *name, size_t length, const char *target,
                                     size_t target_length)
{
    struct terminated_name buffer;
    char text[VFS_PATH_BYTES + 1];
    memcpy(text, target, target_length);
    text[target_length] = '\0';
    return status_of(symlinkat(text, host_node(directory)->file, terminate(&buffer, name, length)));
}

static enum vfs_type type_of_entry(unsigned char type)
{
    return type_of_mode(DTTOIF(type));
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Directories met during a walk were opened with O_PATH, which cannot be read. */
static enum status make_listable(struct host_node *node)
{
    if (node->listable)
        return STATUS_OK;
    int file = openat(node->file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return status_of_errno();
    bool done = dup3(file, node->file, O_CLOEXEC) >= 0;
    close(file);
    node->listable = done;
    return done ? STATUS_OK : STATUS_IO;
}

/* The cookie is Linux's d_off, which stays good as long as the file system keeps its directory order. */
static enum status read_locked(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes, size_t *done)
{
    enum status status = make_listable(host_node(directory));
    if (status != STATUS_OK)
        return status;
    int file = host_node(directory)->file;
    if (cookie > INT64_MAX || lseek(file, (off_t)cookie, SEEK_SET) < 0)
        return STATUS_INVALID;
    size_t used = 0;
    for (bool full = false; !full;) {
        _Alignas(struct dirent64) uint8_t entries[4096];
        ssize_t got = syscall(SYS_getdents64, file, entries, sizeof entries);
        if (got < 0)
            return status_of_errno();
        if (got == 0)
            break;
        for (ssize_t at = 0; at < got && !full;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            at += entry->d_reclen;
            if (!is_dots(entry->d_name))
                full = !vfs_entry_append(buffer, bytes, &used, (uint64_t)entry->d_off, entry->d_ino,
                                         type_of_entry(entry->d_type), entry->d_name, strlen(entry->d_name));
        }
    }
    *done = used;
    return STATUS_OK;
}

static enum status host_read_directory(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes,
                                       size_t *done)
{
    struct host_node *node = host_node(directory);
    mutex_acquire(&node->lock);
    enum status status = read_locked(directory, cookie, buffer, bytes, done);
    mutex_release(&node->lock);
    return status;
}

/* ---- Files ---- */

static enum status transferred(ssize_t count, size_t *done)
{
    if (count < 0)
        return status_of_errno();
    *done = (size_t)count;
    return STATUS_OK;
}

static enum status host_read(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done)
{
    int file = host_node(node)->file;
    if (node->type == VFS_CHARACTER || node->type == VFS_OTHER)
        return transferred(read(file, buffer, bytes), done);
    if (offset > INT64_MAX)
        return STATUS_INVALID;
    return transferred(pread(file, buffer, bytes, (off_t)offset), done);
}

static enum status host_write(struct vfs_node *node, uint64_t offset, const void *buffer, size_t bytes, size_t *done)
{
    int file = host_node(node)->file;
    if (node->type == VFS_CHARACTER || node->type == VFS_OTHER)
        return transferred(write(file, buffer, bytes), done);
    if (offset > INT64_MAX)
        return STATUS_TOO_LARGE;
    return transferred(pwrite(file, buffer, bytes, (off_t)offset), done);
}

static enum status host_append(struct vfs_node *node, const void *buffer, size_t bytes, size_t *done, uint64_t *offset)
{
    int file = host_node(node)->file;
    /* The descriptor's own position, which nothing else uses, ends up behind what was written. */
    struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    ssize_t written = syscall(SYS_pwritev2, file, &vector, 1L, -1L, -1L, RWF_APPEND);
    off_t end = lseek(file, 0, SEEK_CUR);
    *offset = end < 0 ? 0 : (uint64_t)end;
    return transferred(written, done);
}

static enum status host_truncate(struct vfs_node *node, uint64_t size)
{
    return size > INT64_MAX ? STATUS_TOO_LARGE : status_of(ftruncate(host_node(node)->file, (off_t)size));
}

/* ---- All nodes ---- */

static uint64_t nanoseconds(struct timespec time)
{
    return time.tv_sec < 0 ? 0 : (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static enum status host_stat(struct vfs_node *node, struct vfs_stat *result)
{
    struct stat stat;
    if (fstat(host_node(node)->file, &stat) != 0)
        return status_of_errno();
    *result = (struct vfs_stat){
        .device = stat.st_dev,
        .inode = stat.st_ino,
        .type = type_of_mode(stat.st_mode),
        .links = stat.st_nlink,
        .size = (uint64_t)stat.st_size,
        .access_time = nanoseconds(stat.st_atim),
        .modify_time = nanoseconds(stat.st_mtim),
        .change_time = nanoseconds(stat.st_ctim),
    };
    return STATUS_OK;
}

static struct timespec time_to_set(uint64_t time)
{
    if (time == VFS_TIME_KEEP)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)(time / 1000000000), .tv_nsec = (long)(time % 1000000000)};
}

static enum status host_set_times(struct vfs_node *node, uint64_t access_time, uint64_t modify_time)
{
    struct timespec times[2] = {time_to_set(access_time), time_to_set(modify_time)};
    struct descriptor_path path;
    int file = host_node(node)->file;
    if (utimensat(file, "", times, AT_EMPTY_PATH) == 0)
        return STATUS_OK;
    if (errno != EINVAL && errno != ENOENT)
        return status_of_errno();
    /* Before Linux 5.8 the empty path is not known here. */
    return status_of(utimensat(AT_FDCWD, descriptor_path(&path, file), times, 0));
}

static enum status host_read_link(struct vfs_node *node, char *buffer, size_t bytes, size_t *done)
{
    return transferred(readlinkat(host_node(node)->file, "", buffer, bytes), done);
}

static enum status host_sync(struct vfs_node *node, bool only_data)
{
    int file = host_node(node)->file;
    enum status status = status_of(only_data ? fdatasync(file) : fsync(file));
    return status == STATUS_BAD_HANDLE || status == STATUS_INVALID ? STATUS_OK : status; /* nothing to be synced */
}

#define HOST_OPERATIONS                                                                                                \
    .destroy = host_destroy, .open = host_open, .make_directory = host_make_directory,                                 \
    .remove_directory = host_remove_directory, .unlink = host_unlink, .rename = host_rename, .link = host_link,        \
    .make_symlink = host_make_symlink, .read_directory = host_read_directory, .read = host_read, .write = host_write,  \
    .append = host_append, .truncate = host_truncate, .stat = host_stat, .set_times = host_set_times,                  \
    .read_link = host_read_link, .sync = host_sync

static const struct vfs_operations operations_with_openat2 = {HOST_OPERATIONS, .open_path = host_open_path};
static const struct vfs_operations operations_walking = {HOST_OPERATIONS};

/* ---- Mounting ---- */

static enum status create(const char *path, const struct vfs_operations *operations, struct vfs_node **result)
{
    int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file < 0 ? status_of_errno() : make_node(file, operations, VFS_READ, result);
}

/* Linux before 5.6, and some sandboxes, refuse the call itself. */
static bool openat2_works(void)
{
    long file = openat2_beneath(AT_FDCWD, ".", 0);
    if (file >= 0)
        close((int)file);
    return file >= 0 || (errno != ENOSYS && errno != EPERM);
}

enum status hostfs_create(const char *path, struct vfs_node **result)
{
    return create(path, openat2_works() ? &operations_with_openat2 : &operations_walking, result);
}

enum status hostfs_create_walking(const char *path, struct vfs_node **result)
{
    return create(path, &operations_walking, result);
}
