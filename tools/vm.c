/* `tessera run --platform vm`: the kernel in a virtual machine of its own.
 *
 * Program, arguments and copies of the mapped folders go into a boot archive (kernel/launch_description.h); QEMU starts
 * the kernel with it, and the machine's serial line, a socket, carries the framed console. The machine ends with the
 * program, and dies with this process. */
#include "tools/run.h"
#include "tools/accelerator.h"
#include "tools/archive_writer.h"
#include "tools/console.h"
#include "tools/message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/launch_description.h"

#define QEMU          "qemu-system-x86_64"
#define MODULE_PATH   ".tessera/module.wasm"
#define SERVICES_PATH ".tessera/services"

/* Guest memory: for the kernel and what programs usually want, and for archive and compiled code by their size. */
#define MEMORY_DEFAULT_BYTES  (UINT64_C(512) << 20)
#define MEMORY_KERNEL_BYTES   (UINT64_C(128) << 20) /* with --mem, beside the program's */
#define MEMORY_ARCHIVE_FACTOR 3
#define MODULE_CODE_FACTOR    8

/* What a time limit leaves the machine for booting, compiling and ending by itself. */
#define TIMEOUT_GRACE_NANOSECONDS UINT64_C(60000000000)

/* ---- The boot archive ---- */

static void field(FILE *stream, const char *key, const char *value)
{
    fprintf(stream, "%s=%s%c", key, value, 0);
}

static void number_field(FILE *stream, const char *key, uint64_t value)
{
    fprintf(stream, "%s=%" PRIu64 "%c", key, value, 0);
}

static char *service_path(const struct run_options *options, uint32_t index)
{
    return text_of(SERVICES_PATH "/%" PRIu32 "/%s", index, options->services[index].name);
}

static void add_services(struct archive_writer *archive, const struct run_options *options)
{
    if (options->service_count > 0)
        archive_add_directory(archive, SERVICES_PATH);
    for (uint32_t i = 0; i < options->service_count; i++) {
        char *folder = text_of(SERVICES_PATH "/%" PRIu32, i), *path = service_path(options, i);
        archive_add_directory(archive, folder);
        archive_add_file(archive, path, options->services[i].bytes, options->services[i].size);
        free(folder);
        free(path);
    }
}

static void add_description(struct archive_writer *archive, const struct run_options *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        die("out of memory");
    field(stream, "module", MODULE_PATH);
    field(stream, "name", options->module_path);
    for (uint32_t i = 0; i < options->arguments.count; i++)
        field(stream, "argument", options->arguments.items[i]);
    for (uint32_t i = 0; i < options->environment.count; i++)
        field(stream, "environment", options->environment.items[i]);
    for (uint32_t i = 0; i < options->directory_count; i++)
        field(stream, "directory", options->directories[i].guest);
    for (uint32_t i = 0; i < options->service_count; i++) {
        char *path = service_path(options, i);
        field(stream, "service", path);
        free(path);
    }
    number_field(stream, "memory", options->memory_limit);
    number_field(stream, "timeout", options->timeout_nanoseconds);
    if (options->accounting)
        field(stream, "accounting", "1");
    if (options->trace_bytes)
        number_field(stream, "trace", options->trace_bytes);
    if (options->profile_hertz)
        number_field(stream, "profile", options->profile_hertz);
    if (!options->no_clock)
        field(stream, "clock", "1");
    if (options->system_handle)
        field(stream, "system", "1");
    if (fclose(stream) != 0)
        die("out of memory");
    archive_add_file(archive, LAUNCH_DESCRIPTION_PATH, text, size);
    free(text);
}

/* An open memfd with the archive. */
static int make_archive(const struct run_options *options, uint64_t *bytes)
{
    struct archive_writer archive;
    /* Without MFD_CLOEXEC: QEMU opens it by its number. */
    int file = memfd_create("tessera boot archive", 0);
    if (file < 0)
        die("cannot make the boot archive: %s", strerror(errno));
    archive_begin(&archive, file);
    archive_add_directory(&archive, ".tessera");
    add_description(&archive, options);
    archive_add_file(&archive, MODULE_PATH, options->module_bytes, options->module_size);
    add_services(&archive, options);
    if (options->directory_count > 0)
        archive_add_directory(&archive, LAUNCH_DIRECTORIES_PATH);
    for (uint32_t i = 0; i < options->directory_count; i++) {
        uint64_t before = archive.bytes;
        char *path = text_of("%s/%" PRIu32, LAUNCH_DIRECTORIES_PATH, i);
        archive_add_tree(&archive, path, options->directories[i].host);
        if (options->verbose)
            fprintf(stderr,
                    "tessera: %s is a copy of the folder %s (%" PRIu64 " bytes); changes are not written back\n",
                    options->directories[i].guest, options->directories[i].host, archive.bytes - before);
        free(path);
    }
    archive_end(&archive);
    *bytes = archive.bytes;
    return file;
}

