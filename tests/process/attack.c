/* What programs do to the kernel with objects that hold each other, and by ending in the middle of a host call: the way
 * is the first argument. Each leaves nothing behind (tests/process/run compares memory), and exits with 0. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <wasi/api.h>

#include "sdk/tessera.h"

#define PAGE 4096
#define LINK "/bin/link"

static uint8_t pages[4][PAGE] __attribute__((aligned(PAGE)));
static uint32_t module;

static _Noreturn void fail(const char *what, int32_t result)
{
    printf("%s: %d\n", what, result);
    exit(1);
}

static uint32_t must(const char *what, int32_t result)
{
    if (result < 0) {
        fail(what, result);
    }
    return (uint32_t)result;
}

/* A program that gets `handle` (0: none), not started. */
static int32_t create_with(const char *text, size_t bytes, uint32_t handle)
{
    return tessera_process_create(module, text, (uint32_t)bytes, &handle, handle ? 1 : 0);
}

/* Each program has the only handle to the one before it. The last handle goes, and all of them end at once. */
static void chain(int length)
{
    static const char first[] = "name=link\0objects=4096\0handles=1\0threads=1\0share=1\0memory=4096",
                      other[] = "name=link\0objects=4096\0handles=1\0threads=1\0share=1\0memory=4096\0handle=link";
    uint32_t last = must("process_create", create_with(first, sizeof(first), 0));
    for (int i = 1; i < length; i++) {
        last = must("process_create", create_with(other, sizeof(other), last));
    }
    must("handle_close", tessera_handle_close(last));
}

/* A program that is not started has an end of a channel, in which a message waits with the only handle to the program.
 */
static void cycles(int count)
{
    static const char text[] = "name=cycle\0objects=8192\0handles=1\0threads=1\0share=1\0memory=4096\0handle=end";
    for (int i = 0; i < count; i++) {
        uint32_t ends[2];
        must("channel_create", tessera_channel_create(0, 0, ends));
        uint32_t program = must("process_create", create_with(text, sizeof(text), ends[0]));
        must("channel_write", tessera_channel_write(ends[1], NULL, 0, &program, 1, 0));
        must("handle_close", tessera_handle_close(ends[1]));
    }
}

/* The last bytes before a page that cannot be read any more. */
static uint8_t *before_hidden_page(size_t bytes)
{
    uint32_t memory = must("memory_create", tessera_memory_create(PAGE));
    uint32_t derived = must("handle_duplicate", tessera_handle_duplicate(memory, TESSERA_RIGHTS_SAME));
    must("memory_map", tessera_memory_map(derived, pages[2], 0, PAGE, 0));
    must("handle_revoke", tessera_handle_revoke(memory));
    return pages[2] - bytes;
}

static uint32_t named(const char *name)
{
    return must(name, tessera_handle_named(name, (uint32_t)strlen(name)));
}

/* Write a page of memory that its owner takes away, until that happens. */
static void write_for_ever(void)
{
    must("memory_map", tessera_memory_map(named("memory"), pages[2], 0, PAGE, 0));
    must("event_signal", tessera_event_signal(named("ready")));
    while (write(1, pages[2], PAGE) > 0) {
    }
}

/* How many directories it may be in the middle of. */
static int read_directories(void)
{
    uint8_t entries[100];
    __wasi_size_t used;
    int count = 0;
    while (count < 100 &&
           __wasi_fd_readdir(open("/bin", O_RDONLY | O_DIRECTORY), entries, sizeof(entries), 0, &used) == 0) {
        count++;
    }
    return count;
}

static int child(const char *what)
{
    if (strcmp(what, "directories") == 0) {
        return read_directories();
    }
    if (strcmp(what, "console") == 0) {
        write_for_ever();
    }
    uint32_t objects[2] = {must("event_create", tessera_event_create(0)),
                           must("event_create", tessera_event_create(0))};
    if (strcmp(what, "wait") == 0) {
        struct tessera_wait_item item = {.handle = objects[0], .wanted = TESSERA_SIGNAL_SIGNALED};
        uint8_t *at = before_hidden_page(7 * sizeof(item));
        for (int i = 0; i < 7; i++) {
            memcpy(at + i * sizeof(item), &item, sizeof(item));
        }
        tessera_wait_many((struct tessera_wait_item *)at, 8, 0);
    } else if (strcmp(what, "create") == 0) {
        tessera_process_create(module, (const char *)before_hidden_page(100), 200, NULL, 0);
        __builtin_trap(); /* it is refused */
    } else if (strcmp(what, "module") == 0) {
        tessera_module_create(before_hidden_page(100), 200);
        __builtin_trap(); /* it is refused */
    } else if (strcmp(what, "readlink") == 0) {
        return (int)readlink(LINK, (char *)before_hidden_page(4), 100);
    } else if (strcmp(what, "readdir") == 0) {
        __wasi_size_t used;
        return __wasi_fd_readdir(open("/bin", O_RDONLY | O_DIRECTORY), before_hidden_page(4), 100, 2, &used);
    }
    return 1;
}

