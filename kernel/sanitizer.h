/* What the checking builds have to be told, where they cannot know.
 *
 * The address sanitizer marks the gaps between locals, and clears its marks when functions return: stacks that are left
 * otherwise, or given back to the platform, keep them. And it knows no blocks but those of the C library: the kernel
 * heap forbids what is not given out. Granularity is 8 bytes.
 *
 * The thread sanitizer takes each thread of the machine for one thread, and has to hear of ours, which change places on
 * it: each is a fiber. A change orders what was done before it and what is done behind it, since both are done by one
 * CPU in turn. And its own code, which holds locks, is interrupted as ours is: what runs at interrupt time outside of
 * compiled code must be invisible to it, and is marked SANITIZER_AT_INTERRUPT. */
#ifndef KERNEL_SANITIZER_H
#define KERNEL_SANITIZER_H

#include <stddef.h>

#if __has_feature(address_sanitizer)
void __asan_poison_memory_region(void const volatile *address, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *address, size_t bytes);
#define SANITIZER_FORBID(address, bytes) __asan_poison_memory_region((address), (bytes))
#define SANITIZER_ALLOW(address, bytes)  __asan_unpoison_memory_region((address), (bytes))
#else
#define SANITIZER_FORBID(address, bytes) ((void)(address), (void)(bytes))
#define SANITIZER_ALLOW(address, bytes)  ((void)(address), (void)(bytes))
#endif

#if __has_feature(thread_sanitizer)
void *__tsan_create_fiber(unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_destroy_fiber(void *fiber);
struct sanitizer_fiber {
    void *fiber; /* NULL: the thread has not run yet */
};
#define SANITIZER_AT_INTERRUPT __attribute__((disable_sanitizer_instrumentation))
/* The calling context is the fiber's first one. */
static inline void sanitizer_fiber_adopt(struct sanitizer_fiber *fiber)
{
    fiber->fiber = __tsan_get_current_fiber();
}
/* Right before the stack is changed. */
static inline void sanitizer_fiber_switch(struct sanitizer_fiber *to)
{
    if (!to->fiber) {
        to->fiber = __tsan_create_fiber(0);
    }
    __tsan_switch_to_fiber(to->fiber, 0);
}
/* It does not run. */
static inline void sanitizer_fiber_end(struct sanitizer_fiber *fiber)
{
    if (fiber->fiber) {
        __tsan_destroy_fiber(fiber->fiber);
    }
}
#else
struct sanitizer_fiber {
};
#define SANITIZER_AT_INTERRUPT
static inline void sanitizer_fiber_adopt(struct sanitizer_fiber *fiber)
{
    (void)fiber;
}
static inline void sanitizer_fiber_switch(struct sanitizer_fiber *to)
{
    (void)to;
}
static inline void sanitizer_fiber_end(struct sanitizer_fiber *fiber)
{
    (void)fiber;
}
#endif

#endif
