/* setjmp and longjmp; the output is compared with jumps.expected. */
#include <setjmp.h>
#include <stdio.h>

static jmp_buf top, other;

static void jump(int value)
{
    longjmp(top, value);
}

static int nested(int depth)
{
    if (depth < 0)
        return 0;
    if (depth == 0)
        jump(7);
    return nested(depth - 1) + depth;
}

/* A setjmp of its own, which jumps of others pass. */
static void between(void)
{
    if (setjmp(other) == 0)
        nested(100);
    printf("wrong\n");
}

static int count(void)
{
    volatile int turns = 0;
    int value = setjmp(top);
    turns++;
    if (value < 5)
        jump(value + 1);
    return turns;
}

static int two(int which)
{
    jmp_buf first, second;
    int result = 0;
    if (setjmp(first))
        return result + 10;
    if (setjmp(second))
        return result + 20;
    longjmp(which ? second : first, 1);
}

int main(void)
{
    printf("turns %d\n", count());
    int value = setjmp(top);
    if (value == 0)
        between();
    printf("value %d\n", value);
    if (setjmp(top) == 0)
        jump(0);
    else
        printf("0 becomes 1\n");
    printf("two %d %d\n", two(0), two(1));
    volatile int sum = 0;
    for (volatile int i = 1; i <= 1000; i++) {
        int got = setjmp(top);
        if (got == 0)
            jump(i);
        sum += got;
    }
    printf("sum %d\n", sum);
    return 0;
}
