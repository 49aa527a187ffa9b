/* The walk over paths, and the checks that every file system relies on (contract: kernel/vfs.h).
 *
 * A walk keeps the directories that it came through on a stack of references, so `..` is a pop and can never lead
 * above the start, whatever the backend does. Symbolic links are spliced into a private copy of the path. */
#include "kernel/vfs.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/platform.h"

/* A node's operation, with the lock of its file system. */
#define LOCKED(node, call)                                                                                             \
    ({                                                                                                                 \
        vfs_lock(node);                                                                                                \
        enum status locked_status = (node)->operations->call;                                                          \
        vfs_unlock(node);                                                                                              \
        locked_status;                                                                                                 \
    })

/* ---- Nodes ---- */

void vfs_node_initialize(struct vfs_node *node, const struct vfs_operations *operations, enum vfs_type type)
{
    *node = (struct vfs_node){.operations = operations, .reference_count = 1, .type = type};
}

struct vfs_node *vfs_acquire(struct vfs_node *node)
{
    __atomic_add_fetch(&node->reference_count, 1, __ATOMIC_RELAXED);
    return node;
}

void vfs_release(struct vfs_node *node)
{
    if (node && __atomic_sub_fetch(&node->reference_count, 1, __ATOMIC_ACQ_REL) == 0)
        node->operations->destroy(node);
}

/* ---- Paths ---- */

static bool has_byte(const char *text, size_t length, char byte)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == byte)
            return true;
    return false;
}

static bool is_dot(const char *name, size_t length)
{
    return length == 1 && name[0] == '.';
}

static bool is_dot_dot(const char *name, size_t length)
{
    return length == 2 && name[0] == '.' && name[1] == '.';
}

static enum status check_path(const struct vfs_node *directory, const char *path, size_t length)
{
    if (length == 0)
        return STATUS_NOT_FOUND;
    if (length > VFS_PATH_BYTES)
        return STATUS_NAME_TOO_LONG;
    if (has_byte(path, length, '\0'))
        return STATUS_INVALID;
    if (path[0] == '/')
        return STATUS_OUTSIDE;
    return directory->type == VFS_DIRECTORY ? STATUS_OK : STATUS_NOT_DIRECTORY;
}

static enum status open_entry(struct vfs_node *directory, const char *name, size_t length, unsigned flags,
                              struct vfs_node **result)
{
    if (length > VFS_NAME_BYTES)
        return STATUS_NAME_TOO_LONG;
    if (!directory->operations->open)
        return STATUS_NOT_SUPPORTED;
    return LOCKED(directory, open(directory, name, length, flags, result));
}

struct walk {
    struct vfs_node *stack[VFS_DEPTH]; /* stack[0] is the start; each holds a reference */
    size_t depth;                      /* entries in use, at least 1 */
    size_t position;                   /* in path: what is not walked yet */
    size_t length;
    unsigned links;
    char path[VFS_PATH_BYTES];
};

static struct vfs_node *walk_top(const struct walk *walk)
{
    return walk->stack[walk->depth - 1];
}

static enum status walk_push(struct walk *walk, struct vfs_node *directory)
{
    if (walk->depth == VFS_DEPTH) {
        vfs_release(directory);
        return STATUS_NAME_TOO_LONG;
    }
    walk->stack[walk->depth++] = directory;
    return STATUS_OK;
}

static enum status walk_pop(struct walk *walk)
{
    if (walk->depth == 1)
        return STATUS_OUTSIDE;
    vfs_release(walk->stack[--walk->depth]);
    return STATUS_OK;
}

