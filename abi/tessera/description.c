/* What descriptions of programs name: files and directories of the program that gives the description. */
#include "abi/tessera/description.h"

#include "engine/base.h"
#include "engine/limits.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/launch_description.h"
#include "kernel/vfs.h"

/* Does `path` lie in the directory that the guest knows as `name`? If so, *rest is the path from there. */
static bool path_is_below(const char *path, const char *name, const char **rest)
{
    size_t length = strlen(name);
    if (length == 1 && name[0] == '.') {
        *rest = path;
        return path[0] != '/';
    }
    while (length && name[length - 1] == '/') {
        length--;
    }
    if (strlen(path) <= length || memcmp(path, name, length) != 0 || path[length] != '/') {
        return false;
    }
    *rest = path + length + 1;
    return true;
}

static enum status open_module(const struct launch *caller, const char *path, struct vfs_node **node)
{
    const struct launch_directory *best = NULL;
    const char *best_rest = NULL, *rest;
    for (uint32_t i = 0; i < caller->directory_count; i++) {
        if (path_is_below(path, caller->directories[i].guest_path, &rest) && (!best || rest > best_rest)) {
            best = &caller->directories[i];
            best_rest = rest;
        }
    }
    return best ? vfs_open(best->node, best_rest, strlen(best_rest), VFS_READ | VFS_FOLLOW, node) : STATUS_NOT_FOUND;
}

static enum status read_all(struct vfs_node *node, uint8_t *bytes, size_t size)
{
    size_t offset = 0, done = 0;
    do {
        enum status status = vfs_read(node, offset, bytes + offset, size - offset, &done);
        if (status != STATUS_OK) {
            return status;
        }
        offset += done;
    } while (done && offset < size);
    return offset == size ? STATUS_OK : STATUS_IO;
}

enum status module_file_read(const struct launch *caller, const char *path, uint8_t **bytes, size_t *size)
{
    struct vfs_node *node;
    struct vfs_stat stat;
    enum status status = open_module(caller, path, &node);
    if (status != STATUS_OK) {
        return status;
    }
    status = vfs_stat(node, &stat);
    if (status == STATUS_OK && (stat.type != VFS_FILE || stat.size > ENGINE_LIMIT_MODULE_BYTES)) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        *size = stat.size;
        *bytes = kernel_allocate(stat.size);
        status = *bytes ? read_all(node, *bytes, stat.size) : STATUS_NO_MEMORY;
        if (status != STATUS_OK) {
            kernel_free(*bytes, stat.size);
        }
    }
    vfs_release(node);
    return status;
}

static bool text_equal(const char *a, const char *b)
{
    size_t length = strlen(a);
    return length == strlen(b) && memcmp(a, b, length) == 0;
}

bool description_directories(const struct launch *caller, const struct launch_description *description,
                               struct launch_directory *chosen)
{
    for (uint32_t i = 0; i < description->directory_count; i++) {
        const char *name = description->directories[i].guest_path;
        uint32_t found = 0;
        while (found < caller->directory_count && !text_equal(caller->directories[found].guest_path, name)) {
            found++;
        }
        if (found == caller->directory_count || description->directories[i].source) {
            return false;
        }
        chosen[i] = caller->directories[found];
    }
    return true;
}
