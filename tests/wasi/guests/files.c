/* Files and directories through the functions of preview 1 themselves, below the first preopened directory, which is
 * writable and empty. What it makes it takes away again. */
#include "tests/wasi/guests/check.h"

#include <stdlib.h>

#define ROOT        3
#define FILE_RIGHTS (READ_RIGHTS | WRITE_RIGHTS)
#define READ_RIGHTS                                                                                                    \
    (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_FILESTAT_GET |           \
     __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS | __WASI_RIGHTS_FD_ADVISE |                          \
     __WASI_RIGHTS_POLL_FD_READWRITE)
#define WRITE_RIGHTS                                                                                                   \
    (__WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE |                         \
     __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_FD_SYNC | __WASI_RIGHTS_FD_DATASYNC)
#define ALL_RIGHTS       ((UINT64_C(1) << 28) - 1)
#define DIRECTORY_RIGHTS (ALL_RIGHTS & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE)

static __wasi_errno_t open_at(__wasi_fd_t directory, const char *path, __wasi_oflags_t flags, __wasi_rights_t rights,
                              __wasi_fdflags_t fd_flags, __wasi_fd_t *fd)
{
    *fd = UINT32_MAX;
    return __wasi_path_open(directory, 0, path, flags, rights, ALL_RIGHTS, fd_flags, fd);
}

static __wasi_errno_t write_text(__wasi_fd_t fd, const char *text)
{
    __wasi_ciovec_t iov = {(const uint8_t *)text, strlen(text)};
    __wasi_size_t done = 0;
    __wasi_errno_t error = __wasi_fd_write(fd, &iov, 1, &done);
    if (error == OK)
        CHECK(done == strlen(text));
    return error;
}

static int contents_are(__wasi_fd_t fd, const char *text)
{
    char buffer[256];
    __wasi_iovec_t iov = {(uint8_t *)buffer, sizeof buffer};
    __wasi_size_t done = 0;
    return __wasi_fd_pread(fd, &iov, 1, 0, &done) == OK && done == strlen(text) && memcmp(buffer, text, done) == 0;
}

