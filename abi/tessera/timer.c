/* Time: timers, the clock, and what of it everybody may see. */
#include "kernel/timer.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/platform.h"

int64_t host_clock_read(struct instance *instance, uint32_t handle)
{
    struct object *clock;
    struct handle_table *table = caller_handles(instance);
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, NEEDS(clock_read), &clock);
    spinlock_release(&table->lock);
    return status == STATUS_OK ? (int64_t)platform_monotonic_nanoseconds() : tessera_result(status);
}

int64_t host_time_coarse(struct instance *instance)
{
    (void)instance;
    uint64_t now = platform_monotonic_nanoseconds();
    return (int64_t)(now - now % PROCESS_TIME_COARSE);
}

int32_t host_timer_create(struct instance *instance)
{
    struct object *timer = NULL;
    enum status status = timer_object_create(instance->process->account, &timer);
    return caller_give(instance, status, timer);
}

int32_t host_timer_set(struct instance *instance, uint32_t handle, uint64_t deadline, uint64_t period)
{
    struct object *timer;
    struct handle_table *table = caller_handles(instance);
    if (period > INT64_MAX) {
        return -TESSERA_EINVALID;
    }
    deadline = caller_deadline(instance, deadline);
    period = caller_deadline(instance, period);
    enum status status = handle_find(table, handle, NEEDS(timer_set), &timer);
    if (status == STATUS_OK) {
        timer_set(timer, deadline, period);
        object_release(timer);
    }
    return tessera_result(status);
}

int64_t host_timer_read(struct instance *instance, uint32_t handle)
{
    struct object *timer;
    uint64_t count = 0;
    struct handle_table *table = caller_handles(instance);
    enum status status = handle_find(table, handle, NEEDS(timer_read), &timer);
    if (status == STATUS_OK) {
        count = timer_read(timer);
        object_release(timer);
    }
    return status == STATUS_OK ? (int64_t)min_u64(count, INT64_MAX) : tessera_result(status);
}
