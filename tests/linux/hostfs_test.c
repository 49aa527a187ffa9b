/* Folders of the host (platform/linux/hostfs.c), with openat2 and with the walk that stands in for it: what can be
 * reached, what cannot, and what each operation does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "kernel/vfs.h"
#include "platform/linux/hostfs.h"
#include "platform/linux/linux.h"

static int failures;
static const char *variant;

static void expect(bool holds, const char *what)
{
    if (!holds) {
        printf("%s: %s\n", variant, what);
        failures++;
    }
}

static void expect_status(enum status status, enum status wanted, const char *what)
{
    if (status != wanted) {
        printf("%s: %s: %s instead of %s\n", variant, what, status_text(status), status_text(wanted));
        failures++;
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        perror(path), exit(1);
}

/* folder/{secret, in/{f, sub/{x, 0..99}, links}} */
static void make_tree(void)
{
    char path[64];
    mkdir("in", 0777);
    mkdir("in/sub", 0777);
    write_text("secret", "secret");
    write_text("in/f", "inside");
    write_text("in/sub/x", "x");
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "in/sub/entry%d", i);
        write_text(path, "");
    }
    static const char *const links[][2] = {{"/etc/passwd", "in/absolute"},
                                           {"../secret", "in/relative"},
                                           {"sub/../f", "in/good"},
                                           {"sub", "in/down"},
                                           {"..", "in/up"},
                                           {"loop", "in/loop"},
                                           {"../new", "in/dangling"}};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        if (symlink(links[i][0], links[i][1]) != 0)
            perror(links[i][1]), exit(1);
    if (mkfifo("in/fifo", 0666) != 0)
        perror("fifo"), exit(1);
}

static const struct {
    const char *path;
    unsigned flags;
    enum status status;
} openings[] = {
    {"f", VFS_READ, STATUS_OK},
    {"./sub/..//f", VFS_READ, STATUS_OK},
    {".", VFS_READ, STATUS_OK},
    {"sub/", VFS_READ, STATUS_OK},
    {"good", VFS_READ | VFS_FOLLOW, STATUS_OK},
    {"down/x", VFS_READ, STATUS_OK},
    {"absolute", 0, STATUS_OK},
    {"fifo", VFS_READ, STATUS_OK},
    {"..", VFS_READ, STATUS_OUTSIDE},
    {"../secret", VFS_READ, STATUS_OUTSIDE},
    {"sub/../../secret", VFS_READ, STATUS_OUTSIDE},
    {"/etc/passwd", VFS_READ, STATUS_OUTSIDE},
    {"absolute", VFS_READ | VFS_FOLLOW, STATUS_OUTSIDE},
    {"relative", VFS_READ | VFS_FOLLOW, STATUS_OUTSIDE},
    {"relative", VFS_WRITE | VFS_CREATE | VFS_FOLLOW, STATUS_OUTSIDE},
    {"dangling", VFS_WRITE | VFS_CREATE | VFS_FOLLOW, STATUS_OUTSIDE},
    {"up/secret", VFS_READ, STATUS_OUTSIDE},
    {"up/in/f", VFS_READ, STATUS_OUTSIDE},
    {"absolute", VFS_READ, STATUS_LOOP},
    {"loop", VFS_READ | VFS_FOLLOW, STATUS_LOOP},
    {"sub", VFS_WRITE, STATUS_IS_DIRECTORY},
    {"f/", VFS_READ, STATUS_NOT_DIRECTORY},
    {"f/x", VFS_READ, STATUS_NOT_DIRECTORY},
    {"nothing", VFS_READ, STATUS_NOT_FOUND},
    {"f", VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, STATUS_EXISTS},
    {"good", VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, STATUS_EXISTS},
};

static void check_openings(struct vfs_node *root)
{
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        struct vfs_node *node;
        enum status status = vfs_open(root, openings[i].path, strlen(openings[i].path), openings[i].flags, &node);
        expect_status(status, openings[i].status, openings[i].path);
        if (status == STATUS_OK)
            vfs_release(node);
    }
}

