/* The tree of grants to one object (kernel/handle.h), guarded by the object's lock.
 *
 * A grant that was closed stays as long as at least two grants hang on it, since whoever revokes one further up, or it
 * itself when it was still there, means them all. With one child left it says nothing that the child's own place does
 * not say, so the child takes its place; with none it goes. So each operation but revoking changes a constant number of
 * grants. */
#include "engine/base.h"
#include "kernel/handle.h"
#include "kernel/heap.h"
#include "kernel/port.h"

void grant_release(struct grant *grant)
{
    if (atomic_add_u32(&grant->references, -1) == 1) {
        struct object *object = grant->object;
        kernel_free(grant, sizeof(*grant));
        object_release(object);
    }
}

static struct grant *grant_allocate(struct object *object, uint32_t rights, bool is_handle)
{
    struct grant *grant = kernel_allocate_zeroed(sizeof(*grant));
    if (grant) {
        grant->object = object;
        grant->rights = rights;
        grant->is_handle = is_handle;
        grant->references = 1;
        object_acquire(object);
    }
    return grant;
}

enum status grant_create(struct object *object, uint32_t rights, struct grant **result)
{
    struct grant *grant = grant_allocate(object, rights & object_types[object->type].rights, true);
    if (!grant) {
        return STATUS_NO_MEMORY;
    }
    spinlock_acquire(&object->lock);
    object->handle_count++;
    spinlock_release(&object->lock);
    *result = grant;
    return STATUS_OK;
}

enum status grant_derive(struct grant *source, uint32_t rights, bool is_handle, void (*undo)(struct grant *grant),
                         struct grant **result)
{
    struct object *object = source->object;
    struct grant *grant = grant_allocate(object, rights & source->rights, is_handle);
    if (!grant) {
        return STATUS_NO_MEMORY;
    }
    grant->undo = undo;
    spinlock_acquire(&object->lock);
    bool revoked = source->revoked;
    if (!revoked) {
        grant->parent = source;
        grant->next = source->child;
        if (grant->next) {
            grant->next->previous = grant;
        }
        source->child = grant;
        object->handle_count += is_handle;
    }
    spinlock_release(&object->lock);
    if (revoked) {
        grant_release(grant);
        return STATUS_BAD_HANDLE;
    }
    *result = grant;
    return STATUS_OK;
}

/* ---- Closing ---- */

/* Its place among its siblings becomes `other`'s, or nobody's (NULL). */
static void replace(struct grant *grant, struct grant *other)
{
    if (other) {
        other->parent = grant->parent;
        other->next = grant->next;
        other->previous = grant->previous;
    }
    if (grant->previous) {
        grant->previous->next = other ? other : grant->next;
    } else if (grant->parent) {
        grant->parent->child = other ? other : grant->next;
    }
    if (grant->next) {
        grant->next->previous = other ? other : grant->previous;
    }
    grant->parent = grant->child = grant->next = grant->previous = NULL;
}

/* Out of the tree, unless two children hang on it. True: it is out. */
static bool leave(struct grant *grant)
{
    if (grant->child && grant->child->next) {
        return false;
    }
    replace(grant, grant->child);
    return true;
}

void grant_drop(struct grant *grant)
{
    struct object *object = grant->object;
    struct grant *parent = NULL;
    bool last = false, out = true, parent_out = false;
    spinlock_acquire(&object->lock);
    if (!grant->revoked) {
        last = grant->is_handle && --object->handle_count == 0;
        parent = grant->parent;
        out = leave(grant);
        grant->closed = true;
        /* Had it two children, it has at least one. */
        parent_out = out && parent && parent->closed && leave(parent);
    }
    spinlock_release(&object->lock);
    if (last) {
        object_types[object->type].closed(object);
    }
    if (parent_out) {
        grant_release(parent);
    }
    if (out) {
        grant_release(grant);
    }
}

/* ---- Revoking ---- */

/* Takes the leaf out of the tree and makes it invalid. One that needs an end outside of the lock goes to `list`, by
 * `next`: those that are closed, and those with something to undo. */
static void kill_leaf(struct grant *leaf, struct grant **list)
{
    struct grant *parent = leaf->parent;
    parent->child = leaf->next;
    if (leaf->next) {
        leaf->next->previous = NULL;
    }
    leaf->parent = leaf->next = leaf->previous = NULL;
    __atomic_store_n(&leaf->revoked, 1, __ATOMIC_RELEASE);
    leaf->object->handle_count -= leaf->is_handle && !leaf->closed;
    if (!leaf->closed && leaf->undo) {
        grant_acquire(leaf);
    }
    if (leaf->closed || leaf->undo) {
        leaf->next = *list;
        *list = leaf;
    }
}

void grant_revoke(struct grant *grant)
{
    struct object *object = grant->object;
    struct grant *list = NULL;
    spinlock_acquire(&object->lock);
    bool had_handles = object->handle_count != 0;
    bool any = grant->child != NULL;
    for (struct grant *leaf = grant; grant->child;) {
        while (leaf->child) {
            leaf = leaf->child;
        }
        struct grant *parent = leaf->parent;
        kill_leaf(leaf, &list);
        leaf = parent;
    }
    if (any) {
        object_notify_all(object);
        if (object->type == OBJECT_PORT) {
            port_handles_revoked(object);
        }
    }
    /* What is revoked may be no handle itself, and its owner's handle closed meanwhile. */
    bool last = had_handles && object->handle_count == 0;
    spinlock_release(&object->lock);
    if (last) {
        object_types[object->type].closed(object);
    }
    while (list) {
        struct grant *next = list->next;
        if (!list->closed) {
            list->undo(list);
        }
        grant_release(list);
        list = next;
    }
}
