/* Index and nodes over a cpio archive in memory (contract: kernel/archive.h).
 *
 * The index is one array of entries. Children of a directory are linked by numbers in the order of the archive; a hash
 * table over (parent, name) finds them. Entry 0 is the root. Nothing in it changes after archive_create. */
#include "kernel/archive.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/platform.h"
#include "kernel/vfs.h"

#define HEADER_BYTES   110 /* magic and 13 fields of 8 hexadecimal digits */
#define ENTRIES_LIMIT  (1u << 22)
#define TRAILER        "TRAILER!!!"
#define NANOSECONDS    UINT64_C(1000000000)
#define MODE_TYPE      0170000
#define MODE_DIRECTORY 0040000
#define MODE_FILE      0100000
#define MODE_SYMLINK   0120000

struct entry {
    const char *name; /* the last component, in the archive */
    const uint8_t *contents;
    size_t size;
    uint64_t modify_time;
    uint32_t name_length;
    uint32_t parent;
    uint32_t first_child, last_child, next_sibling; /* 0: none, as the root is nobody's child */
    enum vfs_type type;
};

struct archive {
    uint32_t reference_count;
    uint32_t count, capacity; /* entries */
    struct entry *entries;
    uint32_t table_size; /* slots; a power of two */
    uint32_t *table;     /* entry numbers, 0 is free */
    uint64_t hash_key;
    uint64_t device;
};

struct archive_node {
    struct vfs_node node;
    struct archive *archive; /* a reference */
    uint32_t entry;
};

/* ---- Index ---- */

static uint32_t first_slot(const struct archive *archive, uint32_t parent, const char *name, size_t length)
{
    uint64_t hash = vfs_name_hash(archive->hash_key, name, length) + parent * archive->hash_key;
    return (uint32_t)(hash ^ hash >> 29) & (archive->table_size - 1);
}

/* The child of that name, or 0. */
static uint32_t find_child(const struct archive *archive, uint32_t parent, const char *name, size_t length)
{
    if (archive->table_size == 0)
        return 0;
    uint32_t slot = first_slot(archive, parent, name, length);
    for (uint32_t number; (number = archive->table[slot]) != 0; slot = (slot + 1) & (archive->table_size - 1)) {
        const struct entry *entry = &archive->entries[number];
        if (entry->parent == parent && entry->name_length == length && memcmp(entry->name, name, length) == 0)
            return number;
    }
    return 0;
}

static void table_insert(struct archive *archive, uint32_t number)
{
    const struct entry *entry = &archive->entries[number];
    uint32_t slot = first_slot(archive, entry->parent, entry->name, entry->name_length);
    while (archive->table[slot])
        slot = (slot + 1) & (archive->table_size - 1);
    archive->table[slot] = number;
}

/* Room for twice as many entries, and a table of at most half full. */
static enum status grow(struct archive *archive)
{
    uint32_t capacity = archive->capacity ? archive->capacity * 2 : 64;
    if (capacity > ENTRIES_LIMIT)
        return STATUS_LIMIT;
    struct entry *entries = kernel_allocate(capacity * sizeof *entries);
    uint32_t *table = kernel_allocate_zeroed(capacity * 2 * sizeof *table);
    if (!entries || !table) {
        kernel_free(entries, capacity * sizeof *entries);
        kernel_free(table, capacity * 2 * sizeof *table);
        return STATUS_NO_MEMORY;
    }
    if (archive->count)
        memcpy(entries, archive->entries, archive->count * sizeof *entries);
    kernel_free(archive->entries, archive->capacity * sizeof *entries);
    kernel_free(archive->table, archive->table_size * sizeof *table);
    archive->entries = entries;
    archive->capacity = capacity;
    archive->table = table;
    archive->table_size = capacity * 2;
    for (uint32_t number = 1; number < archive->count; number++)
        table_insert(archive, number);
    return STATUS_OK;
}

