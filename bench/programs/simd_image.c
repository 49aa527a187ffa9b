/* An image of bytes, smoothed by a 3 x 3 kernel and then mixed with the original by a mask: loads at any address,
 * widening, narrowing, saturation, comparison and selection of integers. */
#include "bench.h"

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint8_t half __attribute__((vector_size(8)));
typedef uint16_t words __attribute__((vector_size(16)));

enum { WIDTH = 1024, HEIGHT = 512 };

static bytes load(const uint8_t *from)
{
    bytes result;
    memcpy(&result, from, 16);
    return result;
}

static words low(bytes a)
{
    half part = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_convertvector(part, words);
}

static words high(bytes a)
{
    half part = __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_convertvector(part, words);
}

/* 1 2 1 over a row of three. */
static words across(words left, words middle, words right)
{
    return left + middle + middle + right;
}

struct sums {
    words low, high;
};

static struct sums row_sums(const uint8_t *at)
{
    bytes left = load(at - 1), middle = load(at), right = load(at + 1);
    return (struct sums){across(low(left), low(middle), low(right)), across(high(left), high(middle), high(right))};
}

static bytes smooth(const uint8_t *at)
{
    struct sums above = row_sums(at - WIDTH), here = row_sums(at), below = row_sums(at + WIDTH);
    words a = (across(above.low, here.low, below.low) + 8) >> 4, b = (across(above.high, here.high, below.high) + 8) >> 4;
    half c = __builtin_convertvector(a, half), d = __builtin_convertvector(b, half);
    return __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static void filter(uint8_t *to, const uint8_t *from)
{
    for (int row = 1; row < HEIGHT - 1; row++)
        for (int column = 16; column < WIDTH - 16; column += 16) {
            const uint8_t *at = from + row * WIDTH + column;
            bytes old = load(at), smoothed = smooth(at);
            bytes edge = __builtin_elementwise_max(old, smoothed) - __builtin_elementwise_min(old, smoothed);
            bytes mask = (bytes)(edge > 24);
            bytes sharpened = __builtin_elementwise_add_sat(old, edge);
            bytes result = (mask & sharpened) | (~mask & smoothed);
            memcpy(to + row * WIDTH + column, &result, 16);
        }
}

uint64_t compute(uint32_t scale)
{
    uint32_t state = 1;
    uint64_t sum = 0;
    uint8_t *images[2] = {allocate(WIDTH * HEIGHT), allocate(WIDTH * HEIGHT)};
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        images[0][i] = images[1][i] = (uint8_t)(next_random(&state) >> 24 ^ i);
    for (uint32_t round = 0; round < 600 * scale; round++) {
        uint8_t *noise = images[round & 1] + (1 + round % (HEIGHT - 2)) * WIDTH;
        for (int i = 0; i < WIDTH; i++)
            noise[i] = (uint8_t)(next_random(&state) >> 24);
        filter(images[~round & 1], images[round & 1]);
    }
    for (int i = 0; i < WIDTH * HEIGHT; i += 4) {
        uint32_t word;
        memcpy(&word, images[0] + i, 4);
        sum = mix(sum, word);
    }
    free(images[0]);
    free(images[1]);
    return sum;
}
