/* Programs from start to end: exit statuses, time limits over nested programs and waits, the interface "tessera", a
 * request to stop, and nothing left afterwards. */
#include "kernel/launch.h"

#include <signal.h>
#include <unistd.h>

#include "kernel/platform.h"
#include "kernel/ramfs.h"
#include "kernel/signature.h"
#include "kernel/system.h"
#include "kernel/vfs.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static uint8_t *module;
static size_t module_size;
static struct vfs_node *bin;

static void write_file(const char *name, const void *bytes, size_t size)
{
    struct vfs_node *node;
    size_t done = 0;
    CHECK(vfs_open(bin, name, strlen(name), VFS_WRITE | VFS_CREATE, &node) == STATUS_OK);
    for (size_t offset = 0; offset < size; offset += done)
        if (vfs_write(node, offset, (const uint8_t *)bytes + offset, size - offset, &done) != STATUS_OK || !done)
            break;
    vfs_release(node);
}

static uint64_t memory_limit;

static int run(const char *argument, bool system_handle, uint64_t timeout)
{
    const char *arguments[] = {"program", argument};
    struct launch_directory directory = {"/bin", bin};
    struct launch launch = {.name = "kernel_system.wasm",
                            .module_bytes = module,
                            .module_size = module_size,
                            .argument_count = 2,
                            .arguments = arguments,
                            .directory_count = 1,
                            .directories = &directory,
                            .memory_limit = memory_limit,
                            .timeout_nanoseconds = timeout,
                            .system_handle = system_handle};
    struct launch_result result;
    launch_run(&launch, &result);
    return launch_exit_status(&result);
}

static uint64_t elapsed_of(const char *argument, uint64_t timeout, int status)
{
    uint64_t start = platform_monotonic_nanoseconds();
    CHECK(run(argument, true, timeout) == status);
    return platform_monotonic_nanoseconds() - start;
}

static void programs(void)
{
    CHECK(run("exit", false, 0) == 42);
    CHECK(run("trap", false, 0) == 134);
    CHECK(run("nohandle", false, 0) == 0);
    CHECK(run("information", true, 0) == 0);
    CHECK(run("refusals", true, 0) == 0);
    CHECK(run("programs", true, 0) == 0);
    CHECK(run("nested-grow", true, 0) == 0);
    memory_limit = 16 << 20;
    CHECK(run("nested-grow", true, 0) == 1); /* the child has what its starter has left, at most */
    memory_limit = 0;
    CHECK(elapsed_of("loop", 100000000, 124) < 2000000000);
    CHECK(elapsed_of("nested-loop", 100000000, 124) < 2000000000); /* the child ends with it */
    CHECK(elapsed_of("sleep", 100000000, 124) < 2000000000);
}

static void stop_soon(void *argument)
{
    (void)argument;
    thread_sleep_until(platform_monotonic_nanoseconds() + 100000000);
    kill(getpid(), SIGINT);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct heap_statistics heap[2];
    struct platform_memory memory[2];
    uint32_t signatures[2];
    guest_initialize(argv);
    system_set_platform_name("test");
    module = guest_bytes("kernel_system", &module_size);
    CHECK(ramfs_create(NULL, 64 << 20, &bin) == STATUS_OK);
    write_file("kernel_system.wasm", module, module_size);
    write_file("notes.txt", "no program", 10);
    for (int round = 0; round < 2; round++) {
        programs();
        system_trim();
        kernel_heap_statistics(&heap[round]);
        platform_memory_statistics(&memory[round]);
        signatures[round] = signature_count();
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    CHECK(memory[0].frames_used == memory[1].frames_used);
    CHECK(signatures[0] == signatures[1]);
    struct thread *thread;
    CHECK(thread_start(stop_soon, NULL, &thread) == STATUS_OK);
    CHECK(elapsed_of("sleep", 0, 130) < 2000000000);
    thread_join(thread);
    vfs_release(bin);
    free(module);
    return checks_report();
}
