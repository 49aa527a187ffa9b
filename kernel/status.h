/* Results of kernel functions: a small closed set. Personalities translate (WASI errno stands in abi/wasi). */
#ifndef KERNEL_STATUS_H
#define KERNEL_STATUS_H

#define KERNEL_STATUSES(X)                                             \
    X(OK, "success")                                                   \
    X(NO_MEMORY, "out of memory")                                      \
    X(LIMIT, "limit reached")                                          \
    X(INVALID, "invalid argument")                                     \
    X(NOT_FOUND, "not found")                                          \
    X(EXISTS, "already exists")                                        \
    X(DENIED, "permission denied")                                     \
    X(BAD_HANDLE, "bad handle")                                        \
    X(AGAIN, "would block")                                            \
    X(NOT_SUPPORTED, "not supported")                                  \
    X(IO, "input/output error")                                        \
    X(NOT_DIRECTORY, "not a directory")                                \
    X(IS_DIRECTORY, "is a directory")                                  \
    X(NOT_EMPTY, "directory not empty")                                \
    X(NAME_TOO_LONG, "name too long")                                  \
    X(LOOP, "too many symbolic links")                                 \
    X(NO_SPACE, "no space left")                                       \
    X(TOO_LARGE, "file too large")                                     \
    X(READ_ONLY, "read-only file system")                              \
    X(CROSS_DEVICE, "not on the same file system")                     \
    X(BUSY, "busy")                                                    \
    X(NOT_PERMITTED, "operation not permitted")                        \
    X(OUTSIDE, "path leads outside of its directory")                  \
    X(CLOSED, "other end is closed")                                   \
    X(BAD_MODULE, "module refused")                                    \
    X(TIMED_OUT, "timed out")                                          \
    X(ENDING, "guest is to end")                                       \
    X(UNLINKABLE, "imports cannot be satisfied")                       \
    X(TRAPPED, "trapped")

#define KERNEL_STATUS_ENUM(name, text) STATUS_##name,
enum status { KERNEL_STATUSES(KERNEL_STATUS_ENUM) STATUS_COUNT };
#undef KERNEL_STATUS_ENUM

const char *status_text(enum status status);

#endif
