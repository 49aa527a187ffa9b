/* Random bytes: ChaCha20 (RFC 8439) as a generator that replaces its key with each request, so that what was given out
 * cannot be found from what is in memory later. The key is seeded, at the first request, from RDSEED or RDRAND and from
 * the jitter of the TSC around port reads; the jitter goes on being mixed in. */
#include "engine/base.h"
#include "kernel/platform.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/spinlock.h"

#define KEY_WORDS   8
#define BLOCK_WORDS 16
#define BLOCK_BYTES 64
#define ROUNDS      20

static struct long_lock lock;
static uint32_t key[KEY_WORDS] GUARDED_BY(lock);
static bool seeded GUARDED_BY(lock);

static inline uint32_t rotate(uint32_t value, uint32_t by)
{
    return value << by | value >> (32 - by);
}

static inline void quarter(uint32_t *x, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

static void block(const uint32_t by[KEY_WORDS], uint64_t counter, uint32_t result[BLOCK_WORDS])
{
    uint32_t start[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(start + 4, by, KEY_WORDS * sizeof by[0]);
    start[12] = (uint32_t)counter;
    start[13] = (uint32_t)(counter >> 32);
    memcpy(result, start, sizeof start);
    for (uint32_t i = 0; i < ROUNDS; i += 2) {
        quarter(result, 0, 4, 8, 12);
        quarter(result, 1, 5, 9, 13);
        quarter(result, 2, 6, 10, 14);
        quarter(result, 3, 7, 11, 15);
        quarter(result, 0, 5, 10, 15);
        quarter(result, 1, 6, 11, 12);
        quarter(result, 2, 7, 8, 13);
        quarter(result, 3, 4, 9, 14);
    }
    for (uint32_t i = 0; i < BLOCK_WORDS; i++)
        result[i] += start[i];
}

/* The key becomes a function of itself and the words. */
static void absorb(const uint32_t words[KEY_WORDS]) REQUIRES(lock)
{
    uint32_t result[BLOCK_WORDS];
    for (uint32_t i = 0; i < KEY_WORDS; i++)
        key[i] ^= words[i];
    block(key, UINT64_MAX, result);
    memcpy(key, result, sizeof key);
}

/* 64 bits from the CPU's generator; it may be empty for a moment, hence some tries. */
static bool hardware_word(uint64_t *word)
{
    for (uint32_t i = 0; i < 16; i++) {
        bool done = false;
        if (cpu_details.rdseed)
            __asm__ volatile("rdseed %0" : "=r"(*word), "=@ccc"(done));
        if (!done && cpu_details.rdrand)
            __asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(done));
        if (done)
            return true;
    }
    return false;
}

/* Without a generator in the CPU, what is left is the time that port reads take: some bits each at best, so many of
 * them. */
#define JITTER_ROUNDS_ALONE 64

static void seed(void) REQUIRES(lock)
{
    uint64_t words[KEY_WORDS / 2];
    bool hardware = cpu_details.rdseed || cpu_details.rdrand;
    for (uint32_t i = 0; i < ARRAY_COUNT(words) && hardware; i++)
        hardware = hardware_word(&words[i]);
    if (hardware)
        absorb((const uint32_t *)words);
    for (uint32_t round = 0; round < (hardware ? 1 : JITTER_ROUNDS_ALONE); round++) {
        for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
            (void)in8(0x61);
            words[i] = read_tsc();
        }
        absorb((const uint32_t *)words);
    }
    seeded = true;
}

/* A key for one request; the common one is another then. */
static void request_key(uint32_t request[KEY_WORDS]) REQUIRES(lock)
{
    if (!seeded)
        seed();
    uint32_t words[BLOCK_WORDS] = {(uint32_t)read_tsc()};
    absorb(words);
    block(key, 0, words);
    memcpy(key, words, sizeof key);
    memcpy(request, words + KEY_WORDS, sizeof key);
    memset(words, 0, sizeof words);
    __asm__ volatile("" ::"r"(words) : "memory"); /* the clearing is meant */
}

/* `buffer` may be a guest's, and the guest may end where it is written: no lock is held there. */
void platform_random(void *buffer, size_t bytes)
{
    uint32_t request[KEY_WORDS], words[BLOCK_WORDS];
    long_lock_acquire(&lock);
    request_key(request);
    long_lock_release(&lock);
    uint8_t *to = buffer;
    for (uint64_t counter = 0; bytes > 0; counter++) {
        size_t part = min_u64(bytes, BLOCK_BYTES);
        block(request, counter, words);
        memcpy(to, words, part);
        to += part;
        bytes -= part;
    }
    memset(request, 0, sizeof request);
    memset(words, 0, sizeof words);
    __asm__ volatile("" ::"r"(request), "r"(words) : "memory");
}
