/* A few buffers are kept, since a large block of the heap comes from the platform and goes back to it each time. */
#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/service_message.h"

#define IDLE_MAXIMUM 16

static struct spinlock idle_lock = SPINLOCK(LOCK_LEAF);
static void *idle[IDLE_MAXIMUM] GUARDED_BY(idle_lock);
static uint32_t idle_count GUARDED_BY(idle_lock);

static void *take_idle(void)
{
    spinlock_acquire(&idle_lock);
    void *buffer = idle_count ? idle[--idle_count] : NULL;
    spinlock_release(&idle_lock);
    return buffer;
}

void *service_buffer_take(void)
{
    void *buffer = take_idle();
    return buffer ? buffer : kernel_allocate(SERVICE_MESSAGE_BYTES);
}

void service_buffer_give(void *buffer)
{
    spinlock_acquire(&idle_lock);
    bool keep = idle_count < IDLE_MAXIMUM;
    if (keep) {
        idle[idle_count++] = buffer;
    }
    spinlock_release(&idle_lock);
    if (!keep) {
        kernel_free(buffer, SERVICE_MESSAGE_BYTES);
    }
}

void service_buffers_trim(void)
{
    for (void *buffer = take_idle(); buffer; buffer = take_idle()) {
        kernel_free(buffer, SERVICE_MESSAGE_BYTES);
    }
}
