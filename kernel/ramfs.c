/* File system in memory, with an optional lower one that is taken over piece by piece (contract: kernel/ramfs.h).
 *
 * References: a directory entry holds one of its node; nodes hold none of their directory (`parent` is cleared by
 * whoever takes the entry away), so there are no cycles. A file system lives as long as one of its nodes.
 *
 * Entries of a directory stand in order of their making, each with a number that never changes: the cookie. Taking one
 * away leaves a hole; holes are squeezed out when they are too many. A file's contents are blocks; one that is
 * missing is read from the lower file as far as `lower_size` reaches, and is zero beyond. */
#include "kernel/ramfs.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/platform.h"
#include "kernel/vfs.h"

#define BLOCK_BYTES   4096
#define SIZE_MAXIMUM  (UINT64_C(1) << 62) /* of a file */
#define LISTING_BYTES 4096                /* buffer for reading a lower directory */
#define COUNT_MINIMUM 8                   /* entries and blocks that the arrays start with; a power of two */

struct ramfs {
    struct mutex lock;        /* for all of the file system */
    uint32_t reference_count; /* nodes, and who destroys some; atomic */
    uint64_t limit, used;     /* bytes */
    uint64_t last_inode;
    uint64_t device;
    uint64_t hash_key;
};

struct ramfs_node;

struct ramfs_entry {
    struct ramfs_node *node; /* a reference */
    uint64_t cookie;
    uint64_t hash;
    uint32_t length;
    char name[];
};

struct ramfs_directory {
    struct ramfs_node *parent;    /* no reference; NULL for the root and for what was removed */
    struct ramfs_entry **entries; /* [capacity], the first `count` in use, NULL for holes */
    uint32_t *table;              /* [2 * capacity]: index in entries + 1; 0 is free */
    uint32_t count, capacity;
    uint32_t live; /* without holes */
    uint64_t last_cookie;
    struct vfs_node *lower; /* a reference, until its entries are taken over */
    bool removed;
};

struct ramfs_file {
    uint64_t size;
    uint8_t **blocks; /* [block_count]; NULL: not here */
    uint64_t block_count;
    struct vfs_node *lower; /* a reference, or NULL */
    uint64_t lower_size;    /* how much of `lower` still shows */
};

struct ramfs_link {
    char *target;
    size_t size;
};

struct ramfs_node {
    struct vfs_node node;
    struct ramfs *fs;
    struct ramfs_node *next_dead; /* while a tree is being freed */
    uint64_t inode;
    uint32_t links; /* directory entries */
    uint64_t access_time, modify_time, change_time;
    union {
        struct ramfs_directory directory;
        struct ramfs_file file;
        struct ramfs_link link;
    };
};

static const struct vfs_operations ramfs_operations;

static struct ramfs_node *ramfs_node(struct vfs_node *node)
{
    return (struct ramfs_node *)node;
}

/* ---- Memory ---- */

static void *take(struct ramfs *fs, uint64_t bytes)
{
    if (bytes > fs->limit - fs->used)
        return NULL;
    void *memory = kernel_allocate_zeroed(bytes);
    if (memory)
        fs->used += bytes;
    return memory;
}

static void give(struct ramfs *fs, void *memory, uint64_t bytes)
{
    if (!memory)
        return;
    kernel_free(memory, bytes);
    fs->used -= bytes;
}

static struct ramfs_node *make_node(struct ramfs *fs, enum vfs_type type)
{
    struct ramfs_node *node = take(fs, sizeof *node);
    if (!node)
        return NULL;
    vfs_node_initialize(&node->node, &ramfs_operations, type);
    node->node.lock = &fs->lock;
    node->fs = fs;
    __atomic_add_fetch(&fs->reference_count, 1, __ATOMIC_RELAXED);
    node->inode = ++fs->last_inode;
    node->access_time = node->modify_time = node->change_time = platform_realtime_nanoseconds();
    return node;
}

static size_t entry_bytes(size_t length)
{
    return sizeof(struct ramfs_entry) + length;
}

