/* What the programs of the soak test share: one page of progress that all of them show ("board"), on which the driver
 * sees who goes on, and what each was at when he did not. */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      UINT64_C(1000000000)
#define PAGE        4096
#define SLOTS       255 /* workers at a time */

struct slot {
    _Atomic uint64_t progress; /* rounds of what the worker does */
    _Atomic uint32_t step;     /* line of its source that it is at */
    _Atomic uint32_t failed;   /* the line where something was wrong; 0: nothing */
    char note[112];            /* what was wrong; written before `failed` */
};

struct board {
    struct slot slots[SLOTS + 1];
};
#define BOARD_BYTES sizeof(struct board)
_Static_assert(BOARD_BYTES % PAGE == 0, "whole pages");

/* Of this program, once it is attached. */
extern struct slot *me;
extern uint64_t random_state;

void attach(const char *slot, const char *seed);
uint64_t now(void);
uint32_t random_below(uint32_t limit);
uint32_t named(const char *name);
void spin(uint32_t rounds);

/* Where it is, for whoever asks why it does not go on. */
#define AT()       (me->step = __LINE__)
#define PROGRESS() (me->progress++)
/* Something is wrong: says so, and ends the program. */
#define CHECK(condition, value)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail(__LINE__, #condition, (int64_t)(value));                                                              \
    } while (0)
_Noreturn void fail(int line, const char *what, int64_t value);

/* A handle, or the end of the program. */
#define HANDLE(expression) handle_of(__LINE__, expression)
uint32_t handle_of(int line, int32_t result);

/* What a worker does, by name; NULL: no such role. roles.c, revoke.c */
typedef int role_function(void);
role_function *find_role(const char *name);
role_function revoke_role, hold_role, map_role;

#endif
