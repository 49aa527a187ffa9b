/* memory.atomic.wait and notify (proposal threads). Who waits is in the queue of its memory object, first come first,
 * with the address; so it does not matter through which instance and window a memory is seen. A queue is never longer
 * than there are threads that have the memory, which the limit of threads bounds.
 *
 * Between the comparison and the sleep nothing else runs: kernel code is not preempted, and there is one CPU. */
#include "engine/base.h"
#include "kernel/builtins.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"

enum { WAIT_WOKEN, WAIT_NOT_EQUAL, WAIT_TIMED_OUT };

static struct memory_object *checked_memory(struct instance *instance, uint32_t memory, uint64_t address,
                                            uint64_t bytes)
{
    struct memory_object *object = instance->memories[memory];
    if (address > object->bytes || bytes > object->bytes - address) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, NULL);
    }
    if (address % bytes) {
        instance_trap(instance, TRAP_UNALIGNED_ATOMIC, NULL);
    }
    return object;
}

void futex_leave(struct thread *thread)
{
    struct memory_object *memory = thread->futex_memory;
    if (!memory) {
        return;
    }
    struct thread *previous = NULL, **link = &memory->waiting_first;
    while (*link != thread) {
        previous = *link;
        link = &previous->futex_next;
    }
    *link = thread->futex_next;
    if (memory->waiting_last == thread) {
        memory->waiting_last = previous;
    }
    thread->futex_memory = NULL;
}

static void enter(struct thread *thread, struct memory_object *memory, uint64_t address)
{
    thread->futex_memory = memory;
    thread->futex_address = address;
    thread->futex_woken = false;
    thread->futex_next = NULL;
    if (memory->waiting_first) {
        memory->waiting_last->futex_next = thread;
    } else {
        memory->waiting_first = thread;
    }
    memory->waiting_last = thread;
}

/* The time that a wait ends, by itself; too far away is for ever. */
static uint64_t wait_deadline(int64_t timeout)
{
    uint64_t now = platform_monotonic_nanoseconds();
    return timeout < 0 ? UINT64_MAX : now + min_u64((uint64_t)timeout, UINT64_MAX - now);
}

static uint32_t wait(struct memory_object *memory, uint64_t address, uint64_t timeout)
{
    struct thread *thread = thread_current();
    enter(thread, memory, address);
    thread_sleep_until(wait_deadline((int64_t)timeout));
    return thread->futex_woken ? WAIT_WOKEN : WAIT_TIMED_OUT;
}

static struct memory_object *shared_memory(struct instance *instance, uint32_t memory, uint64_t address, uint64_t bytes)
{
    struct memory_object *object = checked_memory(instance, memory, address, bytes);
    if (!object->type.limits.shared) {
        instance_trap(instance, TRAP_EXPECTED_SHARED, NULL);
    }
    return object;
}

uint32_t builtin_memory_wait32(struct instance *instance, uint32_t memory, uint64_t address, uint32_t expected,
                               uint64_t timeout)
{
    struct memory_object *object = shared_memory(instance, memory, address, sizeof(uint32_t));
    uint32_t value;
    memcpy(&value, object->base + address, sizeof(value));
    return value == expected ? wait(object, address, timeout) : WAIT_NOT_EQUAL;
}

uint32_t builtin_memory_wait64(struct instance *instance, uint32_t memory, uint64_t address, uint64_t expected,
                               uint64_t timeout)
{
    struct memory_object *object = shared_memory(instance, memory, address, sizeof(uint64_t));
    uint64_t value;
    memcpy(&value, object->base + address, sizeof(value));
    return value == expected ? wait(object, address, timeout) : WAIT_NOT_EQUAL;
}

uint32_t builtin_memory_notify(struct instance *instance, uint32_t memory, uint64_t address, uint32_t count)
{
    struct memory_object *object = checked_memory(instance, memory, address, sizeof(uint32_t));
    uint32_t woken = 0;
    for (struct thread *thread = object->waiting_first, *next; thread && woken < count; thread = next) {
        next = thread->futex_next;
        if (thread->futex_address == address) {
            futex_leave(thread);
            thread->futex_woken = true;
            if (thread->state == THREAD_WAITING) { /* else its time is over too, and it did not run yet */
                scheduler_wake(thread);
            }
            woken++;
        }
    }
    return woken;
}
