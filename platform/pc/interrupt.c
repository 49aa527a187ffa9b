/* Interrupts and exceptions, after interrupt.S has saved the registers. */
#include "engine/base.h"
#include "platform/pc/apic.h"
#include "platform/pc/clock.h"
#include "platform/pc/console.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/paging.h"
#include "platform/pc/panic.h"
#include "platform/pc/power.h"

enum { VECTOR_DIVIDE = 0, VECTOR_NMI = 2, VECTOR_INVALID_OPCODE = 6, VECTOR_DOUBLE_FAULT = 8, VECTOR_PAGE_FAULT = 14 };
#define EXCEPTION_VECTORS 32

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
static struct gate gates[VECTOR_FIRST + VECTOR_COUNT];

#define GATE_INTERRUPT 0x8e /* present; interrupts off on entry */
#define ENTRY_BYTES    16   /* of the entries in interrupt.S */
extern uint8_t exception_entries[], interrupt_entries[];

static void set_gate(uint32_t vector, const uint8_t *entry, uint8_t stack)
{
    uint64_t offset = (uint64_t)entry;
    gates[vector] = (struct gate){
        .offset_low = (uint16_t)offset,
        .selector = SELECTOR_CODE,
        .stack = stack,
        .type = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

void interrupt_initialize(void)
{
    for (uint32_t i = 0; i < EXCEPTION_VECTORS; i++)
        set_gate(i, exception_entries + i * ENTRY_BYTES, STACK_EXCEPTION);
    gates[VECTOR_NMI].stack = STACK_NMI;
    gates[VECTOR_DOUBLE_FAULT].stack = STACK_DOUBLE_FAULT;
    for (uint32_t i = 0; i < VECTOR_COUNT; i++)
        set_gate(VECTOR_FIRST + i, interrupt_entries + i * ENTRY_BYTES, STACK_INTERRUPT);
}

void interrupt_load(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof gates - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" ::"m"(pointer));
}

/* While the kernel looks at an exception it may touch memory of its own for the first time, and that exception must not
 * land on the same stack: the stack's start moves below what is in use. */
#define NESTED_BYTES 0x2000

static bool ask_kernel(struct interrupt_frame *frame, enum exception exception, uint64_t address)
{
    uint64_t *stack = &pc_cpu()->task.interrupt_stacks[STACK_EXCEPTION - 1], before = *stack;
    if ((uint64_t)frame < before && before - (uint64_t)frame < NESTED_BYTES) /* else: another stack, or too deep */
        *stack = before - NESTED_BYTES;
    bool resume = kernel_exception(&frame->state, exception, address);
    *stack = before;
    return resume;
}

static void page_fault(struct interrupt_frame *frame)
{
    uint64_t address = read_cr2();
    enum fault_result result = paging_fault(address, frame->error);
    if (result == FAULT_RESOLVED)
        return;
    /* The kernel knows what it committed, so it can tell a wild access from a page for which there was no frame. */
    if (!ask_kernel(frame, EXCEPTION_PAGE_FAULT, address))
        panic_exception(frame, address, result == FAULT_OUT_OF_MEMORY ? "out of memory in kernel code" : NULL);
}

static void exception(struct interrupt_frame *frame)
{
    enum exception kind = frame->vector == VECTOR_DIVIDE           ? EXCEPTION_DIVIDE
                          : frame->vector == VECTOR_INVALID_OPCODE ? EXCEPTION_INVALID_OPCODE
                                                                   : EXCEPTION_OTHER;
    if (frame->vector == VECTOR_NMI)
        power_stop_if_asked();
    if (frame->vector == VECTOR_NMI || frame->vector == VECTOR_DOUBLE_FAULT || !ask_kernel(frame, kind, 0))
        panic_exception(frame, 0, NULL);
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
    if (frame->vector == VECTOR_PAGE_FAULT) {
        page_fault(frame);
        return;
    }
    if (frame->vector < EXCEPTION_VECTORS) {
        exception(frame);
        return;
    }
    tlb_idle_end();
    if (frame->vector != VECTOR_TLB) /* which is none of the kernel's business */
        pc_cpu()->woken = true;
    switch (frame->vector) {
    case VECTOR_TIMER:
        apic_acknowledge();
        clock_timer_interrupt(&frame->state);
        break;
    case VECTOR_SERIAL:
        apic_acknowledge();
        console_interrupt(&frame->state);
        break;
    case VECTOR_TLB:
        apic_acknowledge();
        tlb_serve();
        break;
    case VECTOR_WAKE:
        apic_acknowledge();
        kernel_cpu_interrupt(&frame->state);
        break;
    }
}
