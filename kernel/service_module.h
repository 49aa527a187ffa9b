/* What a module says about services: which of its imports are functions of interfaces written in WIT, and which of its
 * exports are. Made once when the module is compiled, and not changed afterwards.
 *
 * An import "namespace:package/interface" "function" and an export "namespace:package/interface#function" are such
 * functions when the module's sections "component-type" (engine/component/types.h) say what they are.
 *
 * For resources there are the imports "[resource-drop]R" of the interface that has the resource R; and for who exports
 * that interface, "[resource-new]R", "[resource-rep]R" and "[resource-drop]R" of the module "[export]interface", and
 * the export "interface#[dtor]R" (kernel/service_resource.h). */
#ifndef KERNEL_SERVICE_MODULE_H
#define KERNEL_SERVICE_MODULE_H

#include "engine/component/plan.h"
#include "kernel/status.h"

#define SERVICE_FUNCTIONS_MAXIMUM 256 /* imports, and exports, of a module */
#define SERVICE_SHORT_BYTES       80

struct service_function {
    const struct component_function *function;
    struct name interface;
    uint32_t index; /* of the import in module.imports, or of the exported function */
    uint32_t post;  /* exports: the function that frees the result; UINT32_MAX: none */
    uint32_t type;  /* its core type, in module.types; and there: */
    const struct function_type *core;
    const char *refusal; /* why it cannot be called; NULL: it can */
    struct component_call call;
    bool is_short; /* scalars, and a result of a fixed size, at most SERVICE_SHORT_BYTES; no handles */
    bool numbers;  /* and they are all numbers in registers, of which any will do */
    /* Imports: the cases of the result's error that are given when the service does not answer. NO_CASE: there is none.
     */
    uint32_t unavailable, timed_out;
    uint32_t case_bytes;  /* of their numbers, */
    uint32_t case_offset; /* at this place of the result */
};
#define SERVICE_NO_CASE UINT32_MAX

/* A resource of an interface that the module exports. */
struct service_resource {
    const struct component_resource *type;
    uint32_t destructor; /* function; UINT32_MAX: none */
};

/* An import that does something with a resource. */
enum service_intrinsic_kind { SERVICE_DROP, SERVICE_NEW, SERVICE_REPRESENTATION, SERVICE_DROP_OWN };
struct service_intrinsic {
    enum service_intrinsic_kind kind;
    uint32_t index; /* of the import in module.imports */
    uint32_t type;  /* its core type, in module.types */
    const struct component_resource *resource;
    const struct service_resource *own; /* NULL: it is another module's; then SERVICE_DROP */
};

struct service_module {
    struct component_types *types;
    struct service_function *imports, *exports;
    uint32_t import_count, export_count;
    struct service_intrinsic *intrinsics;
    struct service_resource *resources;
    uint32_t intrinsic_count, resource_count;
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
const struct service_intrinsic *service_module_intrinsic(const struct service_module *services, uint32_t import);
/* Is it a resource for handles of the kernel (interfaces/kernel.wit)? Else it is one that a service defines. */
bool service_resource_is_kernel(const struct component_resource *resource);

#endif
