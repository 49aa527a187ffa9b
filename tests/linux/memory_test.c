/* Address space of platform/linux: commit, decommit, aliases that grow, and the frames counted for them. */
#include <stdio.h>

#include "kernel/platform.h"
#include "platform/linux/linux.h"

#define RESERVED (UINT64_C(6) << 30)
#define PART     UINT64_C(0x10000)

static int failures;

static void expect(bool holds, const char *what)
{
    if (!holds) {
        printf("%s\n", what);
        failures++;
    }
}

static uint64_t frames(void)
{
    struct platform_memory memory;
    platform_memory_statistics(&memory);
    return memory.frames_used;
}

static void commit(uint8_t *address)
{
    expect(platform_commit(address, PART, PROTECTION_READ_WRITE) == STATUS_OK, "commit");
}

static void alias(uint8_t *window, uint8_t *source, size_t bytes)
{
    expect(platform_alias(window, source, bytes) == STATUS_OK, "alias");
}

int main(void)
{
    linux_platform_initialize();
    uint64_t before = frames();
    uint8_t *home = platform_reserve(RESERVED);
    uint8_t *first = platform_reserve(RESERVED), *second = platform_reserve(RESERVED);
    expect(home && first && second, "reserve");
    commit(home);
    home[5] = 1;
    home[0x5000] = 2;
    expect(frames() - before == PART / PLATFORM_PAGE_BYTES, "frames of the first part");

    /* A header page stays private, the rest is shared with what it holds. */
    alias(first + 0x1000, home + 0x1000, PART - 0x1000);
    expect(first[0x5000] == 2, "contents in the window");
    first[0x6000] = 3;
    home[0x7000] = 4;
    expect(home[0x6000] == 3 && first[0x7000] == 4, "stores through both");
    expect(home[5] == 1, "the private page");

    commit(home + PART);
    home[PART + 1] = 5;
    alias(first + PART, home + PART, PART);
    alias(second + 0x1000, home + 0x1000, 2 * PART - 0x1000);
    second[PART + 0x2000] = 6;
    expect(first[PART + 1] == 5 && second[PART + 1] == 5, "growth in all windows");
    expect(home[PART + 0x2000] == 6 && first[PART + 0x2000] == 6, "stores after growth");
    expect(frames() - before == 2 * PART / PLATFORM_PAGE_BYTES, "windows cost no frames");

    platform_decommit(first + PART, PART);
    platform_decommit(second + PART, PART);
    platform_decommit(home + PART, PART);
    expect(frames() - before == PART / PLATFORM_PAGE_BYTES, "frames after decommit");
    commit(home + PART);
    expect(home[PART + 1] == 0, "zero pages after decommit");

    platform_release(first, RESERVED);
    expect(home[0x6000] == 3, "the home outlives a window");
    platform_release(home, RESERVED);
    expect(second[0x6000] == 3, "a window outlives the home");
    platform_release(second, RESERVED);
    expect(frames() == before, "all frames back");
    return failures > 0;
}
