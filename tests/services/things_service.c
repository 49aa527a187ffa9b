/* Defines the resources of things.wit, and counts what becomes of them. */
#include <stdio.h>
#include <stdlib.h>

#include "sdk/tessera.h"
#include "tests/services/generated/things_service.h"

struct exports_things_thing_t {
    uint32_t number;
    bool is_live;
};

static exports_things_thing_t things[1000];
static exports_things_other_t *const an_other = (exports_things_other_t *)1;
static uint32_t made, destroyed, wrong, last;
static exports_things_own_thing_t kept;
static bool traps;

exports_things_own_thing_t exports_things_constructor_thing(uint32_t number)
{
    for (uint32_t i = 0; i < 1000; i++) { /* none is used again soon */
        exports_things_thing_t *thing = &things[last++ % 1000];
        if (!thing->is_live) {
            *thing = (exports_things_thing_t){number, true};
            made++;
            return exports_things_thing_new(thing);
        }
    }
    abort();
}

void exports_things_thing_destructor(exports_things_thing_t *thing)
{
    if (traps)
        __builtin_trap();
    destroyed++;
    wrong += !thing->is_live;
    thing->is_live = false;
}

exports_things_own_other_t exports_things_constructor_other(void)
{
    made++;
    return exports_things_other_new(an_other);
}

void exports_things_other_destructor(exports_things_other_t *other)
{
    destroyed++;
    wrong += other != an_other;
}

void exports_things_method_other_name(exports_things_borrow_other_t self, things_service_string_t *ret)
{
    things_service_string_dup(ret, self == an_other ? "other" : "wrong");
}

bool exports_things_static_thing_open(uint32_t number, exports_things_own_thing_t *ret, exports_things_problem_t *err)
{
    *err = EXPORTS_THINGS_PROBLEM_REFUSED;
    if (number)
        *ret = exports_things_constructor_thing(number);
    return number != 0;
}

uint32_t exports_things_method_thing_number(exports_things_borrow_thing_t self)
{
    wrong += !self->is_live;
    return self->number;
}

bool exports_things_method_thing_ask(exports_things_borrow_thing_t self, uint32_t *ret, exports_things_problem_t *err)
{
    (void)err;
    *ret = exports_things_method_thing_number(self);
    return true;
}

bool exports_things_method_thing_linger(exports_things_borrow_thing_t self, uint32_t time, uint32_t *ret,
                                        exports_things_problem_t *err)
{
    int32_t event = tessera_event_create(0);
    tessera_wait_one((uint32_t)event, TESSERA_SIGNAL_SIGNALED, (uint64_t)tessera_time_coarse() + time * 1000000ull);
    tessera_handle_close((uint32_t)event);
    return exports_things_method_thing_ask(self, ret, err);
}

bool exports_things_method_thing_linger_plainly(exports_things_borrow_thing_t self, uint32_t time, uint32_t *ret,
                                                exports_things_plain_t *err)
{
    (void)err;
    exports_things_problem_t problem;
    return exports_things_method_thing_linger(self, time, ret, &problem);
}

exports_things_own_thing_t exports_things_method_thing_sum(exports_things_borrow_thing_t self,
                                                           exports_things_own_thing_t other)
{
    uint32_t before = destroyed, number = self->number + exports_things_thing_rep(other)->number;
    exports_things_thing_drop_own(other);
    wrong += destroyed != before + 1; /* at once */
    return exports_things_constructor_thing(number);
}

void exports_things_static_thing_larger(exports_things_borrow_thing_t a, exports_things_borrow_thing_t b,
                                        exports_things_borrowed_t *ret)
{
    bool first = a->number >= b->number;
    *ret = (exports_things_borrowed_t){first, first ? a->number : b->number};
}

void exports_things_many(uint32_t count, exports_things_list_own_thing_t *ret)
{
    ret->len = count;
    ret->ptr = malloc(count * sizeof *ret->ptr + 1);
    for (uint32_t i = 0; i < count; i++)
        ret->ptr[i] = exports_things_constructor_thing(i);
}

uint32_t exports_things_total(exports_things_list_own_thing_t *all)
{
    uint32_t total = 0;
    for (size_t i = 0; i < all->len; i++) {
        total += exports_things_thing_rep(all->ptr[i])->number;
        exports_things_thing_drop_own(all->ptr[i]);
    }
    if (all->len)
        free(all->ptr);
    return total;
}

void exports_things_keep(exports_things_own_thing_t it)
{
    kept = it;
}

bool exports_things_fetch(exports_things_own_thing_t *ret)
{
    *ret = kept;
    kept.__handle = 0;
    return ret->__handle != 0;
}

bool exports_things_counts(things_service_tuple3_u32_u32_u32_t *ret, exports_things_problem_t *err)
{
    (void)err;
    *ret = (things_service_tuple3_u32_u32_u32_t){made, destroyed, wrong};
    return true;
}

bool exports_things_misbehave(uint32_t how, exports_things_own_thing_t *ret, exports_things_problem_t *err)
{
    *err = EXPORTS_THINGS_PROBLEM_REFUSED;
    if (how == 0)
        __builtin_trap();
    if (how == 1)
        exit(7);
    if (how == 2)
        ret->__handle = 12345;
    if (how == 3)
        exports_things_thing_rep((exports_things_own_thing_t){exports_things_constructor_other().__handle});
    if (how == 5)
        ret->__handle = exports_things_constructor_other().__handle;
    traps = how == 4;
    return how != 4;
}

int main(void)
{
    int32_t status = tessera_port_serve(TESSERA_PORT);
    printf("things: %d, %u lost, %u wrong\n", (int)status, made - destroyed, wrong);
    return 0;
}
