/* The log of the system (interfaces/log.wit): the last entries, with level, time, and the name of who wrote them, which
 * it has from the service manager and not from the writer.
 *
 *     log [LEVEL]      entries from that level on also go to the error stream, at once
 *
 * What it keeps lives as long as its process. It needs a client end of the manager's `names`; a handle to the clock
 * makes its times finer than 1 ms. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/init_names.h"
#include "interfaces/generated/log_system.h"
#include "sdk/tessera.h"

#define ENTRIES       1024 /* kept */
#define MESSAGE_BYTES 1000 /* kept of one message */
#define ANSWER_BYTES  32768
#define NAMES         64
#define NAME_BYTES    32

struct entry {
    uint64_t time;
    char *message;
    char name[NAME_BYTES];
    exports_log_level_t level;
};

static struct entry entries[ENTRIES]; /* number N at N % ENTRIES */
static uint64_t next_entry, next_note;
static unsigned shown_level = UINT32_MAX;
static const char *const levels[] = {"debug", "info", "warning", "error"};

static struct {
    uint64_t badge;
    char name[NAME_BYTES];
} names[NAMES];
static unsigned name_count;

/* "?" for somebody whom the manager does not know; he is asked again the next time. */
static const char *name_of(uint64_t badge)
{
    init_names_string_t answer;
    names_problem_t problem;
    for (unsigned i = 0; i < name_count; i++) {
        if (names[i].badge == badge) {
            return names[i].name;
        }
    }
    if (!names_name_of(badge, &answer, &problem)) {
        return "?";
    }
    unsigned place = name_count < NAMES ? name_count++ : badge % NAMES;
    names[place].badge = badge;
    snprintf(names[place].name, NAME_BYTES, "%.*s", (int)answer.len, (char *)answer.ptr);
    init_names_string_free(&answer);
    return names[place].name;
}

/* What could move a terminal's cursor is shown as a space. */
static void show(const struct entry *entry)
{
    fprintf(stderr, "[%5" PRIu64 ".%06u] %-7s %s: ", entry->time / 1000000000,
            (unsigned)(entry->time % 1000000000 / 1000), levels[entry->level], entry->name);
    for (const char *at = entry->message; *at; at++) {
        fputc((unsigned char)*at < 32 || *at == 127 ? ' ' : *at, stderr);
    }
    fputc('\n', stderr);
}

static void add(uint64_t time, exports_log_level_t level, const char *name, const void *bytes, size_t length)
{
    struct entry *entry = &entries[next_entry % ENTRIES];
    if (length > MESSAGE_BYTES) { /* not in the middle of a character */
        for (length = MESSAGE_BYTES; length && (((const uint8_t *)bytes)[length] & 0xc0) == 0x80; length--) {
        }
    }
    char *message = malloc(length + 1);
    if (!message) {
        return;
    }
    memcpy(message, bytes, length);
    message[length] = '\0';
    free(entry->message);
    *entry = (struct entry){.time = time, .message = message, .level = level};
    snprintf(entry->name, NAME_BYTES, "%s", name);
    next_entry++;
    if (level >= shown_level) {
        show(entry);
    }
}

static uint64_t now(void)
{
    int64_t time = tessera_clock_read(TESSERA_CLOCK);
    return (uint64_t)(time < 0 ? tessera_time_coarse() : time);
}

/* What the manager had to say since the last time. */
static void fetch_notes(void)
{
    names_tuple2_u64_list_note_t notes;
    names_problem_t problem;
    unsigned level = shown_level;
    if (!names_notes(next_note, &notes, &problem)) {
        return;
    }
    next_note = notes.f0;
    shown_level = UINT32_MAX; /* they were shown when they were new, if at all */
    for (size_t i = 0; i < notes.f1.len; i++) {
        const names_note_t *note = &notes.f1.ptr[i];
        add(note->time, note->warning ? EXPORTS_LOG_LEVEL_WARNING : EXPORTS_LOG_LEVEL_INFO, "init", note->text.ptr,
            note->text.len);
    }
    shown_level = level;
    names_tuple2_u64_list_note_free(&notes);
}

/* ---- Its interfaces ---- */

bool exports_log_write(exports_log_level_t level, log_system_string_t *message, exports_log_problem_t *problem)
{
    uint64_t badge = 0;
    (void)problem; /* there is none that a service has */
    tessera_port_caller(TESSERA_PORT, &badge);
    add(now(), level, name_of(badge), message->ptr, message->len);
    log_system_string_free(message);
    return true;
}

bool exports_reader_read(uint64_t number, exports_reader_list_entry_t *list, exports_reader_problem_t *problem)
{
    (void)problem;
    fetch_notes();
    uint64_t first = next_entry > ENTRIES ? next_entry - ENTRIES : 0;
    uint64_t count = 0;
    size_t bytes = 0;
    number = number < first ? first : number;
    while (number + count < next_entry && bytes < ANSWER_BYTES) {
        bytes += strlen(entries[(number + count++) % ENTRIES].message) + NAME_BYTES + sizeof(*list->ptr);
    }
    list->len = 0;
    list->ptr = calloc(count ? count : 1, sizeof(*list->ptr));
    for (uint64_t i = 0; list->ptr && i < count; i++) {
        const struct entry *entry = &entries[(number + i) % ENTRIES];
        exports_reader_entry_t *to = &list->ptr[list->len++];
        to->number = number + i;
        to->time = entry->time;
        to->level = entry->level;
        log_system_string_dup(&to->name, entry->name);
        log_system_string_dup(&to->message, entry->message);
    }
    return true;
}

int main(int argument_count, char **arguments)
{
    for (unsigned i = 0; argument_count > 1 && i < 4; i++) {
        if (strcmp(arguments[1], levels[i]) == 0) {
            shown_level = i;
        }
    }
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1;
}
