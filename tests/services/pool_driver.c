/* Four processes of tests/services/pool_member.c that serve one port, and four clients at once, of which one makes them
 * call each other. Meanwhile members are killed and others put in their places. The folder "programs" has the modules.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/tessera.h"

#define MEMBERS 4
#define CLIENTS 4
#define KILLS   3 /* a client counts no more than 20 calls that fail */

static int32_t port, lent, member, client;

static int32_t load(const char *path)
{
    return tessera_module_load(path, (uint32_t)strlen(path));
}

static int32_t start(int32_t module, const char *description, int length, const uint32_t *handles, uint32_t count)
{
    int32_t process = tessera_process_create((uint32_t)module, description, (uint32_t)length, handles, count);
    int32_t started = process < 0 ? process : tessera_process_start((uint32_t)process);
    if (started < 0)
        printf("cannot be started: %d\n", (int)started);
    return process;
}

static uint32_t client_end(void)
{
    return (uint32_t)tessera_port_client_create((uint32_t)port, 1);
}

#define LIMITS "streams=1%chandles=64%cthreads=1%cmemory=4194304%cobjects=65536%cshare=4000%c"

static int32_t start_member(unsigned number)
{
    char text[300];
    uint32_t handles[] = {(uint32_t)tessera_handle_duplicate((uint32_t)lent, TESSERA_RIGHTS_SAME), client_end()};
    int length =
        snprintf(text, sizeof text, LIMITS "argument=member%cargument=%u%chandle=port%chandle=tests:pool/pool%c", 0, 0,
                 0, 0, 0, 0, 0, number, 0, 0, 0);
    return start(member, text, length, handles, 2);
}

static int32_t start_client(unsigned levels)
{
    char text[300];
    uint32_t handles[] = {client_end()};
    int length = snprintf(text, sizeof text, LIMITS "argument=client%cargument=%u%chandle=tests:pool/pool%c", 0, 0, 0,
                          0, 0, 0, 0, levels, 0, 0);
    return start(client, text, length, handles, 1);
}

static int ends(int32_t process)
{
    struct tessera_process_status status;
    tessera_wait_one((uint32_t)process, TESSERA_SIGNAL_EXITED, TESSERA_FOREVER);
    tessera_process_status((uint32_t)process, &status, sizeof status);
    tessera_handle_close((uint32_t)process);
    return (int)status.conventional_status;
}

static void pause_for(uint64_t milliseconds)
{
    static int32_t event;
    event = event ? event : tessera_event_create(0);
    tessera_wait_one((uint32_t)event, TESSERA_SIGNAL_SIGNALED,
                     (uint64_t)tessera_time_coarse() + milliseconds * 1000000);
}

int main(void)
{
    int32_t members[MEMBERS], clients[CLIENTS];
    int killed = 0, bad = 0;
    port = tessera_port_create();
    lent = tessera_handle_duplicate((uint32_t)port, TESSERA_RIGHTS_SAME);
    member = load("programs/pool_member.wasm");
    client = load("programs/pool_client.wasm");
    for (unsigned i = 0; i < MEMBERS; i++)
        members[i] = start_member(i);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = start_client(i ? 0 : MEMBERS - 1);
    for (unsigned i = 0; i < KILLS; i++) {
        pause_for(5);
        tessera_process_kill((uint32_t)members[i]);
        killed += ends(members[i]) == 137;
        members[i] = start_member(i);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        bad += ends(clients[i]) != 0;
    tessera_handle_revoke((uint32_t)lent);
    for (unsigned i = 0; i < MEMBERS; i++)
        bad += ends(members[i]) != 0;
    printf("%d killed, %d bad\n", killed, bad);
    return bad != 0 || killed != KILLS;
}
