/* The manifest of services/init: what it says arrives, what is wrong is named with its line, and no bytes do harm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/init/manifest.h"

static int failures;
static struct manifest manifest;
static unsigned line;
static char message[200];

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("manifest_test.c:%d: %s (line %u: %s)\n", __LINE__, #condition, line, message);                     \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

/* The text in a block of its own, so that reading beyond it is seen; it stays for the manifest until the next one. */
static char *copy;

static bool parse(const char *text, size_t size)
{
    free(copy);
    copy = malloc(size + 1);
    memcpy(copy, text, size);
    message[0] = '\0';
    return manifest_parse(copy, size, &manifest, &line, message, sizeof(message));
}

static void everything(void)
{
    static const char text[] = "# the system\r\n"
                               "\n"
                               "[log]\n"
                               "  Description = Writes down ; what others say  \n"
                               "Module=/services/log.wasm\n"
                               "Offers=tessera:log/log tessera:log/reader\n"
                               "Handles=clock\r\n"
                               "Restart=always\nRestartSec=0\nRestartMaxDelaySec=1500 ms\nRestartResetSec=2min\n"
                               "StartLimitBurst=5\nTimeoutStopSec=3\n"
                               "MemoryMax=16M\nHandlesMax=40\nThreadsMax=3\nCPUWeight=200\n"
                               "; another one\n"
                               "[web-2]\n"
                               "Module=web.wasm\n"
                               "Arguments=web --name \"a b\" \\\n   c\\ d \"\" \\\"\n"
                               "Arguments=last\n"
                               "Environment=A=B C=\n"
                               "Uses=tessera:log/log\nRequires=log\nRestart=on-failure\nStart=manual\nOnExit=end";
    CHECK(parse(text, strlen(text)));
    CHECK(manifest.count == 2);
    const struct unit *log = manifest_find(&manifest, "log"), *web = manifest_find(&manifest, "web-2");
    CHECK(log && web && !manifest_find(&manifest, "web"));
    if (!log || !web) {
        return;
    }
    CHECK(!strcmp(log->description, "Writes down ; what others say"));
    CHECK(!strcmp(log->module, "/services/log.wasm"));
    CHECK(log->offers.count == 2 && !strcmp(log->offers.items[1], "tessera:log/reader"));
    CHECK(log->handles.count == 1 && !strcmp(log->handles.items[0], "clock"));
    CHECK(log->restart == RESTART_ALWAYS && log->start == START_BOOT && log->on_exit == ON_EXIT_NOTHING);
    CHECK(log->restart_delay == 0 && log->restart_delay_maximum == 1500000000 && log->restart_reset == 120000000000);
    CHECK(log->start_limit == 5 && log->stop_timeout == 3000000000);
    CHECK(log->memory_limit == 16 << 20 && log->handle_limit == 40 && log->thread_limit == 3 && log->weight == 200);
    const char *arguments[] = {"web", "--name", "a b", "c d", "", "\"", "last"};
    CHECK(web->arguments.count == 7);
    for (unsigned i = 0; i < 7 && i < web->arguments.count; i++) {
        CHECK(!strcmp(web->arguments.items[i], arguments[i]));
    }
    CHECK(web->environment.count == 2 && !strcmp(web->environment.items[1], "C="));
    CHECK(web->required == 1 && web->restart == RESTART_ON_FAILURE);
    CHECK(web->start == START_MANUAL && web->on_exit == ON_EXIT_END);
    CHECK(manifest_find_offer(&manifest, "tessera:log/reader") == log);
    CHECK(parse("", 0) && manifest.count == 0);
    CHECK(parse("[a]\nModule=a\nArguments=1 2\nArguments=\nArguments=3", 49) && manifest.units[0].arguments.count == 1);
}

