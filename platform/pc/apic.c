#include "platform/pc/apic.h"

#include "engine/base.h"
#include "platform/pc/acpi.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/paging.h"
#include "platform/pc/spinlock.h"

/* Registers of the local APIC: offsets in memory; x2APIC MSRs are 0x800 + offset / 16. */
enum {
    APIC_ID = 0x20,
    APIC_END_OF_INTERRUPT = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300, /* in memory, with the destination at 0x310 */
    APIC_COMMAND_DESTINATION = 0x310,
    APIC_TIMER = 0x320,
    APIC_LINE0 = 0x350,
    APIC_LINE1 = 0x360,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};
#define APIC_ENABLE          0x100
#define APIC_MASKED          0x10000
#define APIC_LINE_NMI        0x400
#define APIC_TIMER_DEADLINE  0x40000
#define APIC_DIVIDE_BY_1     0xb
#define APIC_COMMAND_PENDING 0x1000
#define APIC_COMMAND_ASSERT  0x4000
#define APIC_COMMAND_NMI     0x400
#define APIC_COMMAND_INIT    0x500
#define APIC_COMMAND_START   0x600
#define APIC_BASE_ENABLE     (UINT64_C(1) << 11)
#define APIC_BASE_X2APIC     (UINT64_C(1) << 10)
#define APIC_BASE_ADDRESS    UINT64_C(0x000ffffffffff000)

static volatile uint32_t *registers; /* NULL: x2APIC */

static uint32_t apic_read(uint32_t number)
{
    return registers ? registers[number / 4] : (uint32_t)read_msr(0x800 + number / 16);
}

static void apic_write(uint32_t number, uint32_t value)
{
    if (registers)
        registers[number / 4] = value;
    else
        write_msr(0x800 + number / 16, value);
}

/* With what the CPU has, and its registers where they can be reached. */
static void enable(void)
{
    apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_LINE0, APIC_MASKED);
    apic_write(APIC_LINE1, APIC_LINE_NMI);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_TIMER, VECTOR_TIMER);
}

static uint64_t enable_base(void)
{
    uint64_t base = read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    write_msr(MSR_APIC_BASE, base);
    if (cpu_details.x2apic)
        write_msr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    return base & APIC_BASE_ADDRESS;
}

void apic_initialize(void)
{
    /* Both 8259: everything masked. */
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    uint64_t base = enable_base();
    if (!cpu_details.x2apic)
        registers = physical_pointer(base); /* as the first page tables show it */
    enable();
}

void apic_initialize_further(void)
{
    enable_base(); /* the registers are at the same address on every CPU */
    enable();
    if (cpu_details.tsc_deadline)
        apic_timer_use_deadline();
}

bool apic_map(void)
{
    if (registers)
        registers = map_physical(read_msr(MSR_APIC_BASE) & APIC_BASE_ADDRESS, 4096, false);
    return registers || cpu_details.x2apic;
}

void apic_acknowledge(void)
{
    apic_write(APIC_END_OF_INTERRUPT, 0);
}

uint32_t apic_id(void)
{
    return apic_read(APIC_ID) >> (registers ? 24 : 0);
}

static void send_command(uint32_t id, uint32_t command)
{
    if (!registers) {
        /* Writing the MSR does not wait for stores. */
        __asm__ volatile("mfence; lfence" ::: "memory");
        write_msr(0x800 + APIC_COMMAND / 16, (uint64_t)id << 32 | command);
        return;
    }
    bool interrupts = interrupts_disable(); /* two registers */
    while (apic_read(APIC_COMMAND) & APIC_COMMAND_PENDING)
        __builtin_ia32_pause();
    apic_write(APIC_COMMAND_DESTINATION, id << 24);
    apic_write(APIC_COMMAND, command);
    interrupts_restore(interrupts);
}

void apic_interrupt(uint32_t id, uint8_t vector)
{
    send_command(id, APIC_COMMAND_ASSERT | vector);
}

void apic_interrupt_hard(uint32_t id)
{
    send_command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_NMI);
}

static void wait_microseconds(uint64_t count)
{
    uint64_t end = platform_monotonic_nanoseconds() + count * 1000;
    while (platform_monotonic_nanoseconds() < end)
        spin();
}

/* MultiProcessor Specification, appendix B.4, without the wait of 10 ms behind INIT, which CPUs with 64 bits do not
 * need. */
void apic_start_cpu(uint32_t id, uint32_t page)
{
    send_command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_INIT);
    wait_microseconds(10);
    for (uint32_t i = 0; i < 2; i++) {
        send_command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_START | page >> 12);
        wait_microseconds(10);
    }
}

void apic_timer_start(uint32_t count)
{
    apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_count(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}

void apic_timer_use_deadline(void)
{
    apic_write(APIC_TIMER, VECTOR_TIMER | APIC_TIMER_DEADLINE);
    __asm__ volatile("mfence" ::: "memory"); /* Intel: the MSR may be written only after the mode */
}

/* ---- IOAPIC ---- */

#define IOAPIC_REDIRECTION(input) (0x10 + 2 * (input))
#define IOAPIC_LEVEL              0x8000
#define IOAPIC_ACTIVE_LOW         0x2000

void apic_route(uint8_t line, uint8_t vector)
{
    struct acpi_isa_interrupt interrupt;
    acpi_find_isa_interrupt(line, &interrupt);
    volatile uint32_t *ioapic = map_physical(interrupt.ioapic, 0x20, false);
    if (!ioapic)
        return;
    uint32_t low = vector | (interrupt.level ? IOAPIC_LEVEL : 0) | (interrupt.active_low ? IOAPIC_ACTIVE_LOW : 0);
    ioapic[0] = IOAPIC_REDIRECTION(interrupt.input) + 1;
    ioapic[4] = apic_id() << 24;
    ioapic[0] = IOAPIC_REDIRECTION(interrupt.input);
    ioapic[4] = low;
}
