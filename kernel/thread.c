/* Threads: their stacks, changing from one to another, and the way back into wasm code that an interrupt left. */
#include "kernel/thread.h"

#include "engine/base.h"
#include "engine/x64/enter.h"
#include "kernel/channel.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/port.h"
#include "kernel/process_lock.h"
#include "kernel/stack.h"
#include "kernel/system.h"
#include "kernel/trace.h"

#define EXTENDED_STATE_ALIGNMENT 64

static struct cpu boot_cpu;
static uint32_t last_id; /* of a thread; atomic */

static void thread_initialize(struct thread *thread)
{
    spinlock_initialize(&thread->lock, LOCK_THREAD);
    thread->affinity = UINT64_MAX;
    thread->priority = PRIORITY_NORMAL;
    thread->own_priority = PRIORITY_NORMAL;
}

void cpu_initialize(void)
{
    if (platform_cpu()) {
        return;
    }
    struct thread *boot = &boot_cpu.boot_thread;
    boot_cpu.current = boot;
    boot_cpu.run_start = platform_monotonic_nanoseconds();
    scheduler_initialize_cpu(&boot_cpu, 0);
    thread_initialize(boot);
    boot->cpu = &boot_cpu;
    boot->affinity = 1; /* its stack is the platform's */
    sanitizer_fiber_adopt(&boot->fiber);
    platform_set_cpu(&boot_cpu);
    host_calls_initialize();
    thread_interruption_initialize();
    system_note_start();
    scheduler_start_idle_thread();
}

/* ---- Stacks ---- */

static size_t extended_state_bytes(void)
{
    return platform_xsave_bytes() + EXTENDED_STATE_ALIGNMENT;
}

enum status thread_prepare(struct thread *thread, struct process *process, struct place *place)
{
    if (thread->wasm_stack) {
        return STATUS_OK;
    }
    bool own = thread->process == process && place_take_stack(place);
    struct place *stack = own ? place : place_take(place ? place->pool : NULL, &(struct place_shape){.stack = true});
    if (!stack) {
        return STATUS_NO_MEMORY;
    }
    /* Zeroed: xrstor wants the reserved part of the area's header to be 0. */
    thread->extended_state = place_spare(stack, platform_xsave_bytes());
    if (!thread->extended_state) {
        thread->extended_state_block = kernel_allocate_zeroed(extended_state_bytes());
        thread->extended_state = (void *)align_up((uintptr_t)thread->extended_state_block, EXTENDED_STATE_ALIGNMENT);
    }
    if (!thread->extended_state) {
        place_leave_stack(stack);
        return STATUS_NO_MEMORY;
    }
    thread->wasm_stack = stack;
    thread->area.stack_limit = (uintptr_t)stack->stack;
    thread->area.stack_base = (uintptr_t)stack->stack_end;
    thread->area.payload = (uintptr_t)stack->stack_end;
    return STATUS_OK;
}

bool thread_stack_contains(const struct thread *thread, uint64_t address)
{
    uint64_t bytes = thread->area.stack_base + PAYLOAD_BYTES - thread->area.stack_limit;
    return thread->wasm_stack && address - thread->area.stack_limit < bytes;
}

void thread_destroy(struct thread *thread)
{
    if (thread->held_message) {
        message_destroy(thread->held_message);
    }
    if (thread->wasm_stack) {
        kernel_free(thread->extended_state_block, extended_state_bytes());
        place_leave_stack(thread->wasm_stack);
    }
    kernel_free(thread->scratch, thread->scratch_bytes);
    kernel_stack_give(thread->kernel_stack);
    sanitizer_fiber_end(&thread->fiber);
    kernel_free(thread, sizeof(*thread));
}

void *thread_scratch(size_t bytes)
{
    struct thread *thread = thread_current();
    if (thread->scratch_bytes < bytes) {
        kernel_free(thread->scratch, thread->scratch_bytes);
        thread->scratch = kernel_allocate(bytes);
        thread->scratch_bytes = thread->scratch ? bytes : 0;
    }
    return thread->scratch;
}

/* ---- Threads of the kernel ---- */

_Noreturn static void thread_begin(void)
{
    scheduler_switched();
    struct thread *thread = thread_current();
    thread->entry(thread->argument);
    TRACE(THREAD_END, thread->id, 0);
    sleep_forget_timer(thread);
    scheduler_block(THREAD_ENDING);
    __builtin_unreachable();
}

struct thread *thread_create(void (*entry)(void *argument), void *argument)
{
    struct thread *thread = kernel_allocate_zeroed(sizeof(*thread));
    uint8_t *stack = thread ? kernel_stack_take() : NULL;
    if (!stack) {
        kernel_free(thread, sizeof(*thread));
        return NULL;
    }
    thread_initialize(thread);
    thread->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    thread->kernel_stack = stack;
    thread->entry = entry;
    thread->argument = argument;
    /* As thread_switch_stack leaves it; at the entry of a C function rsp is 8 below a multiple of 16. */
    uint64_t *top = (uint64_t *)(stack + platform_kernel_stack_bytes()) - 1;
    *--top = (uintptr_t)thread_begin;
    thread->saved_rsp = (uintptr_t)top;
    return thread;
}

static void start(struct thread *thread, uint64_t cpus)
{
    thread->affinity = cpus;
    thread->cpu = platform_cpu();
    TRACE(THREAD_START, thread->id, 0);
    scheduler_make_ready(thread);
}

