/* `tessera run`: its options, and the way to the platform. */
#include "tools/run.h"
#include "tools/file.h"
#include "tools/message.h"
#include "tools/record.h"
#include "tools/subcommands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/profile.h"
#include "kernel/trace.h"

static void list_append(struct text_list *list, const char *text)
{
    list->items = reallocate(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = text;
}

/* ---- Options ---- */

struct choice {
    const char *name;
    int value;
};

static int choose(const char *option, const char *text, const struct choice *choices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, choices[i].name) == 0)
            return choices[i].value;
    char *all = text_of("%s", choices[0].name);
    for (size_t i = 1; i < count; i++)
        all = text_of("%s or %s", all, choices[i].name);
    die("--%s: %s is not known (%s)", option, text, all);
}
#define CHOOSE(option, text, choices) choose(option, text, choices, sizeof(choices) / sizeof(choices)[0])

static void apply_platform(void *context, const char *value)
{
    static const struct choice choices[] = {{"vm", RUN_VM}, {"linux", RUN_LINUX}};
    ((struct run_options *)context)->platform = (enum run_platform)CHOOSE("platform", value, choices);
}

static void apply_machine(void *context, const char *value)
{
    static const struct choice choices[] = {{"microvm", MACHINE_MICROVM}, {"pc", MACHINE_PC}};
    ((struct run_options *)context)->machine = (enum run_machine)CHOOSE("machine", value, choices);
}

static void apply_accelerator(void *context, const char *value)
{
    static const struct choice choices[] = {
        {"auto", ACCELERATOR_AUTOMATIC}, {"kvm", ACCELERATOR_KVM}, {"tcg", ACCELERATOR_TCG}};
    ((struct run_options *)context)->accelerator = (enum run_accelerator)CHOOSE("accelerator", value, choices);
}

#define CPUS_MAXIMUM 64

static void apply_cpus(void *context, const char *value)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || number == 0 || number > CPUS_MAXIMUM)
        die("--cpus: %s is not a number from 1 to %d", value, CPUS_MAXIMUM);
    ((struct run_options *)context)->cpus = (uint32_t)number;
}

static void apply_kernel(void *context, const char *value)
{
    ((struct run_options *)context)->kernel = value;
}

static void apply_qemu(void *context, const char *value)
{
    ((struct run_options *)context)->qemu = value;
}

static void apply_directory(void *context, const char *value)
{
    struct run_options *options = context;
    const char *separator = strstr(value, "::");
    struct mapped_directory directory = {.host = value, .guest = value};
    if (value[0] == '\0' || separator == value || (separator && separator[2] == '\0'))
        die("--dir: '%s' is not HOST::GUEST", value);
    if (separator) {
        directory.host = text_of("%.*s", (int)(separator - value), value);
        directory.guest = separator + 2;
    }
    options->directories =
        reallocate(options->directories, (options->directory_count + 1) * sizeof *options->directories);
    options->directories[options->directory_count++] = directory;
}

/* The last value given for a variable counts. */
static void set_variable(struct text_list *environment, const char *variable)
{
    size_t key_length = strcspn(variable, "=") + 1;
    for (uint32_t i = 0; i < environment->count; i++)
        if (strncmp(environment->items[i], variable, key_length) == 0) {
            environment->items[i] = variable;
            return;
        }
    list_append(environment, variable);
}