/* Take the entries of a directory away; nodes that nobody needs any more are put before `dead`. */
static struct ramfs_node *free_entries(struct ramfs_node *node, struct ramfs_node *dead)
{
    struct ramfs_directory *directory = &node->directory;
    for (uint32_t i = 0; i < directory->count; i++) {
        struct ramfs_entry *entry = directory->entries[i];
        if (!entry)
            continue;
        struct ramfs_node *child = entry->node;
        child->links--;
        if (child->node.type == VFS_DIRECTORY)
            child->directory.parent = NULL;
        if (__atomic_sub_fetch(&child->node.reference_count, 1, __ATOMIC_ACQ_REL) == 0) {
            child->next_dead = dead;
            dead = child;
        }
        give(node->fs, entry, entry_bytes(entry->length));
    }
    give(node->fs, directory->entries, directory->capacity * sizeof *directory->entries);
    give(node->fs, directory->table, directory->capacity * 2 * sizeof *directory->table);
    directory->entries = NULL;
    directory->table = NULL;
    directory->count = directory->capacity = directory->live = 0;
    return dead;
}

static void free_blocks(struct ramfs_node *node, uint64_t first)
{
    for (uint64_t i = first; i < node->file.block_count; i++) {
        give(node->fs, node->file.blocks[i], BLOCK_BYTES);
        node->file.blocks[i] = NULL;
    }
}

/* Frees whole trees with a list instead of recursion: a guest decides how deep they are. */
NO_LOCK_ANALYSIS static void destroy(struct vfs_node *last)
{
    struct ramfs_node *dead = ramfs_node(last);
    struct ramfs *fs = dead->fs;
    bool called_inside = mutex_is_mine(&fs->lock);                 /* an operation dropped it */
    __atomic_add_fetch(&fs->reference_count, 1, __ATOMIC_RELAXED); /* until the lock is given back */
    if (!called_inside)
        mutex_acquire(&fs->lock);
    dead->next_dead = NULL;
    while (dead) {
        struct ramfs_node *node = dead;
        dead = node->next_dead;
        switch (node->node.type) {
        case VFS_DIRECTORY:
            dead = free_entries(node, dead);
            vfs_release(node->directory.lower);
            break;
        case VFS_SYMLINK:
            give(fs, node->link.target, node->link.size);
            break;
        default:
            free_blocks(node, 0);
            give(fs, node->file.blocks, node->file.block_count * sizeof *node->file.blocks);
            vfs_release(node->file.lower);
            break;
        }
        give(fs, node, sizeof *node);
        __atomic_sub_fetch(&fs->reference_count, 1, __ATOMIC_RELAXED);
    }
    if (!called_inside)
        mutex_release(&fs->lock);
    if (__atomic_sub_fetch(&fs->reference_count, 1, __ATOMIC_ACQ_REL) == 0)
        kernel_free(fs, sizeof *fs);
}

/* ---- Entries ---- */

static void table_insert(struct ramfs_directory *directory, uint32_t index)
{
    uint32_t mask = directory->capacity * 2 - 1;
    uint32_t slot = (uint32_t)directory->entries[index]->hash & mask;
    while (directory->table[slot])
        slot = (slot + 1) & mask;
    directory->table[slot] = index + 1;
}

/* Slot of the entry of that name, or UINT32_MAX. Slots of holes stay taken until the array is rebuilt. */
static uint32_t find_slot(const struct ramfs_node *node, const char *name, size_t length)
{
    const struct ramfs_directory *directory = &node->directory;
    if (directory->capacity == 0)
        return UINT32_MAX;
    uint64_t hash = vfs_name_hash(node->fs->hash_key, name, length);
    uint32_t mask = directory->capacity * 2 - 1;
    for (uint32_t slot = (uint32_t)hash & mask; directory->table[slot]; slot = (slot + 1) & mask) {
        const struct ramfs_entry *entry = directory->entries[directory->table[slot] - 1];
        if (entry && entry->hash == hash && entry->length == length && memcmp(entry->name, name, length) == 0)
            return slot;
    }
    return UINT32_MAX;
}

static struct ramfs_entry *find_entry(const struct ramfs_node *node, const char *name, size_t length)
{
    uint32_t slot = find_slot(node, name, length);
    return slot == UINT32_MAX ? NULL : node->directory.entries[node->directory.table[slot] - 1];
}

/* Squeeze the holes out, in place. */
static void squeeze(struct ramfs_directory *directory)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < directory->count; i++)
        if (directory->entries[i])
            directory->entries[count++] = directory->entries[i];
    directory->count = count;
    memset(directory->table, 0, directory->capacity * 2 * sizeof *directory->table);
    for (uint32_t i = 0; i < count; i++)
        table_insert(directory, i);
}

