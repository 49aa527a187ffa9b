#include "platform/pc/mp_table.h"

#include "engine/base.h"
#include "platform/pc/paging.h"

/* Section 4.1. */
struct __attribute__((packed)) floating_pointer {
    char signature[4];
    uint32_t table;
    uint8_t length; /* in 16 bytes */
    uint8_t revision, checksum, features[5];
};

/* Section 4.2, and the entries of processors, 4.3.1; all other entries have 8 bytes. */
struct __attribute__((packed)) table_header {
    char signature[4];
    uint16_t bytes;
    uint8_t revision, checksum;
    char names[20];
    uint32_t oem_table;
    uint16_t oem_bytes, entry_count;
    uint32_t apic;
    uint16_t extended_bytes;
    uint8_t extended_checksum, reserved;
};
struct __attribute__((packed)) processor {
    uint8_t type, apic_id, apic_version, flags;
    uint8_t rest[16];
};
#define ENTRY_PROCESSOR   0
#define ENTRY_OTHER_BYTES 8
#define PROCESSOR_ENABLED 1

static bool sums_to_zero(const void *bytes, uint32_t count)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
    return sum == 0;
}

/* In [start, start + bytes) of low memory. */
static const struct floating_pointer *search(uint32_t start, uint32_t bytes)
{
    const uint8_t *area = physical_pointer(start);
    for (uint32_t at = 0; at + sizeof(struct floating_pointer) <= bytes; at += 16) {
        if (memcmp(area + at, "_MP_", 4) == 0 && sums_to_zero(area + at, sizeof(struct floating_pointer)))
            return (const struct floating_pointer *)(area + at);
    }
    return NULL;
}

#define BIOS_DATA_EXTENDED 0x40e /* segment of the extended BIOS data area */

static const struct floating_pointer *find(void)
{
    uint16_t segment;
    memcpy(&segment, physical_pointer(BIOS_DATA_EXTENDED), sizeof segment);
    const struct floating_pointer *found = NULL;
    if (segment >= 0x8000 && segment < 0xa000)
        found = search((uint32_t)segment * 16, 1024);
    found = found ? found : search(0x9fc00, 1024);
    return found ? found : search(0xf0000, 0x10000);
}

uint32_t mp_table_cpus(uint32_t *ids, uint32_t maximum)
{
    const struct floating_pointer *pointer = find();
    if (!pointer || pointer->table == 0)
        return 0;
    const struct table_header *table = map_physical(pointer->table, 0x10000, true);
    if (!table || memcmp(table->signature, "PCMP", 4) != 0 || !sums_to_zero(table, table->bytes))
        return 0;
    /* By the length: QEMU's qboot leaves the count of entries 0. */
    uint32_t count = 0;
    for (uint32_t at = sizeof *table, bytes; at + ENTRY_OTHER_BYTES <= table->bytes; at += bytes) {
        const struct processor *processor = (const void *)((const uint8_t *)table + at);
        bool is_processor = processor->type == ENTRY_PROCESSOR;
        bytes = is_processor ? sizeof *processor : ENTRY_OTHER_BYTES;
        if (is_processor && at + bytes <= table->bytes && (processor->flags & PROCESSOR_ENABLED) && count < maximum)
            ids[count++] = processor->apic_id;
    }
    return count;
}
