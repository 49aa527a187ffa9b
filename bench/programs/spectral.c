/* Largest eigenvalue of an implicit matrix: integer to double conversion and division. */
#include "bench.h"
#include <math.h>

enum { SIZE = 400 };

static double element(uint32_t row, uint32_t column)
{
    return 1.0 / (double)((row + column) * (row + column + 1) / 2 + row + 1);
}

static void multiply(const double *vector, double *result)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < SIZE; j++)
            sum += element(i, j) * vector[j];
        result[i] = sum;
    }
}

static void multiply_transposed(const double *vector, double *result)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < SIZE; j++)
            sum += element(j, i) * vector[j];
        result[i] = sum;
    }
}

uint64_t compute(uint32_t scale)
{
    static double u[SIZE], v[SIZE], t[SIZE];
    for (uint32_t i = 0; i < SIZE; i++)
        u[i] = 1;
    for (uint32_t round = 0; round < 240 * scale; round++) {
        multiply(u, t);
        multiply_transposed(t, v);
        double length = 0;
        for (uint32_t i = 0; i < SIZE; i++)
            length += v[i] * v[i];
        length = 1 / sqrt(length);
        for (uint32_t i = 0; i < SIZE; i++)
            u[i] = v[i] * length;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SIZE; i++)
        sum = mix_double(sum, u[i]);
    return sum;
}