enum status thread_start_on(uint64_t cpus, struct process *member, void (*entry)(void *argument), void *argument,
                            struct thread **result)
{
    struct thread *thread = thread_create(entry, argument);
    if (!thread) {
        return STATUS_NO_MEMORY;
    }
    thread->member = member;
    *result = thread; /* before it runs, maybe elsewhere */
    start(thread, cpus);
    return STATUS_OK;
}

enum status thread_start_detached(void (*entry)(void *argument), void *argument)
{
    struct thread *thread = thread_create(entry, argument);
    if (!thread) {
        return STATUS_NO_MEMORY;
    }
    thread->detached = true;
    start(thread, UINT64_MAX);
    return STATUS_OK;
}

enum status thread_start(void (*entry)(void *argument), void *argument, struct thread **result)
{
    return thread_start_on(UINT64_MAX, NULL, entry, argument, result);
}

void thread_died(struct thread *thread)
{
    spinlock_acquire(&thread->lock);
    __atomic_store_n(&thread->state, THREAD_DEAD, __ATOMIC_RELEASE);
    if (thread->joiner) {
        thread_wake(thread->joiner);
    }
    bool detached = thread->detached;
    spinlock_release(&thread->lock);
    if (detached) {
        thread_destroy(thread);
    }
}

/* ---- Waiting for what other parts do not have ---- */

void thread_checkpoint(void)
{
    if (__atomic_load_n(&thread_current()->area.pending, __ATOMIC_RELAXED) & PENDING_NOTE) {
        scheduler_handle_pending(GUEST_IN_HOST);
    }
}

/* How long a thread waits that cannot pass on yet that it is to end. */
#define PASS_ON_NANOSECONDS UINT64_C(1000000)

void thread_join(struct thread *joined)
{
    struct thread *thread = thread_current();
    bool passed_on = false;
    for (;;) {
        thread_wait_begin();
        bool ends = !passed_on && thread_end_is_due(thread);
        spinlock_acquire(&joined->lock);
        bool dead = __atomic_load_n(&joined->state, __ATOMIC_RELAXED) == THREAD_DEAD;
        joined->joiner = thread;
        if (!dead && ends && joined->process) {
            process_request_end(joined->process, thread_end_trap(thread));
            passed_on = true;
        }
        spinlock_release(&joined->lock);
        if (dead) {
            thread_wait_cancel();
            break;
        }
        if (passed_on || ends) {
            sleep_finish_always(passed_on ? UINT64_MAX : platform_monotonic_nanoseconds() + PASS_ON_NANOSECONDS);
        } else {
            thread_wait_finish(UINT64_MAX);
        }
    }
    if (passed_on) { /* its own guest ends when this host call returns */
        __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
    }
    thread_destroy(joined);
}

/* ---- The end of a guest ---- */

bool thread_end_is_due(const struct thread *thread)
{
    const struct process *process = thread->process;
    return process && (process_end_request(process) || (thread_end_request(thread) && !thread->ends_later) ||
                       (process->deadline != UINT64_MAX && platform_monotonic_nanoseconds() >= process->deadline));
}

enum trap thread_end_trap(const struct thread *thread)
{
    enum trap trap = process_end_request(thread->process);
    trap = trap ? trap : thread_end_request(thread);
    return trap ? trap : TRAP_TIMEOUT;
}

void thread_end_later(bool later)
{
    struct thread *thread = thread_current();
    thread->ends_later = later;
    if (!later && thread_end_request(thread)) {
        __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
    }
}

void thread_interrupt(struct thread *thread)
{
    __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_SEQ_CST);
    const struct cpu *cpu = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
    if (cpu != platform_cpu()) {
        platform_interrupt_cpu(cpu->number);
    }
}

void thread_notice(struct thread *thread)
{
    __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&thread->wait_ends, __ATOMIC_RELAXED) || !sleep_end(thread, WAIT_OVER_END)) {
        thread_interrupt(thread);
    }
}

void thread_end_if_asked(void)
{
    thread_end_if_due(GUEST_IN_HOST);
}

void thread_end_if_due(enum guest_position position)
{
    const struct thread *thread = thread_current();
    if (thread->activation && thread_end_is_due(thread)) {
        thread_end_guest(thread_end_trap(thread), NULL, position);
    }
}

/* ---- Whose thread it is ---- */

static void process_list_change(struct thread *thread, struct process *process)
{
    spinlock_acquire(&process->threads_lock);
    if (thread->process == process) {
        *(thread->process_previous ? &thread->process_previous->process_next : &process->running) =
            thread->process_next;
        if (thread->process_next) {
            thread->process_next->process_previous = thread->process_previous;
        }
        statistics_thread_left(process, thread);
    } else {
        thread->process_previous = NULL;
        thread->process_next = process->running;
        if (process->running) {
            process->running->process_previous = thread;
        }
        process->running = thread;
    }
    spinlock_release(&process->threads_lock);
}

void thread_set_process(struct thread *thread, struct process *process)
{
    struct process *old = thread->process;
    bool running = thread == thread_current();
    if (old == process) {
        return;
    }
    uint64_t time = running ? scheduler_leave_share() : 0;
    spinlock_acquire(&thread->lock);
    if (old) {
        scheduler_count_runnable(thread, false);
        process_list_change(thread, old);
    }
    thread->process = NULL;
    if (process) {
        process_list_change(thread, process);
    }
    thread->process = process;
    scheduler_count_runnable(thread, running);
    spinlock_release(&thread->lock);
    if (running) {
        scheduler_enter_share(time);
    }
}
