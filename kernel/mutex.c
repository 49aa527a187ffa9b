/* A free mutex is taken with one compare-exchange. Else the thread looks for a while, as most are held shortly, and
 * then sleeps in the queue. Who gives it back wakes the first of the queue, which tries again: a thread that runs and
 * wants it meanwhile may be first, so nobody has to be switched to. */
#include "kernel/mutex.h"

#include "engine/base.h"
#include "kernel/cpu.h"

#define LOOKS 200 /* before it sleeps */

/* Before the CPU has a record there is one context, which never waits. */
static struct thread *self(void)
{
    static struct thread no_thread;
    return platform_cpu() ? thread_current() : &no_thread;
}

void mutex_initialize(struct mutex *mutex)
{
    *mutex = (struct mutex){.lock = SPINLOCK(LOCK_MUTEX)};
}

static bool try_acquire(struct mutex *mutex, struct thread *thread)
{
    struct thread *nobody = NULL;
    if (!__atomic_compare_exchange_n(&mutex->owner, &nobody, thread, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return false;
    }
    mutex->held_next = thread->held_mutexes;
    thread->held_mutexes = mutex;
    return true;
}

static void enter(struct mutex *mutex, struct thread *thread) REQUIRES(mutex->lock)
{
    thread->mutex_next = NULL;
    thread->mutex_waits = true;
    if (mutex->first) {
        mutex->last->mutex_next = thread;
    } else {
        mutex->first = thread;
    }
    mutex->last = thread;
    __atomic_add_fetch(&mutex->waiting, 1, __ATOMIC_SEQ_CST);
}

static void leave(struct mutex *mutex, struct thread *thread) REQUIRES(mutex->lock)
{
    struct thread *previous = NULL, **link = &mutex->first;
    while (*link != thread) {
        previous = *link;
        link = &previous->mutex_next;
    }
    *link = thread->mutex_next;
    if (mutex->last == thread) {
        mutex->last = previous;
    }
    thread->mutex_waits = false;
    __atomic_sub_fetch(&mutex->waiting, 1, __ATOMIC_SEQ_CST);
}

/* Until it is this thread's. From the queue on nothing is lost: who gives the mutex back looks at `waiting` behind
 * that, and this thread tries once more behind being counted there. */
static void acquire_slowly(struct mutex *mutex, struct thread *thread)
{
    for (uint32_t look = 0; look < LOOKS; look++) {
        if (!__atomic_load_n(&mutex->owner, __ATOMIC_RELAXED) && try_acquire(mutex, thread)) {
            return;
        }
        platform_relax(look);
    }
    for (bool done = false; !done;) {
        thread_wait_begin();
        spinlock_acquire(&mutex->lock);
        enter(mutex, thread);
        spinlock_release(&mutex->lock);
        done = try_acquire(mutex, thread);
        if (done) {
            thread_wait_cancel();
        } else {
            sleep_finish_locked(); /* whoever has the mutex does not want that lock: mutexes come behind it */
        }
        spinlock_acquire(&mutex->lock);
        if (thread->mutex_waits) {
            leave(mutex, thread);
        }
        spinlock_release(&mutex->lock);
        done = done || try_acquire(mutex, thread);
    }
}

NO_LOCK_ANALYSIS void mutex_acquire(struct mutex *mutex)
{
    struct thread *thread = self();
    lock_check_none("a mutex");
    if (!try_acquire(mutex, thread)) {
        acquire_slowly(mutex, thread);
    }
}

NO_LOCK_ANALYSIS void mutex_release(struct mutex *mutex)
{
    struct thread *thread = self();
    struct mutex **link = &thread->held_mutexes;
    while (*link != mutex) {
        link = &(*link)->held_next;
    }
    *link = mutex->held_next;
    __atomic_store_n(&mutex->owner, NULL, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&mutex->waiting, __ATOMIC_SEQ_CST)) {
        spinlock_acquire(&mutex->lock);
        struct thread *first = mutex->first;
        if (first) {
            leave(mutex, first);
            thread_wake(first);
        }
        spinlock_release(&mutex->lock);
    }
}

bool mutex_is_mine(const struct mutex *mutex)
{
    return __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED) == self();
}

NO_LOCK_ANALYSIS void mutexes_release_all(const struct mutex *but)
{
    struct mutex *next;
    for (struct mutex *mutex = self()->held_mutexes; mutex; mutex = next) {
        next = mutex->held_next;
        if (mutex != but) {
            mutex_release(mutex);
        }
    }
}
