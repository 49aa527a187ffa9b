/* Takes as much as its unit may have: threads, memory, handles. Says how much that was. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "sdk/tessera.h"

static void *wait(void *argument)
{
    sleep(60);
    return argument;
}

int main(void)
{
    unsigned pages = 0, threads = 1, handles = 0;
    pthread_t thread;
    while (pthread_create(&thread, NULL, wait, NULL) == 0) {
        threads++;
    }
    size_t bytes = __builtin_wasm_memory_size(0) << 16;
    while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) {
        pages++;
    }
    while (tessera_event_create(0) > 0) {
        handles++;
    }
    printf("%u threads, %zu KiB, %u handles\n", threads, (bytes >> 10) + pages * 64, handles);
    fflush(stdout);
    _exit(0);
}
