/* Escape times of the Mandelbrot set, four points at once: vectors of floats, a comparison, and a test of all lanes. */
#include "bench.h"

typedef float floats __attribute__((vector_size(16)));
typedef int32_t integers __attribute__((vector_size(16)));

enum { WIDTH = 640, HEIGHT = 400, LIMIT = 200 };

static integers escape_times(floats x0, floats y0)
{
    floats x = {0}, y = {0};
    integers steps = {0};
    for (int i = 0; i < LIMIT; i++) {
        floats xx = x * x, yy = y * y;
        integers inside = xx + yy <= 4.0f;
        if (__builtin_reduce_or(inside) == 0)
            break;
        steps -= inside;
        y = 2.0f * x * y + y0;
        x = xx - yy + x0;
    }
    return steps;
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 9 * scale; round++)
        for (int row = 0; row < HEIGHT; row++)
            for (int column = 0; column < WIDTH; column += 4) {
                floats x = {column, column + 1, column + 2, column + 3};
                floats y = {row, row, row, row};
                integers steps = escape_times(x * (3.2f / WIDTH) - 2.2f, y * (2.4f / HEIGHT) - 1.2f);
                sum = mix(sum, (uint64_t)(uint32_t)(steps[0] + 256 * steps[1]) << 32 | (uint32_t)(steps[2] + 256 * steps[3]));
            }
    return sum;
}
