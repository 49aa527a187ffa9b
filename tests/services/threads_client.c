/* Four threads that call at once: each must get its own answers. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/services/generated/exchange_client.h"

#define CALLS 3000

static void *call(void *argument)
{
    uint32_t *number = argument, seed = *number, wrong = 0;
    for (int i = 0; i < CALLS; i++) {
        uint8_t bytes[300];
        exchange_client_list_u8_t data = {bytes, (seed = seed * 1664525 + 1013904223) % sizeof bytes}, back;
        memset(bytes, (int)*number, sizeof bytes);
        exchange_bytes(&data, &back);
        wrong += back.len != data.len || memcmp(back.ptr, bytes, back.len) != 0;
        exchange_client_list_u8_free(&back);
        wrong += exchange_mixed(*number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint32_t)i) != *number + 16.0 * i;
    }
    *number = wrong;
    return NULL;
}

int main(void)
{
    pthread_t threads[3];
    uint32_t numbers[4] = {1, 2, 3, 4};
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, call, &numbers[i]) != 0)
            return 2;
    call(&numbers[3]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    printf("wrong: %u %u %u %u\n", numbers[0], numbers[1], numbers[2], numbers[3]);
    return 0;
}
