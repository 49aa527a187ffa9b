/* A service that does what it is told (work.wit). VERSION is defined when it is compiled. As argument: a status with
 * which it ends at once. */
#include <stdlib.h>
#include <unistd.h>

#include "sdk/tessera.h"
#include "tests/supervision/generated/work_service.h"

struct exports_work_session_t {
    uint32_t count;
};
static uint32_t calls, sessions;
static int64_t first_call;

bool exports_work_static_session_open(exports_work_own_session_t *session, exports_work_problem_t *problem)
{
    (void)problem;
    sessions++;
    *session = exports_work_session_new(calloc(1, sizeof(exports_work_session_t)));
    return true;
}

void exports_work_session_destructor(exports_work_session_t *session)
{
    sessions--;
    session->count = UINT32_MAX / 2; /* a use from now on would show */
    free(session);
}

bool exports_work_method_session_next(exports_work_session_t *session, uint32_t *count, exports_work_problem_t *problem)
{
    (void)problem;
    *count = ++session->count;
    return true;
}

bool exports_work_do(exports_work_task_t task, uint32_t argument, uint32_t *answer, exports_work_problem_t *problem)
{
    (void)problem;
    if (calls++ == 0) {
        first_call = tessera_clock_read(TESSERA_CLOCK);
    }
    *answer = VERSION;
    switch (task) {
    case EXPORTS_WORK_TASK_COUNT:
        *answer = calls;
        break;
    case EXPORTS_WORK_TASK_FIRST:
        *answer = (uint32_t)(first_call / 1000);
        break;
    case EXPORTS_WORK_TASK_SESSIONS:
        *answer = sessions;
        break;
    case EXPORTS_WORK_TASK_SLEEP:
        usleep(argument * 1000);
        break;
    case EXPORTS_WORK_TASK_TRAP:
        __builtin_trap();
    case EXPORTS_WORK_TASK_EXIT:
        exit((int)argument);
    }
    return true;
}

int main(int count, char **words)
{
    if (count > 1) {
        return atoi(words[1]);
    }
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1;
}
