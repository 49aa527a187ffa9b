/* Values of the suite against values of the kernel. */
#ifndef TESTS_SPEC_VALUE_H
#define TESTS_SPEC_VALUE_H

#include "kernel/instance.h"
#include "tests/spec/script.h"

/* The constant as an argument. */
union value value_constant(const struct script_value *constant);

/* Read one expectation, with its alternatives, and compare bit by bit (or as a NaN of that class, or as a reference).
 * `type` is that of `actual`, or VALUE_BOTTOM when it is not known. */
bool value_expected(struct script_reader *expectation, const union value *actual, value_type type);

/* For messages; both return `text`. */
const char *value_text(const union value *value, value_type type, char text[96]);
const char *expectation_text(struct script_reader expectation, char text[96]);

#endif
