/* Guests whose profile and trace are known: guest MODE [NUMBER]. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEPT __attribute__((noinline))

static uint32_t seed = 1;
static volatile uint32_t zero;

KEPT static void turn(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++)
        seed = seed * 1664525 + (seed >> 7 ^ i);
}

/* ---- Nine parts of ten in hot_function ---- */

KEPT static void hot_function(void)
{
    turn(900000);
    seed++;
}

KEPT static void cold_function(void)
{
    turn(100000);
    seed += 2;
}

static void hot(uint32_t rounds)
{
    for (; rounds > 0; rounds--) {
        hot_function();
        cold_function();
    }
}

/* ---- In the kernel: a builtin, and a host function ---- */

KEPT static void fill(uint32_t rounds)
{
    char *block = malloc(8 << 20);
    for (; rounds > 0; rounds--)
        memset(block, (int)rounds, 8 << 20);
    seed += (uint8_t)block[zero];
}

KEPT static void random_numbers(uint32_t rounds)
{
    static char block[65536];
    for (; rounds > 0; rounds--)
        getentropy(block, 256);
}

/* ---- Deeper than what is kept of a stack ---- */

KEPT static uint32_t deep(uint32_t depth)
{
    if (depth == 0) {
        turn(100000000);
        return seed;
    }
    uint32_t value = deep(depth - 1);
    return value + seed++; /* no tail call, and no loop */
}

/* ---- More stacks than are kept: by the bits of `path`, and of no function for long ---- */

KEPT static void left(uint32_t path, uint32_t depth);
KEPT static void right(uint32_t path, uint32_t depth);

static void both(uint32_t path, uint32_t depth)
{
    if (depth > 0) {
        turn(200);
        path & 1 ? left(path >> 1, depth - 1) : right(path >> 1, depth - 1);
        turn(200);
    }
}

KEPT static void left(uint32_t path, uint32_t depth)
{
    both(path, depth);
    seed += 3;
}

KEPT static void right(uint32_t path, uint32_t depth)
{
    both(path, depth);
    seed += 4;
}

static void many_stacks(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++)
        left(i * 2654435761u, 31);
}

int main(int count, char **words)
{
    const char *mode = count > 1 ? words[1] : "";
    uint32_t number = count > 2 ? (uint32_t)atoi(words[2]) : 0;
    if (strcmp(mode, "hot") == 0)
        hot(number);
    else if (strcmp(mode, "fill") == 0)
        fill(number);
    else if (strcmp(mode, "random") == 0)
        random_numbers(number);
    else if (strcmp(mode, "deep") == 0)
        seed += deep(number);
    else if (strcmp(mode, "stacks") == 0)
        many_stacks(number);
    else if (strcmp(mode, "sleep") == 0)
        for (; number > 0; number--)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    else if (strcmp(mode, "trap") == 0) {
        turn(100000000);
        __builtin_trap();
    } else
        return 2;
    printf("%s %u\n", mode, seed != zero);
    return 0;
}
