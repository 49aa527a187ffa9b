/* Compiled modules. */
#include "kernel/module_object.h"

#include "abi/tessera/description.h"
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "engine/limits.h"
#include "kernel/heap.h"
#include "kernel/launch_description.h"
#include "kernel/module_cache.h"

#define PATH_BYTES 1024

static int32_t share(struct instance *instance, const uint8_t *bytes, size_t size, const char *name)
{
    struct compiled_module *module;
    struct engine_error error;
    struct object *object = NULL;
    enum status status = compiled_module_share(bytes, size, name, &module, &error);
    if (status == STATUS_OK) {
        status = module_object_create(instance->process->account, module, size, &object);
    }
    return caller_give(instance, status, object);
}

/* The bytes are copied first: the caller's other threads could change them while they are read. */
int32_t host_module_create(struct instance *instance, uint32_t bytes, uint32_t length)
{
    const void *from = instance_memory_required(instance, bytes, length, "module_create: bytes");
    if (length > ENGINE_LIMIT_MODULE_BYTES) {
        return -TESSERA_EMODULE;
    }
    uint8_t *copy = kernel_allocate(length);
    if (!copy) {
        return -TESSERA_ENOMEMORY;
    }
    int32_t result = -TESSERA_ENOMEMORY;
    if (caller_copy(copy, from, length)) {
        result = share(instance, copy, length, "module");
    }
    kernel_free(copy, length);
    return result;
}

int32_t host_module_load(struct instance *instance, uint32_t path, uint32_t length)
{
    const struct launch *launch = process_launch(instance->process);
    char text[PATH_BYTES];
    const void *from = instance_memory_required(instance, path, length, "module_load: path");
    if (length >= sizeof(text) || !launch) {
        return launch ? -TESSERA_EINVALID : -TESSERA_ENOTFOUND;
    }
    memcpy(text, from, length);
    text[length] = 0;
    uint8_t *bytes;
    size_t size;
    enum status status = module_file_read(launch, text, &bytes, &size);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    int32_t result = share(instance, bytes, size, launch_last_component(text));
    kernel_free(bytes, size);
    return result;
}
