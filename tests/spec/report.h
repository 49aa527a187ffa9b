/* What the suite's runner counts and prints. */
#ifndef TESTS_SPEC_REPORT_H
#define TESTS_SPEC_REPORT_H

#include <stdint.h>

#include "engine/module.h"

struct report {
    struct name script; /* running now, as are: */
    uint32_t line;
    const char *command;
    struct name excuse; /* not empty: it is known that this cannot hold yet */

    uint32_t scripts, modules; /* modules that were loaded */
    uint32_t passed, failed, skipped;
    struct {
        const char *prefix;
        struct name reason;
        uint32_t count;
    } reasons[32];
    uint32_t reason_count;
};

void report_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_pass(struct report *report);
/* Count a failure and print where, which command, and what differed; a skip, where there is an excuse. */
void report_fail(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `reason` stays valid. */
void report_skip(struct report *report, struct name reason);
/* The same for a feature of WebAssembly that is not there yet; a static string. */
void report_skip_feature(struct report *report, const char *feature);
/* Add the counts of a thread's report. */
void report_add(struct report *report, const struct report *thread);
void report_totals(const struct report *report);

#endif
