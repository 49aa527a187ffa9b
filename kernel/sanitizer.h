/* What the checking build has to be told: which memory may be touched, where it cannot know.
 *
 * The address sanitizer marks the gaps between locals, and clears its marks when functions return: stacks that are left
 * otherwise, or given back to the platform, keep them. And it knows no blocks but those of the C library: the kernel
 * heap forbids what is not given out. Granularity is 8 bytes. */
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

#endif
