/* What a module says about services: which of its imports are functions of interfaces written in WIT, and which of its
 * exports are. Made once when the module is compiled, and not changed afterwards.
 *
 * An import "namespace:package/interface" "function" and an export "namespace:package/interface#function" are such
 * functions when the module's sections "component-type" (engine/component/types.h) say what they are. */
#ifndef KERNEL_SERVICE_MODULE_H
#define KERNEL_SERVICE_MODULE_H

#include "engine/component/plan.h"
#include "kernel/status.h"

#define SERVICE_FUNCTIONS_MAXIMUM 256 /* imports, and exports, of a module */

struct service_function {
    const struct component_function *function;
    struct name interface;
    uint32_t index; /* of the import in module.imports, or of the exported function */
    uint32_t post;  /* exports: the function that frees the result; UINT32_MAX: none */
    uint32_t type;  /* its core type, in module.types; and there: */
    const struct function_type *core;
    const char *refusal; /* why it cannot be called; NULL: it can */
    struct component_call call;
    /* Imports: the result's error has a case "unavailable", which is given when the service does not answer. */
    bool has_unavailable;
    uint32_t unavailable;        /* number of the case */
    uint32_t unavailable_bytes;  /* of that number, */
    uint32_t unavailable_offset; /* at this place of the result */
};

struct service_module {
    struct component_types *types;
    struct service_function *imports, *exports;
    uint32_t import_count, export_count;
    uint32_t reallocate; /* function cabi_realloc; UINT32_MAX: none */
    char refusal[160];   /* why the sections could not be read; "" */
};

/* NULL in `*result`: nothing in the module has to do with services. STATUS_NO_MEMORY. */
enum status service_module_create(const struct module *module, struct service_module **result);
void service_module_destroy(struct service_module *services); /* NULL is allowed */
/* Does a service offer what a client imports? False, with the reason in `message`, when it has no such function, or one
 * of another type. */
bool service_module_offers(const struct service_module *service, const struct service_function *import, char *message,
                           size_t size);
/* The function that an import is, or NULL. */
const struct service_function *service_module_import(const struct service_module *services, uint32_t import);

#endif
