/* Calls from the kernel into compiled code, on the current thread. */
#include "engine/base.h"
#include "engine/x64/enter.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/place.h"
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

/* Run compiled code in the current thread. GS is of the calling instance, if there is one, before and after. */
static enum trap call_code_here(struct process *process, uint64_t gs_base, uint64_t code,
                                const struct function_type *type, const union value *arguments, union value *results)
{
    struct thread *thread = thread_current();
    const struct instance_header *header = (const struct instance_header *)(uintptr_t)gs_base - 1;
    const struct instance *instance = (const struct instance *)(uintptr_t)header->kernel_instance;
    if (thread_prepare(thread, process, instance->place) != STATUS_OK) {
        return refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    uint64_t inline_words[INLINE_STACK_WORDS];
    uint32_t words = call_frame_stack_words(type);
    uint64_t *stack = words <= INLINE_STACK_WORDS ? inline_words : kernel_allocate(words * sizeof(uint64_t));
    if (!stack) {
        return refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    process->report.trap = TRAP_NONE;
    struct call_frame frame;
    call_frame_prepare(&frame, code, type, (const uint64_t (*)[2])arguments, stack);
    struct activation activation;
    activation_begin(&activation, thread, process);
    platform_set_gs(gs_base);
    enum trap trap = wasm_enter(&frame, &thread->area);
    activation_end(&activation, thread);
    if (trap == TRAP_NONE) {
        call_frame_results(&frame, type, (uint64_t (*)[2])results);
    } else if (process->report.trap == TRAP_NONE) { /* wasm_enter's own: no room for the arguments */
        refuse_call(process, trap);
    }
    if (stack != inline_words) {
        kernel_free(stack, words * sizeof(uint64_t));
    }
    return trap;
}

struct code_call {
    struct process *process;
    uint64_t gs_base, code;
    const struct function_type *type;
    const union value *arguments;
    union value *results;
    enum trap trap;
};

static void call_on_large_stack(void *argument, void *stack)
{
    struct code_call *call = argument;
    struct thread *thread = thread_current();
    thread->large_stack = stack;
    thread->small_stack_rsp = (uintptr_t)call;
    call->trap = call_code_here(call->process, call->gs_base, call->code, call->type, call->arguments, call->results);
    thread->large_stack = NULL;
}

static enum trap call_code(struct process *process, uint64_t gs_base, uint64_t code, const struct function_type *type,
                           const union value *arguments, union value *results)
{
    const struct thread *thread = thread_current();
    if (thread->large_stack && is_short(thread->large_stack, LARGE_STACK_LEFT_BYTES)) {
        return refuse_call(process, TRAP_STACK_OVERFLOW);
    }
    bool inner = thread->activation && thread->kernel_stack && !thread->large_stack;
    if (inner && is_short(thread->kernel_stack, SMALL_STACK_LEFT_BYTES)) {
        struct code_call call = {process, gs_base, code, type, arguments, results, TRAP_NONE};
        return kernel_stack_call_large(call_on_large_stack, &call) ? call.trap
                                                                   : refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    return call_code_here(process, gs_base, code, type, arguments, results);
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

/* A host function is called in the name of the instance at `host_gs_base`. */
static enum trap call_reference(struct process *process, uint64_t host_gs_base, uint32_t function,
                                const union value *arguments, union value *results)
{
    const struct function_reference *record = &process->references[function];
    uint64_t gs_base = record->instance ? process->directory[record->instance] : host_gs_base;
    if (!record->signature || !gs_base) {
        return refuse_call(process, TRAP_NULL_REFERENCE);
    }
    return call_code(process, gs_base, record->code, signature_type(record->signature), arguments, results);
}

enum trap function_call(struct process *process, uint32_t function, const union value *arguments, union value *results)
{
    return call_reference(process, newest_gs_base(process), function, arguments, results);
}

enum trap instance_start(struct instance *instance)
{
    const struct module *module = instance->types;
    if (module->start == UINT32_MAX) {
        return TRAP_NONE;
    }
    if (module->start < module->function_import_count) {
        return call_reference(instance->process, (uintptr_t)instance->gs_base,
                              instance_function_reference(instance, module->start), NULL, NULL);
    }
    return call_code(instance->process, (uintptr_t)instance->gs_base, instance_function_code(instance, module->start),
                     &module->types[module->functions[module->start].type], NULL, NULL);
}
