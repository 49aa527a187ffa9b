/* Launch descriptions: every field, what is refused, and bytes of any kind. */
#include "kernel/launch_description.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "platform/linux/linux.h"
#include "tests/kernel/check.h"

static enum status parse(const char *bytes, size_t size, struct launch_description *description, const char **message)
{
    return launch_description_parse((const uint8_t *)bytes, size, description, message);
}
#define PARSE(text, description, message) parse(text, sizeof(text) - 1, description, message)

static void every_field(void)
{
    struct launch_description description;
    const char *message;
    CHECK(PARSE("module=bin/hello.wasm\0argument=hello\0argument=a=b\0argument=\0environment=K=V\0"
                "directory=/data\0directory=/tmp\0directory-source=\0memory=1048576\0timeout=18446744073709551615\0"
                "system=1\0clock=1\0repeat=1000\0report=1\0statistics=0\0accounting=1\0profile=4000\0trace=65536\0",
                &description, &message) == STATUS_OK);
    CHECK(message == NULL);
    CHECK(strcmp(description.module, "bin/hello.wasm") == 0);
    CHECK(strcmp(description.name, "hello.wasm") == 0);
    CHECK(description.argument_count == 3);
    CHECK(strcmp(description.arguments[0], "hello") == 0);
    CHECK(strcmp(description.arguments[1], "a=b") == 0);
    CHECK(strcmp(description.arguments[2], "") == 0);
    CHECK(description.environment_count == 1 && strcmp(description.environment[0], "K=V") == 0);
    CHECK(description.directory_count == 2);
    CHECK(strcmp(description.directories[0].guest_path, "/data") == 0 && !description.directories[0].source);
    CHECK(strcmp(description.directories[1].guest_path, "/tmp") == 0);
    CHECK(description.directories[1].source && !*description.directories[1].source);
    CHECK(description.memory_limit == 1048576);
    CHECK(description.timeout_nanoseconds == UINT64_MAX);
    CHECK(description.system_handle && description.clock_handle && description.report && !description.statistics);
    CHECK(description.repeat == 1000);
    CHECK(description.accounting && description.profile_hertz == 4000 && description.trace_bytes == 65536);
    launch_description_release(&description);
}

static void refusals(void)
{
    struct launch_description description;
    const char *message;
#define REFUSED(text) CHECK(PARSE(text, &description, &message) == STATUS_INVALID && message)
    REFUSED("");
    REFUSED("name=x\0");
    REFUSED("module=\0");
    REFUSED("module=a\0module=b\0");
    REFUSED("module=a");
    REFUSED("module=a\0novalue\0");
    REFUSED("module=a\0unknown=1\0");
    REFUSED("module=a\0memory=\0");
    REFUSED("module=a\0memory=1k\0");
    REFUSED("module=a\0memory=18446744073709551616\0");
    REFUSED("module=a\0memory=-1\0");
    REFUSED("module=a\0system=2\0");
    REFUSED("module=a\0profile=4001\0");
    REFUSED("module=a\0profile=\0");
    REFUSED("module=a\0system=10\0");
    REFUSED("module=a\0directory-source=x\0");
    REFUSED("module=a\0directory=/\0directory-source=x\0directory-source=y\0");
    REFUSED("\0");
}

static void any_bytes(void)
{
    static const char *const pieces[] = {"module=", "argument=", "directory=", "directory-source=", "=", "x",
                                         "9",       "memory=",   "repeat="};
    srand(1);
    for (int round = 0; round < 20000; round++) {
        size_t size = 0;
        char *bytes = malloc(512);
        for (int i = rand() % 12; i > 0; i--) {
            const char *piece = pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)];
            memcpy(bytes + size, piece, strlen(piece));
            size += strlen(piece);
            if (rand() % 3)
                bytes[size++] = 0;
        }
        char *exact = malloc(size ? size : 1); /* so that reading past the end is seen */
        memcpy(exact, bytes, size);
        struct launch_description description;
        const char *message;
        if (parse(exact, size, &description, &message) == STATUS_OK)
            launch_description_release(&description);
        free(exact);
        free(bytes);
    }
}

int main(void)
{
    linux_platform_initialize();
    cpu_initialize();
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);
    every_field();
    refusals();
    any_bytes();
    kernel_heap_statistics(&after);
    CHECK(after.blocks == before.blocks);
    return checks_report();
}
