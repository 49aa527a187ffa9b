/* Imports: finding host functions by name, and comparing what is offered with what is asked for. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/service.h"
#include "kernel/type_registry.h"

/* A list in a message: what does not fit is counted. */
struct listing {
    struct link_error *error;
    size_t length;
    uint32_t left_out;
};

#define LISTING_END_BYTES 24 /* room for " and 4294967295 more" */

static void listing_begin(struct listing *listing, struct link_error *error, const char *title)
{
    *listing = (struct listing){error, format_text(error->message, sizeof(error->message), "%s", title), 0};
}

static size_t append(char *line, size_t size, size_t length, const char *text)
{
    return length + format_text(line + min_u64(length, size), size - min_u64(length, size), "%s", text);
}

/* "(i32, i64) -> i32" */
static void describe_function(char *text, size_t size, const struct function_type *type)
{
    char buffer[24];
    size_t length = append(text, size, 0, "(");
    for (uint32_t i = 0; i < type->parameter_count + type->result_count; i++) {
        if (i == type->parameter_count) {
            length = append(text, size, length, ") -> ");
        } else if (i) {
            length = append(text, size, length, ", ");
        }
        length = append(text, size, length, value_type_text(type->types[i], buffer));
    }
    append(text, size, length, type->result_count ? "" : ")");
}

static void describe_limits(char *text, size_t size, const char *kind, const struct limits *limits)
{
    size_t length = format_text(text, size, " %s%s %s%llu", limits->shared ? "shared " : "", kind,
                                limits->is_64 ? "i64 " : "", (unsigned long long)limits->minimum);
    if (limits->has_maximum && length < size) {
        format_text(text + length, size - length, " to %llu", (unsigned long long)limits->maximum);
    }
}

static void describe_import(char *text, size_t size, const struct module *module, const struct import *import)
{
    char buffer[24];
    text[0] = 0;
    switch (import->kind) {
    case EXTERNAL_FUNCTION:
        describe_function(text, size, &module->types[module->functions[import->index].type]);
        break;
    case EXTERNAL_TABLE:
        describe_limits(text, size, "table", &module->tables[import->index].type.limits);
        break;
    case EXTERNAL_MEMORY:
        describe_limits(text, size, "memory", &module->memories[import->index].limits);
        break;
    case EXTERNAL_GLOBAL:
        format_text(text, size, " global %s%s", module->globals[import->index].type.mutable_ ? "mut " : "",
                    value_type_text(module->globals[import->index].type.value, buffer));
        break;
    case EXTERNAL_TAG:
        append(text, size, 0, " tag ");
        describe_function(text + 5, size - 5, &module->types[module->tags[import->index]]);
        break;
    }
}

/* Names are of the guest's choosing: what is not printable ASCII is shown as '?'. */
static void copy_name(char *text, size_t size, const struct name *name)
{
    size_t length = min_u64(name->length, size - 1);
    for (size_t i = 0; i < length; i++) {
        text[i] = name->text[i] >= ' ' && name->text[i] <= '~' ? name->text[i] : '?';
    }
    text[length] = 0;
}

static void listing_add(struct listing *listing, const struct module *module, const struct import *import)
{
    char module_name[64], field_name[96], type[96], line[280];
    copy_name(module_name, sizeof(module_name), &import->module);
    copy_name(field_name, sizeof(field_name), &import->field);
    describe_import(type, sizeof(type), module, import);
    size_t length = format_text(line, sizeof(line), " %s.%s%s", module_name, field_name, type);
    if (listing->left_out || listing->length + length + LISTING_END_BYTES > sizeof(listing->error->message)) {
        listing->left_out++;
        return;
    }
    listing->length += format_text(listing->error->message + listing->length,
                                   sizeof(listing->error->message) - listing->length, "%s;", line);
}

static void listing_end(struct listing *listing)
{
    char *end = listing->error->message + listing->length;
    size_t room = sizeof(listing->error->message) - listing->length;
    if (listing->left_out) {
        format_text(end, room, " and %u more", listing->left_out);
    } else {
        end[-1] = 0; /* the last semicolon */
    }
}

/* As wasi-threads has it: made for the program, and the same for each of its threads. */
static enum status link_shared_memory(struct process *process, const struct memory_type *type, struct external *result,
                                      struct link_error *error)
{
    enum status status = memory_create(process, type, result);
    if (status != STATUS_OK) {
        format_text(error->message, sizeof(error->message), "its shared memory: %s", status_text(status));
    }
    return status;
}

/* Names are looked up once for a module, not for each instance. */
static enum status find_host_function(const struct compiled_module *compiled, uint32_t index, uint32_t *number)
{
    const struct module *module = compiled->module;
    const struct import *import = &module->imports[index];
    *number = __atomic_load_n(&compiled->host_functions[index], __ATOMIC_ACQUIRE);
    if (*number) {
        return STATUS_OK;
    }
    enum status status = host_function_find(&import->module, &import->field,
                                            &module->types[module->functions[import->index].type], number);
    if (status == STATUS_OK) {
        __atomic_store_n(&compiled->host_functions[index], *number, __ATOMIC_RELEASE);
    }
    return status;
}

