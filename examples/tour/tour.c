/* The tour: a program that was given the handle of the system, and the bundled examples as the folder /examples.
 *
 * At a terminal it is a prompt; without one it goes through its stops once and ends with status 0. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/tessera.h"

#define EXAMPLES      "/examples"
#define WORDS_MAXIMUM 32

static bool information(struct tessera_system_information *result)
{
    memset(result, 0, sizeof(*result));
    return tessera_system_information(TESSERA_SYSTEM, result, sizeof(*result)) >= 0;
}

/* ---- What can be asked for; each gets the words that were typed ---- */

static int show_machine(int count, char **words)
{
    (void)count;
    (void)words;
    struct tessera_system_information system;
    if (!information(&system))
        return 1;
    printf("kernel    Tessera %s on %s\n", system.kernel_version, system.platform);
    printf("processor %s\n", system.cpu_name);
    printf("features  %s\n", system.cpu_features);
    printf("up        %llu ms\n", (unsigned long long)(system.uptime_nanoseconds / 1000000));
    return 0;
}

static int show_memory(int count, char **words)
{
    (void)count;
    (void)words;
    struct tessera_system_information system;
    if (!information(&system))
        return 1;
    printf("memory    %llu MiB, of which %llu KiB in use, and %u objects in the kernel\n",
           (unsigned long long)(system.memory_bytes >> 20), (unsigned long long)(system.memory_used_bytes >> 10),
           (unsigned)system.heap_blocks);
    return 0;
}

static int show_examples(int count, char **words)
{
    (void)count;
    (void)words;
    DIR *directory = opendir(EXAMPLES);
    if (!directory) {
        perror(EXAMPLES);
        return 1;
    }
    printf("examples ");
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".wasm") == 0 && strcmp(entry->d_name, "tour.wasm") != 0)
            printf(" %.*s", (int)length - 5, entry->d_name);
    }
    printf("\n");
    closedir(directory);
    return 0;
}

/* run NAME argument... */
static int run(int count, char **words)
{
    if (count < 2) {
        printf("run what? `examples` lists them\n");
        return 2;
    }
    char *description = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&description, &bytes);
    if (!stream)
        return 1;
    fprintf(stream, "module=" EXAMPLES "/%s.wasm%c", words[1], 0);
    fprintf(stream, "directory=" EXAMPLES "%c", 0);
    fprintf(stream, "clock=1%c", 0);
    for (int i = 1; i < count; i++)
        fprintf(stream, "argument=%s%c", words[i], 0);
    fclose(stream);
    fflush(stdout);
    int status = tessera_process_run(TESSERA_SYSTEM, description, (uint32_t)bytes);
    free(description);
    if (status == -TESSERA_ENOTFOUND)
        printf("there is no example %s; `examples` lists them\n", words[1]);
    else if (status < 0)
        printf("%s: cannot be run (%d)\n", words[1], status);
    else if (status != 0)
        printf("(%s ended with status %d)\n", words[1], status);
    return status;
}

static int show_help(int count, char **words);

static const struct command {
    const char *name, *help;
    int (*run)(int count, char **words);
} commands[] = {
    {"help", "this list", show_help},
    {"machine", "what this runs on", show_machine},
    {"memory", "how much there is", show_memory},
    {"examples", "the programs that can be run", show_examples},
    {"run", "run NAME with arguments: run hello world, run primes 1000000, run crash divide", run},
    {"exit", "power off", NULL},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int show_help(int count, char **words)
{
    (void)count;
    (void)words;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].help);
    return 0;
}

/* False for `exit`. */
static bool obey(char *line)
{
    char *words[WORDS_MAXIMUM + 1];
    int count = 0;
    for (char *word = strtok(line, " \t\r\n"); word && count < WORDS_MAXIMUM; word = strtok(NULL, " \t\r\n"))
        words[count++] = word;
    if (count == 0)
        return true;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        if (!commands[i].run)
            return false;
        commands[i].run(count, words);
        return true;
    }
    printf("%s is not known; `help` lists what is\n", words[0]);
    return true;
}

/* ---- The two ways through ---- */

static void prompt(void)
{
    char line[512];
    printf("Type `help` for what you can do here, `exit` to power off.\n\n");
    for (;;) {
        printf("tessera> ");
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin)) {
            printf("\n");
            return;
        }
        if (!obey(line))
            return;
    }
}

static void all_stops(void)
{
    static const struct {
        const char *says, *line;
    } stops[] = {
        {"What this runs on.", "machine"},
        {"Each program is WebAssembly, compiled by the kernel to native code that runs in ring 0.", "examples"},
        {"The first one says hello.", "run hello tour"},
        {"Files: this folder is a copy in memory.", "run files /examples"},
        {"Compiled code is quick.", "run primes 5000000"},
        {"A fault belongs to the program that made it: a named trap, a backtrace, and the kernel goes on.",
         "run crash divide"},
        {"Memory, before one more of that kind.", "memory"},
        {"This one reaches for what is not its own.", "run crash memory"},
        {"What it had came back.", "memory"},
    };
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        char line[128];
        printf("\n%s\n> %s\n", stops[i].says, stops[i].line);
        snprintf(line, sizeof(line), "%s", stops[i].line);
        obey(line);
        fflush(stdout);
    }
    printf("\nThat was the tour; at a terminal you can look around yourself. Powering off.\n");
}

int main(void)
{
    struct tessera_system_information system;
    if (!information(&system)) {
        fprintf(stderr, "tour: this program needs the handle of the system: start it with `make run`\n");
        return 1;
    }
    printf("Welcome to Tessera, an operating system whose every process is a WebAssembly program.\n");
    if (isatty(STDIN_FILENO))
        prompt();
    else
        all_stops();
    return 0;
}
