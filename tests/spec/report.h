/* What the suite's runner counts and prints. */
#ifndef TESTS_SPEC_REPORT_H
#define TESTS_SPEC_REPORT_H

#include <stdint.h>

struct report {
    const char *script; /* running now, with its length; for failures */
    uint32_t script_length;
    uint32_t line;
    const char *command;

    uint32_t scripts, modules; /* modules that were loaded */
    uint32_t passed, failed, skipped;
    struct {
        const char *reason;
        uint32_t count;
    } reasons[32];
    uint32_t reason_count;
};

void report_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_pass(struct report *report);
/* Count a failure and print where, which command, and what differed. */
void report_fail(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `reason` is a static string: a feature of WebAssembly that is not there yet, or "text format". */
void report_skip(struct report *report, const char *reason);
void report_totals(const struct report *report);

#endif
