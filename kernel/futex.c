/* memory.atomic.wait and notify (proposal threads). Who waits is in the queue of its memory object, first come first,
 * with the address; so it does not matter through which instance and window a memory is seen. A queue is never longer
 * than there are threads that have the memory, which the limit of threads bounds.
 *
 * The comparison is made with the lock of the queue held, after thread_wait_begin: so a notify that follows a change of
 * the value finds whoever saw the old one. */
#include "engine/base.h"
#include "kernel/builtins.h"
#include "kernel/cpu.h"
#include "kernel/instance_parts.h"
#include "kernel/trace.h"

enum { FUTEX_WOKEN, FUTEX_NOT_EQUAL, FUTEX_TIMED_OUT };

static struct memory_object *checked_memory(struct instance *instance, uint32_t memory, uint64_t address,
                                            uint64_t bytes)
{
    struct memory_object *object = instance->memories[memory];
    if (address % bytes) { /* first, as at the other atomic instructions */
        instance_trap(instance, TRAP_UNALIGNED_ATOMIC, NULL);
    }
    uint64_t size = memory_object_bytes(object);
    if (address > size || bytes > size - address) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, NULL);
    }
    return object;
}

static void leave(struct thread *thread, struct memory_object *memory) REQUIRES(memory->waiting_lock)
{
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

static void enter(struct thread *thread, struct memory_object *memory, uint64_t address) REQUIRES(memory->waiting_lock)
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

/* Sleep if the value is still the expected one: whoever changed it notifies afterwards, and needs the lock. The address
 * was checked, and written or read at least once: it has a page. */
static uint32_t wait(struct memory_object *memory, uint64_t address, uint64_t expected, size_t bytes, uint64_t timeout)
{
    struct thread *thread = thread_current();
    volatile const uint8_t *place = memory->base + address;
    (void)*place; /* its page may have no frame, and then the guest ends here: not with the lock held */
    uint64_t deadline = process_visible_deadline(thread->process, wait_deadline((int64_t)timeout));
    thread_wait_begin();
    spinlock_acquire(&memory->waiting_lock);
    uint64_t value = bytes == sizeof(uint32_t) ? __atomic_load_n((const volatile uint32_t *)place, __ATOMIC_SEQ_CST)
                                               : __atomic_load_n((const volatile uint64_t *)place, __ATOMIC_SEQ_CST);
    if (value == expected) {
        enter(thread, memory, address);
    }
    spinlock_release(&memory->waiting_lock);
    if (value != expected) {
        thread_wait_cancel();
        return FUTEX_NOT_EQUAL;
    }
    TRACE(FUTEX_WAIT, address, 0);
    thread_wait_finish(deadline);
    spinlock_acquire(&memory->waiting_lock);
    bool woken = thread->futex_woken;
    if (thread->futex_memory) {
        leave(thread, memory);
    }
    spinlock_release(&memory->waiting_lock);
    thread_end_if_asked();
    return woken ? FUTEX_WOKEN : FUTEX_TIMED_OUT;
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
    return wait(shared_memory(instance, memory, address, sizeof(uint32_t)), address, expected, sizeof(uint32_t),
                timeout);
}

uint32_t builtin_memory_wait64(struct instance *instance, uint32_t memory, uint64_t address, uint64_t expected,
                               uint64_t timeout)
{
    return wait(shared_memory(instance, memory, address, sizeof(uint64_t)), address, expected, sizeof(uint64_t),
                timeout);
}

uint32_t builtin_memory_notify(struct instance *instance, uint32_t memory, uint64_t address, uint32_t count)
{
    struct memory_object *object = checked_memory(instance, memory, address, sizeof(uint32_t));
    uint32_t woken = 0;
    spinlock_acquire(&object->waiting_lock);
    for (struct thread *thread = object->waiting_first, *next; thread && woken < count; thread = next) {
        next = thread->futex_next;
        if (thread->futex_address == address) {
            leave(thread, object);
            thread->futex_woken = true;
            thread_wake(thread); /* if not, its time is over too, and it did not run yet */
            woken++;
        }
    }
    spinlock_release(&object->waiting_lock);
    TRACE(FUTEX_NOTIFY, address, woken);
    return woken;
}
