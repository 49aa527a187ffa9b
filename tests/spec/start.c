/* The kernel's entry of the suite's image: instead of kernel/main.c. Word "trace" on the command line names each script
 * before it runs. */
#include "engine/base.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/platform.h"
#include "tests/spec/runner.h"

static bool has_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (; *line; line++)
        if (strlen(line) >= length && memcmp(line, word, length) == 0)
            return true;
    return false;
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    struct archive *archive = NULL;
    const uint8_t *file = NULL;
    size_t size = 0;
    cpu_initialize();
    if (!boot->archive || archive_create(boot->archive, boot->archive_bytes, &archive, NULL) != STATUS_OK ||
        archive_find(archive, "spec", &file, &size) != STATUS_OK)
        platform_panic("the suite's archive is missing: tests/spec/pack.py makes it");
    platform_power_off(suite_run(file, size, has_word(boot->command_line, "trace")));
}
