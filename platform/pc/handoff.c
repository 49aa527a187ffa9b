/* Reading the boot information of the two protocols, through the first page tables: all of it lies below 4 GiB.
 * PVH: xen/include/public/arch-x86/hvm/start_info.h. Multiboot 2: specification 2.0, section 3.6. */
#include "platform/pc/boot.h"

#include "engine/base.h"

#define BOOT_REACH UINT64_C(0x100000000)

#define MEMORY_RAM 1 /* in both memory maps, as in the BIOS's */

struct pvh_start_information {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map; /* from version 1 on */
    uint32_t memory_map_entries, reserved;
};
#define PVH_MAGIC 0x336ec578
struct pvh_module {
    uint64_t start, bytes, command_line, reserved;
};
struct pvh_memory {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

struct multiboot2_tag {
    uint32_t type, bytes;
};
enum {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};
struct multiboot2_module {
    struct multiboot2_tag tag;
    uint32_t start, end;
};
struct multiboot2_memory_map {
    struct multiboot2_tag tag;
    uint32_t entry_bytes, entry_version;
};
struct multiboot2_memory {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

/* Where in low memory a page for further CPUs is looked for, if that is RAM. */
#define LOW_START UINT64_C(0x8000)
#define LOW_END   UINT64_C(0x9f000)

/* Insert sorted; what is not RAM for us (low memory) is cut off. */
static void add_ram(struct boot_handoff *handoff, uint64_t start, uint64_t bytes)
{
    uint64_t end = start + bytes;
    if (start <= LOW_START && end > LOW_START && end >= bytes)
        handoff->start_page = (uint32_t)min_u64(end, LOW_END) & ~4095u; /* for now, the end of low memory */
    start = max_u64(start, LOW_MEMORY_BYTES);
    if (end < bytes || end > DIRECT_MAP_BYTES || start >= end || handoff->ram_count == BOOT_RAM_MAXIMUM)
        return;
    uint32_t at = handoff->ram_count++;
    for (; at > 0 && handoff->ram[at - 1].start > start; at--)
        handoff->ram[at] = handoff->ram[at - 1];
    handoff->ram[at] = (struct memory_range){start, end};
}

static void add_taken(struct boot_handoff *handoff, uint64_t start, uint64_t bytes)
{
    if (bytes > 0 && handoff->taken_count < BOOT_TAKEN_MAXIMUM)
        handoff->taken[handoff->taken_count++] = (struct memory_range){start, start + bytes};
}

static const char *text_at(uint64_t physical)
{
    return physical && physical < BOOT_REACH ? physical_pointer(physical) : "";
}

static void add_archive(struct boot_handoff *handoff, uint64_t start, uint64_t bytes)
{
    if (!handoff->archive && bytes > 0) {
        handoff->archive = physical_pointer(start);
        handoff->archive_bytes = bytes;
    }
    add_taken(handoff, start, bytes);
}

static const char *read_pvh(uint64_t information, struct boot_handoff *handoff)
{
    const struct pvh_start_information *start = physical_pointer(information);
    if (start->magic != PVH_MAGIC || start->version < 1 || start->memory_map_entries == 0)
        return "PVH start information without a memory map";
    const struct pvh_memory *memory = physical_pointer(start->memory_map);
    for (uint32_t i = 0; i < start->memory_map_entries; i++) {
        if (memory[i].type == MEMORY_RAM)
            add_ram(handoff, memory[i].start, memory[i].bytes);
    }
    add_taken(handoff, information, sizeof *start);
    add_taken(handoff, start->memory_map, start->memory_map_entries * sizeof *memory);
    handoff->command_line = text_at(start->command_line);
    add_taken(handoff, start->command_line, strlen(handoff->command_line) + 1);
    const struct pvh_module *modules = physical_pointer(start->modules);
    for (uint32_t i = 0; i < start->module_count && i < 4; i++)
        add_archive(handoff, modules[i].start, modules[i].bytes);
    if (start->rsdp)
        handoff->rsdp = physical_pointer(start->rsdp);
    return NULL;
}

static void read_multiboot2_tag(const struct multiboot2_tag *tag, struct boot_handoff *handoff)
{
    switch (tag->type) {
    case TAG_COMMAND_LINE:
        handoff->command_line = (const char *)(tag + 1);
        break;
    case TAG_MODULE: {
        const struct multiboot2_module *module = (const void *)tag;
        add_archive(handoff, module->start, module->end - module->start);
        break;
    }
    case TAG_MEMORY_MAP: {
        const struct multiboot2_memory_map *map = (const void *)tag;
        for (uint32_t at = sizeof *map; at + sizeof(struct multiboot2_memory) <= tag->bytes && map->entry_bytes > 0;
             at += map->entry_bytes) {
            const struct multiboot2_memory *memory = (const void *)((const uint8_t *)tag + at);
            if (memory->type == MEMORY_RAM)
                add_ram(handoff, memory->start, memory->bytes);
        }
        break;
    }
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        handoff->rsdp = (const uint8_t *)(tag + 1);
        break;
    }
}

static const char *read_multiboot2(uint64_t information, struct boot_handoff *handoff)
{
    const uint8_t *start = physical_pointer(information);
    uint32_t bytes = *(const uint32_t *)start;
    for (uint32_t at = 8; at + sizeof(struct multiboot2_tag) <= bytes;) {
        const struct multiboot2_tag *tag = (const void *)(start + at);
        if (tag->type == TAG_END || tag->bytes < sizeof *tag)
            break;
        read_multiboot2_tag(tag, handoff);
        at += (uint32_t)align_up(tag->bytes, 8);
    }
    add_taken(handoff, information, bytes);
    return handoff->ram_count > 0 ? NULL : "multiboot2 information without a memory map";
}

/* The lowest page from LOW_START on in which nothing lies that the loader handed over. */
static uint32_t free_low_page(const struct boot_handoff *handoff)
{
    for (uint32_t page = LOW_START; page < handoff->start_page; page += 4096) {
        bool is_free = true;
        for (uint32_t i = 0; i < handoff->taken_count && is_free; i++)
            is_free = handoff->taken[i].end <= page || handoff->taken[i].start >= page + 4096;
        if (is_free)
            return page;
    }
    return 0;
}

extern uint8_t image_end[];

const char *boot_read_handoff(uint32_t loader, uint64_t information, struct boot_handoff *handoff)
{
    handoff->command_line = "";
    const char *problem = loader == BOOT_PVH ? read_pvh(information, handoff) : read_multiboot2(information, handoff);
    handoff->start_page = free_low_page(handoff);
    /* From 0 on: what lies between low memory and the image's start is the image's as well. */
    add_taken(handoff, 0, (uint64_t)image_end - KERNEL_BASE);
    return problem;
}

bool boot_option(const char *command_line, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    for (const char *at = command_line; *at;) {
        const char *end = at;
        while (*end && *end != ' ')
            end++;
        if ((size_t)(end - at) > length && memcmp(at, name, length) == 0 && at[length] == '=') {
            size_t bytes = min_u64((uint64_t)(end - at) - length - 1, size - 1);
            memcpy(value, at + length + 1, bytes);
            value[bytes] = 0;
            return true;
        }
        at = *end ? end + 1 : end;
    }
    return false;
}
