#include "kernel/service_module.h"

#include "engine/format.h"
#include "kernel/heap.h"
#include "kernel/instance.h"

#define RESOURCE_INTERFACE "tessera:kernel/handles"
#define CANDIDATES_MAXIMUM 1024 /* imports and exports that are looked up, each in time linear in the interfaces */

static bool name_has(struct name name, char character)
{
    for (uint32_t i = 0; i < name.length; i++) {
        if (name.text[i] == character) {
            return true;
        }
    }
    return false;
}

/* Interfaces have a package, other modules do not: "wasi_snapshot_preview1". */
static bool import_is_candidate(const struct import *import)
{
    return import->kind == EXTERNAL_FUNCTION && name_has(import->module, ':');
}

/* "namespace:package/interface#function"; those of the tools begin with "cabi_post_". */
static bool export_is_candidate(const struct export *export, struct name *interface, struct name *function)
{
    if (export->kind != EXTERNAL_FUNCTION) {
        return false;
    }
    for (uint32_t i = 0; i < export->field.length; i++) {
        if (export->field.text[i] == '#') {
            *interface = (struct name){export->field.text, i};
            *function = (struct name){export->field.text + i + 1, export->field.length - i - 1};
            return true;
        }
    }
    return false;
}

static bool type_is(const struct module *module, uint32_t type, const struct function_type *wanted)
{
    return module->defined_types[type].kind == DEFINED_FUNCTION && function_type_equal(&module->types[type], wanted);
}

/* ---- One function ---- */
/* Does the module get something that takes room in its memory? */
static bool needs_room(const struct component_call *call, enum component_role role)
{
    return role == COMPONENT_IMPORTED ? call->result.has_pointers
                                      : call->parameters.has_pointers || call->parameters.in_memory;
}

bool service_resource_is_kernel(const struct component_resource *resource)
{
    static const struct name handles = {RESOURCE_INTERFACE, sizeof(RESOURCE_INTERFACE) - 1};
    return component_name_equal(resource->interface, handles);
}

/* Those of a world itself belong to nobody. */
static bool has_homeless_resources(const struct component_call *call)
{
    for (uint32_t i = 0; i < call->parameters.step_count; i++) {
        const struct component_resource *resource = call->parameters.steps[i].resource;
        if (resource && !resource->identity) {
            return true;
        }
    }
    return false;
}

static const char *check_function(const struct module *module, const struct service_function *function,
                                  enum component_role role)
{
    value_type types[COMPONENT_FLAT_PARAMETERS + 2];
    struct function_type wanted;
    if (!function->function->usable) {
        return "it has a type that cannot be passed";
    }
    component_core_type(function->function, role, types, &wanted);
    if (!type_is(module, function->type, &wanted)) {
        return "its core type is not the one that its type in WIT has";
    }
    if (module->memory_count && module->memories[0].limits.is_64) {
        return "memories with 64-bit addresses have no services";
    }
    return NULL;
}

/* A case without a value. */
static uint32_t find_case(const struct component_type *type, const char *text, uint32_t length)
{
    for (uint32_t i = 0; type && component_kind_has_cases(type->kind) && i < type->field_count; i++) {
        if (component_name_equal(type->fields[i].name, (struct name){text, length}) && !type->fields[i].type) {
            return i;
        }
    }
    return SERVICE_NO_CASE;
}

/* Has the result's error cases for a service that does not answer? */
static void find_error_cases(struct service_function *function)
{
    const struct component_type *result = function->function->result;
    const struct component_type *error = result && result->kind == COMPONENT_RESULT ? result->fields[1].type : NULL;
    function->unavailable = find_case(error, "unavailable", 11);
    function->timed_out = find_case(error, "timed-out", 9);
    if (function->timed_out == SERVICE_NO_CASE) {
        function->timed_out = function->unavailable;
    }
    function->case_bytes = error ? component_discriminant_bytes(error) : 0;
    function->case_offset = result ? component_payload_offset(result) : 0;
}

/* What the making of one needs. */
struct maker {
    struct service_module *services;
    const struct module *module;
    struct component_planner *planner;
    uint32_t candidates_left; /* to be looked up */
};

