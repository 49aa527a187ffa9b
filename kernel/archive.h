/* The boot archive: a read-only file system straight out of a cpio archive ("newc", magic 070701 or 070702) in memory.
 *
 * The bytes come from outside: everything is checked when the index is made, and nothing is read twice. Files are
 * slices of the archive, without a copy. Names may start with "./" or "/"; directories that no entry names are made;
 * names with "..", and entries that are neither file, directory nor symbolic link, are left out. A later entry
 * replaces an earlier one of the same name. Of hard links only the last has contents in the archive ("newc" writes
 * them once); the others are empty files here. */
#ifndef KERNEL_ARCHIVE_H
#define KERNEL_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

struct archive;
struct vfs_node;

/* Index `bytes`, which must stay valid until the archive and all of its nodes are gone. STATUS_INVALID when damaged,
 * with `*offset` (may be NULL) where. Time is near-linear in the number of entries. Owned by the caller. */
enum status archive_create(const uint8_t *bytes, size_t size, struct archive **result, size_t *offset);
/* Give up the caller's reference; nodes keep the archive until they are released. NULL is allowed. */
void archive_release(struct archive *archive);

/* The contents of a regular file by its whole path, for example ".tessera/launch"; symbolic links are not followed.
 * STATUS_NOT_FOUND, STATUS_IS_DIRECTORY. The slice lives as long as the archive's bytes. */
enum status archive_find(const struct archive *archive, const char *path, const uint8_t **contents, size_t *size);
/* A read-only directory node (a reference for the caller) for `path`; "" is the archive's root. */
enum status archive_directory_node(struct archive *archive, const char *path, struct vfs_node **result);
/* Number of files, directories and links, for messages. */
uint32_t archive_entry_count(const struct archive *archive);

#endif