static enum status add_child(struct archive *archive, uint32_t parent, const char *name, size_t length,
                             uint32_t *result)
{
    if (archive->count == archive->capacity) {
        enum status status = grow(archive);
        if (status != STATUS_OK)
            return status;
    }
    uint32_t number = archive->count++;
    archive->entries[number] =
        (struct entry){.name = name, .name_length = (uint32_t)length, .parent = parent, .type = VFS_DIRECTORY};
    struct entry *directory = &archive->entries[parent];
    if (directory->last_child)
        archive->entries[directory->last_child].next_sibling = number;
    else
        directory->first_child = number;
    directory->last_child = number;
    table_insert(archive, number);
    *result = number;
    return STATUS_OK;
}

/* Cut the next component off a path; false at its end. Dots alone are skipped. */
static bool next_component(const char **path, size_t *left, const char **name, size_t *length)
{
    for (;;) {
        while (*left && **path == '/') {
            ++*path;
            --*left;
        }
        if (*left == 0)
            return false;
        *name = *path;
        for (*length = 0; *left && **path != '/'; ++*length) {
            ++*path;
            --*left;
        }
        if (*length != 1 || **name != '.')
            return true;
    }
}

/* One entry of the archive, found or made with all directories above it. */
static enum status add_path(struct archive *archive, const char *path, size_t left, const struct entry *contents)
{
    const char *name;
    size_t length;
    uint32_t number = 0, depth = 0;
    while (next_component(&path, &left, &name, &length)) {
        if (length == 2 && memcmp(name, "..", 2) == 0)
            return STATUS_OK; /* left out: nothing here leads out of the archive */
        if (length > VFS_NAME_BYTES || ++depth == VFS_DEPTH)
            return STATUS_NAME_TOO_LONG;
        if (archive->entries[number].type != VFS_DIRECTORY)
            return STATUS_NOT_DIRECTORY;
        uint32_t child = find_child(archive, number, name, length);
        enum status status = child ? STATUS_OK : add_child(archive, number, name, length, &child);
        if (status != STATUS_OK)
            return status;
        number = child;
    }
    struct entry *entry = &archive->entries[number];
    if (contents->type != VFS_DIRECTORY && (number == 0 || entry->first_child))
        return STATUS_IS_DIRECTORY;
    entry->type = contents->type;
    entry->contents = contents->contents;
    entry->size = contents->size;
    entry->modify_time = contents->modify_time;
    return STATUS_OK;
}

/* ---- Reading the archive ---- */

/* The 8 hexadecimal digits of header field `index`. */
static bool read_field(const uint8_t *header, unsigned index, uint32_t *value)
{
    const uint8_t *digits = header + 6 + index * 8;
    *value = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t digit = digits[i], lower = digit | 0x20;
        if (digit >= '0' && digit <= '9')
            *value = *value << 4 | (digit - '0');
        else if (lower >= 'a' && lower <= 'f')
            *value = *value << 4 | (lower - 'a' + 10u);
        else
            return false;
    }
    return true;
}

static bool has_magic(const uint8_t *header)
{
    return memcmp(header, "07070", 5) == 0 && (header[5] == '1' || header[5] == '2');
}

