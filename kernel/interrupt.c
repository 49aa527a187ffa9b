/* What interrupts do: nothing but leave a note, or, when they came in wasm code, make it go on in kernel code. Here is
 * also the way back: an assembly entry that keeps the extended state, lets C decide, and continues the wasm code at the
 * instruction where it was. */
#include "engine/base.h"
#include "engine/compile.h"
#include "kernel/cpu.h"
#include "kernel/gc.h"
#include "kernel/guest_copy.h"
#include "kernel/instance_parts.h"
#include "kernel/profile_hooks.h"
#include "kernel/sanitizer.h"
#include "kernel/stack.h"
#include "kernel/trace.h"
#include "kernel/shared_memory.h"

#define RFLAGS_DIRECTION UINT64_C(0x400)

#define STATE(register_number) offsetof(struct thread, interrupted.registers[register_number])

__attribute__((used)) static uint64_t extended_state_mask;

void thread_interruption_initialize(void)
{
    extended_state_mask = platform_xsave_mask();
}

/* On the kernel stack of the running thread (rsp = kernel_rsp), GS and extended state as the wasm code had them, its
 * general registers in thread.interrupted. Kernel and wasm code run at the same privilege, so iretq goes back with the
 * selectors that are there now. */
__attribute__((naked, used)) static void preemption_entry(void)
{
    __asm__("movq %%gs:%c[thread], %%rbx\n"
            "movq %c[extended_state](%%rbx), %%rdi\n"
            "movl extended_state_mask(%%rip), %%eax\n"
            "movl 4+extended_state_mask(%%rip), %%edx\n"
            "testl %%eax, %%eax\n" /* no XSAVE on this CPU: its state is what FXSAVE knows */
            "jz 1f\n"
            "xsave64 (%%rdi)\n"
            "jmp 2f\n"
            "1: fxsave64 (%%rdi)\n"
            "2:\n"
            "callq thread_pending_interrupted\n"
            "movq %c[extended_state](%%rbx), %%rdi\n"
            "movl extended_state_mask(%%rip), %%eax\n"
            "movl 4+extended_state_mask(%%rip), %%edx\n"
            "testl %%eax, %%eax\n"
            "jz 1f\n"
            "xrstor64 (%%rdi)\n"
            "jmp 2f\n"
            "1: fxrstor64 (%%rdi)\n"
            "2:\n"
            "movl %%ss, %%eax\n"
            "pushq %%rax\n"
            "pushq %c[rsp](%%rbx)\n"
            "pushq %c[rflags](%%rbx)\n"
            "movl %%cs, %%eax\n"
            "pushq %%rax\n"
            "pushq %c[rip](%%rbx)\n"
            "movq %c[rax](%%rbx), %%rax\n movq %c[rcx](%%rbx), %%rcx\n movq %c[rdx](%%rbx), %%rdx\n"
            "movq %c[rbp](%%rbx), %%rbp\n movq %c[rsi](%%rbx), %%rsi\n movq %c[rdi](%%rbx), %%rdi\n"
            "movq %c[r8](%%rbx), %%r8\n movq %c[r9](%%rbx), %%r9\n movq %c[r10](%%rbx), %%r10\n"
            "movq %c[r11](%%rbx), %%r11\n movq %c[r12](%%rbx), %%r12\n movq %c[r13](%%rbx), %%r13\n"
            "movq %c[r14](%%rbx), %%r14\n movq %c[r15](%%rbx), %%r15\n movq %c[rbx](%%rbx), %%rbx\n"
            "iretq\n"
            :
            : [thread] "i"(HEADER_OFFSET(thread)), [extended_state] "i"(offsetof(struct thread, extended_state)),
              [rip] "i"(offsetof(struct thread, interrupted.rip)),
              [rflags] "i"(offsetof(struct thread, interrupted.rflags)), [rax] "i"(STATE(RAX)), [rcx] "i"(STATE(RCX)),
              [rdx] "i"(STATE(RDX)), [rbx] "i"(STATE(RBX)), [rsp] "i"(STATE(RSP)), [rbp] "i"(STATE(RBP)),
              [rsi] "i"(STATE(RSI)), [rdi] "i"(STATE(RDI)), [r8] "i"(STATE(R8)), [r9] "i"(STATE(R9)),
              [r10] "i"(STATE(R10)), [r11] "i"(STATE(R11)), [r12] "i"(STATE(R12)), [r13] "i"(STATE(R13)),
              [r14] "i"(STATE(R14)), [r15] "i"(STATE(R15)));
}

/* Continue at `entry` on the thread's kernel stack, `used` bytes below the innermost wasm_enter's record. */
SANITIZER_AT_INTERRUPT static void redirect(struct machine_state *state, struct thread *thread, void (*entry)(void), uint64_t used)
{
    thread->interrupted = *state;
    state->rip = (uintptr_t)entry;
    state->registers[RSP] = thread->area.kernel_rsp - used;
    state->rflags &= ~RFLAGS_DIRECTION;
}

