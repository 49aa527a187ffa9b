/* Escape times of the Mandelbrot set: a tight loop of doubles with one comparison. */
#include "bench.h"

enum { WIDTH = 320, HEIGHT = 200, LIMIT = 200 };

static uint32_t escape_time(double x0, double y0)
{
    double x = 0, y = 0;
    uint32_t steps = 0;
    while (x * x + y * y <= 4 && steps < LIMIT) {
        double next = x * x - y * y + x0;
        y = 2 * x * y + y0;
        x = next;
        steps++;
    }
    return steps;
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 12 * scale; round++)
        for (int row = 0; row < HEIGHT; row++)
            for (int column = 0; column < WIDTH; column++)
                sum = mix(sum, escape_time(-2.2 + 3.2 * column / WIDTH, -1.2 + 2.4 * row / HEIGHT));
    return sum;
}
