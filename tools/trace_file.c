/* Reading trace files; see trace_file.h. Whatever the bytes are, they give a trace or a message. */
#include "tools/trace_file.h"
#include "tools/file.h"
#include "tools/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/platform.h"

const struct trace_kind trace_kinds[TRACE_EVENT_COUNT] = {
#define EVENT(NAME, name, category, shape, argument, second) [TRACE_##NAME] = {name, category, shape, argument, second},
#include "kernel/trace_events.def"
#undef EVENT
};

static void add_events(struct trace_file *file, const struct trace_chunk *chunk, const uint8_t *items)
{
    file->lost += chunk->lost;
    file->events = reallocate(file->events, (file->event_count + chunk->count) * sizeof *file->events + 1);
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct trace_event_entry *entry = &file->events[file->event_count];
        *entry = (struct trace_event_entry){.cpu = chunk->number, .order = file->event_count};
        memcpy(&entry->record, items + i * sizeof entry->record, sizeof entry->record);
        file->event_count += entry->record.event > TRACE_NONE && entry->record.event < TRACE_EVENT_COUNT;
    }
}

static void add_names(struct trace_file *file, const struct trace_chunk *chunk, const uint8_t *items)
{
    size_t bytes = chunk->count * sizeof *file->names;
    file->names = reallocate(file->names, file->name_count * sizeof *file->names + bytes + 1);
    memcpy(file->names + file->name_count, items, bytes);
    file->name_count += chunk->count;
}

/* The chunk at the start of `bytes`; how long it is, or 0. */
static size_t add_chunk(struct trace_file *file, const uint8_t *bytes, size_t size, bool first)
{
    struct trace_chunk chunk;
    if (size < sizeof chunk)
        return 0;
    memcpy(&chunk, bytes, sizeof chunk);
    size_t item_bytes = chunk.kind == TRACE_CHUNK_EVENTS  ? sizeof(struct trace_record)
                        : chunk.kind == TRACE_CHUNK_NAMES ? sizeof(struct trace_name)
                                                          : 0;
    if (chunk.magic != TRACE_MAGIC || chunk.kind > TRACE_CHUNK_NAMES || first != (chunk.kind == TRACE_CHUNK_START) ||
        chunk.count > PLATFORM_RECORD_BYTES || chunk.count * item_bytes > size - sizeof chunk)
        return 0;
    if (first) {
        if (chunk.number != TRACE_VERSION)
            return 0;
        file->start = chunk.lost;
    } else if (chunk.kind == TRACE_CHUNK_EVENTS) {
        if (chunk.number >= PLATFORM_CPUS_MAXIMUM)
            return 0;
        add_events(file, &chunk, bytes + sizeof chunk);
    } else {
        add_names(file, &chunk, bytes + sizeof chunk);
    }
    return sizeof chunk + chunk.count * item_bytes;
}

static int compare_events(const void *left, const void *right)
{
    const struct trace_event_entry *a = left, *b = right;
    if (a->record.time != b->record.time)
        return a->record.time < b->record.time ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* ---- Threads ---- */

static int compare_threads(const void *left, const void *right)
{
    const struct trace_thread *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

struct trace_thread *trace_file_thread(const struct trace_file *file, uint32_t id)
{
    const struct trace_thread key = {.id = id};
    return bsearch(&key, file->threads, file->thread_count, sizeof key, compare_threads);
}

/* The thread that an event mentions, beside the one that ran. */
static uint32_t mentioned_thread(const struct trace_record *record)
{
    enum trace_shape shape = trace_kinds[record->event].shape;
    bool mentions = shape == SWITCH || shape == WAKE || record->event == TRACE_THREAD_START;
    return mentions ? (uint32_t)record->argument : record->thread;
}

static void find_threads(struct trace_file *file)
{
    struct trace_thread *threads = allocate(2 * file->event_count * sizeof *threads + 1);
    for (size_t i = 0; i < file->event_count; i++) {
        const struct trace_record *record = &file->events[i].record;
        threads[2 * i] = (struct trace_thread){.id = record->thread};
        threads[2 * i + 1] = (struct trace_thread){.id = mentioned_thread(record)};
    }
    qsort(threads, 2 * file->event_count, sizeof *threads, compare_threads);
    for (size_t i = 0; i < 2 * file->event_count; i++)
        if (i == 0 || threads[i].id != threads[file->thread_count - 1].id)
            threads[file->thread_count++] = threads[i];
    file->threads = threads;
    for (size_t i = 0; i < file->event_count; i++) {
        const struct trace_record *record = &file->events[i].record;
        if (record->process != 0)
            trace_file_thread(file, record->thread)->process = record->process;
        if (record->event == TRACE_IDLE_BEGIN)
            trace_file_thread(file, record->thread)->idles = true;
    }
}

/* ---- */

void trace_file_read(const char *path, struct trace_file *file)
{
    size_t size;
    const uint8_t *bytes = file_contents(path, &size);
    *file = (struct trace_file){0};
    for (size_t at = 0; at == 0 || at < size;) {
        size_t length = add_chunk(file, bytes + at, size - at, at == 0);
        if (length == 0)
            die(at == 0 ? "%s: not a trace, or of another version" : "%s: damaged at offset %zu", path, at);
        at += length;
    }
    if (file->event_count > 0)
        qsort(file->events, file->event_count, sizeof *file->events, compare_events);
    find_threads(file);
}

const char *trace_file_process(const struct trace_file *file, uint32_t process, char *text)
{
    snprintf(text, TRACE_TEXT_BYTES, process ? "process %" PRIu32 : "kernel", process);
    for (size_t i = file->name_count; process && i > 0; i--)
        if (file->names[i - 1].process == process) {
            const char *name = file->names[i - 1].text;
            size_t length = strnlen(name, TRACE_NAME_BYTES), start = length;
            while (start > 0 && (name[start - 1] != '/' || start == length))
                start--;
            snprintf(text, TRACE_TEXT_BYTES, "%.*s", (int)(length - start), name + start);
            break;
        }
    return text;
}
