#include "kernel/system.h"

#include "kernel/platform.h"

static uint64_t start_time;
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
}

uint64_t system_uptime_nanoseconds(void)
{
    return platform_monotonic_nanoseconds() - start_time;
}
