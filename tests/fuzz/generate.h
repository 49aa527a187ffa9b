/* Valid function bodies out of any bytes. */
#ifndef TESTS_FUZZ_GENERATE_H
#define TESTS_FUZZ_GENERATE_H

#include <stdbool.h>

#include "tests/fuzz/buffer.h"

/* Append a body (local declarations and code) of type WRAP_TYPE_BODY that validates, whatever `choices` are. A
 * `repeatable` one also ends when it is run, makes no NaN but the canonical one, and seldom traps. */
void generate_body(struct buffer *buffer, const uint8_t *choices, size_t count, bool repeatable);

#endif
