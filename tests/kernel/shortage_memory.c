/* Address space on Linux, with shortages (tests/kernel/shortage.h). */
#include "kernel/platform.h"

void *machine_reserve(size_t bytes);
void *machine_reserve_for_guest(size_t bytes);
enum status machine_commit(void *address, size_t bytes, enum protection protection);
enum status machine_populate(void *address, size_t bytes);
enum status machine_protect(void *address, size_t bytes, enum protection protection);
enum status machine_alias(void *window, void *source, size_t bytes);
enum status machine_map_copy(void *window, void *source, size_t bytes);
enum status machine_reset(void *address, size_t bytes, const void *source, size_t source_bytes);
enum status machine_discard(void *address, size_t bytes);

#define platform_reserve           machine_reserve
#define platform_reserve_for_guest machine_reserve_for_guest
#define platform_commit            machine_commit
#define platform_populate          machine_populate
#define platform_protect           machine_protect
#define platform_alias             machine_alias
#define platform_map_copy          machine_map_copy
#define platform_reset             machine_reset
#define platform_discard           machine_discard
#include "platform/linux/memory.c"
#undef platform_reserve
#undef platform_reserve_for_guest
#undef platform_commit
#undef platform_populate
#undef platform_protect
#undef platform_alias
#undef platform_map_copy
#undef platform_reset
#undef platform_discard

#include "tests/kernel/shortage.h"

void *platform_reserve(size_t bytes)
{
    return shortage_now() ? NULL : machine_reserve(bytes);
}

void *platform_reserve_for_guest(size_t bytes)
{
    return shortage_now() ? NULL : machine_reserve_for_guest(bytes);
}

enum status platform_commit(void *address, size_t bytes, enum protection protection)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_commit(address, bytes, protection);
}

enum status platform_populate(void *address, size_t bytes)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_populate(address, bytes);
}

enum status platform_protect(void *address, size_t bytes, enum protection protection)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_protect(address, bytes, protection);
}

enum status platform_alias(void *window, void *source, size_t bytes)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_alias(window, source, bytes);
}

enum status platform_map_copy(void *window, void *source, size_t bytes)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_map_copy(window, source, bytes);
}

enum status platform_reset(void *address, size_t bytes, const void *source, size_t source_bytes)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_reset(address, bytes, source, source_bytes);
}

enum status platform_discard(void *address, size_t bytes)
{
    return shortage_now() ? STATUS_NO_MEMORY : machine_discard(address, bytes);
}
