/* libFuzzer target: what is read before any program runs. The first byte says what the others are: a launch description
 * (0), a manifest of services (1), a boot archive (2).
 *
 * Checked, besides what the sanitizers find: a refusal has a message, and no other result has one; what was taken keeps
 * its limits, and all of it can be read; every block of the kernel heap is given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/launch_description.h"
#include "kernel/vfs.h"
#include "platform/linux/linux.h"
#include "services/init/manifest.h"
#include "tests/fuzz/require.h"

static volatile size_t total; /* so that texts are read */

static void read_text(const char *text)
{
    total += text ? strlen(text) : 0;
}

static void try_description(const uint8_t *bytes, size_t size)
{
    struct launch_description description;
    const char *message = NULL;
    enum status status = launch_description_parse(bytes, size, &description, &message);
    REQUIRE(status == STATUS_OK || status == STATUS_INVALID);
    REQUIRE((status == STATUS_OK) == !message);
    if (status != STATUS_OK) {
        return;
    }
    REQUIRE(description.module && *description.module && description.name);
    read_text(description.name);
    for (uint32_t i = 0; i < description.argument_count; i++) {
        read_text(description.arguments[i]);
    }
    for (uint32_t i = 0; i < description.environment_count; i++) {
        read_text(description.environment[i]);
    }
    for (uint32_t i = 0; i < description.directory_count; i++) {
        read_text(description.directories[i].guest_path);
        read_text(description.directories[i].source);
    }
    for (uint32_t i = 0; i < description.interface_count; i++) {
        read_text(description.interfaces[i]);
    }
    for (uint32_t i = 0; i < description.handle_count; i++) {
        read_text(description.handles[i]);
    }
    for (uint32_t i = 0; i < description.service_count; i++) {
        read_text(description.services[i]);
    }
    launch_description_release(&description);
}

static void read_list(const struct text_list *list)
{
    REQUIRE(list->count <= MANIFEST_LIST);
    for (unsigned i = 0; i < list->count; i++) {
        read_text(list->items[i]);
    }
}

static void try_manifest(const uint8_t *bytes, size_t size)
{
    static struct manifest manifest;
    char *text = malloc(size + 1), message[160] = "";
    unsigned line = 0;
    memcpy(text, bytes, size);
    bool taken = manifest_parse(text, size, &manifest, &line, message, sizeof(message));
    REQUIRE(taken || (message[0] && memchr(message, 0, sizeof(message))));
    for (unsigned i = 0; taken && i < manifest.count; i++) {
        const struct unit *unit = &manifest.units[i];
        REQUIRE(manifest.count <= MANIFEST_UNITS && strlen(unit->name) <= MANIFEST_NAME && *unit->module);
        REQUIRE(manifest_find(&manifest, unit->name) == unit && !(unit->required >> i & 1));
        const struct text_list *const lists[] = {&unit->arguments, &unit->environment, &unit->directories, &unit->offers,
                                                 &unit->uses,      &unit->requires_,   &unit->handles};
        for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
            read_list(lists[list]);
        }
        for (unsigned offer = 0; offer < unit->offers.count; offer++) {
            REQUIRE(manifest_find_offer(&manifest, unit->offers.items[offer]));
        }
    }
    free(text);
}

static void read_tree(struct vfs_node *directory, int depth);

static void read_entry(struct vfs_node *directory, const struct vfs_entry *entry, int depth)
{
    struct vfs_node *node;
    struct vfs_stat stat;
    uint8_t buffer[64];
    size_t done = 0;
    if (vfs_open(directory, entry->name, entry->name_length, VFS_READ, &node) != STATUS_OK) {
        return;
    }
    REQUIRE(vfs_stat(node, &stat) == STATUS_OK);
    if (stat.type == VFS_DIRECTORY) {
        read_tree(node, depth + 1);
    } else if (vfs_read(node, stat.size / 2, buffer, sizeof(buffer), &done) == STATUS_OK) {
        total += done ? buffer[done - 1] : 0;
    }
    vfs_release(node);
}

/* `depth`: directories of an archive may be as deep as a path is long. */
static void read_tree(struct vfs_node *directory, int depth)
{
    _Alignas(8) uint8_t buffer[1024];
    size_t done = 0;
    if (depth == 8 || vfs_read_directory(directory, 0, buffer, sizeof(buffer), &done) != STATUS_OK) {
        return;
    }
    for (size_t at = 0; at < done;) {
        const struct vfs_entry *entry = (const struct vfs_entry *)(buffer + at);
        REQUIRE(at + VFS_ENTRY_BYTES(entry->name_length) <= sizeof(buffer));
        read_entry(directory, entry, depth);
        at += VFS_ENTRY_BYTES(entry->name_length);
    }
}

static void try_archive(const uint8_t *bytes, size_t size)
{
    struct archive *archive = NULL;
    struct vfs_node *root;
    size_t offset = 0;
    enum status status = archive_create(bytes, size, &archive, &offset);
    REQUIRE((status == STATUS_OK) == (archive != NULL));
    if (archive && archive_directory_node(archive, "", &root) == STATUS_OK) {
        read_tree(root, 0);
        vfs_release(root);
    }
    archive_release(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool initialized;
    struct heap_statistics before, after;
    if (!initialized) { /* without signals, which are the fuzzer's */
        linux_cpu_initialize();
        linux_set_cpu_count(1);
        cpu_initialize();
        initialized = true;
    }
    if (size < 1) {
        return 0;
    }
    uint8_t *bytes = malloc(size > 1 ? size - 1 : 1); /* exactly as large as it is */
    memcpy(bytes, data + 1, size - 1);
    kernel_heap_statistics(&before);
    switch (data[0] % 3) {
    case 0:
        try_description(bytes, size - 1);
        break;
    case 1:
        try_manifest(bytes, size - 1);
        break;
    default:
        try_archive(bytes, size - 1);
    }
    kernel_heap_statistics(&after);
    REQUIRE(after.blocks == before.blocks);
    free(bytes);
    return 0;
}
