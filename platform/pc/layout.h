/* Where things lie in the address space of the bare machine. Shared by C, assembly and kernel.ld (which repeats
 * KERNEL_BASE).
 *
 *     0000000000000000  never mapped: whoever follows a null pointer faults
 *     0000010000000000  reservations for guests, in units of 1 GiB (GUEST_ARENA)
 *     0000700000000000  other reservations of 1 GiB and more, in the same units (LARGE_ARENA)
 *     ffff800000000000  direct map: all RAM at its physical address plus this
 *     ffffc00000000000  reservations below 2 MiB, in units of a page (SMALL_ARENA)
 *     ffffc80000000000  reservations below 1 GiB, in units of 2 MiB (MIDDLE_ARENA)
 *     ffffe00000000000  device registers and firmware tables
 *     ffffffff80000000  the kernel image, at its physical address plus this */
#ifndef PLATFORM_PC_LAYOUT_H
#define PLATFORM_PC_LAYOUT_H

#ifdef __ASSEMBLER__
#define LAYOUT_ADDRESS(value) value
#else
#define LAYOUT_ADDRESS(value) UINT64_C(value)
#endif

#define GUEST_ARENA      LAYOUT_ADDRESS(0x0000010000000000)
#define GUEST_ARENA_END  LAYOUT_ADDRESS(0x0000700000000000)
#define LARGE_ARENA      LAYOUT_ADDRESS(0x0000700000000000)
#define LARGE_ARENA_END  LAYOUT_ADDRESS(0x00007f8000000000)
#define DIRECT_MAP       LAYOUT_ADDRESS(0xffff800000000000)
#define DIRECT_MAP_BYTES LAYOUT_ADDRESS(0x0000400000000000)
#define SMALL_ARENA      LAYOUT_ADDRESS(0xffffc00000000000)
#define SMALL_ARENA_END  LAYOUT_ADDRESS(0xffffc40000000000)
#define MIDDLE_ARENA     LAYOUT_ADDRESS(0xffffc80000000000)
#define MIDDLE_ARENA_END LAYOUT_ADDRESS(0xffffd80000000000)
#define DEVICE_AREA      LAYOUT_ADDRESS(0xffffe00000000000)
#define KERNEL_BASE      LAYOUT_ADDRESS(0xffffffff80000000)

/* Physical memory below this is left alone: firmware data, boot information, later the other CPUs' first code. */
#define LOW_MEMORY_BYTES LAYOUT_ADDRESS(0x100000)

/* Stacks of the boot CPU (boot.S), each with an unmapped page below. */
#define BOOT_STACK_BYTES      0x20000
#define INTERRUPT_STACK_BYTES 0x8000

/* Who loaded the kernel: first argument of pc_start. */
#define BOOT_PVH        1
#define BOOT_MULTIBOOT2 2

/* Selectors of the GDT. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TASK 0x18

/* Offsets in struct pc_cpu that assembly uses; checked in cpu.c. */
#define PC_CPU_SCRATCH 16

#endif