static void apply_environment(void *context, const char *value)
{
    struct run_options *options = context;
    const char *equals = strchr(value, '=');
    if (equals == value || value[0] == '\0')
        die("--env: '%s' is not KEY=VALUE", value);
    if (!equals) {
        const char *inherited = getenv(value);
        if (!inherited)
            return;
        value = text_of("%s=%s", value, inherited);
    }
    set_variable(&options->environment, value);
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void apply_service(void *context, const char *value)
{
    struct run_options *options = context;
    struct service_file service = {.path = value, .name = last_component(value)};
    service.bytes = module_contents(value, &service.size);
    options->services = reallocate(options->services, (options->service_count + 1) * sizeof *options->services);
    options->services[options->service_count++] = service;
}

static void apply_argument_zero(void *context, const char *value)
{
    ((struct run_options *)context)->argument_zero = value;
}

static void apply_memory(void *context, const char *value)
{
    ((struct run_options *)context)->memory_limit = parse_size("mem", value);
}

static void apply_timeout(void *context, const char *value)
{
    ((struct run_options *)context)->timeout_nanoseconds = parse_seconds("timeout", value);
}

static void apply_profile(void *context, const char *value)
{
    ((struct run_options *)context)->profile_path = value;
}

static void apply_profile_hertz(void *context, const char *value)
{
    char *end;
    unsigned long hertz = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || hertz == 0 || hertz > PROFILE_HERTZ_MAXIMUM)
        die("--profile-hz: %s is not a number from 1 to %d", value, PROFILE_HERTZ_MAXIMUM);
    ((struct run_options *)context)->profile_hertz = (uint32_t)hertz;
}

static void apply_trace(void *context, const char *value)
{
    ((struct run_options *)context)->trace_path = value;
}

static void apply_trace_size(void *context, const char *value)
{
    uint64_t bytes = parse_size("trace-size", value);
    if (bytes < TRACE_BYTES_MINIMUM || bytes > TRACE_BYTES_MAXIMUM || (bytes & (bytes - 1)) != 0)
        die("--trace-size: %s is not a power of two from 4K to 1G", value);
    ((struct run_options *)context)->trace_bytes = bytes;
}

static void apply_statistics(void *context, const char *value)
{
    (void)value;
    ((struct run_options *)context)->accounting = true;
}

static void apply_verbose(void *context, const char *value)
{
    (void)value;
    ((struct run_options *)context)->verbose = true;
}

static void apply_system(void *context, const char *value)
{
    (void)value;
    ((struct run_options *)context)->system_handle = true;
}

static void apply_no_clock(void *context, const char *value)
{
    (void)value;
    ((struct run_options *)context)->no_clock = true;
}

static const struct option run_options_table[] = {
    {"platform", 0, "vm|linux",
     "Where the kernel runs: in a virtual machine of its own (vm, the\n"
     "default; needs QEMU), or in this process (linux).",
     apply_platform},
    {"dir", 0, "HOST[::GUEST]",
     "Give the program a folder of the host, under the name GUEST.\n"
     "On linux it is the folder itself. The vm gets a copy of it at\n"
     "its start: what the program writes is gone when it ends.",
     apply_directory},
    {"env", 0, "KEY[=VALUE]", "Set a variable for the program; without VALUE, pass on the own one.", apply_environment},
    {"service", 0, "FILE",
     "Start this module before, and give the program the interfaces that\n"
     "it offers (docs/services.md). May be there several times: each service\n"
     "may use those before it.",
     apply_service},
    {"argv0", 0, "NAME", "The program's own name, argv[0]; else that of the file.", apply_argument_zero},
    {"mem", 0, "SIZE", "Most linear memory the program may have: 64M, 2G ...", apply_memory},
    {"timeout", 0, "SECONDS", "End the program after this time, counted from its start: 10, 0.5, 250ms ...",
     apply_timeout},
    {"no-clock", 0, NULL, "Show the program time in steps of 1 ms, not of 1 us.", apply_no_clock},
    {"system", 0, NULL, "Trust the program with the handle of the system: information, starting others.", apply_system},
    {"profile", 0, "FILE",
     "Sample which functions run, and write their stacks to FILE, folded:\n"
     "what flamegraph.pl, inferno and speedscope read.",
     apply_profile},
    {"profile-hz", 0, "NUMBER", "Samples in a second of work; else 997.", apply_profile_hertz},
    {"trace", 0, "FILE",
     "Note what scheduler, processes and messages do, and write it to FILE:\n"
     "`tessera trace FILE` shows it.",
     apply_trace},
    {"trace-size", 0, "SIZE", "Memory for that on each CPU, a power of two; else 1M. The newest events stay.",
     apply_trace_size},
    {"statistics", 0, NULL, "Say at the end of each process what it used: time, memory, handles, messages.",
     apply_statistics},
    {"verbose", 'v', NULL, "Say what is done: platform, machine, CPU features, copies.", apply_verbose},
    {"cpus", 0, "NUMBER", "CPUs; else 1 in the vm, on linux as many as this process may use.", apply_cpus},
    {"machine", 0, "microvm|pc", "Machine type of the vm.", apply_machine},
    {"accelerator", 0, "auto|kvm|tcg", "How the vm executes; auto: KVM where it really works, else TCG.",
     apply_accelerator},
    {"kernel", 0, "FILE", "Kernel image of the vm; else kernel.elf beside this command.", apply_kernel},
    {"qemu", 0, "OPTIONS", "More words for QEMU, separated by spaces: '-s -S' makes it wait for gdb.", apply_qemu},
};