/* Let the running thread handle what is pending, now or when it is about to leave the kernel. */
SANITIZER_AT_INTERRUPT static void interrupt(struct machine_state *state, struct cpu *cpu)
{
    struct thread *thread = cpu->current;
    cpu->noted = true;
    __atomic_or_fetch(&thread->area.pending, PENDING_NOTE, __ATOMIC_RELAXED);
    if (text_find(state->rip)) {
        redirect(state, thread, preemption_entry, 0);
    } else if (!cpu->idle) {
        uint64_t again = platform_monotonic_nanoseconds() + TIMER_RETRY_NANOSECONDS;
        if (again < cpu->timer_armed) {
            cpu->timer_armed = again;
            platform_timer_arm(again);
        }
    }
}

SANITIZER_AT_INTERRUPT void kernel_timer_interrupt(struct machine_state *state)
{
    struct cpu *cpu = platform_cpu();
    if (cpu) {
        cpu->timer_armed = UINT64_MAX;
        profile_interrupt(cpu, state);
        TRACE(TIMER, text_find(state->rip) != NULL, 0);
        interrupt(state, cpu);
    }
}

SANITIZER_AT_INTERRUPT void kernel_cpu_interrupt(struct machine_state *state)
{
    struct cpu *cpu = platform_cpu();
    if (cpu) {
        interrupt(state, cpu);
    }
}

SANITIZER_AT_INTERRUPT void kernel_interrupt_request(struct machine_state *state)
{
    scheduler_note_interrupt_request();
    kernel_cpu_interrupt(state);
}

/* ---- Exceptions ---- */

_Noreturn static void trap_entry(void)
{
    struct thread *thread = thread_current();
    thread_end_guest(thread->trap, thread->trap_detail, thread->trap_position);
}

/* What a page fault means for the guest that runs; TRAP_NONE when the address is nothing of a guest's. */
static enum trap page_fault_trap(const struct thread *thread, uint64_t address)
{
    if (address - (thread->area.stack_limit - ABI_STACK_GUARD_BYTES) < ABI_STACK_GUARD_BYTES) {
        return TRAP_STACK_OVERFLOW;
    }
    /* Committed, but the platform had no frame. The collector reads the stacks of all threads. */
    if (thread_stack_contains(thread, address) || process_stack_contains(thread->process, address)) {
        return TRAP_OUT_OF_MEMORY;
    }
    uint64_t heap = thread->process->heap ? gc_heap_base(thread->process) : 0;
    if (address - heap < HEAP_NULL_BYTES) { /* the place of the null reference */
        return address - heap == OBJECT_LENGTH_OFFSET ? TRAP_NULL_ARRAY : TRAP_NULL_STRUCTURE;
    }
    if (gc_heap_contains(thread->process, address)) {
        return TRAP_OUT_OF_MEMORY;
    }
    for (const struct memory_object *memory = thread->process->memories; memory; memory = memory->next) {
        bool committed;
        if (memory_object_contains(memory, address, &committed)) {
            return mapping_contains(thread->process, address) ? TRAP_MAPPING
                   : committed ? TRAP_OUT_OF_MEMORY : TRAP_MEMORY_OUT_OF_BOUNDS;
        }
    }
    for (const struct table_object *table = thread->process->tables; table; table = table->next) {
        if (address - (uintptr_t)table->reservation < table->committed_bytes) {
            return TRAP_OUT_OF_MEMORY;
        }
    }
    return TRAP_NONE;
}

bool kernel_exception(struct machine_state *state, enum exception exception, uint64_t address)
{
    struct cpu *cpu = platform_cpu();
    struct thread *thread = cpu ? cpu->current : NULL;
    if (exception == EXCEPTION_PAGE_FAULT && guest_copy_faulted(state, address)) {
        return true;
    }
    if (!thread || !thread->activation) {
        return false;
    }
    bool in_wasm = text_find(state->rip) != NULL;
    enum trap trap = TRAP_NONE;
    if (exception == EXCEPTION_PAGE_FAULT) {
        trap = page_fault_trap(thread, address);
        /* Kernel code looks before it touches guest memory; only a frame can be missing then, or a mapping refuses it.
         * wasm_enter may run out of wasm stack. */
        if (!in_wasm && trap != TRAP_OUT_OF_MEMORY && trap != TRAP_STACK_OVERFLOW && trap != TRAP_MAPPING) {
            return false;
        }
    } else if (in_wasm && exception != EXCEPTION_OTHER) {
        trap = code_trap_at((const uint8_t *)state->rip, state->registers);
    }
    thread->trap_detail = NULL;
    if (trap == TRAP_NONE) {
        if (!in_wasm) {
            return false;
        }
        /* Compiled code that does what it should not: it ends its own process, whatever it was. */
        trap = exception == EXCEPTION_INVALID_OPCODE ? TRAP_UNREACHABLE : TRAP_MEMORY_OUT_OF_BOUNDS;
        thread->trap_detail = "unexpected fault in compiled code";
    }
    uint64_t left = thread->area.kernel_rsp - state->registers[RSP]; /* of frames */
    if (!in_wasm && left < platform_kernel_stack_bytes()) {
        SANITIZER_ALLOW((void *)state->registers[RSP], left);
    }
    thread->trap = trap;
    thread->trap_position = in_wasm ? GUEST_INTERRUPTED : GUEST_IN_HOST;
    redirect(state, thread, trap_entry, 8); /* as after a call: rsp is 8 below a multiple of 16 */
    return true;
}
