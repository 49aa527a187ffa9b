/* Quicksort through a comparison pointer, then heap sort inline: unpredictable branches, indirect calls. */
#include "bench.h"

enum { COUNT = 120000 };
typedef int (*comparison)(const uint32_t *, const uint32_t *);

static int ascending(const uint32_t *a, const uint32_t *b)
{
    return (*a > *b) - (*a < *b);
}

static int by_low_bits(const uint32_t *a, const uint32_t *b)
{
    uint32_t x = (*a & 0xffff) << 16 | *a >> 16, y = (*b & 0xffff) << 16 | *b >> 16;
    return (x > y) - (x < y);
}

static void quick_sort(uint32_t *values, int32_t low, int32_t high, comparison compare)
{
    while (low < high) {
        uint32_t pivot = values[low + (high - low) / 2];
        int32_t i = low, j = high;
        while (i <= j) {
            while (compare(&values[i], &pivot) < 0)
                i++;
            while (compare(&values[j], &pivot) > 0)
                j--;
            if (i <= j) {
                uint32_t kept = values[i];
                values[i++] = values[j];
                values[j--] = kept;
            }
        }
        quick_sort(values, low, j, compare);
        low = i;
    }
}

static void sift_down(uint32_t *values, uint32_t root, uint32_t count)
{
    uint32_t value = values[root];
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && values[child + 1] > values[child])
            child++;
        if (values[child] <= value)
            break;
        values[root] = values[child];
    }
    values[root] = value;
}

static void heap_sort(uint32_t *values, uint32_t count)
{
    for (uint32_t root = count / 2; root-- > 0;)
        sift_down(values, root, count);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t kept = values[0];
        values[0] = values[end];
        values[end] = kept;
        sift_down(values, 0, end);
    }
}

uint64_t compute(uint32_t scale)
{
    static uint32_t values[COUNT];
    uint32_t random = 12345;
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 4 * scale; round++) {
        for (uint32_t i = 0; i < COUNT; i++)
            values[i] = next_random(&random);
        quick_sort(values, 0, COUNT - 1, round % 2 == 0 ? ascending : by_low_bits);
        for (uint32_t i = 0; i < COUNT; i += 97)
            sum = mix(sum, values[i]);
        for (uint32_t i = 0; i < COUNT; i++)
            values[i] = next_random(&random);
        heap_sort(values, COUNT);
        for (uint32_t i = 0; i < COUNT; i += 97)
            sum = mix(sum, values[i]);
    }
    return sum;
}
