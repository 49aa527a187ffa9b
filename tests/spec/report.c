/* Counting and printing: see report.h. */
#include "tests/spec/report.h"

#include <stdarg.h>

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/platform.h"

static void print_bytes(const char *text, size_t bytes)
{
    while (bytes > 0) {
        size_t done = 0;
        enum status status = platform_stream_write(STREAM_OUTPUT, text, bytes, &done);
        if (status != STATUS_OK && status != STATUS_AGAIN)
            return;
        text += done;
        bytes -= done;
    }
}

static void print_list(const char *format, va_list arguments)
{
    char line[1024];
    size_t length = format_text_list(line, sizeof(line), format, arguments);
    print_bytes(line, min_u64(length, sizeof(line) - 1));
}

void report_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
}

static void print_failure(struct report *report, const char *format, va_list arguments)
{
    report->failed++;
    report_print("FAIL %.*s:%u: %s: ", (int)report->script.length, report->script.text, (unsigned)report->line,
                 report->command);
    print_list(format, arguments);
    print_bytes("\n", 1);
}

void report_fail(struct report *report, const char *format, ...)
{
    if (report->excuse.length > 0) {
        report_skip(report, report->excuse);
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_failure(report, format, arguments);
    va_end(arguments);
}

void report_pass(struct report *report)
{
    if (report->excuse.length > 0) {
        report->excuse.length = 0;
        report_fail(report, "passes, so its row in tests/spec/skip must go");
    } else {
        report->passed++;
    }
}

static void count_skip(struct report *report, const char *prefix, struct name reason)
{
    report->skipped++;
    uint32_t i = 0;
    while (i < report->reason_count && (report->reasons[i].reason.length != reason.length ||
                                        memcmp(report->reasons[i].reason.text, reason.text, reason.length) != 0))
        i++;
    if (i == ARRAY_COUNT(report->reasons))
        return;
    if (i == report->reason_count)
        report->reasons[report->reason_count++].reason = reason;
    report->reasons[i].prefix = prefix;
    report->reasons[i].count++;
}

void report_skip(struct report *report, struct name reason)
{
    count_skip(report, "", reason);
}

void report_skip_feature(struct report *report, const char *feature)
{
    count_skip(report, "needs ", (struct name){feature, (uint32_t)strlen(feature)});
}

void report_add(struct report *report, const struct report *thread)
{
    report->modules += thread->modules;
    report->passed += thread->passed;
    report->failed += thread->failed;
    for (uint32_t i = 0; i < thread->reason_count; i++)
        for (uint32_t k = 0; k < thread->reasons[i].count; k++)
            count_skip(report, thread->reasons[i].prefix, thread->reasons[i].reason);
}

void report_totals(const struct report *report)
{
    report_print("%u scripts, %u modules loaded\n", (unsigned)report->scripts, (unsigned)report->modules);
    report_print("assertions: %u run, %u passed, %u failed, %u skipped\n", (unsigned)(report->passed + report->failed),
                 (unsigned)report->passed, (unsigned)report->failed, (unsigned)report->skipped);
    for (uint32_t i = 0; i < report->reason_count; i++)
        report_print("  skipped %6u: %s%.*s\n", (unsigned)report->reasons[i].count, report->reasons[i].prefix,
                     (int)report->reasons[i].reason.length, report->reasons[i].reason.text);
}
