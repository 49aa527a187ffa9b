/* Between C and compiled code: entering a function, leaving it by a trap, and placing arguments by signature.
 *
 * GS is the caller's business: set it to the instance's base before wasm_enter, and, in a nested call, back to the
 * outer instance's after it (also when it returned a trap: wherever that happened, GS is then of no known instance). */
#ifndef ENGINE_X64_ENTER_H
#define ENGINE_X64_ENTER_H

#include "engine/types.h"
#include "engine/x64/abi.h"

/* What wasm_enter leaves at thread->kernel_rsp while compiled code runs. `wasm_rsp` and `kernel_rsp` are those of the
 * entry around this one (0 in the outermost), so a backtrace goes from one run of wasm frames to the next: its frames
 * end with a return address that is in no code object (it is wasm_enter's), and those of the outer run begin at
 * `wasm_rsp`. */
struct enter_record {
    uint64_t padding;
    uint64_t wasm_rsp;
    uint64_t kernel_rsp;
    struct call_frame *frame;
    struct thread_area *thread;
};

/* Call compiled code on the wasm stack: below thread->wasm_rsp when that is not 0 (a nested call, out of a host
 * function), else from thread->stack_base. Returns 0 when the function returned, its results being in `frame` and
 * behind the arguments in frame->stack; otherwise the number that somebody handed to wasm_leave, or
 * TRAP_STACK_OVERFLOW when not even the arguments fit. thread->kernel_rsp and thread->wasm_rsp are as before then. */
unsigned wasm_enter(struct call_frame *frame, struct thread_area *thread);

/* Call kernel code on the stack that is in use, within a record as wasm_enter makes it: wasm_abandon and wasm_leave end
 * it in the same way. Returns 0, or their number. */
unsigned kernel_enter(void (*function)(void *argument), void *argument, struct thread_area *thread);

/* Not to be called: the place where a thread continues whose wasm code has ended. Set rip here, rsp to
 * thread->kernel_rsp and eax to what the innermost wasm_enter or kernel_enter shall return. GS and FS do not matter. */
void wasm_leave(void);

/* The same for kernel code on the thread's kernel stack: drop everything above the innermost wasm_enter and make it
 * return `trap` (not 0). */
_Noreturn void wasm_abandon(struct thread_area *thread, unsigned trap);

/* Words that a call of this type needs in call_frame.stack: arguments and results that are in no register. */
uint32_t call_frame_stack_words(const struct function_type *type);

/* Fill `frame` for a call of `code`, with one element of `stride` words per parameter, of which a v128 needs two, and
 * all else the first. `stack` has call_frame_stack_words(type) words and must live until the results are read. */
void call_frame_prepare(struct call_frame *frame, uint64_t code, const struct function_type *type,
                        const uint64_t *arguments, uint32_t stride, uint64_t *stack);
/* After wasm_enter returned 0: the results, in the same form. The words' unused parts are 0. */
void call_frame_results(struct call_frame *frame, const struct function_type *type, uint64_t *results, uint32_t stride);

#endif