static enum status complete(struct maker *maker, struct service_function *function, enum component_role role)
{
    const struct module *module = maker->module;
    struct service_module *services = maker->services;
    function->core = &module->types[function->type];
    function->refusal = check_function(module, function, role);
    if (function->refusal) {
        return STATUS_OK;
    }
    enum engine_status status =
        component_call_plan(maker->planner, function->function, &services->types->arena, &function->call);
    if (status == ENGINE_LIMIT) {
        function->refusal = "its type is too large";
    } else if (status == ENGINE_OK && has_homeless_resources(&function->call)) {
        function->refusal = "it has a resource that is of no interface";
    } else if (status == ENGINE_OK && services->reallocate == UINT32_MAX && needs_room(&function->call, role)) {
        function->refusal = "the module has no cabi_realloc";
    }
    const struct component_plan *parameters = &function->call.parameters, *result = &function->call.result;
    function->is_short = !function->refusal && parameters->scalars && !result->has_pointers && !result->has_handles &&
                         (!result->in_memory || result->bytes <= SERVICE_SHORT_BYTES);
    function->numbers = function->is_short && parameters->numbers && result->numbers;
    find_error_cases(function);
    return status == ENGINE_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_OK;
}

/* ---- All ---- */
static const struct component_function *find_function(struct maker *maker, const struct component_interface *interfaces,
                                                      uint32_t count, struct name interface, struct name function)
{
    if (maker->candidates_left == 0) {
        return NULL;
    }
    maker->candidates_left--;
    compiled_module_pause(NULL);
    return component_find_function(interfaces, count, interface, function);
}

/* The exported function INTERFACE#[dtor]RESOURCE: a function of an i32. */
static uint32_t find_destructor(const struct module *module, const struct component_resource *resource)
{
    static const value_type types[] = {VALUE_I32};
    static const struct function_type wanted = {types, 1, 0};
    char name[256];
    size_t length = format_text(name, sizeof(name), "%.*s#[dtor]%.*s", (int)resource->interface.length,
                                resource->interface.text, (int)resource->name.length, resource->name.text);
    const struct export *export = length < sizeof(name) ? module_find_export(module, name, length) : NULL;
    bool fits =
        export && export->kind == EXTERNAL_FUNCTION && type_is(module, module->functions[export->index].type, &wanted);
    return fits ? export->index : UINT32_MAX;
}

static enum status add_resources(struct maker *maker)
{
    struct service_module *services = maker->services;
    const struct component_types *types = services->types;
    uint32_t count = 0;
    for (uint32_t i = 0; i < types->export_count; i++) {
        count += types->exports[i].resource_count;
    }
    services->resources = arena_allocate_array(&services->types->arena, count, sizeof(*services->resources));
    for (uint32_t i = 0; services->resources && i < types->export_count; i++) {
        for (uint32_t j = 0; j < types->exports[i].resource_count; j++) {
            const struct component_resource *resource = types->exports[i].resources[j];
            services->resources[services->resource_count++] =
                (struct service_resource){resource, find_destructor(maker->module, resource)};
        }
    }
    return services->resources ? STATUS_OK : STATUS_NO_MEMORY;
}

static const struct service_resource *find_own(const struct service_module *services,
                                               const struct component_resource *type)
{
    for (uint32_t i = 0; i < services->resource_count; i++) {
        if (services->resources[i].type == type) {
            return &services->resources[i];
        }
    }
    return NULL;
}

static bool take_prefix(struct name *name, const char *prefix, uint32_t length)
{
    if (name->length < length || memcmp(name->text, prefix, length) != 0) {
        return false;
    }
    *name = (struct name){name->text + length, name->length - length};
    return true;
}

/* Fill in what the import is, but for `own`. False: it has nothing to do with resources. */
static bool read_intrinsic(const struct service_module *services, const struct import *import, bool *exported,
                           struct service_intrinsic *intrinsic)
{
    const struct component_types *types = services->types;
    struct name interface = import->module, resource = import->field;
    *exported = take_prefix(&interface, "[export]", 8);
    if (take_prefix(&resource, "[resource-drop]", 15)) {
        intrinsic->kind = *exported ? SERVICE_DROP_OWN : SERVICE_DROP;
    } else if (*exported && take_prefix(&resource, "[resource-new]", 14)) {
        intrinsic->kind = SERVICE_NEW;
    } else if (*exported && take_prefix(&resource, "[resource-rep]", 14)) {
        intrinsic->kind = SERVICE_REPRESENTATION;
    } else {
        return false;
    }
    intrinsic->resource =
        component_find_resource(*exported ? types->exports : types->imports,
                                *exported ? types->export_count : types->import_count, interface, resource);
    return intrinsic->resource != NULL;
}

