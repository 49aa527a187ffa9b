/* The Trace Event Format; see trace_json.h. Its description: "Trace Event Format" by Google's Catapult project.
 *
 * Phases used: M metadata, X a slice with its duration, i an instant, b and e the ends of an asynchronous slice (a
 * thread is interrupted in the middle of compiling, so such slices cross those of running), s and f the ends of an
 * arrow. */
#include "tools/trace_json.h"
#include "tools/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/trap.h"
#include "kernel/platform.h"

/* Not numbers of processes: those count from 1. */
#define PID_CPUS   2147483647
#define PID_KERNEL 2147483646

/* What runs on a CPU. */
struct lane {
    bool seen, busy;
    uint32_t thread;
    uint64_t since;
};

struct writer {
    struct trace_file *trace;
    FILE *output;
    bool any; /* an event was written */
    uint64_t flows;
    uint8_t *sent; /* by number of a message: an arrow began */
    size_t sent_count;
    struct lane lanes[PLATFORM_CPUS_MAXIMUM];
};

/* ---- Values ---- */

/* Length of the UTF-8 character at `text`, 0 when it is none. */
static size_t character_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    uint32_t minimum[] = {0, 0, 0x80, 0x800, 0x10000}, value = text[0] & (length == 1 ? 0x7f : 0x7f >> length);
    if (text[0] >= 0xf8 || (text[0] >= 0x80 && text[0] < 0xc0))
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    return value >= minimum[length] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) ? length : 0;
}

static void write_text(FILE *output, const char *text)
{
    fputc('"', output);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = character_length(at);
        if (length == 0)
            fputs("\\ufffd", output);
        else if (*at < ' ' || *at == 0x7f)
            fprintf(output, "\\u%04x", *at);
        else
            fprintf(output, "%s%.*s", *at == '"' || *at == '\\' ? "\\" : "", (int)length, at);
        at += length ? length : 1;
    }
    fputc('"', output);
}

/* Microseconds since the trace began. */
static void write_time(const struct writer *writer, uint64_t time)
{
    uint64_t since = time > writer->trace->start ? time - writer->trace->start : 0;
    fprintf(writer->output, "%" PRIu64 ".%03" PRIu64, since / 1000, since % 1000);
}

/* ---- Events ---- */

static uint32_t process_of(const struct writer *writer, uint32_t thread)
{
    const struct trace_thread *known = trace_file_thread(writer->trace, thread);
    return known && known->process ? known->process : PID_KERNEL;
}

