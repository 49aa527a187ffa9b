/* Compiled modules that are the same for all who bring the same bytes. Those that nobody uses are kept for a while. */
#ifndef KERNEL_MODULE_CACHE_H
#define KERNEL_MODULE_CACHE_H

#include "kernel/instance.h"

/* As compiled_module_create, but the module has copies of bytes and name, and one that was made of the same bytes under
 * the same name serves again. Ends with compiled_module_release. */
enum status compiled_module_share(const uint8_t *bytes, size_t size, const char *name, struct compiled_module **result,
                                  struct engine_error *error);

/* Give up what nobody uses. */
void module_cache_trim(void);

/* For compiled_module_release: drop a reference to a module that has `shared`. */
void module_cache_release(struct compiled_module *module);

#endif