/* The archive's next entry at *offset, which moves behind it. `*end` is set at the trailer. */
static enum status read_entry(struct archive *archive, const uint8_t *bytes, size_t size, size_t *offset, bool *end)
{
    enum { FIELD_MODE = 1, FIELD_TIME = 5, FIELD_SIZE = 6, FIELD_NAME_SIZE = 11 };
    uint32_t mode, time, contents_size, name_size;
    size_t left = size - *offset;
    const uint8_t *header = bytes + *offset;
    if (left < HEADER_BYTES || !has_magic(header))
        return STATUS_INVALID;
    if (!read_field(header, FIELD_MODE, &mode) || !read_field(header, FIELD_TIME, &time) ||
        !read_field(header, FIELD_SIZE, &contents_size) || !read_field(header, FIELD_NAME_SIZE, &name_size))
        return STATUS_INVALID;
    if (name_size == 0 || name_size > VFS_PATH_BYTES || name_size > left - HEADER_BYTES)
        return STATUS_INVALID;
    const char *name = (const char *)header + HEADER_BYTES;
    size_t length = name_size - 1;
    if (name[length] != '\0' || strlen(name) != length)
        return STATUS_INVALID;
    if (length == sizeof TRAILER - 1 && memcmp(name, TRAILER, length) == 0) {
        *end = true;
        return STATUS_OK;
    }
    /* Sizes are below 2^33 in all, so nothing overflows; padding counts from the start of the archive. */
    size_t contents_offset = align_up(*offset + HEADER_BYTES + name_size, 4);
    if (contents_offset > size || contents_size > size - contents_offset)
        return STATUS_INVALID;
    size_t next = align_up(contents_offset + contents_size, 4);
    struct entry entry = {.modify_time = time * NANOSECONDS};
    switch (mode & MODE_TYPE) {
    case MODE_DIRECTORY:
        entry.type = VFS_DIRECTORY;
        break;
    case MODE_FILE:
        entry.type = VFS_FILE;
        break;
    case MODE_SYMLINK:
        entry.type = VFS_SYMLINK;
        break;
    default:
        *offset = min_u64(next, size);
        return STATUS_OK;
    }
    if (entry.type != VFS_DIRECTORY) {
        entry.contents = bytes + contents_offset;
        entry.size = contents_size;
    }
    enum status status = add_path(archive, name, length, &entry);
    if (status == STATUS_OK)
        *offset = min_u64(next, size);
    return status;
}

enum status archive_create(const uint8_t *bytes, size_t size, struct archive **result, size_t *offset)
{
    size_t position = 0;
    bool end = false;
    struct archive *archive = kernel_allocate_zeroed(sizeof *archive);
    if (!archive)
        return STATUS_NO_MEMORY;
    archive->reference_count = 1;
    archive->device = vfs_new_device();
    archive->hash_key = vfs_new_hash_key();
    enum status status = grow(archive);
    if (status == STATUS_OK)
        archive->entries[archive->count++] = (struct entry){.name = "", .type = VFS_DIRECTORY};
    while (status == STATUS_OK && !end)
        status = read_entry(archive, bytes, size, &position, &end);
    if (status == STATUS_OK) {
        *result = archive;
        return STATUS_OK;
    }
    archive_release(archive);
    if (offset)
        *offset = position;
    return status == STATUS_NO_MEMORY || status == STATUS_LIMIT ? status : STATUS_INVALID;
}

void archive_release(struct archive *archive)
{
    if (!archive || __atomic_sub_fetch(&archive->reference_count, 1, __ATOMIC_ACQ_REL))
        return;
    kernel_free(archive->entries, archive->capacity * sizeof *archive->entries);
    kernel_free(archive->table, archive->table_size * sizeof *archive->table);
    kernel_free(archive, sizeof *archive);
}

uint32_t archive_entry_count(const struct archive *archive)
{
    return archive->count - 1;
}

static enum status find_path(const struct archive *archive, const char *path, uint32_t *result)
{
    const char *name;
    size_t left = strlen(path), length;
    uint32_t number = 0;
    while (next_component(&path, &left, &name, &length)) {
        number = find_child(archive, number, name, length);
        if (number == 0)
            return STATUS_NOT_FOUND;
    }
    *result = number;
    return STATUS_OK;
}

enum status archive_find(const struct archive *archive, const char *path, const uint8_t **contents, size_t *size)
{
    uint32_t number;
    enum status status = find_path(archive, path, &number);
    if (status != STATUS_OK)
        return status;
    const struct entry *entry = &archive->entries[number];
    if (entry->type != VFS_FILE)
        return entry->type == VFS_DIRECTORY ? STATUS_IS_DIRECTORY : STATUS_NOT_FOUND;
    *contents = entry->contents;
    *size = entry->size;
    return STATUS_OK;
}

/* ---- Nodes ---- */

static const struct vfs_operations archive_operations;

static struct archive_node *archive_node(struct vfs_node *node)
{
    return (struct archive_node *)node;
}

