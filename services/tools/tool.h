/* What all tools share: the words they are called with, and the statuses they end with. */
#ifndef SERVICES_TOOLS_TOOL_H
#define SERVICES_TOOLS_TOOL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TOOL_FAILED = 1, TOOL_USAGE = 2 }; /* exit statuses beside 0 */

/* Whether the only word asks for help. */
static inline bool tool_wants_help(int count, char **words)
{
    return count == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0);
}

/* A whole decimal number from `minimum` to `maximum`; false, and `*result` is as before, when the text is none. */
static inline bool tool_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *result)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || number < minimum || number > maximum) {
        return false;
    }
    *result = number;
    return true;
}

#endif
