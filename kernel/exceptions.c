/* Throwing: from the frame that throws outwards, until a clause takes the exception or this run of wasm frames ends.
 *
 * Frames are left as code_unwind_registers says, callee-saved registers get their values back on the way, and the
 * instance of a frame is known from its callee's, because a call of another instance is recognizable by its return
 * address. Nothing is changed before a clause is found: the backtrace of an exception that nobody catches is that of
 * the throw. */
#include "kernel/exceptions.h"

#include "engine/base.h"
#include "engine/x64/tail.h"
#include "kernel/builtins.h"
#include "kernel/cpu.h"
#include "kernel/exception_heap.h"
#include "kernel/instance_parts.h"
#include "kernel/sanitizer.h"
#include "kernel/signature.h"

/* Frames and tries that are looked at between two checkpoints. */
#define STEPS_PER_CHECKPOINT 4096

/* ---- Entries: what compiled code calls ---- */

/* The callee-saved registers as compiled code left them, as the entries push them. */
struct callee_saved {
    uint64_t rbx, rbp, r12, r13, r14, r15;
};

/* clang-format off */
#define ENTRY(name)                                                                                                    \
    __asm__("pushq %r15\n pushq %r14\n pushq %r13\n pushq %r12\n pushq %rbp\n pushq %rbx\n"                            \
            "movq %rsp, %rdx\n"                                                                                        \
            "subq $8, %rsp\n"                                                                                          \
            "callq " name "\n"                                                                                         \
            "ud2\n")
/* clang-format on */

__attribute__((naked)) void builtin_throw(__attribute__((unused)) struct instance *instance,
                                          __attribute__((unused)) uint32_t tag)
{
    ENTRY("exception_throw");
}

__attribute__((naked)) void builtin_throw_ref(__attribute__((unused)) struct instance *instance,
                                              __attribute__((unused)) uint32_t reference)
{
    ENTRY("exception_throw_reference");
}

/* ---- The way ---- */

struct thrown {
    const struct tag_object *tag;
    const uint64_t (*values)[2];
    uint32_t reference; /* 0: none yet */
};

/* Where it is looked for, from the innermost frame outwards. */
struct unwinding {
    struct instance *instance;
    const struct code *code;
    uintptr_t pc, rsp;
    uint64_t registers[16];
    uint32_t steps;
};

static void step(struct unwinding *place)
{
    if (++place->steps % STEPS_PER_CHECKPOINT == 0) {
        thread_checkpoint();
    }
}

static struct instance *instance_of_index(const struct process *process, uint32_t index)
{
    const struct instance_header *header = (const struct instance_header *)(uintptr_t)process->directory[index] - 1;
    return (struct instance *)(uintptr_t)header->kernel_instance;
}

/* The clause of this frame that takes the exception, or NULL. */
static const struct code_clause *find_clause(struct unwinding *place, const struct thrown *exception)
{
    const struct code_exceptions *table = &place->code->exceptions;
    for (uint32_t i = code_find_try(place->code, place->pc); i != CODE_NO_TRY; i = table->tries[i].parent) {
        step(place);
        for (uint32_t k = table->tries[i].first_clause; k != CODE_NO_CLAUSE; k = table->clauses[k].next) {
            const struct code_clause *clause = &table->clauses[k];
            step(place);
            if (clause->tag == CODE_TAG_ALL || place->instance->tags[clause->tag] == exception->tag) {
                return clause;
            }
        }
    }
    return NULL;
}

/* The clause that takes the exception, with its frame in `place`; NULL: nobody does. */
static const struct code_clause *find_handler(struct unwinding *place, const struct thread *thread,
                                              const struct thrown *exception)
{
    for (; place->rsp <= thread->area.stack_base; step(place)) {
        uint32_t index;
        while (tail_frame_unwind(&place->pc, &place->rsp, &index)) {
            place->instance = instance_of_index(place->instance->process, index);
        }
        const struct compiled_module *module = text_find(place->pc - 1);
        if (!module) {
            return NULL; /* it was called by wasm_enter */
        }
        if (code_instance_switch(place->pc, place->rsp, &index)) {
            place->instance = instance_of_index(place->instance->process, index);
        }
        place->code = module->code;
        const struct code_clause *clause = find_clause(place, exception);
        if (clause || !code_unwind_registers(module->code, &place->pc, &place->rsp, place->registers)) {
            return clause;
        }
    }
    return NULL;
}

/* ---- Going on ---- */

