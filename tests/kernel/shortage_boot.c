/* A kernel that runs one guest again and again, each time without memory at another moment: tests/kernel/shortage.h.
 * The boot archive holds shortage.wasm. The last line is `N passed, N failed`. */
#include "tests/kernel/shortage.h"

#include "kernel/archive.h"
#include "kernel/cpu.h"

_Noreturn void kernel_main(const struct boot_information *boot)
{
    struct archive *archive;
    const uint8_t *module;
    size_t size;
    cpu_initialize();
    if (archive_create(boot->archive, boot->archive_bytes, &archive, NULL) == STATUS_OK &&
        archive_find(archive, "shortage.wasm", &module, &size) == STATUS_OK) {
        shortage_all(module, size);
    }
    shortage_say("%u passed, %u failed\n", shortage_passed, shortage_failed);
    platform_power_off(shortage_failed > 0 || shortage_passed == 0);
}
