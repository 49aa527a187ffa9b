#include "platform/pc/cpu.h"

#include <stddef.h>

#include "engine/base.h"
#include "engine/compile.h"
#include "platform/pc/console.h"
#include "platform/pc/instructions.h"

struct cpu_details cpu_details;

static struct pc_cpu boot_cpu;
struct pc_cpu *cpus[PLATFORM_CPUS_MAXIMUM] = {&boot_cpu};
_Static_assert(offsetof(struct pc_cpu, scratch) == PC_CPU_SCRATCH, "assembly uses the offset");

#define CR4_OSFXSR     (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_FSGSBASE   (UINT64_C(1) << 16)
#define CR4_OSXSAVE    (UINT64_C(1) << 18)
#define XSTATE_X87     1u
#define XSTATE_SSE     2u
#define XSTATE_AVX     4u
#define FXSAVE_BYTES   512

/* CPUID bits by leaf and register; the columns are those of `struct leaves`. */
struct leaves {
    uint32_t ecx1, edx1, ebx7, ecx81, edx81;
};

struct feature {
    uint16_t leaf; /* offset in struct leaves */
    uint8_t bit;
    uint32_t value; /* CPU_*, 0 for a requirement */
    const char *name;
};
#define FEATURE(leaf, bit, value, name) {offsetof(struct leaves, leaf), bit, value, name}

static const struct feature required[] = {
    FEATURE(ecx1, 0, 0, "SSE3"),    FEATURE(ecx1, 9, 0, "SSSE3"),   FEATURE(ecx1, 19, 0, "SSE4.1"),
    FEATURE(ecx1, 20, 0, "SSE4.2"), FEATURE(ecx1, 23, 0, "POPCNT"), FEATURE(ecx1, 13, 0, "CMPXCHG16B"),
    FEATURE(edx1, 24, 0, "FXSR"),
};

#define ECX1_FMA          12
#define ECX1_X2APIC       21
#define ECX1_TSC_DEADLINE 24
#define ECX1_XSAVE        26
#define ECX1_AVX          28
#define ECX1_RDRAND       30
#define ECX1_HYPERVISOR   31
#define EBX7_FSGSBASE     0
#define EBX7_BMI1         3
#define EBX7_AVX2         5
#define EBX7_BMI2         8
#define EBX7_RDSEED       18
#define ECX81_LZCNT       5
#define EDX81_HUGE_1G     26

static bool has(const struct leaves *leaves, const struct feature *feature)
{
    return *(const uint32_t *)((const uint8_t *)leaves + feature->leaf) >> feature->bit & 1;
}

static inline bool bit(uint32_t word, uint32_t number)
{
    return word >> number & 1;
}

static void check_required(const struct leaves *leaves)
{
    bool complete = true;
    for (uint32_t i = 0; i < ARRAY_COUNT(required); i++) {
        if (!has(leaves, &required[i])) {
            if (complete)
                console_message("tessera: this CPU is too old: x86-64-v2 is required; missing:");
            console_message(" %s", required[i].name);
            complete = false;
        }
    }
    if (!complete) {
        console_message("\n");
        platform_power_off(1);
    }
}

static void read_name(char *name)
{
    uint32_t words[12] = {0};
    if (cpuid(0x80000000, 0).eax >= 0x80000004) {
        for (uint32_t i = 0; i < 3; i++) {
            struct cpuid part = cpuid(0x80000002 + i, 0);
            memcpy(&words[4 * i], &part, sizeof part);
        }
    }
    const char *text = (const char *)words;
    size_t start = 0, end = sizeof words;
    while (start < end && text[start] == ' ')
        start++;
    while (end > start && (text[end - 1] == 0 || text[end - 1] == ' '))
        end--;
    memcpy(name, text + start, end - start);
    name[end - start] = 0;
}

/* Switch on SSE, and XSAVE with AVX where they are. */
static void enable_extended_state(const struct leaves *leaves)
{
    uint64_t cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (cpu_details.fsgsbase)
        cr4 |= CR4_FSGSBASE;
    if (cpu_details.xsave)
        cr4 |= CR4_OSXSAVE;
    write_cr4(cr4);
    if (cpu_details.xsave) {
        uint32_t mask = XSTATE_X87 | XSTATE_SSE | (bit(leaves->ecx1, ECX1_AVX) ? XSTATE_AVX : 0);
        __asm__ volatile("xsetbv" ::"c"(0), "a"(mask), "d"(0));
        cpu_details.xsave_mask = mask;
    }
    uint32_t mxcsr = 0x1f80; /* all exceptions masked, round to nearest */
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
}

static struct leaves leaves;

