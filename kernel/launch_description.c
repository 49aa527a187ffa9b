#include "kernel/launch_description.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/profile.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

/* One "key=value\0"; `value` points behind the first '='. */
struct field {
    const char *key;
    size_t key_length;
    const char *value;
};

/* The field at *offset, which moves behind it. False at the end; *message is set when the bytes there are none. */
static bool field_next(const uint8_t *bytes, size_t size, size_t *offset, struct field *field, const char **message)
{
    if (*offset == size) {
        return false;
    }
    size_t end = *offset;
    while (end < size && bytes[end]) {
        end++;
    }
    if (end == size) {
        *message = "the last field is not terminated";
        return false;
    }
    field->key = (const char *)bytes + *offset;
    field->key_length = 0;
    while (field->key[field->key_length] && field->key[field->key_length] != '=') {
        field->key_length++;
    }
    if (!field->key[field->key_length]) {
        *message = field->key;
        return false;
    }
    field->value = field->key + field->key_length + 1;
    *offset = end + 1;
    return true;
}

static bool key_is(const struct field *field, const char *key)
{
    return field->key_length == strlen(key) && memcmp(field->key, key, field->key_length) == 0;
}

static bool parse_number(const char *text, uint64_t *result)
{
    uint64_t value = 0;
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > (UINT64_MAX - (uint64_t)(*text - '0')) / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *result = value;
    return true;
}

static bool parse_bounded(const char *text, uint32_t maximum, uint32_t *result)
{
    uint64_t value;
    bool good = parse_number(text, &value) && value <= maximum;
    *result = good ? (uint32_t)value : 0;
    return good;
}

static bool parse_flag(const char *text, bool *result)
{
    *result = text[0] == '1';
    return (text[0] == '0' || text[0] == '1') && !text[1];
}

/* Store one field. The lists of `description` have room for all. False when it is not a field that we know. */
static bool field_store(struct launch_description *description, const struct field *field)
{
    if (key_is(field, "module")) {
        bool first = !description->module;
        description->module = field->value;
        return first && *field->value;
    }
    if (key_is(field, "name")) {
        description->name = field->value;
    } else if (key_is(field, "argument")) {
        description->arguments[description->argument_count++] = field->value;
    } else if (key_is(field, "environment")) {
        description->environment[description->environment_count++] = field->value;
    } else if (key_is(field, "directory")) {
        description->directories[description->directory_count++].guest_path = field->value;
    } else if (key_is(field, "directory-source")) {
        if (!description->directory_count || description->directories[description->directory_count - 1].source) {
            return false;
        }
        description->directories[description->directory_count - 1].source = field->value;
    } else if (key_is(field, "interface")) {
        description->interfaces[description->interface_count++] = field->value;
    } else if (key_is(field, "service")) {
        description->services[description->service_count++] = field->value;
    } else if (key_is(field, "handle")) {
        description->handles[description->handle_count++] = field->value;
    } else if (key_is(field, "handles")) {
        return parse_number(field->value, &description->handle_limit);
    } else if (key_is(field, "threads")) {
        return parse_number(field->value, &description->thread_limit);
    } else if (key_is(field, "objects")) {
        return parse_number(field->value, &description->object_limit);
    } else if (key_is(field, "priority")) {
        bool good = parse_bounded(field->value, PRIORITY_COUNT - 1, &description->priority_limit);
        description->priority_limit += good;
        return good;
    } else if (key_is(field, "share")) {
        return parse_number(field->value, &description->share);
    } else if (key_is(field, "memory")) {
        return parse_number(field->value, &description->memory_limit);
    } else if (key_is(field, "timeout")) {
        return parse_number(field->value, &description->timeout_nanoseconds);
    } else if (key_is(field, "repeat")) {
        return parse_number(field->value, &description->repeat);
    } else if (key_is(field, "clock")) {
        return parse_flag(field->value, &description->clock_handle);
    } else if (key_is(field, "streams")) {
        return parse_flag(field->value, &description->streams);
    } else if (key_is(field, "system")) {
        return parse_flag(field->value, &description->system_handle);
    } else if (key_is(field, "report")) {
        return parse_flag(field->value, &description->report);
    } else if (key_is(field, "profile")) {
        return parse_bounded(field->value, PROFILE_HERTZ_MAXIMUM, &description->profile_hertz);
    } else if (key_is(field, "accounting")) {
        return parse_flag(field->value, &description->accounting);
    } else if (key_is(field, "trace")) {
        return parse_bounded(field->value, TRACE_BYTES_MAXIMUM, &description->trace_bytes);
    } else if (key_is(field, "statistics")) {
        return parse_flag(field->value, &description->statistics);
    } else {
        return false;
    }
    return true;
}

/* One block for the lists. */
static bool lists_allocate(struct launch_description *description, uint64_t arguments, uint64_t environment,
                           uint64_t interfaces, uint64_t services, uint64_t handles, uint64_t directories)
{
    description->block_bytes = (arguments + environment + interfaces + services + handles) * sizeof(char *) +
                               directories * sizeof(struct launch_description_directory);
    description->block = kernel_allocate_zeroed(description->block_bytes);
    if (!description->block) {
        return false;
    }
    description->directories = description->block;
    description->arguments = (const char **)(description->directories + directories);
    description->environment = description->arguments + arguments;
    description->interfaces = description->environment + environment;
    description->services = description->interfaces + interfaces;
    description->handles = description->services + services;
    return true;
}

const char *launch_last_component(const char *path)
{
    const char *name = path;
    for (; *path; path++) {
        if (path[0] == '/' && path[1]) {
            name = path + 1;
        }
    }
    return name;
}

enum status launch_description_parse(const uint8_t *bytes, size_t size, struct launch_description *description,
                                     const char **message)
{
    struct field field;
    uint64_t arguments = 0, environment = 0, interfaces = 0, services = 0, handles = 0, directories = 0;
    *description = (struct launch_description){.repeat = 1};
    *message = NULL;
    for (size_t offset = 0; field_next(bytes, size, &offset, &field, message);) {
        arguments += key_is(&field, "argument");
        environment += key_is(&field, "environment");
        interfaces += key_is(&field, "interface");
        services += key_is(&field, "service");
        handles += key_is(&field, "handle");
        directories += key_is(&field, "directory");
    }
    if (*message) {
        return STATUS_INVALID;
    }
    if (!lists_allocate(description, arguments, environment, interfaces, services, handles, directories)) {
        return STATUS_NO_MEMORY;
    }
    for (size_t offset = 0; field_next(bytes, size, &offset, &field, message);) {
        if (!field_store(description, &field)) {
            *message = field.key;
            break;
        }
    }
    if (!*message && !description->module) {
        *message = "no module is named";
    }
    if (*message) {
        launch_description_release(description);
        return STATUS_INVALID;
    }
    if (!description->name) {
        description->name = launch_last_component(description->module);
    }
    return STATUS_OK;
}

void launch_description_release(struct launch_description *description)
{
    kernel_free(description->block, description->block_bytes);
    description->block = NULL;
}
