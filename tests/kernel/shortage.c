#include "tests/kernel/shortage.h"

#include "engine/base.h"
#include "engine/format.h"
#include "engine/trap.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/platform.h"
#include "kernel/ramfs.h"
#include "kernel/signature.h"
#include "kernel/system.h"
#include "kernel/vfs.h"

#define MEMORY_LIMIT    (UINT64_C(3) << 20) /* the collector has to work for it */
#define FILE_LIMIT      (UINT64_C(16) << 20)
#define TIMEOUT         UINT64_C(20000000000) /* a thread that is never woken ends the run, not the machine */
#define MOMENTS_MINIMUM 100                   /* fewer: the guest did not do what it should */
#define LASTING_STEP    3
#define EXIT_REFUSED    70 /* from this exit status on the guest says what it did not get */

static struct {
    uint64_t left; /* the moment comes when this many have asked; 0: never */
    bool lasting;  /* from then on nobody gets any */
    bool came;
} shortage;

uint32_t shortage_passed, shortage_failed;

bool shortage_now(void)
{
    if (shortage.left > 0) {
        bool now = --shortage.left == 0;
        shortage.came |= now;
        return now;
    }
    return shortage.came && shortage.lasting;
}

void shortage_say(const char *format, ...)
{
    char line[700];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_list(line, sizeof(line), format, arguments);
    va_end(arguments);
    platform_log(line, min_u64(length, sizeof(line) - 1));
}

/* ---- What is in use ---- */

struct use {
    uint64_t frames, blocks, heap_bytes, signatures;
};

static struct use memory_use(void)
{
    struct platform_memory memory;
    struct heap_statistics heap;
    system_trim();
    platform_memory_statistics(&memory);
    kernel_heap_statistics(&heap);
    return (struct use){memory.frames_used, heap.blocks, heap.bytes, signature_count()};
}

static bool is_back(const struct use *before, const struct use *after)
{
    if (memcmp(before, after, sizeof(*before)) == 0) {
        return true;
    }
    shortage_say("frames %llu -> %llu, heap blocks %llu -> %llu, heap bytes %llu -> %llu, signatures %llu -> %llu\n",
                 (unsigned long long)before->frames, (unsigned long long)after->frames,
                 (unsigned long long)before->blocks, (unsigned long long)after->blocks,
                 (unsigned long long)before->heap_bytes, (unsigned long long)after->heap_bytes,
                 (unsigned long long)before->signatures, (unsigned long long)after->signatures);
    return false;
}

/* ---- How a run ended ---- */

static bool contains(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; strlen(text) >= length; text++) {
        if (memcmp(text, part, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool says_out_of_memory(const struct launch_result *result)
{
    switch (result->outcome) {
    case LAUNCH_EXITED:
        return result->exit_status >= EXIT_REFUSED;
    case LAUNCH_TRAPPED:
        return result->trap == TRAP_OUT_OF_MEMORY;
    case LAUNCH_REFUSED:
        return contains(result->message, "memory");
    }
    return false;
}

static bool ended_well(const struct launch_result *result)
{
    if ((result->outcome == LAUNCH_EXITED && result->exit_status == 0) ||
        (shortage.came && says_out_of_memory(result))) {
        return true;
    }
    shortage_say("outcome %u, exit status %u, trap %u, message %s\n", (unsigned)result->outcome, result->exit_status,
                 result->trap, result->message);
    return false;
}

/* ---- Runs ---- */

struct shortage_guest {
    const uint8_t *module;
    size_t size;
    const char *argument; /* its name, too */
};

static void launch(const struct shortage_guest *guest, struct vfs_node *files, struct launch_result *result)
{
    struct launch_directory directory = {"/", files};
    struct launch launch = {.name = "shortage",
                            .module_bytes = guest->module,
                            .module_size = guest->size,
                            .argument_count = 1,
                            .arguments = &guest->argument,
                            .directory_count = 1,
                            .directories = &directory,
                            .memory_limit = MEMORY_LIMIT,
                            .timeout_nanoseconds = TIMEOUT,
                            .system_handle = true};
    launch_run(&launch, result);
}

/* A file system with the guest as /guest; or NULL. */
static struct vfs_node *make_files(const struct shortage_guest *guest)
{
    struct vfs_node *files, *file;
    size_t done;
    if (ramfs_create(NULL, FILE_LIMIT, &files) != STATUS_OK) {
        return NULL;
    }
    if (vfs_open(files, "guest", 5, VFS_WRITE | VFS_CREATE, &file) == STATUS_OK) {
        bool written = vfs_write(file, 0, guest->module, guest->size, &done) == STATUS_OK && done == guest->size;
        vfs_release(file);
        if (written) {
            return files;
        }
    }
    vfs_release(files);
    return NULL;
}

/* One run, with a shortage at this moment (0: none) and, if `lasting`, from then on. True: it came. */
static bool run(const struct shortage_guest *guest, uint64_t moment, bool lasting)
{
    struct use before = memory_use();
    struct vfs_node *files = make_files(guest);
    struct launch_result result;
    bool came = false, good = false;
    if (files) {
        shortage.lasting = lasting;
        shortage.left = moment;
        launch(guest, files, &result);
        came = shortage.came;
        good = ended_well(&result);
        shortage.left = 0;
        shortage.came = false;
        vfs_release(files);
    }
    struct use after = memory_use();
    good = is_back(&before, &after) && good;
    shortage_passed += good;
    shortage_failed += !good;
    if (!good) {
        shortage_say("FAIL %s, moment %llu%s\n", guest->argument, (unsigned long long)moment,
                     lasting ? " and all later ones" : "");
    }
    return came;
}

static void every_moment(const struct shortage_guest *guest, bool lasting)
{
    uint64_t moment = 1;
    while (run(guest, moment, lasting)) {
        moment += lasting ? LASTING_STEP : 1;
    }
    shortage_say("%s: %llu moments%s\n", guest->argument, (unsigned long long)moment - 1, lasting ? ", lasting" : "");
    shortage_failed += moment < MOMENTS_MINIMUM;
}

void shortage_all(const uint8_t *module, size_t size)
{
    static const char *const arguments[] = {"alone", "starter"};
    for (unsigned i = 0; i < ARRAY_COUNT(arguments); i++) {
        struct shortage_guest guest = {module, size, arguments[i]};
        struct launch_result result;
        struct vfs_node *files = make_files(&guest);
        if (files) {
            launch(&guest, files, &result); /* so that what the kernel keeps for ever is there */
            vfs_release(files);
        }
        run(&guest, 0, false);
        every_moment(&guest, false);
        every_moment(&guest, true);
    }
}
