#include "kernel/status.h"

#define KERNEL_STATUS_TEXT(name, text) [STATUS_##name] = text,
static const char *const texts[] = {KERNEL_STATUSES(KERNEL_STATUS_TEXT)};
#undef KERNEL_STATUS_TEXT

const char *status_text(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? texts[status] : "unknown status";
}
