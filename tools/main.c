/* The `tessera` command: finds the subcommand and hands it the rest of the words. */
#include "tools/message.h"
#include "tools/subcommands.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct subcommand *const subcommands[] = {&subcommand_run, &subcommand_inspect, &subcommand_trace};
#define SUBCOMMAND_COUNT (sizeof subcommands / sizeof subcommands[0])

static void print_help(FILE *stream)
{
    fputs("Usage: tessera SUBCOMMAND ...\n\n"
          "Tessera runs WebAssembly programs as native code in a kernel of their own.\n\n"
          "Subcommands:\n",
          stream);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        fprintf(stream, "  %-9s %s\n", subcommands[i]->name, subcommands[i]->summary);
    fputs("\nOptions:\n"
          "  --help     Print this text; `tessera SUBCOMMAND --help` says more.\n"
          "  --version  Print the version.\n",
          stream);
}

/* Were one of them closed, the next file that is opened would be taken for it. What stands in for an output cannot be
 * written to, so the program sees its error. */
static void occupy_standard_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != descriptor)
            exit(EXIT_TESSERA);
}

int main(int count, char **words)
{
    occupy_standard_descriptors();
    if (count < 2) {
        print_help(stderr);
        return EXIT_TESSERA;
    }
    const char *name = words[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("tessera " TESSERA_VERSION);
        return 0;
    }
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (strcmp(name, subcommands[i]->name) == 0)
            return subcommands[i]->run(subcommands[i], count - 2, words + 2);
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".wasm") == 0)
        die("unknown subcommand %s; did you mean `tessera run %s`?", name, name);
    die("unknown subcommand %s\nSee `tessera --help`.", name);
}
