/* The log's memory: what is kept and forgotten, and what is adopted of memory that somebody filled. */
#include "services/log/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernel/check.h"

static struct ring_entry memory[RING_ENTRIES];

static bool has(const struct ring *ring, uint64_t number, const char *text)
{
    const struct ring_entry *entry = ring_find(ring, number);
    return entry && entry->number == number && entry->length == strlen(text) &&
           memcmp(entry->message, text, entry->length) == 0;
}

static void add(struct ring *ring, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char text[30];
        snprintf(text, sizeof text, "line %u", (unsigned)ring->next);
        ring_add(ring, ring->next * 10, (uint32_t)(i % RING_LEVELS), "name", i % 5 ? 0 : i + 1, text, strlen(text));
    }
}

static void keeping(void)
{
    struct ring ring, next;
    memset(memory, 0, sizeof memory);
    ring_adopt(&ring, memory);
    CHECK(ring.first == 0 && ring.next == 0 && ring.next_note == 0 && !ring_find(&ring, 0));
    add(&ring, 1500);
    CHECK(ring.first == 1500 - RING_ENTRIES && ring.next == 1500);
    CHECK(!ring_find(&ring, ring.first - 1) && has(&ring, ring.first, "line 476") && has(&ring, 1499, "line 1499"));
    CHECK(!ring_find(&ring, 1500) && !ring_find(&ring, UINT64_MAX));
    ring_adopt(&next, memory);
    CHECK(next.first == ring.first && next.next == 1500 && next.next_note == 1496 && has(&next, 700, "line 700"));
    add(&next, 1);
    CHECK(has(&next, 1500, "line 1500") && !ring_find(&next, 476));
}

static void lengths(void)
{
    struct ring ring;
    char text[2 * RING_MESSAGE_BYTES];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i % 2 ? 0xa4 : 0xc3); /* an a with two dots */
    }
    memset(memory, 0, sizeof memory);
    ring_adopt(&ring, memory);
    ring_add(&ring, 0, 0, "a name that is longer than there is room for it", 0, text, sizeof text);
    ring_add(&ring, 0, 0, "", 0, text, 0);
    text[0] = 'x';
    memmove(text + 1, text + 2, sizeof text - 2);
    ring_add(&ring, 0, 0, "", 0, text, sizeof text - 1);
    ring_adopt(&ring, memory);
    CHECK(ring.next == 3 && ring_find(&ring, 0)->length == RING_MESSAGE_BYTES && has(&ring, 1, ""));
    CHECK(ring_find(&ring, 0) && strlen(ring_find(&ring, 0)->name) == RING_NAME_BYTES - 1);
    CHECK(ring_find(&ring, 2) && ring_find(&ring, 2)->length == RING_MESSAGE_BYTES - 1);
}

/* Entries that are good but for one thing, with a check that fits: nothing of them is believed. */
static void forged(void)
{
    static const char *const texts[] = {"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"};
    struct ring ring, next;
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        memset(memory, 0, sizeof memory);
        ring_adopt(&ring, memory);
        ring_add(&ring, 0, 0, "good", 0, "good", 4);
        ring_add(&ring, 0, 0, "bad", 0, texts[i], strlen(texts[i]));
        ring_add(&ring, 0, 0, texts[i], 0, "bad", 3);
        ring_add(&ring, 0, RING_LEVELS, "bad", 0, "bad", 3);
        ring_add(&ring, 0, 0, "bad", RING_NUMBERS, "bad", 3);
        ring.next = 7 + RING_ENTRIES;
        ring_add(&ring, 0, 0, "moved", 0, "moved", 5);
        memory[8] = memory[7];
        memory[7] = (struct ring_entry){0};
        ring.next = RING_NUMBERS + 9;
        ring_add(&ring, 0, 0, "bad", 0, "bad", 3);
        ring_adopt(&next, memory);
        CHECK(next.first == 0 && next.next == 1 && has(&next, 0, "good"));
        add(&next, 10);
        CHECK(next.next == 11 && has(&next, 0, "good") && has(&next, 8, "line 8"));
    }
}

static void anything(void)
{
    struct ring ring;
    srand(1);
    for (int round = 0; round < 30; round++) {
        memset(memory, 0, sizeof memory);
        ring_adopt(&ring, memory);
        add(&ring, 2000);
        for (int i = 0; i < 3000; i++) { /* bits here and there; lengths above all */
            struct ring_entry *entry = &memory[rand() % RING_ENTRIES];
            ((uint8_t *)entry)[rand() % sizeof *entry] ^= (uint8_t)(1 << rand() % 8);
            entry->length ^= rand() % 3 ? 0 : (uint32_t)rand();
        }
        ring_adopt(&ring, memory);
        unsigned kept = 0;
        for (uint64_t number = ring.first; number < ring.next; number++) {
            char text[30];
            snprintf(text, sizeof text, "line %u", (unsigned)number);
            kept += ring_find(&ring, number) && has(&ring, number, text);
            CHECK(!ring_find(&ring, number) || has(&ring, number, text));
        }
        CHECK(ring.next <= 2000 && kept > 0);
    }
    for (size_t i = 0; i < sizeof memory; i++) {
        ((uint8_t *)memory)[i] = (uint8_t)rand();
    }
    ring_adopt(&ring, memory);
    CHECK(ring.next == 0);
}

int main(void)
{
    keeping();
    lengths();
    forged();
    anything();
    return checks_report();
}