static void make_file(const char *path, const char *text)
{
    __wasi_fd_t fd;
    CHECK_ERRNO(open_at(ROOT, path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, FILE_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(write_text(fd, text), OK);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
}

static void test_preopens(void)
{
    __wasi_prestat_t prestat;
    __wasi_fdstat_t stat;
    uint8_t name[256];
    CHECK_ERRNO(__wasi_fd_prestat_get(ROOT, &prestat), OK);
    CHECK(prestat.tag == __WASI_PREOPENTYPE_DIR && prestat.u.dir.pr_name_len == 5);
    CHECK_ERRNO(__wasi_fd_prestat_dir_name(ROOT, name, prestat.u.dir.pr_name_len), OK);
    CHECK(memcmp(name, "/work", 5) == 0);
    CHECK_ERRNO(__wasi_fd_prestat_dir_name(ROOT, name, 2), __WASI_ERRNO_NAMETOOLONG);
    CHECK_ERRNO(__wasi_fd_prestat_get(99, &prestat), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_fdstat_get(ROOT, &stat), OK);
    CHECK(stat.fs_filetype == __WASI_FILETYPE_DIRECTORY);
    CHECK(stat.fs_rights_base & __WASI_RIGHTS_PATH_OPEN);
    CHECK(stat.fs_rights_inheriting & __WASI_RIGHTS_FD_WRITE);
}

static void test_read_write(void)
{
    __wasi_fd_t fd;
    __wasi_size_t done;
    __wasi_filesize_t offset;
    char a[4], b[4];
    CHECK_ERRNO(open_at(ROOT, "file", 0, FILE_RIGHTS, 0, &fd), __WASI_ERRNO_NOENT);
    CHECK_ERRNO(open_at(ROOT, "file", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(write_text(fd, "hello, world"), OK);
    CHECK_ERRNO(__wasi_fd_tell(fd, &offset), OK);
    CHECK(offset == 12);
    CHECK_ERRNO(__wasi_fd_seek(fd, -5, __WASI_WHENCE_END, &offset), OK);
    CHECK(offset == 7);
    __wasi_iovec_t iovs[3] = {{(uint8_t *)a, 2}, {(uint8_t *)a, 0}, {(uint8_t *)b, 4}};
    CHECK_ERRNO(__wasi_fd_read(fd, iovs, 3, &done), OK);
    CHECK(done == 5 && memcmp(a, "wo", 2) == 0 && memcmp(b, "rld", 3) == 0);
    CHECK_ERRNO(__wasi_fd_read(fd, iovs, 3, &done), OK);
    CHECK(done == 0); /* the end */
    CHECK_ERRNO(__wasi_fd_read(fd, iovs, 0, &done), OK);
    CHECK_ERRNO(__wasi_fd_seek(fd, 2, __WASI_WHENCE_SET, &offset), OK);
    CHECK_ERRNO(__wasi_fd_seek(fd, 3, __WASI_WHENCE_CUR, &offset), OK);
    CHECK(offset == 5);
    CHECK_ERRNO(__wasi_fd_seek(fd, -6, __WASI_WHENCE_CUR, &offset), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_fd_seek(fd, 0, 7, &offset), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_fd_seek(fd, INT64_MAX, __WASI_WHENCE_CUR, &offset), __WASI_ERRNO_INVAL);
    __wasi_ciovec_t text = {(const uint8_t *)"HELLO", 5};
    CHECK_ERRNO(__wasi_fd_pwrite(fd, &text, 1, 0, &done), OK);
    CHECK(done == 5);
    CHECK_ERRNO(__wasi_fd_tell(fd, &offset), OK);
    CHECK(offset == 5); /* unchanged */
    CHECK(contents_are(fd, "HELLO, world"));
    CHECK_ERRNO(__wasi_fd_pwrite(fd, &text, 1, 20, &done), OK); /* leaves a hole of zeros */
    iovs[0] = (__wasi_iovec_t){(uint8_t *)a, 4};
    CHECK_ERRNO(__wasi_fd_pread(fd, iovs, 1, 12, &done), OK);
    CHECK(done == 4 && memcmp(a, "\0\0\0\0", 4) == 0);
    CHECK_ERRNO(__wasi_fd_sync(fd), OK);
    CHECK_ERRNO(__wasi_fd_datasync(fd), OK);
    CHECK_ERRNO(__wasi_fd_advise(fd, 0, 100, __WASI_ADVICE_WILLNEED), OK);
    CHECK_ERRNO(__wasi_fd_advise(fd, 0, 100, 77), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_read(fd, iovs, 1, &done), __WASI_ERRNO_BADF);
    CHECK_ERRNO(open_at(ROOT, "file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, FILE_RIGHTS, 0, &fd),
                __WASI_ERRNO_EXIST);
    CHECK_ERRNO(open_at(ROOT, "file", 0, READ_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(write_text(fd, "x"), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(open_at(ROOT, "file", __WASI_OFLAGS_DIRECTORY, READ_RIGHTS, 0, &fd), __WASI_ERRNO_NOTDIR);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "file"), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "file"), __WASI_ERRNO_NOENT);
}

static void test_append(void)
{
    __wasi_fd_t fd;
    __wasi_fdstat_t stat;
    __wasi_filesize_t offset;
    CHECK_ERRNO(open_at(ROOT, "log", __WASI_OFLAGS_CREAT, FILE_RIGHTS, __WASI_FDFLAGS_APPEND, &fd), OK);
    CHECK_ERRNO(__wasi_fd_fdstat_get(fd, &stat), OK);
    CHECK(stat.fs_flags == __WASI_FDFLAGS_APPEND && stat.fs_filetype == __WASI_FILETYPE_REGULAR_FILE);
    CHECK_ERRNO(write_text(fd, "one"), OK);
    CHECK_ERRNO(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &offset), OK);
    CHECK_ERRNO(write_text(fd, "two"), OK);
    CHECK(contents_are(fd, "onetwo"));
    CHECK_ERRNO(__wasi_fd_fdstat_set_flags(fd, 0), OK);
    CHECK_ERRNO(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &offset), OK);
    CHECK_ERRNO(write_text(fd, "ONE"), OK);
    CHECK(contents_are(fd, "ONEtwo"));
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "log"), OK);
}

static void test_size(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    make_file("size", "0123456789");
    CHECK_ERRNO(open_at(ROOT, "size", 0, FILE_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(__wasi_fd_filestat_set_size(fd, 4), OK);
    CHECK(contents_are(fd, "0123"));
    CHECK_ERRNO(__wasi_fd_filestat_set_size(fd, 100), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(fd, &stat), OK);
    CHECK(stat.size == 100 && stat.nlink == 1 && stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    char c[3] = "xx";
    __wasi_size_t done;
    __wasi_iovec_t iov = {(uint8_t *)c, 2};
    CHECK_ERRNO(__wasi_fd_pread(fd, &iov, 1, 4, &done), OK);
    CHECK(done == 2 && c[0] == 0 && c[1] == 0); /* not what was cut off */
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(open_at(ROOT, "size", __WASI_OFLAGS_TRUNC, FILE_RIGHTS, 0, &fd), OK);
    CHECK(contents_are(fd, ""));
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "size"), OK);
}

static void test_large(void)
{
    enum { BYTES = 3 << 20 };
    uint8_t *bytes = malloc(BYTES), *back = malloc(BYTES);
    __wasi_fd_t fd;
    __wasi_size_t done;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    CHECK_ERRNO(open_at(ROOT, "large", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, &fd), OK);
    for (size_t position = 0; position < BYTES; position += done) {
        __wasi_ciovec_t iov = {bytes + position, BYTES - position};
        CHECK_ERRNO(__wasi_fd_pwrite(fd, &iov, 1, position, &done), OK);
        if (done == 0)
            break;
    }
    for (size_t position = 0; position < BYTES; position += done) {
        __wasi_iovec_t iov = {back + position, BYTES - position};
        CHECK_ERRNO(__wasi_fd_pread(fd, &iov, 1, position, &done), OK);
        if (done == 0)
            break;
    }
    CHECK(memcmp(bytes, back, BYTES) == 0);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "large"), OK);
    free(bytes);
    free(back);
}

