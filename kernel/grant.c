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
#include "kernel/thread.h"

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

/* A grant that was allocated gets its place below `source`. False: that is revoked. */
static bool take_place(struct grant *grant, struct grant *source)
{
    struct object *object = source->object;
    spinlock_acquire(&object->lock);
    bool revoked = source->revoked;
    if (!revoked) {
        grant->parent = source;
        grant->next = source->child;
        if (grant->next) {
            grant->next->previous = grant;
        }
        source->child = grant;
        object->handle_count += grant->is_handle;
    }
    spinlock_release(&object->lock);
    return !revoked;
}

enum status grant_derive(struct grant *source, uint32_t rights, bool is_handle, bool (*undo)(struct grant *grant),
                         struct grant **result)
{
    struct grant *grant = grant_allocate(source->object, rights & source->rights, is_handle);
    if (!grant) {
        return STATUS_NO_MEMORY;
    }
    grant->undo = undo;
    if (!take_place(grant, source)) {
        grant_release(grant);
        return STATUS_BAD_HANDLE;
    }
    *result = grant;
    return STATUS_OK;
}

enum status grant_lend(struct grant *source, struct grant **result)
{
    struct grant *grant = grant_allocate(source->object, source->rights, true);
    if (!grant) {
        return STATUS_NO_MEMORY;
    }
    grant->revokers = 1;
    if (!take_place(grant, source)) {
        grant_release(grant);
        return STATUS_BAD_HANDLE;
    }
    grant_acquire(grant); /* nobody else knows it yet but those who revoke, who do not release what has an owner */
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

/* Out of the tree, unless two children hang on it, or revoking is at it: then that takes it out. True: it is out. */
static bool leave(struct grant *grant)
{
    if (grant->revoked || grant->revokers || (grant->child && grant->child->next)) {
        return false;
    }
    replace(grant, grant->child);
    return true;
}

/* The same, and then its parent if that was closed. What is out is put to `list`, by `next`, to be released. */
static bool leave_with_parent(struct grant *grant, struct grant **list)
{
    struct grant *parent = grant->parent;
    if (!leave(grant)) {
        return false;
    }
    grant->next = *list;
    *list = grant;
    if (parent && parent->closed && leave(parent)) { /* had it two children, it has at least one */
        parent->next = *list;
        *list = parent;
    }
    return true;
}

static void release_all(struct grant *list)
{
    while (list) {
        struct grant *next = list->next;
        list->next = NULL;
        grant_release(list);
        list = next;
    }
}

void grant_drop(struct grant *grant)
{
    struct object *object = grant->object;
    struct grant *list = NULL;
    bool last = false, dead;
    spinlock_acquire(&object->lock);
    dead = grant->dead;
    if (!grant->revoked) {
        last = grant->is_handle && --object->handle_count == 0;
    }
    if (!dead) {
        grant->closed = true;
        leave_with_parent(grant, &list);
    }
    spinlock_release(&object->lock);
    if (last) {
        object_types[object->type].closed(object);
    }
    if (dead) {
        grant_release(grant);
    }
    release_all(list);
}

/* ---- Revoking ----
 *
 * From the top down everything is made invalid, so that nothing more is derived from it; from the bottom up what is
 * invalid is taken out, and so what stays is a tree at any time. The lock is given back in between: `position` is where
 * it goes on, a grant that is invalid, and so in the tree until somebody who revokes takes it out. */

#define PIECE_STEPS 64 /* grants that are made invalid, or taken out, while the lock is held */

struct revocation {
    struct grant *root, *position; /* a reference to `position`, if it is not the root */
    struct grant *list;            /* to be released */
    bool any, last;                /* there was something; the last handle is gone */
};

static void invalidate(struct revocation *revocation, struct grant *grant)
{
    struct object *object = grant->object;
    if (!grant->revoked) {
        __atomic_store_n(&grant->revoked, 1, __ATOMIC_RELEASE);
        revocation->last |= grant->is_handle && !grant->closed && --object->handle_count == 0;
        revocation->any = true;
    }
}

static bool has_undo(const struct grant *grant)
{
    return grant->undo && !grant->closed;
}

/* Take out one that has no children, when what was made through it is undone. */
static void kill_leaf(struct revocation *revocation, struct grant *leaf)
{
    replace(leaf, NULL);
    __atomic_store_n(&leaf->dead, 1, __ATOMIC_RELEASE);
    if (leaf->closed) {
        leaf->next = revocation->list;
        revocation->list = leaf;
    }
}

/* One piece of it. False: there is nothing left. */
static bool revoke_piece(struct revocation *revocation)
{
    struct grant *root = revocation->root;
    struct grant *at = revocation->position->dead ? root : revocation->position;
    for (uint32_t steps = 0; root->child && steps < PIECE_STEPS; steps++) {
        if (at->child) {
            at = at->child;
            invalidate(revocation, at);
        } else {
            struct grant *leaf = at;
            bool undoes = has_undo(leaf);
            if (undoes && leaf->undo(leaf)) {
                break; /* the rest of it is a piece of its own */
            }
            at = leaf->parent;
            kill_leaf(revocation, leaf);
            steps = undoes ? PIECE_STEPS : steps;
        }
    }
    revocation->position = at;
    if (at != root) {
        grant_acquire(at);
    }
    return root->child != NULL;
}

/* A root that is to die with what was derived from it: nothing more is from now on. */
static void invalidate_root(struct revocation *revocation)
{
    struct grant *root = revocation->root;
    if (root->closed) { /* that it is invalid, nobody sees */
        __atomic_store_n(&root->revoked, 1, __ATOMIC_RELEASE);
    } else {
        invalidate(revocation, root);
    }
}

/* It is a leaf now. Its parent may have been closed, and have stayed for its sake. */
static void kill_root(struct revocation *revocation)
{
    struct grant *root = revocation->root, *parent = root->parent;
    while (has_undo(root) && root->undo(root)) {
    }
    kill_leaf(revocation, root);
    if (parent && parent->closed && leave(parent)) {
        parent->next = revocation->list;
        revocation->list = parent;
    }
}

/* All of it is gone: whoever waits for the object looks again. The root may have been closed meanwhile. */
static void conclude(struct object *object, struct revocation *revocation, bool dies) REQUIRES(object->lock)
{
    struct grant *root = revocation->root;
    if (revocation->any) {
        object_notify_all_begin(object);
        if (object->type == OBJECT_PORT) {
            port_handles_revoked(object);
        }
    }
    root->revokers--;
    if (dies && !root->dead) {
        kill_root(revocation);
    } else if (!dies && root->closed) {
        leave_with_parent(root, &revocation->list);
    }
}

/* `dies`: the grant itself, too, of which the caller is one of the revokers already. */
static void revoke(struct grant *grant, bool dies)
{
    struct object *object = grant->object;
    struct revocation revocation = {.root = grant, .position = grant};
    bool more = true;
    for (bool first = true; more; first = false) {
        struct grant *before = revocation.position;
        spinlock_acquire(&object->lock);
        if (first && dies) {
            invalidate_root(&revocation);
        }
        grant->revokers += first && !dies;
        more = revoke_piece(&revocation);
        if (!more) {
            conclude(object, &revocation, dies);
        }
        spinlock_release(&object->lock);
        if (before != grant) {
            grant_release(before);
        }
        release_all(revocation.list);
        revocation.list = NULL;
        if (more || !dies) {
            thread_preemption_point();
        }
    }
    object_notify_rest(object);
    /* What is revoked may be no handle itself, and its owner's handle closed meanwhile. */
    if (revocation.last) {
        object_types[object->type].closed(object);
    }
    grant_release(grant);
}

void grant_revoke(struct grant *grant)
{
    grant_acquire(grant);
    revoke(grant, false);
}

void grant_end_loan(struct grant *grant)
{
    revoke(grant, true);
}
