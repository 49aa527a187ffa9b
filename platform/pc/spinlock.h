/* A lock between CPUs, for stretches of a few hundred instructions, with interrupts off: what an interrupt does may
 * touch a page for the first time, and so come to need the lock. Clang checks who holds what (-Wthread-safety).
 *
 * Order, outermost first: console reader, console output; regions of the page tables (two at a time by their number);
 * an arena of reservations, window records, device mappings, counters of shared frames; tables above regions; frames.
 * Those of console credit, random numbers and the wall clock take no other. The kernel's own locks (kernel/lock.h) are
 * further out than all of these. */
#ifndef PLATFORM_PC_SPINLOCK_H
#define PLATFORM_PC_SPINLOCK_H

#include <stdbool.h>

#include "platform/pc/instructions.h"
#include "platform/pc/tlb.h"

struct __attribute__((capability("spinlock"))) spinlock {
    bool held;
    bool interrupts; /* whether they were on before; the holder's */
};
#define GUARDED_BY(lock) __attribute__((guarded_by(lock)))
#define REQUIRES(lock)   __attribute__((requires_capability(lock)))
#define ACQUIRES(lock)   __attribute__((acquire_capability(lock)))
#define RELEASES(lock)   __attribute__((release_capability(lock)))
#define NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))

/* What every loop does that waits for another CPU: that one may be waiting for this one's TLB. */
static inline void spin(void)
{
    __builtin_ia32_pause();
    tlb_serve();
}

static inline void spinlock_acquire(struct spinlock *lock) ACQUIRES(*lock);
static inline void spinlock_release(struct spinlock *lock) RELEASES(*lock);

NO_LOCK_ANALYSIS static inline void spinlock_acquire(struct spinlock *lock)
{
    bool interrupts = interrupts_disable();
    while (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE) && !tlb_is_alone()) {
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED) && !tlb_is_alone())
            spin();
    }
    lock->interrupts = interrupts;
}

NO_LOCK_ANALYSIS static inline void spinlock_release(struct spinlock *lock)
{
    bool interrupts = lock->interrupts;
    __atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
    interrupts_restore(interrupts);
}

/* The same for stretches that may take long, as waiting for a device does: interrupts stay as they are, so it is not
 * taken at interrupt time. */
struct __attribute__((capability("long lock"))) long_lock {
    bool held;
};

NO_LOCK_ANALYSIS static inline void long_lock_acquire(struct long_lock *lock) ACQUIRES(*lock)
{
    while (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE) && !tlb_is_alone())
        spin();
}

NO_LOCK_ANALYSIS static inline void long_lock_release(struct long_lock *lock) RELEASES(*lock)
{
    __atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
}

#endif
