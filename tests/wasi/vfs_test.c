/* The walk over paths: what it refuses, and that it never leaves its directory. */
#include "kernel/heap.h"
#include "kernel/ramfs.h"
#include "kernel/vfs.h"
#include "tests/wasi/check.h"

#include <string.h>

static struct vfs_node *root, *inner; /* inner is root's directory "inner" */

static enum status try_open(struct vfs_node *directory, const char *path, unsigned flags)
{
    struct vfs_node *node;
    enum status status = vfs_open(directory, path, strlen(path), flags, &node);
    if (status == STATUS_OK)
        vfs_release(node);
    return status;
}

static enum status make_link(struct vfs_node *directory, const char *path, const char *target)
{
    return vfs_make_symlink(directory, path, strlen(path), target, strlen(target));
}

static void test_inside(void)
{
    CHECK_STATUS(try_open(root, "secret", VFS_READ), STATUS_OK);
    CHECK_STATUS(try_open(inner, "file", VFS_READ), STATUS_OK);
    CHECK_STATUS(try_open(inner, "./deep/../file", VFS_READ), STATUS_OK);
    CHECK_STATUS(try_open(inner, "deep/./..", 0), STATUS_OK);
    CHECK_STATUS(try_open(inner, ".", VFS_ONLY_DIRECTORY), STATUS_OK);
    CHECK_STATUS(try_open(inner, "..", 0), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "../secret", VFS_READ), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "../inner/file", VFS_READ), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "deep/../../secret", VFS_READ), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "/secret", VFS_READ), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "file/../file", VFS_READ), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(try_open(inner, "", 0), STATUS_NOT_FOUND);
    CHECK_STATUS(try_open(inner, "../new", VFS_CREATE | VFS_WRITE), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_make_directory(inner, "../new", 6), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_unlink(inner, "../secret", 9), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_unlink(inner, "..", 2), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_rename(inner, "file", 4, inner, "../file", 7), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_rename(inner, "../secret", 9, inner, "stolen", 6), STATUS_OUTSIDE);
    CHECK_STATUS(vfs_link(inner, "../secret", 9, true, inner, "stolen", 6), STATUS_OUTSIDE);
}

