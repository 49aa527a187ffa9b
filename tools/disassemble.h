/* Machine code as text, by the objdump of binutils or LLVM, whichever is installed. */
#ifndef TOOLS_DISASSEMBLE_H
#define TOOLS_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/compile.h"

struct machine_line {
    uint32_t offset; /* of the instruction, from the text's start */
    char *text;
};

/* The instructions of function number `index` of the code (the first that is no import is 0), in order of address.
 * Calls name their target. Dies when there is no objdump. */
struct machine_line *disassemble(const struct code *code, uint32_t index, size_t *count);

#endif
