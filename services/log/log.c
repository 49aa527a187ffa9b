/* The log of the system (interfaces/log.wit): the last entries, with level, time, and the name of who wrote them, which
 * it has from the service manager and not from the writer.
 *
 *     log [LEVEL]      entries from that level on also go to the error stream, at once
 *
 * What it keeps lives as long as its process; but with a memory object of STATE_BYTES that it was given as "state", as
 * long as that. It needs a client end of the manager's `names`; a handle to the clock makes its times finer than 1 ms.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/init_names.h"
#include "interfaces/generated/log_system.h"
#include "sdk/tessera.h"
#include "services/log/ring.h"

#define ANSWER_BYTES 32768
#define NAMES        64
#define NAME_BYTES   RING_NAME_BYTES
#define STATE_BYTES  sizeof(memory)

/* In its place the memory object is shown, if there is one. */
static _Alignas(TESSERA_PAGE_BYTES) struct ring_entry memory[RING_ENTRIES];
static struct ring ring;
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
static void show(const struct ring_entry *entry)
{
    fprintf(stderr, "[%5" PRIu64 ".%06u] %-7s %s: ", entry->time / 1000000000,
            (unsigned)(entry->time % 1000000000 / 1000), levels[entry->level], entry->name);
    for (const char *at = entry->message; at < entry->message + entry->length; at++) {
        fputc((unsigned char)*at < 32 || *at == 127 ? ' ' : *at, stderr);
    }
    fputc('\n', stderr);
}

static uint64_t now(void)
{
    int64_t time = tessera_clock_read(TESSERA_CLOCK);
    return (uint64_t)(time < 0 ? tessera_time_coarse() : time);
}

/* What the manager had to say since the last time. It was shown when it was new, if at all. */
static void fetch_notes(void)
{
    names_tuple2_u64_list_note_t notes;
    names_problem_t problem;
    if (!names_notes(ring.next_note, &notes, &problem)) {
        return;
    }
    uint64_t number = notes.f0 - notes.f1.len; /* they end with the last one */
    for (size_t i = 0; i < notes.f1.len; i++) {
        const names_note_t *note = &notes.f1.ptr[i];
        ring_add(&ring, note->time, note->warning ? EXPORTS_LOG_LEVEL_WARNING : EXPORTS_LOG_LEVEL_INFO, "init",
                 ++number, note->text.ptr, note->text.len);
    }
    ring.next_note = notes.f0;
    names_tuple2_u64_list_note_free(&notes);
}

/* ---- Its interfaces ---- */

bool exports_log_write(exports_log_level_t level, log_system_string_t *message, exports_log_problem_t *problem)
{
    uint64_t badge = 0;
    (void)problem; /* there is none that a service has */
    tessera_port_caller(TESSERA_PORT, &badge);
    const struct ring_entry *entry = ring_add(&ring, now(), level, name_of(badge), 0, message->ptr, message->len);
    if (level >= shown_level) {
        show(entry);
    }
    log_system_string_free(message);
    return true;
}

bool exports_reader_read(uint64_t number, exports_reader_list_entry_t *list, exports_reader_problem_t *problem)
{
    (void)problem;
    fetch_notes();
    size_t bytes = 0;
    list->len = 0;
    list->ptr = calloc(RING_ENTRIES, sizeof(*list->ptr));
    number = number < ring.first ? ring.first : number;
    for (; list->ptr && number < ring.next && bytes < ANSWER_BYTES; number++) {
        const struct ring_entry *entry = ring_find(&ring, number);
        if (!entry) {
            continue;
        }
        exports_reader_entry_t *to = &list->ptr[list->len++];
        to->number = number;
        to->time = entry->time;
        to->level = (exports_log_level_t)entry->level;
        log_system_string_dup(&to->name, entry->name);
        log_system_string_dup_n(&to->message, entry->message, entry->length);
        bytes += entry->length + NAME_BYTES + sizeof(*to);
    }
    return true;
}

int main(int argument_count, char **arguments)
{
    int32_t state = tessera_handle_named("state", 5);
    if (state > 0 && tessera_memory_map((uint32_t)state, memory, 0, STATE_BYTES, TESSERA_MAP_WRITE) < 0) {
        fprintf(stderr, "log: the memory that it was given is not one of %zu bytes\n", STATE_BYTES);
    }
    ring_adopt(&ring, memory);
    for (unsigned i = 0; argument_count > 1 && i < 4; i++) {
        if (strcmp(arguments[1], levels[i]) == 0) {
            shown_level = i;
        }
    }
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1;
}
