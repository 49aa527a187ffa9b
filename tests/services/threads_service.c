/* tests/services/service.c with four threads that serve one port. */
#include <pthread.h>

#define main serve_alone
#include "tests/services/service.c"
#undef main

static void *serve(void *argument)
{
    *(int32_t *)argument = tessera_port_serve(TESSERA_PORT);
    return NULL;
}

int main(void)
{
    pthread_t threads[3];
    int32_t status[4] = {-1, -1, -1, -1};
    (void)serve_alone;
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, serve, &status[i]) != 0)
            return 2;
    serve(&status[3]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    printf("served until the end: %d %d %d %d\n", status[0], status[1], status[2], status[3]);
    return 0;
}
