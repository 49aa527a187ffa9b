#include "kernel/handle.h"

enum status handle_insert(struct handle_table *table, struct handle handle, uint32_t *number)
{
    for (uint32_t i = 1; i < HANDLES_MAXIMUM; i++) {
        if (table->handles[i].kind == HANDLE_NONE) {
            table->handles[i] = handle;
            *number = i;
            return STATUS_OK;
        }
    }
    return STATUS_LIMIT;
}

enum status handle_find(struct handle_table *table, uint32_t number, enum handle_kind kind, uint32_t rights,
                        struct handle **result)
{
    if (number >= HANDLES_MAXIMUM || table->handles[number].kind != kind ||
        (table->handles[number].rights & rights) != rights) {
        return STATUS_BAD_HANDLE;
    }
    *result = &table->handles[number];
    return STATUS_OK;
}
