/* The memory functions that C code and the compiler itself count on. Blocks go by the string instructions, eight bytes
 * at a step: as fast as anything on CPUs of the last ten years, and under emulation eight times as fast as by bytes. */
#include "engine/base.h"

#undef memcpy
#undef memset

struct __attribute__((packed, may_alias)) word64 {
    uint64_t value;
};
struct __attribute__((packed, may_alias)) word32 {
    uint32_t value;
};

/* Up to 16 bytes, by two words that may overlap; all loads come first, so the blocks may overlap as well. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes >= 8) {
        struct word64 first = *(const struct word64 *)from, last = *(const struct word64 *)(from + bytes - 8);
        *(struct word64 *)to = first;
        *(struct word64 *)(to + bytes - 8) = last;
    } else if (bytes >= 4) {
        struct word32 first = *(const struct word32 *)from, last = *(const struct word32 *)(from + bytes - 4);
        *(struct word32 *)to = first;
        *(struct word32 *)(to + bytes - 4) = last;
    } else if (bytes > 0) {
        uint8_t first = from[0], middle = from[bytes / 2], last = from[bytes - 1];
        to[0] = first;
        to[bytes / 2] = middle;
        to[bytes - 1] = last;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    if (bytes <= 16) {
        copy_short(to, from, bytes);
        return to;
    }
    void *destination = to;
    size_t words = bytes / 8, rest = bytes % 8;
    __asm__ volatile("rep movsq" : "+D"(destination), "+S"(from), "+c"(words)::"memory");
    copy_short(destination, from, rest);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);
    if (bytes <= 16) {
        copy_short(to, from, bytes);
        return to;
    }
    /* Backwards, in words: the string instructions are slow that way. */
    uint8_t *destination = (uint8_t *)to + bytes;
    const uint8_t *source = (const uint8_t *)from + bytes;
    for (; bytes >= 8; bytes -= 8) {
        destination -= 8;
        source -= 8;
        *(struct word64 *)destination = *(const struct word64 *)source;
        __asm__ volatile("" ::: "memory"); /* or the loop becomes a call of memmove */
    }
    copy_short(destination - bytes, source - bytes, bytes);
    return to;
}

void *memset(void *to, int byte, size_t bytes)
{
    void *destination = to;
    uint64_t pattern = (uint8_t)byte * UINT64_C(0x0101010101010101);
    size_t words = bytes / 8, rest = bytes % 8;
    __asm__ volatile("rep stosq" : "+D"(destination), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(destination), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;
    for (; bytes >= 8; bytes -= 8, left += 8, right += 8) {
        if (((const struct word64 *)left)->value != ((const struct word64 *)right)->value)
            break;
    }
    for (; bytes > 0; bytes--, left++, right++) {
        if (*left != *right)
            return *left < *right ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *text)
{
    const volatile char *end = text; /* volatile: else the loop is recognized and becomes a call of strlen */
    while (*end)
        end++;
    return (size_t)(end - text);
}
