/* Dense double matrix multiplication, row times row: loads, multiplications and additions. */
#include "bench.h"

enum { SIZE = 256 };

static void multiply(double (*restrict a)[SIZE], double (*restrict b)[SIZE], double (*restrict c)[SIZE])
{
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++)
            c[i][j] = 0;
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++)
                c[i][j] += a[i][k] * b[k][j];
    }
}

uint64_t compute(uint32_t scale)
{
    static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
    uint32_t random = 7;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (double)(next_random(&random) % 1000) / 1000;
            b[i][j] = (double)(next_random(&random) % 1000) / 1000;
        }
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 16 * scale; round++) {
        multiply(a, b, c);
        sum = mix_double(sum, c[round % SIZE][(7 * round) % SIZE]);
        a[round % SIZE][0] += 1;
    }
    return sum;
}
