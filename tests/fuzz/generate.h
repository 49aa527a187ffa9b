/* Valid function bodies out of any bytes. */
#ifndef TESTS_FUZZ_GENERATE_H
#define TESTS_FUZZ_GENERATE_H

#include "tests/fuzz/buffer.h"

/* Append a body (local declarations and code) of type WRAP_TYPE_BODY that validates, whatever `choices` are. */
void generate_body(struct buffer *buffer, const uint8_t *choices, size_t count);

#endif
