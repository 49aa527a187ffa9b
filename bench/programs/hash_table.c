/* Counting words in a chained hash table: string hashing, comparison, pointer chasing, small allocations. */
#include "bench.h"

enum { BUCKETS = 1 << 13, WORDS = 60000 };

struct entry {
    struct entry *next;
    uint32_t count;
    char word[];
};

static uint32_t hash(const char *word)
{
    uint32_t value = 2166136261u;
    while (*word != 0)
        value = (value ^ (uint8_t)*word++) * 16777619u;
    return value;
}

static struct entry *find_or_insert(struct entry **buckets, const char *word)
{
    struct entry **place = &buckets[hash(word) % BUCKETS];
    for (; *place != NULL; place = &(*place)->next)
        if (strcmp((*place)->word, word) == 0)
            return *place;
    struct entry *entry = allocate(sizeof *entry + strlen(word) + 1);
    entry->next = NULL;
    entry->count = 0;
    strcpy(entry->word, word);
    return *place = entry;
}

static void make_word(uint32_t number, char *word)
{
    static const char syllables[16][4] = {"ka", "to",  "mi", "ren", "sol", "ta",  "vu", "lin",
                                          "po", "dra", "ne", "ix",  "ber", "qua", "sy", "om"};
    *word = 0;
    for (; number != 0; number >>= 4)
        word = stpcpy(word, syllables[number & 15]);
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    uint32_t random = 99;
    for (uint32_t round = 0; round < 9 * scale; round++) {
        struct entry **buckets = calloc(BUCKETS, sizeof *buckets);
        for (int i = 0; i < WORDS; i++) {
            char word[32];
            uint32_t number = next_random(&random);
            make_word(number >> (number & 31), word);
            find_or_insert(buckets, word)->count++;
        }
        for (int i = 0; i < BUCKETS; i++)
            for (struct entry *entry = buckets[i], *next; entry != NULL; entry = next) {
                sum = mix(sum, entry->count);
                next = entry->next;
                free(entry);
            }
        free(buckets);
    }
    return sum;
}
