/* A lock between CPUs, for stretches of a few hundred instructions. Interrupt handlers take no lock that other code
 * takes with interrupts on. Clang checks who holds what (-Wthread-safety). */
#ifndef PLATFORM_PC_SPINLOCK_H
#define PLATFORM_PC_SPINLOCK_H

#include <stdbool.h>

struct __attribute__((capability("spinlock"))) spinlock {
    bool held;
};
#define GUARDED_BY(lock) __attribute__((guarded_by(lock)))
#define REQUIRES(lock)   __attribute__((requires_capability(lock)))

static inline void spinlock_acquire(struct spinlock *lock) __attribute__((acquire_capability(*lock)));
static inline void spinlock_release(struct spinlock *lock) __attribute__((release_capability(*lock)));

__attribute__((no_thread_safety_analysis)) static inline void spinlock_acquire(struct spinlock *lock)
{
    while (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
    }
}

__attribute__((no_thread_safety_analysis)) static inline void spinlock_release(struct spinlock *lock)
{
    __atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
}

#endif