static const struct entry *node_entry(struct vfs_node *node)
{
    return &archive_node(node)->archive->entries[archive_node(node)->entry];
}

static enum status make_node(struct archive *archive, uint32_t number, struct vfs_node **result)
{
    struct archive_node *node = kernel_allocate(sizeof *node);
    if (!node)
        return STATUS_NO_MEMORY;
    vfs_node_initialize(&node->node, &archive_operations, archive->entries[number].type);
    node->archive = archive;
    node->entry = number;
    __atomic_add_fetch(&archive->reference_count, 1, __ATOMIC_RELAXED);
    *result = &node->node;
    return STATUS_OK;
}

enum status archive_directory_node(struct archive *archive, const char *path, struct vfs_node **result)
{
    uint32_t number;
    enum status status = find_path(archive, path, &number);
    if (status != STATUS_OK)
        return status;
    if (archive->entries[number].type != VFS_DIRECTORY)
        return STATUS_NOT_DIRECTORY;
    return make_node(archive, number, result);
}

static void destroy(struct vfs_node *node)
{
    archive_release(archive_node(node)->archive);
    kernel_free(node, sizeof(struct archive_node));
}

static enum status open(struct vfs_node *directory, const char *name, size_t length, unsigned flags,
                        struct vfs_node **result)
{
    struct archive *archive = archive_node(directory)->archive;
    uint32_t number = find_child(archive, archive_node(directory)->entry, name, length);
    if (number == 0)
        return flags & VFS_CREATE ? STATUS_READ_ONLY : STATUS_NOT_FOUND;
    if (flags & VFS_EXCLUSIVE)
        return STATUS_EXISTS;
    if ((flags & (VFS_WRITE | VFS_TRUNCATE)) && archive->entries[number].type == VFS_FILE)
        return STATUS_READ_ONLY;
    return make_node(archive, number, result);
}

#define END (ENTRIES_LIMIT + UINT64_C(1)) /* a cookie is the number of an entry, or this */

static enum status read_directory(struct vfs_node *directory, uint64_t cookie, void *buffer, size_t bytes, size_t *done)
{
    const struct archive *archive = archive_node(directory)->archive;
    uint64_t number = cookie ? cookie : node_entry(directory)->first_child;
    *done = 0;
    if (number == 0 || number == END)
        return STATUS_OK;
    if (number >= archive->count || archive->entries[number].parent != archive_node(directory)->entry)
        return STATUS_INVALID;
    while (number != END) {
        const struct entry *entry = &archive->entries[number];
        uint64_t next = entry->next_sibling ? entry->next_sibling : END;
        if (!vfs_entry_append(buffer, bytes, done, next, number, entry->type, entry->name, entry->name_length))
            break;
        number = next;
    }
    return STATUS_OK;
}

static enum status read(struct vfs_node *node, uint64_t offset, void *buffer, size_t bytes, size_t *done)
{
    const struct entry *entry = node_entry(node);
    *done = offset < entry->size ? min_u64(bytes, entry->size - offset) : 0;
    memcpy(buffer, entry->contents + (*done ? offset : 0), *done);
    return STATUS_OK;
}

static enum status read_link(struct vfs_node *node, char *buffer, size_t bytes, size_t *done)
{
    return read(node, 0, buffer, bytes, done);
}

static enum status stat(struct vfs_node *node, struct vfs_stat *stat)
{
    const struct entry *entry = node_entry(node);
    *stat = (struct vfs_stat){
        .device = archive_node(node)->archive->device,
        .inode = archive_node(node)->entry,
        .type = entry->type,
        .links = 1,
        .size = entry->size,
        .access_time = entry->modify_time,
        .modify_time = entry->modify_time,
        .change_time = entry->modify_time,
    };
    return STATUS_OK;
}

static const struct vfs_operations archive_operations = {
    .destroy = destroy,
    .open = open,
    .read_directory = read_directory,
    .read = read,
    .stat = stat,
    .read_link = read_link,
};
