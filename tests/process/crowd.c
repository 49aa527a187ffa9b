/* Very many programs, each /bin/idle.wasm:
 *
 *     crowd alive COUNT    at once: what the machine uses for each, its own pages included; then all are killed
 *     crowd lives COUNT    one after another: memory after a tenth of them and after all
 *
 * Needs the handle of the system. Prints one line; the exit status is not 0 when something was refused. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"

static uint32_t module;

_Noreturn static void fail(const char *what, int32_t status)
{
    printf("FAIL %s: %d\n", what, (int)status);
    exit(1);
}

static uint32_t required(const char *what, int32_t status)
{
    if (status < 0) {
        fail(what, status);
    }
    return (uint32_t)status;
}

/* A program with little of everything. */
static uint32_t start(const uint32_t *handles, uint32_t count)
{
    static const char text[] =
        "name=idle\0argument=idle\0objects=4096\0handles=2\0threads=1\0handle=started\0handle=never";
    uint32_t length = sizeof(text) - (count ? 0 : sizeof("handle=started\0handle=never"));
    uint32_t process = required("process_create", tessera_process_create(module, text, length, handles, count));
    required("process_start", tessera_process_start(process));
    return process;
}

static void wait_for(uint32_t handle, uint32_t signal)
{
    required("wait_one", tessera_wait_one(handle, signal, TESSERA_FOREVER));
}

static uint32_t duplicate(uint32_t handle)
{
    return required("handle_duplicate", tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME));
}

static uint64_t used(uint32_t *blocks)
{
    struct tessera_system_information information;
    required("system_information", tessera_system_information(TESSERA_SYSTEM, &information, sizeof(information)));
    *blocks = information.heap_blocks;
    return information.memory_used_bytes;
}

static void live(void)
{
    uint32_t process = start(NULL, 0);
    wait_for(process, TESSERA_SIGNAL_EXITED);
    tessera_handle_close(process);
}

static void alive(uint32_t count)
{
    uint32_t *processes = calloc(count, sizeof(*processes)), blocks[3];
    uint32_t never = required("event_create", tessera_event_create(0)),
             started = required("event_create", tessera_event_create(0));
    memset(processes, 1, count * sizeof(*processes)); /* its pages are there before the count */
    live();
    uint64_t before = used(&blocks[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t handles[] = {duplicate(started), duplicate(never)};
        processes[i] = start(handles, 2);
        wait_for(started, TESSERA_SIGNAL_SIGNALED);
        tessera_event_clear(started);
    }
    uint64_t during = used(&blocks[1]);
    for (uint32_t i = 0; i < count; i++) {
        required("process_kill", tessera_process_kill(processes[i]));
        wait_for(processes[i], TESSERA_SIGNAL_EXITED);
        tessera_handle_close(processes[i]);
    }
    uint64_t after = used(&blocks[2]);
    printf("%u alive: %llu bytes and %u blocks each; %lld bytes and %d blocks left\n", (unsigned)count,
           (unsigned long long)(during - before) / count, (unsigned)(blocks[1] - blocks[0]) / (unsigned)count,
           (long long)(after - before), (int)(blocks[2] - blocks[0]));
}

static void lives(uint32_t count)
{
    uint32_t blocks[2];
    uint64_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        live();
        if (i == count / 10) {
            first = used(&blocks[0]);
        }
    }
    uint64_t last = used(&blocks[1]);
    printf("%u lives: %llu bytes and %u blocks after a tenth, %llu and %u after all\n", (unsigned)count,
           (unsigned long long)first, (unsigned)blocks[0], (unsigned long long)last, (unsigned)blocks[1]);
}

int main(int argc, char **argv)
{
    static const char path[] = "/bin/idle.wasm";
    if (argc != 3) {
        fail("arguments", argc);
    }
    module = required("module_load", tessera_module_load(path, sizeof(path) - 1));
    uint32_t count = (uint32_t)atoi(argv[2]);
    if (strcmp(argv[1], "alive") == 0) {
        alive(count);
    } else {
        lives(count);
    }
    return 0;
}
