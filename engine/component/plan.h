/* How values of a function's parameters or result go from one linear memory to another: a small program made from their
 * types once, and run for each call (transfer.h). It works on both sides at once: the canonical ABI lays a value out
 * alike in every memory, so a step names one offset, or one flat value, for both.
 *
 * Bytes that need no look are joined to one step. A list whose elements are such bytes is one copy; of other lists,
 * each element runs a program of its own. */
#ifndef ENGINE_COMPONENT_PLAN_H
#define ENGINE_COMPONENT_PLAN_H

#include "engine/component/types.h"

#define COMPONENT_STEPS_MAXIMUM     4096  /* of a plan: types that are shared by others are written out each time */
#define COMPONENT_ALL_STEPS_MAXIMUM 65536 /* and cases, of all plans of a planner: small bytes have many large types   \
                                           */

enum component_step_kind {
    COMPONENT_STEP_END,
    COMPONENT_STEP_COPY, /* memory: `bytes` bytes; flat: a number of `bytes` bytes, sign-extended or not */
    COMPONENT_STEP_BOOL,
    COMPONENT_STEP_CHAR,
    COMPONENT_STEP_FLAGS, /* `bytes` bytes, of which the bits of `mask` are kept */
    COMPONENT_STEP_STRING,
    COMPONENT_STEP_LIST,    /* of elements of `bytes` bytes, by the program `target`, or 0: copied */
    COMPONENT_STEP_VARIANT, /* discriminant of `bytes` bytes, `count` cases; programs at cases[target + n] */
    COMPONENT_STEP_OWN,
    COMPONENT_STEP_BORROW,
};

struct component_step {
    uint8_t kind;
    uint8_t alignment; /* LIST: of its elements */
    bool is_signed;    /* COPY, flat */
    uint8_t flat_end;  /* VARIANT, flat: slots from `place` to here are its */
    uint32_t place;    /* offset in memory, or number of the (first) flat value */
    uint32_t bytes;
    uint32_t count;
    union {
        uint32_t target; /* LIST, VARIANT */
        uint32_t mask;   /* FLAGS */
    };
    const struct component_resource *resource; /* OWN, BORROW */
};

struct component_plan {
    const struct component_step *steps; /* several programs, each up to its END; program 0 is only an END */
    const uint32_t *cases;
    uint32_t step_count; /* of both plans of a call, which share the arrays */
    uint32_t start;
    bool in_memory; /* the values are a tuple in memory, else flat values */
    bool scalars;   /* flat values, and nothing in memory behind them */
    bool numbers;   /* flat values that are all numbers of any value: every step is COPY (component_flat_number) */
    bool has_handles;
    bool has_pointers;   /* there are strings or lists */
    uint8_t alignment;   /* of the tuple */
    uint32_t flat_count; /* 1 when in memory: its address */
    uint32_t bytes;      /* of the tuple */
};

/* A number of `step->bytes` bytes as the core type that holds it; the bits above are not the source's to choose. */
static inline uint64_t component_flat_number(const struct component_step *step, uint64_t value)
{
    if (step->bytes == 8) {
        return value;
    }
    unsigned shift = 64 - step->bytes * 8;
    return step->is_signed ? (uint32_t)((int64_t)(value << shift) >> shift) : value << shift >> shift;
}

/* Both plans of a function. */
struct component_call {
    struct component_plan parameters, result;
};

/* Working memory for making plans, one after the other: those of a module. NULL: no memory. */
struct component_planner;
struct component_planner *component_planner_create(const struct engine_allocator *allocator);
void component_planner_destroy(struct component_planner *planner); /* NULL is allowed */
/* Make the plans of a usable function; they live in the arena. ENGINE_LIMIT: too many steps. */
enum engine_status component_call_plan(struct component_planner *planner, const struct component_function *function,
                                       struct arena *arena, struct component_call *call);

#endif
