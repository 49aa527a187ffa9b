/* For guests that test what they stand on. The last line is `N passed, N failed`. */
#ifndef TESTS_WASI_GUESTS_CHECK_H
#define TESTS_WASI_GUESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

static unsigned passed, failed;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            passed++;                                                                                                  \
        } else {                                                                                                       \
            failed++;                                                                                                  \
            printf("%s:%d: %s\n", strrchr("/" __FILE__, '/') + 1, __LINE__, #condition);                               \
        }                                                                                                              \
    } while (0)

#define CHECK_ERRNO(expression, expected)                                                                              \
    do {                                                                                                               \
        unsigned errno_ = (expression);                                                                                \
        if (errno_ == (expected)) {                                                                                    \
            passed++;                                                                                                  \
        } else {                                                                                                       \
            failed++;                                                                                                  \
            printf("%s:%d: %s: errno %u instead of %s\n", strrchr("/" __FILE__, '/') + 1, __LINE__, #expression,       \
                   errno_, #expected);                                                                                 \
        }                                                                                                              \
    } while (0)

#define OK __WASI_ERRNO_SUCCESS

static inline int summary(void)
{
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif
