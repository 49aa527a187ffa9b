#include "kernel/thread_object.h"

#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"

struct thread_object {
    struct object object; /* its lock guards the rest */
    enum thread_object_state state;
    struct thread *thread; /* THREAD_OBJECT_RUNNING */
    uint32_t process;      /* its number */
    uint32_t priority_limit;
    bool keeps_together; /* the process stays on one CPU */

    /* What was asked for. */
    bool killed, suspended;
    bool stays; /* its thread waits, or is about to, because it is suspended */
    uint32_t priority;
    uint64_t affinity; /* 0: as the process has it */

    /* THREAD_OBJECT_ENDED */
    enum trap trap;
    uint64_t run_time;
    uint32_t number;
};

static struct thread_object *thread_of(struct object *object)
{
    return (struct thread_object *)object;
}

enum status thread_object_create(struct process *process, struct object **result)
{
    enum status status = object_allocate(OBJECT_THREAD, sizeof(struct thread_object), process->account, 0, result);
    if (status == STATUS_OK) {
        struct thread_object *object = thread_of(*result);
        object->process = process->id;
        object->priority_limit = process->priority_limit;
        object->priority = (uint32_t)min_u64(process->priority_limit, PRIORITY_NORMAL);
        object->keeps_together = process->heap != NULL;
    }
    return status;
}

/* The thread looks at `bit` of what is pending before wasm code goes on. With the object's lock. */
static void set_pending(struct thread *thread, uint32_t bit, bool on)
{
    if (on) {
        __atomic_or_fetch(&thread->area.pending, bit, __ATOMIC_SEQ_CST);
    } else {
        __atomic_and_fetch(&thread->area.pending, ~bit, __ATOMIC_SEQ_CST);
    }
}

static void ask_for_end(struct thread *thread)
{
    __atomic_store_n(&thread->end_request, TRAP_KILLED, __ATOMIC_SEQ_CST);
    thread_notice(thread);
}

void thread_object_attach(struct object *object)
{
    struct thread_object *self = thread_of(object);
    struct thread *thread = thread_current();
    thread->object = object;
    thread_set_priority(thread, self->priority);
    spinlock_acquire(&object->lock);
    self->thread = thread;
    self->state = THREAD_OBJECT_RUNNING;
    uint64_t affinity = self->affinity;
    set_pending(thread, PENDING_SUSPENDED, self->suspended);
    if (self->killed) {
        ask_for_end(thread);
    }
    spinlock_release(&object->lock);
    if (affinity) {
        thread_set_affinity(thread, affinity);
    }
}

void thread_object_detach(enum trap trap)
{
    struct thread *thread = thread_current();
    struct object *object = thread->object;
    if (!object) {
        return;
    }
    struct thread_object *self = thread_of(object);
    spinlock_acquire(&object->lock);
    self->thread = NULL;
    self->state = THREAD_OBJECT_ENDED;
    self->trap = trap;
    self->number = thread->number;
    self->run_time = thread_run_time(thread);
    self->affinity = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED);
    self->suspended = false;
    set_pending(thread, PENDING_SUSPENDED, false);
    object_signal_begin(object, 0, SIGNAL_EXITED);
    spinlock_release(&object->lock);
    thread->object = NULL;
    object_notify_rest(object);
    object_release(object);
}

enum status thread_object_current(struct object **result)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;
    if (!thread->object) {
        if (thread->member != process && !process->program) {
            return STATUS_NOT_SUPPORTED;
        }
        struct object *object;
        enum status status = thread_object_create(process, &object);
        if (status != STATUS_OK) {
            return status;
        }
        thread_of(object)->priority = thread->own_priority;
        thread_object_attach(object);
    }
    *result = thread->object;
    object_acquire(*result);
    return STATUS_OK;
}

/* ---- What is asked of it ---- */

void thread_object_kill(struct object *object)
{
    struct thread_object *self = thread_of(object);
    spinlock_acquire(&object->lock);
    self->killed = true;
    if (self->thread) {
        ask_for_end(self->thread);
    }
    spinlock_release(&object->lock);
}

