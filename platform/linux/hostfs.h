/* Folders of the host as a file system of the kernel (kernel/vfs.h): what `--dir` maps.
 *
 * Nothing outside of the folder can be reached through its nodes: paths are walked by Linux itself with RESOLVE_BENEATH
 * (openat2), or, where that is missing, by vfs.c one component at a time, without following links. A node is an open
 * file of the host, so a node that was opened once stays good when its name goes away. */
#ifndef PLATFORM_LINUX_HOSTFS_H
#define PLATFORM_LINUX_HOSTFS_H

#include "kernel/status.h"

struct vfs_node;

/* The folder at `path` of the host (links in `path` itself are followed); a reference for the caller. On failure errno
 * tells more. */
enum status hostfs_create(const char *path, struct vfs_node **result);
/* The same, without openat2: what older kernels get. For tests. */
enum status hostfs_create_walking(const char *path, struct vfs_node **result);

#endif