static void test_symbolic_links(void)
{
    struct vfs_node *node;
    CHECK_STATUS(make_link(inner, "out", "../secret"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "deep/up", "../file"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "deep/out", "../../secret"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "absolute", "/secret"), STATUS_OUTSIDE);
    CHECK_STATUS(make_link(inner, "directory", "deep"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "slash", "deep/"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "dangling", "new"), STATUS_OK);
    CHECK_STATUS(make_link(inner, "self", "self"), STATUS_OK);
    CHECK_STATUS(try_open(inner, "out", VFS_FOLLOW), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(inner, "out", 0), STATUS_OK);
    CHECK_STATUS(try_open(inner, "out", VFS_READ), STATUS_LOOP);
    CHECK_STATUS(try_open(inner, "deep/up", VFS_READ | VFS_FOLLOW), STATUS_OK);
    CHECK_STATUS(try_open(inner, "deep/out", VFS_READ | VFS_FOLLOW), STATUS_OUTSIDE);
    CHECK_STATUS(try_open(root, "inner/deep/out", VFS_READ | VFS_FOLLOW), STATUS_OK);
    CHECK_STATUS(try_open(inner, "directory/up", VFS_READ | VFS_FOLLOW), STATUS_OK);
    CHECK_STATUS(try_open(inner, "directory/..", 0), STATUS_OK);
    CHECK_STATUS(try_open(inner, "directory", VFS_ONLY_DIRECTORY), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(try_open(inner, "directory/", VFS_ONLY_DIRECTORY), STATUS_OK);
    CHECK_STATUS(try_open(inner, "slash/up", VFS_FOLLOW), STATUS_OK);
    CHECK_STATUS(try_open(inner, "self", VFS_FOLLOW), STATUS_LOOP);
    CHECK_STATUS(try_open(inner, "self/x", 0), STATUS_LOOP);
    CHECK_STATUS(try_open(inner, "dangling", VFS_CREATE | VFS_EXCLUSIVE | VFS_FOLLOW), STATUS_EXISTS);
    CHECK_STATUS(try_open(inner, "dangling", VFS_FOLLOW), STATUS_NOT_FOUND);
    CHECK_STATUS(try_open(inner, "dangling", VFS_CREATE | VFS_WRITE | VFS_FOLLOW), STATUS_OK);
    CHECK_STATUS(vfs_open(inner, "new", 3, VFS_READ, &node), STATUS_OK);
    vfs_release(node);
    char name[16], target[16];
    for (int i = 0; i < VFS_LINKS + 1; i++) { /* a chain: the last is one too many */
        snprintf(name, sizeof name, "chain%d", i);
        snprintf(target, sizeof target, i ? "chain%d" : "file", i - 1);
        CHECK_STATUS(make_link(inner, name, target), STATUS_OK);
    }
    snprintf(name, sizeof name, "chain%d", VFS_LINKS - 1);
    CHECK_STATUS(try_open(inner, name, VFS_FOLLOW), STATUS_OK);
    snprintf(name, sizeof name, "chain%d", VFS_LINKS);
    CHECK_STATUS(try_open(inner, name, VFS_FOLLOW), STATUS_LOOP);
}

static void test_limits(void)
{
    static char path[VFS_PATH_BYTES + 2];
    struct vfs_node *node;
    CHECK_STATUS(vfs_open(root, "a\0b", 3, 0, &node), STATUS_INVALID);
    CHECK_STATUS(vfs_make_directory(root, "a\0b", 3), STATUS_INVALID);
    CHECK_STATUS(vfs_make_symlink(root, "l", 1, "a\0b", 3), STATUS_INVALID);
    CHECK_STATUS(vfs_make_symlink(root, "l", 1, "", 0), STATUS_NOT_FOUND);
    memset(path, 'n', sizeof path);
    CHECK_STATUS(vfs_open(root, path, VFS_NAME_BYTES, VFS_CREATE, &node), STATUS_OK);
    vfs_release(node);
    CHECK_STATUS(vfs_open(root, path, VFS_NAME_BYTES + 1, VFS_CREATE, &node), STATUS_NAME_TOO_LONG);
    CHECK_STATUS(vfs_make_directory(root, path, VFS_NAME_BYTES + 1), STATUS_NAME_TOO_LONG);
    memset(path, '/', sizeof path);
    memcpy(path, "inner", 5);
    CHECK_STATUS(vfs_open(root, path, VFS_PATH_BYTES, 0, &node), STATUS_OK);
    vfs_release(node);
    CHECK_STATUS(vfs_open(root, path, VFS_PATH_BYTES + 1, 0, &node), STATUS_NAME_TOO_LONG);
    /* As many links as are allowed, each of which makes the path longer: refused, and never beyond the buffer. */
    memset(path, '/', sizeof path);
    memcpy(path, "grow", 4);
    CHECK_STATUS(vfs_make_symlink(root, "grow", 4, path, VFS_PATH_BYTES), STATUS_OK);
    CHECK_STATUS(vfs_open(root, "grow/x", 6, 0, &node), STATUS_NAME_TOO_LONG);
    struct vfs_node *directory = vfs_acquire(root);
    for (int i = 0; i < VFS_DEPTH + 10; i++) {
        CHECK_STATUS(vfs_make_directory(directory, "d", 1), STATUS_OK);
        CHECK_STATUS(vfs_open(directory, "d", 1, 0, &node), STATUS_OK);
        vfs_release(directory);
        directory = node;
    }
    vfs_release(directory);
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : 'd';
    CHECK_STATUS(vfs_open(root, path, 2 * (VFS_DEPTH - 1) - 1, 0, &node), STATUS_OK);
    vfs_release(node);
    CHECK_STATUS(vfs_open(root, path, 2 * VFS_DEPTH - 1, 0, &node), STATUS_NAME_TOO_LONG);
}

static void test_slashes(void)
{
    CHECK_STATUS(try_open(inner, "file/", 0), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(try_open(inner, "file/", VFS_WRITE | VFS_TRUNCATE), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(try_open(inner, "deep//", 0), STATUS_OK);
    CHECK_STATUS(try_open(inner, "made/", VFS_CREATE), STATUS_IS_DIRECTORY);
    CHECK_STATUS(try_open(inner, "deep", VFS_WRITE), STATUS_IS_DIRECTORY);
    CHECK_STATUS(try_open(inner, "deep", VFS_CREATE | VFS_EXCLUSIVE), STATUS_EXISTS);
    CHECK_STATUS(try_open(inner, "file", VFS_ONLY_DIRECTORY | VFS_TRUNCATE), STATUS_INVALID);
    CHECK_STATUS(vfs_make_directory(inner, "made/", 5), STATUS_OK);
    CHECK_STATUS(vfs_unlink(inner, "made/", 5), STATUS_IS_DIRECTORY);
    CHECK_STATUS(vfs_unlink(inner, "file/", 5), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(vfs_remove_directory(inner, "made/.", 6), STATUS_INVALID);
    CHECK_STATUS(vfs_remove_directory(inner, "made/", 5), STATUS_OK);
    CHECK_STATUS(vfs_rename(inner, "file", 4, inner, "moved/", 6), STATUS_NOT_DIRECTORY);
    CHECK_STATUS(vfs_rename(inner, "deep", 4, inner, "deep/below", 10), STATUS_INVALID);
}

static void test_mounts(void)
{
    struct vfs_node *other;
    CHECK_STATUS(ramfs_create(NULL, 1 << 20, &other), STATUS_OK);
    CHECK_STATUS(vfs_rename(inner, "file", 4, other, "file", 4), STATUS_CROSS_DEVICE);
    CHECK_STATUS(vfs_link(inner, "file", 4, false, other, "file", 4), STATUS_CROSS_DEVICE);
    vfs_release(other);
}

int main(void)
{
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);
    CHECK_STATUS(ramfs_create(NULL, 1 << 22, &root), STATUS_OK);
    CHECK_STATUS(try_open(root, "secret", VFS_CREATE), STATUS_OK);
    CHECK_STATUS(vfs_make_directory(root, "inner", 5), STATUS_OK);
    CHECK_STATUS(vfs_open(root, "inner", 5, 0, &inner), STATUS_OK);
    CHECK_STATUS(vfs_make_directory(inner, "deep", 4), STATUS_OK);
    CHECK_STATUS(try_open(inner, "file", VFS_CREATE), STATUS_OK);
    test_inside();
    test_symbolic_links();
    test_limits();
    test_slashes();
    test_mounts();
    vfs_release(inner);
    vfs_release(root);
    kernel_heap_statistics(&after);
    CHECK(before.blocks == after.blocks);
    return failures;
}
