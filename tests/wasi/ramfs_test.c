/* File systems against each other: the same random operations on the memory file system, on one with a lower layer,
 * and on folders of the host in both of its ways, must have the same results and leave the same trees. Then what only
 * the memory file system has: its limit, cookies while entries come and go, and trees deeper than any stack. */
#include "kernel/heap.h"
#include "kernel/ramfs.h"
#include "kernel/vfs.h"
#include "platform/linux/hostfs.h"
#include "tests/wasi/check.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT (UINT64_C(1) << 30)

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % limit;
}

/* ---- Random operations ---- */

enum operation {
    OPERATION_CREATE,
    OPERATION_WRITE,
    OPERATION_APPEND,
    OPERATION_TRUNCATE,
    OPERATION_READ,
    OPERATION_STAT,
    OPERATION_MAKE_DIRECTORY,
    OPERATION_REMOVE_DIRECTORY,
    OPERATION_UNLINK,
    OPERATION_RENAME,
    OPERATION_LINK,
    OPERATION_SYMLINK,
    OPERATION_COUNT,
};

struct step {
    enum operation operation;
    char path[64], other[64];
    unsigned flags;
    uint64_t offset;
    size_t bytes;
    uint8_t fill;
};

static void random_path(char *path)
{
    static const char *const names[] = {"a", "b", "c", "d", "a", "b", "c", ".", "..", "a"};
    unsigned parts = 1 + random_below(3);
    *path = '\0';
    for (unsigned i = 0; i < parts; i++) {
        if (i)
            strcat(path, random_below(20) ? "/" : "//");
        strcat(path, names[random_below(sizeof names / sizeof *names)]);
    }
    if (random_below(12) == 0)
        strcat(path, "/");
}

static void random_step(struct step *step)
{
    memset(step, 0, sizeof *step);
    step->operation = (enum operation)random_below(OPERATION_COUNT);
    random_path(step->path);
    random_path(step->other);
    step->flags = random_below(2) ? VFS_FOLLOW : 0;
    if (step->operation == OPERATION_CREATE)
        step->flags |=
            VFS_CREATE | VFS_WRITE | (random_below(4) ? 0 : VFS_EXCLUSIVE) | (random_below(4) ? 0 : VFS_TRUNCATE);
    step->offset = random_below(4) ? random_below(10000) : random_below(100000);
    step->bytes = random_below(9000);
    step->fill = (uint8_t)random_below(256);
}

/* Results beyond the status: numbers that must be equal too. */
struct outcome {
    enum status status;
    uint64_t a, b;
};