static void test_directories(void)
{
    __wasi_fd_t fd, below;
    __wasi_filestat_t stat;
    __wasi_size_t done;
    char c;
    __wasi_iovec_t iov = {(uint8_t *)&c, 1};
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "dir"), OK);
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "dir"), __WASI_ERRNO_EXIST);
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "dir/sub"), OK);
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "no/sub"), __WASI_ERRNO_NOENT);
    make_file("dir/file", "text");
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "dir/file/sub"), __WASI_ERRNO_NOTDIR);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "dir", &stat), OK);
    CHECK(stat.filetype == __WASI_FILETYPE_DIRECTORY);
    CHECK_ERRNO(open_at(ROOT, "dir", __WASI_OFLAGS_DIRECTORY, DIRECTORY_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(open_at(fd, "file", 0, READ_RIGHTS, 0, &below), OK);
    CHECK(contents_are(below, "text"));
    CHECK_ERRNO(open_at(below, "file", 0, READ_RIGHTS, 0, &below), __WASI_ERRNO_NOTDIR);
    CHECK_ERRNO(open_at(fd, "../dir/file", 0, READ_RIGHTS, 0, &below), __WASI_ERRNO_PERM);
    CHECK_ERRNO(open_at(ROOT, "dir/../dir/./file", 0, READ_RIGHTS, 0, &below), OK);
    CHECK_ERRNO(__wasi_fd_read(fd, &iov, 1, &done), __WASI_ERRNO_ISDIR);
    CHECK_ERRNO(open_at(ROOT, "dir", 0, FILE_RIGHTS, 0, &below), __WASI_ERRNO_ISDIR);
    CHECK_ERRNO(open_at(ROOT, "dir", __WASI_OFLAGS_DIRECTORY, FILE_RIGHTS, 0, &below), __WASI_ERRNO_ISDIR);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "dir"), __WASI_ERRNO_ISDIR);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "dir"), __WASI_ERRNO_NOTEMPTY);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "dir/file"), __WASI_ERRNO_NOTDIR);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "dir/file"), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "dir/sub"), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "dir"), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "dir"), __WASI_ERRNO_NOENT);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
}

/* Count the entries of a directory, listed through a buffer of `bytes`; each must be there once. */
static unsigned list(__wasi_fd_t fd, size_t bytes, unsigned char *seen, size_t limit)
{
    uint8_t *buffer = malloc(bytes);
    __wasi_dircookie_t cookie = 0;
    unsigned count = 0;
    for (;;) {
        __wasi_size_t used = 0;
        CHECK_ERRNO(__wasi_fd_readdir(fd, buffer, bytes, cookie, &used), OK);
        __wasi_size_t position = 0;
        while (used - position >= sizeof(__wasi_dirent_t)) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + position, sizeof entry);
            if (used - position - sizeof entry < entry.d_namlen)
                break;
            char name[16];
            snprintf(name, sizeof name, "%.*s", (int)entry.d_namlen, buffer + position + sizeof entry);
            if (name[0] == 'e') {
                size_t number = (size_t)atoi(name + 1);
                CHECK(entry.d_type == __WASI_FILETYPE_REGULAR_FILE && number < limit);
                if (number < limit)
                    seen[number]++;
            } else {
                CHECK(name[0] == '.' && entry.d_namlen <= 2);
            }
            count++;
            cookie = entry.d_next;
            position += sizeof entry + entry.d_namlen;
        }
        if (used < bytes)
            break;
    }
    free(buffer);
    return count;
}

