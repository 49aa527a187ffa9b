/* Boot archives; see archive_writer.h. */
#include "tools/archive_writer.h"
#include "tools/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DEPTH_MAXIMUM 128

void archive_begin(struct archive_writer *writer, int file)
{
    *writer = (struct archive_writer){.stream = fdopen(file, "w")};
    if (!writer->stream)
        die("cannot write the boot archive: %s", strerror(errno));
    setvbuf(writer->stream, NULL, _IOFBF, 1 << 16);
}

static void append(struct archive_writer *writer, const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, 1, size, writer->stream) != size)
        die("cannot write the boot archive: %s", strerror(errno));
    writer->bytes += size;
}

static void pad(struct archive_writer *writer)
{
    append(writer, "\0\0\0", -writer->bytes & 3);
}

static void append_header(struct archive_writer *writer, const char *path, mode_t mode, uint64_t modified,
                          uint64_t size)
{
    size_t name_bytes = strlen(path) + 1;
    char header[110 + 1];
    if (size > UINT32_MAX)
        die("%s is too large for a boot archive (4 GiB)", path);
    /* magic; inode, mode, user, group, links, time, size, device and special device (4), name's size, checksum */
    snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++writer->entries,
             (unsigned)mode, 0, 0, 1, (unsigned)modified, (unsigned)size, 0, 0, 0, 0, (unsigned)name_bytes, 0);
    append(writer, header, 110);
    append(writer, path, name_bytes);
    pad(writer);
}

void archive_add_directory(struct archive_writer *writer, const char *path)
{
    append_header(writer, path, S_IFDIR | 0755, 0, 0);
}

void archive_add_file(struct archive_writer *writer, const char *path, const void *contents, size_t size)
{
    append_header(writer, path, S_IFREG | 0644, 0, size);
    append(writer, contents, size);
    pad(writer);
}

/* Copy an open file of `size` bytes; one that became shorter meanwhile is filled up with zeros. */
static void append_contents(struct archive_writer *writer, int file, uint64_t size)
{
    static char buffer[1 << 16];
    while (size > 0) {
        size_t want = size < sizeof buffer ? (size_t)size : sizeof buffer;
        ssize_t got = read(file, buffer, want);
        if (got <= 0) {
            memset(buffer, 0, want);
            got = (ssize_t)want;
        }
        append(writer, buffer, (size_t)got);
        size -= (uint64_t)got;
    }
    pad(writer);
}

static void add_directory_at(struct archive_writer *writer, const char *path, int directory, unsigned depth);

static void add_entry(struct archive_writer *writer, const char *path, int directory, const char *name, unsigned depth)
{
    struct stat information;
    if (fstatat(directory, name, &information, AT_SYMLINK_NOFOLLOW) != 0) {
        complain("left out %s: %s", path, strerror(errno));
        return;
    }
    uint64_t modified = information.st_mtim.tv_sec > 0 ? (uint64_t)information.st_mtim.tv_sec : 0;
    if (S_ISLNK(information.st_mode)) {
        char target[PATH_MAX];
        ssize_t length = readlinkat(directory, name, target, sizeof target);
        if (length <= 0 || length == sizeof target)
            return;
        append_header(writer, path, S_IFLNK | 0777, modified, (uint64_t)length);
        append(writer, target, (size_t)length);
        pad(writer);
        return;
    }
    if (!S_ISDIR(information.st_mode) && !S_ISREG(information.st_mode))
        return;
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        complain("left out %s: %s", path, strerror(errno));
        return;
    }
    if (S_ISDIR(information.st_mode)) {
        append_header(writer, path, S_IFDIR | 0755, modified, 0);
        add_directory_at(writer, path, file, depth);
    } else {
        append_header(writer, path, S_IFREG | (information.st_mode & 0777), modified, (uint64_t)information.st_size);
        append_contents(writer, file, (uint64_t)information.st_size);
        close(file);
    }
}

/* The entries of `directory`, which is closed. */
static void add_directory_at(struct archive_writer *writer, const char *path, int directory, unsigned depth)
{
    if (depth > TREE_DEPTH_MAXIMUM)
        die("%s is nested too deeply", path);
    DIR *stream = fdopendir(directory);
    if (!stream)
        die("cannot read %s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *entry_path = text_of("%s/%s", path, entry->d_name);
        add_entry(writer, entry_path, directory, entry->d_name, depth + 1);
        free(entry_path);
    }
    closedir(stream);
}

void archive_add_tree(struct archive_writer *writer, const char *path, const char *host)
{
    int directory = open(host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        die("--dir: cannot open %s: %s", host, strerror(errno));
    archive_add_directory(writer, path);
    add_directory_at(writer, path, directory, 0);
}

void archive_end(struct archive_writer *writer)
{
    append_header(writer, "TRAILER!!!", 0, 0, 0);
    pad(writer);
    if (fflush(writer->stream) != 0)
        die("cannot write the boot archive: %s", strerror(errno));
}
