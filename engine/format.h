/* Text formatting for messages, without a C library: a subset of printf.
 * Conversions: %d %u %x %c %s %p %%, with `l`, `ll`, `z` and `j` lengths, `0` and `-` flags, width (also `*`), and
 * precision for %s (also `.*`). Anything else is copied as it stands. */
#ifndef ENGINE_FORMAT_H
#define ENGINE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Format into `buffer` of `size` bytes, always terminated when size > 0. Returns the length that the whole text
 * has, as vsnprintf does. */
size_t format_text_list(char *buffer, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
size_t format_text(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
