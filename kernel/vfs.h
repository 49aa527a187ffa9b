/* Files and directories: the one seam between programs and file systems.
 *
 * A file system gives nodes: counted references with a table of operations. Arguments are scalars, names and buffers
 * only, so that each operation is one message once a driver lives in a process of its own. All state of an open file
 * that is not the file's (offset, append, rights) belongs to whoever opened it.
 *
 * There is no global name space and no root: every path is relative to a directory node that somebody was handed, and
 * the walk in vfs.c (or the backend's own `open_path`) never leaves it: neither by `..` nor by a symbolic link.
 *
 * Names and paths are bytes with a length, without terminator; they hold no NUL, names also no slash. Nodes may be used
 * on several CPUs at a time: a file system that names a mutex in its nodes is called with that one held, but for
 * `destroy`. An operation does not wait for anything but mutexes. `*done` and `*result` count on STATUS_OK only. */
#ifndef KERNEL_VFS_H
#define KERNEL_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/mutex.h"
#include "kernel/status.h"

#define VFS_NAME_BYTES 255  /* longest name of one component */
#define VFS_PATH_BYTES 4096 /* longest path, also while symbolic links are expanded */
#define VFS_DEPTH      256  /* most directories between the start of a walk and where it is */
#define VFS_LINKS      40   /* most symbolic links that one walk follows */

enum vfs_type { VFS_FILE, VFS_DIRECTORY, VFS_SYMLINK, VFS_CHARACTER, VFS_BLOCK, VFS_OTHER };

/* Flags of open. Without READ and WRITE the node serves for stat, set_times, read_link and as the start of a walk. */
enum {
    VFS_READ = 1u << 0,
    VFS_WRITE = 1u << 1,
    VFS_CREATE = 1u << 2,    /* make a regular file if there is none */
    VFS_EXCLUSIVE = 1u << 3, /* with CREATE: STATUS_EXISTS if there is anything, a symbolic link too */
    VFS_TRUNCATE = 1u << 4,
    VFS_ONLY_DIRECTORY = 1u << 5, /* STATUS_NOT_DIRECTORY for all else */
    VFS_FOLLOW = 1u << 6,         /* a symbolic link in the last component too; never given to the operation `open` */
};

struct vfs_stat {
    uint64_t device; /* equal for all nodes of one file system instance */
    uint64_t inode;
    enum vfs_type type;
    uint64_t links;
    uint64_t size;        /* bytes; of a symbolic link: of its target */
    uint64_t access_time; /* nanoseconds since 1970-01-01 UTC */
    uint64_t modify_time;
    uint64_t change_time;
};

#define VFS_TIME_KEEP UINT64_MAX /* set_times: leave this one */

/* One record of read_directory; the next begins at the next multiple of 8 behind the name. */
struct vfs_entry {
    uint64_t next; /* cookie of the entry behind this one */
    uint64_t inode;
    uint32_t type; /* enum vfs_type */
    uint32_t name_length;
    char name[];
};
#define VFS_ENTRY_BYTES(name_length) ((sizeof(struct vfs_entry) + (name_length) + 7) & ~(size_t)7)
#define VFS_ENTRY_BYTES_MAXIMUM      VFS_ENTRY_BYTES(VFS_NAME_BYTES)

struct vfs_node;

/* A missing operation is NULL and means STATUS_NOT_SUPPORTED (for what changes anything in a file system without any
 * of these: STATUS_READ_ONLY). A backend trusts what vfs.c checked: names have 1..VFS_NAME_BYTES bytes, no slash, no
 * NUL, and are neither "." nor ".."; a node given as directory has that type; buffers of no bytes do not arrive. */
struct vfs_operations {
    /* The last reference is gone. */
    void (*destroy)(struct vfs_node *node);

    /* ---- Of directories ---- */
    /* Open, or with VFS_CREATE make, one entry; with flags 0 this is the lookup. A symbolic link is never followed: its
     * own node is the result, whatever the flags (but STATUS_EXISTS for CREATE with EXCLUSIVE). */
    enum status (*open)(struct vfs_node *directory, const char *name, size_t length, unsigned flags,
                        struct vfs_node **result);
    /* Optional: the whole walk at once, for backends that do it themselves (openat2 with RESOLVE_BENEATH). `path` is
     * not empty, is relative, has at most VFS_PATH_BYTES, and may hold `.`, `..`, repeated and trailing slashes; a
     * symbolic link in the last component is followed if VFS_FOLLOW is set or a slash follows it. What would leave
     * the directory is STATUS_OUTSIDE. CREATE and TRUNCATE come neither with a trailing slash nor ONLY_DIRECTORY. */
    enum status (*open_path)(struct vfs_node *directory, const char *path, size_t length, unsigned flags,
                             struct vfs_node **result);
    enum status (*make_directory)(struct vfs_node *directory, const char *name, size_t length);
    enum status (*remove_directory)(struct vfs_node *directory, const char *name, size_t length);
    enum status (*unlink)(struct vfs_node *directory, const char *name, size_t length); /* STATUS_IS_DIRECTORY */
    /* Both directories have this table of operations; the backend refuses other mounts (STATUS_CROSS_DEVICE). Replaces
     * an existing target as POSIX rename does. */
    enum status (*rename)(struct vfs_node *from, const char *from_name, size_t from_length, struct vfs_node *to,
                          const char *to_name, size_t to_length);
    enum status (*link)(struct vfs_node *directory, const char *name, size_t length, struct vfs_node *target);
    enum status (*make_symlink)(struct vfs_node *directory, const char *name, size_t length, const char *target,
                                size_t target_length);
    /* As many records as fit from `cookie` on (0: the start), without "." and ".."; *done 0 is the end. The buffer is
     * 8-byte aligned and holds at least VFS_ENTRY_BYTES_MAXIMUM. Cookies are below 2^63 and stay good while entries
     * come and go: an entry that is there all the time is seen exactly once. */
    enum status (*read_directory)(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes,
                                  size_t *done);

