/* What only this system promises, beyond what the specification fixes: rights are enforced and shrink, space is
 * allocated, sockets and signals answer as docs/wasi.md says. Needs the same directory as files.c. */
#include "tests/wasi/guests/check.h"

#define ROOT             3
#define ALL_RIGHTS       ((UINT64_C(1) << 28) - 1)
#define DIRECTORY_RIGHTS (ALL_RIGHTS & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE)

__wasi_errno_t proc_raise(uint32_t signal)
    __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")));

int main(void)
{
    __wasi_fd_t directory, file;
    __wasi_fdstat_t stat;
    __wasi_filestat_t filestat;
    __wasi_size_t done;
    __wasi_roflags_t flags;
    uint8_t byte = 0;
    __wasi_ciovec_t iov = {&byte, 1};
    __wasi_iovec_t target = {&byte, 1};
    CHECK_ERRNO(__wasi_path_create_directory(ROOT, "d"), OK);
    CHECK_ERRNO(__wasi_path_open(ROOT, 0, "d", __WASI_OFLAGS_DIRECTORY, DIRECTORY_RIGHTS, ALL_RIGHTS, 0, &directory),
                OK);
    CHECK_ERRNO(__wasi_fd_fdstat_get(directory, &stat), OK);
    CHECK(!(stat.fs_rights_base & __WASI_RIGHTS_FD_ALLOCATE)); /* means nothing for a directory */
    CHECK(stat.fs_rights_inheriting & __WASI_RIGHTS_FD_WRITE);

    __wasi_rights_t fewer = stat.fs_rights_base & ~(__wasi_rights_t)__WASI_RIGHTS_PATH_CREATE_DIRECTORY;
    __wasi_rights_t inheriting = stat.fs_rights_inheriting & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE;
    CHECK_ERRNO(__wasi_fd_fdstat_set_rights(directory, fewer, inheriting), OK);
    CHECK_ERRNO(__wasi_fd_fdstat_set_rights(directory, stat.fs_rights_base, inheriting), __WASI_ERRNO_NOTCAPABLE);
    CHECK_ERRNO(__wasi_path_create_directory(directory, "x"), __WASI_ERRNO_NOTCAPABLE);
    CHECK_ERRNO(__wasi_path_open(directory, 0, "f", __WASI_OFLAGS_CREAT, ALL_RIGHTS, ALL_RIGHTS, 0, &file), OK);
    CHECK_ERRNO(__wasi_fd_fdstat_get(file, &stat), OK);
    CHECK(!(stat.fs_rights_base & __WASI_RIGHTS_FD_WRITE));
    CHECK_ERRNO(__wasi_fd_write(file, &iov, 1, &done), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_fd_close(file), OK);

    CHECK_ERRNO(__wasi_path_open(ROOT, 0, "d/f", 0, ALL_RIGHTS, 0, 0, &file), OK);
    CHECK_ERRNO(__wasi_fd_allocate(file, 10, 90), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(file, &filestat), OK);
    CHECK(filestat.size == 100);
    CHECK_ERRNO(__wasi_fd_allocate(file, 0, 10), OK);
    CHECK_ERRNO(__wasi_fd_filestat_get(file, &filestat), OK);
    CHECK(filestat.size == 100);
    CHECK_ERRNO(__wasi_fd_allocate(file, 0, 0), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_fd_allocate(file, INT64_MAX, INT64_MAX), __WASI_ERRNO_FBIG);
    CHECK_ERRNO(__wasi_fd_filestat_set_size(file, UINT64_MAX), __WASI_ERRNO_FBIG);
    CHECK_ERRNO(__wasi_fd_fdstat_set_flags(file, 0x100), __WASI_ERRNO_INVAL);
    CHECK_ERRNO(__wasi_sock_shutdown(file, __WASI_SDFLAGS_RD), __WASI_ERRNO_NOTSOCK);
    CHECK_ERRNO(__wasi_sock_send(99, &iov, 1, 0, &done), __WASI_ERRNO_BADF);
    CHECK_ERRNO(__wasi_sock_recv(file, &target, 1, 0, &done, &flags), __WASI_ERRNO_NOTSOCK);
    CHECK_ERRNO(__wasi_fd_close(file), OK);
    CHECK_ERRNO(__wasi_path_unlink_file(directory, "f"), OK);
    CHECK_ERRNO(__wasi_fd_close(directory), OK);
    CHECK_ERRNO(__wasi_path_remove_directory(ROOT, "d"), OK);
    /* Either our limit of descriptors or the host's on open files comes first. */
    __wasi_errno_t error;
    unsigned count = 0, wrong = 0;
    while ((error = __wasi_path_open(ROOT, 0, ".", 0, 0, 0, 0, &file)) == OK)
        count++;
    CHECK_ERRNO(error, __WASI_ERRNO_MFILE);
    CHECK(count > 500 && count < 65536);
    while (count--)
        wrong += __wasi_fd_close(file--) != OK;
    CHECK(wrong == 0);
    CHECK_ERRNO(proc_raise(0), OK);
    CHECK_ERRNO(proc_raise(27), OK); /* window change: ignored */
    CHECK_ERRNO(proc_raise(19), __WASI_ERRNO_NOTSUP);
    CHECK_ERRNO(proc_raise(31), __WASI_ERRNO_INVAL);
    summary();
    fflush(stdout);
    proc_raise(15); /* ends with 128 + 15 */
    puts("not reached");
    return 1;
}