/* Make room for one more entry. */
static enum status reserve_entry(struct ramfs_node *node)
{
    struct ramfs_directory *directory = &node->directory;
    if (directory->count < directory->capacity)
        return STATUS_OK;
    if (directory->live < directory->count / 2) {
        squeeze(directory);
        return STATUS_OK;
    }
    uint32_t capacity = directory->capacity ? directory->capacity * 2 : COUNT_MINIMUM;
    if (capacity > UINT32_MAX / 4)
        return STATUS_NO_SPACE;
    struct ramfs_entry **entries = take(node->fs, capacity * sizeof *entries);
    uint32_t *table = take(node->fs, capacity * 2 * sizeof *table);
    if (!entries || !table) {
        give(node->fs, entries, capacity * sizeof *entries);
        give(node->fs, table, capacity * 2 * sizeof *table);
        return STATUS_NO_SPACE;
    }
    if (directory->count)
        memcpy(entries, directory->entries, directory->count * sizeof *entries);
    give(node->fs, directory->entries, directory->capacity * sizeof *directory->entries);
    give(node->fs, directory->table, directory->capacity * 2 * sizeof *directory->table);
    directory->entries = entries;
    directory->table = table;
    directory->capacity = capacity;
    squeeze(directory);
    return STATUS_OK;
}

static void touch(struct ramfs_node *node)
{
    node->modify_time = node->change_time = platform_realtime_nanoseconds();
}

/* Add a name for `child` (whose reference stays the caller's) to a directory that has none like it. */
static enum status add_entry(struct ramfs_node *node, const char *name, size_t length, struct ramfs_node *child)
{
    if (node->directory.removed)
        return STATUS_NOT_FOUND;
    enum status status = reserve_entry(node);
    if (status != STATUS_OK)
        return status;
    struct ramfs_entry *entry = take(node->fs, entry_bytes(length));
    if (!entry)
        return STATUS_NO_SPACE;
    entry->node = ramfs_node(vfs_acquire(&child->node));
    entry->cookie = ++node->directory.last_cookie;
    entry->hash = vfs_name_hash(node->fs->hash_key, name, length);
    entry->length = (uint32_t)length;
    memcpy(entry->name, name, length);
    node->directory.entries[node->directory.count] = entry;
    table_insert(&node->directory, node->directory.count);
    node->directory.count++;
    node->directory.live++;
    child->links++;
    if (child->node.type == VFS_DIRECTORY)
        child->directory.parent = node;
    touch(node);
    child->change_time = node->change_time;
    return STATUS_OK;
}

/* A name no longer stands for `child`: its side of the matter. Gives up the entry's reference. */
static void detach(struct ramfs_node *child)
{
    child->links--;
    child->change_time = platform_realtime_nanoseconds();
    if (child->node.type == VFS_DIRECTORY) {
        child->directory.parent = NULL;
        child->directory.removed = true;
    }
    vfs_release(&child->node);
}

static void drop_entry(struct ramfs_node *node, const char *name, size_t length)
{
    uint32_t index = node->directory.table[find_slot(node, name, length)] - 1;
    struct ramfs_entry *entry = node->directory.entries[index];
    node->directory.entries[index] = NULL;
    node->directory.live--;
    give(node->fs, entry, entry_bytes(entry->length));
    touch(node);
    if (node->directory.live < node->directory.count / 4)
        squeeze(&node->directory);
}

/* ---- Taking over the lower file system ---- */

static enum status adopt_link(struct ramfs_node *node, struct vfs_node *original, uint64_t size)
{
    size_t done = 0;
    node->link.target = take(node->fs, size);
    if (!node->link.target)
        return STATUS_NO_SPACE;
    node->link.size = size;
    enum status status = vfs_read_link(original, node->link.target, size, &done);
    return status == STATUS_OK && done != size ? STATUS_IO : status;
}

