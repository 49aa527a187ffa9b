/* The CPU itself: its record, descriptor tables, features, and the handling of exceptions and interrupts. */
#ifndef PLATFORM_PC_CPU_H
#define PLATFORM_PC_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/platform.h"
#include "platform/pc/frames.h"
#include "platform/pc/layout.h"
#include "platform/pc/tlb.h"

/* ---- Per-CPU record; FS base points to it ---- */
struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t stack_pointers[3];
    uint64_t reserved1;
    uint64_t interrupt_stacks[7]; /* IST 1 to 7 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};

struct pc_cpu {
    struct pc_cpu *self;
    struct cpu *kernel;  /* what platform_cpu gives */
    uint64_t scratch[3]; /* PC_CPU_SCRATCH: of gs_stub_msr */
    uint32_t number;     /* index in `cpus` */
    uint32_t apic_id;
    uint64_t page_root;   /* a further CPU's (upper_tables.h); physical */
    bool online;          /* takes interrupts; atomic */
    volatile bool woken;  /* an interrupt has come since platform_idle returned last */
    uint64_t timer_armed; /* monotonic time of platform_timer_arm; UINT64_MAX: none. Changed with interrupts off */
    uint64_t gdt[5];
    struct task_state task;
    struct tlb_state tlb;
    struct frame_cache frames;
};

/* The records of the CPUs that were started, by number; NULL behind them. */
extern struct pc_cpu *cpus[PLATFORM_CPUS_MAXIMUM];

/* Read each time: a thread may be on another CPU after it waited. */
static inline struct pc_cpu *pc_cpu(void)
{
    struct pc_cpu *cpu;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(cpu));
    return cpu;
}

/* ---- Features, found once by cpu_identify ---- */
struct cpu_details {
    char name[49];
    uint32_t features; /* CPU_* */
    uint64_t xsave_mask;
    uint32_t xsave_bytes;
    bool fsgsbase, xsave, x2apic, tsc_deadline, rdrand, rdseed, huge_1g, hypervisor;
    char hypervisor_name[13]; /* "TCGTCGTCGTCG", "KVMKVMKVM" */
};
extern struct cpu_details cpu_details;

/* Look at CPUID. */
void cpu_identify(void);
/* Switch on what is there (SSE, AVX, FSGSBASE). Stops with a message below x86-64-v2. */
void cpu_enable(void);
/* GDT, TSS, IDT and FS for the boot CPU, so that exceptions are reported. Uses no memory but its own. */
void cpu_initialize_boot(void);
/* Interrupt stacks of a CPU, each above an unmapped page. */
#define INTERRUPT_STACKS_BYTES (STACK_COUNT * (4096 + INTERRUPT_STACK_BYTES))
/* Fill the record of a further CPU; its interrupt stacks lie at `stacks`, with nothing left to be touched. */
void cpu_prepare(struct pc_cpu *cpu, uint32_t number, uint32_t apic_id, uint64_t stacks);
/* On it: all that this file does, to be as the boot CPU is. */
void cpu_initialize_further(struct pc_cpu *cpu);

/* ---- interrupt.c ---- */
struct interrupt_frame {
    struct machine_state state;
    uint64_t vector;
    uint64_t error;
    uint64_t rip, cs, rflags, rsp, ss; /* what the CPU pushed; overwritten from `state` on return, but for cs and ss */
};

enum {
    VECTOR_FIRST = 0x40,
    VECTOR_TIMER = VECTOR_FIRST,
    VECTOR_SERIAL,
    VECTOR_SPURIOUS,
    VECTOR_TLB,  /* tlb.h */
    VECTOR_WAKE, /* platform_interrupt_cpu */
    VECTOR_END,
    VECTOR_COUNT = VECTOR_END - VECTOR_FIRST,
};

/* Interrupt stacks (IST), in the order of boot.S. */
enum { STACK_EXCEPTION = 1, STACK_INTERRUPT, STACK_DOUBLE_FAULT, STACK_NMI, STACK_COUNT = 4 };

/* Fill the IDT that all CPUs share. */
void interrupt_initialize(void);
/* Let this CPU use it. */
void interrupt_load(void);
/* From interrupt.S. */
void interrupt_dispatch(struct interrupt_frame *frame);

#endif
