/* A log (docs/services.md): one line on the error stream for each message. */
#include <stdio.h>

#include "interfaces/generated/log_service.h"
#include "sdk/tessera.h"

bool exports_log_write(exports_log_level_t level, log_service_string_t *message, exports_log_problem_t *problem)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    (void)problem; /* there is none that a service has */
    fprintf(stderr, "%s: %.*s\n", levels[level], (int)message->len, (char *)message->ptr);
    log_service_string_free(message);
    return true;
}

int main(void)
{
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1;
}
