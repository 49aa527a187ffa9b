#include "services/log/ring.h"

#include <string.h>

/* FNV-1a. An entry that was never written (all zero) does not fit. */
static uint64_t check_of(const struct ring_entry *entry)
{
    const uint8_t *bytes = (const uint8_t *)entry + offsetof(struct ring_entry, number);
    size_t count = offsetof(struct ring_entry, message) - offsetof(struct ring_entry, number) + entry->length;
    uint64_t check = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        check = (check ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return check;
}

/* The bytes of the character that begins there; 0: it is none, or does not end within `count` bytes. */
static size_t character(const uint8_t *text, size_t count)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xc0 ? 0
                    : text[0] < 0xe0 ? 2
                    : text[0] < 0xf0 ? 3
                    : text[0] < 0xf8 ? 4
                                     : 0;
    if (length <= 1) {
        return length;
    }
    uint32_t value = text[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if (i >= count || (text[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3f);
    }
    bool good = value >= least[length] && value < 0x110000 && (value < 0xd800 || value > 0xdfff);
    return good ? length : 0;
}

static bool is_text(const char *text, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t length = character((const uint8_t *)text + i, count - i);
        if (!length) {
            return false;
        }
        i += length;
    }
    return true;
}

static bool is_whole(const struct ring_entry *entry, size_t place)
{
    if (entry->number >= RING_NUMBERS || entry->number % RING_ENTRIES != place || entry->level >= RING_LEVELS ||
        entry->length > RING_MESSAGE_BYTES || entry->note >= RING_NUMBERS) {
        return false;
    }
    const char *end = memchr(entry->name, '\0', RING_NAME_BYTES);
    return end && entry->check == check_of(entry) && is_text(entry->name, (size_t)(end - entry->name)) &&
           is_text(entry->message, entry->length);
}

void ring_adopt(struct ring *ring, struct ring_entry *entries)
{
    *ring = (struct ring){.entries = entries};
    for (size_t i = 0; i < RING_ENTRIES; i++) {
        const struct ring_entry *entry = &entries[i];
        if (!is_whole(entry, i)) {
            memset(&entries[i], 0, sizeof(entries[i]));
            continue;
        }
        ring->next = entry->number >= ring->next ? entry->number + 1 : ring->next;
        ring->next_note = entry->note > ring->next_note ? entry->note : ring->next_note;
    }
    ring->first = ring->next > RING_ENTRIES ? ring->next - RING_ENTRIES : 0;
}

const struct ring_entry *ring_find(const struct ring *ring, uint64_t number)
{
    const struct ring_entry *entry = &ring->entries[number % RING_ENTRIES];
    bool is_there = number >= ring->first && number < ring->next && entry->number == number && entry->check;
    return is_there ? entry : NULL;
}

const struct ring_entry *ring_add(struct ring *ring, uint64_t time, uint32_t level, const char *name, uint64_t note,
                                  const void *message, size_t length)
{
    struct ring_entry *entry = &ring->entries[ring->next % RING_ENTRIES];
    if (length > RING_MESSAGE_BYTES) {
        for (length = RING_MESSAGE_BYTES; length && (((const uint8_t *)message)[length] & 0xc0) == 0x80; length--) {
        }
    }
    __atomic_store_n(&entry->check, 0, __ATOMIC_SEQ_CST);
    entry->number = ring->next;
    entry->time = time;
    entry->note = note;
    entry->level = level;
    entry->length = (uint32_t)length;
    memset(entry->name, 0, RING_NAME_BYTES);
    memcpy(entry->name, name, strnlen(name, RING_NAME_BYTES - 1));
    memcpy(entry->message, message, length);
    __atomic_store_n(&entry->check, check_of(entry), __ATOMIC_SEQ_CST);
    ring->next++;
    ring->first = ring->next > RING_ENTRIES ? ring->next - RING_ENTRIES : 0;
    ring->next_note = note > ring->next_note ? note : ring->next_note;
    return entry;
}
