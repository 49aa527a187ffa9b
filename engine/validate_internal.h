/* What the files of the validator share; not for use outside of the engine's front end.
 *
 * The operand stack is an array of types. The loop in validate.c keeps cursor and stack top in registers and handles
 * the frequent instructions; everything else is a function of validate_instructions.c, between which and the loop both
 * are passed in the struct. */
#ifndef ENGINE_VALIDATE_INTERNAL_H
#define ENGINE_VALIDATE_INTERNAL_H

#include "engine/opcode.h"
#include "engine/reader.h"
#include "engine/validate.h"

/* A view of types that live elsewhere: in the module, or in the table of single types. */
struct type_list {
    const value_type *types;
    uint32_t count;
};

/* One open block. */
struct control {
    struct type_list parameters;
    struct type_list results;
    size_t height;              /* of the operand stack, without the parameters */
    uint32_t weight;            /* of a use of a local inside the block; 0 in unreachable code */
    uint8_t opcode;             /* OP_BLOCK, OP_LOOP, OP_IF, OP_ELSE */
    uint8_t depth;              /* number of loops around, the block itself included */
    uint32_t initialized;       /* validator.initialized_count at its start */
    bool unreachable;           /* the rest of the block cannot be reached: the stack is polymorphic */
    const uint8_t *branch_mark; /* the br_table that last checked this label */
};

struct validator {
    const struct engine_allocator *allocator;

    value_type *operands;
    size_t operand_capacity;
    struct control *controls;
    size_t control_capacity;
    value_type *local_types;
    uint32_t *local_weights;
    size_t local_capacity;

    /* The function that is being validated. */
    const struct module *module;
    struct function_summary *summary;
    struct engine_error *error;
    enum engine_status status;
    uint32_t function;
    uint32_t local_count;
    uint32_t plain_locals; /* the first ones, up to one that has no default value: these need a look before use */
    uint32_t *initialized; /* locals without a default value that were set, in order; as many as there are locals */
    size_t initialized_capacity;
    uint32_t initialized_count;
    size_t control_count;
    uint32_t catch_count; /* open blocks that are a catch or catch_all */

    struct reader reader;       /* over the body */
    const uint8_t *instruction; /* start of the current one, for messages */
    value_type *top;            /* of the operand stack: next free element */
    value_type *floor;          /* first operand of the innermost block */
    value_type *high;           /* highest that `top` has been; one element behind it is always allocated */
    uint32_t weight;            /* of the innermost block */
};

/* The next bytes as a value type or a heap type; `item` is what needs it, for messages. */
bool validate_read_value_type(struct validator *validator, value_type *type, const char *item);
bool validate_read_heap_type(struct validator *validator, heap_type *type, const char *item);

/* ---- Errors: all return false ---- */
bool validate_fail(struct validator *validator, enum engine_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
bool validate_unsupported(struct validator *validator, unsigned feature, const char *item) __attribute__((cold));
bool validate_reader_fault(struct validator *validator) __attribute__((cold));

/* ---- Operands (validate_operands.c) ---- */
/* Note that `top` is above `high` and make room for the next push. */
bool validate_raise(struct validator *validator);
bool validate_push(struct validator *validator, value_type type);
bool validate_push_list(struct validator *validator, struct type_list list);
/* For the summary: values of these types come from elsewhere. */
void validate_note_vectors(struct validator *validator, struct type_list list);
/* Pop an operand of type `expected`; VALUE_BOTTOM accepts every type. `*actual` is what was there. */
bool validate_pop(struct validator *validator, value_type expected, value_type *actual);
bool validate_pop_expect(struct validator *validator, value_type expected);
bool validate_pop_list(struct validator *validator, struct type_list list);
/* Whether the top operands match, leaving them as they are. */
bool validate_peek_list(struct validator *validator, struct type_list list);
/* The instruction by its row in the opcode table. */
bool validate_by_signature(struct validator *validator, unsigned opcode);

/* ---- Blocks (validate_control.c) ---- */
bool validate_push_control(struct validator *validator, unsigned opcode, struct type_list parameters,
                           struct type_list results);
void validate_set_unreachable(struct validator *validator);
bool validate_block(struct validator *validator, unsigned opcode);
bool validate_else(struct validator *validator);
/* `*finished` tells that this was the end of the function. */
bool validate_end(struct validator *validator, bool *finished);
bool validate_branch(struct validator *validator, unsigned opcode);
bool validate_branch_table(struct validator *validator);
bool validate_return(struct validator *validator);
/* Calls, and tail calls by the same immediates. */
bool validate_call(struct validator *validator, unsigned opcode);
bool validate_call_indirect(struct validator *validator, unsigned opcode);

/* The label that a branch means, or NULL after an error; and the operands that a branch to it takes. */
struct control *validate_find_label(struct validator *validator, uint32_t label);
struct type_list validate_label_types(const struct control *control);
/* A block type and the operands for the block (validate_block and the kinds of try). */
bool validate_read_block_type(struct validator *validator, struct type_list *parameters, struct type_list *results);
/* Pops the results of the innermost block, of which nothing else may be left. */
bool validate_pop_results(struct validator *validator);
/* A call of a function of this type, its arguments on the stack. */
bool validate_call_type(struct validator *validator, const struct function_type *type, bool tail);

/* ---- Exceptions (validate_exceptions.c) ---- */
bool validate_exception(struct validator *validator, unsigned opcode);

/* ---- Typed references and garbage-collected types (validate_references.c) ---- */
bool validate_reference(struct validator *validator, unsigned opcode);

/* ---- All others (validate_instructions.c) ---- */
bool validate_memory_access(struct validator *validator, unsigned opcode);
/* A builtin is called here: builtins enter the kernel and take their toll of registers as calls do. */
void validate_note_builtin(struct validator *validator);
/* Immediates of a vector instruction (prefix 0xfd), then its signature. */
bool validate_vector(struct validator *validator, unsigned opcode);
bool validate_select(struct validator *validator);
/* Instructions of the one-byte and 0xfc groups that have neither a signature nor a function above. */
bool validate_special(struct validator *validator, unsigned opcode);

static inline bool validate_u32(struct validator *validator, uint32_t *value)
{
    return LIKELY(reader_u32(&validator->reader, value)) || validate_reader_fault(validator);
}

static inline struct control *validate_innermost(struct validator *validator)
{
    return &validator->controls[validator->control_count - 1];
}

#endif
