/* File system in memory, optionally on top of a read-only one.
 *
 * With a lower directory it shows a copy of it that may be written: a directory's entries are taken over when it is
 * first looked into, and a file's blocks when they are first written. The lower file system is never changed and must
 * not change.
 *
 * All memory comes from the kernel heap, counts against the limit of the mount, and goes back when the last node is
 * released. */
#ifndef KERNEL_RAMFS_H
#define KERNEL_RAMFS_H

#include <stdint.h>

#include "kernel/status.h"

struct vfs_node;

/* A new file system; `*result` is its root, a reference for the caller. `lower` (may be NULL) is a directory; a
 * reference is taken. `limit` in bytes, for contents and nodes; beyond it operations give STATUS_NO_SPACE. */
enum status ramfs_create(struct vfs_node *lower, uint64_t limit, struct vfs_node **result);

#endif
