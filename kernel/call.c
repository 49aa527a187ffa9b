/* Calls from the kernel into compiled code, on the current thread. */
#include "engine/base.h"
#include "engine/x64/enter.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/place.h"
#include "kernel/port.h"
#include "kernel/process_lock.h"
#include "kernel/signature.h"
#include "kernel/stack.h"

/* Stack words up to here lie in the frame of the caller. */
#define INLINE_STACK_WORDS 16

/* A host function may call a guest, which calls a host function, and so on: this much kernel stack is left to each. Of
 * a small stack that is most, or more than there is; so inner calls get a large one. */
#define LARGE_STACK_LEFT_BYTES 32768
#define SMALL_STACK_LEFT_BYTES max_u64(12 << 10, platform_kernel_stack_bytes() / 4 * 3)

static bool is_short(const void *lowest, size_t left)
{
    return (uintptr_t)__builtin_frame_address(0) < (uintptr_t)lowest + left;
}

/* A call that was not even begun: no frames. */
static enum trap refuse_call(struct process *process, enum trap trap)
{
    process->report = (struct trap_report){.trap = trap};
    return trap;
}

/* Around each wasm_enter or kernel_enter: who runs. */
static inline void activation_begin(struct activation *activation, struct thread *thread, struct process *process)
{
    *activation = (struct activation){
        .outer = thread->activation,
        .process = process,
        .outer_process = thread->process,
        .outer_gs_base = thread->activation ? running_gs_base() : 0,
        .outer_host_function = thread->area.host_function,
    };
    if (process->thread != thread && thread->member != process) { /* made by another thread */
        process->thread = thread;
        for (struct instance *instance = process->instances; instance; instance = instance->next) {
            if (instance->header && !instance->own_thread) { /* its creation did not fail */
                instance->header->thread = (uintptr_t)thread;
            }
        }
    }
    thread->activation = activation;
    if (thread->process != process) {
        thread_set_process(thread, process);
    }
    bool ends = process_end_request(process) != TRAP_NONE;
    if (process->deadline != UINT64_MAX || ends) {
        if (ends) {
            __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
        }
        scheduler_arm_timer();
    }
    if (thread->shares) {
        process_lock_leave();
    }
}

/* `gs_is_good`: it is of some instance now. Setting it takes long. */
static inline void activation_end(struct activation *activation, struct thread *thread, bool gs_is_good)
{
    if (thread->shares) {
        process_lock_enter();
    }
    if (activation->outer_gs_base && !(gs_is_good && running_gs_base() == activation->outer_gs_base)) {
        platform_set_gs(activation->outer_gs_base);
    }
    if (thread->call_port && thread->call_activation == activation) {
        port_abandon_call();
    }
    thread->area.host_function = activation->outer_host_function;
    if (thread->process != activation->outer_process) {
        thread_set_process(thread, activation->outer_process);
    }
    thread->activation = activation->outer;
}

enum trap run_for_process(struct process *process, void (*function)(void *argument), void *argument)
{
    struct thread *thread = thread_current();
    struct activation activation;
    activation_begin(&activation, thread, process);
    activation.without_gs = true;
    process_lock_enter(); /* it is kernel code all the same */
    enum trap trap = kernel_enter(function, argument, &thread->area);
    activation_end(&activation, thread, false);
    return trap;
}

/* A call of compiled code. There is an element of `stride` words for each argument and each result: 2, or 1 where none
 * is a vector. */
struct code_call {
    struct process *process;
    uint64_t gs_base, code;
    const struct function_type *type;
    const uint64_t *arguments;
    uint64_t *results;
    uint32_t stride;
    enum trap trap;
};

/* Integers in registers, which is what most functions have. False: there are other arguments. */
static inline bool place_integers(struct call_frame *frame, const struct code_call *call)
{
    const value_type *types = function_type_parameters(call->type);
    uint32_t count = call->type->parameter_count, i = 0;
    for (; i < ABI_INTEGER_ARGUMENTS && i < count && (types[i] == VALUE_I32 || types[i] == VALUE_I64); i++) {
        uint64_t word = call->arguments[i * call->stride];
        frame->integers[i] = types[i] == VALUE_I64 ? word : (uint32_t)word;
    }
    bool all = i == count && call->type->result_count <= 1;
    for (; i < ABI_INTEGER_ARGUMENTS; i++) {
        frame->integers[i] = 0;
    }
    frame->code = call->code;
    frame->has_floats = 0;
    frame->stack_words = 0;
    return all;
}

static inline void take_results(struct call_frame *frame, const struct code_call *call)
{
    const value_type *types = function_type_results(call->type);
    if (call->type->result_count == 1 && (types[0] == VALUE_I32 || types[0] == VALUE_I64)) {
        uint64_t word = frame->integer_results[0];
        call->results[0] = types[0] == VALUE_I64 ? word : (uint32_t)word;
        if (call->stride > 1) {
            call->results[1] = 0;
        }
    } else if (call->type->result_count) {
        call_frame_results(frame, call->type, call->results, call->stride);
    }
}

/* In the current thread and on this stack. GS is of the calling instance, if there is one, before and after. (Not
 * inline: tests/kernel/stack_depth tells by its name that what follows is on another stack, inside of a host call.) */
