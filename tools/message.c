/* Messages on stderr, and memory that is there or ends the command. */
#include "tools/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void complain_list(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("tessera: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(format, arguments);
    va_end(arguments);
    exit(EXIT_TESSERA);
}

void *allocate(size_t bytes)
{
    return reallocate(NULL, bytes);
}

void *reallocate(void *memory, size_t bytes)
{
    void *result = realloc(memory, bytes > 0 ? bytes : 1);
    if (!result)
        die("out of memory");
    return result;
}

char *text_of(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        die("out of memory");
    return text;
}
