/* Are the types that client and server were made with the same? Names count: they say what a field means. Resources are
 * the same when interface and name are.
 *
 * A type may be shared by many others, so that walking it takes time exponential in its depth; the number of steps is
 * bounded as that of a plan is (plan.c), and beyond it types are said to differ. */
#include "engine/component/types.h"

#include "engine/format.h"

#define STEPS_MAXIMUM 20000

struct comparison {
    struct name path[COMPONENT_DEPTH_MAXIMUM + 2];
    uint32_t depth;
    uint32_t steps;
    char reason[128];
};

__attribute__((format(printf, 2, 3))) static bool differ(struct comparison *comparison, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_text_list(comparison->reason, sizeof(comparison->reason), format, arguments);
    va_end(arguments);
    return false;
}

#define SHOWN(name) (int)min_u64((name).length, 40), (name).text

static bool same_type(struct comparison *comparison, const struct component_type *client,
                      const struct component_type *server);

static bool same_payload(struct comparison *comparison, const struct component_type *client,
                         const struct component_type *server)
{
    if (!client || !server) {
        return client == server ||
               differ(comparison, "the %s has a %s, the other nothing", client ? "client" : "service",
                      component_kind_text(client ? client->kind : server->kind));
    }
    return same_type(comparison, client, server);
}

static bool same_fields(struct comparison *comparison, const struct component_type *client,
                        const struct component_type *server)
{
    for (uint32_t i = 0; i < client->field_count && i < server->field_count; i++) {
        const struct component_field *a = &client->fields[i], *b = &server->fields[i];
        if (!component_name_equal(a->name, b->name)) {
            return differ(comparison, "the client has \"%.*s\" where the service has \"%.*s\"", SHOWN(a->name),
                          SHOWN(b->name));
        }
        comparison->path[comparison->depth++] = a->name;
        if (!same_payload(comparison, a->type, b->type)) {
            return false;
        }
        comparison->depth--;
    }
    return client->field_count == server->field_count ||
           differ(comparison, "the client has %u of what the service has %u of", client->field_count,
                  server->field_count);
}

static bool same_resource(struct comparison *comparison, const struct component_resource *client,
                          const struct component_resource *server)
{
    return (component_name_equal(client->interface, server->interface) &&
            component_name_equal(client->name, server->name)) ||
           differ(comparison, "the client has handles of %.*s.%.*s, the service of %.*s.%.*s", SHOWN(client->interface),
                  SHOWN(client->name), SHOWN(server->interface), SHOWN(server->name));
}

static bool same_type(struct comparison *comparison, const struct component_type *client,
                      const struct component_type *server)
{
    if (comparison->steps++ == STEPS_MAXIMUM) {
        return differ(comparison, "the types are too large to compare");
    }
    if (client->kind != server->kind) {
        return differ(comparison, "the client has %s, the service %s", component_kind_text(client->kind),
                      component_kind_text(server->kind));
    }
    if (client->resource) {
        return same_resource(comparison, client->resource, server->resource);
    }
    if (client->element) {
        comparison->path[comparison->depth++] = (struct name){"element", 7};
        bool same = same_type(comparison, client->element, server->element);
        comparison->depth -= same;
        return same;
    }
    return same_fields(comparison, client, server);
}

static void describe(const struct comparison *comparison, struct name function, char *message, size_t size)
{
    size_t length = format_text(message, size, "%.*s", SHOWN(function));
    for (uint32_t i = 0; i < comparison->depth && length < size; i++) {
        length += format_text(message + length, size - length, "%s%.*s", i ? "." : ": ", SHOWN(comparison->path[i]));
    }
    if (length < size) {
        format_text(message + length, size - length, ": %s", comparison->reason);
    }
}

bool component_functions_match(const struct component_function *client, const struct component_function *server,
                               char *message, size_t size)
{
    struct comparison comparison = {.depth = 0};
    bool same = same_fields(&comparison, &client->parameters, &server->parameters);
    if (same) {
        comparison.path[comparison.depth++] = (struct name){"result", 6};
        same = same_payload(&comparison, client->result, server->result);
    }
    if (!same && size) {
        describe(&comparison, client->name, message, size);
    }
    return same;
}
