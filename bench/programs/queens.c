/* Queens on a board by bit masks: recursion and integer logic. */
#include "bench.h"

static uint32_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all)
        return 1;
    uint32_t solutions = 0;
    for (uint32_t free = all & ~(columns | left | right); free != 0; free &= free - 1) {
        uint32_t queen = free & -free;
        solutions += place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return solutions;
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 60 * scale; round++)
        sum = mix(sum, place((1u << (9 + round % 4)) - 1, 0, 0, 0));
    return sum;
}
