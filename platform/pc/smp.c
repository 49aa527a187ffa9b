/* Further CPUs: which there are, and how they start.
 *
 * One at a time: the page below 1 MiB with the first code (cpu_start.S) serves one CPU, and is free again when that has
 * arrived in cpu_arrive. Nothing of this costs anything before the kernel asks how many CPUs there are. */
#include "platform/pc/smp.h"

#include "engine/base.h"
#include "platform/pc/acpi.h"
#include "platform/pc/apic.h"
#include "platform/pc/clock.h"
#include "platform/pc/console.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/mp_table.h"
#include "platform/pc/page_tables.h"
#include "platform/pc/spinlock.h"
#include "platform/pc/upper_tables.h"

static uint32_t start_page; /* physical; 0: there is none */

/* What cpu_start.S takes, in its order. */
struct __attribute__((packed)) start_parameters {
    uint16_t gdt_limit;
    uint32_t gdt;
    uint16_t padding0;
    uint32_t long_mode;
    uint16_t selector, padding1;
    uint64_t tables;
    uint64_t stack;
    struct pc_cpu *record;
    void (*entry)(struct pc_cpu *cpu);
    uint64_t gdt_entries[3];
};
extern uint8_t cpu_start_code[], cpu_start_parameters[], cpu_start_end[];

/* Tables by which the first code sees itself, read-only, and the kernel's half. In the image, so below 4 GiB. */
static _Alignas(4096) uint64_t start_tables[3][TABLE_ENTRIES];

static struct long_lock start_lock;
static uint32_t cpu_count;                       /* 0: not known yet; atomic */
static uint32_t apic_ids[PLATFORM_CPUS_MAXIMUM]; /* by number; written before `cpu_count` */
static struct pc_cpu *last_started GUARDED_BY(start_lock);
static bool last_missing GUARDED_BY(start_lock); /* it did not arrive: the page may still be its */

void smp_initialize(uint32_t page)
{
    start_page = page;
}

/* ---- Which there are ---- */

static uint32_t find_cpus(void) REQUIRES(start_lock)
{
    uint32_t found[PLATFORM_CPUS_MAXIMUM], own = apic_id(), total = 1;
    uint32_t count = acpi_cpus(found, PLATFORM_CPUS_MAXIMUM);
    count = count > 0 ? count : mp_table_cpus(found, PLATFORM_CPUS_MAXIMUM);
    for (uint32_t i = 0; i < count && total < PLATFORM_CPUS_MAXIMUM; i++) {
        if (found[i] != own && (found[i] < 0xff || cpu_details.x2apic))
            apic_ids[total++] = found[i];
    }
    apic_ids[0] = cpus[0]->apic_id = own;
    return start_page != 0 ? total : 1;
}

uint32_t platform_cpu_count(void)
{
    uint32_t count = __atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE);
    if (count > 0)
        return count;
    long_lock_acquire(&start_lock);
    if (cpu_count == 0)
        __atomic_store_n(&cpu_count, find_cpus(), __ATOMIC_RELEASE);
    long_lock_release(&start_lock);
    return cpu_count;
}

/* ---- Starting one ---- */

/* On the new CPU. */
static void cpu_arrive(struct pc_cpu *cpu)
{
    cpu_initialize_further(cpu);
    write_cr3(cpu->page_root);
    apic_initialize_further();
    tlb_join();
    __atomic_store_n(&cpu->online, true, __ATOMIC_SEQ_CST);
    console_verbose("CPU %u runs\n", cpu->number);
    interrupts_restore(true);
    kernel_cpu_main(cpu->kernel);
}

static void fill_start_tables(void)
{
    start_tables[2][0] = 0 | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_HUGE;
    start_tables[1][0] = ((uint64_t)start_tables[2] - KERNEL_BASE) | ENTRY_TABLE;
    start_tables[0][0] = ((uint64_t)start_tables[1] - KERNEL_BASE) | ENTRY_TABLE;
    const uint64_t *root = physical_pointer(page_root);
    for (uint32_t i = TABLE_ENTRIES / 2; i < TABLE_ENTRIES; i++)
        start_tables[0][i] = __atomic_load_n(&root[i], __ATOMIC_ACQUIRE);
}

static void fill_start_page(struct pc_cpu *cpu, uint8_t *stack_top)
{
    uint8_t *page = physical_pointer(start_page);
    memcpy(page, cpu_start_code, (size_t)(cpu_start_end - cpu_start_code));
    size_t offset = (size_t)(cpu_start_parameters - cpu_start_code);
    struct start_parameters *parameters = (void *)(page + offset);
    parameters->gdt = start_page + (uint32_t)(offset + offsetof(struct start_parameters, gdt_entries));
    parameters->long_mode += start_page;
    parameters->tables = (uint64_t)start_tables[0] - KERNEL_BASE;
    parameters->stack = (uint64_t)stack_top;
    parameters->record = cpu;
    parameters->entry = cpu_arrive;
}

