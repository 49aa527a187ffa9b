/* Entering and leaving compiled code. Assembly does only what C cannot say: change the stack and the registers.
 *
 * Wasm frames save the callee-saved registers that they use, and must hold no address of the kernel (invariant 4), so
 * those registers are cleared before the call; afterwards the thread area is found again through the instance header.
 */
#include "engine/x64/enter.h"

#include "engine/base.h"
#include "engine/trap.h"

#define FRAME(member)  offsetof(struct call_frame, member)
#define THREAD(member) offsetof(struct thread_area, member)
#define RECORD(member) offsetof(struct enter_record, member)

_Static_assert(sizeof(struct enter_record) == 40, "pushed by wasm_enter, field by field");

__attribute__((naked)) unsigned wasm_enter(__attribute__((unused)) struct call_frame *frame,
                                           __attribute__((unused)) struct thread_area *thread)
{
    __asm__("push %%rbp\n push %%rbx\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
            /* struct enter_record; with the padding rsp is 16-byte aligned */
            "push %%rsi\n push %%rdi\n"
            "push %c[kernel_rsp](%%rsi)\n"
            "push %c[wasm_rsp](%%rsi)\n"
            "sub $8, %%rsp\n"
            "mov %%rsp, %c[kernel_rsp](%%rsi)\n"
            /* room for the stack words on the wasm stack */
            "mov %c[wasm_rsp](%%rsi), %%rax\n"
            "test %%rax, %%rax\n"
            "cmovz %c[stack_base](%%rsi), %%rax\n"
            "and $-8, %%rax\n"
            "mov %c[stack_words](%%rdi), %%rcx\n"
            "lea (,%%rcx,8), %%rdx\n"
            "sub %%rdx, %%rax\n"
            "lea -8(%%rax), %%rdx\n" /* and for the return address */
            "cmp %c[stack_limit](%%rsi), %%rdx\n"
            "jb 1f\n"
            "mov %%rdi, %%r10\n"
            "mov %c[stack](%%rdi), %%rsi\n"
            "mov %%rax, %%rdi\n"
            "mov %%rax, %%rsp\n"
            "cld\n"
            "jrcxz 2f\n" /* most calls have none, and rep is slow to start */
            "rep movsq\n"
            "2: cmpq $0, %c[has_floats](%%r10)\n"
            "je 4f\n"
            "movups %c[floats]+0(%%r10), %%xmm0\n movups %c[floats]+16(%%r10), %%xmm1\n"
            "movups %c[floats]+32(%%r10), %%xmm2\n movups %c[floats]+48(%%r10), %%xmm3\n"
            "movups %c[floats]+64(%%r10), %%xmm4\n movups %c[floats]+80(%%r10), %%xmm5\n"
            "movups %c[floats]+96(%%r10), %%xmm6\n movups %c[floats]+112(%%r10), %%xmm7\n"
            "4: mov %c[integers]+0(%%r10), %%rsi\n mov %c[integers]+8(%%r10), %%rdx\n"
            "mov %c[integers]+16(%%r10), %%rcx\n mov %c[integers]+24(%%r10), %%r8\n"
            "mov %c[integers]+32(%%r10), %%r9\n"
            "mov %c[code](%%r10), %%rax\n"
            "xor %%ebx, %%ebx\n xor %%ebp, %%ebp\n xor %%edi, %%edi\n xor %%r10d, %%r10d\n xor %%r11d, %%r11d\n"
            "xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n xor %%r15d, %%r15d\n"
            "call *%%rax\n"
            /* results; rsp points to the stack words again */
            "mov %%gs:%c[header_thread], %%rcx\n"
            "mov %%rsp, %%rsi\n"
            "mov %c[kernel_rsp](%%rcx), %%rsp\n"
            "mov %c[record_frame](%%rsp), %%rbx\n"
            "mov %%rax, %c[integer_results]+0(%%rbx)\n mov %%rdx, %c[integer_results]+8(%%rbx)\n"
            "movups %%xmm0, %c[float_results]+0(%%rbx)\n movups %%xmm1, %c[float_results]+16(%%rbx)\n"
            "mov %c[stack_words](%%rbx), %%rcx\n"
            "mov %c[stack](%%rbx), %%rdi\n"
            "jrcxz 3f\n"
            "rep movsq\n"
            "3: xor %%eax, %%eax\n"
            "jmp wasm_leave\n"
            "1: mov %[overflow], %%eax\n"
            "jmp wasm_leave\n"
            :
            : [kernel_rsp] "i"(THREAD(kernel_rsp)), [wasm_rsp] "i"(THREAD(wasm_rsp)),
              [stack_base] "i"(THREAD(stack_base)), [stack_limit] "i"(THREAD(stack_limit)),
              [stack_words] "i"(FRAME(stack_words)), [stack] "i"(FRAME(stack)), [floats] "i"(FRAME(floats)),
              [has_floats] "i"(FRAME(has_floats)),
              [integers] "i"(FRAME(integers)), [code] "i"(FRAME(code)), [integer_results] "i"(FRAME(integer_results)),
              [float_results] "i"(FRAME(float_results)), [record_frame] "i"(RECORD(frame)),
              [header_thread] "i"(HEADER_OFFSET(thread)), [overflow] "i"(TRAP_STACK_OVERFLOW));
}

