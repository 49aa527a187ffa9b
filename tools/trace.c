/* `tessera trace`: what `tessera run --trace` noted, for viewers or for people. */
#include "tools/message.h"
#include "tools/subcommands.h"
#include "tools/trace_file.h"
#include "tools/trace_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/trap.h"

struct trace_options {
    const char *output; /* NULL: stdout */
    bool text;
};

static void apply_output(void *context, const char *value)
{
    ((struct trace_options *)context)->output = value;
}

static void apply_text(void *context, const char *value)
{
    (void)value;
    ((struct trace_options *)context)->text = true;
}

static const struct option trace_options_table[] = {
    {"output", 'o', "FILE", "Write there; else to stdout.", apply_output},
    {"text", 0, NULL, "A line for each event: seconds, CPU, process, thread, event.", apply_text},
};

/* ---- Text ---- */

/* Names are the guest's. */
static void write_printable(FILE *output, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, output);
}

static void write_event(FILE *output, const struct trace_file *trace, const struct trace_event_entry *entry)
{
    const struct trace_record *record = &entry->record;
    const struct trace_kind *kind = &trace_kinds[record->event];
    char process[TRACE_TEXT_BYTES];
    uint64_t time = record->time > trace->start ? record->time - trace->start : 0;
    const struct trace_thread *thread = trace_file_thread(trace, record->thread);
    fprintf(output, "%4" PRIu64 ".%09" PRIu64 " %2" PRIu32 " ", time / 1000000000, time % 1000000000, entry->cpu);
    write_printable(output, trace_file_process(trace, thread->process, process));
    fprintf(output, " %" PRIu32 " %s%s", record->thread, kind->name,
            kind->shape == BEGIN || record->event == TRACE_IDLE_BEGIN ? " begins"
            : kind->shape == END || record->event == TRACE_IDLE_END   ? " ends"
                                                                      : "");
    if (kind->argument[0])
        fprintf(output, ", %s %" PRIu64, kind->argument, record->argument);
    if (kind->second[0])
        fprintf(output, ", %s %" PRIu32, kind->second, record->second);
    if (kind->shape == TRAP)
        fprintf(output, " (%s)", trap_text((unsigned)record->argument));
    fputc('\n', output);
}

static void write_lines(struct trace_file *trace, FILE *output)
{
    for (size_t i = 0; i < trace->event_count; i++)
        write_event(output, trace, &trace->events[i]);
}

/* ---- The subcommand ---- */

static int run(const struct subcommand *subcommand, int count, char **words)
{
    struct trace_options options = {0};
    int at = options_parse(subcommand, count, words, &options);
    if (at == count)
        usage_error(subcommand, "which trace?");
    const char *path = words[at++];
    at += options_parse(subcommand, count - at, words + at, &options);
    if (at < count)
        usage_error(subcommand, "one trace at a time");
    static struct trace_file trace; /* lives as long as the command, like all that it points to */
    trace_file_read(path, &trace);
    FILE *output = options.output ? fopen(options.output, "we") : stdout;
    if (!output)
        die("cannot write %s: %s", options.output, strerror(errno));
    (options.text ? write_lines : trace_json_write)(&trace, output);
    bool failed = ferror(output);
    if (fclose(output) != 0 || failed)
        die("cannot write %s: %s", options.output ? options.output : "to stdout", strerror(errno));
    if (trace.lost > 0)
        complain("%s: %" PRIu64 " older events were overwritten; --trace-size keeps more", path, trace.lost);
    return 0;
}

const struct subcommand subcommand_trace = {
    .name = "trace",
    .synopsis = "[OPTION]... FILE [OPTION]...",
    .summary = "Show what `tessera run --trace FILE` noted.",
    .description = "Without --text it writes JSON in the Trace Event Format, for https://ui.perfetto.dev\n"
                   "or chrome://tracing.\n",
    .options = trace_options_table,
    .option_count = sizeof trace_options_table / sizeof trace_options_table[0],
    .run = run,
};
