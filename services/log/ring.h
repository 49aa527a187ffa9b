/* The log's entries: the last RING_ENTRIES of them, in memory that may outlive the process that writes it.
 *
 * Each has a place of its own, by its number, and a check of its bytes, which is written last. So whoever finds the
 * memory after its writer died in the middle of something, or after somebody filled it with anything, keeps the entries
 * that are whole and forgets the rest. */
#ifndef SERVICES_LOG_RING_H
#define SERVICES_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_ENTRIES       1024
#define RING_NAME_BYTES    32
#define RING_MESSAGE_BYTES 944
#define RING_LEVELS        4
#define RING_NUMBERS       (UINT64_C(1) << 48) /* no log lives so long */

struct ring_entry {
    uint64_t check;  /* of all that follows, up to the end of the message */
    uint64_t number; /* from 0 on */
    uint64_t time;   /* monotonic nanoseconds */
    uint64_t note;   /* the number of a note of the manager's, plus 1; 0: it is none */
    uint32_t level;
    uint32_t length;            /* of the message */
    char name[RING_NAME_BYTES]; /* terminated */
    char message[RING_MESSAGE_BYTES + 8];
};
_Static_assert(sizeof(struct ring_entry) == 1024, "a place");

struct ring {
    struct ring_entry *entries; /* RING_ENTRIES */
    uint64_t first, next;       /* numbers: of the oldest that may be there, and of the next one to come */
    uint64_t next_note;         /* behind those that are among them; the owner may set it */
};

/* Take over what is in the memory: entries that are whole and belong together. */
void ring_adopt(struct ring *ring, struct ring_entry *entries);
/* Add an entry; a message that is too long is cut off in front of a character. */
const struct ring_entry *ring_add(struct ring *ring, uint64_t time, uint32_t level, const char *name, uint64_t note,
                                  const void *message, size_t length);
/* NULL: forgotten, or not there yet. */
const struct ring_entry *ring_find(const struct ring *ring, uint64_t number);

#endif