static uint64_t checksum(const uint8_t *bytes, size_t size)
{
    uint64_t sum = size;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static void step_on_file(struct vfs_node *root, const struct step *step, struct outcome *outcome)
{
    static uint8_t buffer[9000];
    struct vfs_node *node;
    struct vfs_stat stat;
    size_t done = 0;
    unsigned flags = step->flags;
    if (step->operation != OPERATION_CREATE && step->operation != OPERATION_STAT)
        flags |= step->operation == OPERATION_READ ? VFS_READ : VFS_READ | VFS_WRITE;
    outcome->status = vfs_open(root, step->path, strlen(step->path), flags, &node);
    if (outcome->status != STATUS_OK)
        return;
    memset(buffer, step->fill, sizeof buffer);
    switch (step->operation) {
    case OPERATION_WRITE:
        outcome->status = vfs_write(node, step->offset, buffer, step->bytes, &done);
        break;
    case OPERATION_APPEND:
        outcome->status = vfs_append(node, buffer, step->bytes, &done, &outcome->b);
        break;
    case OPERATION_TRUNCATE:
        outcome->status = vfs_truncate(node, step->offset);
        break;
    case OPERATION_READ:
        if (node->type == VFS_DIRECTORY)
            break;
        outcome->status = vfs_read(node, step->offset, buffer, step->bytes, &done);
        outcome->b = checksum(buffer, done);
        break;
    default:
        outcome->status = vfs_stat(node, &stat);
        if (stat.type != VFS_DIRECTORY)
            outcome->b = stat.size * 1000 + stat.links * 10 + stat.type;
        break;
    }
    outcome->a = done;
    vfs_release(node);
}

static struct outcome perform(struct vfs_node *root, const struct step *step)
{
    struct outcome outcome = {0};
    size_t length = strlen(step->path), other_length = strlen(step->other);
    switch (step->operation) {
    case OPERATION_MAKE_DIRECTORY:
        outcome.status = vfs_make_directory(root, step->path, length);
        break;
    case OPERATION_REMOVE_DIRECTORY:
        outcome.status = vfs_remove_directory(root, step->path, length);
        break;
    case OPERATION_UNLINK:
        outcome.status = vfs_unlink(root, step->path, length);
        break;
    case OPERATION_RENAME:
        outcome.status = vfs_rename(root, step->path, length, root, step->other, other_length);
        break;
    case OPERATION_LINK:
        outcome.status = vfs_link(root, step->path, length, step->flags & VFS_FOLLOW, root, step->other, other_length);
        break;
    case OPERATION_SYMLINK:
        outcome.status = vfs_make_symlink(root, step->path, length, step->other, other_length);
        break;
    default:
        step_on_file(root, step, &outcome);
        break;
    }
    return outcome;
}

/* ---- Trees ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_tree(struct vfs_node *directory, char **lines, size_t *count, const char *prefix)
{
    uint64_t buffer[128], cookie = 0;
    size_t done;
    while (vfs_read_directory(directory, cookie, buffer, sizeof buffer, &done) == STATUS_OK && done) {
        for (size_t position = 0; position < done;) {
            const struct vfs_entry *entry = (const void *)((const char *)buffer + position);
            struct vfs_node *node;
            struct vfs_stat stat;
            char path[256], line[512], target[64] = "";
            size_t got;
            snprintf(path, sizeof path, "%s%.*s", prefix, (int)entry->name_length, entry->name);
            CHECK_STATUS(
                vfs_open(directory, entry->name, entry->name_length, entry->type == VFS_SYMLINK ? 0 : VFS_READ, &node),
                STATUS_OK);
            CHECK_STATUS(vfs_stat(node, &stat), STATUS_OK);
            uint64_t sum = 0;
            if (stat.type == VFS_FILE) {
                uint8_t *contents = malloc(stat.size + 1);
                CHECK_STATUS(vfs_read(node, 0, contents, stat.size + 1, &got), STATUS_OK);
                CHECK(got == stat.size);
                sum = checksum(contents, got);
                free(contents);
            } else if (stat.type == VFS_SYMLINK) {
                CHECK_STATUS(vfs_read_link(node, target, sizeof target - 1, &got), STATUS_OK);
            }
            snprintf(line, sizeof line, "%s type %d links %d size %d sum %llx %s", path, stat.type,
                     stat.type == VFS_DIRECTORY ? 0 : (int)stat.links, stat.type == VFS_DIRECTORY ? 0 : (int)stat.size,
                     (unsigned long long)sum, target);
            lines[(*count)++] = strdup(line);
            strcat(path, "/");
            if (stat.type == VFS_DIRECTORY)
                list_tree(node, lines, count, path);
            vfs_release(node);
            cookie = entry->next;
            position += VFS_ENTRY_BYTES(entry->name_length);
        }
    }
}

static void compare_trees(struct vfs_node *a, struct vfs_node *b)
{
    enum { LINES = 10000 };
    static char *lines_a[LINES], *lines_b[LINES];
    size_t count_a = 0, count_b = 0;
    list_tree(a, lines_a, &count_a, "");
    list_tree(b, lines_b, &count_b, "");
    qsort(lines_a, count_a, sizeof *lines_a, by_text);
    qsort(lines_b, count_b, sizeof *lines_b, by_text);
    CHECK(count_a == count_b);
    for (size_t i = 0; i < count_a && i < count_b; i++)
        if (strcmp(lines_a[i], lines_b[i]) != 0) {
            printf("tree: %s\n      %s\n", lines_a[i], lines_b[i]);
            failures++;
            break;
        }
    for (size_t i = 0; i < count_a; i++)
        free(lines_a[i]);
    for (size_t i = 0; i < count_b; i++)
        free(lines_b[i]);
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat, (void)flag, (void)ftw;
    return remove(path);
}

static void compare_step(const struct step *step, const struct outcome *a, const struct outcome *b, const char *what)
{
    if (a->status == b->status && (a->status != STATUS_OK || (a->a == b->a && a->b == b->b)))
        return;
    printf("%s: operation %d, %s, %s, flags %x: %s %llu %llu, on the host %s %llu %llu\n", what, step->operation,
           step->path, step->other, step->flags, status_text(a->status), (unsigned long long)a->a,
           (unsigned long long)a->b, status_text(b->status), (unsigned long long)b->a, (unsigned long long)b->b);
    failures++;
}

static void test_against_host(uint64_t seed)
{
    enum { PREPARE = 60, STEPS = 400 };
    char folder[] = "/tmp/tessera-ramfs-test-XXXXXX", walking[sizeof folder + 8], whole[sizeof folder + 8];
    struct vfs_node *memory, *lower, *layered, *host, *host_walking;
    struct step step;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(walking, sizeof walking, "%s/walk", folder);
    CHECK(mkdir(whole, 0700) == 0 && mkdir(walking, 0700) == 0);
    CHECK_STATUS(ramfs_create(NULL, NO_LIMIT, &memory), STATUS_OK);
    CHECK_STATUS(ramfs_create(NULL, NO_LIMIT, &lower), STATUS_OK);
    CHECK_STATUS(hostfs_create(whole, &host), STATUS_OK);
    CHECK_STATUS(hostfs_create_walking(walking, &host_walking), STATUS_OK);
    random_state = seed;
    layered = lower;
    for (unsigned i = 0; i < PREPARE + STEPS && failures < 10; i++) {
        if (i == PREPARE)
            CHECK_STATUS(ramfs_create(lower, NO_LIMIT, &layered), STATUS_OK);
        random_step(&step);
        /* Hard links do not survive as such in a layer, so there are none below it. */
        if (i < PREPARE && step.operation == OPERATION_LINK)
            continue;
        struct outcome on_host = perform(host, &step), on_walking = perform(host_walking, &step);
        struct outcome on_memory = perform(memory, &step), on_layered = perform(layered, &step);
        compare_step(&step, &on_walking, &on_host, "host walk");
        compare_step(&step, &on_memory, &on_host, "memory");
        compare_step(&step, &on_layered, &on_host, "layered");
    }
    compare_trees(memory, host);
    compare_trees(layered, host);
    compare_trees(host_walking, host);
    if (layered != lower)
        vfs_release(layered);
    vfs_release(lower);
    vfs_release(memory);
    vfs_release(host);
    vfs_release(host_walking);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Only in memory ---- */

