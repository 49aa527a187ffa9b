/* The tour: a program that was given the handle of the system, and the bundled examples as the folder /examples. Under
 * the service manager (services/manifest) it also has the system's own programs as /system, and client ends of the
 * manager and the log, which it lends to the tools that it starts: each gets what it needs.
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

/* What to say when an example did not run. */
static void say_why(const char *name, int status)
{
    if (status == -TESSERA_ENOTFOUND)
        printf("there is no example %s; `examples` lists them\n", name);
    else
        printf("%s: cannot be run (%d)\n", name, status);
}

/* Services that every program may call which is run here, if the tour may. */
static const char *const lent_interfaces[] = {"example:greeter/greeter", "tessera:log/log"};

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
    for (size_t i = 0; i < sizeof(lent_interfaces) / sizeof(lent_interfaces[0]); i++)
        if (tessera_handle_named(lent_interfaces[i], (uint32_t)strlen(lent_interfaces[i])) > 0)
            fprintf(stream, "interface=%s%c", lent_interfaces[i], 0);
    for (int i = 1; i < count; i++)
        fprintf(stream, "argument=%s%c", words[i], 0);
    fclose(stream);
    fflush(stdout);
    int status = tessera_process_run(TESSERA_SYSTEM, description, (uint32_t)bytes);
    free(description);
    if (status < 0)
        say_why(words[1], status);
    else if (status != 0)
        printf("(%s ended with status %d)\n", words[1], status);
    return status;
}

/* ---- Pipelines: each program's output is a channel, whose other end is the next one's input ---- */

#define STAGES_MAXIMUM 4

/* A program, which is not started, with the ends of channels as standard input and output (0: the tour's own); they
 * are gone. Negative: an error. */
static int32_t make_stage(int count, char **words, uint32_t input, uint32_t output)
{
    char path[128], *description = NULL;
    size_t bytes = 0;
    uint32_t handles[2], handle_count = 0;
    int length = snprintf(path, sizeof(path), EXAMPLES "/%s.wasm", words[0]);
    int32_t module = tessera_module_load(path, (uint32_t)length), result = module;
    FILE *stream = open_memstream(&description, &bytes);
    if (stream) {
        fprintf(stream, "name=%s%cstreams=1%c", words[0], 0, 0);
        for (int i = 0; i < count; i++)
            fprintf(stream, "argument=%s%c", words[i], 0);
        if (input) {
            handles[handle_count++] = input;
            fprintf(stream, "handle=stdin%c", 0);
        }
        if (output) {
            handles[handle_count++] = output;
            fprintf(stream, "handle=stdout%c", 0);
        }
        fclose(stream);
        if (module > 0)
            result = tessera_process_create((uint32_t)module, description, (uint32_t)bytes, handles, handle_count);
    }
    for (uint32_t i = 0; i < handle_count && result < 0; i++)
        tessera_handle_close(handles[i]);
    if (module > 0)
        tessera_handle_close((uint32_t)module);
    free(description);
    return result;
}

/* How many programs the words name, with a | between two of them; 0: a | has none on one side. */
static int count_stages(int count, char **words)
{
    int stages = 1;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "|") == 0) {
            if (i == 1 || i + 1 == count || strcmp(words[i + 1], "|") == 0)
                return 0;
            stages++;
        }
    }
    return count > 1 ? stages : 0;
}