void cpu_identify(void)
{
    struct cpuid one = cpuid(1, 0), extended = cpuid(0x80000001, 0), seven = {0};
    if (cpuid(0, 0).eax >= 7)
        seven = cpuid(7, 0);
    leaves = (struct leaves){one.ecx, one.edx, seven.ebx, extended.ecx, extended.edx};
    cpu_details.fsgsbase = bit(leaves.ebx7, EBX7_FSGSBASE);
    cpu_details.xsave = bit(leaves.ecx1, ECX1_XSAVE);
    cpu_details.x2apic = bit(leaves.ecx1, ECX1_X2APIC);
    cpu_details.tsc_deadline = bit(leaves.ecx1, ECX1_TSC_DEADLINE);
    cpu_details.rdrand = bit(leaves.ecx1, ECX1_RDRAND);
    cpu_details.rdseed = bit(leaves.ebx7, EBX7_RDSEED);
    cpu_details.huge_1g = bit(leaves.edx81, EDX81_HUGE_1G);
    cpu_details.hypervisor = bit(leaves.ecx1, ECX1_HYPERVISOR);
    if (cpu_details.hypervisor) {
        struct cpuid base = cpuid(0x40000000, 0);
        memcpy(cpu_details.hypervisor_name, &base.ebx, 12);
    }

    bool avx = cpu_details.xsave && bit(leaves.ecx1, ECX1_AVX);
    uint32_t features = 0;
    features |= avx ? CPU_AVX : 0;
    features |= avx && bit(leaves.ebx7, EBX7_AVX2) ? CPU_AVX2 : 0;
    features |= avx && bit(leaves.ecx1, ECX1_FMA) ? CPU_FMA : 0;
    features |= bit(leaves.ebx7, EBX7_BMI1) ? CPU_BMI1 : 0;
    features |= bit(leaves.ebx7, EBX7_BMI2) ? CPU_BMI2 : 0;
    features |= bit(leaves.ecx81, ECX81_LZCNT) ? CPU_LZCNT : 0;
    features |= cpu_details.fsgsbase ? CPU_FSGSBASE : 0;
    cpu_details.features = features;
    read_name(cpu_details.name);
}

void cpu_enable(void)
{
    check_required(&leaves);
    enable_extended_state(&leaves);
    cpu_details.xsave_bytes = cpu_details.xsave ? cpuid(0xd, 0).ebx : FXSAVE_BYTES;
}

/* ---- Descriptor tables and the record ---- */

extern uint8_t boot_stack_top[];

static void fill_record(struct pc_cpu *cpu, uint64_t stacks)
{
    cpu->self = cpu;
    cpu->timer_armed = UINT64_MAX;
    for (uint32_t i = 0; i < STACK_COUNT; i++)
        cpu->task.interrupt_stacks[i] = stacks + (i + 1) * (4096 + INTERRUPT_STACK_BYTES);
    cpu->task.io_map_base = sizeof cpu->task;

    uint64_t task = (uint64_t)&cpu->task, limit = sizeof cpu->task - 1;
    cpu->gdt[SELECTOR_CODE / 8] = UINT64_C(0x00af9b000000ffff);
    cpu->gdt[SELECTOR_DATA / 8] = UINT64_C(0x00cf93000000ffff);
    cpu->gdt[SELECTOR_TASK / 8] = limit | (task & 0xffffff) << 16 | UINT64_C(0x89) << 40 | (task >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TASK / 8 + 1] = task >> 32;
}

static void load_tables(struct pc_cpu *cpu)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof cpu->gdt - 1, (uint64_t)cpu->gdt};
    __asm__ volatile("lgdt %0; ltr %w1" ::"m"(pointer), "r"(SELECTOR_TASK));
    write_msr(MSR_FS_BASE, (uint64_t)cpu);
    write_msr(MSR_GS_BASE, 0);
    interrupt_load();
}

void cpu_initialize_boot(void)
{
    fill_record(&boot_cpu, (uint64_t)boot_stack_top);
    boot_cpu.online = true;
    interrupt_initialize();
    load_tables(&boot_cpu);
}

void cpu_prepare(struct pc_cpu *cpu, uint32_t number, uint32_t apic_id, uint64_t stacks)
{
    fill_record(cpu, stacks);
    cpu->number = number;
    cpu->apic_id = apic_id;
}

void cpu_initialize_further(struct pc_cpu *cpu)
{
    load_tables(cpu);
    enable_extended_state(&leaves);
}

/* ---- What the kernel asks for ---- */

struct cpu *platform_cpu(void)
{
    return pc_cpu()->kernel;
}

void platform_set_cpu(struct cpu *cpu)
{
    pc_cpu()->kernel = cpu;
}

uint32_t platform_cpu_features(void)
{
    return cpu_details.features;
}

const char *platform_cpu_name(void)
{
    return cpu_details.name;
}

size_t platform_kernel_stack_bytes(void)
{
    return 12 << 10;
}

size_t platform_xsave_bytes(void)
{
    return cpu_details.xsave_bytes;
}

uint64_t platform_xsave_mask(void)
{
    return cpu_details.xsave_mask;
}

void platform_set_gs(uint64_t base)
{
    if (cpu_details.fsgsbase)
        __asm__ volatile("wrgsbase %0" ::"r"(base) : "memory");
    else
        write_msr(MSR_GS_BASE, base);
}

extern uint8_t gs_stub_msr[], gs_stub_fsgsbase[];

uint64_t platform_gs_stub(void)
{
    return (uint64_t)(cpu_details.fsgsbase ? gs_stub_fsgsbase : gs_stub_msr);
}