/* Put the target of `link` in place of what was walked of the path so far. */
static enum status walk_splice(struct walk *walk, struct vfs_node *link)
{
    struct vfs_stat stat;
    size_t rest = walk->length - walk->position, done = 0;
    if (++walk->links > VFS_LINKS)
        return STATUS_LOOP;
    enum status status = vfs_stat(link, &stat);
    if (status != STATUS_OK)
        return status;
    if (stat.size > VFS_PATH_BYTES - rest)
        return STATUS_NAME_TOO_LONG;
    memmove(walk->path + stat.size, walk->path + walk->position, rest);
    status = vfs_read_link(link, walk->path, stat.size, &done);
    if (status != STATUS_OK)
        return status;
    if (done != stat.size)
        return STATUS_IO;
    walk->position = 0;
    walk->length = done + rest;
    if (done == 0)
        return STATUS_NOT_FOUND;
    if (has_byte(walk->path, done, '\0'))
        return STATUS_INVALID;
    return walk->path[0] == '/' ? STATUS_OUTSIDE : STATUS_OK;
}

/* One component. `*result` is set when it was the last one and is no directory to be walked into. */
static enum status walk_step(struct walk *walk, unsigned flags, struct vfs_node **result)
{
    const char *name = walk->path + walk->position;
    size_t length = 0, left = walk->length - walk->position, behind;
    while (length < left && name[length] != '/')
        length++;
    for (behind = length; behind < left && name[behind] == '/'; behind++)
        continue;
    walk->position += behind;
    if (length == 0 || is_dot(name, length))
        return STATUS_OK;
    if (is_dot_dot(name, length))
        return walk_pop(walk);

    bool last = behind == left, must_be_directory = behind > length;
    if (last && must_be_directory && (flags & VFS_CREATE))
        return STATUS_IS_DIRECTORY;
    unsigned entry_flags = !last ? 0 : must_be_directory ? flags & VFS_READ : flags & ~(unsigned)VFS_FOLLOW;
    struct vfs_node *node;
    enum status status = open_entry(walk_top(walk), name, length, entry_flags, &node);
    if (status != STATUS_OK)
        return status;
    if (node->type == VFS_DIRECTORY)
        return walk_push(walk, node);
    if (node->type == VFS_SYMLINK && (must_be_directory || (flags & VFS_FOLLOW))) {
        walk->position -= must_be_directory; /* the slash stays between the target and the rest */
        status = walk_splice(walk, node);
    } else if (must_be_directory) {
        status = STATUS_NOT_DIRECTORY;
    } else {
        *result = node;
        return STATUS_OK;
    }
    vfs_release(node);
    return status;
}

static enum status walk_open(struct vfs_node *directory, const char *path, size_t length, unsigned flags,
                             struct vfs_node **result)
{
    struct walk *walk = kernel_allocate(sizeof *walk);
    if (!walk)
        return STATUS_NO_MEMORY;
    walk->stack[0] = vfs_acquire(directory);
    walk->depth = 1;
    walk->position = 0;
    walk->length = length;
    walk->links = 0;
    memcpy(walk->path, path, length);

    struct vfs_node *node = NULL;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !node && walk->position < walk->length)
        status = walk_step(walk, flags, &node);
    if (status == STATUS_OK)
        *result = node ? node : vfs_acquire(walk_top(walk));
    while (walk->depth > 0)
        vfs_release(walk->stack[--walk->depth]);
    kernel_free(walk, sizeof *walk);
    return status;
}

/* What the opened node's type says about the flags. */
static enum status check_type(const struct vfs_node *node, unsigned flags)
{
    if ((flags & VFS_ONLY_DIRECTORY) && node->type != VFS_DIRECTORY)
        return STATUS_NOT_DIRECTORY;
    if (node->type == VFS_DIRECTORY && (flags & VFS_EXCLUSIVE))
        return STATUS_EXISTS;
    if (node->type == VFS_DIRECTORY && (flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE)))
        return STATUS_IS_DIRECTORY;
    if (node->type == VFS_SYMLINK && (flags & (VFS_READ | VFS_WRITE)))
        return STATUS_LOOP;
    return STATUS_OK;
}

