/* The archive's file system on good and on hostile bytes. Archives are copied into blocks of exactly their size, so
 * that the sanitizer sees every read behind the end. */
#include "kernel/archive.h"
#include "kernel/heap.h"
#include "kernel/vfs.h"
#include "tests/wasi/check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIRECTORY 0040755
#define FILE_MODE 0100644
#define SYMLINK   0120777
#define FIFO      0010644

struct builder {
    uint8_t *bytes;
    size_t size, capacity;
};

static void append(struct builder *builder, const void *bytes, size_t size)
{
    while (builder->size + size > builder->capacity) {
        builder->capacity = builder->capacity ? builder->capacity * 2 : 4096;
        builder->bytes = realloc(builder->bytes, builder->capacity);
    }
    memcpy(builder->bytes + builder->size, bytes, size);
    builder->size += size;
}

static void pad(struct builder *builder)
{
    while (builder->size % 4)
        append(builder, "", 1);
}

static void add(struct builder *builder, unsigned mode, const char *name, const void *contents, size_t size)
{
    char header[111];
    snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, mode, 0, 0, 1,
             1700000000, (unsigned)size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0);
    append(builder, header, 110);
    append(builder, name, strlen(name) + 1);
    pad(builder);
    append(builder, contents, size);
    pad(builder);
}

static void finish(struct builder *builder)
{
    add(builder, 0, "TRAILER!!!", "", 0);
}

/* Take the archive's bytes and index them; NULL when refused. */
static struct archive *index_copy(const uint8_t *bytes, size_t size, uint8_t **copy, enum status *status)
{
    struct archive *archive = NULL;
    *copy = malloc(size ? size : 1);
    memcpy(*copy, bytes, size);
    *status = archive_create(*copy, size, &archive, NULL);
    return *status == STATUS_OK ? archive : NULL;
}

/* Touch all that can be reached; returns the number of entries. */
static unsigned walk_everything(struct vfs_node *directory)
{
    uint64_t buffer[256], cookie = 0;
    unsigned count = 0;
    size_t done;
    while (vfs_read_directory(directory, cookie, buffer, sizeof buffer, &done) == STATUS_OK && done) {
        for (size_t position = 0; position < done;) {
            const struct vfs_entry *entry = (const void *)((const char *)buffer + position);
            struct vfs_node *node;
            struct vfs_stat stat;
            char contents[64];
            size_t got;
            count++;
            CHECK_STATUS(
                vfs_open(directory, entry->name, entry->name_length, VFS_READ * (entry->type != VFS_SYMLINK), &node),
                STATUS_OK);
            CHECK_STATUS(vfs_stat(node, &stat), STATUS_OK);
            CHECK(stat.type == entry->type && stat.inode == entry->inode);
            for (uint64_t offset = 0; stat.type == VFS_FILE; offset += got)
                if (vfs_read(node, offset, contents, sizeof contents, &got) != STATUS_OK || got == 0)
                    break;
            if (stat.type == VFS_SYMLINK)
                vfs_read_link(node, contents, sizeof contents, &got);
            if (stat.type == VFS_DIRECTORY)
                count += walk_everything(node);
            vfs_release(node);
            cookie = entry->next;
            position += VFS_ENTRY_BYTES(entry->name_length);
        }
    }
    return count;
}

static void build_sample(struct builder *builder)
{
    add(builder, DIRECTORY, ".", "", 0);
    add(builder, DIRECTORY, "lib", "", 0);
    add(builder, FILE_MODE, "./lib/a.txt", "hello", 5);
    add(builder, FILE_MODE, "deep/er/file", "x", 1); /* directories that no entry names */
    add(builder, FILE_MODE, "/absolute", "root", 4);
    add(builder, FILE_MODE, "../outside", "no", 2);
    add(builder, FILE_MODE, "lib/../outside", "no", 2);
    add(builder, FIFO, "fifo", "", 0);
    add(builder, SYMLINK, "link", "lib/a.txt", 9);
    add(builder, SYMLINK, "up", "../x", 4);
    add(builder, SYMLINK, "loop", "loop", 4);
    add(builder, FILE_MODE, "twice", "one", 3);
    add(builder, FILE_MODE, "twice", "second", 6);
    add(builder, FILE_MODE, "empty", "", 0);
    finish(builder);
}

