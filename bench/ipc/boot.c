/* The same measurements inside the booted kernel: the boot archive holds guest.wasm. Under `qemu -icount shift=0` a
 * tick of the time-stamp counter is one instruction. One line each: name, instructions. */
#include "bench/ipc/measure.h"
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"

#define SCALE 1000

_Noreturn static void end(const char *failure)
{
    char line[128];
    platform_log(line, format_text(line, sizeof(line), "bench-ipc: %s\n", failure));
    platform_power_off(1);
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    static const char *const names[] = {
#define MEASURE_NAME(name, rival) #name,
        MEASURES(MEASURE_NAME)
#undef MEASURE_NAME
    };
    struct archive *archive;
    const uint8_t *bytes;
    size_t size;
    cpu_initialize();
    if (archive_create(boot->archive, boot->archive_bytes, &archive, NULL) != STATUS_OK ||
        archive_find(archive, "guest.wasm", &bytes, &size) != STATUS_OK) {
        end("no guest.wasm in the boot archive");
    }
    const char *failure = measure_begin(bytes, size);
    for (uint32_t i = 0; i < MEASURE_COUNT && !failure; i++) {
        char line[128];
        uint64_t ticks = measure((enum measure_number)i, SCALE, &failure);
        if (ticks && !failure) {
            platform_log(line, format_text(line, sizeof(line), "%s\t%llu\n", names[i], (unsigned long long)ticks));
        }
    }
    if (failure) {
        end(failure);
    }
    platform_power_off(0);
}