/* Everything but what only some phases have; the object stays open. */
static void begin_event(struct writer *writer, char phase, const char *name, const char *category, uint32_t process,
                        uint32_t thread)
{
    fputs(writer->any ? ",\n" : "\n", writer->output);
    writer->any = true;
    fprintf(writer->output, "{\"ph\":\"%c\",\"name\":", phase);
    write_text(writer->output, name);
    if (category) {
        fputs(",\"cat\":", writer->output);
        write_text(writer->output, category);
    }
    fprintf(writer->output, ",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32, process, thread);
}

static void write_at(struct writer *writer, uint64_t time)
{
    fputs(",\"ts\":", writer->output);
    write_time(writer, time);
}

static void end_event(struct writer *writer)
{
    fputc('}', writer->output);
}

static void write_metadata(struct writer *writer, const char *kind, uint32_t process, uint32_t thread, const char *name)
{
    begin_event(writer, 'M', kind, NULL, process, thread);
    fputs(",\"args\":{\"name\":", writer->output);
    write_text(writer->output, name);
    fputs("}}", writer->output);
}

static void write_order(struct writer *writer, uint32_t process, int order)
{
    begin_event(writer, 'M', "process_sort_index", NULL, process, 0);
    fprintf(writer->output, ",\"args\":{\"sort_index\":%d}}", order);
}

/* One argument; numbers that JSON readers would round become text. */
static void write_argument(struct writer *writer, const char *name, uint64_t value, bool first)
{
    if (name[0] == '\0')
        return;
    fputs(first ? "" : ",", writer->output);
    write_text(writer->output, name);
    fputc(':', writer->output);
    if (strcmp(name, "until") == 0 && value != UINT64_MAX)
        write_time(writer, value);
    else if (value == UINT64_MAX)
        fputs("\"never\"", writer->output);
    else
        fprintf(writer->output, value < UINT64_C(1) << 53 ? "%" PRIu64 : "\"%" PRIu64 "\"", value);
}

static void write_instant(struct writer *writer, const struct trace_record *record)
{
    const struct trace_kind *kind = &trace_kinds[record->event];
    const char *name = kind->name, *second = kind->second;
    char trap[TRACE_TEXT_BYTES];
    if (kind->shape == TRAP && record->argument == TRAP_EXIT) {
        name = "exit";
        second = "status";
    } else if (kind->shape == TRAP) {
        snprintf(trap, sizeof trap, "trap: %s", trap_text((unsigned)record->argument));
        name = trap;
        second = record->second == UINT32_MAX ? "" : second;
    }
    begin_event(writer, 'i', name, kind->category, process_of(writer, record->thread), record->thread);
    write_at(writer, record->time);
    fputs(",\"s\":\"t\",\"args\":{", writer->output);
    write_argument(writer, kind->argument, record->argument, true);
    write_argument(writer, second, record->second, kind->argument[0] == '\0');
    fputc('}', writer->output);
    end_event(writer);
}

/* One end of an asynchronous slice, which the thread's number tells from others of its name. */
static void write_end(struct writer *writer, const struct trace_record *record)
{
    bool begins = trace_kinds[record->event].shape == BEGIN;
    struct trace_thread *thread = trace_file_thread(writer->trace, record->thread);
    uint64_t bit = UINT64_C(1) << ((begins ? record->event : record->event - 1) & 63);
    if (begins == ((thread->begun & bit) != 0))
        return; /* its other end is missing */
    thread->begun ^= bit;
    begin_event(writer, begins ? 'b' : 'e', trace_kinds[record->event].name, trace_kinds[record->event].category,
                process_of(writer, record->thread), record->thread);
    write_at(writer, record->time);
    fprintf(writer->output, ",\"id\":\"%" PRIu32 "\",\"args\":{", record->thread);
    write_argument(writer, trace_kinds[record->event].argument, record->argument, true);
    write_argument(writer, trace_kinds[record->event].second, record->second,
                   trace_kinds[record->event].argument[0] == '\0');
    fputc('}', writer->output);
    end_event(writer);
}

/* Both ends of an arrow have the same name and number; `kind` is category and name. */
static void write_arrow(struct writer *writer, char phase, const char *kind, uint64_t flow, uint32_t thread,
                        uint64_t time)
{
    begin_event(writer, phase, kind, kind, process_of(writer, thread), thread);
    write_at(writer, time);
    fprintf(writer->output, ",\"id\":%" PRIu64 "%s", flow, phase == 'f' ? ",\"bp\":\"e\"" : "");
    end_event(writer);
}

/* ---- Who runs ---- */

static void write_slice(struct writer *writer, uint32_t cpu, const struct lane *lane, uint64_t end)
{
    char process[TRACE_TEXT_BYTES];
    const struct trace_thread *thread = trace_file_thread(writer->trace, lane->thread);
    char *name = text_of("%s, thread %" PRIu32,
                         trace_file_process(writer->trace, thread ? thread->process : 0, process), lane->thread);
    for (int on_cpu = 0; on_cpu < 2; on_cpu++) {
        begin_event(writer, 'X', on_cpu ? name : "running", "scheduler",
                    on_cpu ? PID_CPUS : process_of(writer, lane->thread), on_cpu ? cpu : lane->thread);
        write_at(writer, lane->since);
        uint64_t duration = end > lane->since ? end - lane->since : 0;
        fprintf(writer->output, ",\"dur\":%" PRIu64 ".%03" PRIu64 ",\"args\":{\"cpu\":%" PRIu32 "}", duration / 1000,
                duration % 1000, cpu);
        end_event(writer);
    }
    free(name);
}

static void lane_stop(struct writer *writer, uint32_t cpu, uint64_t time)
{
    struct lane *lane = &writer->lanes[cpu];
    if (lane->busy)
        write_slice(writer, cpu, lane, time);
    lane->busy = false;
}

static void lane_run(struct writer *writer, uint32_t cpu, uint32_t thread, uint64_t time)
{
    struct trace_thread *known = trace_file_thread(writer->trace, thread);
    bool busy = !known || !known->idles;
    writer->lanes[cpu] = (struct lane){.seen = true, .busy = busy, .thread = thread, .since = time};
    if (known && known->flow) {
        write_arrow(writer, 'f', "wake", known->flow, thread, time);
        known->flow = 0;
    }
}

/* What ran before the first event of a CPU that is known. */
static void lane_begin(struct writer *writer, uint32_t cpu, const struct trace_record *record)
{
    if (!writer->lanes[cpu].seen && record->event != TRACE_IDLE_END)
        lane_run(writer, cpu, record->event == TRACE_SWITCH ? (uint32_t)record->argument : record->thread,
                 record->time);
    writer->lanes[cpu].seen = true;
}

static void write_wake(struct writer *writer, uint32_t cpu, const struct trace_record *record)
{
    struct trace_thread *woken = trace_file_thread(writer->trace, (uint32_t)record->argument);
    write_instant(writer, record);
    if (writer->lanes[cpu].busy && woken->id != writer->lanes[cpu].thread) {
        woken->flow = ++writer->flows;
        write_arrow(writer, 's', "wake", woken->flow, record->thread, record->time);
    }
}

#define MESSAGES_MAXIMUM 100000000 /* numbers that arrows are drawn for */

static void write_message(struct writer *writer, const struct trace_record *record, bool sent)
{
    uint64_t number = record->argument;
    write_instant(writer, record);
    if (number == 0 || number > MESSAGES_MAXIMUM || (!sent && (number >= writer->sent_count || !writer->sent[number])))
        return;
    if (number >= writer->sent_count) {
        size_t count = 2 * number + 1024;
        writer->sent = reallocate(writer->sent, count);
        memset(writer->sent + writer->sent_count, 0, count - writer->sent_count);
        writer->sent_count = count;
    }
    writer->sent[number] = sent;
    write_arrow(writer, sent ? 's' : 'f', "message", number, record->thread, record->time);
}

static void write_event(struct writer *writer, const struct trace_event_entry *entry)
{
    const struct trace_record *record = &entry->record;
    lane_begin(writer, entry->cpu, record);
    switch (trace_kinds[record->event].shape) {
    case INSTANT:
    case TRAP:
        write_instant(writer, record);
        break;
    case BEGIN:
    case END:
        write_end(writer, record);
        break;
    case WAKE:
        write_wake(writer, entry->cpu, record);
        break;
    case SEND:
    case RECEIVE:
        write_message(writer, record, trace_kinds[record->event].shape == SEND);
        break;
    case SWITCH:
        lane_stop(writer, entry->cpu, record->time);
        lane_run(writer, entry->cpu, record->thread, record->time);
        break;
    case IDLE:
        lane_stop(writer, entry->cpu, record->time);
        if (record->event == TRACE_IDLE_END)
            lane_run(writer, entry->cpu, record->thread, record->time);
        break;
    }
}

/* ---- The whole ---- */

static void write_names(struct writer *writer)
{
    const struct trace_file *trace = writer->trace;
    char name[TRACE_TEXT_BYTES];
    bool cpus[PLATFORM_CPUS_MAXIMUM] = {0};
    write_metadata(writer, "process_name", PID_CPUS, 0, "CPUs");
    write_order(writer, PID_CPUS, -2);
    write_metadata(writer, "process_name", PID_KERNEL, 0, "kernel");
    write_order(writer, PID_KERNEL, -1);
    for (size_t i = 0; i < trace->event_count; i++)
        if (!cpus[trace->events[i].cpu]) {
            cpus[trace->events[i].cpu] = true;
            snprintf(name, sizeof name, "CPU %" PRIu32, trace->events[i].cpu);
            write_metadata(writer, "thread_name", PID_CPUS, trace->events[i].cpu, name);
        }
    for (size_t i = 0; i < trace->thread_count; i++) {
        uint32_t process = trace->threads[i].process;
        if (process != 0)
            write_metadata(writer, "process_name", process, 0, trace_file_process(trace, process, name));
        snprintf(name, sizeof name, "%s %" PRIu32, trace->threads[i].idles ? "idle thread" : "thread",
                 trace->threads[i].id);
        write_metadata(writer, "thread_name", process_of(writer, trace->threads[i].id), trace->threads[i].id, name);
    }
}

void trace_json_write(struct trace_file *trace, FILE *output)
{
    struct writer *writer = allocate(sizeof *writer);
    *writer = (struct writer){.trace = trace, .output = output};
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", output);
    write_names(writer);
    for (size_t i = 0; i < trace->event_count; i++)
        write_event(writer, &trace->events[i]);
    for (uint32_t cpu = 0; cpu < PLATFORM_CPUS_MAXIMUM && trace->event_count > 0; cpu++)
        lane_stop(writer, cpu, trace->events[trace->event_count - 1].record.time);
    fprintf(output, "\n],\"otherData\":{\"lost events\":%" PRIu64 "}}\n", trace->lost);
    free(writer->sent);
    free(writer);
}
