#include "kernel/system.h"

#include "kernel/channel.h"
#include "kernel/heap.h"
#include "kernel/module_cache.h"
#include "kernel/object.h"
#include "kernel/platform.h"
#include "kernel/service.h"
#include "kernel/stack.h"

static uint64_t start_time;
static struct object the_system, the_clock;
static const char *platform_name = "unknown";

void system_set_platform_name(const char *name)
{
    platform_name = name;
}

const char *system_platform_name(void)
{
    return platform_name;
}

void system_note_start(void)
{
    start_time = platform_monotonic_nanoseconds();
    object_initialize(&the_system, OBJECT_SYSTEM, 0);
    object_initialize(&the_clock, OBJECT_CLOCK, 0);
}

uint64_t system_uptime_nanoseconds(void)
{
    return platform_monotonic_nanoseconds() - start_time;
}

struct object *system_object(void)
{
    return &the_system;
}

struct object *clock_object(void)
{
    return &the_clock;
}

/* The kernel's own reference stays. */
void system_object_closed(struct object *object)
{
    (void)object;
}

void system_object_destroy(struct object *object)
{
    (void)object;
}

void clock_object_closed(struct object *object)
{
    (void)object;
}

void clock_object_destroy(struct object *object)
{
    (void)object;
}

void system_trim(void)
{
    channel_collect();
    service_buffers_trim();
    module_cache_trim();
    kernel_stacks_trim();
    kernel_heap_trim();
}
