/* Compiled modules behind handles. */
#ifndef KERNEL_MODULE_OBJECT_H
#define KERNEL_MODULE_OBJECT_H

#include "kernel/object.h"

struct compiled_module;

/* Takes over the reference to the module, even when it fails. `size` bytes of module are charged, and MODULE_BYTES_LEAST. */
enum status module_object_create(struct account *account, struct compiled_module *module, size_t size,
                                 struct object **result);
/* As long as the object lives. */
struct compiled_module *module_object_module(struct object *object);

#endif
