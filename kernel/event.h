/* Events: a signal that a program sets and clears, and others wait for (kernel/wait.h). */
#ifndef KERNEL_EVENT_H
#define KERNEL_EVENT_H

#include "kernel/object.h"
#include "kernel/status.h"

/* An event that is not signaled; the reference is the caller's. */
enum status event_create(struct object **result);

#endif
