/* Counts primes with a sieve, to show how fast compiled code is: primes [LIMIT]. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    uint32_t limit = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 5000000;
    if (limit < 2) {
        fprintf(stderr, "usage: primes [LIMIT], a number from 2 on\n");
        return 2;
    }
    uint64_t start = milliseconds();
    uint8_t *composite = calloc((size_t)limit + 1, 1);
    if (!composite) {
        fprintf(stderr, "primes: no memory for %u numbers\n", limit);
        return 1;
    }
    uint32_t count = 0;
    for (uint64_t n = 2; n <= limit; n++) {
        if (composite[n])
            continue;
        count++;
        for (uint64_t multiple = n * n; multiple <= limit; multiple += n)
            composite[multiple] = 1;
    }
    printf("%u primes up to %u, in %llu ms\n", count, limit, (unsigned long long)(milliseconds() - start));
    free(composite);
    return 0;
}
