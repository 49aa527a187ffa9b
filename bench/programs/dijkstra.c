/* Shortest paths on a grid with a binary heap: structures in arrays, unpredictable comparisons. */
#include "bench.h"

enum { WIDTH = 160, CELLS = WIDTH * WIDTH };

struct heap {
    uint32_t count;
    uint32_t cells[4 * CELLS];
    uint32_t keys[4 * CELLS];
};

static uint8_t weight[CELLS];
static uint32_t distance[CELLS];
static struct heap heap;

static void push(uint32_t cell, uint32_t key)
{
    uint32_t at = heap.count++;
    for (; at > 0 && heap.keys[(at - 1) / 2] > key; at = (at - 1) / 2) {
        heap.keys[at] = heap.keys[(at - 1) / 2];
        heap.cells[at] = heap.cells[(at - 1) / 2];
    }
    heap.keys[at] = key;
    heap.cells[at] = cell;
}

static uint32_t pop(uint32_t *key)
{
    uint32_t cell = heap.cells[0], last = --heap.count, at = 0;
    *key = heap.keys[0];
    for (uint32_t child; (child = 2 * at + 1) < last; at = child) {
        if (child + 1 < last && heap.keys[child + 1] < heap.keys[child])
            child++;
        if (heap.keys[child] >= heap.keys[last])
            break;
        heap.keys[at] = heap.keys[child];
        heap.cells[at] = heap.cells[child];
    }
    heap.keys[at] = heap.keys[last];
    heap.cells[at] = heap.cells[last];
    return cell;
}

static void relax(uint32_t cell, uint32_t reached)
{
    if (reached + weight[cell] < distance[cell]) {
        distance[cell] = reached + weight[cell];
        push(cell, distance[cell]);
    }
}

static void search(uint32_t from)
{
    memset(distance, 0xff, sizeof distance);
    heap.count = 0;
    distance[from] = 0;
    push(from, 0);
    while (heap.count > 0) {
        uint32_t key, cell = pop(&key);
        if (key != distance[cell])
            continue;
        uint32_t column = cell % WIDTH, row = cell / WIDTH;
        if (column > 0)
            relax(cell - 1, key);
        if (column < WIDTH - 1)
            relax(cell + 1, key);
        if (row > 0)
            relax(cell - WIDTH, key);
        if (row < WIDTH - 1)
            relax(cell + WIDTH, key);
    }
}

uint64_t compute(uint32_t scale)
{
    uint32_t random = 8;
    for (int i = 0; i < CELLS; i++)
        weight[i] = (uint8_t)(1 + next_random(&random) % 200);
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 56 * scale; round++) {
        search((round * 7919) % CELLS);
        for (int i = 0; i < CELLS; i += 101)
            sum = mix(sum, distance[i]);
    }
    return sum;
}
