#include "kernel/event.h"

struct event {
    struct object object; /* its signal is all that it has */
};

enum status event_create(struct account *account, bool exclusive, struct object **result)
{
    enum status status = object_allocate(OBJECT_EVENT, sizeof(struct event), account, 0, result);
    if (status == STATUS_OK) {
        (*result)->exclusive = exclusive;
    }
    return status;
}

void event_object_closed(struct object *object)
{
    (void)object; /* who waits still waits: his handle was closed meanwhile */
}

void event_object_destroy(struct object *object)
{
    object_free(object);
}
