/* What works on a path below a directory descriptor. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/thread.h"

/* A copy, so that what was checked is what is used. */
struct path {
    size_t length;
    char *text;
};

/* Room for the paths of one call. */
#define PATHS 2
static enum wasi_errno make_room(struct path *paths, uint32_t count)
{
    char *text = thread_scratch(count * VFS_PATH_BYTES);
    for (uint32_t i = 0; text && i < count; i++)
        paths[i].text = text + i * VFS_PATH_BYTES;
    return text ? WASI_SUCCESS : WASI_ENOMEM;
}

static enum wasi_errno decode_path(struct instance *instance, uint32_t address, uint32_t length, const char *what,
                                   struct path *path)
{
    const void *text = instance_memory_required(instance, address, length, what);
    if (length > VFS_PATH_BYTES)
        return WASI_ENAMETOOLONG;
    path->length = length;
    memcpy(path->text, text, length);
    return WASI_SUCCESS;
}

/* Path and the directory that it starts at. */
static enum wasi_errno decode_place_into(struct instance *instance, uint32_t fd, uint64_t rights, uint32_t address,
                                         uint32_t length, const char *what, struct path *path,
                                         struct vfs_node **directory)
{
    struct wasi_descriptor *descriptor;
    enum wasi_errno error = decode_path(instance, address, length, what, path);
    if (error == WASI_SUCCESS)
        error = wasi_directory(wasi_of(instance), fd, rights, &descriptor);
    if (error == WASI_SUCCESS)
        *directory = descriptor->node;
    return error;
}

/* The same for calls with one path. */
static enum wasi_errno decode_place(struct instance *instance, uint32_t fd, uint64_t rights, uint32_t address,
                                    uint32_t length, const char *what, struct path *path, struct vfs_node **directory)
{
    enum wasi_errno error = make_room(path, 1);
    return error == WASI_SUCCESS ? decode_place_into(instance, fd, rights, address, length, what, path, directory)
                                 : error;
}

static unsigned follow(uint32_t lookup_flags)
{
    return lookup_flags & WASI_LOOKUP_FOLLOW ? VFS_FOLLOW : 0;
}

/* ---- One path ---- */

uint32_t wasi_path_create_directory(struct instance *instance, uint32_t fd, uint32_t path, uint32_t length)
{
    struct path name;
    struct vfs_node *directory;
    enum wasi_errno error = decode_place(instance, fd, WASI_RIGHT_PATH_CREATE_DIRECTORY, path, length,
                                         "path_create_directory: path", &name, &directory);
    return error == WASI_SUCCESS ? wasi_errno_of(vfs_make_directory(directory, name.text, name.length)) : error;
}

uint32_t wasi_path_remove_directory(struct instance *instance, uint32_t fd, uint32_t path, uint32_t length)
{
    struct path name;
    struct vfs_node *directory;
    enum wasi_errno error = decode_place(instance, fd, WASI_RIGHT_PATH_REMOVE_DIRECTORY, path, length,
                                         "path_remove_directory: path", &name, &directory);
    return error == WASI_SUCCESS ? wasi_errno_of(vfs_remove_directory(directory, name.text, name.length)) : error;
}

uint32_t wasi_path_unlink_file(struct instance *instance, uint32_t fd, uint32_t path, uint32_t length)
{
    struct path name;
    struct vfs_node *directory;
    enum wasi_errno error = decode_place(instance, fd, WASI_RIGHT_PATH_UNLINK_FILE, path, length,
                                         "path_unlink_file: path", &name, &directory);
    return error == WASI_SUCCESS ? wasi_errno_of(vfs_unlink(directory, name.text, name.length)) : error;
}

enum wasi_errno wasi_stat_path(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path, uint32_t length,
                               struct vfs_stat *stat)
{
    struct path name;
    struct vfs_node *directory, *node;
    enum wasi_errno error = decode_place(instance, fd, WASI_RIGHT_PATH_FILESTAT_GET, path, length,
                                         "path_filestat_get: path", &name, &directory);
    if (error != WASI_SUCCESS)
        return error;
    enum status status = vfs_open(directory, name.text, name.length, follow(flags), &node);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    status = vfs_stat(node, stat);
    vfs_release(node);
    return wasi_errno_of(status);
}