enum status vfs_open(struct vfs_node *directory, const char *path, size_t length, unsigned flags,
                     struct vfs_node **result)
{
    enum status status = check_path(directory, path, length);
    if (status != STATUS_OK)
        return status;
    bool slash = path[length - 1] == '/';
    if ((flags & VFS_ONLY_DIRECTORY) && (flags & (VFS_CREATE | VFS_TRUNCATE)))
        return STATUS_INVALID;
    if (slash && (flags & VFS_CREATE))
        return STATUS_IS_DIRECTORY;
    if (slash)
        flags = (flags & ~(unsigned)VFS_TRUNCATE) | VFS_ONLY_DIRECTORY;
    if (flags & VFS_EXCLUSIVE)
        flags &= ~(unsigned)VFS_FOLLOW;

    struct vfs_node *node;
    if (directory->operations->open_path)
        status = LOCKED(directory, open_path(directory, path, length, flags, &node));
    else
        status = walk_open(directory, path, length, flags, &node);
    if (status != STATUS_OK)
        return status;
    status = check_type(node, flags);
    if (status == STATUS_OK)
        *result = node;
    else
        vfs_release(node);
    return status;
}

/* ---- Operations on the entry that a path ends with ---- */

struct place {
    struct vfs_node *directory; /* a reference */
    const char *name;           /* in the caller's path */
    size_t length;
    bool slash; /* something follows the name */
    bool dots;  /* the name is "." or ".." */
};

static enum status find_place(struct vfs_node *directory, const char *path, size_t length, struct place *place)
{
    enum status status = check_path(directory, path, length);
    if (status != STATUS_OK)
        return status;
    size_t end = length, start;
    while (path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        continue;
    *place = (struct place){.name = path + start, .length = end - start, .slash = end < length};
    place->dots = is_dot(place->name, place->length) || is_dot_dot(place->name, place->length);
    if (place->length > VFS_NAME_BYTES)
        return STATUS_NAME_TOO_LONG;
    /* A path that ends in dots names a directory which is there, if inside: the walk says which. */
    size_t walked = place->dots ? end : start;
    if (walked == 0) {
        place->directory = vfs_acquire(directory);
        return STATUS_OK;
    }
    return vfs_open(directory, path, walked, VFS_ONLY_DIRECTORY | VFS_FOLLOW, &place->directory);
}

enum status vfs_make_directory(struct vfs_node *directory, const char *path, size_t length)
{
    struct place place;
    enum status status = find_place(directory, path, length, &place);
    if (status != STATUS_OK)
        return status;
    if (place.dots)
        status = STATUS_EXISTS;
    else if (!place.directory->operations->make_directory)
        status = STATUS_READ_ONLY;
    else
        status = LOCKED(place.directory, make_directory(place.directory, place.name, place.length));
    vfs_release(place.directory);
    return status;
}

enum status vfs_remove_directory(struct vfs_node *directory, const char *path, size_t length)
{
    struct place place;
    enum status status = find_place(directory, path, length, &place);
    if (status != STATUS_OK)
        return status;
    if (place.dots)
        status = place.length == 1 ? STATUS_INVALID : STATUS_NOT_EMPTY;
    else if (!place.directory->operations->remove_directory)
        status = STATUS_READ_ONLY;
    else
        status = LOCKED(place.directory, remove_directory(place.directory, place.name, place.length));
    vfs_release(place.directory);
    return status;
}

/* The type of what stands at `place`, not followed. */
static enum status place_type(const struct place *place, enum vfs_type *type)
{
    struct vfs_node *node;
    enum status status = open_entry(place->directory, place->name, place->length, 0, &node);
    if (status != STATUS_OK)
        return status;
    *type = node->type;
    vfs_release(node);
    return STATUS_OK;
}

static enum status unlink_place(const struct place *place)
{
    if (place->dots)
        return STATUS_IS_DIRECTORY;
    if (!place->directory->operations->unlink)
        return STATUS_READ_ONLY;
    if (place->slash) {
        enum vfs_type type;
        enum status status = place_type(place, &type);
        if (status != STATUS_OK)
            return status;
        return type == VFS_DIRECTORY ? STATUS_IS_DIRECTORY : STATUS_NOT_DIRECTORY;
    }
    return LOCKED(place->directory, unlink(place->directory, place->name, place->length));
}

enum status vfs_unlink(struct vfs_node *directory, const char *path, size_t length)
{
    struct place place;
    enum status status = find_place(directory, path, length, &place);
    if (status != STATUS_OK)
        return status;
    status = unlink_place(&place);
    vfs_release(place.directory);
    return status;
}

static enum status rename_place(const struct place *from, const struct place *to)
{
    if (from->dots || to->dots)
        return STATUS_BUSY;
    if (from->directory->operations != to->directory->operations)
        return STATUS_CROSS_DEVICE;
    if (!from->directory->operations->rename)
        return STATUS_READ_ONLY;
    if (from->slash || to->slash) {
        enum vfs_type type;
        enum status status = place_type(from, &type);
        if (status != STATUS_OK)
            return status;
        if (type != VFS_DIRECTORY)
            return STATUS_NOT_DIRECTORY;
    }
    return LOCKED(from->directory,
                  rename(from->directory, from->name, from->length, to->directory, to->name, to->length));
}

enum status vfs_rename(struct vfs_node *from, const char *from_path, size_t from_length, struct vfs_node *to,
                       const char *to_path, size_t to_length)
{
    struct place source, target;
    enum status status = find_place(from, from_path, from_length, &source);
    if (status != STATUS_OK)
        return status;
    status = find_place(to, to_path, to_length, &target);
    if (status == STATUS_OK) {
        status = rename_place(&source, &target);
        vfs_release(target.directory);
    }
    vfs_release(source.directory);
    return status;
}

static enum status link_place(struct vfs_node *node, const struct place *to)
{
    if (to->dots)
        return STATUS_EXISTS;
    if (node->type == VFS_DIRECTORY)
        return STATUS_NOT_PERMITTED;
    if (to->slash)
        return STATUS_NOT_FOUND;
    if (node->operations != to->directory->operations)
        return STATUS_CROSS_DEVICE;
    if (!to->directory->operations->link)
        return STATUS_READ_ONLY;
    return LOCKED(to->directory, link(to->directory, to->name, to->length, node));
}

enum status vfs_link(struct vfs_node *from, const char *from_path, size_t from_length, bool follow, struct vfs_node *to,
                     const char *to_path, size_t to_length)
{
    struct vfs_node *node;
    struct place place;
    enum status status = vfs_open(from, from_path, from_length, follow ? VFS_FOLLOW : 0, &node);
    if (status != STATUS_OK)
        return status;
    status = find_place(to, to_path, to_length, &place);
    if (status == STATUS_OK) {
        status = link_place(node, &place);
        vfs_release(place.directory);
    }
    vfs_release(node);
    return status;
}

enum status vfs_make_symlink(struct vfs_node *directory, const char *path, size_t length, const char *target,
                             size_t target_length)
{
    struct place place;
    if (target_length == 0)
        return STATUS_NOT_FOUND;
    if (target_length > VFS_PATH_BYTES)
        return STATUS_NAME_TOO_LONG;
    if (has_byte(target, target_length, '\0'))
        return STATUS_INVALID;
    if (target[0] == '/')
        return STATUS_OUTSIDE;
    enum status status = find_place(directory, path, length, &place);
    if (status != STATUS_OK)
        return status;
    if (place.dots) {
        status = STATUS_EXISTS;
    } else if (place.slash) {
        enum vfs_type type;
        status = place_type(&place, &type);
        if (status == STATUS_OK)
            status = STATUS_EXISTS;
    } else if (!place.directory->operations->make_symlink) {
        status = STATUS_READ_ONLY;
    } else {
        status =
            LOCKED(place.directory, make_symlink(place.directory, place.name, place.length, target, target_length));
    }
    vfs_release(place.directory);
    return status;
}

/* ---- Operations on a node ---- */

static enum status wrong_type(const struct vfs_node *node, enum status otherwise)
{
    return node->type == VFS_DIRECTORY ? STATUS_IS_DIRECTORY : otherwise;
}

enum status vfs_read(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done)
{
    if (!node->operations->read || node->type == VFS_DIRECTORY)
        return wrong_type(node, STATUS_NOT_SUPPORTED);
    *done = 0;
    return bytes ? LOCKED(node, read(node, offset, buffer, bytes, done)) : STATUS_OK;
}

enum status vfs_write(struct vfs_node *node, uint64_t offset, const void *buffer, size_t bytes, size_t *done)
{
    if (!node->operations->write || node->type == VFS_DIRECTORY)
        return wrong_type(node, STATUS_READ_ONLY);
    *done = 0;
    return bytes ? LOCKED(node, write(node, offset, buffer, bytes, done)) : STATUS_OK;
}

enum status vfs_append(struct vfs_node *node, const void *buffer, size_t bytes, size_t *done, uint64_t *offset)
{
    if (!node->operations->append || node->type == VFS_DIRECTORY)
        return wrong_type(node, STATUS_READ_ONLY);
    return LOCKED(node, append(node, buffer, bytes, done, offset));
}

enum status vfs_truncate(struct vfs_node *node, uint64_t size)
{
    if (!node->operations->truncate || node->type == VFS_DIRECTORY)
        return wrong_type(node, STATUS_READ_ONLY);
    return LOCKED(node, truncate(node, size));
}

enum status vfs_read_directory(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes, size_t *done)
{
    if (directory->type != VFS_DIRECTORY)
        return STATUS_NOT_DIRECTORY;
    if (!directory->operations->read_directory)
        return STATUS_NOT_SUPPORTED;
    return LOCKED(directory, read_directory(directory, cookie, buffer, bytes, done));
}

enum status vfs_stat(struct vfs_node *node, struct vfs_stat *stat)
{
    return node->operations->stat ? LOCKED(node, stat(node, stat)) : STATUS_NOT_SUPPORTED;
}

enum status vfs_set_times(struct vfs_node *node, uint64_t access_time, uint64_t modify_time)
{
    return node->operations->set_times ? LOCKED(node, set_times(node, access_time, modify_time)) : STATUS_READ_ONLY;
}

enum status vfs_read_link(struct vfs_node *node, char *buffer, size_t bytes, size_t *done)
{
    if (node->type != VFS_SYMLINK)
        return STATUS_INVALID;
    return node->operations->read_link ? LOCKED(node, read_link(node, buffer, bytes, done)) : STATUS_NOT_SUPPORTED;
}

/* Without the operation there is nothing that could be lost. */
enum status vfs_sync(struct vfs_node *node, bool only_data)
{
    return node->operations->sync ? LOCKED(node, sync(node, only_data)) : STATUS_OK;
}

/* ---- For backends ---- */

uint64_t vfs_new_device(void)
{
    static uint64_t last_device;
    return __atomic_add_fetch(&last_device, 1, __ATOMIC_RELAXED);
}

uint64_t vfs_new_hash_key(void)
{
    uint64_t key;
    platform_random(&key, sizeof key);
    return key | 1; /* odd: multiplication loses nothing */
}

uint64_t vfs_name_hash(uint64_t key, const char *name, size_t length)
{
    uint64_t hash = key ^ length;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)name[i]) * key;
    return hash ^ hash >> 32;
}

bool vfs_entry_append(void *buffer, size_t bytes, size_t *done, uint64_t next, uint64_t inode, enum vfs_type type,
                      const char *name, size_t length)
{
    size_t needed = VFS_ENTRY_BYTES(length);
    if (bytes - *done < needed)
        return false;
    struct vfs_entry *entry = (struct vfs_entry *)((char *)buffer + *done);
    *entry = (struct vfs_entry){.next = next, .inode = inode, .type = type, .name_length = (uint32_t)length};
    memcpy(entry->name, name, length);
    *done += needed;
    return true;
}
