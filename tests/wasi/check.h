/* For unit tests: count what differs, and go on. */
#ifndef TESTS_WASI_CHECK_H
#define TESTS_WASI_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                     \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

#define CHECK_STATUS(expression, expected)                                                                             \
    do {                                                                                                               \
        enum status status_ = (expression);                                                                            \
        if (status_ != (expected)) {                                                                                   \
            printf("%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, #expression, status_text(status_),             \
                   status_text(expected));                                                                             \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

#endif