    /* ---- Of files ---- */
    enum status (*read)(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done);
    enum status (*write)(struct vfs_node *node, uint64_t offset, const void *buffer, size_t bytes, size_t *done);
    /* Write at the end, whatever it is then; `*offset` is the offset behind what was written. */
    enum status (*append)(struct vfs_node *node, const void *buffer, size_t bytes, size_t *done, uint64_t *offset);
    enum status (*truncate)(struct vfs_node *node, uint64_t size);

    /* ---- Of all ---- */
    enum status (*stat)(struct vfs_node *node, struct vfs_stat *stat);
    enum status (*set_times)(struct vfs_node *node, uint64_t access_time, uint64_t modify_time);
    enum status (*read_link)(struct vfs_node *node, char *buffer, size_t bytes, size_t *done); /* cut off if longer */
    enum status (*sync)(struct vfs_node *node, bool only_data);
};

/* First member of every backend's own node. Backends fill it with vfs_node_initialize. */
struct vfs_node {
    const struct vfs_operations *operations;
    uint32_t reference_count; /* atomic */
    enum vfs_type type;       /* for good */
    struct mutex *lock;       /* of all nodes of the file system, for good; NULL: it needs none */
};

/* One reference, the caller's. */
void vfs_node_initialize(struct vfs_node *node, const struct vfs_operations *operations, enum vfs_type type);
struct vfs_node *vfs_acquire(struct vfs_node *node); /* returns `node` */
void vfs_release(struct vfs_node *node);             /* NULL is allowed */

/* ---- By path, relative to `directory` and inside it ---- */

/* The node that `path` names, opened with `flags`; a reference for the caller. With VFS_CREATE the last component may
 * be missing. An empty path is STATUS_NOT_FOUND, an absolute one or one that leads outside STATUS_OUTSIDE. A trailing
 * slash asks for a directory. VFS_WRITE on a directory is STATUS_IS_DIRECTORY. VFS_READ or VFS_WRITE on a symbolic
 * link that is not followed is STATUS_LOOP. */
enum status vfs_open(struct vfs_node *directory, const char *path, size_t length, unsigned flags,
                     struct vfs_node **result);
enum status vfs_make_directory(struct vfs_node *directory, const char *path, size_t length);
enum status vfs_remove_directory(struct vfs_node *directory, const char *path, size_t length);
enum status vfs_unlink(struct vfs_node *directory, const char *path, size_t length);
enum status vfs_rename(struct vfs_node *from, const char *from_path, size_t from_length, struct vfs_node *to,
                       const char *to_path, size_t to_length);
/* A further name for the file `from_path`; `follow`: of what a symbolic link there points to. */
enum status vfs_link(struct vfs_node *from, const char *from_path, size_t from_length, bool follow, struct vfs_node *to,
                     const char *to_path, size_t to_length);
/* `target` is kept as it is, but an absolute one is refused (STATUS_OUTSIDE): it could never be followed. */
enum status vfs_make_symlink(struct vfs_node *directory, const char *path, size_t length, const char *target,
                             size_t target_length);

/* ---- On a node: the operation, or the status for a missing one; *done may be less than asked for ---- */
enum status vfs_read(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done);
enum status vfs_write(struct vfs_node *node, uint64_t offset, const void *buffer, size_t bytes, size_t *done);
enum status vfs_append(struct vfs_node *node, const void *buffer, size_t bytes, size_t *done, uint64_t *offset);
enum status vfs_truncate(struct vfs_node *node, uint64_t size);
enum status vfs_read_directory(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes, size_t *done);
enum status vfs_stat(struct vfs_node *node, struct vfs_stat *stat);
enum status vfs_set_times(struct vfs_node *node, uint64_t access_time, uint64_t modify_time);
enum status vfs_read_link(struct vfs_node *node, char *buffer, size_t bytes, size_t *done);
enum status vfs_sync(struct vfs_node *node, bool only_data);

/* ---- For backends ---- */

/* Around an operation of a node that is called past this interface. */
NO_LOCK_ANALYSIS static inline void vfs_lock(const struct vfs_node *node)
{
    if (node->lock) {
        mutex_acquire(node->lock);
    }
}
NO_LOCK_ANALYSIS static inline void vfs_unlock(const struct vfs_node *node)
{
    if (node->lock) {
        mutex_release(node->lock);
    }
}

/* A number for vfs_stat.device that no other file system instance has. */
uint64_t vfs_new_device(void);
/* Hash of a name under a secret key, so that nobody can choose names that collide. */
uint64_t vfs_new_hash_key(void);
uint64_t vfs_name_hash(uint64_t key, const char *name, size_t length);
/* Append a record to a read_directory buffer at *done; false when it does not fit. */
bool vfs_entry_append(void *buffer, size_t bytes, size_t *done, uint64_t next, uint64_t inode, enum vfs_type type,
                      const char *name, size_t length);

#endif
