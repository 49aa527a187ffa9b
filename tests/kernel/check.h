/* For the tests of this folder: CHECK counts, and says what did not hold. */
#ifndef TESTS_KERNEL_CHECK_H
#define TESTS_KERNEL_CHECK_H

#include <stdio.h>

static int checks_passed, checks_failed;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            __atomic_fetch_add(&checks_passed, 1, __ATOMIC_RELAXED);                                                                                           \
        } else {                                                                                                       \
            __atomic_fetch_add(&checks_failed, 1, __ATOMIC_RELAXED);                                                                                           \
            printf("FAIL %s:%d: %s\n", __FILE__, __LINE__, #condition);                                                \
        }                                                                                                              \
    } while (0)

/* The last line, and the status for main. */
static inline int checks_report(void)
{
    printf("%d passed, %d failed\n", checks_passed, checks_failed);
    return checks_failed > 0;
}

#endif