/* What a program writes is taken away while it is written: the console is there for others afterwards. */
static void console(int count)
{
    static const char text[] = "name=child\0argument=child\0argument=console\0streams=1\0handle=memory\0handle=ready";
    uint32_t memory = must("memory_create", tessera_memory_create(PAGE));
    uint32_t ready = must("event_create", tessera_event_create(0));
    must("memory_map", tessera_memory_map(memory, pages[2], 0, PAGE, TESSERA_MAP_WRITE));
    memset(pages[2], '.', PAGE);
    for (int i = 0; i < count; i++) {
        uint32_t handles[] = {must("handle_duplicate", tessera_handle_duplicate(memory, TESSERA_RIGHTS_SAME)),
                              must("handle_duplicate", tessera_handle_duplicate(ready, TESSERA_RIGHTS_SAME))};
        uint32_t program = must("process_create", tessera_process_create(module, text, sizeof(text), handles, 2));
        must("event_clear", tessera_event_clear(ready));
        must("process_start", tessera_process_start(program));
        must("wait_one", tessera_wait_one(ready, TESSERA_SIGNAL_SIGNALED, TESSERA_FOREVER));
        tessera_wait_many(NULL, 0, (uint64_t)tessera_time_coarse() + (uint64_t)(2 + i % 5) * 1000000);
        must("handle_revoke", tessera_handle_revoke(memory));
        must("wait_one", tessera_wait_one(program, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER));
        must("handle_close", tessera_handle_close(program));
        printf("\n%d\n", i);
        fflush(stdout);
    }
}

/* As many small modules as there may be: the account's limit ends it, and each takes as long as the first one. */
static void modules(void)
{
    static uint8_t bytes[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 6, 1, 'x', 0, 0, 0, 0};
    int32_t made, count = 0;
    do {
        memcpy(bytes + 12, &count, sizeof(count));
        made = tessera_module_create(bytes, sizeof(bytes));
        count++;
    } while (made > 0);
    if (made != -TESSERA_ELIMIT || count < 1000 || count > 20000) {
        fail("module_create", count);
    }
}

/* Memory objects that were mapped, each of which is a file on Linux; others open files meanwhile. */
static void memories(int count)
{
    for (int i = 0; i < count; i++) {
        uint32_t memory = must("memory_create", tessera_memory_create(PAGE));
        must("memory_map", tessera_memory_map(memory, pages[2], 0, PAGE, TESSERA_MAP_WRITE));
        pages[2][0] = 1;
        must("memory_unmap", tessera_memory_unmap(pages[2]));
    }
    must("open", open("/bin/attack.wasm", O_RDONLY));
}

/* What descriptors remember of directories is charged to their program. */
static void directories(void)
{
    static const char text[] = "name=child\0argument=child\0argument=directories\0directory=/bin\0objects=16384";
    struct tessera_process_status status;
    uint32_t program = must("process_create", create_with(text, sizeof(text), 0));
    must("process_start", tessera_process_start(program));
    must("wait_one", tessera_wait_one(program, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER));
    must("process_status", tessera_process_status(program, &status, sizeof(status)));
    if (status.state != TESSERA_PROCESS_EXITED || status.exit_status < 2 || status.exit_status > 40) {
        fail("directories", (int32_t)status.exit_status);
    }
}

/* Programs that end in the middle of a host call. */
static void faults(const char *what, int count)
{
    char text[100];
    int length = snprintf(text, sizeof(text), "name=child%cargument=child%cargument=%s%cdirectory=/bin%chandle=module",
                          0, 0, what, 0, 0) +
                 1;
    symlink("attack.wasm", LINK);
    for (int i = 0; i < count; i++) {
        struct tessera_process_status status;
        uint32_t handle = must("handle_duplicate", tessera_handle_duplicate(module, TESSERA_RIGHTS_SAME));
        uint32_t program = must("process_create", create_with(text, (size_t)length, handle));
        must("process_start", tessera_process_start(program));
        must("wait_one", tessera_wait_one(program, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER));
        must("process_status", tessera_process_status(program, &status, sizeof(status)));
        if (status.state != TESSERA_PROCESS_TRAPPED) {
            fail("not trapped", (int32_t)status.exit_status);
        }
        must("handle_close", tessera_handle_close(program));
    }
    unlink(LINK);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "child") == 0) {
        module = (uint32_t)tessera_handle_named("module", 6); /* where it is needed */
        return child(argv[1]);
    }
    static const char self[] = "/bin/attack.wasm";
    module = must("module_load", tessera_module_load(self, sizeof(self) - 1));
    int count = argc > 2 ? atoi(argv[2]) : 1;
    if (strcmp(argv[1], "chain") == 0) {
        chain(count);
    } else if (strcmp(argv[1], "cycles") == 0) {
        cycles(count);
    } else if (strcmp(argv[1], "modules") == 0) {
        modules();
    } else if (strcmp(argv[1], "directories") == 0) {
        directories();
    } else if (strcmp(argv[1], "memories") == 0) {
        memories(count);
    } else if (strcmp(argv[1], "console") == 0) {
        console(count);
    } else {
        faults(argv[1], count);
    }
    return 0;
}
