/* The same inside the booted kernel, whose boot archive holds guest.wasm. Under `qemu -icount shift=0` a nanosecond is an
 * instruction, so the figures are the same each time. */
#include "bench/neighbours/measure.h"
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"

#define ROUNDS 30000000

_Noreturn static void end(const char *failure)
{
    char line[128];
    platform_log(line, format_text(line, sizeof(line), "bench-neighbours: %s\n", failure));
    platform_power_off(1);
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    static const char *const names[] = {
#define NEIGHBOUR_WHAT(name, what) what,
        NEIGHBOURS(NEIGHBOUR_WHAT)
#undef NEIGHBOUR_WHAT
    };
    struct archive *archive;
    const uint8_t *bytes;
    size_t size;
    const char *failure = NULL;
    cpu_initialize();
    if (archive_create(boot->archive, boot->archive_bytes, &archive, NULL) != STATUS_OK ||
        archive_find(archive, "guest.wasm", &bytes, &size) != STATUS_OK) {
        end("no guest.wasm in the boot archive");
    }
    for (uint32_t i = 0; i < NEIGHBOUR_COUNT && !failure; i++) {
        char line[128];
        uint32_t share =
            measure_neighbour((enum neighbour)i, bytes, size, ROUNDS, platform_monotonic_nanoseconds, &failure);
        platform_log(line, format_text(line, sizeof(line), "%s\t%u.%u\n", names[i], share / 10, share % 10));
    }
    if (failure) {
        end(failure);
    }
    platform_power_off(0);
}