static enum status link_function(struct process *process, const struct compiled_module *compiled, uint32_t index,
                                 struct external *result, struct link_error *error)
{
    uint32_t number;
    enum status status = find_host_function(compiled, index, &number);
    if (status == STATUS_NOT_FOUND) {
        return service_link(process, compiled, index, result, error->message, sizeof(error->message));
    }
    uint32_t reference = status == STATUS_OK ? process_host_reference(process, number) : 0;
    if (!reference) {
        format_text(error->message, sizeof(error->message), "no room for host functions");
        return status == STATUS_OK ? STATUS_LIMIT : status;
    }
    *result = (struct external){.kind = EXTERNAL_FUNCTION, .function = reference};
    return STATUS_OK;
}

static enum status link_import(struct process *process, const struct compiled_module *compiled, uint32_t index,
                               struct external *result, struct link_error *error)
{
    const struct import *import = &compiled->module->imports[index];
    if (import->kind == EXTERNAL_MEMORY && compiled->module->memories[import->index].limits.shared) {
        return link_shared_memory(process, &compiled->module->memories[import->index], result, error);
    }
    return import->kind == EXTERNAL_FUNCTION ? link_function(process, compiled, index, result, error)
                                             : STATUS_NOT_FOUND;
}

enum status link_host_imports(struct process *process, const struct compiled_module *compiled,
                              struct external **imports, struct link_error *error)
{
    const struct module *module = compiled->module;
    struct listing missing;
    struct link_error listed, other;
    bool complete = true;
    listing_begin(&missing, &listed, "imports that nothing here provides:");
    *imports = arena_allocate_array(&process->arena, max_u64(module->import_count, 1), sizeof(**imports));
    if (!*imports) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < module->import_count; i++) {
        enum status status = link_import(process, compiled, i, &(*imports)[i], &other);
        if (status == STATUS_NOT_FOUND) {
            listing_add(&missing, module, &module->imports[i]);
            complete = false;
        } else if (status != STATUS_OK) {
            *error = other;
            return status == STATUS_INVALID ? STATUS_UNLINKABLE : status;
        }
    }
    if (!complete) {
        listing_end(&missing);
        *error = listed;
        return STATUS_UNLINKABLE;
    }
    error->message[0] = 0;
    return STATUS_OK;
}

/* Limits of what is offered, with its present size, against those asked for (spec 3.4.1). */
static bool limits_match(uint64_t size, const struct limits *offered, const struct limits *wanted)
{
    return offered->is_64 == wanted->is_64 && offered->shared == wanted->shared && size >= wanted->minimum &&
           (!wanted->has_maximum || (offered->has_maximum && offered->maximum <= wanted->maximum));
}

static bool import_matches(struct process *process, const struct compiled_module *compiled, const struct import *import,
                           const struct external *offered)
{
    const struct module *module = compiled->module;
    if (offered->kind != import->kind) {
        return false;
    }
    switch (import->kind) {
    case EXTERNAL_FUNCTION:
        return type_number_matches(process->references[offered->function].signature,
                                   compiled->signatures[module->functions[import->index].type]);
    case EXTERNAL_TABLE: {
        const struct table_type *wanted = &module->tables[import->index].type;
        return offered->table->type.element == type_translate(compiled->signatures, wanted->element) &&
               limits_match(offered->table->slot->length, &offered->table->type.limits, &wanted->limits);
    }
    case EXTERNAL_MEMORY: {
        const struct memory_type *type = &offered->memory->type, *wanted = &module->memories[import->index];
        return type->byte_pages == wanted->byte_pages &&
               limits_match(offered->memory->bytes / memory_page_bytes(type), &type->limits, &wanted->limits);
    }
    case EXTERNAL_GLOBAL: {
        const struct global_type *wanted = &module->globals[import->index].type;
        value_type value = type_translate(compiled->signatures, wanted->value);
        return offered->global->type.mutable_ == wanted->mutable_ &&
               (wanted->mutable_ ? offered->global->type.value == value
                                 : type_matches(offered->global->type.value, value));
    }
    case EXTERNAL_TAG:
        return offered->tag->signature == compiled->signatures[module->tags[import->index]];
    }
    return false;
}

enum status link_check_imports(struct process *process, const struct compiled_module *module,
                               const struct external *imports, struct link_error *error)
{
    struct listing wrong;
    bool matches = true;
    listing_begin(&wrong, error, "incompatible imports, wanted:");
    for (uint32_t i = 0; i < module->module->import_count; i++) {
        if (!import_matches(process, module, &module->module->imports[i], &imports[i])) {
            listing_add(&wrong, module->module, &module->module->imports[i]);
            matches = false;
        }
    }
    if (!matches) {
        listing_end(&wrong);
        return STATUS_UNLINKABLE;
    }
    error->message[0] = 0;
    return STATUS_OK;
}
