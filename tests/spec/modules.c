/* Loading and linking the modules of a script: see modules.h. */
#include "tests/spec/modules.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/process.h"

#define IMPORTS_MAXIMUM 256

bool suite_process_create(struct suite_process *suite, uint64_t memory_limit)
{
    memset(suite, 0, sizeof(*suite));
    if (process_create("spec", memory_limit, &suite->process) != STATUS_OK)
        return false;
    return spectest_create(suite->process, &suite->spectest) == STATUS_OK;
}

void suite_process_destroy(struct suite_process *suite)
{
    if (suite->process)
        process_destroy(suite->process);
    for (uint32_t i = 0; i < suite->module_count; i++)
        if (suite->modules[i].compiled)
            compiled_module_release(suite->modules[i].compiled);
}

static bool names_equal(struct name a, struct name b)
{
    return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

struct suite_module *suite_compile(struct suite_process *suite, struct name name, struct name bytes,
                                   struct suite_outcome *outcome)
{
    *outcome = (struct suite_outcome){.kind = SUITE_OK};
    if (suite->module_count == SUITE_MODULES_MAXIMUM) {
        *outcome = (struct suite_outcome){.kind = SUITE_BROKEN, .message = "too many modules"};
        return NULL;
    }
    struct suite_module *module = &suite->modules[suite->module_count++];
    module->name = name;
    struct engine_error error = {0};
    enum status status =
        compiled_module_create((const uint8_t *)bytes.text, bytes.length, "spec", &module->compiled, &error);
    if (status == STATUS_OK)
        return module;
    module->compiled = NULL;
    outcome->status = error.status;
    format_text(outcome->message, sizeof(outcome->message), "%s", error.message);
    outcome->kind = status == STATUS_BAD_MODULE && error.status != ENGINE_NO_MEMORY ? SUITE_REFUSED : SUITE_BROKEN;
    if (outcome->kind == SUITE_REFUSED && error.status == ENGINE_UNSUPPORTED) {
        outcome->kind = SUITE_FEATURE;
        outcome->feature = module->feature = error.feature;
    }
    return module;
}

static bool resolve(struct suite_process *suite, struct suite_module *module, const struct import *import,
                    struct external *result, struct suite_outcome *outcome)
{
    if (names_equal(import->module, (struct name){"spectest", 8})) {
        if (spectest_find(&suite->spectest, import->field, result))
            return true;
    } else {
        for (uint32_t i = suite->registration_count; i-- > 0;) {
            const struct suite_module *exporter = suite->registrations[i].module;
            if (!names_equal(suite->registrations[i].name, import->module))
                continue;
            if (exporter->feature) {
                outcome->kind = SUITE_FEATURE;
                outcome->feature = module->feature = exporter->feature;
                return false;
            }
            if (exporter->instance &&
                instance_find_export(exporter->instance, import->field.text, import->field.length, result))
                return true;
            break;
        }
    }
    outcome->kind = SUITE_UNLINKABLE;
    format_text(outcome->message, sizeof(outcome->message), "unknown import %.*s.%.*s", (int)import->module.length,
                import->module.text, (int)import->field.length, import->field.text);
    return false;
}

void suite_instantiate(struct suite_process *suite, struct suite_module *module, struct suite_outcome *outcome)
{
    struct external imports[IMPORTS_MAXIMUM];
    const struct module *decoded = module->compiled->module;
    *outcome = (struct suite_outcome){.kind = SUITE_OK};
    if (decoded->import_count > IMPORTS_MAXIMUM) {
        *outcome = (struct suite_outcome){.kind = SUITE_BROKEN, .message = "too many imports"};
        return;
    }
    for (uint32_t i = 0; i < decoded->import_count; i++)
        if (!resolve(suite, module, &decoded->imports[i], &imports[i], outcome))
            return;
    struct link_error error = {{0}};
    struct instance *instance = NULL;
    enum status status = instance_create(suite->process, module->compiled, imports, &instance, &outcome->trap, &error);
    if (status == STATUS_OK) {
        module->instance = instance;
        outcome->trap = instance_start(instance);
        if (outcome->trap != TRAP_NONE) {
            outcome->kind = SUITE_TRAPPED;
            module->instance = NULL;
        }
        return;
    }
    outcome->kind = status == STATUS_TRAPPED      ? SUITE_TRAPPED
                    : status == STATUS_UNLINKABLE ? SUITE_UNLINKABLE
                                                  : SUITE_BROKEN;
    format_text(outcome->message, sizeof(outcome->message), "%s: %s", status_text(status), error.message);
}

struct suite_module *suite_find(struct suite_process *suite, struct name name)
{
    if (name.length == 0)
        return suite->current;
    for (uint32_t i = suite->module_count; i-- > 0;)
        if (names_equal(suite->modules[i].name, name))
            return &suite->modules[i];
    return NULL;
}

bool suite_register(struct suite_process *suite, struct name name, struct suite_module *module)
{
    if (suite->registration_count == SUITE_REGISTRATIONS_MAXIMUM)
        return false;
    suite->registrations[suite->registration_count].name = name;
    suite->registrations[suite->registration_count++].module = module;
    return true;
}
