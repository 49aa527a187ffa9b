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

/* Two copies of a source: stores stay where they were made; a reset brings back what was, with few pages touched and
 * with many; another window onto a copy shows the copy. */
static void copies(void)
{
    uint64_t before = frames();
    enum { BYTES = 0x80000, PAGES = BYTES / PLATFORM_PAGE_BYTES };
    uint8_t *source = platform_reserve(BYTES), *first = platform_reserve(RESERVED), *second = platform_reserve(RESERVED);
    expect(platform_commit(source, BYTES, PROTECTION_READ_WRITE) == STATUS_OK, "commit a source");
    for (size_t at = 0; at < BYTES; at += PLATFORM_PAGE_BYTES)
        source[at] = (uint8_t)(at / PLATFORM_PAGE_BYTES);
    uint8_t *places[] = {first, second};
    for (int i = 0; i < 2; i++) {
        expect(platform_map_copy(places[i], source, BYTES) == STATUS_OK, "map a copy");
        expect(platform_commit(places[i] + BYTES, BYTES, PROTECTION_READ_WRITE) == STATUS_OK, "commit behind it");
    }
    for (int touched = 1; touched <= 2 * PAGES; touched *= 4) {
        for (int page = 0; page < touched; page++)
            first[page * PLATFORM_PAGE_BYTES] = 255;
        first[BYTES + 5] = 255;
        expect(second[0] == 0 && second[0x3000] == 3 && source[0x3000] == 3 && second[BYTES] == 0, "stores stay");
        expect(platform_reset(first, 2 * BYTES, source, BYTES) == STATUS_OK, "reset");
        int wrong = 0;
        for (int page = 0; page < PAGES; page++)
            wrong += first[page * PLATFORM_PAGE_BYTES] != (uint8_t)page || first[BYTES + page * PLATFORM_PAGE_BYTES];
        expect(wrong == 0 && first[BYTES + 5] == 0, "as new");
    }
    first[BYTES] = 1;
    expect(platform_discard(first + BYTES, BYTES) == STATUS_OK && first[BYTES] == 0, "discard");
    first[0x1000] = 77;
    uint8_t *window = platform_reserve(RESERVED);
    alias(window, first, BYTES);
    window[0x2000] = 78;
    expect(window[0x1000] == 77 && first[0x2000] == 78 && source[0x2000] == 2, "a window onto a copy");
    platform_release(window, RESERVED);
    platform_release(first, RESERVED);
    platform_release(second, RESERVED);
    platform_release(source, BYTES);
    expect(frames() == before, "all frames of copies back");
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
    copies();
    return failures > 0;
}
