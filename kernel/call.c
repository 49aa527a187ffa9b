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

/* A call that is ready to be made in an instance: all but what depends on the stack that it is made on. */
struct entry {
    struct thread *thread;
    struct process *process;
    uint64_t gs_base;
    struct call_frame frame;
    enum trap trap;
};

/* Run compiled code on this stack. GS is of the calling instance, if there is one, before and after. */
static enum trap enter_here(struct entry *entry)
{
    struct thread *thread = entry->thread;
    struct activation activation;
    entry->process->report.trap = TRAP_NONE;
    activation_begin(&activation, thread, entry->process);
    if (activation.outer_gs_base != entry->gs_base) {
        platform_set_gs(entry->gs_base);
    }
    enum trap trap = wasm_enter(&entry->frame, &thread->area);
    activation_end(&activation, thread, trap == TRAP_NONE);
    return trap;
}

static void enter_on_large_stack(void *argument, void *stack)
{
    struct entry *entry = argument;
    struct thread *thread = entry->thread;
    thread->large_stack = stack;
    thread->small_stack_rsp = (uintptr_t)entry;
    entry->trap = enter_here(entry);
    thread->large_stack = NULL;
}

/* Run compiled code in the current thread. */
static enum trap enter(struct entry *entry)
{
    const struct thread *thread = entry->thread;
    if (thread->large_stack && is_short(thread->large_stack, LARGE_STACK_LEFT_BYTES)) {
        return refuse_call(entry->process, TRAP_STACK_OVERFLOW);
    }
    bool inner = thread->activation && thread->kernel_stack && !thread->large_stack;
    if (inner && is_short(thread->kernel_stack, SMALL_STACK_LEFT_BYTES)) {
        return kernel_stack_call_large(enter_on_large_stack, entry) ? entry->trap
                                                                    : refuse_call(entry->process, TRAP_OUT_OF_MEMORY);
    }
    return enter_here(entry);
}

static enum trap call_code(struct process *process, uint64_t gs_base, uint64_t code, const struct function_type *type,
                           const union value *arguments, union value *results)
{
    const struct instance_header *header = (const struct instance_header *)(uintptr_t)gs_base - 1;
    const struct instance *instance = (const struct instance *)(uintptr_t)header->kernel_instance;
    struct entry entry; /* filled member by member: the frame is large */
    entry.thread = thread_current();
    entry.process = process;
    entry.gs_base = gs_base;
    if (thread_prepare(entry.thread, process, instance->place) != STATUS_OK) {
        return refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    uint64_t inline_words[INLINE_STACK_WORDS];
    uint32_t words = call_frame_stack_words(type);
    uint64_t *stack = words <= INLINE_STACK_WORDS ? inline_words : kernel_allocate(words * sizeof(uint64_t));
    if (!stack) {
        return refuse_call(process, TRAP_OUT_OF_MEMORY);
    }
    call_frame_prepare(&entry.frame, code, type, (const uint64_t (*)[2])arguments, stack);
    enum trap trap = enter(&entry);
    if (trap == TRAP_NONE) {
        call_frame_results(&entry.frame, type, (uint64_t (*)[2])results);
    } else if (process->report.trap == TRAP_NONE) { /* wasm_enter's own: no room for the arguments */
        refuse_call(process, trap);
    }
    if (stack != inline_words) {
        kernel_free(stack, words * sizeof(uint64_t));
    }
    return trap;
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

/* A host function is called in the name of the instance at `host_gs_base`; 0: of the process's newest one. */
static enum trap call_reference(struct process *process, uint64_t host_gs_base, uint32_t function,
                                const union value *arguments, union value *results)
{
    const struct function_reference *record = &process->references[function];
    uint64_t gs_base = record->instance ? process->directory[record->instance]
                       : host_gs_base   ? host_gs_base
                                        : newest_gs_base(process);
    if (!record->signature || !gs_base) {
        return refuse_call(process, TRAP_NULL_REFERENCE);
    }
    return call_code(process, gs_base, record->code, signature_type(record->signature), arguments, results);
}

enum trap function_call(struct process *process, uint32_t function, const union value *arguments, union value *results)
{
    return call_reference(process, 0, function, arguments, results);
}

/* Of any type of scalars, and of an import. */
static enum trap call_by_reference(struct instance *instance, uint32_t function, const struct function_type *type,
                                   const uint64_t *arguments, uint64_t *result)
{
    union value values[INSTANCE_CALL_PARAMETERS], results[1] = {0};
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        values[i].i64 = arguments[i];
    }
    enum trap trap = function_call(instance->process, instance_function_reference(instance, function), values, results);
    *result = results[0].i64;
    return trap;
}

enum trap instance_call(struct instance *instance, uint32_t function, const uint64_t *arguments, uint64_t *result)
{
    const struct module *module = instance->types;
    const struct function_type *type = &module->types[module->functions[function].type];
    struct process *process = instance->process;
    struct entry entry; /* filled member by member: the frame is large */
    entry.thread = running_thread();
    entry.process = process;
    entry.gs_base = (uintptr_t)instance->gs_base;
    if (function < module->function_import_count ||
        !call_frame_prepare_registers(&entry.frame, instance_function_code(instance, function), type, arguments)) {
        return call_by_reference(instance, function, type, arguments, result);
    }
    enum trap trap = enter(&entry);
    if (trap == TRAP_NONE) {
        *result = call_frame_result(&entry.frame, type);
    } else if (process->report.trap == TRAP_NONE) { /* wasm_enter's own: no room for the arguments */
        refuse_call(process, trap);
    }
    return trap;
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