static const struct {
    const char *text;
    unsigned line;
    const char *part; /* of the message */
} wrong[] = {
    {"Module=a\n", 1, "outside of a section"},
    {"\n[a\n", 2, "neither"},
    {"[a]\nModule\n", 2, "neither"},
    {"[a]\nModule=a\nmodule=b\n", 3, "module: no such key; did you mean Module"},
    {"[a]\nModul=a\n", 2, "no such key; did you mean Module"},
    {"[a]\nModule=a\nRestartResetSecs=1\n", 3, "did you mean RestartResetSec"},
    {"[a]\nModule=a\nPrivateTmp=yes\n", 3, "PrivateTmp: no such key; docs/services.md"},
    {"[a]\nModule=a\nAVeryLongKeyWithMoreLettersThanAreLookedAtOrShown=1\n", 3, "no such key"},
    {"[a]\n=b\n", 2, "no such key"},
    {"[a]\nModule=a\nStateMemory=5000\n", 1, "StateMemory is a multiple of 4K"},
    {"[a]\nModule=a\nStateMemory=17M\n", 1, "at most 16M"},
    {"[a]\nModule=a\nStateMemory=much\n", 3,
     "StateMemory: not a number with a unit that is known here; it takes a size"},
    {"[A]\nModule=a\n", 1, "small letters"},
    {"[]\n", 1, "small letters"},
    {"[ a ]\n", 1, "small letters"},
    {"[-a]\n", 1, "small letters"},
    {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 1, "31"},
    {"[a]\nModule=a\n[b]\nModule=b\n[a]\n", 5, "already"},
    {"[a]\n", 1, "no Module"},
    {"[a]\nModule=\n", 1, "no Module"},
    {"[a]\nModule=a\nRestart=sometimes\n", 3,
     "Restart: not one of the words that this key may have; it takes no, on-failure or always"},
    {"[a]\nModule=a\nStart=\n", 3, "words"},
    {"[a]\nModule=a\nRestartSec=soon\n", 3, "not a number"},
    {"[a]\nModule=a\nRestartSec=\n", 3, "not a number"},
    {"[a]\nModule=a\nRestartSec=-1\n", 3, "not a number"},
    {"[a]\nModule=a\nRestartSec=5parsec\n", 3, "not a number"},
    {"[a]\nModule=a\nHandlesMax=5K\n", 3, "not a number"},
    {"[a]\nModule=a\nMemoryMax=99999999999999999999\n", 3, "too large"},
    {"[a]\nModule=a\nMemoryMax=18446744073709551615\n", 3, "too large"},
    {"[a]\nModule=a\nMemoryMax=17179869184G\n", 3, "too large"},
    {"[a]\nModule=a\nArguments=\"b\n", 3, "quote"},
    {"[a]\nModule=a\nArguments=b\\", 3, "backslash"},
    {"[a]\nModule=a\nArguments=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", 3, "16"},
    {"[a]\nModule=a\nHandles=moon\n", 1, "moon: no handle"},
    {"[a]\nModule=a\nStart=demand\n", 1, "on demand"},
    {"[a]\nModule=a\nUses=x:y/z\n", 1, "x:y/z: no unit offers"},
    {"[a]\nModule=a\nOffers=x:y/z\n[b]\nModule=b\nOffers=x:y/z\n", 4, "another unit"},
    {"[a]\nModule=a\nRequires=b\n", 1, "b: no such unit"},
    {"[a]\nModule=a\nRequires=a\n", 1, "requires itself"},
    {"[c]\nModule=c\n[a]\nModule=a\nRequires=b c\n[b]\nModule=b\nRequires=a\n", 3, "requires itself"},
};

static void refusals(void)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        bool refused = !parse(wrong[i].text, strlen(wrong[i].text));
        if (!refused || line != wrong[i].line || !strstr(message, wrong[i].part)) {
            printf("refusal %zu: line %u, %s\n", i, line, refused ? message : "not refused");
            failures++;
        }
    }
    CHECK(!parse("[a]\nModule=\0a\n", 15) && line == 2 && strstr(message, "NUL"));
}

/* A good manifest with random bytes, lines and pieces of it changed: the sanitizers look, and what is taken keeps its
 * limits. */
static void damage(void)
{
    static const char text[] = "[log]\nModule=/log\nOffers=a:b/c d:e/f\nArguments=x \"y z\" \\\n w\nRestart=always\n"
                               "[b]\nModule=b\nUses=a:b/c\nRequires=log\nRestartSec=10ms\nMemoryMax=1G\n";
    static const char alphabet[] = "[]=\\\"\n\r #;ab19\t";
    char bytes[2 * sizeof(text)];
    uint32_t random = 1, taken = 0;
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = sizeof(text) - 1;
        memcpy(bytes, text, size);
        for (unsigned change = 0; change < 1 + round % 4; change++) {
            random = random * 1664525 + 1013904223;
            size_t at = (random >> 8) % size;
            char byte = random >> 28 == 0 ? (char)(random >> 12) : alphabet[(random >> 20) % (sizeof(alphabet) - 1)];
            if (random & 1 << 30) {
                memmove(bytes + at + 1, bytes + at, size - at);
                size++;
            }
            bytes[at] = byte;
            size = random % 64 == 7 ? at + 1 : size;
        }
        if (parse(bytes, size)) {
            taken++;
            for (unsigned i = 0; i < manifest.count; i++) {
                CHECK(strlen(manifest.units[i].name) <= MANIFEST_NAME && *manifest.units[i].module);
            }
        } else {
            CHECK(message[0] && strlen(message) < sizeof(message));
        }
    }
    CHECK(taken > 100 && taken < 19900);
}

static void many(void)
{
    char text[70 * 20];
    size_t size = 0;
    for (unsigned i = 0; i < MANIFEST_UNITS; i++) {
        size += (size_t)sprintf(text + size, "[u%u]\nModule=m\n", i);
    }
    CHECK(parse(text, size) && manifest.count == MANIFEST_UNITS);
    size += (size_t)sprintf(text + size, "[one-more]\n");
    CHECK(!parse(text, size) && strstr(message, "64"));
}

/* No line and no name is cut where a buffer ends. */
static void long_lines(void)
{
    static char text[3 << 20];
    for (size_t length = 1; length < 5000; length += length < 300 ? 1 : 97) {
        size_t size = (size_t)sprintf(text, "[a]\nModule=a\nDescription=b \\\n%0*u\nArguments=%0*u", (int)length, 1,
                                      (int)length, 2);
        CHECK(parse(text, size) && strlen(manifest.units[0].description) == length + 4);
        CHECK(manifest.units[0].arguments.count == 1 && strlen(manifest.units[0].arguments.items[0]) == length);
        sprintf(text, "[%0*u]\nModule=a", (int)length, 1);
        CHECK(parse(text, strlen(text)) == (length <= MANIFEST_NAME));
    }
    sprintf(text, "[a]\nDescription=%02000000u\nModule=a\n", 1);
    CHECK(!parse(text, strlen(text)) && line == 2 && strstr(message, "megabyte"));
}

int main(void)
{
    everything();
    refusals();
    damage();
    many();
    long_lines();
    free(copy);
    return failures != 0;
}
