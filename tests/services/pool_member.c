/* One process of a pool: its number is its argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"
#include "tests/services/generated/pool_member.h"

static const char *number;
static bool is_busy;

/* One process works for one call at a time, so the next level is another one's. */
bool exports_pool_nest(uint32_t depth, pool_member_string_t *text, pool_member_string_t *answer,
                       exports_pool_problem_t *problem)
{
    bool good = !is_busy;
    is_busy = true;
    char *longer = malloc(text->len + 16);
    int length = snprintf(longer, text->len + 16, "%.*s %s", (int)text->len, (char *)text->ptr, number);
    pool_member_string_free(text);
    pool_member_string_t next = {(uint8_t *)longer, (size_t)length};
    if (depth == 0) {
        *answer = next;
    } else {
        /* Two chains, one of which has lost its beginning, may wait for each other's members. */
        tessera_service_deadline((uint64_t)tessera_time_coarse() + 200000000);
        good = pool_nest(depth - 1, &next, answer, problem) && good;
        free(longer);
    }
    is_busy = false;
    return good;
}

int main(int count, char **words)
{
    number = count > 1 ? words[1] : "?";
    int32_t status = tessera_port_serve(TESSERA_PORT);
    return status == 0 || status == -TESSERA_EHANDLE ? 0 : 1; /* the handle was revoked: maybe before that */
}
