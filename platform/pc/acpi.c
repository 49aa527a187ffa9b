#include "platform/pc/acpi.h"

#include "engine/base.h"
#include "platform/pc/instructions.h"
#include "platform/pc/paging.h"

struct __attribute__((packed)) table_header {
    char signature[4];
    uint32_t bytes;
    uint8_t revision, checksum;
    char names[14];
    uint32_t numbers[3];
};

struct __attribute__((packed)) root_pointer {
    char signature[8];
    uint8_t checksum;
    char name[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t bytes;
    uint64_t xsdt; /* from revision 2 on */
};

static const struct root_pointer *root;
static bool searched; /* for the root in the BIOS area */

void acpi_initialize(const uint8_t *rsdp)
{
    root = (const struct root_pointer *)rsdp;
}

static const struct root_pointer *root_find(void)
{
    if (!root && !searched) {
        searched = true;
        const uint8_t *area = physical_pointer(0xe0000);
        for (uint32_t at = 0; at < 0x20000 && !root; at += 16) {
            if (memcmp(area + at, "RSD PTR ", 8) == 0)
                root = (const struct root_pointer *)(area + at);
        }
    }
    return root;
}

/* A whole table, or NULL. Tables beyond a size that none reaches are not believed. */
#define TABLE_BYTES_MAXIMUM (4u << 20)

static const struct table_header *table_map(uint64_t physical)
{
    if (physical == 0)
        return NULL;
    const struct table_header *header = map_physical(physical, sizeof *header, true);
    if (!header || header->bytes < sizeof *header || header->bytes > TABLE_BYTES_MAXIMUM)
        return NULL;
    return map_physical(physical, header->bytes, true);
}

static uint64_t read_address(const uint8_t *at, uint32_t bytes)
{
    uint64_t address = 0;
    memcpy(&address, at, bytes);
    return address;
}

static const struct table_header *table_find(const char *signature)
{
    const struct root_pointer *pointer = root_find();
    if (!pointer)
        return NULL;
    bool extended = pointer->revision >= 2 && pointer->xsdt;
    uint32_t width = extended ? 8 : 4;
    const struct table_header *list = table_map(extended ? pointer->xsdt : pointer->rsdt);
    if (!list)
        return NULL;
    for (uint32_t at = sizeof *list; at + width <= list->bytes; at += width) {
        uint64_t physical = read_address((const uint8_t *)list + at, width);
        const struct table_header *header = map_physical(physical, sizeof *header, true);
        if (header && memcmp(header->signature, signature, 4) == 0)
            return table_map(physical);
    }
    return NULL;
}

/* ---- MADT: ACPI 6.5, section 5.2.12 ---- */

#define MADT_ENTRIES   44
#define MADT_CPU       0
#define MADT_IOAPIC    1
#define MADT_OVERRIDE  2
#define MADT_X2APIC    9
#define CPU_ENABLED    1
#define IOAPIC_DEFAULT UINT64_C(0xfec00000)
#define IOAPIC_INPUTS  24 /* of the first one, which serves the ISA interrupts */
#define POLARITY_LOW   3
#define TRIGGER_LEVEL  3

struct __attribute__((packed)) madt_ioapic {
    uint8_t type, bytes, id, reserved;
    uint32_t address, first_input;
};
struct __attribute__((packed)) madt_override {
    uint8_t type, bytes, bus, line;
    uint32_t input;
    uint16_t flags;
};

struct __attribute__((packed)) madt_cpu {
    uint8_t type, bytes, processor, id;
    uint32_t flags;
};
struct __attribute__((packed)) madt_x2apic {
    uint8_t type, bytes;
    uint16_t reserved;
    uint32_t id, flags, processor;
};

uint32_t acpi_cpus(uint32_t *ids, uint32_t maximum)
{
    const struct table_header *madt = table_find("APIC");
    const uint8_t *start = (const uint8_t *)madt;
    uint32_t count = 0;
    for (uint32_t at = MADT_ENTRIES; madt && at + 2 <= madt->bytes && start[at + 1] >= 2 && count < maximum;
         at += start[at + 1]) {
        uint32_t rest = madt->bytes - at;
        const struct madt_cpu *cpu = (const void *)(start + at);
        const struct madt_x2apic *x2apic = (const void *)(start + at);
        if (start[at] == MADT_CPU && rest >= sizeof *cpu && (cpu->flags & CPU_ENABLED))
            ids[count++] = cpu->id;
        else if (start[at] == MADT_X2APIC && rest >= sizeof *x2apic && (x2apic->flags & CPU_ENABLED))
            ids[count++] = x2apic->id;
    }
    return count;
}

void acpi_find_isa_interrupt(uint8_t line, struct acpi_isa_interrupt *interrupt)
{
    *interrupt = (struct acpi_isa_interrupt){.ioapic = IOAPIC_DEFAULT, .input = line};
    const struct table_header *madt = root ? table_find("APIC") : NULL;
    if (!madt)
        return;
    const uint8_t *start = (const uint8_t *)madt;
    for (uint32_t at = MADT_ENTRIES; at + 2 <= madt->bytes && start[at + 1] >= 2; at += start[at + 1]) {
        uint32_t rest = madt->bytes - at;
        const struct madt_ioapic *ioapic = (const void *)(start + at);
        const struct madt_override *override = (const void *)(start + at);
        if (start[at] == MADT_IOAPIC && rest >= sizeof *ioapic && ioapic->first_input == 0) {
            interrupt->ioapic = ioapic->address;
        } else if (start[at] == MADT_OVERRIDE && rest >= sizeof *override && override->line == line &&
                   override->input < IOAPIC_INPUTS) {
            interrupt->input = override->input;
            interrupt->active_low = (override->flags & 3) == POLARITY_LOW;
            interrupt->level = (override->flags >> 2 & 3) == TRIGGER_LEVEL;
        }
    }
}

/* ---- FADT: section 5.2.9 ---- */

#define FADT_DSDT             40
#define FADT_X_DSDT           140 /* the same with 8 bytes, in later revisions */
#define FADT_PM1A_CONTROL     64
#define FADT_PM1B_CONTROL     68
#define FADT_FLAGS            112
#define FADT_SLEEP_CONTROL    244 /* generic address: space, width, offset, size, then 8 bytes of address */
#define FADT_HARDWARE_REDUCED (1u << 20)
#define SPACE_MEMORY          0
#define SPACE_PORTS           1

static uint64_t fadt_word(const struct table_header *fadt, uint32_t offset, uint32_t bytes)
{
    return offset + bytes <= fadt->bytes ? read_address((const uint8_t *)fadt + offset, bytes) : 0;
}

bool acpi_hardware_reduced(void)
{
    const struct table_header *fadt = root ? table_find("FACP") : NULL;
    return fadt && fadt_word(fadt, FADT_FLAGS, 4) & FADT_HARDWARE_REDUCED;
}

/* The first two numbers of the package \_S5, found by its name in the DSDT: AML's encoding of `Name (_S5, Package ...)`
 * with small integers is always the same few bytes (sections 20.2.2 and 20.2.5). */
#define AML_PACKAGE 0x12
#define AML_BYTE    0x0a

static bool find_sleep_types(const struct table_header *dsdt, uint8_t types[2])
{
    const uint8_t *start = (const uint8_t *)dsdt;
    for (uint32_t at = sizeof *dsdt; at + 6 <= dsdt->bytes; at++) {
        if (memcmp(start + at, "_S5_", 4) != 0 || start[at + 4] != AML_PACKAGE)
            continue;
        uint32_t value = at + 5 + (start[at + 5] >> 6) + 2; /* length of 1 to 4 bytes, number of elements */
        for (uint32_t i = 0; i < 2 && value + 2 <= dsdt->bytes; i++) {
            if (start[value] == AML_BYTE)
                value++;
            types[i] = start[value++];
        }
        return true;
    }
    return false;
}

#define SLEEP_ENABLE         0x2000 /* PM1 control: SLP_TYP in bits 10 to 12 */
#define REDUCED_SLEEP_ENABLE 0x20   /* sleep control: SLP_TYP in bits 2 to 4 */

void acpi_power_off(void)
{
    const struct table_header *fadt = table_find("FACP");
    if (!fadt)
        return;
    uint8_t types[2] = {0, 0};
    uint64_t dsdt_address = fadt_word(fadt, FADT_X_DSDT, 8);
    const struct table_header *dsdt = table_map(dsdt_address ? dsdt_address : fadt_word(fadt, FADT_DSDT, 4));
    if (!dsdt || !find_sleep_types(dsdt, types))
        return;
    if (fadt_word(fadt, FADT_FLAGS, 4) & FADT_HARDWARE_REDUCED) {
        uint64_t address = fadt_word(fadt, FADT_SLEEP_CONTROL + 4, 8);
        uint8_t value = (uint8_t)(types[0] << 2 | REDUCED_SLEEP_ENABLE);
        if (fadt_word(fadt, FADT_SLEEP_CONTROL, 1) == SPACE_PORTS) {
            out8((uint16_t)address, value);
        } else if (address) {
            volatile uint8_t *control = map_physical(address, 1, false);
            if (control)
                *control = value;
        }
        return;
    }
    uint64_t control_a = fadt_word(fadt, FADT_PM1A_CONTROL, 4), control_b = fadt_word(fadt, FADT_PM1B_CONTROL, 4);
    if (control_a)
        out16((uint16_t)control_a, (uint16_t)(types[0] << 10 | SLEEP_ENABLE));
    if (control_b)
        out16((uint16_t)control_b, (uint16_t)(types[1] << 10 | SLEEP_ENABLE));
}
