/* For the guests of this folder: CHECK counts what holds and what does not, and says where. */
#ifndef TESTS_SERVICES_CHECK_H
#define TESTS_SERVICES_CHECK_H

#include <stdio.h>

static int failed, passed;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (condition)                                                                                                 \
            passed++;                                                                                                  \
        else {                                                                                                         \
            failed++;                                                                                                  \
            printf("FAIL line %d: %s\n", __LINE__, #condition);                                                        \
        }                                                                                                              \
    } while (0)

#endif
