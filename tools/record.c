/* Records of a run; see record.h. Profile lines are added up by their text and written in its order, so that two runs
 * can be compared. */
#include "tools/record.h"
#include "tools/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stack {
    struct stack *next; /* in its chain */
    uint64_t samples;
    char text[]; /* "process;_start;main" */
};

#define CHAINS 4096

static const char *profile_path, *trace_path;
static FILE *profile_file, *trace_file;
static struct stack *chains[CHAINS];
static size_t stack_count;

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        die("cannot write %s: %s", path, strerror(errno));
    return file;
}

static void finish(FILE *file, const char *path)
{
    bool failed = ferror(file);
    if (fclose(file) != 0 || failed)
        die("cannot write %s: %s", path, strerror(errno));
}

void record_profile_to(const char *path)
{
    profile_path = path;
    profile_file = create(path);
}

void record_trace_to(const char *path)
{
    trace_path = path;
    trace_file = create(path);
    setvbuf(trace_file, NULL, _IONBF, 0); /* what a panic tells is followed by nothing */
}

static struct stack *find_stack(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    struct stack **chain = &chains[hash % CHAINS];
    for (struct stack *stack = *chain; stack; stack = stack->next)
        if (strncmp(stack->text, text, length) == 0 && stack->text[length] == '\0')
            return stack;
    struct stack *stack = allocate(sizeof *stack + length + 1);
    *stack = (struct stack){.next = *chain};
    memcpy(stack->text, text, length);
    stack->text[length] = '\0';
    *chain = stack;
    stack_count++;
    return stack;
}

/* "process;_start;main 42\n"; anything else is not of our kernel, and is dropped. */
static void add_line(const char *line, size_t bytes)
{
    size_t digits = bytes - 1;
    if (bytes == 0 || line[digits] != '\n')
        return;
    uint64_t samples = 0, scale = 1;
    for (; digits > 0 && line[digits - 1] >= '0' && line[digits - 1] <= '9'; scale *= 10)
        samples += scale * (uint64_t)(line[--digits] - '0');
    if (digits < 2 || line[digits - 1] != ' ' || memchr(line, '\0', bytes))
        return;
    find_stack(line, digits - 1)->samples += samples;
}

static int compare_stacks(const void *left, const void *right)
{
    const struct stack *const *a = left, *const *b = right;
    return strcmp((*a)->text, (*b)->text);
}

static void write_profile(void)
{
    struct stack **sorted = allocate(stack_count * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < CHAINS; i++)
        for (struct stack *stack = chains[i]; stack; stack = stack->next)
            sorted[count++] = stack;
    qsort(sorted, count, sizeof *sorted, compare_stacks);
    for (size_t i = 0; i < count; i++)
        fprintf(profile_file, "%s %" PRIu64 "\n", sorted[i]->text, sorted[i]->samples);
    free(sorted);
    finish(profile_file, profile_path);
}

void record_receive(enum record_stream stream, const void *record, size_t bytes)
{
    if (stream == RECORD_PROFILE && profile_file)
        add_line(record, bytes);
    else if (stream == RECORD_TRACE && trace_file)
        fwrite(record, 1, bytes, trace_file);
}

void record_finish(void)
{
    if (profile_file)
        write_profile();
    if (trace_file)
        finish(trace_file, trace_path);
}
