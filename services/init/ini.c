#include "services/init/ini.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Without the spaces at both ends. */
static char *trim(char *text)
{
    while (is_space(*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length && is_space(text[length - 1])) {
        length--;
    }
    text[length] = '\0';
    return text;
}

/* Takes the next line out of the text, with those that follow it by a backslash. *line is the number of its first. */
static char *next_line(char **position, char *end, unsigned *line, unsigned *next_number)
{
    char *start = *position;
    if (start == end) {
        return NULL;
    }
    *line = *next_number;
    for (char *at = start;; at++) {
        if (at != end && *at != '\n') {
            continue;
        }
        (*next_number)++;
        char *last = at;
        while (last > start && last[-1] == '\r') {
            last--;
        }
        if (at != end && last > start && last[-1] == '\\' && *start != '#' && *start != ';') {
            memset(last - 1, ' ', (size_t)(at - last) + 2);
            continue;
        }
        *position = at == end ? end : at + 1;
        *at = '\0';
        return start;
    }
}

static const char *parse_line(char *text, ini_handler *handler, void *context, char **section)
{
    text = trim(text);
    if (!*text || *text == '#' || *text == ';') {
        return NULL;
    }
    if (*text == '[') {
        size_t length = strlen(text);
        if (text[length - 1] != ']') {
            return "a section's name is not closed by ]";
        }
        text[length - 1] = '\0';
        *section = trim(text + 1);
        return handler(context, *section, NULL, NULL);
    }
    char *value = strchr(text, '=');
    if (!value) {
        return "neither a section nor Key=value";
    }
    *value++ = '\0';
    return *section ? handler(context, *section, trim(text), trim(value)) : "a key outside of a section";
}

bool ini_parse(char *text, size_t size, ini_handler *handler, void *context, unsigned *line, const char **message)
{
    char *section = NULL, *position = text, *end = text + size, *current;
    unsigned next_number = 1;
    const char *zero = memchr(text, '\0', size);
    *line = 1;
    if (zero) {
        for (const char *at = text; at < zero; at++) {
            *line += *at == '\n';
        }
        *message = "a NUL byte";
        return false;
    }
    while ((current = next_line(&position, end, line, &next_number))) {
        *message = parse_line(current, handler, context, &section);
        if (*message) {
            return false;
        }
    }
    return true;
}
