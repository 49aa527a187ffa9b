/* What the parts of the generator share: its state, and the steps that every instruction is made of. */
#ifndef TESTS_FUZZ_GENERATE_INTERNAL_H
#define TESTS_FUZZ_GENERATE_INTERNAL_H

#include <stdbool.h>

#include "engine/opcode.h"
#include "engine/types.h"
#include "tests/fuzz/buffer.h"
#include "tests/fuzz/wrap.h"

#define OPERANDS_MAXIMUM 1000
#define CONTROLS_MAXIMUM 40
#define LIST_MAXIMUM     8

struct types {
    unsigned count;
    value_type list[LIST_MAXIMUM];
};

struct frame {
    unsigned opcode; /* the last one of its own: OP_ELSE behind OP_IF */
    unsigned height; /* of the stack without parameters */
    struct types parameters, results;
};

struct generator {
    struct buffer *code;
    const uint8_t *choices;
    size_t left;
    value_type operands[OPERANDS_MAXIMUM];
    unsigned height;
    struct frame frames[CONTROLS_MAXIMUM];
    unsigned depth;
    bool repeatable;
};

/* The types of operands: those of WRAP_TYPE_BODY's parameters, then those of more recent features. An operand may be of
 * a subtype of what the generator takes it for. */
extern const value_type value_types[WRAP_VALUE_COUNT];

/* A number below `count`; 0 once the choices are used up. */
unsigned choose(struct generator *generator, unsigned count);
void push(struct generator *generator, value_type type);
void push_all(struct generator *generator, const struct types *types);
struct frame *innermost(struct generator *generator);
/* Have the types on top of the stack: leave what is right, or put new values above. */
void want(struct generator *generator, const value_type *types, unsigned count);
void want_all(struct generator *generator, const struct types *types);
void put_opcode(struct generator *generator, unsigned opcode);
/* Want the operands, put the opcode, replace them by the result (0 for none). */
void apply(struct generator *generator, unsigned opcode, const value_type *pops, unsigned count, value_type push_);
/* An instruction whose types the opcode table has. */
void by_signature(struct generator *generator, unsigned opcode);
void begin_block(struct generator *generator, unsigned opcode);
/* Leave exactly the results of the innermost block. */
void settle_block(struct generator *generator);
const struct types *label_types(struct generator *generator, unsigned label);
/* What follows cannot be reached. */
void cut_off(struct generator *generator);

/* generate_more.c: an instruction that WebAssembly 2.0 does not have; and the clauses of a try_table. */
void generate_more(struct generator *generator);
void put_clauses(struct generator *generator);

#endif