static enum status adopt(struct ramfs_node *node, struct vfs_node *lower, const struct vfs_entry *entry)
{
    struct vfs_node *original;
    struct vfs_stat stat;
    vfs_lock(lower);
    enum status status = lower->operations->open(lower, entry->name, entry->name_length, VFS_READ, &original);
    vfs_unlock(lower);
    if (status != STATUS_OK)
        return status;
    status = vfs_stat(original, &stat);
    struct ramfs_node *child = status == STATUS_OK ? make_node(node->fs, original->type) : NULL;
    if (!child) {
        vfs_release(original);
        return status == STATUS_OK ? STATUS_NO_SPACE : status;
    }
    if (original->type == VFS_SYMLINK) {
        status = adopt_link(child, original, stat.size);
        vfs_release(original);
    } else if (original->type == VFS_DIRECTORY) {
        child->directory.lower = original;
    } else {
        child->file.lower = original;
        child->file.size = child->file.lower_size = stat.size;
    }
    if (status == STATUS_OK)
        status = add_entry(node, entry->name, entry->name_length, child);
    child->access_time = stat.access_time;
    child->modify_time = stat.modify_time;
    child->change_time = stat.change_time;
    vfs_release(&child->node);
    return status;
}

static enum status adopt_all(struct ramfs_node *node, struct vfs_node *lower, void *buffer)
{
    uint64_t cookie = 0;
    for (;;) {
        size_t bytes = 0;
        enum status status = vfs_read_directory(lower, cookie, buffer, LISTING_BYTES, &bytes);
        if (status != STATUS_OK || bytes == 0)
            return status;
        for (size_t position = 0; position < bytes;) {
            const struct vfs_entry *entry = (const struct vfs_entry *)((const char *)buffer + position);
            status = adopt(node, lower, entry);
            if (status != STATUS_OK)
                return status;
            position += VFS_ENTRY_BYTES(entry->name_length);
            cookie = entry->next;
        }
    }
}

/* Before anything looks into a directory: take over what the lower one has. All or nothing. */
static enum status populate(struct ramfs_node *node)
{
    struct vfs_node *lower = node->directory.lower;
    if (!lower)
        return STATUS_OK;
    void *buffer = kernel_allocate(LISTING_BYTES);
    if (!buffer)
        return STATUS_NO_MEMORY;
    uint64_t modify_time = node->modify_time, change_time = node->change_time;
    enum status status = adopt_all(node, lower, buffer);
    node->modify_time = modify_time;
    node->change_time = change_time;
    kernel_free(buffer, LISTING_BYTES);
    if (status == STATUS_OK) {
        node->directory.lower = NULL;
        vfs_release(lower);
        return STATUS_OK;
    }
    struct ramfs_node *dead = free_entries(node, NULL);
    node->directory.last_cookie = 0;
    while (dead) {
        struct ramfs_node *next = dead->next_dead;
        destroy(&dead->node);
        dead = next;
    }
    return status;
}

/* ---- Operations of directories ---- */

static enum status truncate(struct vfs_node *node, uint64_t size);

/* Make a node and its entry; the node's reference is the caller's. */
static enum status create(struct ramfs_node *node, const char *name, size_t length, enum vfs_type type,
                          struct ramfs_node **result)
{
    if (find_entry(node, name, length))
        return STATUS_EXISTS;
    struct ramfs_node *child = make_node(node->fs, type);
    if (!child)
        return STATUS_NO_SPACE;
    enum status status = add_entry(node, name, length, child);
    if (status == STATUS_OK)
        *result = child;
    else
        vfs_release(&child->node);
    return status;
}

static enum status open(struct vfs_node *directory, const char *name, size_t length, unsigned flags,
                        struct vfs_node **result)
{
    struct ramfs_node *node = ramfs_node(directory);
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    struct ramfs_entry *entry = find_entry(node, name, length);
    if (!entry) {
        struct ramfs_node *child;
        if (!(flags & VFS_CREATE))
            return STATUS_NOT_FOUND;
        status = create(node, name, length, VFS_FILE, &child);
        if (status == STATUS_OK)
            *result = &child->node;
        return status;
    }
    if ((flags & VFS_CREATE) && (flags & VFS_EXCLUSIVE))
        return STATUS_EXISTS;
    if ((flags & VFS_TRUNCATE) && entry->node->node.type == VFS_FILE) {
        status = truncate(&entry->node->node, 0);
        if (status != STATUS_OK)
            return status;
    }
    *result = vfs_acquire(&entry->node->node);
    return STATUS_OK;
}

static enum status make_directory(struct vfs_node *directory, const char *name, size_t length)
{
    struct ramfs_node *child;
    enum status status = populate(ramfs_node(directory));
    if (status == STATUS_OK)
        status = create(ramfs_node(directory), name, length, VFS_DIRECTORY, &child);
    if (status == STATUS_OK)
        vfs_release(&child->node);
    return status;
}

