/* Validation of one function body (spec 3.3, and the algorithm of appendix A.3), and the summary that the compilers
 * build on.
 *
 * A body is read twice: here, with every check, and then by a compiler which trusts the bytes. The first reading
 * counts how often each local is used, by loop depth, so that one pass of compilation already knows which locals
 * deserve a register. Compilers must not be called for a body for which function_validate did not return ENGINE_OK. */
#ifndef ENGINE_VALIDATE_H
#define ENGINE_VALIDATE_H

#include "engine/module.h"

struct function_summary {
    uint32_t local_count;             /* parameters included */
    value_type *local_types;          /* [local_count], in the validator's arena */
    uint32_t *local_weights;          /* [local_count]: uses, each weighted by SUMMARY_LOOP_FACTOR^depth, saturating */
    uint32_t call_weight;             /* the same sum over all calls (direct, indirect, imports) */
    uint32_t code_offset;             /* module offset of the first instruction, behind the local declarations */
    uint32_t maximum_operands;        /* depth of the operand stack, in values */
    uint32_t maximum_controls;        /* nesting of blocks, the function's own included */
    uint32_t maximum_call_parameters; /* over all calls made, in values */
    uint32_t maximum_call_results;
    uint32_t maximum_catches;         /* nesting of the older encoding's catch and catch_all */
    bool has_calls;          /* any call to wasm or host code (builtins that can enter the kernel included) */
    bool has_indirect_calls; /* call_indirect, call_ref, or a call of an import */
    bool has_tail_calls;
    bool has_loops;
    bool has_vectors;           /* v128 among locals or operands; whatever pushes one sets it */
};

#define SUMMARY_LOOP_FACTOR        8
#define SUMMARY_LOOP_DEPTH_MAXIMUM 5

/* State that one thread reuses from function to function. */
struct validator;

struct validator *validator_create(const struct engine_allocator *allocator);
void validator_destroy(struct validator *validator);

/* Validate the body of function `index` (not an import). On ENGINE_OK `*summary` is filled; its arrays stay valid until
 * the validator's next call. */
enum engine_status function_validate(struct validator *validator, const struct module *module, uint32_t index,
                                     struct function_summary *summary, struct engine_error *error);

#endif
