/* The arena: zeroed, aligned, apart from each other, kept by reset, all given back. */
#include "engine/allocator.h"

#include <stdint.h>

#include "tests/engine/support.h"

static bool zeroed_and_aligned(const uint8_t *memory, size_t bytes)
{
    size_t i = 0;
    while (i < bytes && memory[i] == 0) {
        i++;
    }
    return i == bytes && (uintptr_t)memory % 16 == 0;
}

/* Allocations of growing size, each filled with its number. */
static void fill(struct arena *arena)
{
    enum { COUNT = 400 };
    static uint8_t *memory[COUNT];
    int wrong = 0;
    for (size_t i = 0; i < COUNT; i++) {
        memory[i] = arena_allocate(arena, i * 17);
        wrong += memory[i] == NULL || !zeroed_and_aligned(memory[i], i * 17);
        memset(memory[i], (int)i & 0xff, i * 17);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i * 17; j++) {
            wrong += memory[i][j] != (i & 0xff);
        }
    }
    CHECK(wrong == 0);
}

int main(void)
{
    struct arena arena;
    arena_initialize(&arena, &test_allocator);
    CHECK(memory_outstanding == 0);
    uint8_t *empty = arena_allocate(&arena, 0);
    CHECK(empty != NULL && arena_allocate(&arena, 0) != empty);
    fill(&arena);
    uint8_t *large = arena_allocate(&arena, 5 << 20);
    CHECK(large != NULL && zeroed_and_aligned(large, 5 << 20));
    size_t before = memory_outstanding;
    arena_reset(&arena);
    CHECK(memory_outstanding == before);
    fill(&arena);
    large = arena_allocate(&arena, 5 << 20);
    CHECK(large != NULL && zeroed_and_aligned(large, 5 << 20));
    CHECK(memory_outstanding == before);

    CHECK(arena_allocate_array(&arena, SIZE_MAX / 8, 16) == NULL);
    CHECK(arena_allocate(&arena, SIZE_MAX - 3) == NULL);
    memory_refuse_at = 1;
    CHECK(arena_allocate(&arena, 6 << 20) == NULL);
    CHECK(arena_allocate(&arena, 6 << 20) != NULL);
    arena_release(&arena);
    CHECK(memory_outstanding == 0);
    arena_release(&arena);
    return checks_report();
}