__attribute__((noinline)) static enum trap call_code_here(const struct code_call *call, struct thread *thread)
{
    struct process *process = call->process;
    const struct instance_header *header = (const struct instance_header *)(uintptr_t)call->gs_base - 1;
    const struct instance *instance = (const struct instance *)(uintptr_t)header->kernel_instance;
    if (!thread->wasm_stack && thread_prepare(thread, process, instance->place) != STATUS_OK) {
        return refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    struct call_frame frame;
    uint64_t inline_words[INLINE_STACK_WORDS], *stack = inline_words;
    uint32_t words = 0;
    if (!place_integers(&frame, call)) {
        words = call_frame_stack_words(call->type);
        stack = words <= INLINE_STACK_WORDS ? inline_words : kernel_allocate(words * sizeof(uint64_t));
        if (!stack) {
            return refuse_call(process, TRAP_OUT_OF_MEMORY);
        }
        call_frame_prepare(&frame, call->code, call->type, call->arguments, call->stride, stack);
    }
    process->report.trap = TRAP_NONE;
    struct activation activation;
    activation_begin(&activation, thread, process);
    if (activation.outer_gs_base != call->gs_base) {
        platform_set_gs(call->gs_base);
    }
    enum trap trap = wasm_enter(&frame, &thread->area);
    activation_end(&activation, thread, trap == TRAP_NONE);
    if (trap == TRAP_NONE) {
        take_results(&frame, call);
    } else if (process->report.trap == TRAP_NONE) { /* wasm_enter's own: no room for the arguments */
        refuse_call(process, trap);
    }
    if (stack != inline_words) {
        kernel_free(stack, words * sizeof(uint64_t));
    }
    return trap;
}

static void call_on_large_stack(void *argument, void *stack)
{
    struct code_call *call = argument;
    struct thread *thread = thread_current();
    thread->large_stack = stack;
    thread->small_stack_rsp = (uintptr_t)call;
    call->trap = call_code_here(call, thread);
    thread->large_stack = NULL;
}

/* (Not inline for the same reason.) */
__attribute__((noinline)) static enum trap call_code(struct code_call *call, struct thread *thread)
{
    if (thread->large_stack && is_short(thread->large_stack, LARGE_STACK_LEFT_BYTES)) {
        return refuse_call(call->process, TRAP_STACK_OVERFLOW);
    }
    bool inner = thread->activation && thread->kernel_stack && !thread->large_stack;
    if (inner && is_short(thread->kernel_stack, SMALL_STACK_LEFT_BYTES)) {
        return kernel_stack_call_large(call_on_large_stack, call) ? call->trap
                                                                  : refuse_call(call->process, TRAP_OUT_OF_MEMORY);
    }
    return call_code_here(call, thread);
}

/* A host function is called in the name of the process's newest instance; 0 without one. */
static uint64_t newest_gs_base(const struct process *process)
{
    const struct instance *instance = process->instances;
    while (instance && (!instance->header || instance->own_thread)) { /* its creation failed, or it is not for all */
        instance = instance->next;
    }
    return instance ? (uintptr_t)instance->gs_base : 0;
}

/* Fill in whose function it is. A host function is called in the name of the instance at `host_gs_base`; 0: of the
 * process's newest one. */
static enum trap call_reference(struct code_call *call, uint32_t function, uint64_t host_gs_base)
{
    const struct function_reference *record = &call->process->references[function];
    call->gs_base = record->instance ? call->process->directory[record->instance]
                    : host_gs_base   ? host_gs_base
                                     : newest_gs_base(call->process);
    if (!record->signature || !call->gs_base) {
        return refuse_call(call->process, TRAP_NULL_REFERENCE);
    }
    call->code = record->code;
    call->type = signature_type(record->signature);
    return call_code(call, thread_current());
}

enum trap function_call(struct process *process, uint32_t function, const union value *arguments, union value *results)
{
    struct code_call call = {
        .process = process, .arguments = (const uint64_t *)arguments, .results = (uint64_t *)results, .stride = 2};
    return call_reference(&call, function, 0);
}

enum trap instance_call(struct instance *instance, uint32_t function, const uint64_t *arguments, uint64_t *result)
{
    const struct module *module = instance->types;
    struct code_call call;
    call.process = instance->process;
    call.arguments = arguments;
    call.results = result;
    call.stride = 1;
    if (function < module->function_import_count) {
        return call_reference(&call, instance_function_reference(instance, function), (uintptr_t)instance->gs_base);
    }
    call.gs_base = (uintptr_t)instance->gs_base;
    call.code = instance_function_code(instance, function);
    call.type = &module->types[module->functions[function].type];
    return call_code(&call, running_thread());
}

enum trap instance_start(struct instance *instance)
{
    const struct module *module = instance->types;
    struct code_call call = {.process = instance->process, .gs_base = (uintptr_t)instance->gs_base, .stride = 2};
    if (module->start == UINT32_MAX) {
        return TRAP_NONE;
    }
    if (module->start < module->function_import_count) {
        return call_reference(&call, instance_function_reference(instance, module->start), call.gs_base);
    }
    call.code = instance_function_code(instance, module->start);
    call.type = &module->types[module->functions[module->start].type];
    return call_code(&call, thread_current());
}
