/* A C program with threads: mutexes, condition variables, thread-local variables, keys, once, malloc, detached threads;
 * prints "ok" when everything was as it should. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 4
#define ROUNDS  20000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static long counter, produced, consumed;
static int queue[8], queue_count, once_count, destroyed, detached;
static _Thread_local long mine = 7;
static _Thread_local char name[64] = "thread-local";

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("line %d: %s\n", __LINE__, #condition);                                                             \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void run_once(void)
{
    once_count++;
}
static void destroy(void *value)
{
    (void)value;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *count(void *argument)
{
    pthread_once(&once, run_once);
    pthread_setspecific(key, argument);
    CHECK(mine == 7 && strcmp(name, "thread-local") == 0);
    for (int i = 0; i < ROUNDS; i++) {
        mine++;
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        if (i % 16 == 0) {
            size_t bytes = 16 + (size_t)(i % 1000);
            char *block = malloc(bytes);
            memset(block, (int)(long)argument, bytes);
            CHECK(block[bytes - 1] == (char)(long)argument);
            free(block);
        }
    }
    CHECK(mine == 7 + ROUNDS && pthread_getspecific(key) == argument);
    return (void *)((long)argument * 10);
}

static void *produce(void *argument)
{
    (void)argument;
    for (int i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (queue_count == 8)
            pthread_cond_wait(&not_full, &mutex);
        queue[queue_count++] = i;
        produced += i;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}
static void *consume(void *argument)
{
    (void)argument;
    for (int i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (queue_count == 0)
            pthread_cond_wait(&not_empty, &mutex);
        consumed += queue[--queue_count];
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *detach_run(void *argument)
{
    (void)argument;
    __atomic_fetch_add(&detached, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void run_all(void *(*const functions[THREADS])(void *))
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, functions[i], (void *)(i + 1)) == 0);
    for (long i = 0; i < THREADS; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK(functions[i] != count || result == (void *)((i + 1) * 10));
    }
}

int main(void)
{
    pthread_key_create(&key, destroy);
    run_all((void *(*const[THREADS])(void *)){count, count, count, count});
    CHECK(counter == THREADS * ROUNDS && once_count == 1 && destroyed == THREADS && mine == 7);
    run_all((void *(*const[THREADS])(void *)){produce, consume, produce, consume});
    CHECK(produced == consumed && produced == (long)ROUNDS * (ROUNDS + 1));
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&not_empty, &mutex, &until) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 1000; i++) { /* more than may be at a time, and than memory has room for */
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, detach_run, NULL) == 0);
        CHECK(pthread_detach(thread) == 0);
        while (__atomic_load_n(&detached, __ATOMIC_SEQ_CST) != i + 1)
            sched_yield();
    }
    puts("ok");
    return 0;
}