static void test_limit(void)
{
    enum { LIMIT = 1 << 20 };
    static uint8_t bytes[1 << 16];
    struct vfs_node *root, *file;
    size_t done, total = 0;
    uint64_t end;
    char name[32];
    unsigned count = 0;
    CHECK_STATUS(ramfs_create(NULL, LIMIT, &root), STATUS_OK);
    CHECK_STATUS(vfs_open(root, "f", 1, VFS_CREATE | VFS_WRITE, &file), STATUS_OK);
    enum status status;
    while ((status = vfs_append(file, bytes, sizeof bytes, &done, &end)) == STATUS_OK)
        total += done;
    CHECK_STATUS(status, STATUS_NO_SPACE);
    CHECK(total > LIMIT / 2 && total < LIMIT);
    CHECK_STATUS(vfs_truncate(file, 0), STATUS_OK);
    CHECK_STATUS(vfs_write(file, UINT64_C(1) << 40, "x", 1, &done), STATUS_NO_SPACE);
    CHECK_STATUS(vfs_write(file, UINT64_MAX, "x", 1, &done), STATUS_TOO_LARGE);
    CHECK_STATUS(vfs_truncate(file, UINT64_C(1) << 40), STATUS_OK); /* a hole */
    CHECK_STATUS(vfs_read(file, UINT64_C(1) << 39, bytes, 100, &done), STATUS_OK);
    CHECK(done == 100);
    vfs_release(file);
    CHECK_STATUS(vfs_unlink(root, "f", 1), STATUS_OK);
    do {
        snprintf(name, sizeof name, "directory%u", count++);
        status = vfs_make_directory(root, name, strlen(name));
    } while (status == STATUS_OK);
    CHECK_STATUS(status, STATUS_NO_SPACE);
    CHECK(count > 1000);
    for (unsigned i = 0; i + 1 < count; i++) {
        snprintf(name, sizeof name, "directory%u", i);
        CHECK_STATUS(vfs_remove_directory(root, name, strlen(name)), STATUS_OK);
    }
    CHECK_STATUS(vfs_make_directory(root, "d", 1), STATUS_OK);
    vfs_release(root);
}

