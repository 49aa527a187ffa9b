/* Makes the log's client a process of its own, with a client end of the log under the interface's name; then one that
 * is given something else under that name, and one that is given nothing. The folder "programs" has the client. */
#include <stdio.h>
#include <string.h>

#include "sdk/tessera.h"

#define LOG  "tessera:log/log"
#define PATH "programs/log_client.wasm"

/* How the program ended. */
static int32_t run(int32_t module, const char *description, uint32_t bytes, uint32_t handle, uint32_t count)
{
    struct tessera_process_status status;
    int32_t process = tessera_process_create((uint32_t)module, description, bytes, &handle, count);
    if (process < 0)
        return process;
    tessera_process_start((uint32_t)process);
    tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
    tessera_process_status((uint32_t)process, &status, sizeof status);
    tessera_handle_close((uint32_t)process);
    return (int32_t)status.conventional_status;
}

int main(void)
{
    static const char named[] = "streams=1\0argument=client\0argument=from the process\0handle=" LOG;
    static const char other[] = "streams=1\0argument=client\0handle=" LOG;
    static const char alone[] = "streams=1\0argument=client";
    int32_t module = tessera_module_load(PATH, sizeof PATH - 1);
    int32_t log = tessera_interface_handle(LOG, sizeof LOG - 1);
    int32_t lent = tessera_handle_duplicate((uint32_t)log, TESSERA_RIGHTS_SAME);
    printf("%d\n", run(module, named, sizeof named, (uint32_t)lent, 1));
    printf("%d\n", run(module, other, sizeof other, (uint32_t)tessera_event_create(0), 1));
    printf("%d\n", run(module, alone, sizeof alone, 0, 0));
    return 0;
}