static enum status make_symlink(struct vfs_node *directory, const char *name, size_t length, const char *target,
                                size_t target_length)
{
    struct ramfs_node *node = ramfs_node(directory), *child;
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    char *copy = take(node->fs, target_length);
    if (!copy)
        return STATUS_NO_SPACE;
    status = create(node, name, length, VFS_SYMLINK, &child);
    if (status != STATUS_OK) {
        give(node->fs, copy, target_length);
        return status;
    }
    memcpy(copy, target, target_length);
    child->link = (struct ramfs_link){copy, target_length};
    vfs_release(&child->node);
    return STATUS_OK;
}

static enum status link(struct vfs_node *directory, const char *name, size_t length, struct vfs_node *target)
{
    struct ramfs_node *node = ramfs_node(directory), *child = ramfs_node(target);
    if (node->fs != child->fs)
        return STATUS_CROSS_DEVICE;
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    return find_entry(node, name, length) ? STATUS_EXISTS : add_entry(node, name, length, child);
}

/* Whether a directory may go away. */
static enum status check_empty(struct ramfs_node *node)
{
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    return node->directory.live ? STATUS_NOT_EMPTY : STATUS_OK;
}

static enum status remove_entry(struct ramfs_node *node, const char *name, size_t length, bool directory)
{
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    struct ramfs_entry *entry = find_entry(node, name, length);
    if (!entry)
        return STATUS_NOT_FOUND;
    struct ramfs_node *child = entry->node;
    if ((child->node.type == VFS_DIRECTORY) != directory)
        return directory ? STATUS_NOT_DIRECTORY : STATUS_IS_DIRECTORY;
    if (directory)
        status = check_empty(child);
    if (status != STATUS_OK)
        return status;
    drop_entry(node, name, length);
    detach(child);
    return STATUS_OK;
}

static enum status remove_directory(struct vfs_node *directory, const char *name, size_t length)
{
    return remove_entry(ramfs_node(directory), name, length, true);
}

static enum status unlink(struct vfs_node *directory, const char *name, size_t length)
{
    return remove_entry(ramfs_node(directory), name, length, false);
}

static bool is_at_or_below(const struct ramfs_node *directory, const struct ramfs_node *other)
{
    while (directory && directory != other)
        directory = directory->directory.parent;
    return directory;
}

/* Whether `moved` may take the place of `replaced`. */
static enum status check_replace(const struct ramfs_node *moved, struct ramfs_node *replaced)
{
    if (moved->node.type != VFS_DIRECTORY)
        return replaced->node.type == VFS_DIRECTORY ? STATUS_IS_DIRECTORY : STATUS_OK;
    return replaced->node.type == VFS_DIRECTORY ? check_empty(replaced) : STATUS_NOT_DIRECTORY;
}

static enum status rename(struct vfs_node *from, const char *from_name, size_t from_length, struct vfs_node *to,
                          const char *to_name, size_t to_length)
{
    struct ramfs_node *source = ramfs_node(from), *target = ramfs_node(to);
    if (source->fs != target->fs)
        return STATUS_CROSS_DEVICE;
    enum status status = populate(source);
    if (status == STATUS_OK)
        status = populate(target);
    if (status != STATUS_OK)
        return status;
    struct ramfs_entry *entry = find_entry(source, from_name, from_length);
    struct ramfs_entry *existing = find_entry(target, to_name, to_length);
    if (!entry)
        return STATUS_NOT_FOUND;
    struct ramfs_node *moved = entry->node;
    if (is_at_or_below(target, moved))
        return STATUS_INVALID; /* into itself */
    if (existing && is_at_or_below(source, existing->node))
        return STATUS_NOT_EMPTY;
    if (existing && existing->node == moved)
        return STATUS_OK;
    if (existing) {
        status = check_replace(moved, existing->node);
        if (status != STATUS_OK)
            return status;
        detach(existing->node);
        existing->node = ramfs_node(vfs_acquire(&moved->node));
        moved->links++;
        touch(target);
    } else {
        status = add_entry(target, to_name, to_length, moved);
        if (status != STATUS_OK)
            return status;
    }
    drop_entry(source, from_name, from_length);
    moved->links--;
    if (moved->node.type == VFS_DIRECTORY)
        moved->directory.parent = target;
    vfs_release(&moved->node);
    return STATUS_OK;
}