/* ---- The machine ---- */

static const char *find_qemu(void)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t length = strcspn(at, ":");
        char *candidate = text_of("%.*s/%s", length > 0 ? (int)length : 1, length > 0 ? at : ".", QEMU);
        if (access(candidate, X_OK) == 0)
            return candidate;
        free(candidate);
        at += length + (at[length] == ':');
    }
    die("%s is not installed.\n"
        "On Debian and Ubuntu: sudo apt install qemu-system-x86\n"
        "Or run the same kernel in this process: tessera run --platform linux ...",
        QEMU);
}

static void check_kernel(const char *path)
{
    static const char magic[4] = {0x7f, 'E', 'L', 'F'};
    char start[4];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        die("cannot read the kernel image %s: %s", path, strerror(errno));
    if (read(file, start, sizeof start) != sizeof start || memcmp(start, magic, sizeof magic) != 0)
        die("%s is not a kernel image", path);
    close(file);
}

static const char *find_kernel(const struct run_options *options)
{
    char self[4096];
    const char *kernel = options->kernel;
    if (!kernel) {
        ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
        if (length <= 0)
            die("cannot find this command's own folder in /proc: %s; name the kernel with --kernel", strerror(errno));
        self[length] = '\0';
        *strrchr(self, '/') = '\0';
        kernel = text_of("%s/kernel.elf", self);
    }
    check_kernel(kernel);
    return kernel;
}

static const char *choose_accelerator(const struct run_options *options)
{
    if (options->accelerator == ACCELERATOR_KVM)
        return "kvm";
    if (options->accelerator == ACCELERATOR_TCG)
        return "tcg";
    const char *reason;
    bool works = kvm_works(&reason);
    if (options->verbose)
        fprintf(stderr, "tessera: %s: using %s\n", reason, works ? "KVM" : "TCG");
    return works ? "kvm" : "tcg";
}

static uint64_t memory_bytes(const struct run_options *options, uint64_t archive_bytes)
{
    uint64_t bytes = options->memory_limit > 0 ? MEMORY_KERNEL_BYTES + options->memory_limit : MEMORY_DEFAULT_BYTES;
    bytes += MEMORY_ARCHIVE_FACTOR * archive_bytes + MODULE_CODE_FACTOR * options->module_size;
    return (bytes + (UINT64_C(1) << 20) - 1) >> 20 << 20;
}

/* In the child: never returns. `line` and `archive` become descriptors 3 and 4. */
_Noreturn static void become_qemu(char *const *words, int line, int archive, int messages)
{
    /* Its own process group, so that the terminal's Ctrl-C comes to us alone; and it ends with us, whatever ends us. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDWR);
    /* Out of the way of 3 and 4 first. */
    int line_copy = fcntl(line, F_DUPFD_CLOEXEC, 10), archive_copy = fcntl(archive, F_DUPFD_CLOEXEC, 10);
    if (nothing < 0 || line_copy < 0 || archive_copy < 0 || dup2(nothing, 0) < 0 || dup2(messages, 1) < 0 ||
        dup2(messages, 2) < 0 || dup2(line_copy, 3) < 0 || dup2(archive_copy, 4) < 0)
        _exit(EXIT_TESSERA);
    execv(words[0], words);
    dprintf(2, "%s: %s\n", words[0], strerror(errno));
    _exit(EXIT_TESSERA);
}