enum status thread_object_suspend(struct object *object)
{
    struct thread_object *self = thread_of(object);
    spinlock_acquire(&object->lock);
    bool ended = self->state == THREAD_OBJECT_ENDED;
    self->suspended = !ended;
    if (self->thread) {
        set_pending(self->thread, PENDING_SUSPENDED, true);
        thread_interrupt(self->thread);
    }
    spinlock_release(&object->lock);
    return ended ? STATUS_CLOSED : STATUS_OK;
}

enum status thread_object_resume(struct object *object)
{
    struct thread_object *self = thread_of(object);
    spinlock_acquire(&object->lock);
    bool ended = self->state == THREAD_OBJECT_ENDED;
    self->suspended = false;
    if (self->thread) {
        set_pending(self->thread, PENDING_SUSPENDED, false);
        if (self->stays) {
            thread_wake(self->thread);
        }
    }
    spinlock_release(&object->lock);
    return ended ? STATUS_CLOSED : STATUS_OK;
}

void thread_object_stay(struct thread *thread)
{
    struct object *object = thread->object;
    struct thread_object *self = thread_of(object);
    for (;;) {
        spinlock_acquire(&object->lock);
        self->stays = self->suspended;
        if (self->stays) {
            thread_wait_begin();
        }
        spinlock_release(&object->lock);
        if (!self->stays) { /* only this thread changes it */
            return;
        }
        enum wait_result result = thread_wait_finish(UINT64_MAX);
        spinlock_acquire(&object->lock);
        self->stays = false;
        spinlock_release(&object->lock);
        if (result == WAIT_ENDS) {
            return;
        }
    }
}

enum status thread_object_set_priority(struct object *object, enum thread_priority priority)
{
    struct thread_object *self = thread_of(object);
    enum status status = STATUS_OK;
    spinlock_acquire(&object->lock);
    if (priority > self->priority_limit) {
        status = STATUS_DENIED;
    } else if (self->state == THREAD_OBJECT_ENDED) {
        status = STATUS_CLOSED;
    } else {
        self->priority = priority;
        if (self->thread) {
            thread_set_priority(self->thread, priority);
        }
    }
    spinlock_release(&object->lock);
    return status;
}

enum status thread_object_set_affinity(struct object *object, uint64_t cpus)
{
    struct thread_object *self = thread_of(object);
    bool own = false;
    enum status status = STATUS_OK;
    spinlock_acquire(&object->lock);
    if (self->keeps_together) {
        status = STATUS_BUSY;
    } else if (self->state == THREAD_OBJECT_ENDED) {
        status = STATUS_CLOSED;
    } else {
        self->affinity = cpus;
        own = self->thread == thread_current();
        if (self->thread && !own) {
            thread_set_affinity(self->thread, cpus);
            thread_interrupt(self->thread); /* it moves now */
        }
    }
    spinlock_release(&object->lock);
    if (own) {
        thread_set_affinity(thread_current(), cpus);
    }
    return status;
}

void thread_object_information(struct object *object, struct thread_object_information *information)
{
    const struct thread_object *self = thread_of(object);
    spinlock_acquire(&object->lock);
    const struct thread *thread = self->thread;
    *information = (struct thread_object_information){
        .state = self->state,
        .suspended = self->suspended,
        .waits = thread && __atomic_load_n(&thread->state, __ATOMIC_RELAXED) == THREAD_WAITING,
        .process = self->process,
        .number = thread ? thread->number : self->number,
        .priority = self->priority,
        .affinity = thread ? __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED) : self->affinity,
        .run_time = thread ? thread_run_time(thread) : self->run_time,
        .trap = self->trap,
    };
    spinlock_release(&object->lock);
}

/* ---- The object ---- */

void thread_object_closed(struct object *object)
{
    (void)object;
}

void thread_object_destroy(struct object *object)
{
    object_free(object);
}