/* In compiled code at `pad`, as its clause expects it. */
__attribute__((naked)) static void resume(__attribute__((unused)) const uint64_t registers[16],
                                          __attribute__((unused)) uint64_t rsp,
                                          __attribute__((unused)) const void *values,
                                          __attribute__((unused)) uint32_t reference,
                                          __attribute__((unused)) uint64_t pad)
{
    __asm__("movq %c[rbx](%%rdi), %%rbx\n movq %c[rbp](%%rdi), %%rbp\n"
            "movq %c[r12](%%rdi), %%r12\n movq %c[r13](%%rdi), %%r13\n"
            "movq %c[r14](%%rdi), %%r14\n movq %c[r15](%%rdi), %%r15\n"
            "movl %%ecx, %%eax\n"
            "movq %%rsi, %%rsp\n"
            "jmpq *%%r8\n"
            :
            : [rbx] "i"(8 * RBX), [rbp] "i"(8 * RBP), [r12] "i"(8 * R12), [r13] "i"(8 * R13), [r14] "i"(8 * R14),
              [r15] "i"(8 * R15));
}

/* The frames here are not returned from. Not inlined: what its caller has on the stack lies above its frame. */
__attribute__((noinline)) static void leave_kernel_stack(const struct thread *thread)
{
    uint8_t *here = __builtin_frame_address(0);
    SANITIZER_ALLOW(here, thread->area.kernel_rsp - (uintptr_t)here);
}

_Noreturn static void throw(struct instance *instance, struct thrown exception, const struct callee_saved *saved)
{
    struct thread *thread = thread_current();
    const uint64_t *wasm_rsp = (const uint64_t *)thread->area.wasm_rsp;
    struct unwinding place = {
        .instance = instance,
        .pc = wasm_rsp[0],
        .rsp = (uintptr_t)(wasm_rsp + 1),
        .registers = {[RBX] = saved->rbx,
                      [RBP] = saved->rbp,
                      [R12] = saved->r12,
                      [R13] = saved->r13,
                      [R14] = saved->r14,
                      [R15] = saved->r15},
    };
    thread_checkpoint(); /* a guest that does nothing but throw is seldom interrupted elsewhere */
    const struct code_clause *clause = find_handler(&place, thread, &exception);
    if (!clause) {
        thread_end_guest(TRAP_EXCEPTION, NULL, GUEST_IN_HOST);
    }
    if (clause->reference && !exception.reference) {
        exception.reference = exception_heap_add(instance->process, exception.tag, exception.values);
        if (!exception.reference) {
            thread_end_guest(TRAP_OUT_OF_MEMORY, "exceptions", GUEST_IN_HOST);
        }
    }
    /* The landing pad may be interrupted between two of them, and then nothing may refer to the exception any more. */
    if ((uintptr_t)exception.values != thread->area.payload) {
        memcpy((void *)(uintptr_t)thread->area.payload, exception.values,
               signature_type(exception.tag->signature)->parameter_count * sizeof(exception.values[0]));
    }
    if (place.instance != instance) {
        platform_set_gs((uintptr_t)place.instance->gs_base);
    }
    leave_kernel_stack(thread);
    resume(place.registers, place.rsp, (const void *)thread->area.payload, exception.reference,
           (uintptr_t)place.code->text + clause->pad);
    __builtin_unreachable();
}

__attribute__((used)) _Noreturn static void exception_throw(struct instance *instance, uint32_t tag,
                                                            const struct callee_saved *saved)
{
    const struct thread *thread = thread_current();
    throw(instance, (struct thrown){.tag = instance->tags[tag], .values = (const uint64_t (*)[2])thread->area.payload},
          saved);
}

__attribute__((used)) _Noreturn static void exception_throw_reference(struct instance *instance, uint32_t reference,
                                                                      const struct callee_saved *saved)
{
    struct thrown exception = {.reference = reference};
    if (!reference) {
        instance_trap(instance, TRAP_NULL_EXCEPTION, NULL);
    }
    exception.values = exception_heap_values(instance->process, reference, &exception.tag);
    throw(instance, exception, saved);
}

/* ---- Tags ---- */

enum status tag_object_create(struct process *process, uint32_t signature, struct tag_object **result)
{
    *result = arena_allocate(&process->arena, sizeof(**result));
    if (!*result) {
        return STATUS_NO_MEMORY;
    }
    (*result)->signature = signature;
    return STATUS_OK;
}