/* pipe NAME argument... | NAME argument... */
static int run_pipeline(int count, char **words)
{
    int32_t processes[STAGES_MAXIMUM];
    uint32_t input = 0, ends[2];
    int stages = 0, failed = 0;
    int named = count_stages(count, words);
    if (!named || named > STAGES_MAXIMUM) {
        printf("pipe what? Up to %d of the programs that `examples` lists, with a | between two of them\n",
               STAGES_MAXIMUM);
        return 2;
    }
    for (int first = 1, end; first < count && !failed; first = end + 1) {
        for (end = first; end < count && strcmp(words[end], "|") != 0; end++) {
        }
        bool last = end >= count;
        ends[0] = ends[1] = 0;
        if (!last && tessera_channel_create(0, 0, ends) != 0)
            break;
        processes[stages] = make_stage(end - first, words + first, input, ends[0]);
        failed = processes[stages] < 0;
        if (failed)
            say_why(words[first], processes[stages]);
        else
            stages++;
        input = ends[1];
    }
    if (input) /* somebody should have read it */
        tessera_handle_close(input);
    fflush(stdout);
    for (int i = 0; i < stages && !failed; i++)
        tessera_process_start((uint32_t)processes[i]);
    for (int i = 0; i < stages; i++) {
        if (!failed)
            tessera_wait_one((uint32_t)processes[i], TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
        tessera_handle_close((uint32_t)processes[i]);
    }
    return failed || !stages;
}

/* ---- The tools of the system ---- */

#define TOOL_HANDLES 4

static const struct tool {
    const char *name, *module;
    const char *handles[TOOL_HANDLES]; /* of the tour's own, that it gets duplicates of */
    uint32_t rights;                   /* to the system; to the others: all */
} tools[] = {
    {"svc", "/system/svc.wasm", {"tessera:init/status", "tessera:init/control", "tessera:log/reader"}, 0},
    {"ps", "/system/ps.wasm", {"system"}, TESSERA_RIGHT_INSPECT | TESSERA_RIGHT_TRANSFER},
    {"top", "/system/top.wasm", {"system"}, TESSERA_RIGHT_INSPECT | TESSERA_RIGHT_TRANSFER},
    {"kill", "/system/kill.wasm", {"system"}, TESSERA_RIGHT_INSPECT | TESSERA_RIGHT_MANAGE | TESSERA_RIGHT_TRANSFER},
};

/* A process that has the handles of the tool and the words as arguments; negative: an error. */
static int32_t make_tool(const struct tool *tool, int count, char **words)
{
    uint32_t handles[TOOL_HANDLES], handle_count = 0;
    char *description = NULL;
    size_t bytes = 0;
    int32_t result = tessera_module_load(tool->module, (uint32_t)strlen(tool->module));
    uint32_t module = (uint32_t)result;
    FILE *stream = result < 0 ? NULL : open_memstream(&description, &bytes);
    if (!stream)
        return result < 0 ? result : -TESSERA_ENOMEMORY;
    fprintf(stream, "name=%s%cstreams=1%c", tool->name, 0, 0);
    for (int i = 0; i < count; i++)
        fprintf(stream, "argument=%s%c", words[i], 0);
    for (int i = 0; i < TOOL_HANDLES && tool->handles[i] && result >= 0; i++) {
        result = tessera_handle_named(tool->handles[i], (uint32_t)strlen(tool->handles[i]));
        if (result > 0)
            result = tessera_handle_duplicate(
                (uint32_t)result, strcmp(tool->handles[i], "system") == 0 ? tool->rights : TESSERA_RIGHTS_SAME);
        if (result > 0) {
            handles[handle_count++] = (uint32_t)result;
            fprintf(stream, "handle=%s%c", tool->handles[i], 0);
        }
    }
    fclose(stream);
    if (result >= 0)
        result = tessera_process_create(module, description, (uint32_t)bytes, handles, handle_count);
    for (uint32_t i = 0; i < handle_count && result < 0; i++)
        tessera_handle_close(handles[i]);
    tessera_handle_close(module);
    free(description);
    return result;
}

static int run_tool(int count, char **words)
{
    struct tessera_process_status status = {0};
    size_t number = 0;
    while (strcmp(tools[number].name, words[0]) != 0)
        number++;
    fflush(stdout);
    int32_t process = make_tool(&tools[number], count, words);
    if (process < 0) {
        printf("%s is for a system with a service manager: `make run` (%d)\n", words[0], (int)process);
        return 1;
    }
    if (tessera_process_start((uint32_t)process) == 0)
        tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
    tessera_process_status((uint32_t)process, &status, sizeof(status));
    tessera_handle_close((uint32_t)process);
    return (int)status.conventional_status;
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
    {"pipe", "the same for several, each reading what the one before writes: pipe hello one two one | words",
     run_pipeline},
    {"ps", "what runs, and what it uses", run_tool},
    {"top", "what uses the CPUs, every two seconds until Enter; top 1 every second, top 1 5 five times", run_tool},
    {"svc", "services: svc; svc log; svc start, stop, restart, kill UNIT; svc replace UNIT MODULE", run_tool},
    {"kill", "end a process by its name or number, as ps shows them; services come back", run_tool},
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
        {"Two at once, with a channel between them.", "pipe hello one two one | words"},
        {"Files: this folder is a copy in memory.", "run files /examples"},
        {"Compiled code is quick.", "run primes 5000000"},
        {"A fault belongs to the program that made it: a named trap, a backtrace, and the kernel goes on.",
         "run crash divide"},
        {"Memory, before one more of that kind.", "memory"},
        {"This one reaches for what is not its own.", "run crash memory"},
        {"What it had came back.", "memory"},
        {"Services are programs, too. The manager started these, or will when somebody calls them.", "svc"},
        {"Somebody calls: a call of an interface in WIT is a call into another process.", "run greeter_client"},
        {"This one dies, and is back before you can look.", "kill log"},
        {"Its clients notice nothing.", "svc"},
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