uint32_t wasi_path_filestat_set_times(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path,
                                      uint32_t length, uint64_t access_time, uint64_t modify_time, uint32_t time_flags)
{
    struct path name;
    struct vfs_node *directory, *node;
    enum wasi_errno error = decode_place(instance, fd, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, path, length,
                                         "path_filestat_set_times: path", &name, &directory);
    if (error == WASI_SUCCESS)
        error = wasi_decode_times(time_flags, &access_time, &modify_time);
    if (error != WASI_SUCCESS)
        return error;
    enum status status = vfs_open(directory, name.text, name.length, follow(flags), &node);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    status = vfs_set_times(node, access_time, modify_time);
    vfs_release(node);
    return wasi_errno_of(status);
}

uint32_t wasi_path_readlink(struct instance *instance, uint32_t fd, uint32_t path, uint32_t length, uint32_t buffer,
                            uint32_t bytes, uint32_t result)
{
    struct path paths[PATHS], *name = &paths[0], *text = &paths[1];
    struct vfs_node *directory, *node;
    void *target = instance_memory_required(instance, buffer, bytes, "path_readlink: buffer");
    void *result_memory = instance_memory_required(instance, result, sizeof(uint32_t), "path_readlink: result");
    enum wasi_errno error = make_room(paths, PATHS);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, fd, WASI_RIGHT_PATH_READLINK, path, length, "path_readlink: path", name,
                                  &directory);
    if (error != WASI_SUCCESS)
        return error;
    enum status status = vfs_open(directory, name->text, name->length, 0, &node);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    size_t done = 0; /* the guest may end where its buffer is touched: not with the node held */
    status = vfs_read_link(node, text->text, min_u64(bytes, VFS_PATH_BYTES), &done);
    vfs_release(node);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    memcpy(target, text->text, done);
    uint32_t done32 = (uint32_t)done;
    memcpy(result_memory, &done32, sizeof done32);
    return WASI_SUCCESS;
}

/* ---- Two paths ---- */

uint32_t wasi_path_link(struct instance *instance, uint32_t from_fd, uint32_t flags, uint32_t from,
                        uint32_t from_length, uint32_t to_fd, uint32_t to, uint32_t to_length)
{
    struct path names[PATHS], *from_name = &names[0], *to_name = &names[1];
    struct vfs_node *from_directory, *to_directory;
    enum wasi_errno error = make_room(names, PATHS);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, from_fd, WASI_RIGHT_PATH_LINK_SOURCE, from, from_length,
                                  "path_link: old path", from_name, &from_directory);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, to_fd, WASI_RIGHT_PATH_LINK_TARGET, to, to_length, "path_link: new path",
                                  to_name, &to_directory);
    if (error != WASI_SUCCESS)
        return error;
    return wasi_errno_of(vfs_link(from_directory, from_name->text, from_name->length, flags & WASI_LOOKUP_FOLLOW,
                                  to_directory, to_name->text, to_name->length));
}

uint32_t wasi_path_rename(struct instance *instance, uint32_t from_fd, uint32_t from, uint32_t from_length,
                          uint32_t to_fd, uint32_t to, uint32_t to_length)
{
    struct path names[PATHS], *from_name = &names[0], *to_name = &names[1];
    struct vfs_node *from_directory, *to_directory;
    enum wasi_errno error = make_room(names, PATHS);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, from_fd, WASI_RIGHT_PATH_RENAME_SOURCE, from, from_length,
                                  "path_rename: old path", from_name, &from_directory);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, to_fd, WASI_RIGHT_PATH_RENAME_TARGET, to, to_length,
                                  "path_rename: new path", to_name, &to_directory);
    if (error != WASI_SUCCESS)
        return error;
    return wasi_errno_of(
        vfs_rename(from_directory, from_name->text, from_name->length, to_directory, to_name->text, to_name->length));
}

