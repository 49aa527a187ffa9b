/* Files of sections and keys, in the syntax of systemd's unit files (systemd.syntax(7)):
 *
 *     # comment            ; comment
 *     [section]
 *     Key=value            spaces around both are taken away
 *     Key=a value \
 *         on two lines     a backslash at the end of a line: the next one follows, with a space between
 *
 * A key may come several times; what that means is the caller's business. Why not inih: Debian has it compiled for the
 * machine only, so building would have to fetch its source each time; and it cuts lines at a fixed length, and does not
 * tell a section that is opened twice from one that goes on. */
#ifndef SERVICES_INIT_INI_H
#define SERVICES_INIT_INI_H

#include <stdbool.h>
#include <stddef.h>

/* One key, or with key NULL: a section begins. The texts are terminated, lie in the file's memory and may be kept.
 * NULL: go on; else what is wrong with it. */
typedef const char *ini_handler(void *context, char *section, char *key, char *value);

/* Read `size` bytes at `text`, which are changed; text[size] must be writable. On an error the result is false, and
 * *line (from 1) and *message (static, or the handler's) say which. */
bool ini_parse(char *text, size_t size, ini_handler *handler, void *context, unsigned *line, const char **message);

#endif
