/* A lock between CPUs, for stretches of a few hundred instructions, with interrupts off: what an interrupt does may
 * touch a page for the first time, and so come to need the lock. Clang checks who holds what (-Wthread-safety). */
#ifndef PLATFORM_PC_SPINLOCK_H
#define PLATFORM_PC_SPINLOCK_H

#include <stdbool.h>

#include "platform/pc/instructions.h"

struct __attribute__((capability("spinlock"))) spinlock {
    bool held;
    bool interrupts; /* whether they were on before; the holder's */
};
#define GUARDED_BY(lock) __attribute__((guarded_by(lock)))
#define REQUIRES(lock)   __attribute__((requires_capability(lock)))

static inline void spinlock_acquire(struct spinlock *lock) __attribute__((acquire_capability(*lock)));
static inline void spinlock_release(struct spinlock *lock) __attribute__((release_capability(*lock)));

__attribute__((no_thread_safety_analysis)) static inline void spinlock_acquire(struct spinlock *lock)
{
    bool interrupts = interrupts_disable();
    while (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
    }
    lock->interrupts = interrupts;
}

__attribute__((no_thread_safety_analysis)) static inline void spinlock_release(struct spinlock *lock)
{
    bool interrupts = lock->interrupts;
    __atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
    interrupts_restore(interrupts);
}

#endif
