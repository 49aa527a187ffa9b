/* The kernel heap: alignment, zeroing, contents that stay, counters that come back, random use. */
#include "kernel/heap.h"

#include <string.h>

#include "kernel/cpu.h"
#include "platform/linux/linux.h"
#include "tests/kernel/check.h"

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void every_size(void)
{
    for (size_t bytes = 0; bytes < 20000; bytes += bytes < 300 ? 1 : 97) {
        uint8_t *block = kernel_allocate_zeroed(bytes);
        CHECK(block && (uintptr_t)block % 16 == 0);
        size_t zeros = 0;
        for (size_t i = 0; i < bytes; i++)
            zeros += block[i] == 0;
        CHECK(zeros == bytes);
        memset(block, 0xa5, bytes);
        kernel_free(block, bytes);
    }
}

#define SLOTS 500

static void random_use(void)
{
    static struct {
        uint8_t *block;
        size_t bytes;
        uint8_t fill;
    } slots[SLOTS];
    int damaged = 0;
    for (int step = 0; step < 200000; step++) {
        uint64_t random = random_next();
        unsigned slot = random % SLOTS;
        if (slots[slot].block) {
            for (size_t i = 0; i < slots[slot].bytes; i += 1 + slots[slot].bytes / 16)
                damaged += slots[slot].block[i] != slots[slot].fill;
            kernel_free(slots[slot].block, slots[slot].bytes);
            slots[slot].block = NULL;
            continue;
        }
        size_t bytes = (random >> 20) % ((random >> 16) % 16 == 0 ? 100000 : 700);
        slots[slot].bytes = bytes;
        slots[slot].fill = (uint8_t)(random >> 50);
        slots[slot].block = kernel_allocate(bytes);
        if (slots[slot].block)
            memset(slots[slot].block, slots[slot].fill, bytes);
        else
            damaged++;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slots[slot].block)
            kernel_free(slots[slot].block, slots[slot].bytes);
    CHECK(damaged == 0);
}

int main(void)
{
    linux_platform_initialize();
    cpu_initialize();
    struct heap_statistics before, after;
    kernel_heap_trim();
    kernel_heap_statistics(&before);
    every_size();
    random_use();
    CHECK(kernel_allocate(SIZE_MAX) == NULL);
    CHECK(kernel_allocate(SIZE_MAX - 4096) == NULL);
    kernel_free(NULL, 100);
    char *copy = kernel_copy_text("tessera");
    CHECK(copy && strcmp(copy, "tessera") == 0);
    kernel_free(copy, strlen("tessera") + 1);
    kernel_heap_trim();
    kernel_heap_statistics(&after);
    CHECK(after.blocks == before.blocks);
    CHECK(after.bytes == before.bytes);
    CHECK(after.bytes_platform == before.bytes_platform);
    return checks_report();
}