static void test_listing(void)
{
    enum { COUNT = 1000 };
    static unsigned char seen[COUNT];
    char name[16];
    __wasi_fd_t fd, file;
    unsigned wrong = 0;
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "many"), OK);
    CHECK_ERRNO(open_at(ROOT, "many", __WASI_OFLAGS_DIRECTORY, DIRECTORY_RIGHTS, 0, &fd), OK);
    CHECK(list(fd, 4096, seen, COUNT) == 2); /* . and .. */
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "e%u", i);
        wrong += open_at(fd, name, __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, &file) != OK;
        wrong += __wasi_fd_close(file) != OK;
    }
    CHECK(wrong == 0);
    CHECK(list(fd, 4096, seen, COUNT) == COUNT + 2);
    CHECK(list(fd, 64, seen, COUNT) == COUNT + 2);
    CHECK(list(fd, 1 << 20, seen, COUNT) == COUNT + 2);
    for (unsigned i = 0; i < COUNT; i++)
        wrong += seen[i] != 3;
    CHECK(wrong == 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "e%u", i);
        wrong += __wasi_path_unlink_file(fd, name) != OK;
    }
    CHECK(wrong == 0);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "many"), OK);
}

static void test_rename_and_link(void)
{
    __wasi_filestat_t a, b;
    __wasi_fd_t fd;
    make_file("a", "contents of a");
    make_file("b", "b");
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "d"), OK);
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "e"), OK);
    CHECK_ERRNO(__wasi_path_link(ROOT, 0, "a", ROOT, "d/hard"), OK);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "a", &a), OK);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "d/hard", &b), OK);
    CHECK(a.ino == b.ino && a.dev == b.dev && a.nlink == 2);
    CHECK_ERRNO(__wasi_path_link(ROOT, 0, "a", ROOT, "b"), __WASI_ERRNO_EXIST);
    CHECK_ERRNO(__wasi_path_link(ROOT, 0, "d", ROOT, "f"), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "a", ROOT, "b"), OK); /* over b */
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "a", &a), __WASI_ERRNO_NOENT);
    CHECK_ERRNO(open_at(ROOT, "b", 0, READ_RIGHTS, 0, &fd), OK);
    CHECK(contents_are(fd, "contents of a"));
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "b", ROOT, "d"), __WASI_ERRNO_ISDIR);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "d", ROOT, "b"), __WASI_ERRNO_NOTDIR);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "e", ROOT, "d"), __WASI_ERRNO_NOTEMPTY);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "d", ROOT, "d/inside"), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "d", ROOT, "e"), OK); /* over an empty one */
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "e/hard"), OK);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "none", ROOT, "x"), __WASI_ERRNO_NOENT);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "b"), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "e"), OK);
}

static void test_symbolic_links(void)
{
    __wasi_filestat_t stat;
    __wasi_fd_t fd;
    uint8_t target[16];
    __wasi_size_t done;
    make_file("real", "text");
    CHECK_ERRNO(__wasi_path_symlink("real", ROOT, "soft"), OK);
    CHECK_ERRNO(__wasi_path_symlink("real", ROOT, "soft"), __WASI_ERRNO_EXIST);
    CHECK_ERRNO(__wasi_path_readlink(ROOT, "soft", target, sizeof target, &done), OK);
    CHECK(done == 4 && memcmp(target, "real", 4) == 0);
    CHECK_ERRNO(__wasi_path_readlink(ROOT, "real", target, sizeof target, &done), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "soft", &stat), OK);
    CHECK(stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK && stat.size == 4);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "soft", &stat), OK);
    CHECK(stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    CHECK_ERRNO(open_at(ROOT, "soft", 0, READ_RIGHTS, 0, &fd), __WASI_ERRNO_LOOP);
    CHECK_ERRNO(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "soft", 0, READ_RIGHTS, 0, 0, &fd), OK);
    CHECK(contents_are(fd, "text"));
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_symlink("round", ROOT, "round"), OK);
    CHECK_ERRNO(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "round", 0, READ_RIGHTS, 0, 0, &fd),
                __WASI_ERRNO_LOOP);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "round"), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "soft"), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "real"), OK);
}