__attribute__((naked)) unsigned kernel_enter(__attribute__((unused)) void (*function)(void *argument),
                                             __attribute__((unused)) void *argument,
                                             __attribute__((unused)) struct thread_area *thread)
{
    __asm__("push %%rbp\n push %%rbx\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
            /* struct enter_record */
            "push %%rdx\n push $0\n"
            "push %c[kernel_rsp](%%rdx)\n"
            "push %c[wasm_rsp](%%rdx)\n"
            "sub $8, %%rsp\n"
            "mov %%rsp, %c[kernel_rsp](%%rdx)\n"
            "mov %%rdi, %%rax\n"
            "mov %%rsi, %%rdi\n"
            "call *%%rax\n"
            "xor %%eax, %%eax\n"
            "jmp wasm_leave\n"
            :
            : [kernel_rsp] "i"(THREAD(kernel_rsp)), [wasm_rsp] "i"(THREAD(wasm_rsp)));
}

/* rsp = the innermost enter_record, eax = what wasm_enter returns. */
__attribute__((naked)) void wasm_leave(void)
{
    __asm__("add $8, %%rsp\n"
            "pop %%rdx\n pop %%rcx\n" /* outer wasm_rsp, kernel_rsp */
            "pop %%rdi\n pop %%rsi\n"
            "mov %%rdx, %c[wasm_rsp](%%rsi)\n"
            "mov %%rcx, %c[kernel_rsp](%%rsi)\n"
            "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbx\n pop %%rbp\n"
            "cld\n"
            "ret\n"
            :
            : [wasm_rsp] "i"(THREAD(wasm_rsp)), [kernel_rsp] "i"(THREAD(kernel_rsp)));
}

_Noreturn void wasm_abandon(struct thread_area *thread, unsigned trap)
{
    __asm__ volatile("mov %[rsp], %%rsp\n"
                     "jmp wasm_leave\n"
                     :
                     : [rsp] "r"(thread->kernel_rsp), "a"(trap)
                     : "memory");
    __builtin_unreachable();
}

/* Where the next value of a type goes; the same walk for arguments and for results. */
struct placement {
    uint32_t integers, floats, words;
    uint32_t integer_limit, float_limit;
};

/* The value's first word; a vector has its second one behind it. */
static uint64_t *place(struct placement *placement, value_type type, uint64_t *integers, uint64_t (*floats)[2],
                       uint64_t *words)
{
    if (value_type_is_float(type)) {
        if (placement->floats < placement->float_limit)
            return floats[placement->floats++];
    } else if (placement->integers < placement->integer_limit) {
        return &integers[placement->integers++];
    }
    uint64_t *word = words + placement->words;
    placement->words += type == VALUE_V128 ? 2 : 1;
    return word;
}

static void copy_value(uint64_t *to, const uint64_t *from, value_type type)
{
    bool wide = type == VALUE_I64 || type == VALUE_F64 || type == VALUE_V128;
    to[0] = wide ? from[0] : (uint32_t)from[0];
    if (type == VALUE_V128)
        to[1] = from[1];
}

static uint32_t stack_words(const value_type *types, uint32_t count, uint32_t integer_limit, uint32_t float_limit)
{
    uint32_t integers = 0, floats = 0, words = 0;
    if (count <= integer_limit && count <= float_limit)
        return 0; /* as most are */
    for (uint32_t i = 0; i < count; i++) {
        bool in_register = value_type_is_float(types[i]) ? floats++ < float_limit : integers++ < integer_limit;
        if (!in_register)
            words += types[i] == VALUE_V128 ? 2 : 1;
    }
    return words;
}

static uint32_t argument_words(const struct function_type *type)
{
    return stack_words(function_type_parameters(type), type->parameter_count, ABI_INTEGER_ARGUMENTS,
                       ABI_FLOAT_ARGUMENTS);
}

static uint32_t result_words(const struct function_type *type)
{
    return stack_words(function_type_results(type), type->result_count, ABI_INTEGER_RESULTS, ABI_FLOAT_RESULTS);
}

uint32_t call_frame_stack_words(const struct function_type *type)
{
    return result_words(type) + argument_words(type);
}

void call_frame_prepare(struct call_frame *frame, uint64_t code, const struct function_type *type,
                        const uint64_t *arguments, uint32_t stride, uint64_t *stack)
{
    struct placement placement = {.integer_limit = ABI_INTEGER_ARGUMENTS, .float_limit = ABI_FLOAT_ARGUMENTS};
    const value_type *types = function_type_parameters(type);
    frame->code = code;
    frame->stack = stack;
    frame->stack_words = call_frame_stack_words(type);
    for (uint32_t i = 0; i < frame->stack_words; i++)
        stack[i] = 0;
    stack += result_words(type);
    memset(frame->integers, 0, sizeof frame->integers);
    memset(frame->floats, 0, sizeof frame->floats);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        copy_value(place(&placement, types[i], frame->integers, frame->floats, stack), arguments + i * stride,
                   types[i]);
    frame->has_floats = placement.floats;
}

void call_frame_results(struct call_frame *frame, const struct function_type *type, uint64_t *results,
                        uint32_t stride)
{
    struct placement placement = {.integer_limit = ABI_INTEGER_RESULTS, .float_limit = ABI_FLOAT_RESULTS};
    const value_type *types = function_type_results(type);
    uint64_t *words = frame->stack;
    for (uint32_t i = 0; i < type->result_count; i++) {
        uint64_t *result = results + i * stride;
        if (stride > 1)
            result[1] = 0;
        copy_value(result, place(&placement, types[i], frame->integer_results, frame->float_results, words), types[i]);
    }
}
