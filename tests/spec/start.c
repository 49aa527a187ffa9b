/* The kernel's entry of the suite's image: instead of kernel/main.c. Word "trace" on the command line names each script
 * before it runs; "features=NAME,NAME" compiles for a CPU that has only those of engine/compile.h (and of the real
 * one's); "limit=BYTES" is the memory limit of each script's process. */
#include "engine/base.h"
#include "engine/compile.h"
#include "kernel/archive.h"
#include "kernel/cpu.h"
#include "kernel/instance.h"
#include "kernel/platform.h"
#include "tests/spec/runner.h"

/* What stands behind the first `word` in the line, or NULL. */
static const char *behind_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (; strlen(line) >= length; line++)
        if (memcmp(line, word, length) == 0)
            return line + length;
    return NULL;
}

static uint32_t features_named(const char *names)
{
#define FEATURE_TEXT(name, text) text,
    static const char *const texts[] = {CPU_FEATURES(FEATURE_TEXT)};
#undef FEATURE_TEXT
    uint32_t features = 0;
    while (*names && *names != ' ') {
        size_t length = 0;
        while (names[length] && names[length] != ' ' && names[length] != ',')
            length++;
        for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++)
            if (strlen(texts[i]) == length && memcmp(texts[i], names, length) == 0)
                features |= 1u << i;
        names += length + (names[length] == ',');
    }
    return features;
}

static uint64_t number_named(const char *digits)
{
    uint64_t number = 0;
    for (; digits && *digits >= '0' && *digits <= '9'; digits++)
        number = number * 10 + (uint64_t)(*digits - '0');
    return number;
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    struct archive *archive = NULL;
    const uint8_t *file = NULL;
    size_t size = 0;
    cpu_initialize();
    const char *features = behind_word(boot->command_line, "features=");
    if (features)
        compiled_module_limit_cpu_features(features_named(features));
    if (!boot->archive || archive_create(boot->archive, boot->archive_bytes, &archive, NULL) != STATUS_OK ||
        archive_find(archive, "spec", &file, &size) != STATUS_OK)
        platform_panic("the suite's archive is missing: tests/spec/pack.py makes it");
    platform_power_off(suite_run(file, size, behind_word(boot->command_line, "trace") != NULL,
                                 number_named(behind_word(boot->command_line, "limit="))));
}