static void check_file(struct vfs_node *root)
{
    struct vfs_node *node;
    struct vfs_stat stat;
    char buffer[20];
    size_t done = 0;
    uint64_t offset = 0;
    expect_status(vfs_open(root, "new", 3, VFS_READ | VFS_WRITE | VFS_CREATE, &node), STATUS_OK, "create");
    expect_status(vfs_write(node, 2, "hello", 5, &done), STATUS_OK, "write");
    expect_status(vfs_append(node, "XY", 2, &done, &offset), STATUS_OK, "append");
    expect(offset == 9, "offset behind what was appended");
    expect_status(vfs_read(node, 1, buffer, sizeof buffer, &done), STATUS_OK, "read");
    expect(done == 8 && memcmp(buffer, "\0helloXY", 8) == 0, "contents");
    expect_status(vfs_truncate(node, 4), STATUS_OK, "truncate");
    expect_status(vfs_set_times(node, VFS_TIME_KEEP, UINT64_C(5000000001)), STATUS_OK, "set_times");
    expect_status(vfs_stat(node, &stat), STATUS_OK, "stat");
    expect(stat.size == 4 && stat.modify_time == UINT64_C(5000000001) && stat.type == VFS_FILE, "stat's contents");
    expect_status(vfs_unlink(root, "new", 3), STATUS_OK, "unlink");
    expect_status(vfs_read(node, 0, buffer, sizeof buffer, &done), STATUS_OK, "read of an unlinked file");
    vfs_release(node);
}

static void check_names(struct vfs_node *root)
{
    expect_status(vfs_make_directory(root, "made", 4), STATUS_OK, "make_directory");
    expect_status(vfs_make_directory(root, "up/made", 7), STATUS_OUTSIDE, "make_directory outside");
    expect_status(vfs_link(root, "f", 1, false, root, "made/f", 6), STATUS_OK, "link");
    expect_status(vfs_link(root, "relative", 8, true, root, "made/s", 6), STATUS_OUTSIDE, "link to outside");
    expect_status(vfs_link(root, "good", 4, false, root, "made/l", 6), STATUS_OK, "link to a symbolic link");
    expect_status(vfs_rename(root, "made/f", 6, root, "../moved", 8), STATUS_OUTSIDE, "rename to outside");
    expect_status(vfs_rename(root, "made/f", 6, root, "made/g", 6), STATUS_OK, "rename");
    expect_status(vfs_make_symlink(root, "made/y", 6, "/etc", 4), STATUS_OUTSIDE, "absolute symbolic link");
    expect_status(vfs_remove_directory(root, "made", 4), STATUS_NOT_EMPTY, "remove_directory of a full one");
    expect_status(vfs_unlink(root, "made", 4), STATUS_IS_DIRECTORY, "unlink of a directory");
    expect_status(vfs_unlink(root, "made/g", 6), STATUS_OK, "unlink");
    expect_status(vfs_unlink(root, "made/l", 6), STATUS_OK, "unlink of a symbolic link");
    expect_status(vfs_remove_directory(root, "made", 4), STATUS_OK, "remove_directory");
    expect(access("secret", F_OK) == 0 && access("made", F_OK) != 0 && access("new", F_OK) != 0,
           "outside is as it was");
}

/* Every entry exactly once, through the smallest buffer, in a directory that a walk opened. */
static void check_listing(struct vfs_node *root)
{
    struct vfs_node *node;
    uint64_t buffer[VFS_ENTRY_BYTES_MAXIMUM / 8], cookie = 0;
    size_t done, count = 0;
    expect_status(vfs_open(root, "sub/.", 5, VFS_READ, &node), STATUS_OK, "sub/.");
    do {
        done = 0;
        expect_status(vfs_read_directory(node, cookie, buffer, sizeof buffer, &done), STATUS_OK, "read_directory");
        for (size_t at = 0; at < done; count++) {
            const struct vfs_entry *entry = (const struct vfs_entry *)((uint8_t *)buffer + at);
            at += VFS_ENTRY_BYTES(entry->name_length);
            cookie = entry->next;
            expect(entry->type == VFS_FILE && entry->name[0] != '.', "entry");
        }
    } while (done > 0);
    expect(count == 101, "number of entries");
    vfs_release(node);
}

int main(void)
{
    static enum status (*const variants[])(const char *, struct vfs_node **) = {hostfs_create, hostfs_create_walking};
    char folder[] = "/tmp/tessera-hostfs-XXXXXX", command[64];
    struct vfs_node *root;
    linux_platform_initialize();
    cpu_initialize();
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    make_tree();
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        variant = i == 0 ? "openat2" : "walk";
        expect_status(variants[i]("in", &root), STATUS_OK, "create");
        check_openings(root);
        check_file(root);
        check_names(root);
        check_listing(root);
        vfs_release(root);
    }
    expect_status(hostfs_create("in/nothing", &root), STATUS_NOT_FOUND, "a folder that is not there");
    expect_status(hostfs_create("in/f", &root), STATUS_NOT_DIRECTORY, "a file");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failures > 0;
}
