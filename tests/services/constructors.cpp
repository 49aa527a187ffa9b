// A log whose static object must be made once and destroyed in the end: sdk/service/start.c.
#include <cstdio>

#include "interfaces/generated/log_service.h"
#include "sdk/tessera.h"

struct counter {
    int lines = 0;
    counter() { puts("made"); }
    ~counter() { puts("destroyed"); }
};
static counter counted;

extern "C" bool exports_log_write(exports_log_level_t, log_service_string_t *message, exports_log_problem_t *)
{
    printf("%d %.*s\n", ++counted.lines, static_cast<int>(message->len), reinterpret_cast<char *>(message->ptr));
    log_service_string_free(message);
    return true;
}

int main()
{
    return tessera_port_serve(TESSERA_PORT);
}
