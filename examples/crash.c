/* Breaks a rule, to show that a fault belongs to the program that made it: crash divide|memory|recurse|call|stop. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* So that the backtrace has it. */
#define NAMED __attribute__((noinline))

static volatile int zero, one = 1;

NAMED static void divide(void)
{
    printf("%d\n", one / zero);
}

NAMED static void memory(void)
{
    volatile int *outside = (volatile int *)(uintptr_t)0xfffffff0;
    *outside = 1;
}

NAMED static void recurse(void)
{
    if (one)
        recurse();
    zero++;
}

NAMED static void call(void)
{
    void (*volatile nowhere)(void) = (void (*)(void))(uintptr_t)12345;
    nowhere();
}

NAMED static void stop(void)
{
    __builtin_trap();
}

static const struct {
    const char *name, *what;
    void (*run)(void);
} ways[] = {
    {"divide", "dividing by zero", divide},          {"memory", "writing outside of memory", memory},
    {"recurse", "calling itself for ever", recurse}, {"call", "calling what is no function", call},
    {"stop", "executing unreachable", stop},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(argc > 1 ? argv[1] : "divide", ways[i].name) == 0) {
            printf("crash: %s\n", ways[i].what);
            fflush(stdout);
            ways[i].run();
        }
    fprintf(stderr, "usage: crash divide|memory|recurse|call|stop\n");
    return 2;
}
