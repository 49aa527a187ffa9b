#include "engine/base.h"
#include "kernel/instance_parts.h"
#include "kernel/type_registry.h"

void global_object_register(struct process *process, struct global_object *global)
{
    if (type_may_refer_to_objects(global->type.value)) {
        global->next = process->globals;
        process->globals = global;
    }
}

enum status global_create(struct process *process, const struct global_type *type, union value value,
                          struct external *result)
{
    struct global_object *global = arena_allocate(&process->arena, sizeof(*global));
    if (!global) {
        return STATUS_NO_MEMORY;
    }
    global->type = *type;
    global->cell = global->own_cell;
    memcpy(global->cell, &value, sizeof(value));
    global_object_register(process, global);
    *result = (struct external){.kind = EXTERNAL_GLOBAL, .global = global};
    return STATUS_OK;
}

union value global_read(const struct external *global)
{
    union value value;
    memcpy(&value, global->global->cell, sizeof(value));
    return value;
}
