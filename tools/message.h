/* What the command says when it cannot go on, and its own exit statuses.
 *
 * A program's exit status is passed on as it is, and launch_exit_status (kernel/launch.h) says what traps and limits
 * give; these are for the command itself, as `env` and `timeout` have them. */
#ifndef TOOLS_MESSAGE_H
#define TOOLS_MESSAGE_H

#include <stddef.h>

enum {
    EXIT_TESSERA = 125,   /* wrong options, a kernel panic, a machine that cannot be started */
    EXIT_REFUSED = 126,   /* not a module that can be run */
    EXIT_NOT_FOUND = 127, /* no such file */
};

/* "tessera: " and the message, on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and exit with EXIT_TESSERA. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* malloc and realloc that die instead of returning NULL. */
void *allocate(size_t bytes);
void *reallocate(void *memory, size_t bytes);
/* A formatted text in memory of its own. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
