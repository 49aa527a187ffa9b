/* For the tests of this folder: memory that is counted, and modules from bytes. */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include <stdlib.h>
#include <string.h>

#include "engine/module.h"
#include "engine/validate.h"
#include "tests/kernel/check.h"

static size_t memory_outstanding; /* bytes allocated and not released */
static unsigned memory_refuse_at; /* the allocation of that number fails, counted down; 0 for none */

static inline void *memory_allocate(void *context, size_t bytes)
{
    (void)context;
    if (memory_refuse_at > 0 && --memory_refuse_at == 0) {
        return NULL;
    }
    memory_outstanding += bytes;
    void *memory = malloc(bytes);
    return memory == NULL ? NULL : memset(memory, 0xa5, bytes);
}

static inline void memory_release(void *context, void *memory, size_t bytes)
{
    (void)context;
    memory_outstanding -= bytes;
    free(memory);
}

static const struct engine_allocator test_allocator = {NULL, memory_allocate, memory_release, NULL};

/* Decode and validate everything; the module is released. */
static inline enum engine_status check_module(const uint8_t *bytes, size_t size, struct engine_error *error)
{
    struct module *module;
    *error = (struct engine_error){0};
    enum engine_status status = module_decode(bytes, size, &test_allocator, &module, error);
    if (status != ENGINE_OK) {
        return status;
    }
    struct validator *validator = validator_create(&test_allocator);
    for (uint32_t i = module->function_import_count; i < module->function_count && status == ENGINE_OK; i++) {
        struct function_summary summary;
        status = function_validate(validator, module, i, &summary, error);
    }
    validator_destroy(validator);
    module_release(module);
    return status;
}

#define PREAMBLE "\0asm\1\0\0\0"

#endif
