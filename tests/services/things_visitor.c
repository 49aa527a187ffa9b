/* Gets things lent and given that are another service's. */
#include <stdio.h>

#include "sdk/tessera.h"
#include "tests/services/generated/things_visitor.h"

static uint32_t lent;

bool exports_visitor_look(exports_visitor_borrow_thing_t it, things_visitor_tuple2_u32_bool_t *ret,
                          exports_visitor_problem_t *err)
{
    struct tessera_handle_information information;
    ret->f1 = !lent || tessera_handle_information(lent, &information, sizeof information) == -TESSERA_EHANDLE;
    int32_t copy = tessera_handle_duplicate((uint32_t)it.__handle, TESSERA_RIGHTS_SAME);
    lent = copy > 0 ? (uint32_t)copy : 0;
    bool good = things_method_thing_ask(it, &ret->f0, err);
    things_thing_drop_borrow(it);
    return good;
}

bool exports_visitor_forget(exports_visitor_borrow_thing_t it, uint32_t *ret, exports_visitor_problem_t *err)
{
    return things_method_thing_ask(it, ret, err);
}

bool exports_visitor_take(exports_visitor_own_thing_t it, uint32_t *ret, exports_visitor_problem_t *err)
{
    bool good = things_method_thing_ask(things_borrow_thing(it), ret, err);
    things_thing_drop_own(it);
    return good;
}

int main(void)
{
    printf("visitor: %d\n", (int)tessera_port_serve(TESSERA_PORT));
    return 0;
}
