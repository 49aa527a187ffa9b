/* POSIX threads over wasi.thread-spawn and the wait and notify instructions. A thread's stack, its thread-local storage
 * and its record are one block; the block of a detached thread is freed by a later pthread_create. */
#include "pthread.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

#define STACK_BYTES (size_t)131072
#define ALIGNMENT   (size_t)16

#define LOAD(place)         __atomic_load_n(place, __ATOMIC_SEQ_CST)
#define STORE(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)
#define SWAP(place, value)  __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST)
#define ADD(place, value)   __atomic_fetch_add(place, value, __ATOMIC_SEQ_CST)

static int futex_wait(int *place, int expected, int64_t nanoseconds)
{
    return __builtin_wasm_memory_atomic_wait32(place, expected, nanoseconds);
}
static void futex_wake(int *place, unsigned count)
{
    __builtin_wasm_memory_atomic_notify(place, count);
}

struct thread {
    void *stack_top; /* first: start.s reads it */
    int done;        /* set by start.s */
    int detached;
    void *tls;
    void *block;
    void *(*start)(void *);
    void *argument, *result;
    struct thread *next; /* of the detached ones */
    void *values[PTHREAD_KEYS_MAX];
};

static struct thread main_thread;
static _Thread_local struct thread *self;
static struct thread *detached_threads;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list above and the keys */

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int wasi_thread_spawn(void *argument);
void __wasm_init_tls(void *memory);

static struct thread *current(void)
{
    return self ? self : &main_thread;
}

/* ---- malloc is not made for threads: one at a time ---- */
static int heap_state;
static int heap_owner_depth;
static struct thread *heap_owner;

static void heap_lock(void)
{
    if (__atomic_load_n(&heap_owner, __ATOMIC_RELAXED) == current()) {
        heap_owner_depth++;
        return;
    }
    while (SWAP(&heap_state, 1) != 0)
        futex_wait(&heap_state, 1, -1);
    __atomic_store_n(&heap_owner, current(), __ATOMIC_RELAXED);
}
static void heap_unlock(void)
{
    if (heap_owner_depth) {
        heap_owner_depth--;
        return;
    }
    __atomic_store_n(&heap_owner, (struct thread *)0, __ATOMIC_RELAXED);
    STORE(&heap_state, 0);
    futex_wake(&heap_state, 1);
}

#define WRAP(result, name, parameters, arguments)                                                                      \
    result __real_##name parameters;                                                                                   \
    result __wrap_##name parameters;                                                                                   \
    result __wrap_##name parameters                                                                                    \
    {                                                                                                                  \
        heap_lock();                                                                                                   \
        result value = __real_##name arguments;                                                                        \
        heap_unlock();                                                                                                 \
        return value;                                                                                                  \
    }
WRAP(void *, malloc, (size_t bytes), (bytes))
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes))
WRAP(void *, realloc, (void *block, size_t bytes), (block, bytes))
WRAP(void *, aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
WRAP(int, posix_memalign, (void **block, size_t alignment, size_t bytes), (block, alignment, bytes))
void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    heap_lock();
    __real_free(block);
    heap_unlock();
}

/* ---- Threads ---- */
static struct {
    int used;
    void (*destructor)(void *);
} keys[PTHREAD_KEYS_MAX];

static void run_destructors(struct thread *thread)
{
    for (int round = 0, again = 1; again && round < 4; round++) {
        again = 0;
        for (int i = 0; i < PTHREAD_KEYS_MAX; i++) {
            void *value = thread->values[i];
            if (value && keys[i].used && keys[i].destructor) {
                thread->values[i] = NULL;
                keys[i].destructor(value);
                again = 1;
            }
        }
    }
}

/* Called by start.s on the thread's own stack; gives it where to say that the end has come. */
int *thread_run(int number, struct thread *thread);
int *thread_run(int number, struct thread *thread)
{
    (void)number;
    __wasm_init_tls(thread->tls);
    self = thread;
    thread->result = thread->start(thread->argument);
    run_destructors(thread);
    return &thread->done;
}

static void free_detached(void)
{
    pthread_mutex_lock(&lock);
    for (struct thread **link = &detached_threads; *link;) {
        struct thread *thread = *link;
        if (LOAD(&thread->done)) {
            *link = thread->next;
            free(thread->block);
        } else {
            link = &thread->next;
        }
    }
    pthread_mutex_unlock(&lock);
}

static uintptr_t align_up(uintptr_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(uintptr_t)(alignment - 1);
}

