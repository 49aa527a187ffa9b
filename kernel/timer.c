#include "kernel/timer.h"

#include "engine/base.h"
#include "kernel/platform.h"

struct timer {
    struct object object; /* SIGNAL_SIGNALED: its time has come. Its lock guards the rest */
    uint64_t deadline;    /* the next, or the first that was not read; UINT64_MAX: none */
    uint64_t period;
};

enum status timer_object_create(struct account *account, struct object **result)
{
    enum status status = object_allocate(OBJECT_TIMER, sizeof(struct timer), account, 0, result);
    if (status == STATUS_OK) {
        ((struct timer *)*result)->deadline = UINT64_MAX;
    }
    return status;
}

void timer_set(struct object *object, uint64_t deadline, uint64_t period)
{
    struct timer *timer = (struct timer *)object;
    spinlock_acquire(&object->lock);
    timer->deadline = deadline;
    timer->period = period;
    object_signal_locked(object, SIGNAL_SIGNALED, 0);
    object_notify_all_begin(object);
    spinlock_release(&object->lock);
    object_notify_rest(object);
}

uint64_t timer_read(struct object *object)
{
    struct timer *timer = (struct timer *)object;
    uint64_t now = platform_monotonic_nanoseconds(), count = 0;
    spinlock_acquire(&object->lock);
    if (timer->deadline <= now) {
        count = timer->period ? (now - timer->deadline) / timer->period + 1 : 1;
        if (!timer->period || __builtin_add_overflow(timer->deadline, count * timer->period, &timer->deadline)) {
            timer->deadline = UINT64_MAX;
        }
        object_signal_locked(object, SIGNAL_SIGNALED, 0);
        object_notify_all_begin(object); /* they wait for the next time now */
    }
    spinlock_release(&object->lock);
    object_notify_rest(object);
    return count;
}

void timer_look(struct object *object, uint64_t *deadline)
{
    const struct timer *timer = (const struct timer *)object;
    if (timer->deadline > *deadline || timer->deadline == UINT64_MAX || (object->signals & SIGNAL_SIGNALED)) {
        return;
    }
    if (timer->deadline <= platform_monotonic_nanoseconds()) {
        object_signal_locked(object, 0, SIGNAL_SIGNALED);
    } else {
        *deadline = timer->deadline;
    }
}

void timer_object_closed(struct object *object)
{
    (void)object;
}

void timer_object_destroy(struct object *object)
{
    object_free(object);
}
