/* Load: calls the worker until the unit "finish" has run, and says how its calls ended. With the argument "slow" each
 * call takes a millisecond, and finds the worker in its middle when that one dies. */
#include <stdio.h>
#include <string.h>

#include "interfaces/generated/init_client.h"
#include "tests/supervision/generated/work_client.h"

static bool finished(void)
{
    status_list_unit_t units;
    status_problem_t problem;
    bool result = false;
    if (!status_units(&units, &problem)) {
        return true;
    }
    for (size_t i = 0; i < units.len; i++) {
        bool is_flag = units.ptr[i].name.len == 6 && memcmp(units.ptr[i].name.ptr, "finish", 6) == 0;
        result |= is_flag && units.ptr[i].starts > 0;
    }
    status_list_unit_free(&units);
    return result;
}

/* A session goes on where it was, or is gone for good: then there is a new one. */
static bool use_session(void)
{
    static work_own_session_t session;
    static uint32_t count;
    uint32_t answer;
    work_problem_t problem;
    if (!session.__handle) {
        count = 0;
        if (!work_static_session_open(&session, &problem)) {
            session.__handle = 0;
            return true;
        }
    }
    if (work_method_session_next(work_borrow_session(session), &answer, &problem)) {
        return answer == ++count;
    }
    work_session_drop_own(session);
    session.__handle = 0;
    return true;
}

int main(int count, char **words)
{
    bool slow = count > 1;
    unsigned answered = 0, wrong = 0, unavailable = 0;
    for (unsigned i = 0; i % (slow ? 16 : 512) || !finished(); i++) {
        uint32_t answer;
        work_problem_t problem;
        if (!work_do(slow ? WORK_TASK_SLEEP : WORK_TASK_VERSION, 1, &answer, &problem)) {
            unavailable++;
        } else {
            answered++;
            wrong += answer != 1 && answer != 2;
        }
        wrong += !use_session();
    }
    printf("%s: %u answered, %u unavailable, %u wrong\n", words[0], answered, unavailable, wrong);
    return 0;
}