/* `spawn` gives a number that is positive when there is a thread. */
static int create(pthread_t *result, const pthread_attr_t *attributes, void *(*start)(void *), void *argument,
                  int (*spawn)(void *argument), int *number)
{
    size_t stack = attributes && attributes->stack_bytes ? attributes->stack_bytes : STACK_BYTES;
    size_t tls = __builtin_wasm_tls_size(), tls_alignment = __builtin_wasm_tls_align();
    if (tls_alignment < ALIGNMENT)
        tls_alignment = ALIGNMENT;
    free_detached();
    /* the stack lowest: when it overflows, it is not over what belongs to this thread */
    size_t bytes = align_up(stack, ALIGNMENT) + tls_alignment + tls + ALIGNMENT + sizeof(struct thread);
    char *block = aligned_alloc(ALIGNMENT, align_up(bytes, ALIGNMENT));
    if (!block)
        return EAGAIN;
    uintptr_t top = (uintptr_t)block + align_up(stack, ALIGNMENT), storage = align_up(top, tls_alignment);
    struct thread *thread = (struct thread *)align_up(storage + tls, ALIGNMENT);
    memset(thread, 0, sizeof *thread);
    thread->stack_top = (void *)top;
    thread->tls = (void *)storage;
    thread->block = block;
    thread->start = start;
    thread->argument = argument;
    *result = (pthread_t)thread;
    *number = spawn(thread);
    if (*number <= 0) {
        free(block);
        return EAGAIN;
    }
    if (attributes && attributes->detached)
        pthread_detach((pthread_t)thread);
    return 0;
}

int pthread_create(pthread_t *result, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    int number;
    return create(result, attributes, start, argument, wasi_thread_spawn, &number);
}

static int spawn_with_handle(void *argument)
{
    return tessera_thread_create((uint32_t)(uintptr_t)argument);
}

int pthread_create_with_handle_np(pthread_t *result, const pthread_attr_t *attributes, void *(*start)(void *),
                                  void *argument, int *handle)
{
    return create(result, attributes, start, argument, spawn_with_handle, handle);
}

void pthread_free_killed_np(pthread_t handle)
{
    free(((struct thread *)handle)->block);
}

int pthread_join(pthread_t handle, void **result)
{
    struct thread *thread = (struct thread *)handle;
    if (thread == current())
        return EDEADLK;
    if (thread->detached)
        return EINVAL;
    while (!LOAD(&thread->done))
        futex_wait(&thread->done, 0, -1);
    if (result)
        *result = thread->result;
    free(thread->block);
    return 0;
}

int pthread_detach(pthread_t handle)
{
    struct thread *thread = (struct thread *)handle;
    pthread_mutex_lock(&lock);
    thread->detached = 1;
    thread->next = detached_threads;
    detached_threads = thread;
    pthread_mutex_unlock(&lock);
    return 0;
}

pthread_t pthread_self(void)
{
    return (pthread_t)current();
}
int pthread_equal(pthread_t a, pthread_t b)
{
    return a == b;
}

int pthread_attr_init(pthread_attr_t *attributes)
{
    *attributes = (pthread_attr_t){0, 0};
    return 0;
}
int pthread_attr_destroy(pthread_attr_t *attributes)
{
    (void)attributes;
    return 0;
}
int pthread_attr_setdetachstate(pthread_attr_t *attributes, int state)
{
    attributes->detached = state;
    return 0;
}
int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t bytes)
{
    if (bytes < PTHREAD_STACK_MIN)
        return EINVAL;
    attributes->stack_bytes = bytes;
    return 0;
}

/* ---- Mutexes ---- */
int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
{
    attributes->type = PTHREAD_MUTEX_DEFAULT;
    return 0;
}
int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
{
    (void)attributes;
    return 0;
}
int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type)
{
    attributes->type = type;
    return 0;
}
int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    *mutex = (pthread_mutex_t){0, attributes ? attributes->type : PTHREAD_MUTEX_DEFAULT, 0, 0};
    return 0;
}
int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    return LOAD(&mutex->state) ? EBUSY : 0;
}