static void test_sample(void)
{
    struct builder builder = {0};
    build_sample(&builder);
    uint8_t *copy;
    const uint8_t *contents;
    size_t size, done;
    enum status status;
    struct archive *archive = index_copy(builder.bytes, builder.size, &copy, &status);
    CHECK_STATUS(status, STATUS_OK);
    CHECK_STATUS(archive_find(archive, "lib/a.txt", &contents, &size), STATUS_OK);
    CHECK(size == 5 && memcmp(contents, "hello", 5) == 0);
    CHECK_STATUS(archive_find(archive, "/./deep//er/file", &contents, &size), STATUS_OK);
    CHECK_STATUS(archive_find(archive, "twice", &contents, &size), STATUS_OK);
    CHECK(size == 6);
    CHECK_STATUS(archive_find(archive, "lib", &contents, &size), STATUS_IS_DIRECTORY);
    CHECK_STATUS(archive_find(archive, "outside", &contents, &size), STATUS_NOT_FOUND);
    CHECK_STATUS(archive_find(archive, "fifo", &contents, &size), STATUS_NOT_FOUND);

    struct vfs_node *root, *node;
    CHECK_STATUS(archive_directory_node(archive, "", &root), STATUS_OK);
    CHECK_STATUS(archive_directory_node(archive, "absolute", &node), STATUS_NOT_DIRECTORY);
    archive_release(archive); /* the nodes keep it */
    CHECK(walk_everything(root) == 11);
    CHECK_STATUS(vfs_open(root, "link", 4, VFS_READ, &node), STATUS_LOOP);
    CHECK_STATUS(vfs_open(root, "link", 4, VFS_READ | VFS_FOLLOW, &node), STATUS_OK);
    char text[8] = "";
    CHECK_STATUS(vfs_read(node, 1, text, sizeof text, &done), STATUS_OK);
    CHECK(done == 4 && memcmp(text, "ello", 4) == 0);
    CHECK_STATUS(vfs_read(node, UINT64_MAX, text, sizeof text, &done), STATUS_OK);
    CHECK(done == 0);
    CHECK_STATUS(vfs_write(node, 0, "x", 1, &done), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_truncate(node, 0), STATUS_READ_ONLY);
    vfs_release(node);
    CHECK_STATUS(vfs_open(root, "up", 2, VFS_FOLLOW, &node), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_open(root, "loop", 4, VFS_FOLLOW, &node), STATUS_LOOP);
    CHECK_STATUS(vfs_open(root, "new", 3, VFS_CREATE | VFS_WRITE, &node), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_open(root, "twice", 5, VFS_WRITE, &node), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_open(root, "twice", 5, VFS_CREATE | VFS_EXCLUSIVE, &node), STATUS_EXISTS);
    CHECK_STATUS(vfs_make_directory(root, "new", 3), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_unlink(root, "twice", 5), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_rename(root, "twice", 5, root, "new", 3), STATUS_READ_ONLY);
    CHECK_STATUS(vfs_read_directory(root, 1u << 20, text, sizeof text, &done), STATUS_INVALID);
    vfs_release(root);
    free(copy);
    free(builder.bytes);
}

/* Every prefix, and bytes changed here and there: refused or read, but nothing else. */
static void test_damaged(void)
{
    struct builder builder = {0};
    build_sample(&builder);
    uint8_t *copy;
    enum status status;
    for (size_t size = 0; size <= builder.size; size++) {
        struct archive *archive = index_copy(builder.bytes, size, &copy, &status);
        size_t trailer = builder.size - 124; /* the last header with its name */
        CHECK((archive != NULL) == (size >= trailer + 110 + 11));
        archive_release(archive);
        free(copy);
    }
    uint32_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        struct builder damaged = {0};
        append(&damaged, builder.bytes, builder.size);
        for (unsigned i = 0; i <= round % 3; i++) {
            random = random * 1664525 + 1013904223;
            size_t where = (random >> 8) % damaged.size;
            random = random * 1664525 + 1013904223;
            damaged.bytes[where] =
                random & 1 << 30 ? "0123456789abcdefF/.\0"[(random >> 8) % 20] : (uint8_t)(random >> 8);
        }
        struct archive *archive = index_copy(damaged.bytes, damaged.size, &copy, &status);
        if (archive) {
            struct vfs_node *root;
            CHECK_STATUS(archive_directory_node(archive, "", &root), STATUS_OK);
            CHECK(walk_everything(root) == archive_entry_count(archive));
            vfs_release(root);
        }
        archive_release(archive);
        free(copy);
        free(damaged.bytes);
    }
    free(builder.bytes);
}

