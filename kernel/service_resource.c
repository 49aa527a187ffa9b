#include "kernel/service_resource.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/port.h"
#include "kernel/thread.h"

/* LIVE: somebody has a handle, or it is being made. DUE: its destructor is to be called; the list has a reference.
 * GONE: that is done, or the process has ended; in no list. */
enum resource_state { RESOURCE_LIVE, RESOURCE_DUE, RESOURCE_GONE };

struct resource {
    struct object object;
    struct resource_home *home;          /* a reference */
    struct resource *next, *previous;    /* in the list of its state */
    const struct service_resource *type; /* good as long as the home is open */
    uint64_t identity;                   /* of the type */
    uint32_t representation;
    enum resource_state state;
};

struct resource_list {
    struct resource *first, *last;
};

struct resource_home {
    struct spinlock lock; /* guards all but the references */
    uint32_t references;
    bool closed;
    struct resource_list live, due;
    struct object *port; /* a reference; NULL: none yet */
};

static void list_remove(struct resource_list *list, struct resource *resource)
{
    *(resource->previous ? &resource->previous->next : &list->first) = resource->next;
    *(resource->next ? &resource->next->previous : &list->last) = resource->previous;
}

static void list_append(struct resource_list *list, struct resource *resource)
{
    resource->next = NULL;
    resource->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = resource;
    list->last = resource;
}

/* ---- Homes ---- */

struct resource_home *resource_home_create(void)
{
    struct resource_home *home = kernel_allocate_zeroed(sizeof(*home));
    if (home) {
        home->references = 1;
        spinlock_initialize(&home->lock, LOCK_PROCESS);
    }
    return home;
}

static void home_release(struct resource_home *home)
{
    if (atomic_add_u32(&home->references, -1) == 1) {
        kernel_free(home, sizeof(*home));
    }
}

/* One that is still in a list, out of it; with a reference if it was due. */
static struct resource *home_take_any(struct resource_home *home, bool *was_due)
{
    spinlock_acquire(&home->lock);
    home->closed = true;
    struct resource *resource = home->live.first ? home->live.first : home->due.first;
    *was_due = resource && resource->state == RESOURCE_DUE;
    if (resource) {
        list_remove(*was_due ? &home->due : &home->live, resource);
        resource->state = RESOURCE_GONE;
        object_signal(&resource->object, 0, SIGNAL_PEER_CLOSED);
    }
    spinlock_release(&home->lock);
    return resource;
}

void resource_home_close(struct resource_home *home)
{
    bool was_due;
    for (struct resource *resource; (resource = home_take_any(home, &was_due));) {
        if (was_due) {
            object_release(&resource->object);
        }
        thread_preemption_point();
    }
    if (home->port) {
        object_release(home->port);
    }
    home->port = NULL;
    home_release(home);
}

void resource_home_serve(struct resource_home *home, struct object *port)
{
    object_acquire(port);
    spinlock_acquire(&home->lock);
    struct object *old = home->port;
    home->port = port;
    spinlock_release(&home->lock);
    if (old) {
        object_release(old);
    }
}

bool resource_home_next(struct resource_home *home, const struct service_resource **type, uint32_t *representation)
{
    spinlock_acquire(&home->lock);
    struct resource *resource = home->due.first;
    if (resource) {
        list_remove(&home->due, resource);
        resource->state = RESOURCE_GONE;
        *type = resource->type;
        *representation = resource->representation;
    }
    spinlock_release(&home->lock);
    if (resource) {
        object_release(&resource->object);
    }
    return resource != NULL;
}

/* ---- Resources ---- */

enum status resource_create(struct resource_home *home, const struct service_resource *type, uint32_t representation,
                            struct account *account, struct object **result)
{
    enum status status = object_allocate(OBJECT_RESOURCE, sizeof(struct resource), account, 0, result);
    if (status != STATUS_OK) {
        return status;
    }
    struct resource *resource = (struct resource *)*result;
    resource->home = home;
    resource->type = type;
    resource->identity = type->type->identity;
    resource->representation = representation;
    atomic_add_u32(&home->references, 1);
    spinlock_acquire(&home->lock);
    list_append(&home->live, resource);
    spinlock_release(&home->lock);
    return STATUS_OK;
}

bool resource_is(const struct object *object, uint64_t identity)
{
    return object->type == OBJECT_RESOURCE && ((const struct resource *)object)->identity == identity;
}

uint64_t resource_identity(const struct object *object)
{
    return object->type == OBJECT_RESOURCE ? ((const struct resource *)object)->identity : 0;
}

bool resource_is_of(const struct object *object, const struct resource_home *home)
{
    return object->type == OBJECT_RESOURCE && ((const struct resource *)object)->home == home;
}

uint32_t resource_representation(const struct object *object)
{
    return ((const struct resource *)object)->representation;
}

bool resource_take(struct object *object)
{
    struct resource *resource = (struct resource *)object;
    struct resource_home *home = resource->home;
    spinlock_acquire(&home->lock);
    bool due = resource->state == RESOURCE_DUE;
    if (due) {
        list_remove(&home->due, resource);
        resource->state = RESOURCE_GONE;
    }
    spinlock_release(&home->lock);
    if (due) {
        object_release(object);
    }
    return due;
}

/* Those who wait for a call at the port look what there is to do; a wait set says that there is something. */
static void wake_servers(struct object *port)
{
    spinlock_acquire(&port->lock);
    port_handles_revoked(port);
    object_signal_locked(port, 0, SIGNAL_READABLE);
    spinlock_release(&port->lock);
}

void resource_object_closed(struct object *object)
{
    struct resource *resource = (struct resource *)object;
    struct resource_home *home = resource->home;
    struct object *port = NULL;
    spinlock_acquire(&home->lock);
    if (resource->state == RESOURCE_LIVE) {
        list_remove(&home->live, resource);
        list_append(&home->due, resource);
        resource->state = RESOURCE_DUE;
        object_acquire(object);
        port = home->port;
        if (port) {
            object_acquire(port);
        }
    }
    spinlock_release(&home->lock);
    if (port) {
        wake_servers(port);
        object_release(port);
    }
}

void resource_object_destroy(struct object *object)
{
    struct resource *resource = (struct resource *)object;
    struct resource_home *home = resource->home;
    spinlock_acquire(&home->lock);
    if (resource->state == RESOURCE_LIVE) { /* it never had a handle */
        list_remove(&home->live, resource);
    }
    spinlock_release(&home->lock);
    object_free(object);
    home_release(home);
}
