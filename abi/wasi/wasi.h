/* WASI preview 1 inside: a process's descriptors, and what the groups of functions share.
 *
 * Every function is in two halves. Decode translates and checks all arguments: pointers with
 * instance_memory_required, which ends the guest for a range outside of its memory; then descriptors and rights, which
 * give an errno. Invoke acts. Nothing is allocated or referenced before decode is through, so ending the guest there
 * leaks nothing; during a wait or checkpoint nothing is held either. */
#ifndef ABI_WASI_WASI_H
#define ABI_WASI_WASI_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/wasi/types.h"
#include "kernel/instance.h"
#include "kernel/platform.h"
#include "kernel/vfs.h"
#include "kernel/wait.h"

/* ---- Prototypes of all functions ---- */
#define CALLER                                             struct instance *instance
#define COMMON(name, signature, parameters, note)          uint32_t wasi_##name parameters;
#define COMMON_NORETURN(name, signature, parameters, note) _Noreturn void wasi_##name parameters;
#define PREVIEW1(name, signature, parameters, note)        uint32_t wasi_preview1_##name parameters;
#define UNSTABLE(name, signature, parameters, note)        uint32_t wasi_unstable_##name parameters;
#include "abi/wasi/functions.def"
#undef COMMON
#undef COMMON_NORETURN
#undef PREVIEW1
#undef UNSTABLE
#undef CALLER

/* ---- Descriptors ---- */
enum wasi_descriptor_kind {
    WASI_FREE,
    WASI_STREAM,  /* one of the machine's streams */
    WASI_CHANNEL, /* a standard stream that is the end of a channel: channel.c */
    WASI_NODE,    /* file or directory */
};

/* What a directory's descriptor remembers of its listing: see listing.c. */
struct wasi_cookies {
    uint64_t *numbers; /* [capacity], `count` known */
    uint32_t count, capacity;
    struct account *account; /* that pays for `numbers` */
};
void wasi_cookies_release(struct wasi_cookies *cookies);

struct wasi_descriptor {
    enum wasi_descriptor_kind kind;
    enum stream stream;    /* WASI_STREAM; WASI_CHANNEL: which it stands for */
    uint32_t handle;       /* WASI_CHANNEL */
    struct message *message; /* WASI_CHANNEL: that was read up to message_offset, or NULL */
    uint32_t message_offset;
    struct vfs_node *node; /* WASI_NODE: a reference */
    const char *preopen;   /* its name if it was there at the start; belongs to the launch description */
    uint64_t rights, inheriting;
    uint64_t offset; /* of the next read or write; below 2^63 */
    uint16_t flags;  /* WASI_FDFLAG_* */
    struct wasi_cookies cookies;
};

struct wasi {
    struct process *process;
    struct wasi_descriptor *descriptors;
    uint32_t capacity;
    uint32_t lowest_free; /* no free descriptor is below; a hint */
    uint64_t cpu_time;    /* what the process's CPU-time clock said last */
};

#define WASI_DESCRIPTORS_LIMIT 65536

/* The calling process's state; made at the first call. Ends the guest when there is no memory for it. */
struct wasi *wasi_of(struct instance *instance);
/* The open descriptor `fd`, or NULL: WASI_EBADF. */
struct wasi_descriptor *wasi_descriptor(struct wasi *wasi, uint32_t fd);
/* A descriptor that is a node of any type and has all of `rights`; errno otherwise (WASI_ENOTCAPABLE for rights,
 * `stream_error` for a stream). */
enum wasi_errno wasi_node_descriptor(struct wasi *wasi, uint32_t fd, uint64_t rights, enum wasi_errno stream_error,
                                     struct wasi_descriptor **result);
/* The same for a directory that a path starts at (WASI_ENOTDIR). */
enum wasi_errno wasi_directory(struct wasi *wasi, uint32_t fd, uint64_t rights, struct wasi_descriptor **result);
/* The lowest free descriptor, which stays free until wasi_descriptor_set. Pointers to descriptors become invalid. */
enum wasi_errno wasi_descriptor_reserve(struct wasi *wasi, uint32_t *fd);
/* Fill a reserved descriptor; a node's reference is taken over. */
void wasi_descriptor_set(struct wasi *wasi, uint32_t fd, const struct wasi_descriptor *descriptor);

/* Rights that mean something for a directory, and for a file. */
#define WASI_RIGHTS_FILE                                                                                               \
    (WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |               \
     WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE |   \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_FILESTAT_SET_TIMES |                 \
     WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_DIRECTORY                                                                                          \
    (WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_PATH_CREATE_DIRECTORY | \
     WASI_RIGHT_PATH_CREATE_FILE | WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |  \
     WASI_RIGHT_FD_READDIR | WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |                                \
     WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET | WASI_RIGHT_PATH_FILESTAT_SET_SIZE |                \
     WASI_RIGHT_PATH_FILESTAT_SET_TIMES | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_TIMES |              \
     WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE |                        \
     WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_INPUT                                                                                              \
    (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_OUTPUT                                                                                             \
    (WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |              \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE)

/* ---- Standard streams that are ends of channels: channel.c ---- */
/* The handle that the process was given for a stream, or 0. */
uint32_t wasi_stream_handle(const struct process *process, enum stream stream);
void wasi_channel_close(struct wasi *wasi, struct wasi_descriptor *descriptor);
/* What is there, or what fits, without waiting: WASI_EAGAIN when that is nothing. A read of nothing is the end; WASI_EPIPE
 * for a write when the other end is gone. */
enum wasi_errno wasi_channel_read(struct wasi *wasi, struct wasi_descriptor *descriptor, void *memory, uint32_t bytes,
                                  size_t *done);
enum wasi_errno wasi_channel_write(struct wasi *wasi, struct wasi_descriptor *descriptor, const void *memory,
                                   uint32_t bytes, size_t *done);
/* Would one of them do something (WASI_SUCCESS), or not yet (WASI_EAGAIN)? With how many bytes, and whether the other end
 * is gone. */
enum wasi_errno wasi_channel_look(struct wasi *wasi, struct wasi_descriptor *descriptor, uint64_t *bytes, bool *hangup);
/* What to wait for until that changes; the grant is held. */
enum wasi_errno wasi_channel_hold(struct wasi *wasi, const struct wasi_descriptor *descriptor, struct wait_item *item);
/* Wait for that. Ends the guest. The descriptor may be another one afterwards. */
void wasi_channel_wait(struct wasi *wasi, const struct wasi_descriptor *descriptor);

/* ---- Translations ---- */
enum wasi_errno wasi_errno_of(enum status status);
uint8_t wasi_filetype(enum vfs_type type);
/* Of what `descriptor` is; a stream is a character device when it is a terminal, and of unknown type if not, as the end
 * of a channel is. */
uint8_t wasi_descriptor_filetype(const struct wasi_descriptor *descriptor);
/* For fd_filestat_get and path_filestat_get of both interfaces. */
enum wasi_errno wasi_stat_descriptor(struct instance *instance, uint32_t fd, struct vfs_stat *stat, uint8_t *filetype);
enum wasi_errno wasi_stat_path(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t path, uint32_t length,
                               struct vfs_stat *stat);
/* The times that *_filestat_set_times asks for, as vfs_set_times wants them. */
enum wasi_errno wasi_decode_times(uint32_t flags, uint64_t *access_time, uint64_t *modify_time);

/* Clocks as the guest sees them: nanoseconds, in steps of the resolution that clock_res_get tells. */
enum wasi_errno wasi_clock_now(struct instance *instance, uint32_t clock, uint64_t *result);

#endif
