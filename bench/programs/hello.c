/* The smallest program that people write; for start-up, not for speed. */
#include <stdio.h>

int main(void)
{
    printf("Hello, world %d\n", 42);
    return 0;
}