static bool intrinsic_type_fits(const struct module *module, const struct service_intrinsic *intrinsic)
{
    static const value_type types[] = {VALUE_I32, VALUE_I32};
    bool has_result = intrinsic->kind == SERVICE_NEW || intrinsic->kind == SERVICE_REPRESENTATION;
    const struct function_type wanted = {types, 1, has_result};
    return type_is(module, intrinsic->type, &wanted);
}

/* True: the import is one. */
static bool add_intrinsic(struct maker *maker, uint32_t number)
{
    struct service_module *services = maker->services;
    const struct import *import = &maker->module->imports[number];
    struct service_intrinsic intrinsic = {.index = number};
    bool exported;
    compiled_module_pause(NULL);
    if (maker->candidates_left == 0 || !read_intrinsic(services, import, &exported, &intrinsic)) {
        return false;
    }
    maker->candidates_left--;
    intrinsic.type = maker->module->functions[import->index].type;
    intrinsic.own = exported ? find_own(services, intrinsic.resource) : NULL;
    if ((exported && !intrinsic.own) || !intrinsic_type_fits(maker->module, &intrinsic)) {
        return false;
    }
    services->intrinsics[services->intrinsic_count++] = intrinsic;
    return true;
}

static enum status add_imports(struct maker *maker)
{
    const struct module *module = maker->module;
    struct service_module *services = maker->services;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < module->import_count && status == STATUS_OK; i++) {
        const struct import *import = &module->imports[i];
        if (!import_is_candidate(import) ||
            (services->intrinsic_count < SERVICE_FUNCTIONS_MAXIMUM && add_intrinsic(maker, i))) {
            continue;
        }
        const struct component_function *found = find_function(
            maker, services->types->imports, services->types->import_count, import->module, import->field);
        if (found && services->import_count < SERVICE_FUNCTIONS_MAXIMUM) {
            struct service_function *function = &services->imports[services->import_count++];
            *function = (struct service_function){.function = found,
                                                  .interface = import->module,
                                                  .index = i,
                                                  .post = UINT32_MAX,
                                                  .type = module->functions[import->index].type};
            status = complete(maker, function, COMPONENT_IMPORTED);
        }
    }
    return status;
}

/* "cabi_post_" and the name of the export: a function of the result's core type. */
static uint32_t find_post(const struct module *module, const struct export *export)
{
    static const char prefix[] = "cabi_post_";
    char name[256];
    size_t length = format_text(name, sizeof(name), "%s%.*s", prefix, (int)min_u64(export->field.length, sizeof(name)),
                                export->field.text);
    const struct export *post = length < sizeof(name) ? module_find_export(module, name, length) : NULL;
    if (!post || post->kind != EXTERNAL_FUNCTION) {
        return UINT32_MAX;
    }
    const struct function_type *type = &module->types[module->functions[export->index].type];
    struct function_type wanted = {function_type_results(type), type->result_count, 0};
    return type_is(module, module->functions[post->index].type, &wanted) ? post->index : UINT32_MAX;
}

static enum status add_exports(struct maker *maker)
{
    const struct module *module = maker->module;
    struct service_module *services = maker->services;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < module->export_count && status == STATUS_OK; i++) {
        const struct export *export = &module->exports[i];
        struct name interface, name;
        const struct component_function *found =
            export_is_candidate(export, &interface, &name)
                ? find_function(maker, services->types->exports, services->types->export_count, interface, name)
                : NULL;
        if (found && services->export_count < SERVICE_FUNCTIONS_MAXIMUM) {
            struct service_function *function = &services->exports[services->export_count++];
            *function = (struct service_function){.function = found,
                                                  .interface = interface,
                                                  .index = export->index,
                                                  .post = find_post(module, export),
                                                  .type = module->functions[export->index].type};
            status = complete(maker, function, COMPONENT_EXPORTED);
        }
    }
    return status;
}

