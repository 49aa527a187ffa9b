/* What the loader handed over, and where everything starts. */
#ifndef PLATFORM_PC_BOOT_H
#define PLATFORM_PC_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/pc/frames.h"

#define BOOT_RAM_MAXIMUM   64
#define BOOT_TAKEN_MAXIMUM 16

struct boot_handoff {
    struct memory_range ram[BOOT_RAM_MAXIMUM]; /* above LOW_MEMORY_BYTES, sorted */
    uint32_t ram_count;
    struct memory_range taken[BOOT_TAKEN_MAXIMUM]; /* image, archive, loader's data */
    uint32_t taken_count;
    const char *command_line; /* in the direct map, like the following */
    const uint8_t *archive;
    uint64_t archive_bytes;
    uint32_t start_page; /* a page below 1 MiB for the first code of further CPUs; 0: none is free */
    const uint8_t *rsdp; /* ACPI's root, or NULL: to be searched */
};

/* From boot.S: `loader` is BOOT_PVH or BOOT_MULTIBOOT2, `information` the physical address of its structure. */
_Noreturn void pc_start(uint32_t loader, uint64_t information, uint64_t entry_timestamp);

/* handoff.c. NULL, or what is wrong. */
const char *boot_read_handoff(uint32_t loader, uint64_t information, struct boot_handoff *handoff);

/* The value of the word `name=value` of the command line, cut to `size` - 1 bytes, terminated. */
bool boot_option(const char *command_line, const char *name, char *value, size_t size);

#endif
