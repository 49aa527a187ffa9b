/* Programs with services, in this process: whatever way they end, nothing is left; and a client that is killed in a
 * call leaves its service to others. The programs are those of tests/services. */
#include <stdlib.h>
#include <string.h>

#include "engine/component/types.h"
#include "kernel/heap.h"
#include "kernel/launch.h"
#include "kernel/object.h"
#include "kernel/system.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct launch_service service, things[2];
static uint8_t *client, *things_client;
static size_t client_size, things_client_size;

static const char *extra_argument; /* NULL: none */

static int run(const char *how, uint64_t timeout)
{
    const char *arguments[] = {"client", how, extra_argument};
    struct launch launch = {.name = "client",
                            .module_bytes = client,
                            .module_size = client_size,
                            .argument_count = extra_argument ? 3
                                              : how          ? 2
                                                             : 1,
                            .arguments = arguments,
                            .timeout_nanoseconds = timeout,
                            .service_count = 1,
                            .services = &service};
    struct launch_result result;
    launch_run(&launch, &result);
    return launch_exit_status(&result);
}

/* The client is told what a function is called in messages, and makes some itself. */
static void raw_messages(const char *how, const char *function)
{
    static const struct name interface = {"tests:exchange/exchange@1.0.0", 29};
    struct module *module;
    struct component_types *types;
    struct engine_error error;
    char number[30];
    CHECK(module_decode(client, client_size, &kernel_engine_allocator, &module, &error) == ENGINE_OK);
    CHECK(component_types_decode(module, &kernel_engine_allocator, &types, &error) == ENGINE_OK);
    const struct component_function *found = component_find_function(
        types->imports, types->import_count, interface, (struct name){function, (uint32_t)strlen(function)});
    CHECK(found != NULL);
    snprintf(number, sizeof number, "%llu", found ? (unsigned long long)found->identity : 0);
    component_types_release(types);
    module_release(module);
    extra_argument = number;
    CHECK(run(how, 0) == 0);
    extra_argument = NULL;
}

static void programs(void)
{
    raw_messages("leak", "join");
    raw_messages("scalars", "scalars");
    raw_messages("padding", "maybe");
    static const struct {
        const char *how;
        int status;
    } ways[] = {
        {NULL, 0},
        {"text", 134},
        {"pointer", 134},
        {"result", 134},
        {"char", 134},
        {"place", 134},
        {"lostplace", 134},
        {"badchar", 134},
        {"large", 134},
        {"handle", 134},
        {"authority", 134},
        {"0", 134},
        {"1", 134},
        {"2", 134},
        {"lost", 134},
        {"lostresult", 134},
        {"servicelost", 134},
        {"servicelostresult", 134},
        {"3", 134},
        {"9", 0},
        {"polite0", 0},
        {"realloc1", 134},
        {"realloc2", 9},
        {"realloc3", 134},
        {"later4", 134},
        {"later5", 134},
        {"later6", 134},
        {"later7", 134},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int status = run(ways[i].how, 0);
        if (status != ways[i].status) {
            printf("FAIL %s: %d\n", ways[i].how ? ways[i].how : "all", status);
            checks_failed++;
        }
    }
    /* both are ended in the middle of a call: the client in its wait, the service in its loop */
    CHECK(run("8", 50000000) == 124);
    for (uint64_t i = 1; i <= 20; i++) { /* with messages whose buffers are exchanged */
        CHECK(run("big", 2000000 + i * 131000) == 124);
    }
}

/* The same with resources, which a client has in every state when it is killed: made, lent, moving, kept by the
 * service; and with a service that ends while others have what it made. */
static int run_things(const char *how, uint64_t timeout)
{
    const char *arguments[] = {"client", how};
    struct launch launch = {.name = "client",
                            .module_bytes = things_client,
                            .module_size = things_client_size,
                            .argument_count = how ? 2 : 1,
                            .arguments = arguments,
                            .timeout_nanoseconds = timeout,
                            .service_count = 2,
                            .services = things};
    struct launch_result result;
    launch_run(&launch, &result);
    return launch_exit_status(&result);
}

static void resources(void)
{
    CHECK(run_things(NULL, 0) == 0);
    CHECK(run_things("leave", 0) == 0 && run_things("end", 0) == 0 && run_things("forget", 0) == 0);
    CHECK(run_things("type", 0) == 134 && run_things("many", 0) == 134 && run_things("4", 0) == 0);
    for (uint64_t i = 1; i <= 30; i++) {
        CHECK(run_things("race", 2000000 + i * 97000) == 124);
    }
}

int main(int argc, char **argv)
{
    struct heap_statistics heap[2];
    struct platform_memory memory[2];
    (void)argc;
    guest_initialize(argv);
    system_set_platform_name("test");
    service.name = "service";
    service.module_bytes = guest_bytes("../services/service", &service.module_size);
    client = guest_bytes("../services/client", &client_size);
    things[0].name = "things";
    things[0].module_bytes = guest_bytes("../services/things_service", &things[0].module_size);
    things[1].name = "visitor";
    things[1].module_bytes = guest_bytes("../services/things_visitor", &things[1].module_size);
    things_client = guest_bytes("../services/things_client", &things_client_size);
    for (int round = 0; round < 2; round++) {
        programs();
        resources();
        system_trim();
        kernel_heap_statistics(&heap[round]);
        platform_memory_statistics(&memory[round]);
    }
    CHECK(heap[0].blocks == heap[1].blocks && heap[0].bytes == heap[1].bytes);
    CHECK(memory[0].frames_used == memory[1].frames_used);
    CHECK(object_count(OBJECT_PORT) == 0 && object_count(OBJECT_PORT_CLIENT) == 0);
    CHECK(object_count(OBJECT_EVENT) == 0 && object_count(OBJECT_REPLY) == 0);
    CHECK(object_count(OBJECT_RESOURCE) == 0 && object_count(OBJECT_CHANNEL) == 0);
    free((void *)service.module_bytes);
    free((void *)things[0].module_bytes);
    free((void *)things[1].module_bytes);
    free(things_client);
    free(client);
    return checks_report();
}
