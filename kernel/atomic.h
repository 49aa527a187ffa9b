/* Changing what several CPUs change: atomic when there are several, and plain, which is a good deal quicker, as long as
 * only one was started. Kernel code is not preempted, so one CPU needs nothing. Not for what changes at interrupt time.
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

/* Set before a second CPU is started, and for ever. */
extern bool kernel_has_cpus;

/* What the value was before. */
static inline uint32_t atomic_exchange_u32(uint32_t *value, uint32_t to)
{
    if (kernel_has_cpus) {
        return __atomic_exchange_n(value, to, __ATOMIC_SEQ_CST);
    }
    uint32_t before = __atomic_load_n(value, __ATOMIC_RELAXED);
    __atomic_store_n(value, to, __ATOMIC_RELEASE);
    return before;
}

/* Add `by`, which may be negative; what the value was before. */
static inline uint32_t atomic_add_u32(uint32_t *value, int32_t by)
{
    if (kernel_has_cpus) {
        return __atomic_fetch_add(value, (uint32_t)by, __ATOMIC_SEQ_CST);
    }
    uint32_t before = __atomic_load_n(value, __ATOMIC_RELAXED);
    __atomic_store_n(value, before + (uint32_t)by, __ATOMIC_RELEASE);
    return before;
}

/* Add `by`, in no order to anything else; what the value is now. */
static inline uint64_t atomic_add_u64(uint64_t *value, uint64_t by)
{
    if (kernel_has_cpus) {
        return __atomic_add_fetch(value, by, __ATOMIC_RELAXED);
    }
    uint64_t now = __atomic_load_n(value, __ATOMIC_RELAXED) + by;
    __atomic_store_n(value, now, __ATOMIC_RELAXED);
    return now;
}

/* From *expected to `to`; else false, and *expected becomes what it is. */
static inline bool atomic_change_u32(uint32_t *value, uint32_t *expected, uint32_t to)
{
    if (kernel_has_cpus) {
        return __atomic_compare_exchange_n(value, expected, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    uint32_t now = __atomic_load_n(value, __ATOMIC_RELAXED);
    if (now != *expected) {
        *expected = now;
        return false;
    }
    __atomic_store_n(value, to, __ATOMIC_RELEASE);
    return true;
}

/* What this CPU stored is seen by the others before it loads anything more. */
static inline void atomic_fence(void)
{
    if (kernel_has_cpus) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
}

/* Store, and atomic_fence. */
static inline void atomic_store_u32(uint32_t *value, uint32_t to)
{
    if (kernel_has_cpus) {
        __atomic_store_n(value, to, __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(value, to, __ATOMIC_RELEASE);
    }
}

#endif