static void find_reallocate(struct service_module *services, const struct module *module)
{
    static const value_type types[] = {VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32};
    static const struct function_type wanted = {types, 4, 1};
    const struct export *export = module_find_export(module, "cabi_realloc", 12);
    services->reallocate = UINT32_MAX;
    if (export && export->kind == EXTERNAL_FUNCTION &&
        type_is(module, module->functions[export->index].type, &wanted)) {
        services->reallocate = export->index;
    }
}

static void count_candidates(const struct module *module, uint32_t *imports, uint32_t *exports)
{
    struct name interface, name;
    for (uint32_t i = 0; i < module->import_count; i++) {
        *imports += import_is_candidate(&module->imports[i]);
    }
    for (uint32_t i = 0; i < module->export_count; i++) {
        *exports += export_is_candidate(&module->exports[i], &interface, &name);
    }
}

/* The sections were read; the arrays are in their arena. */
static enum status fill(struct service_module *services, const struct module *module, uint32_t imports,
                        uint32_t exports)
{
    struct arena *arena = &services->types->arena;
    services->imports = arena_allocate_array(arena, imports, sizeof(*services->imports));
    services->exports = arena_allocate_array(arena, exports, sizeof(*services->exports));
    services->intrinsics = arena_allocate_array(arena, imports, sizeof(*services->intrinsics));
    if (!services->imports || !services->exports || !services->intrinsics) {
        return STATUS_NO_MEMORY;
    }
    find_reallocate(services, module);
    struct maker maker = {.services = services, .module = module, .candidates_left = CANDIDATES_MAXIMUM};
    maker.planner = component_planner_create(&kernel_engine_allocator);
    enum status status = maker.planner ? add_resources(&maker) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = add_imports(&maker);
    }
    if (status == STATUS_OK) {
        status = add_exports(&maker);
    }
    component_planner_destroy(maker.planner);
    return status;
}

enum status service_module_create(const struct module *module, struct service_module **result)
{
    uint32_t imports = 0, exports = 0;
    struct engine_error error = {0};
    *result = NULL;
    count_candidates(module, &imports, &exports);
    if (imports + exports == 0) {
        return STATUS_OK;
    }
    struct service_module *services = kernel_allocate_zeroed(sizeof(*services));
    if (!services) {
        return STATUS_NO_MEMORY;
    }
    enum engine_status read = component_types_decode(module, &kernel_engine_allocator, &services->types, &error);
    enum status status = read == ENGINE_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_OK;
    if (read == ENGINE_OK) {
        status = fill(services, module, (uint32_t)min_u64(imports, SERVICE_FUNCTIONS_MAXIMUM),
                      (uint32_t)min_u64(exports, SERVICE_FUNCTIONS_MAXIMUM));
    } else {
        format_text(services->refusal, sizeof(services->refusal), "%s", error.message);
    }
    if (status != STATUS_OK) {
        service_module_destroy(services);
        return status;
    }
    *result = services;
    return STATUS_OK;
}

void service_module_destroy(struct service_module *services)
{
    if (services) {
        component_types_release(services->types);
        kernel_free(services, sizeof(*services));
    }
}

const struct service_function *service_module_import(const struct service_module *services, uint32_t import)
{
    for (uint32_t i = 0; services && i < services->import_count; i++) {
        if (services->imports[i].index == import) {
            return &services->imports[i];
        }
    }
    return NULL;
}

const struct service_intrinsic *service_module_intrinsic(const struct service_module *services, uint32_t import)
{
    for (uint32_t i = 0; services && i < services->intrinsic_count; i++) {
        if (services->intrinsics[i].index == import) {
            return &services->intrinsics[i];
        }
    }
    return NULL;
}

bool service_module_offers(const struct service_module *service, const struct service_function *import, char *message,
                           size_t size)
{
    for (uint32_t i = 0; service && i < service->export_count; i++) {
        const struct service_function *export = &service->exports[i];
        if (component_name_equal(export->interface, import->interface) &&
            component_name_equal(export->function->name, import->function->name)) {
            if (export->refusal) {
                format_text(message, size, "%s", export->refusal);
                return false;
            }
            return component_functions_match(import->function, export->function, message, size);
        }
    }
    format_text(message, size, "the service has no such function");
    return false;
}
