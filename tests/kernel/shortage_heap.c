/* The kernel heap, with shortages (tests/kernel/shortage.h). */
#include "kernel/heap.h"
#include "kernel/instance.h"

void *whole_allocate(size_t bytes);
void *whole_allocate_zeroed(size_t bytes);
char *whole_copy_text(const char *text);
extern const struct engine_allocator whole_engine_allocator;

#define kernel_allocate         whole_allocate
#define kernel_allocate_zeroed  whole_allocate_zeroed
#define kernel_copy_text        whole_copy_text
#define kernel_engine_allocator whole_engine_allocator
#include "kernel/heap.c"
#undef kernel_allocate
#undef kernel_allocate_zeroed
#undef kernel_copy_text
#undef kernel_engine_allocator

#include "tests/kernel/shortage.h"

void *kernel_allocate(size_t bytes)
{
    return shortage_now() ? NULL : whole_allocate(bytes);
}

void *kernel_allocate_zeroed(size_t bytes)
{
    return shortage_now() ? NULL : whole_allocate_zeroed(bytes);
}

char *kernel_copy_text(const char *text)
{
    return shortage_now() ? NULL : whole_copy_text(text);
}

static void *allocate_for_engine(void *context, size_t bytes)
{
    (void)context;
    return kernel_allocate(bytes);
}

const struct engine_allocator kernel_engine_allocator = {NULL, allocate_for_engine, engine_release, compiled_module_pause};
