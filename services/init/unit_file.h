/* Files of sections and keys, in the syntax of systemd's unit files (systemd.syntax(7)), read with inih:
 *
 *     # comment            ; comment
 *     [section]
 *     Key=value            spaces around both are taken away
 *     Key=a value \
 *         on two lines     a backslash at the end of a line: the next one follows, with a space between
 *
 * A key may come several times; what that means is the caller's business. inih is given whole lines, so that it knows
 * nothing of the backslash, and what it cuts at a fixed length (names of sections, at 49 bytes) is to be refused as too
 * long by the handler. */
#ifndef SERVICES_INIT_UNIT_FILE_H
#define SERVICES_INIT_UNIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* One key, or with key NULL: the section `value` begins. `value` is terminated, lies in the file's memory and may be
 * kept and changed; `key` is the reader's. NULL: go on; else what is wrong with it. */
typedef const char *unit_file_handler(void *context, const char *key, char *value);

/* Read `size` bytes at `text`, which are changed, and stay for what the handler keeps of them. On an error the result
 * is false, and *line (from 1) and *message (static, or the handler's) say which. *line also tells the handler where it
 * is. */
bool unit_file_parse(char *text, size_t size, unit_file_handler *handler, void *context, unsigned *line,
                     const char **message);

#endif
