/* Parsing of options; see options.h. */
#include "tools/options.h"
#include "tools/message.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void usage_error(const struct subcommand *subcommand, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    die("%s: %s\nSee `tessera %s --help`.", subcommand->name, message, subcommand->name);
}

static void print_option(const struct option *option)
{
    char left[64];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", option->letter ? '-' : ' ', option->letter ? option->letter : ' ',
             option->letter ? ", " : "  ", option->name, option->value ? " " : "", option->value ? option->value : "");
    const char *line = option->help;
    for (bool first = true; line; first = false) {
        const char *end = strchr(line, '\n');
        int length = end ? (int)(end - line) : (int)strlen(line);
        printf("  %-30s  %.*s\n", first ? left : "", length, line);
        line = end ? end + 1 : NULL;
    }
}

static void print_help(const struct subcommand *subcommand)
{
    static const struct option help = {"help", 'h', NULL, "Print this text.", NULL};
    printf("Usage: tessera %s %s\n\n%s\n\nOptions:\n", subcommand->name, subcommand->synopsis, subcommand->summary);
    for (unsigned i = 0; i < subcommand->option_count; i++)
        print_option(&subcommand->options[i]);
    print_option(&help);
    if (subcommand->description)
        printf("\n%s", subcommand->description);
}

unsigned edit_distance(const char *a, size_t length, const char *b)
{
    unsigned row[64];
    size_t columns = strlen(b);
    if (length >= 64 || columns >= 64)
        return 64;
    for (size_t j = 0; j <= columns; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[columns];
}

_Noreturn static void unknown_option(const struct subcommand *subcommand, const char *word, size_t length)
{
    const char *best = NULL;
    unsigned best_distance = 4;
    for (unsigned i = 0; i < subcommand->option_count; i++) {
        const char *name = subcommand->options[i].name;
        unsigned distance = edit_distance(word + 2, length - 2, name);
        if (length > 3 && strncmp(word + 2, name, length - 2) == 0)
            distance = 1;
        if (distance < best_distance && distance < strlen(name)) {
            best_distance = distance;
            best = name;
        }
    }
    if (best && word[1] == '-')
        usage_error(subcommand, "unknown option %.*s; did you mean --%s?", (int)length, word, best);
    usage_error(subcommand, "unknown option %.*s%s", (int)length, word,
                subcommand->runs_program ? " (options of the program go behind its name)" : "");
}

static const struct option *find_long(const struct subcommand *subcommand, const char *name, size_t length)
{
    for (unsigned i = 0; i < subcommand->option_count; i++)
        if (strlen(subcommand->options[i].name) == length && memcmp(subcommand->options[i].name, name, length) == 0)
            return &subcommand->options[i];
    return NULL;
}

static const struct option *find_letter(const struct subcommand *subcommand, char letter)
{
    for (unsigned i = 0; i < subcommand->option_count; i++)
        if (subcommand->options[i].letter == letter)
            return &subcommand->options[i];
    return NULL;
}

int options_parse(const struct subcommand *subcommand, int count, char **words, void *context)
{
    int at = 0;
    while (at < count && words[at][0] == '-' && words[at][1] != '\0') {
        const char *word = words[at++];
        if (strcmp(word, "--") == 0)
            break;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(subcommand);
            exit(0);
        }
        bool is_long = word[1] == '-';
        size_t length = is_long ? strcspn(word, "=") : 2;
        const struct option *option =
            is_long ? find_long(subcommand, word + 2, length - 2) : find_letter(subcommand, word[1]);
        if (!option)
            unknown_option(subcommand, word, length);
        /* A value in the same word, if any: behind "=", or behind the letter. */
        const char *value = is_long ? (word[length] ? word + length + 1 : NULL) : (word[2] ? word + 2 : NULL);
        if (!option->value && value)
            usage_error(subcommand, "--%s takes no value", option->name);
        if (option->value && !value) {
            if (at == count)
                usage_error(subcommand, "--%s needs a value: %s", option->name, option->value);
            value = words[at++];
        }
        option->apply(context, value);
    }
    return at;
}

/* A decimal number with an optional fraction, in units of 1/1000000000; dies when it is none or too large. */
static uint64_t parse_decimal(const char *option, const char *text, const char **end)
{
    const char *cursor = text;
    uint64_t whole = 0, fraction = 0, unit = 100000000;
    while (isdigit((unsigned char)*cursor)) {
        whole = whole * 10 + (uint64_t)(*cursor++ - '0');
        if (whole > UINT64_C(1000000000))
            die("--%s: %s is too large", option, text);
    }
    if (*cursor == '.' && isdigit((unsigned char)cursor[1]))
        for (cursor++; isdigit((unsigned char)*cursor); cursor++, unit /= 10)
            fraction += unit * (uint64_t)(*cursor - '0');
    if (cursor == text)
        die("--%s: %s is not a number", option, text);
    *end = cursor;
    return whole * UINT64_C(1000000000) + fraction;
}

unsigned long long parse_seconds(const char *option, const char *text)
{
    const char *end;
    uint64_t value = parse_decimal(option, text, &end);
    if (strcmp(end, "ms") == 0)
        value /= 1000;
    else if (strcmp(end, "m") == 0)
        value = value > UINT64_MAX / 60 ? UINT64_MAX : value * 60;
    else if (*end != '\0' && strcmp(end, "s") != 0)
        die("--%s: unknown unit %s (ms, s or m)", option, end);
    if (value == 0)
        die("--%s: must be more than 0", option);
    return value;
}

unsigned long long parse_size(const char *option, const char *text)
{
    static const char letters[] = "KMGT";
    char *end;
    if (!isdigit((unsigned char)*text))
        die("--%s: %s is not a size (such as 65536, 64K, 16M or 1G)", option, text);
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end) {
        const char *letter = strchr(letters, toupper((unsigned char)*end));
        if (!letter || (end[1] != '\0' && strcasecmp(end + 1, "B") != 0 && strcasecmp(end + 1, "iB") != 0))
            die("--%s: unknown unit %s (K, M, G or T)", option, end);
        shift = 10 * (unsigned)(letter - letters + 1);
    }
    if (value == 0 || value > UINT64_C(1) << 44 >> shift)
        die("--%s: %s is out of range", option, text);
    return value << shift;
}
