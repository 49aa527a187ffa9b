/* Boot archives (cpio, "newc"; what the kernel reads is said in kernel/archive.h). */
#ifndef TOOLS_ARCHIVE_WRITER_H
#define TOOLS_ARCHIVE_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct archive_writer {
    FILE *stream;
    uint64_t bytes; /* written so far */
    uint32_t entries;
};

/* Write to `file`, an open descriptor that the writer takes over; dies when that fails, here and in all calls below. */
void archive_begin(struct archive_writer *writer, int file);
void archive_add_directory(struct archive_writer *writer, const char *path);
void archive_add_file(struct archive_writer *writer, const char *path, const void *contents, size_t size);
/* A copy of the folder `host` of this machine as `path`: directories, files and symbolic links; all else, and what
 * cannot be read, is left out with a message. Dies when `host` is no folder. */
void archive_add_tree(struct archive_writer *writer, const char *path, const char *host);
/* The end of the archive; the bytes are in the file then. The descriptor stays open. */
void archive_end(struct archive_writer *writer);

#endif
