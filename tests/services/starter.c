/* Starts the log's client with the interface that it was given itself: by its name, by a handle; and in ways that are
 * refused. The folder "programs" has the client. */
#include <stdio.h>
#include <string.h>

#include "interfaces/generated/log_client.h"
#include "sdk/tessera.h"

static char description[512];
static uint32_t description_bytes;

static void add(const char *field)
{
    strcpy(description + description_bytes, field);
    description_bytes += strlen(field) + 1;
}

static int32_t start(const char *interface)
{
    description_bytes = 0;
    add("module=programs/log_client.wasm");
    add("argument=log_client");
    add("argument=from the program");
    if (interface)
        add(interface);
    return tessera_process_run(TESSERA_SYSTEM, description, description_bytes);
}

static int32_t start_with(uint32_t handle)
{
    char interface[64];
    snprintf(interface, sizeof interface, "interface=tessera:log/log=%u", handle);
    return start(interface);
}

int main(void)
{
    int32_t handle = tessera_interface_handle("tessera:log/log", 15);
    int32_t weak = tessera_handle_duplicate((uint32_t)handle, TESSERA_RIGHT_EXECUTE);
    int32_t event = tessera_event_create(0);
    log_client_string_t line;
    log_problem_t problem;
    log_client_string_set(&line, "from the starter");
    printf("%d\n", log_write(LOG_LEVEL_INFO, &line, &problem));
    printf("%d %d\n", start("interface=tessera:log/log"), start_with((uint32_t)handle));
    printf("%d %d\n", start(NULL), start("interface=tessera:log/other"));
    printf("%d %d %d\n", start_with(12345), start_with((uint32_t)event), start_with((uint32_t)weak));
    printf("%d %d\n", start("interface=tessera:log/log="), start("interface=tessera:log/log=1x"));
    printf("%d\n", tessera_interface_handle("tessera:log/other", 17));
    printf("%d\n", tessera_handle_close((uint32_t)handle) == 0 && !log_write(LOG_LEVEL_INFO, &line, &problem));
    return start("interface=tessera:log/log") == -TESSERA_EHANDLE ? 0 : 1;
}
