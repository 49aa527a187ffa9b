/* Timers: a deadline, once or again and again, that can be waited for.
 *
 * A timer is not in any queue of the kernel. Whoever waits for it asks when its time comes and sleeps no longer than
 * that; setting it notifies the waiters, who then ask again. So a timer that nobody waits for costs nothing. */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/object.h"

/* A timer that is not set; the reference is the caller's. (The C library has a timer_create.) */
enum status timer_object_create(struct account *account, struct object **result);
/* Signal it at `deadline` (monotonic nanoseconds; UINT64_MAX: never), and then every `period` nanoseconds (0: no more).
 * Takes back what it signaled before. */
void timer_set(struct object *timer, uint64_t deadline, uint64_t period);
/* How many of its times have come since it was set or read last. Clears the signal. */
uint64_t timer_read(struct object *timer);
/* Set the signal if its time has come; else *deadline becomes its time if that is earlier. */
void timer_look(struct object *timer, uint64_t *deadline) REQUIRES(timer->lock);

#endif
