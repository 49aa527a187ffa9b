/* The small printf against the large one, and what it does where it is smaller. */
#include "engine/format.h"

#include <stdint.h>
#include <string.h>

#include "tests/kernel/check.h"

#define SAME(format, ...)                                                                                              \
    do {                                                                                                               \
        char ours[64], theirs[64];                                                                                     \
        size_t length = format_text(ours, sizeof(ours), format, __VA_ARGS__);                                          \
        CHECK((int)length == snprintf(theirs, sizeof(theirs), format, __VA_ARGS__));                                   \
        CHECK(strcmp(ours, theirs) == 0);                                                                              \
    } while (0)

int main(void)
{
    SAME("%d %d %d", 0, -1, 2147483647);
    SAME("%d", -2147483647 - 1);
    SAME("%lld", -9223372036854775807ll - 1);
    SAME("%llu %zu %ju", 18446744073709551615ull, (size_t)7, (uintmax_t)8);
    SAME("%u %x %lx", 4294967295u, 0xdeadbeefu, 0x123456789abcdefl);
    SAME("[%5d] [%-5d] [%05d]", -42, -42, -42);
    SAME("[%8x] [%-8x] [%08x]", 0xbeefu, 0xbeefu, 0xbeefu);
    SAME("[%*d] [%*d]", 6, 12, -6, 12);
    SAME("[%s] [%6s] [%-6s] [%.2s] [%.*s]", "abc", "abc", "abc", "abc", 1, "abc");
    SAME("[%.*s]", -1, "abc");
    SAME("%c%c [%3c]", 'a', 'b', 'c');
    SAME("%d%%", 99);
    SAME("%p", (void *)0x1234);

    char text[8];
    CHECK(format_text(text, sizeof(text), "%s", "123456789") == 9 && strcmp(text, "1234567") == 0);
    CHECK(format_text(text, 1, "%d", 12) == 2 && text[0] == 0);
    CHECK(format_text(NULL, 0, "%d", 12) == 2);
    const char *missing = NULL;
    CHECK(format_text(text, sizeof(text), "%s", missing) == 6 && strcmp(text, "(null)") == 0);
    const char *unknown = "%q%";
    format_text(text, sizeof(text), unknown, 1);
    CHECK(strcmp(text, "%q%") == 0);
    return checks_report();
}
