/* Interrupt and exception entry, and the stub that sets GS on CPUs without FSGSBASE.
 *
 * Every vector arrives on a stack of its class (IST), so compiled code needs no room below rsp. What is built there is
 * struct interrupt_frame (interrupt.h): the registers in the order of struct machine_state, vector, error code, and what
 * the CPU pushed. C may edit state.registers, state.rip and state.rflags. */
#include "platform/pc/layout.h"

    .text
    .macro interrupt_entry vector, has_error
    .balign 16
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\vector
    jmp interrupt_common
    .endm

    .balign 16
    .globl exception_entries
exception_entries: /* 16 bytes for each of the vectors 0 to 31 */
    .set vector, 0
    .rept 32
    .if (vector == 8) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30) || \
        (vector >= 10 && vector <= 14)
    interrupt_entry vector, 1
    .else
    interrupt_entry vector, 0
    .endif
    .set vector, vector + 1
    .endr

    .balign 16
    .globl interrupt_entries
interrupt_entries: /* and for VECTOR_FIRST (cpu.h) and those behind it */
    .set vector, 0x40
    .rept 5
    interrupt_entry vector, 0
    .set vector, vector + 1
    .endr

    .balign 16
interrupt_common:
    /* rsp: vector, error, rip, cs, rflags, rsp, ss */
    pushq 32(%rsp) /* rflags */
    pushq 24(%rsp) /* rip */
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rbp
    pushq 144(%rsp) /* rsp: 11 pushed here, rip, rflags, vector, error, rip, cs, rflags below it */
    pushq %rbx
    pushq %rdx
    pushq %rcx
    pushq %rax
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    andq $-16, %rsp
    call interrupt_dispatch
    movq %rbx, %rsp
    popq %rax
    popq %rcx
    popq %rdx
    popq %rbx
    popq 144(%rsp) /* the address is computed after the pop */
    popq %rbp
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    popq %r12
    popq %r13
    popq %r14
    popq %r15
    popq 24(%rsp)  /* rip */
    popq 32(%rsp)  /* rflags */
    addq $16, %rsp
    iretq

/* GS base = r11; changes r11 and flags only. An interrupt in here hits kernel code, so no other thread uses the scratch
 * words in between; nothing is pushed, because the wasm stack may be at its end. */
    .balign 16
    .globl gs_stub_msr, gs_stub_fsgsbase
gs_stub_msr:
    movq %rax, %fs:PC_CPU_SCRATCH
    movq %rcx, %fs:PC_CPU_SCRATCH + 8
    movq %rdx, %fs:PC_CPU_SCRATCH + 16
    movl $0xc0000101, %ecx
    movl %r11d, %eax
    movq %r11, %rdx
    shrq $32, %rdx
    wrmsr
    movq %fs:PC_CPU_SCRATCH, %rax
    movq %fs:PC_CPU_SCRATCH + 8, %rcx
    movq %fs:PC_CPU_SCRATCH + 16, %rdx
    ret

    .balign 16
gs_stub_fsgsbase:
    wrgsbase %r11
    ret