uint32_t wasi_path_symlink(struct instance *instance, uint32_t target, uint32_t target_length, uint32_t fd,
                           uint32_t path, uint32_t length)
{
    struct path names[PATHS], *name = &names[0], *target_name = &names[1];
    struct vfs_node *directory;
    enum wasi_errno error = make_room(names, PATHS);
    if (error == WASI_SUCCESS)
        error = decode_path(instance, target, target_length, "path_symlink: target", target_name);
    if (error == WASI_SUCCESS)
        error = decode_place_into(instance, fd, WASI_RIGHT_PATH_SYMLINK, path, length, "path_symlink: path", name,
                                  &directory);
    if (error != WASI_SUCCESS)
        return error;
    return wasi_errno_of(vfs_make_symlink(directory, name->text, name->length, target_name->text, target_name->length));
}

/* ---- Opening ---- */

static unsigned open_flags_of(uint32_t lookup_flags, uint32_t open_flags, uint64_t rights)
{
    /* FD_WRITE on a directory is refused; the others just mean nothing there. */
    uint64_t writing = WASI_RIGHT_FD_WRITE;
    if (!(open_flags & WASI_OFLAG_DIRECTORY))
        writing |= WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE;
    unsigned flags = follow(lookup_flags);
    if (rights & (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR))
        flags |= VFS_READ;
    if (rights & writing)
        flags |= VFS_WRITE;
    if (open_flags & WASI_OFLAG_CREAT)
        flags |= VFS_CREATE;
    if (open_flags & WASI_OFLAG_EXCL)
        flags |= VFS_EXCLUSIVE;
    if (open_flags & WASI_OFLAG_TRUNC)
        flags |= VFS_TRUNCATE;
    if (open_flags & WASI_OFLAG_DIRECTORY)
        flags |= VFS_ONLY_DIRECTORY;
    return flags;
}

/* The rights on the directory that a path_open with these flags needs. */
static uint64_t rights_to_open(uint32_t open_flags)
{
    uint64_t rights = WASI_RIGHT_PATH_OPEN;
    if (open_flags & WASI_OFLAG_CREAT)
        rights |= WASI_RIGHT_PATH_CREATE_FILE;
    if (open_flags & WASI_OFLAG_TRUNC)
        rights |= WASI_RIGHT_PATH_FILESTAT_SET_SIZE;
    return rights;
}

/* Rights beyond what the directory passes on are left out and not refused: language runtimes ask for all. */
uint32_t wasi_path_open(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path, uint32_t length,
                        uint32_t open_flags, uint64_t rights, uint64_t inheriting, uint32_t fd_flags, uint32_t result)
{
    struct wasi *wasi = wasi_of(instance);
    struct path name;
    struct wasi_descriptor *directory;
    void *result_memory = instance_memory_required(instance, result, sizeof(uint32_t), "path_open: result");
    uint32_t new_fd;
    enum wasi_errno error = make_room(&name, 1);
    if (error == WASI_SUCCESS)
        error = decode_path(instance, path, length, "path_open: path", &name);
    if (error == WASI_SUCCESS)
        error = wasi_descriptor_reserve(wasi, &new_fd);
    if (error == WASI_SUCCESS)
        error = wasi_directory(wasi, fd, rights_to_open(open_flags), &directory);
    if (error != WASI_SUCCESS)
        return error;
    if ((open_flags & ~(uint32_t)WASI_OFLAGS) || (fd_flags & ~(uint32_t)WASI_FDFLAGS))
        return WASI_EINVAL;

    struct wasi_descriptor descriptor = {
        .kind = WASI_NODE,
        .rights = rights & directory->inheriting,
        .inheriting = inheriting & directory->inheriting,
        .flags = (uint16_t)fd_flags,
    };
    enum status status = vfs_open(directory->node, name.text, name.length,
                                  open_flags_of(flags, open_flags, descriptor.rights), &descriptor.node);
    if (status != STATUS_OK)
        return wasi_errno_of(status);
    descriptor.rights &= descriptor.node->type == VFS_DIRECTORY ? WASI_RIGHTS_DIRECTORY : WASI_RIGHTS_FILE;
    if (descriptor.node->type == VFS_SYMLINK) {
        vfs_release(descriptor.node);
        return WASI_ELOOP;
    }
    wasi_descriptor_set(wasi, new_fd, &descriptor);
    memcpy(result_memory, &new_fd, sizeof new_fd);
    return WASI_SUCCESS;
}