static void test_escapes(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    static const char *const paths[] = {"..", "../work", "/", "/etc/passwd", "in/../..", "in/../../etc/passwd", "./.."};
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "in"), OK);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK_ERRNO(open_at(ROOT, paths[i], 0, READ_RIGHTS, 0, &fd), __WASI_ERRNO_PERM);
        CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 1, paths[i], &stat), __WASI_ERRNO_PERM);
    }
    CHECK_ERRNO(open_at(ROOT, "../made", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, &fd), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "../made"), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_rename(ROOT, "in", ROOT, "../out"), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_symlink("..", ROOT, "in/up"), OK);
    CHECK_ERRNO(__wasi_path_symlink("../../etc/passwd", ROOT, "in/away"), OK);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 1, "in/up", &stat), OK);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 1, "in/up/..", &stat), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_open(ROOT, 1, "in/away", 0, READ_RIGHTS, 0, 0, &fd), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_open(ROOT, 1, "in/away", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, 0, &fd), __WASI_ERRNO_PERM);
    CHECK_ERRNO(__wasi_path_symlink("/etc/passwd", ROOT, "in/absolute"), __WASI_ERRNO_PERM);
    CHECK_ERRNO(open_at(ROOT, "", 0, READ_RIGHTS, 0, &fd), __WASI_ERRNO_NOENT);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "in/up"), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "in/away"), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "in"), OK);
}

static void test_times(void)
{
    const __wasi_timestamp_t then = UINT64_C(1234567890) * 1000000000 + 500;
    __wasi_filestat_t stat;
    __wasi_timestamp_t now;
    __wasi_fd_t fd;
    make_file("clock", "");
    CHECK_ERRNO(__wasi_path_filestat_set_times(ROOT, 0, "clock", then, then + 1000,
                                               __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM),
                OK);
    CHECK_ERRNO(__wasi_path_filestat_get(ROOT, 0, "clock", &stat), OK);
    CHECK(stat.atim == then && stat.mtim == then + 1000);
    CHECK_ERRNO(open_at(ROOT, "clock", 0, FILE_RIGHTS, 0, &fd), OK);
    CHECK_ERRNO(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(fd, &stat), OK);
    CHECK_ERRNO(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &now), OK);
    CHECK(stat.atim == then);
    CHECK(stat.mtim + UINT64_C(10000000000) > now && stat.mtim < now + UINT64_C(1000000000));
    CHECK_ERRNO(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW | __WASI_FSTFLAGS_MTIM),
                __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_fd_filestat_set_times(fd, then, 0, __WASI_FSTFLAGS_MTIM), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(fd, &stat), OK);
    CHECK(stat.mtim == 0);
    CHECK_ERRNO(write_text(fd, "x"), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(fd, &stat), OK);
    CHECK(stat.mtim > then);
    CHECK_ERRNO(__wasi_fd_close(fd), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "clock"), OK);
}

static void test_descriptors(void)
{
    enum { COUNT = 300 };
    static __wasi_fd_t fds[COUNT];
    __wasi_fd_t a, b;
    unsigned wrong = 0;
    make_file("one", "1");
    make_file("two", "2");
    CHECK_ERRNO(open_at(ROOT, "one", 0, READ_RIGHTS, 0, &a), OK);
    CHECK_ERRNO(open_at(ROOT, "two", 0, READ_RIGHTS, 0, &b), OK);
    CHECK_ERRNO(__wasi_fd_renumber(a, b), OK);
    CHECK(contents_are(b, "1"));
    CHECK_ERRNO(__wasi_fd_close(a), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_renumber(a, b), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_renumber(b, 1000), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_close(b), OK);
    for (unsigned i = 0; i < COUNT; i++)
        wrong += open_at(ROOT, "one", 0, READ_RIGHTS, 0, &fds[i]) != OK;
    for (unsigned i = 0; i < COUNT; i++)
        wrong += !contents_are(fds[i], "1");
    for (unsigned i = 0; i < COUNT; i++)
        wrong += __wasi_fd_close(fds[i]) != OK;
    CHECK(wrong == 0);
    CHECK_ERRNO(open_at(ROOT, "one", 0, READ_RIGHTS, 0, &a), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "one"), OK);
    CHECK(contents_are(a, "1")); /* stays while it is open */
    CHECK_ERRNO(__wasi_fd_close(a), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(ROOT, "two"), OK);
}

int main(void)
{
    test_preopens();
    test_read_write();
    test_append();
    test_size();
    test_large();
    test_directories();
    test_listing();
    test_rename_and_link();
    test_symbolic_links();
    test_escapes();
    test_times();
    test_descriptors();
    return summary();
}