/* Entries come and go between the parts of a listing; those that stay are seen once. */
static void test_cookies(void)
{
    enum { COUNT = 3000 };
    static unsigned char seen[COUNT];
    uint64_t buffer[64], cookie = 0;
    struct vfs_node *root, *file;
    char name[32];
    size_t done;
    unsigned next = 1;
    CHECK_STATUS(ramfs_create(NULL, NO_LIMIT, &root), STATUS_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%u", i);
        CHECK_STATUS(vfs_open(root, name, strlen(name), VFS_CREATE, &file), STATUS_OK);
        vfs_release(file);
    }
    while (vfs_read_directory(root, cookie, buffer, sizeof buffer, &done) == STATUS_OK && done) {
        for (size_t position = 0; position < done;) {
            const struct vfs_entry *entry = (const void *)((const char *)buffer + position);
            snprintf(name, sizeof name, "%.*s", (int)entry->name_length, entry->name);
            if (name[0] != 'x')
                seen[atoi(name)]++;
            cookie = entry->next;
            position += VFS_ENTRY_BYTES(entry->name_length);
        }
        for (unsigned i = 0; i < 40 && next < COUNT; i++, next += 2) { /* the odd ones go, others come */
            snprintf(name, sizeof name, "%u", next);
            CHECK_STATUS(vfs_unlink(root, name, strlen(name)), STATUS_OK);
            snprintf(name, sizeof name, "x%u", next);
            if (next % 4 == 1)
                CHECK_STATUS(vfs_make_directory(root, name, strlen(name)), STATUS_OK);
        }
    }
    for (unsigned i = 0; i < COUNT; i += 2)
        CHECK(seen[i] == 1);
    vfs_release(root);
}

/* 200,000 directories inside each other, made one below the other, freed at once. */
static void test_deep(void)
{
    struct vfs_node *root, *directory, *child;
    CHECK_STATUS(ramfs_create(NULL, NO_LIMIT, &root), STATUS_OK);
    directory = vfs_acquire(root);
    for (unsigned i = 0; i < 200000; i++) {
        CHECK_STATUS(vfs_make_directory(directory, "d", 1), STATUS_OK);
        CHECK_STATUS(vfs_open(directory, "d", 1, 0, &child), STATUS_OK);
        vfs_release(directory);
        directory = child;
    }
    vfs_release(directory);
    vfs_release(root);
}

/* What is open stays, though it has no name any more. */
static void test_unlinked(void)
{
    struct vfs_node *root, *file, *directory, *other;
    char text[4];
    size_t done;
    CHECK_STATUS(ramfs_create(NULL, NO_LIMIT, &root), STATUS_OK);
    CHECK_STATUS(vfs_make_directory(root, "d", 1), STATUS_OK);
    CHECK_STATUS(vfs_open(root, "d", 1, 0, &directory), STATUS_OK);
    CHECK_STATUS(vfs_open(root, "d/f", 3, VFS_CREATE | VFS_WRITE, &file), STATUS_OK);
    CHECK_STATUS(vfs_write(file, 0, "text", 4, &done), STATUS_OK);
    CHECK_STATUS(vfs_unlink(root, "d/f", 3), STATUS_OK);
    CHECK_STATUS(vfs_remove_directory(root, "d", 1), STATUS_OK);
    CHECK_STATUS(vfs_open(directory, "g", 1, VFS_CREATE, &other), STATUS_NOT_FOUND);
    CHECK_STATUS(vfs_read(file, 0, text, 4, &done), STATUS_OK);
    CHECK(done == 4 && memcmp(text, "text", 4) == 0);
    vfs_release(root);
    CHECK_STATUS(vfs_write(file, 4, "more", 4, &done), STATUS_OK);
    vfs_release(file);
    vfs_release(directory);
}

int main(void)
{
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);
    for (uint64_t seed = 1; seed <= 200 && failures == 0; seed++)
        test_against_host(seed);
    test_limit();
    test_cookies();
    test_deep();
    test_unlinked();
    kernel_heap_statistics(&after);
    CHECK(before.blocks == after.blocks);
    return failures;
}
