/* Numbers and layouts of WASI preview 1 (witx of `wasi_snapshot_preview1`, and of the older `wasi_unstable` where that
 * differs). Guests are little-endian, as we are; structures are copied to and from guest memory, which may be
 * unaligned. */
#ifndef ABI_WASI_TYPES_H
#define ABI_WASI_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* Only those that are given back here; the numbers are alphabetical in the whole list. */
enum wasi_errno {
    WASI_SUCCESS = 0,
    WASI_EACCES = 2,
    WASI_EAGAIN = 6,
    WASI_EBADF = 8,
    WASI_EBUSY = 10,
    WASI_EEXIST = 20,
    WASI_EFBIG = 22,
    WASI_EINVAL = 28,
    WASI_EIO = 29,
    WASI_EISDIR = 31,
    WASI_ELOOP = 32,
    WASI_EMFILE = 33,
    WASI_ENAMETOOLONG = 37,
    WASI_ENOENT = 44,
    WASI_ENOMEM = 48,
    WASI_ENOSPC = 51,
    WASI_ENOSYS = 52,
    WASI_ENOTDIR = 54,
    WASI_ENOTEMPTY = 55,
    WASI_ENOTSOCK = 57,
    WASI_ENOTSUP = 58,
    WASI_EOVERFLOW = 61,
    WASI_EPERM = 63,
    WASI_EPIPE = 64,
    WASI_ERANGE = 68,
    WASI_EROFS = 69,
    WASI_ESPIPE = 70,
    WASI_EXDEV = 75,
    WASI_ENOTCAPABLE = 76,
};

enum wasi_clock { WASI_CLOCK_REALTIME, WASI_CLOCK_MONOTONIC, WASI_CLOCK_PROCESS, WASI_CLOCK_THREAD };

#define WASI_RIGHTS(X)                                                                                                 \
    X(FD_DATASYNC)                                                                                                     \
    X(FD_READ)                                                                                                         \
    X(FD_SEEK)                                                                                                         \
    X(FD_FDSTAT_SET_FLAGS)                                                                                             \
    X(FD_SYNC)                                                                                                         \
    X(FD_TELL)                                                                                                         \
    X(FD_WRITE)                                                                                                        \
    X(FD_ADVISE)                                                                                                       \
    X(FD_ALLOCATE)                                                                                                     \
    X(PATH_CREATE_DIRECTORY)                                                                                           \
    X(PATH_CREATE_FILE)                                                                                                \
    X(PATH_LINK_SOURCE)                                                                                                \
    X(PATH_LINK_TARGET)                                                                                                \
    X(PATH_OPEN)                                                                                                       \
    X(FD_READDIR)                                                                                                      \
    X(PATH_READLINK)                                                                                                   \
    X(PATH_RENAME_SOURCE)                                                                                              \
    X(PATH_RENAME_TARGET)                                                                                              \
    X(PATH_FILESTAT_GET)                                                                                               \
    X(PATH_FILESTAT_SET_SIZE)                                                                                          \
    X(PATH_FILESTAT_SET_TIMES)                                                                                         \
    X(FD_FILESTAT_GET)                                                                                                 \
    X(FD_FILESTAT_SET_SIZE)                                                                                            \
    X(FD_FILESTAT_SET_TIMES)                                                                                           \
    X(PATH_SYMLINK)                                                                                                    \
    X(PATH_REMOVE_DIRECTORY)                                                                                           \
    X(PATH_UNLINK_FILE)                                                                                                \
    X(POLL_FD_READWRITE)

#define WASI_RIGHT_NUMBER(name) WASI_RIGHT_NUMBER_##name,
enum { WASI_RIGHTS(WASI_RIGHT_NUMBER) WASI_RIGHT_COUNT };
#undef WASI_RIGHT_NUMBER
#define WASI_RIGHT_BIT(name) WASI_RIGHT_##name = 1u << WASI_RIGHT_NUMBER_##name,
enum { WASI_RIGHTS(WASI_RIGHT_BIT) };
#undef WASI_RIGHT_BIT

enum {
    WASI_FILETYPE_UNKNOWN,
    WASI_FILETYPE_BLOCK_DEVICE,
    WASI_FILETYPE_CHARACTER_DEVICE,
    WASI_FILETYPE_DIRECTORY,
    WASI_FILETYPE_REGULAR_FILE,
    WASI_FILETYPE_SOCKET_DGRAM,
    WASI_FILETYPE_SOCKET_STREAM,
    WASI_FILETYPE_SYMBOLIC_LINK,
};

