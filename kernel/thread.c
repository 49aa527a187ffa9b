/* Threads: their stacks, changing from one to another, and the way back into wasm code that an interrupt left. */
#include "kernel/thread.h"

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/sanitizer.h"
#include "kernel/system.h"

#define EXTENDED_STATE_ALIGNMENT 64

static struct cpu boot_cpu;

void cpu_initialize(void)
{
    if (platform_cpu()) {
        return;
    }
    boot_cpu.current = &boot_cpu.boot_thread;
    boot_cpu.boot_thread.wait_stream = STREAM_COUNT;
    boot_cpu.boot_thread.wait_deadline = UINT64_MAX;
    boot_cpu.timer_armed = UINT64_MAX;
    boot_cpu.profile_next = UINT64_MAX;
    platform_set_cpu(&boot_cpu);
    host_calls_initialize();
    thread_interruption_initialize();
    system_note_start();
}

/* ---- Stacks ---- */

/* With what exceptions need, above the stack. */
#define WASM_STACK_RESERVED   (ABI_STACK_GUARD_BYTES + WASM_STACK_BYTES + PAYLOAD_BYTES)
#define KERNEL_STACK_RESERVED (KERNEL_STACK_BYTES + PLATFORM_PAGE_BYTES)

/* A new reservation (or NULL) becomes a stack whose lowest bytes stay inaccessible. */
static void *stack_create(uint8_t *stack, size_t reserved, size_t guard)
{
    if (stack && platform_commit(stack + guard, reserved - guard, PROTECTION_READ_WRITE) != STATUS_OK) {
        platform_release(stack, reserved);
        return NULL;
    }
    return stack;
}

static size_t extended_state_bytes(void)
{
    return platform_xsave_bytes() + EXTENDED_STATE_ALIGNMENT;
}

enum status thread_prepare(struct thread *thread)
{
    if (thread->wasm_stack) {
        return STATUS_OK;
    }
    /* Zeroed: xrstor wants the reserved part of the area's header to be 0. */
    void *block = kernel_allocate_zeroed(extended_state_bytes());
    uint8_t *stack =
        stack_create(platform_reserve_for_guest(WASM_STACK_RESERVED), WASM_STACK_RESERVED, ABI_STACK_GUARD_BYTES);
    if (!block || !stack) {
        kernel_free(block, extended_state_bytes());
        if (stack) {
            platform_release(stack, WASM_STACK_RESERVED);
        }
        return STATUS_NO_MEMORY;
    }
    thread->extended_state_block = block;
    thread->extended_state = (void *)align_up((uintptr_t)block, EXTENDED_STATE_ALIGNMENT);
    thread->wasm_stack = stack;
    thread->area.stack_limit = (uintptr_t)stack + ABI_STACK_GUARD_BYTES;
    thread->area.stack_base = (uintptr_t)stack + ABI_STACK_GUARD_BYTES + WASM_STACK_BYTES;
    thread->area.payload = thread->area.stack_base;
    return STATUS_OK;
}

static void thread_destroy(struct thread *thread)
{
    if (thread->wasm_stack) {
        kernel_free(thread->extended_state_block, extended_state_bytes());
        platform_release(thread->wasm_stack, WASM_STACK_RESERVED);
    }
    SANITIZER_ALLOW((uint8_t *)thread->kernel_stack + PLATFORM_PAGE_BYTES, KERNEL_STACK_BYTES);
    platform_release(thread->kernel_stack, KERNEL_STACK_RESERVED);
    kernel_free(thread, sizeof(*thread));
}

/* ---- Changing threads ---- */

/* Keep the callee-saved registers on this stack, its rsp in *save, and go on with what was kept on the other. */
__attribute__((naked)) static void switch_stack(__attribute__((unused)) uint64_t *save,
                                                __attribute__((unused)) uint64_t load)
{
    __asm__("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
            "movq %rsp, (%rdi)\n"
            "movq %rsi, %rsp\n"
            "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n"
            "retq\n");
}
#define SWITCH_STACK_WORDS 7 /* six registers and the return address */

void thread_switch_to(struct thread *next)
{
    struct cpu *cpu = platform_cpu();
    struct thread *previous = cpu->current;
    previous->saved_gs_base = previous->activation ? running_gs_base() : 0;
    next->state = THREAD_RUNNING;
    cpu->current = next;
    if (next->saved_gs_base) {
        platform_set_gs(next->saved_gs_base);
    }
    switch_stack(&previous->saved_rsp, next->saved_rsp);
}

