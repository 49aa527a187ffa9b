/* The `tessera` command: finds the subcommand and hands it the rest of the words. */
#include "kernel/system.h"
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
          "  --help     Print this text; `tessera help SUBCOMMAND` says more.\n"
          "  --version  Print the version.\n",
          stream);
}

/* The subcommand of that name; dies when there is none. */
static const struct subcommand *find(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (strcmp(name, subcommands[i]->name) == 0)
            return subcommands[i];
    if (length > 5 && strcmp(name + length - 5, ".wasm") == 0)
        die("unknown subcommand %s; did you mean `tessera run %s`?", name, name);
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (edit_distance(name, length, subcommands[i]->name) <= 2)
            die("unknown subcommand %s; did you mean %s?", name, subcommands[i]->name);
    die("unknown subcommand %s\nSee `tessera --help`.", name);
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
        static char help[] = "--help", *only[] = {help};
        if (count > 2 && words[2][0] != '-') {
            const struct subcommand *subcommand = find(words[2]);
            return subcommand->run(subcommand, 1, only);
        }
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("tessera " KERNEL_VERSION);
        return 0;
    }
    const struct subcommand *subcommand = find(name);
    return subcommand->run(subcommand, count - 2, words + 2);
}