/* A cookie is an entry's number; the listing goes on at the first one from there on. */
static enum status read_directory(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes, size_t *done)
{
    struct ramfs_node *node = ramfs_node(directory);
    enum status status = populate(node);
    if (status != STATUS_OK)
        return status;
    /* Binary search over an array with holes: a hole is skipped to the next entry behind it. */
    uint32_t low = 0, high = node->directory.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, probe = middle;
        while (probe < high && !node->directory.entries[probe])
            probe++;
        if (probe < high && node->directory.entries[probe]->cookie < cookie)
            low = probe + 1;
        else
            high = middle;
    }
    *done = 0;
    for (; low < node->directory.count; low++) {
        const struct ramfs_entry *entry = node->directory.entries[low];
        if (entry && !vfs_entry_append(buffer, bytes, done, entry->cookie + 1, entry->node->inode,
                                       entry->node->node.type, entry->name, entry->length))
            break;
    }
    return STATUS_OK;
}

/* ---- Operations of files ---- */

/* Fill `buffer` with what stands at [offset, offset + bytes) where no block is. */
static enum status read_lower(const struct ramfs_file *file, uint64_t offset, uint8_t *buffer, size_t bytes)
{
    size_t done = 0;
    while (done < bytes && offset + done < file->lower_size) {
        size_t part = 0;
        enum status status = vfs_read(file->lower, offset + done, buffer + done,
                                      min_u64(bytes - done, file->lower_size - offset - done), &part);
        if (status != STATUS_OK)
            return status;
        if (part == 0)
            break;
        done += part;
    }
    memset(buffer + done, 0, bytes - done);
    return STATUS_OK;
}

static enum status read(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done)
{
    const struct ramfs_file *file = &ramfs_node(node)->file;
    uint8_t *to = buffer;
    bytes = offset < file->size ? min_u64(bytes, file->size - offset) : 0;
    for (size_t position = 0; position < bytes;) {
        uint64_t index = (offset + position) / BLOCK_BYTES;
        size_t start = (offset + position) % BLOCK_BYTES;
        size_t part = min_u64(BLOCK_BYTES - start, bytes - position);
        if (index >= file->block_count)
            part = bytes - position; /* no block from here on */
        if (index < file->block_count && file->blocks[index]) {
            memcpy(to + position, file->blocks[index] + start, part);
        } else {
            enum status status = read_lower(file, offset + position, to + position, part);
            if (status != STATUS_OK)
                return status;
        }
        position += part;
    }
    *done = bytes;
    return STATUS_OK;
}

static enum status reserve_blocks(struct ramfs_node *node, uint64_t needed)
{
    struct ramfs_file *file = &node->file;
    if (needed <= file->block_count)
        return STATUS_OK;
    uint64_t count = max_u64(max_u64(needed, file->block_count + file->block_count / 2), COUNT_MINIMUM);
    if (count > node->fs->limit / sizeof *file->blocks)
        return STATUS_NO_SPACE;
    uint8_t **blocks = take(node->fs, count * sizeof *blocks);
    if (!blocks)
        return STATUS_NO_SPACE;
    if (file->block_count)
        memcpy(blocks, file->blocks, file->block_count * sizeof *blocks);
    give(node->fs, file->blocks, file->block_count * sizeof *blocks);
    file->blocks = blocks;
    file->block_count = count;
    return STATUS_OK;
}

/* The block to be written at `index`, with what the file shows there so far. */
static enum status take_block(struct ramfs_node *node, uint64_t index, uint8_t **result)
{
    enum status status = reserve_blocks(node, index + 1);
    if (status != STATUS_OK)
        return status;
    if (!node->file.blocks[index]) {
        uint8_t *block = take(node->fs, BLOCK_BYTES);
        if (!block)
            return STATUS_NO_SPACE;
        status = read_lower(&node->file, index * BLOCK_BYTES, block, BLOCK_BYTES);
        if (status != STATUS_OK) {
            give(node->fs, block, BLOCK_BYTES);
            return status;
        }
        node->file.blocks[index] = block;
    }
    *result = node->file.blocks[index];
    return STATUS_OK;
}

