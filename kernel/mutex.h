/* Mutexes of the kernel: locks that may be held for long, and over which a thread may sleep to get one.
 *
 * While one is held guest memory may be touched: a guest that ends meanwhile gives back what its thread holds
 * (mutexes_release_all). Nothing else is waited for but further mutexes, in the order: the kernel lock of a process,
 * then those of file systems from the upper to the lower. No spinlock is held when one is taken. */
#ifndef KERNEL_MUTEX_H
#define KERNEL_MUTEX_H

#include "kernel/lock.h"

struct thread;

struct CAPABILITY("mutex") mutex {
    struct thread *owner; /* NULL: free; atomic */
    uint32_t waiting;     /* threads in the queue; atomic */
    struct spinlock lock; /* rank MUTEX; for the queue */
    struct thread *first, *last;
    struct mutex *held_next; /* of those that the owner holds; its own */
};

void mutex_initialize(struct mutex *mutex);
void mutex_acquire(struct mutex *mutex) ACQUIRES(*mutex);
/* Looks at the mutex to its end: who frees one knows that nobody is still in here. */
void mutex_release(struct mutex *mutex) RELEASES(*mutex);
/* Does the current thread hold it? */
bool mutex_is_mine(const struct mutex *mutex);
/* Give back all that the current thread holds, but this one (NULL: all). */
void mutexes_release_all(const struct mutex *but);

#endif
