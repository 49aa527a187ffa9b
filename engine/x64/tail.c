/* Where tail frames return. rsp is at the area then; the callee's results are in registers, and its stack results at
 * the start of the area. Free are rcx, rsi, rdi, r8 to r11. */
#include "engine/x64/tail.h"

#include "engine/base.h"
#include "engine/limits.h"

#define SMALL_BYTES (8 * ABI_TAIL_SMALL_WORDS)
#define LARGE_BYTES (8 * ABI_TAIL_LARGE_WORDS)
#define FRAME_BYTES sizeof(struct tail_frame)

/* Each at most two words: a vector. */
_Static_assert(ABI_TAIL_LARGE_WORDS >= 2 * (ENGINE_LIMIT_PARAMETERS + ENGINE_LIMIT_RESULTS), "any function fits");
_Static_assert(LARGE_BYTES + FRAME_BYTES + 8 <= ABI_FRAME_UNCHECKED, "made without a look at the stack limit");

#define TAIL_RETURN(area)                                                                                              \
    __asm__("movl %c[results](%%rsp), %%ecx\n"                                                                         \
            "testl %%ecx, %%ecx\n"                                                                                     \
            "jns 1f\n"                                                                                                 \
            "movl %%eax, %%eax\n"                                                                                      \
            "1: andl %[count], %%ecx\n"                                                                                \
            "jz 3f\n"                                                                                                  \
            "2: movq -8(%%rsp,%%rcx,8), %%r11\n"                                                                       \
            "movq %%r11, %c[outer](%%rsp,%%rcx,8)\n" /* behind the outer return address */                             \
            "decl %%ecx\n"                                                                                             \
            "jnz 2b\n"                                                                                                 \
            "3: movl %c[instance](%%rsp), %%r11d\n"                                                                    \
            "cmpl %%gs:%c[index], %%r11d\n"                                                                            \
            "je 4f\n"                                                                                                  \
            "callq *%%gs:%c[switch_instance]\n"                                                                        \
            "4: addq %[bytes], %%rsp\n"                                                                                \
            "retq\n"                                                                                                   \
            :                                                                                                          \
            : [results] "i"((area) + offsetof(struct tail_frame, results)),                                            \
              [instance] "i"((area) + offsetof(struct tail_frame, instance)), [count] "i"(~TAIL_FRAME_EXTEND),         \
              [outer] "i"((area) + FRAME_BYTES), [bytes] "i"((area) + FRAME_BYTES),                                    \
              [index] "i"(HEADER_OFFSET(instance_index)), [switch_instance] "i"(HEADER_OFFSET(switch_instance)))

__attribute__((naked)) void tail_return_small(void)
{
    TAIL_RETURN(SMALL_BYTES);
}

__attribute__((naked)) void tail_return_large(void)
{
    TAIL_RETURN(LARGE_BYTES);
}

bool tail_frame_unwind(uintptr_t *pc, uintptr_t *rsp, uint32_t *instance)
{
    struct tail_frame frame;
    if (*pc == (uintptr_t)tail_return_small)
        *rsp += SMALL_BYTES;
    else if (*pc == (uintptr_t)tail_return_large)
        *rsp += LARGE_BYTES;
    else
        return false;
    memcpy(&frame, (const void *)*rsp, FRAME_BYTES); /* NOLINT: the wasm stack */
    *rsp += FRAME_BYTES;
    memcpy(pc, (const void *)*rsp, sizeof *pc); /* NOLINT */
    *rsp += sizeof *pc;
    if (instance)
        *instance = frame.instance;
    return true;
}
