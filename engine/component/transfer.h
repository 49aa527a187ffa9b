/* Values of the component model from one linear memory to another (CanonicalABI.md, "lifting and lowering"), without a
 * form in between: what is lifted from the source is lowered into the destination at once.
 *
 * Nothing here knows what the memories are; a side may as well be a buffer of the kernel's. The source is hostile, and
 * may be written by other CPUs at any time: every number of it is read once, and text is checked in the copy. The
 * destination's `allocate` is the guest's and may give anything; what it gives is checked before it is used. */
#ifndef ENGINE_COMPONENT_TRANSFER_H
#define ENGINE_COMPONENT_TRANSFER_H

#include "engine/component/plan.h"

/* Who is to blame, and for what. */
#define COMPONENT_STATUSES(X)                                                                                          \
    X(OK, "no error")                                                                                                  \
    X(BOUNDS, "a pointer outside of memory")                                                                           \
    X(ALIGNMENT, "a pointer that is not aligned")                                                                      \
    X(UTF8, "a string that is not UTF-8")                                                                              \
    X(CHARACTER, "a char that is no Unicode scalar value")                                                             \
    X(CASE, "a number beyond the last case")                                                                           \
    X(HANDLE, "a handle that cannot be passed")                                                                        \
    X(LARGE, "more data than a call may have")                                                                         \
    /* the destination's */                                                                                            \
    X(ALLOCATION, "cabi_realloc failed")                                                                               \
    X(ALLOCATION_BOUNDS, "cabi_realloc gave memory outside of the memory")                                             \
    X(ALLOCATION_ALIGNMENT, "cabi_realloc gave memory that is not aligned")                                            \
    X(RESULT_BOUNDS, "the place for the result is outside of memory")                                                  \
    X(RESULT_ALIGNMENT, "the place for the result is not aligned")

enum component_status {
#define STATUS(name, text) COMPONENT_##name,
    COMPONENT_STATUSES(STATUS)
#undef STATUS
};
const char *component_status_text(enum component_status status);
/* Did the side that the values come from do it? */
static inline bool component_status_is_of_source(enum component_status status)
{
    return status > COMPONENT_OK && status < COMPONENT_ALLOCATION;
}

struct component_side {
    uint8_t *base;  /* of the memory as it is now; sizes of 4 GiB and more count as UINT32_MAX */
    uint64_t bytes; /* only grows */
    bool is_whole;  /* of what is asked for next: every byte will be written at once, none is padding */
    /* Destination: give `bytes` bytes, more than 0, aligned to `alignment`, as cabi_realloc(0, 0, alignment, bytes)
     * does; `base` and `bytes` are then up to date again. COMPONENT_OK, COMPONENT_ALLOCATION or COMPONENT_LARGE. */
    enum component_status (*allocate)(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                      uint32_t *address);
};

struct component_transfer {
    struct component_side *source, *destination;
    uint64_t bytes_left; /* in all strings, lists and tuples in memory; beyond: COMPONENT_LARGE */
    /* A handle of the source to one of the destination: COMPONENT_OK or COMPONENT_HANDLE. NULL: none can be passed. */
    enum component_status (*handle)(struct component_transfer *transfer, const struct component_resource *resource,
                                    bool owned, uint32_t from, uint32_t *to);
    void *context; /* of `handle` */
};

/* Arguments: `from` are the flat values that the caller gave (without the pointer for its result), `to` those for the
 * callee; both have flat_count elements. i32 and f32 are in the low half, and above it there are zeros in `to`. On
 * failure parts may have been written. */
enum component_status component_transfer_parameters(struct component_transfer *transfer,
                                                    const struct component_plan *plan, const uint64_t *from,
                                                    uint64_t *to);
/* A result: `from` is what the callee returned (when the plan has flat_count 0: not looked at). It is written to
 * `address` of the destination, the pointer that the caller gave, when in memory, else to *to. */
enum component_status component_transfer_result(struct component_transfer *transfer, const struct component_plan *plan,
                                                uint64_t from, uint32_t address, uint64_t *to);

/* Can the result be written to `address`? What is so before a call is so after it. COMPONENT_RESULT_* if not. */
enum component_status component_check_result(const struct component_side *destination,
                                             const struct component_plan *plan, uint32_t address);

/* A side that is `capacity` bytes at `memory`, aligned to 8, all of them free for `allocate`, lowest address first; the
 * address 0 is never given. The bytes are not cleared, but a transfer by the same plan reads only what one has written.
 */
struct component_buffer {
    struct component_side side;
    uint32_t used;
};
void component_buffer_initialize(struct component_buffer *buffer, void *memory, uint64_t capacity);

#endif
