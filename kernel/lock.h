/* Spinlocks of the kernel, and what clang is to know about them (-Wthread-safety).
 *
 * A spinlock guards a few hundred instructions. While one is held nothing waits (thread_wait_finish, a mutex), no guest
 * memory is touched (its page may have no frame, and then the guest ends there, with the lock held), and no guest is
 * ended. Interrupts only leave notes: no lock is taken at interrupt time, so interrupts stay on.
 *
 * Every lock has a rank, and locks are taken in rising order: whoever holds one takes only such of a higher rank. In
 * the checked build (KERNEL_CHECKS) that is looked at whenever one is taken, and breaking it is a panic that names
 * both. Locks of the platform rank above all of these, and never call back into the kernel. */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/atomic.h"
#include "kernel/platform.h"

#ifndef KERNEL_CHECKS
#define KERNEL_CHECKS 0
#endif

/* In the order in which they may be taken: name, what it guards. */
#define LOCK_RANKS(X)                                                                                                  \
    X(FOREGROUND, "list of foreground processes")                                                                      \
    X(PROCESS_TABLE, "table of processes")                                                                             \
    X(PROCESS, "a process's parts that other processes touch")                                                         \
    X(HANDLES, "handle table of a process")                                                                            \
    X(CHANNELS, "which channels have channels in their messages")                                                      \
    X(OBJECT, "a kernel object: its signals, waiters and derivations")                                                 \
    X(OBJECT_INNER, "a further object, while one is locked already")                                                   \
    X(WAIT_SET, "ready list of a wait set")                                                                            \
    X(FUTEX, "threads in memory.atomic.wait on one memory")                                                            \
    X(MUTEX, "threads that wait for a mutex")                                                                          \
    X(THREAD, "end of a thread, and who waits for it")                                                                 \
    X(THREADS, "threads that run for a process")                                                                       \
    X(STREAMS, "threads that wait for streams")                                                                        \
    X(TIMERS, "deadlines of one CPU")                                                                                  \
    X(RUN_QUEUE, "threads that can run on one CPU")                                                                    \
    X(CPUS, "start of further CPUs")                                                                                   \
    X(HOST_FUNCTIONS, "numbers of host functions")                                                                     \
    X(TYPES, "type registry")                                                                                          \
    X(TEXT_MAP, "map from pc to module")                                                                               \
    X(LEAF, "anything that takes no further lock but the heap's")                                                      \
    X(HEAP_CACHE, "kernel heap's blocks of one CPU")                                                                   \
    X(HEAP, "kernel heap")

enum lock_rank {
#define LOCK_RANK(NAME, text) LOCK_##NAME,
    LOCK_RANKS(LOCK_RANK)
#undef LOCK_RANK
        LOCK_RANK_COUNT
};

/* ---- What clang is to know ---- */
#define CAPABILITY(name)    __attribute__((capability(name)))
#define GUARDED_BY(lock)    __attribute__((guarded_by(lock)))
#define POINTED_TO_BY(lock) __attribute__((pt_guarded_by(lock)))
#define REQUIRES(...)       __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)       __attribute__((locks_excluded(__VA_ARGS__)))
#define ACQUIRES(...)       __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)       __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...)   __attribute__((try_acquire_capability(__VA_ARGS__)))
#define ASSERTS_HELD(...)   __attribute__((assert_capability(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS    __attribute__((no_thread_safety_analysis))

struct CAPABILITY("spinlock") spinlock {
    uint32_t held;
    uint32_t rank; /* enum lock_rank */
};

/* Initializer of a static lock, and the same for one in memory. */
#define SPINLOCK(lock_rank_) {.rank = (lock_rank_)}
static inline void spinlock_initialize(struct spinlock *lock, enum lock_rank rank)
{
    lock->held = 0;
    lock->rank = rank;
}

#if KERNEL_CHECKS
/* lock.c. By the CPU that runs: panics when it may not take a lock of this rank now; that it took it; that it gave it
 * back. Before the CPU has a record nothing is checked. */
void lock_check_order(const struct spinlock *lock);
void lock_check_acquired(const struct spinlock *lock);
void lock_check_released(const struct spinlock *lock);
/* Panics when this CPU holds any lock: `what` is about to be done, which may wait. */
void lock_check_none(const char *what);
#else
static inline void lock_check_order(const struct spinlock *lock)
{
    (void)lock;
}
static inline void lock_check_acquired(const struct spinlock *lock)
{
    (void)lock;
}
static inline void lock_check_released(const struct spinlock *lock)
{
    (void)lock;
}
static inline void lock_check_none(const char *what)
{
    (void)what;
}
#endif

void spinlock_contended(struct spinlock *lock); /* lock.c: until it is taken */

NO_LOCK_ANALYSIS static inline void spinlock_acquire(struct spinlock *lock) ACQUIRES(*lock)
{
    lock_check_order(lock);
    if (atomic_exchange_u32(&lock->held, 1)) {
        spinlock_contended(lock);
    }
    lock_check_acquired(lock);
}

/* Take it if it is free; in any order. */
NO_LOCK_ANALYSIS static inline bool spinlock_try_acquire(struct spinlock *lock) TRY_ACQUIRES(true, *lock)
{
    if (__atomic_load_n(&lock->held, __ATOMIC_RELAXED) || atomic_exchange_u32(&lock->held, 1)) {
        return false;
    }
    lock_check_acquired(lock);
    return true;
}

/* The store is the last that is done with the lock: whoever takes it next may free it. */
NO_LOCK_ANALYSIS static inline void spinlock_release(struct spinlock *lock) RELEASES(*lock)
{
    lock_check_released(lock);
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#endif
