#include "kernel/system.h"

static const char *platform_name = "unknown";

void system_set_platform_name(const char *name)
{
    platform_name = name;
}

const char *system_platform_name(void)
{
    return platform_name;
}