/* Interrupt stacks, each above an unmapped page, and all their pages there: a fault in them could not be reported. */
static uint8_t *make_stacks(void)
{
    uint8_t *stacks = platform_reserve(INTERRUPT_STACKS_BYTES);
    for (uint32_t i = 0; stacks && i < STACK_COUNT; i++) {
        uint8_t *stack = stacks + i * (FRAME_BYTES + INTERRUPT_STACK_BYTES) + FRAME_BYTES;
        if (platform_commit(stack, INTERRUPT_STACK_BYTES, PROTECTION_READ_WRITE) != STATUS_OK) {
            platform_release(stacks, INTERRUPT_STACKS_BYTES);
            return NULL;
        }
        memset(stack, 0, INTERRUPT_STACK_BYTES);
    }
    return stacks;
}

#define ARRIVAL_NANOSECONDS UINT64_C(1000000000)

/* Until the CPU that was started before has left the page. False: it does not come. */
static bool page_is_free(void) REQUIRES(start_lock)
{
    uint64_t end = platform_monotonic_nanoseconds() + ARRIVAL_NANOSECONDS;
    while (!last_missing && last_started && !__atomic_load_n(&last_started->online, __ATOMIC_ACQUIRE)) {
        last_missing = platform_monotonic_nanoseconds() >= end;
        spin();
    }
    return !last_missing;
}

static enum status start(uint32_t number, struct cpu *kernel, uint8_t *stack_top) REQUIRES(start_lock)
{
    if (!page_is_free())
        return STATUS_NOT_SUPPORTED;
    uint8_t *stacks = make_stacks();
    uint64_t root = stacks ? upper_tables_for_cpu(number) : 0;
    struct pc_cpu *cpu = root ? frame_allocate_metadata() : NULL;
    if (!cpu) {
        if (stacks)
            platform_release(stacks, INTERRUPT_STACKS_BYTES);
        return STATUS_NO_MEMORY;
    }
    clock_settle();
    cpu_prepare(cpu, number, apic_ids[number], (uint64_t)stacks);
    cpu->kernel = kernel;
    cpu->page_root = root;
    fill_start_tables();
    fill_start_page(cpu, stack_top);
    /* Until its tables are loaded it must not fault. */
    memset(stack_top - FRAME_BYTES, 0, FRAME_BYTES);
    __atomic_store_n(&cpus[number], cpu, __ATOMIC_RELEASE);
    last_started = cpu;
    apic_start_cpu(cpu->apic_id, start_page);
    return STATUS_OK;
}

_Static_assert(sizeof(struct pc_cpu) <= FRAME_BYTES, "a record takes one frame");

enum status platform_start_cpu(uint32_t number, struct cpu *cpu, void *stack_top)
{
    if (number == 0 || number >= platform_cpu_count())
        return STATUS_INVALID;
    long_lock_acquire(&start_lock);
    enum status status = cpus[number] ? STATUS_INVALID : start(number, cpu, stack_top);
    long_lock_release(&start_lock);
    return status;
}

/* ---- While they run ---- */

/* One that has not arrived yet cannot be interrupted: it finds that it was woken. */
void platform_interrupt_cpu(uint32_t number)
{
    struct pc_cpu *cpu = number < PLATFORM_CPUS_MAXIMUM ? __atomic_load_n(&cpus[number], __ATOMIC_ACQUIRE) : NULL;
    if (!cpu)
        return;
    if (!__atomic_load_n(&cpu->online, __ATOMIC_SEQ_CST)) {
        cpu->woken = true;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&cpu->online, __ATOMIC_SEQ_CST))
            return;
    }
    apic_interrupt(cpu->apic_id, VECTOR_WAKE);
}

void platform_relax(uint32_t round)
{
    (void)round;
    spin();
}

/* What two exits from a virtual machine, and the host's way back into it, take about; without one it is quick to wake
 * up. An emulator runs all CPUs on one, and counts what they poll. */
#define POLL_NANOSECONDS 100000

uint64_t platform_poll_nanoseconds(void)
{
    bool emulated = memcmp(cpu_details.hypervisor_name, "TCGTCGTCGTCG", 12) == 0;
    return cpu_details.hypervisor && !emulated ? POLL_NANOSECONDS : 0;
}