static char *command_line(void)
{
    struct timespec now; /* finer than the machine's RTC, which counts seconds */
    clock_gettime(CLOCK_REALTIME, &now);
    return text_of("console=framed terminals=%s%s%s time=%" PRIu64, isatty(0) ? "i" : "", isatty(1) ? "o" : "",
                   isatty(2) ? "e" : "", (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}

#define WORDS_MAXIMUM 64

/* The words of --qemu, behind the `count` that are there; returns how many there are then. */
static size_t add_words(const char *text, const char *words[WORDS_MAXIMUM], size_t count)
{
    while (*(text += strspn(text, " "))) {
        size_t length = strcspn(text, " ");
        if (count + 1 == WORDS_MAXIMUM)
            die("--qemu: too many words");
        words[count++] = text_of("%.*s", (int)length, text);
        text += length;
    }
    return count;
}

/* QEMU's path and its options, ended by NULL. */
static void machine_words(const struct run_options *options, uint64_t archive_bytes, const char *words[WORDS_MAXIMUM])
{
    static const char *const machines[] = {
        [MACHINE_MICROVM] = "microvm,isa-serial=on,rtc=on,pit=on,pic=on,auto-kernel-cmdline=off",
        [MACHINE_PC] = "pc,usb=off",
    };
    static const char *const flags[] = {"-nodefaults", "-no-user-config", "-no-reboot"};
    const struct {
        const char *name, *value;
    } pairs[] = {
        {"-display", "none"},
        {"-machine", machines[options->machine]},
        {"-accel", choose_accelerator(options)},
        {"-cpu", "max"},
        {"-smp", text_of("%" PRIu32, options->cpus > 0 ? options->cpus : 1)},
        {"-m", text_of("%" PRIu64 "M", memory_bytes(options, archive_bytes) >> 20)},
        {"-kernel", find_kernel(options)},
        {"-initrd", "/proc/self/fd/4"},
        {"-append", command_line()},
        {"-chardev", "socket,id=console,fd=3"},
        {"-serial", "chardev:console"},
    };
    size_t count = 0;
    words[count++] = find_qemu();
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        words[count++] = flags[i];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        words[count++] = pairs[i].name;
        words[count++] = pairs[i].value;
    }
    if (options->qemu)
        count = add_words(options->qemu, words, count);
    words[count] = NULL;
}

static pid_t start_machine(const struct run_options *options, int line, int archive, uint64_t archive_bytes,
                           int messages)
{
    static const char *words[WORDS_MAXIMUM]; /* they live as long as the command */
    machine_words(options, archive_bytes, words);
    if (options->verbose) {
        fputs("tessera:", stderr);
        for (size_t i = 0; words[i]; i++)
            fprintf(stderr, " %s", words[i]);
        fputc('\n', stderr);
    }
    pid_t machine = fork();
    if (machine < 0)
        die("cannot start QEMU: %s", strerror(errno));
    if (machine == 0)
        become_qemu((char *const *)words, line, archive, messages);
    return machine;
}

/* ---- The end ---- */

/* Say why there is no exit status: what QEMU said, or the last that the kernel said. */
static void explain(const struct console_result *result, int wait_status, int messages)
{
    char said[1024];
    ssize_t length = pread(messages, said, sizeof said - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL)
        complain("the machine ended: QEMU died with signal %d", WTERMSIG(wait_status));
    else
        complain("the machine ended without an exit status%s", result->greeted ? "" : ", before its console was up");
    if (length > 0)
        fprintf(stderr, "QEMU said: %s%s", said, said[length - 1] == '\n' ? "" : "\n");
    if (result->plain_text_bytes > 0)
        fprintf(stderr, "The machine's last words:\n%.*s\n", (int)result->plain_text_bytes, result->plain_text);
}

/* Until the machine has ended, at most 200 ms; its status stays to be read. */
static void wait_briefly(pid_t machine)
{
    for (int tries = 0; tries < 20; tries++) {
        siginfo_t information = {0};
        if (waitid(P_PID, (id_t)machine, &information, WEXITED | WNOHANG | WNOWAIT) != 0 || information.si_pid != 0)
            return;
        usleep(10000);
    }
}

static uint64_t relay_deadline(const struct run_options *options)
{
    if (options->timeout_nanoseconds == 0)
        return UINT64_MAX;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec + options->timeout_nanoseconds +
           TIMEOUT_GRACE_NANOSECONDS;
}

int run_in_vm(const struct run_options *options)
{
    int ends[2];
    uint64_t archive_bytes;
    int archive = make_archive(options, &archive_bytes);
    int messages = memfd_create("QEMU messages", MFD_CLOEXEC);
    if (messages < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        die("cannot start the machine: %s", strerror(errno));
    pid_t machine = start_machine(options, ends[1], archive, archive_bytes, messages);
    close(ends[1]);
    close(archive);
    static struct console_result result;
    console_relay(ends[0], machine, relay_deadline(options), options->verbose, &result);
    /* A machine that broke the line is about to end by itself; its status is of interest. */
    if (result.outcome == CONSOLE_BROKEN)
        wait_briefly(machine);
    kill(machine, SIGKILL);
    int wait_status = 0;
    while (waitpid(machine, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    switch (result.outcome) {
    case CONSOLE_FINISHED:
        if (result.panicked)
            complain("the kernel panicked");
        return result.panicked ? EXIT_TESSERA : (int)(result.status & 0xff);
    case CONSOLE_TIMED_OUT:
        complain("time limit exceeded, and the machine did not end the program by itself");
        return 124;
    case CONSOLE_UNWRITABLE:
        complain("cannot write to stdout: %s", strerror(result.write_error));
        return EXIT_TESSERA;
    case CONSOLE_INTERRUPTED:
        return 130;
    case CONSOLE_BROKEN:
        break;
    }
    explain(&result, wait_status, messages);
    return EXIT_TESSERA;
}
