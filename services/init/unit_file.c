#include "services/init/unit_file.h"

#include <ini.h>
#include <string.h>

struct unit_file {
    unit_file_handler *handler;
    void *context;
    char *kept;     /* behind the strings that were given to the handler: they take the place of lines read before */
    char *at, *end; /* what is not read yet */
    char *line_end; /* of the line that `at` is in */
    unsigned *line;
    unsigned next_line;
    bool in_section;
    const char *problem;
};

/* The next line begins at file->at: find its end, and join with it those that follow by a backslash. */
static void begin_line(struct unit_file *file)
{
    char *start = file->at;
    *file->line = file->next_line;
    for (char *at = start; at != file->end; at++) {
        if (*at != '\n') {
            continue;
        }
        file->next_line++;
        char *last = at;
        while (last > start && last[-1] == '\r') {
            last--;
        }
        if (last == start || last[-1] != '\\' || *start == '#' || *start == ';') {
            file->line_end = at + 1;
            return;
        }
        memset(last - 1, ' ', (size_t)(at - last) + 2);
    }
    file->line_end = file->end;
}

/* What inih reads with: as fgets. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct unit_file *file = stream;
    if (file->at == file->end) {
        return NULL;
    }
    if (file->at == file->line_end) {
        begin_line(file);
    }
    size_t left = (size_t)(file->line_end - file->at), length = (size_t)size - 1;
    length = left < length ? left : length;
    memcpy(buffer, file->at, length);
    buffer[length] = '\0';
    file->at += length;
    return buffer;
}

/* A copy where there is room: the line it comes from was read, and had at least one byte more. */
static char *keep(struct unit_file *file, const char *text)
{
    char *copy = file->kept;
    file->kept += strlen(text) + 1;
    return memcpy(copy, text, strlen(text) + 1);
}

static int handle(void *context, const char *section, const char *key, const char *value)
{
    struct unit_file *file = context;
    file->in_section |= !key;
    if (file->in_section) {
        file->problem = file->handler(file->context, key, keep(file, key ? value : section));
    } else {
        file->problem = "a key outside of a section";
    }
    return !file->problem;
}

bool unit_file_parse(char *text, size_t size, unit_file_handler *handler, void *context, unsigned *line,
                     const char **message)
{
    struct unit_file file = {.handler = handler,
                             .context = context,
                             .kept = text,
                             .at = text,
                             .end = text + size,
                             .line_end = text,
                             .line = line,
                             .next_line = 1};
    const char *zero = memchr(text, '\0', size);
    *line = 1;
    if (zero) {
        for (const char *at = text; at < zero; at++) {
            *line += *at == '\n';
        }
        *message = "a NUL byte";
        return false;
    }
    int result = ini_parse_stream(read_line, &file, handle, &file);
    if (result == 0) {
        return true;
    }
    *message = file.problem ? file.problem
               : result < 0 ? "no memory to read the line"
                            : "neither [section] nor Key=value, or more than a megabyte";
    return false;
}
