/* What guests of several suites share: EXPECT counts what did not hold and says where, for `return failures` in main.
 */
#ifndef TESTS_SUPPORT_GUEST_H
#define TESTS_SUPPORT_GUEST_H

#include <stdint.h>
#include <stdio.h>

#include "sdk/tessera.h"

static int failures;

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("line %d: %s\n", __LINE__, #condition);                                                             \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

/* Wait for a program's end; its status by convention. The handle is gone. */
static inline uint32_t finish_program(uint32_t process)
{
    struct tessera_process_status status = {.conventional_status = 98};
    EXPECT(tessera_wait_one(process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER) == TESSERA_SIGNAL_EXITED);
    EXPECT(tessera_process_status(process, &status, sizeof(status)) == sizeof(status));
    tessera_handle_close(process);
    return status.conventional_status;
}

#endif