enum {
    WASI_FDFLAG_APPEND = 1,
    WASI_FDFLAG_DSYNC = 2,
    WASI_FDFLAG_NONBLOCK = 4,
    WASI_FDFLAG_RSYNC = 8,
    WASI_FDFLAG_SYNC = 16,
    WASI_FDFLAGS = 31,
};

enum { WASI_OFLAG_CREAT = 1, WASI_OFLAG_DIRECTORY = 2, WASI_OFLAG_EXCL = 4, WASI_OFLAG_TRUNC = 8, WASI_OFLAGS = 15 };
enum { WASI_LOOKUP_FOLLOW = 1 };
enum { WASI_FST_ATIM = 1, WASI_FST_ATIM_NOW = 2, WASI_FST_MTIM = 4, WASI_FST_MTIM_NOW = 8, WASI_FSTFLAGS = 15 };
enum { WASI_ADVICE_COUNT = 6 };

/* The numbers of preview 1; wasi_unstable has them in the order CUR, END, SET. */
enum wasi_whence { WASI_WHENCE_SET, WASI_WHENCE_CUR, WASI_WHENCE_END };

enum { WASI_EVENT_CLOCK, WASI_EVENT_FD_READ, WASI_EVENT_FD_WRITE };
enum { WASI_SUBSCRIPTION_ABSOLUTE = 1 };
enum { WASI_EVENT_HANGUP = 1 };

struct wasi_iovec {
    uint32_t address;
    uint32_t bytes;
};

struct wasi_fdstat {
    uint8_t filetype;
    uint8_t padding1;
    uint16_t flags;
    uint32_t padding2;
    uint64_t rights;
    uint64_t inheriting;
};

struct wasi_filestat {
    uint64_t device;
    uint64_t inode;
    uint8_t filetype;
    uint8_t padding[7];
    uint64_t links;
    uint64_t size;
    uint64_t access_time;
    uint64_t modify_time;
    uint64_t change_time;
};

struct wasi_unstable_filestat {
    uint64_t device;
    uint64_t inode;
    uint8_t filetype;
    uint8_t padding[3];
    uint32_t links;
    uint64_t size;
    uint64_t access_time;
    uint64_t modify_time;
    uint64_t change_time;
};

struct wasi_dirent {
    uint64_t next;
    uint64_t inode;
    uint32_t name_length;
    uint8_t filetype;
    uint8_t padding[3];
};

struct wasi_prestat {
    uint8_t tag; /* 0: a directory, the only kind */
    uint8_t padding[3];
    uint32_t name_length;
};

struct wasi_subscription {
    uint64_t user_data;
    uint8_t type;
    uint8_t padding1[7];
    uint32_t clock_or_descriptor;
    uint32_t padding2;
    uint64_t timeout;
    uint64_t precision;
    uint16_t flags;
    uint8_t padding3[6];
};

/* The clock has a user-defined identifier in front, which nobody reads; the descriptor stands in its place. */
struct wasi_unstable_subscription {
    uint64_t user_data;
    uint8_t type;
    uint8_t padding1[7];
    uint32_t descriptor;
    uint32_t padding2;
    uint32_t clock;
    uint32_t padding3;
    uint64_t timeout;
    uint64_t precision;
    uint16_t flags;
    uint8_t padding4[6];
};

struct wasi_event {
    uint64_t user_data;
    uint16_t error;
    uint8_t type;
    uint8_t padding1[5];
    uint64_t bytes;
    uint16_t flags;
    uint8_t padding2[6];
};

_Static_assert(sizeof(struct wasi_iovec) == 8, "layout of iovec");
_Static_assert(sizeof(struct wasi_fdstat) == 24, "layout of fdstat");
_Static_assert(sizeof(struct wasi_filestat) == 64, "layout of filestat");
_Static_assert(sizeof(struct wasi_unstable_filestat) == 56, "layout of filestat");
_Static_assert(offsetof(struct wasi_unstable_filestat, links) == 20, "layout of filestat");
_Static_assert(sizeof(struct wasi_dirent) == 24, "layout of dirent");
_Static_assert(sizeof(struct wasi_prestat) == 8, "layout of prestat");
_Static_assert(sizeof(struct wasi_subscription) == 48, "layout of subscription");
_Static_assert(offsetof(struct wasi_subscription, flags) == 40, "layout of subscription");
_Static_assert(sizeof(struct wasi_unstable_subscription) == 56, "layout of subscription");
_Static_assert(offsetof(struct wasi_unstable_subscription, timeout) == 32, "layout of subscription");
_Static_assert(sizeof(struct wasi_event) == 32, "layout of event");
_Static_assert(offsetof(struct wasi_event, bytes) == 16, "layout of event");

#endif
