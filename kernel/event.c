#include "kernel/event.h"

#include "engine/base.h"
#include "kernel/heap.h"

struct event {
    struct object object; /* first: its address is the event's */
};

enum status event_create(struct object **result)
{
    struct event *event = kernel_allocate(sizeof(*event));
    if (!event) {
        return STATUS_NO_MEMORY;
    }
    object_initialize(&event->object, OBJECT_EVENT, 0);
    *result = &event->object;
    return STATUS_OK;
}

void event_object_closed(struct object *object)
{
    (void)object; /* whoever waits still waits: his handle was closed meanwhile */
}

void event_object_destroy(struct object *object)
{
    kernel_free(object, sizeof(struct event));
}