static enum status write(struct vfs_node *vfs_node, uint64_t offset, const void *buffer, size_t bytes, size_t *done)
{
    struct ramfs_node *node = ramfs_node(vfs_node);
    const uint8_t *from = buffer;
    size_t position = 0;
    if (offset > SIZE_MAXIMUM || bytes > SIZE_MAXIMUM - offset)
        return STATUS_TOO_LARGE;
    while (position < bytes) {
        uint8_t *block;
        size_t start = (offset + position) % BLOCK_BYTES, part = min_u64(BLOCK_BYTES - start, bytes - position);
        enum status status = take_block(node, (offset + position) / BLOCK_BYTES, &block);
        if (status != STATUS_OK && position == 0)
            return status;
        if (status != STATUS_OK)
            break;
        memcpy(block + start, from + position, part);
        position += part;
    }
    node->file.size = max_u64(node->file.size, offset + position);
    touch(node);
    *done = position;
    return STATUS_OK;
}

static enum status append(struct vfs_node *node, const void *buffer, size_t bytes, size_t *done, uint64_t *offset)
{
    *done = 0;
    enum status status = bytes ? write(node, ramfs_node(node)->file.size, buffer, bytes, done) : STATUS_OK;
    *offset = ramfs_node(node)->file.size;
    return status;
}

static enum status truncate(struct vfs_node *vfs_node, uint64_t size)
{
    struct ramfs_node *node = ramfs_node(vfs_node);
    struct ramfs_file *file = &node->file;
    if (size > SIZE_MAXIMUM)
        return STATUS_TOO_LARGE;
    if (size < file->size) {
        uint64_t last = size / BLOCK_BYTES;
        size_t kept = size % BLOCK_BYTES;
        free_blocks(node, kept ? last + 1 : last);
        if (kept && last < file->block_count && file->blocks[last])
            memset(file->blocks[last] + kept, 0, BLOCK_BYTES - kept);
        file->lower_size = min_u64(file->lower_size, size);
    }
    file->size = size;
    touch(node);
    return STATUS_OK;
}

/* ---- Operations of all ---- */

static enum status stat(struct vfs_node *vfs_node, struct vfs_stat *stat)
{
    const struct ramfs_node *node = ramfs_node(vfs_node);
    *stat = (struct vfs_stat){
        .device = node->fs->device,
        .inode = node->inode,
        .type = node->node.type,
        .links = node->links,
        .access_time = node->access_time,
        .modify_time = node->modify_time,
        .change_time = node->change_time,
    };
    if (node->node.type == VFS_SYMLINK)
        stat->size = node->link.size;
    else if (node->node.type != VFS_DIRECTORY)
        stat->size = node->file.size;
    return STATUS_OK;
}

static enum status set_times(struct vfs_node *vfs_node, uint64_t access_time, uint64_t modify_time)
{
    struct ramfs_node *node = ramfs_node(vfs_node);
    if (access_time != VFS_TIME_KEEP)
        node->access_time = access_time;
    if (modify_time != VFS_TIME_KEEP)
        node->modify_time = modify_time;
    node->change_time = platform_realtime_nanoseconds();
    return STATUS_OK;
}

static enum status read_link(struct vfs_node *node, char *buffer, size_t bytes, size_t *done)
{
    const struct ramfs_link *link = &ramfs_node(node)->link;
    *done = min_u64(bytes, link->size);
    memcpy(buffer, link->target, *done);
    return STATUS_OK;
}

static const struct vfs_operations ramfs_operations = {
    .destroy = destroy,
    .open = open,
    .make_directory = make_directory,
    .remove_directory = remove_directory,
    .unlink = unlink,
    .rename = rename,
    .link = link,
    .make_symlink = make_symlink,
    .read_directory = read_directory,
    .read = read,
    .write = write,
    .append = append,
    .truncate = truncate,
    .stat = stat,
    .set_times = set_times,
    .read_link = read_link,
};

enum status ramfs_create(struct vfs_node *lower, uint64_t limit, struct vfs_node **result)
{
    if (lower && lower->type != VFS_DIRECTORY)
        return STATUS_NOT_DIRECTORY;
    struct ramfs *fs = kernel_allocate_zeroed(sizeof *fs);
    if (!fs)
        return STATUS_NO_MEMORY;
    mutex_initialize(&fs->lock);
    fs->limit = limit;
    fs->device = vfs_new_device();
    fs->hash_key = vfs_new_hash_key();
    struct ramfs_node *root = make_node(fs, VFS_DIRECTORY);
    if (!root) {
        kernel_free(fs, sizeof *fs);
        return STATUS_NO_SPACE;
    }
    root->links = 1;
    root->directory.lower = lower ? vfs_acquire(lower) : NULL;
    *result = &root->node;
    return STATUS_OK;
}
