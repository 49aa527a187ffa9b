/* Options of a subcommand: one table from which parsing, `--help` and the hints for misspelt options come.
 *
 * `--name VALUE`, `--name=VALUE`, `-l VALUE`, `-lVALUE`; flags take no value. Options end at `--` or at the first word
 * that is not one; what follows is left alone. Anything unknown ends the command with a message and a hint. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct option {
    const char *name;                                /* without the dashes */
    char letter;                                     /* short form, or 0 */
    const char *value;                               /* what the value is called in the help; NULL: a flag */
    const char *help;                                /* lines separated by '\n' */
    void (*apply)(void *context, const char *value); /* dies when the value is wrong; `value` is NULL for a flag */
};

struct subcommand {
    const char *name;
    const char *synopsis;    /* behind "tessera NAME" */
    const char *summary;     /* one line */
    const char *description; /* of `--help`, behind the options; may be NULL */
    const struct option *options;
    unsigned option_count;
    bool runs_program; /* the words behind its first one belong to a program */
    /* The words behind the name; returns the exit status. */
    int (*run)(const struct subcommand *subcommand, int count, char **words);
};

/* Apply the options at the start of `words`; returns the index of the first word behind them. `--help` prints and
 * exits with 0. */
int options_parse(const struct subcommand *subcommand, int count, char **words, void *context);
/* Die with "SUBCOMMAND: message" and a pointer to --help. */
_Noreturn void usage_error(const struct subcommand *subcommand, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Number of insertions, deletions and replacements that make `a`, of `length` bytes, into `b`: for hints. */
unsigned edit_distance(const char *a, size_t length, const char *b);

/* Values. `option` names the option in messages. */
unsigned long long parse_size(const char *option, const char *text);    /* bytes: 4096, 64K, 16MiB, 1G */
unsigned long long parse_seconds(const char *option, const char *text); /* nanoseconds: 2, 0.5, 250ms, 3s, 1m */

#endif
