/* Pancake flips over all permutations: small arrays, short unpredictable loops. */
#include "bench.h"

enum { LENGTH = 9 };

static uint32_t flips_of(const int *permutation)
{
    int stack[LENGTH];
    memcpy(stack, permutation, sizeof stack);
    uint32_t flips = 0;
    for (int first = stack[0]; first != 0; first = stack[0]) {
        for (int low = 0, high = first; low < high; low++, high--) {
            int kept = stack[low];
            stack[low] = stack[high];
            stack[high] = kept;
        }
        flips++;
    }
    return flips;
}

static uint64_t all_permutations(void)
{
    int permutation[LENGTH], count[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        permutation[i] = i;
    int32_t checksum = 0;
    uint32_t longest = 0, number = 0;
    int rotate = LENGTH;
    for (;;) {
        for (; rotate != 1; rotate--)
            count[rotate - 1] = rotate;
        uint32_t flips = flips_of(permutation);
        longest = flips > longest ? flips : longest;
        checksum += number++ % 2 == 0 ? (int32_t)flips : -(int32_t)flips;
        for (;; rotate++) {
            if (rotate == LENGTH)
                return (uint64_t)longest << 32 | (uint32_t)checksum;
            int first = permutation[0];
            for (int i = 0; i < rotate; i++)
                permutation[i] = permutation[i + 1];
            permutation[rotate] = first;
            if (--count[rotate] > 0)
                break;
        }
    }
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 6 * scale; round++)
        sum = mix(sum, all_permutations());
    return sum;
}
