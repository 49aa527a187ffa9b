/* From the loader to C: both entries arrive in 32-bit protected mode, flat, without paging, interrupts off. A first set
 * of page tables shows the lower 4 GiB of physical memory three times (at 0, in the direct map, at KERNEL_BASE as far as
 * it goes); paging.c replaces them. */
#include "platform/pc/layout.h"

#define PHYSICAL(symbol) ((symbol) - KERNEL_BASE)

#define ENTRY_PRESENT 0x01
#define ENTRY_WRITABLE 0x02
#define ENTRY_HUGE 0x80

/* ---- PVH: Xen's note that names a 32-bit physical entry (xen/include/public/elfnote.h) ---- */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18 /* sizes of name and content; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYSICAL(pvh_entry)

/* ---- Multiboot 2 header (specification 2.0, section 3.1) ---- */
    .section .multiboot2, "ax"
    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_header_end - multiboot2_header
    .long 0x100000000 - (0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    .balign 8
    .short 6, 0 /* modules are to be aligned to pages */
    .long 8
    .balign 8
    .short 0, 0
    .long 8
multiboot2_header_end:

    .section .text.boot, "ax"
    .code32
    .globl pvh_entry, multiboot2_entry
pvh_entry:
    movl $BOOT_PVH, %ebp
    jmp enter
multiboot2_entry:
    movl $BOOT_MULTIBOOT2, %ebp
enter:
    cld
    rdtsc
    movl %eax, PHYSICAL(entry_timestamp)
    movl %edx, PHYSICAL(entry_timestamp) + 4
    movl %ebx, %esi
    movl $PHYSICAL(boot_stack_top), %esp

    movl $0x80000000, %eax
    cpuid
    movl $0x80000001, %ecx
    cmpl %ecx, %eax
    jb no_long_mode
    movl %ecx, %eax
    cpuid
    andl $0x20100000, %edx /* long mode, execute-disable */
    cmpl $0x20100000, %edx
    jne no_long_mode

    /* boot_root -> boot_directories (for 0 and the direct map) and boot_kernel_directories -> the same 4 page
     * directories of 2 MiB pages. */
    movl $PHYSICAL(boot_pages), %edi
    movl $(ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_HUGE), %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b
    movl $PHYSICAL(boot_pages) + (ENTRY_PRESENT | ENTRY_WRITABLE), %eax
    movl %eax, PHYSICAL(boot_directories)
    movl %eax, PHYSICAL(boot_kernel_directories) + 8 * 510
    addl $0x1000, %eax
    movl %eax, PHYSICAL(boot_directories) + 8
    addl $0x1000, %eax
    movl %eax, PHYSICAL(boot_directories) + 16
    addl $0x1000, %eax
    movl %eax, PHYSICAL(boot_directories) + 24
    movl $PHYSICAL(boot_directories) + (ENTRY_PRESENT | ENTRY_WRITABLE), %eax
    movl %eax, PHYSICAL(boot_root)
    movl %eax, PHYSICAL(boot_root) + 8 * 256
    movl $PHYSICAL(boot_kernel_directories) + (ENTRY_PRESENT | ENTRY_WRITABLE), PHYSICAL(boot_root) + 8 * 511

    movl $PHYSICAL(boot_root), %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx /* EFER: LME, NXE */
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdtl PHYSICAL(boot_gdt_pointer)
    ljmpl $SELECTOR_CODE, $PHYSICAL(enter_long_mode)

no_long_mode:
    movl $PHYSICAL(no_long_mode_text), %esi
1:  lodsb
    testb %al, %al
    jz 3f
    movb %al, %bl
    movl $0x10000, %ecx
2:  movw $0x3fd, %dx /* COM1, line status: wait a while for an empty transmitter */
    inb %dx, %al
    testb $0x20, %al
    loopz 2b
    movw $0x3f8, %dx
    movb %bl, %al
    outb %al, %dx
    jmp 1b
3:  movw $0x604, %dx /* QEMU's power switch; elsewhere, stand still */
    movw $0x2000, %ax
    outw %ax, %dx
    cli
    hlt
    jmp 3b

    .code64
enter_long_mode:
    movabsq $enter_high, %rax
    jmpq *%rax
enter_high:
    movw $SELECTOR_DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movq $boot_stack_top, %rsp
    movl %ebp, %edi
    movl %esi, %esi
    movq entry_timestamp, %rdx
    call pc_start
    ud2

    .section .rodata
no_long_mode_text:
    .asciz "tessera: this CPU is too old: 64-bit mode with execute-disable is required\r\n"
    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .short boot_gdt_pointer - boot_gdt - 1
    .long PHYSICAL(boot_gdt)

    .section .data.boot, "aw"
    .balign 8
entry_timestamp:
    .quad 0

/* ---- Stacks of the boot CPU: the lowest page of each is its guard, which paging.c leaves unmapped ---- */
    .section .stacks, "aw", @nobits
    .balign 4096
    .globl boot_stacks, boot_stack_top, boot_stacks_end
boot_stacks:
    .skip 4096
    .skip BOOT_STACK_BYTES
boot_stack_top:
    .rept 4
    .skip 4096
    .skip INTERRUPT_STACK_BYTES
    .endr
boot_stacks_end:

    .section .boot_tables, "aw", @nobits
    .balign 4096
boot_root:
    .skip 4096
boot_directories:
    .skip 4096
boot_kernel_directories:
    .skip 4096
boot_pages:
    .skip 4 * 4096
