/* A program that writes to the log (docs/services.md): its arguments, or a line of its own. */
#include <stdio.h>

#include "interfaces/generated/log_client.h"

int main(int argument_count, char **arguments)
{
    char *line[] = {"log", "Nothing to report."};
    if (argument_count < 2) {
        argument_count = 2;
        arguments = line;
    }
    for (int i = 1; i < argument_count; i++) {
        log_client_string_t message;
        log_problem_t problem;
        log_client_string_set(&message, arguments[i]);
        if (!log_write(LOG_LEVEL_INFO, &message, &problem)) {
            fprintf(stderr, "there is no log\n");
            return 1;
        }
    }
    return 0;
}
