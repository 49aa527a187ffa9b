#include "platform/pc/panic.h"

#include "engine/base.h"
#include "platform/pc/console.h"
#include "platform/pc/instructions.h"
#include "platform/pc/paging.h"
#include "platform/pc/power.h"

static const char *const exception_names[] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no x87",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "exception 15",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD exception",
};
static const char *const register_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                             "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};

#define PANIC_STATUS       255
#define STACK_WORDS_LOOKED 512
#define RETURNS_SHOWN      24

extern uint8_t image_start[], image_rodata[];

/* Reads words only from pages that are there, as the stack may be what is broken. */
static void show_stack(uint64_t rsp)
{
    uint32_t shown = 0;
    if (rsp % 8 != 0)
        return;
    console_message("  possible callers:");
    for (uint32_t i = 0; i < STACK_WORDS_LOOKED && shown < RETURNS_SHOWN; i++, rsp += 8) {
        if ((i == 0 || rsp % FRAME_BYTES == 0) && !paging_is_readable(rsp))
            break;
        uint64_t word = *(const uint64_t *)rsp;
        if (word > (uint64_t)image_start && word < (uint64_t)image_rodata) {
            console_message(" %lx", (unsigned long)word);
            shown++;
        }
    }
    console_message("\n");
}

static _Noreturn void stop(void)
{
    kernel_panicked();
    console_finish(PANIC_STATUS, true);
    power_off_machine();
}

static void once(void)
{
    static bool panicking;
    power_stop_others();
    if (panicking)
        power_off_machine();
    panicking = true;
    console_panic();
}

_Noreturn void panic_exception(const struct interrupt_frame *frame, uint64_t address, const char *reason)
{
    once();
    const struct machine_state *state = &frame->state;
    if (!reason)
        reason = frame->vector < ARRAY_COUNT(exception_names) ? exception_names[frame->vector] : "exception";
    console_message("\npanic: %s at %lx, address %lx, error %lx\n", reason, (unsigned long)state->rip,
                    (unsigned long)address, (unsigned long)frame->error);
    for (uint32_t i = 0; i < ARRAY_COUNT(register_names); i++)
        console_message("  %s %016lx%s", register_names[i], (unsigned long)state->registers[i], i % 4 == 3 ? "\n" : "");
    console_message("  rflags %lx  cr2 %lx  cr3 %lx  gs %lx\n", (unsigned long)state->rflags, (unsigned long)read_cr2(),
                    (unsigned long)read_cr3(), (unsigned long)read_msr(MSR_GS_BASE));
    show_stack(state->registers[4]);
    stop();
}

_Noreturn void platform_panic(const char *message)
{
    once();
    console_message("\npanic: %s\n", message);
    show_stack((uint64_t)__builtin_frame_address(0) & ~UINT64_C(7));
    stop();
}
