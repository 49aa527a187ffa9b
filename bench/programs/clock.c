/* Prints the monotonic time of the start of main in nanoseconds, as clock_kilobyte.wat does, with a C library around
 * it. */
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%llu\n", (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
    return 0;
}