static int take(pthread_mutex_t *mutex)
{
    int free = 0;
    return __atomic_compare_exchange_n(&mutex->state, &free, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static int is_mine(const pthread_mutex_t *mutex)
{
    return mutex->type != PTHREAD_MUTEX_NORMAL && __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED) == pthread_self();
}
static int taken(pthread_mutex_t *mutex)
{
    __atomic_store_n(&mutex->owner, pthread_self(), __ATOMIC_RELAXED);
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (is_mine(mutex)) {
        if (mutex->type == PTHREAD_MUTEX_ERRORCHECK)
            return EDEADLK;
        mutex->depth++;
        return 0;
    }
    if (!take(mutex))
        while (SWAP(&mutex->state, 2) != 0)
            futex_wait(&mutex->state, 2, -1);
    return taken(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (is_mine(mutex) && mutex->type == PTHREAD_MUTEX_RECURSIVE) {
        mutex->depth++;
        return 0;
    }
    return take(mutex) ? taken(mutex) : EBUSY;
}
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (mutex->type != PTHREAD_MUTEX_NORMAL && !is_mine(mutex))
        return EPERM;
    if (mutex->depth) {
        mutex->depth--;
        return 0;
    }
    __atomic_store_n(&mutex->owner, (pthread_t)0, __ATOMIC_RELAXED);
    if (SWAP(&mutex->state, 0) == 2)
        futex_wake(&mutex->state, 1);
    return 0;
}

/* ---- Condition variables: who waits sleeps as long as the sequence number is the one that it saw ---- */
int pthread_condattr_init(pthread_condattr_t *attributes)
{
    attributes->clock = 0;
    return 0;
}
int pthread_condattr_destroy(pthread_condattr_t *attributes)
{
    (void)attributes;
    return 0;
}
int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    (void)attributes;
    *condition = (pthread_cond_t){0, 0};
    return 0;
}
int pthread_cond_destroy(pthread_cond_t *condition)
{
    (void)condition;
    return 0;
}

static int condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t nanoseconds)
{
    int sequence = LOAD(&condition->sequence);
    pthread_mutex_unlock(mutex);
    int outcome = futex_wait(&condition->sequence, sequence, nanoseconds);
    pthread_mutex_lock(mutex);
    return outcome == 2 ? ETIMEDOUT : 0;
}
int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    return condition_wait(condition, mutex, -1);
}
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = ((int64_t)until->tv_sec - now.tv_sec) * 1000000000 + (until->tv_nsec - now.tv_nsec);
    return condition_wait(condition, mutex, left > 0 ? left : 0);
}
int pthread_cond_signal(pthread_cond_t *condition)
{
    ADD(&condition->sequence, 1);
    futex_wake(&condition->sequence, 1);
    return 0;
}
int pthread_cond_broadcast(pthread_cond_t *condition)
{
    ADD(&condition->sequence, 1);
    futex_wake(&condition->sequence, UINT32_MAX);
    return 0;
}

/* ---- Once, keys ---- */
int pthread_once(pthread_once_t *once, void (*function)(void))
{
    enum { NEW, RUNNING, DONE };
    int state = NEW;
    if (__atomic_compare_exchange_n(once, &state, RUNNING, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        function();
        STORE(once, DONE);
        futex_wake(once, UINT32_MAX);
    }
    while (LOAD(once) == RUNNING)
        futex_wait(once, RUNNING, -1);
    return 0;
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    int error = EAGAIN;
    pthread_mutex_lock(&lock);
    for (int i = 0; error && i < PTHREAD_KEYS_MAX; i++) {
        if (keys[i].used)
            continue;
        keys[i].used = 1;
        keys[i].destructor = destructor;
        *key = (pthread_key_t)i;
        error = 0;
    }
    pthread_mutex_unlock(&lock);
    return error;
}
int pthread_key_delete(pthread_key_t key)
{
    pthread_mutex_lock(&lock);
    keys[key].used = 0;
    pthread_mutex_unlock(&lock);
    return 0;
}
void *pthread_getspecific(pthread_key_t key)
{
    return current()->values[key];
}
int pthread_setspecific(pthread_key_t key, const void *value)
{
    current()->values[key] = (void *)value;
    return 0;
}

/* ---- The program's beginning ----
 * In place of the C library's, which does not call the constructors: the linker then makes every export call them, and
 * the destructors behind it, so each thread that ends would flush the streams of the others, on a stack that may be
 * freed already. */
void __wasm_call_ctors(void);
void __wasm_call_dtors(void);
int __main_void(void);

/* Weak: sdk/service/start.c has one of its own. */
__attribute__((weak, export_name("_start"))) void _start(void)
{
    __wasm_call_ctors();
    int status = __main_void();
    if (status != 0)
        exit(status);
    __wasm_call_dtors();
}
