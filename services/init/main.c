/* The service manager: starts what a manifest says, and looks after it (docs/services.md).
 *
 *     init [-v] [MANIFEST]
 *
 * MANIFEST, if not said /system/manifest, and the modules that it names must lie in directories that init was given.
 * Handles of its own that it hands out if it has them: the clock, the system. It ends when a unit with OnExit=end did,
 * or when it is told to (`svc shutdown`), after everything was stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/init/machine.h"

#define MANIFEST_BYTES (1 << 20)

/* Terminated; NULL: not to be had. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(MANIFEST_BYTES + 1);
    *size = file && text ? fread(text, 1, MANIFEST_BYTES + 1, file) : 0;
    bool good = file && text && !ferror(file) && *size <= MANIFEST_BYTES;
    if (file) {
        fclose(file);
    }
    if (!good) {
        free(text);
        return NULL;
    }
    text[*size] = '\0';
    return text;
}

int main(int count, char **words)
{
    bool verbose = count > 1 && strcmp(words[1], "-v") == 0;
    const char *path = count > 1 + verbose ? words[1 + verbose] : "/system/manifest";
    char message[200];
    unsigned line;
    size_t size;
    char *text = read_file(path, &size);
    if (!text) {
        fprintf(stderr, "init: %s cannot be read\n", path);
        return 1;
    }
    if (!manifest_parse(text, size, &manifest, &line, message, sizeof(message))) {
        fprintf(stderr, "init: %s:%u: %s\n", path, line, message);
        return 1;
    }
    if (!machine_begin(verbose)) {
        fprintf(stderr, "init: the kernel gives no ports\n");
        return 1;
    }
    return machine_run();
}
