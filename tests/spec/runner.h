/* Runs the official suite on the engine and kernel that it is linked with. */
#ifndef TESTS_SPEC_RUNNER_H
#define TESTS_SPEC_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Run all scripts of `file` (script.h), each in a process of its own, print failures and totals, and whether memory is
 * back where it was. The last line is "N passed, N failed, N skipped". Returns 0 when nothing failed or leaked.
 * `trace` prints each script's name before it runs; `memory_limit` is in bytes for each script, 0: none. */
int suite_run(const uint8_t *file, size_t size, bool trace, uint64_t memory_limit);

#endif
