/* Events: a signal that a program sets and clears, and others wait for (kernel/wait.h). */
#ifndef KERNEL_EVENT_H
#define KERNEL_EVENT_H

#include "kernel/object.h"

/* An event that is not signaled; the reference is the caller's. `exclusive`: whoever waits for it and sees that it is
 * signaled clears it, so that of several waiters one goes on. */
enum status event_create(struct account *account, bool exclusive, struct object **result);

#endif
