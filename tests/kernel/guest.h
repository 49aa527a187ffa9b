/* For the tests of this folder: the guests that the build made of tests/guests. */
#ifndef TESTS_KERNEL_GUEST_H
#define TESTS_KERNEL_GUEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance.h"
#include "kernel/process.h"
#include "platform/linux/linux.h"

/* The program's own path: the guests are in ../../guests of its folder. */
static const char *guest_program;

/* A test that wants more says so before guest_initialize. A CPU that starts, when a thread waited for it, takes memory for
 * good: tests that compare what is in use before and after have one. */
static uint32_t guest_cpus = 1;

static inline void guest_initialize(char **argv)
{
    guest_program = argv[0];
    linux_platform_initialize();
    linux_set_cpu_count(guest_cpus);
    cpu_initialize();
}

/* The bytes of one guest; ends the test when there is none. */
static inline uint8_t *guest_bytes(const char *name, size_t *size)
{
    char path[4096];
    const char *slash = strrchr(guest_program, '/');
    int folder = slash ? (int)(slash - guest_program) : 1;
    snprintf(path, sizeof path, "%.*s/../../guests/%s.wasm", folder, slash ? guest_program : ".", name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    if (!file || !bytes) {
        printf("FAIL %s: cannot be read\n", path);
        exit(1);
    }
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static inline struct compiled_module *guest_compile(const char *name, uint8_t **bytes)
{
    struct compiled_module *module;
    struct engine_error error;
    size_t size;
    *bytes = guest_bytes(name, &size);
    enum status status = compiled_module_create(*bytes, size, name, &module, &error);
    if (status != STATUS_OK) {
        printf("FAIL %s: %s: %s\n", name, status_text(status), error.message);
        exit(1);
    }
    return module;
}

/* With at most 16 imports, each found by `resolve`; ends the test when one is missing. */
static inline struct instance *guest_instantiate(struct process *process, struct compiled_module *module,
                                                 bool (*resolve)(const struct import *, struct external *))
{
    struct external imports[16];
    struct instance *instance = NULL;
    struct link_error error = {{0}};
    enum trap trap;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < module->module->import_count && status == STATUS_OK; i++)
        status = i < 16 && resolve(&module->module->imports[i], &imports[i]) ? STATUS_OK : STATUS_UNLINKABLE;
    if (status == STATUS_OK)
        status = instance_create(process, module, imports, &instance, &trap, &error);
    if (status != STATUS_OK) {
        printf("FAIL no instance: %s: %s\n", status_text(status), error.message);
        exit(1);
    }
    return instance;
}

/* The exported function of this name; ends the test when there is none. */
static inline uint32_t guest_function(struct instance *instance, const char *name)
{
    struct external external;
    if (!instance_find_export(instance, name, strlen(name), &external) || external.kind != EXTERNAL_FUNCTION) {
        printf("FAIL no function %s\n", name);
        exit(1);
    }
    return external.function;
}

#endif
