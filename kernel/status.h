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
    X(DENIED, "not permitted")                                         \
    X(BAD_HANDLE, "bad handle")                                        \
    X(AGAIN, "would block")                                            \
    X(NOT_SUPPORTED, "not supported")                                  \
    X(IO, "input/output error")                                        \
    X(BAD_MODULE, "module refused")                                    \
    X(UNLINKABLE, "imports cannot be satisfied")                       \
    X(TRAPPED, "trapped")

#define KERNEL_STATUS_ENUM(name, text) STATUS_##name,
enum status { KERNEL_STATUSES(KERNEL_STATUS_ENUM) STATUS_COUNT };
#undef KERNEL_STATUS_ENUM

const char *status_text(enum status status);

#endif