/* ---- The subcommand ---- */

/* Options that are for a machine mean that one was expected. */
static void check_platform(const struct subcommand *subcommand, const struct run_options *options)
{
    const char *unused = options->kernel                                 ? "kernel"
                         : options->qemu                                 ? "qemu"
                         : options->accelerator != ACCELERATOR_AUTOMATIC ? "accelerator"
                         : options->machine != MACHINE_MICROVM           ? "machine"
                                                                         : NULL;
    if (options->platform == RUN_LINUX && unused)
        usage_error(subcommand, "--%s is for --platform vm", unused);
}

static void prepare_records(const struct subcommand *subcommand, struct run_options *options)
{
    if (options->profile_hertz && !options->profile_path)
        usage_error(subcommand, "--profile-hz without --profile");
    if (options->trace_bytes && !options->trace_path)
        usage_error(subcommand, "--trace-size without --trace");
    if (options->profile_path) {
        options->profile_hertz = options->profile_hertz ? options->profile_hertz : PROFILE_HERTZ_DEFAULT;
        record_profile_to(options->profile_path);
    }
    if (options->trace_path) {
        options->trace_bytes = options->trace_bytes ? options->trace_bytes : TRACE_BYTES_DEFAULT;
        record_trace_to(options->trace_path);
    }
}

static int run(const struct subcommand *subcommand, int count, char **words)
{
    static struct run_options options; /* lives as long as the command, like all that it points to */
    int at = options_parse(subcommand, count, words, &options);
    if (at == count)
        usage_error(subcommand, "which module?");
    check_platform(subcommand, &options);
    options.module_path = words[at++];
    options.module_bytes = module_contents(options.module_path, &options.module_size);
    list_append(&options.arguments,
                options.argument_zero ? options.argument_zero : last_component(options.module_path));
    while (at < count)
        list_append(&options.arguments, words[at++]);
    prepare_records(subcommand, &options);
    int status = options.platform == RUN_LINUX ? run_on_linux(&options) : run_in_vm(&options);
    record_finish();
    return status;
}

const struct subcommand subcommand_run = {
    .name = "run",
    .synopsis = "[OPTION]... [--] APP.wasm [ARGUMENT]...",
    .summary = "Run a WebAssembly program.",
    .description = "The exit status is the program's own, or:\n"
                   "  124  the time limit was reached\n"
                   "  125  tessera itself failed: wrong options, no QEMU, a kernel panic\n"
                   "  126  the module was refused\n"
                   "  127  there is no such file\n"
                   "  130  interrupted (Ctrl-C; a second one ends everything at once)\n"
                   "  134  the program trapped\n",
    .options = run_options_table,
    .option_count = sizeof run_options_table / sizeof run_options_table[0],
    .runs_program = true,
    .run = run,
};
