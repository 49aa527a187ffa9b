/* For the tests of this folder: memory that is refused at one moment after the other. A guest that takes memory of
 * every kind (shortage.wat) runs again and again; in run n, whoever asks for memory for the n-th time gets none, alone
 * or with all that ask later. Each run must end as the guest's own doing and leave nothing behind. Who asks is what
 * takes the place of allocators: shortage_heap.c, and for each platform shortage_frames.c or shortage_memory.c. */
#ifndef TESTS_KERNEL_SHORTAGE_H
#define TESTS_KERNEL_SHORTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Somebody asks: shall he be refused? */
bool shortage_now(void);

/* Runs of the guest for one moment after the other, until a run does not reach it: first with a shortage for a moment,
 * then with one that lasts. */
void shortage_all(const uint8_t *module, size_t size);

/* Runs that ended well, and others. */
extern uint32_t shortage_passed, shortage_failed;

void shortage_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