static void check_refused(void (*build)(struct builder *))
{
    struct builder builder = {0};
    uint8_t *copy;
    enum status status;
    build(&builder);
    CHECK(index_copy(builder.bytes, builder.size, &copy, &status) == NULL);
    CHECK_STATUS(status, STATUS_INVALID);
    free(copy);
    free(builder.bytes);
}

static void build_without_trailer(struct builder *builder)
{
    add(builder, FILE_MODE, "a", "1", 1);
}

static void build_file_as_directory(struct builder *builder)
{
    add(builder, FILE_MODE, "a", "1", 1);
    add(builder, FILE_MODE, "a/b", "1", 1);
    finish(builder);
}

static void build_directory_as_file(struct builder *builder)
{
    add(builder, FILE_MODE, "a/b", "1", 1);
    add(builder, FILE_MODE, "a", "1", 1);
    finish(builder);
}

static void build_root_as_file(struct builder *builder)
{
    add(builder, FILE_MODE, "/", "1", 1);
    finish(builder);
}

static void build_long_name(struct builder *builder)
{
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    add(builder, FILE_MODE, name, "1", 1);
    finish(builder);
}

static void build_deep(struct builder *builder)
{
    char name[2 * VFS_DEPTH + 4];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 2 ? '/' : 'd';
    name[sizeof name - 1] = '\0';
    add(builder, FILE_MODE, name, "1", 1);
    finish(builder);
}

static void build_size_beyond(struct builder *builder)
{
    add(builder, FILE_MODE, "a", "1", 1);
    memcpy(builder->bytes + 54, "ffffffff", 8);
    finish(builder);
}

static void build_name_beyond(struct builder *builder)
{
    add(builder, FILE_MODE, "a", "1", 1);
    memcpy(builder->bytes + 94, "00001000", 8);
    finish(builder);
}

static void build_name_with_nul(struct builder *builder)
{
    add(builder, FILE_MODE, "abc", "1", 1);
    builder->bytes[111] = '\0';
    finish(builder);
}

/* 20,000 files in 200 directories, and found again: well under a second if it is near-linear. */
static void test_many(void)
{
    enum { COUNT = 20000 };
    struct builder builder = {0};
    char name[64];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "directory%u/file%u", i % 200, i);
        add(&builder, FILE_MODE, name, name, strlen(name));
    }
    finish(&builder);
    clock_t start = clock();
    struct archive *archive = NULL;
    CHECK_STATUS(archive_create(builder.bytes, builder.size, &archive, NULL), STATUS_OK);
    CHECK(archive_entry_count(archive) == COUNT + 200);
    for (unsigned i = 0; i < COUNT; i++) {
        const uint8_t *contents;
        size_t size;
        snprintf(name, sizeof name, "directory%u/file%u", i % 200, i);
        CHECK_STATUS(archive_find(archive, name, &contents, &size), STATUS_OK);
        CHECK(size == strlen(name) && memcmp(contents, name, size) == 0);
    }
    struct vfs_node *root;
    CHECK_STATUS(archive_directory_node(archive, "", &root), STATUS_OK);
    CHECK(walk_everything(root) == COUNT + 200);
    vfs_release(root);
    archive_release(archive);
    CHECK(clock() - start < 5 * CLOCKS_PER_SEC);
    free(builder.bytes);
}

int main(void)
{
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);
    test_sample();
    test_damaged();
    check_refused(build_without_trailer);
    check_refused(build_file_as_directory);
    check_refused(build_directory_as_file);
    check_refused(build_root_as_file);
    check_refused(build_long_name);
    check_refused(build_deep);
    check_refused(build_size_beyond);
    check_refused(build_name_beyond);
    check_refused(build_name_with_nul);
    test_many();
    kernel_heap_statistics(&after);
    CHECK(before.blocks == after.blocks);
    return failures;
}
