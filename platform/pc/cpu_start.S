/* First code of a further CPU: copied to a page below 1 MiB, where a start-up interrupt begins in real mode (CS = page /
 * 16, IP = 0). It goes to long mode in one step, by tables that show this page at its own address, read-only, beside the
 * kernel's half. What it needs lies behind it; smp.c fills that in. */
#include "platform/pc/layout.h"

#define HERE(symbol) ((symbol) - cpu_start_code)

    .section .rodata
    .code16
    .balign 16
    .globl cpu_start_code, cpu_start_parameters, cpu_start_end
cpu_start_code:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl HERE(gdt_pointer)
    movl HERE(tables), %eax
    movl %eax, %cr3
    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx /* EFER: LME, NXE */
    xorl %edx, %edx
    movl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax /* PG, WP, NE, ET, MP, PE; caches on */
    movl %eax, %cr0
    ljmpl *HERE(long_mode)

    .code64
enter_long_mode:
    movw $SELECTOR_DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movq stack(%rip), %rsp
    movq record(%rip), %rdi
    movq entry(%rip), %rax
    xorl %ebp, %ebp
    pushq %rbp /* entered as if by a call */
    jmpq *%rax

    .balign 8
cpu_start_parameters: /* struct start_parameters of smp.c */
gdt_pointer:
    .short 23
    .long 0 /* address of the GDT */
    .short 0
long_mode:
    .long HERE(enter_long_mode) /* plus the address of the page */
    .short SELECTOR_CODE, 0
tables:
    .quad 0
stack:
    .quad 0
record:
    .quad 0
entry:
    .quad 0
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
cpu_start_end:
