/* Instructions as text, from the table of engine/opcodes.def: "i32.load offset=8 align=2", "call 12 <main>". */
#ifndef TOOLS_WASM_TEXT_H
#define TOOLS_WASM_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/module.h"

/* The first instruction of the body of `function` (an index), behind its local declarations. The body must have been
 * validated, here and below. */
const uint8_t *wasm_body_code(const struct module *module, uint32_t function);
/* Write the instruction at `cursor` to `buffer`; returns the next one's address. `*nesting` is updated: 0 is the
 * function's own level, and the instruction is to be indented by `*indent` levels. */
const uint8_t *wasm_instruction_text(const struct module *module, const uint8_t *cursor, char *buffer, size_t size,
                                     unsigned *nesting, unsigned *indent);

#endif