_Noreturn static void thread_begin(void)
{
    struct thread *thread = thread_current();
    scheduler_arm_timer();
    thread->entry(thread->argument);
    thread->state = THREAD_DEAD;
    schedule();
    __builtin_unreachable();
}

enum status thread_start(void (*entry)(void *argument), void *argument, struct thread **result)
{
    struct thread *thread = kernel_allocate_zeroed(sizeof(*thread));
    void *reservation = thread ? platform_reserve(KERNEL_STACK_RESERVED) : NULL;
    uint8_t *stack = stack_create(reservation, KERNEL_STACK_RESERVED, PLATFORM_PAGE_BYTES);
    if (!stack) {
        kernel_free(thread, sizeof(*thread));
        return STATUS_NO_MEMORY;
    }
    thread->kernel_stack = stack;
    thread->entry = entry;
    thread->argument = argument;
    thread->wait_stream = STREAM_COUNT;
    thread->wait_deadline = UINT64_MAX;
    /* As switch_stack leaves it; at the entry of a C function rsp is 8 below a multiple of 16. */
    uint64_t *top = (uint64_t *)(stack + KERNEL_STACK_RESERVED) - 1;
    *--top = (uintptr_t)thread_begin;
    thread->saved_rsp = (uintptr_t)(top - (SWITCH_STACK_WORDS - 1));
    scheduler_make_ready(thread);
    scheduler_arm_timer(); /* it takes turns with this one */
    *result = thread;
    return STATUS_OK;
}

/* ---- Waiting ---- */

/* Wait for what is set in the thread; nothing is, afterwards. */
static void thread_wait(struct thread *thread)
{
    struct cpu *cpu = platform_cpu();
    thread->state = THREAD_WAITING;
    thread->next = cpu->waiting;
    cpu->waiting = thread;
    schedule();
    thread->wait_deadline = UINT64_MAX;
    thread->wait_stream = STREAM_COUNT;
    thread->wait_thread = NULL;
    futex_leave(thread);
}

/* The same for a guest: if it is to end, it does so here. */
static void guest_wait(struct thread *thread)
{
    thread->wait_ends = true;
    thread_wait(thread);
    thread_end_if_due(GUEST_IN_HOST);
}

void thread_yield(void)
{
    scheduler_make_ready(thread_current());
    schedule();
    thread_end_if_due(GUEST_IN_HOST);
}

void thread_sleep_until(uint64_t deadline)
{
    struct thread *thread = thread_current();
    thread->wait_deadline = deadline;
    guest_wait(thread);
}

bool thread_wait_stream(enum stream stream, uint64_t deadline)
{
    struct thread *thread = thread_current();
    if (!platform_stream_readable(stream)) {
        thread->wait_deadline = deadline;
        thread->wait_stream = stream;
        guest_wait(thread);
    }
    return platform_stream_readable(stream);
}

void thread_checkpoint(void)
{
    struct thread *thread = thread_current();
    if (thread->area.pending) {
        thread_pending_in_host_call();
    }
}

void thread_join(struct thread *joined)
{
    struct thread *thread = thread_current();
    bool passed_on = false;
    while (joined->state != THREAD_DEAD) {
        if (joined->process && !passed_on && thread_end_is_due(thread)) {
            process_request_end(joined->process, thread_end_trap(thread));
            passed_on = true;
        }
        thread->wait_thread = joined;
        thread->wait_ends = !passed_on;
        thread_wait(thread);
    }
    thread->area.pending |= passed_on; /* its own guest ends when this host call returns */
    thread_destroy(joined);
}

/* ---- The end of a guest ---- */

bool thread_end_is_due(const struct thread *thread)
{
    const struct process *process = thread->process;
    return process && (process->end_request ||
                       (process->deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= process->deadline));
}

enum trap thread_end_trap(const struct thread *thread)
{
    return thread->process->end_request ? thread->process->end_request : TRAP_TIMEOUT;
}

void thread_end_if_due(enum guest_position position)
{
    const struct thread *thread = thread_current();
    if (thread->activation && thread_end_is_due(thread)) {
        thread_end_guest(thread_end_trap(thread), NULL, position);
    }
}

void activation_begin(struct activation *activation, struct thread *thread, struct process *process)
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
    thread->process = process;
    if (process->deadline != UINT64_MAX || process->end_request) {
        thread->area.pending = process->end_request != TRAP_NONE;
        scheduler_arm_timer();
    }
}

void activation_end(struct activation *activation, struct thread *thread)
{
    if (activation->outer_gs_base) {
        platform_set_gs(activation->outer_gs_base);
    }
    thread->area.host_function = activation->outer_host_function;
    thread->process = activation->outer_process;
    thread->activation = activation->outer;
}
