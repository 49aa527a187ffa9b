/* Uses what tests/services/things_service.c defines. Without arguments it does all that is allowed and looks at what
 * comes of it; with one, the thing that is named, which may end badly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"
#include "tests/services/check.h"
#include "tests/services/generated/things_client.h"

static things_borrow_thing_t lend(things_own_thing_t thing)
{
    return things_borrow_thing(thing);
}

static uint32_t number(things_own_thing_t thing)
{
    return things_method_thing_number(lend(thing));
}

/* How many there are. Destructors are called before the next call that the same thread serves. */
static uint32_t alive(void)
{
    things_client_tuple3_u32_u32_u32_t counts;
    things_problem_t problem;
    if (!things_counts(&counts, &problem) || counts.f2)
        return 12345;
    return counts.f0 - counts.f1;
}

static void check_own(void)
{
    things_problem_t problem;
    things_own_thing_t a = things_constructor_thing(7), b = things_constructor_thing(8), c;
    CHECK(alive() == 2 && number(a) == 7 && number(b) == 8);
    things_borrowed_t larger;
    things_static_thing_larger(lend(a), lend(b), &larger);
    CHECK(!larger.first && larger.number == 8);
    things_static_thing_larger(lend(a), lend(a), &larger); /* twice in one call */
    CHECK(larger.first && larger.number == 7);
    c = things_method_thing_sum(lend(a), b);
    CHECK(number(c) == 15 && alive() == 2);
    things_thing_drop_own(a);
    CHECK(alive() == 1);
    things_keep(c);
    CHECK(alive() == 1 && things_fetch(&a) && number(a) == 15 && !things_fetch(&b));
    things_thing_drop_own(a);
    CHECK(alive() == 0);
    CHECK(!things_static_thing_open(0, &a, &problem) && problem == THINGS_PROBLEM_REFUSED);
    CHECK(things_static_thing_open(3, &a, &problem) && number(a) == 3);
    things_thing_drop_own(a);
}

static void check_lists(void)
{
    things_list_own_thing_t all;
    things_many(0, &all);
    CHECK(all.len == 0 && things_total(&all) == 0);
    things_many(16, &all);
    CHECK(all.len == 16 && alive() == 16 && number(all.ptr[15]) == 15);
    CHECK(things_total(&all) == 120 && alive() == 0);
}

static void check_types(void)
{
    things_own_other_t other = things_constructor_other();
    things_client_string_t name;
    things_method_other_name(things_borrow_other(other), &name);
    CHECK(name.len == 5 && memcmp(name.ptr, "other", 5) == 0);
    things_client_string_free(&name);
    things_other_drop_own(other);
    CHECK(alive() == 0);
}

/* They are handles of the kernel: duplicated, sent, revoked. */
static void check_handles(void)
{
    things_problem_t problem;
    struct tessera_handle_information information;
    things_own_thing_t thing = things_constructor_thing(5), copy = thing;
    uint32_t ends[2], got, answer;
    CHECK(tessera_handle_information((uint32_t)thing.__handle, &information, sizeof information) > 0 &&
          information.type == TESSERA_OBJECT_RESOURCE && !(information.signals & TESSERA_SIGNAL_PEER_CLOSED));
    copy.__handle = tessera_handle_duplicate((uint32_t)thing.__handle, TESSERA_RIGHTS_SAME);
    CHECK(tessera_channel_create(0, 0, ends) == 0);
    uint32_t sent = (uint32_t)copy.__handle;
    CHECK(tessera_channel_write(ends[0], "x", 1, &sent, 1, 0) == 0 && alive() == 1);
    CHECK(tessera_channel_read(ends[1], &answer, 1, &got, 1, 0) == 1);
    copy.__handle = (int32_t)got;
    CHECK(number(copy) == 5);
    CHECK(tessera_handle_revoke((uint32_t)thing.__handle) == 0);
    things_thing_drop_own(copy); /* gone already */
    CHECK(number(thing) == 5 && alive() == 1);
    sent = (uint32_t)thing.__handle;
    CHECK(tessera_channel_write(ends[0], "x", 1, &sent, 1, 0) == 0);
    tessera_handle_close(ends[0]);
    CHECK(alive() == 1); /* in the message */
    tessera_handle_close(ends[1]);
    CHECK(alive() == 0);
    (void)problem;
}

static void check_visitor(void)
{
    things_client_tuple2_u32_bool_t seen;
    visitor_problem_t problem;
    uint32_t seen_number;
    things_own_thing_t thing = things_constructor_thing(9);
    for (int i = 0; i < 3; i++)
        CHECK(visitor_look(lend(thing), &seen, &problem) && seen.f0 == 9 && seen.f1);
    CHECK(number(thing) == 9 && alive() == 1);
    CHECK(visitor_take(thing, &seen_number, &problem) && seen_number == 9 && alive() == 0);
}

/* ---- Deadlines ---- */

static uint64_t in_milliseconds(uint64_t time)
{
    return (uint64_t)tessera_time_coarse() + time * 1000000;
}

static void check_deadline(void)
{
    things_problem_t problem;
    things_plain_t plain;
    uint32_t answer;
    things_own_thing_t thing = things_constructor_thing(6), other = things_constructor_thing(1);
    CHECK(tessera_service_deadline(in_milliseconds(20)) == 0);
    CHECK(number(thing) == 6);
    CHECK(!things_method_thing_linger(lend(thing), 60, &answer, &problem) && problem == THINGS_PROBLEM_TIMED_OUT);
    /* its time has come: it is not made */
    CHECK(!things_method_thing_ask(lend(thing), &answer, &problem) && problem == THINGS_PROBLEM_TIMED_OUT);
    CHECK(tessera_service_deadline(in_milliseconds(20)) == 0);
    CHECK(!things_method_thing_linger_plainly(lend(thing), 100, &answer, &plain) && plain == THINGS_PLAIN_UNAVAILABLE);
    CHECK(tessera_service_deadline(TESSERA_FOREVER) == 0);
    CHECK(number(thing) == 6 && alive() == 2); /* waits until the service is through with that */
    things_thing_drop_own(thing);              /* while the service is at it */
    tessera_service_deadline(in_milliseconds(10));
    CHECK(!things_method_thing_linger(lend(other), 50, &answer, &problem));
    tessera_service_deadline(0);
    CHECK(!things_method_thing_ask(lend(other), &answer, &problem) && problem == THINGS_PROBLEM_TIMED_OUT);
    things_thing_drop_own(other);
    tessera_service_deadline(TESSERA_FOREVER);
    CHECK(alive() == 0);
}

/* ---- What ends badly ---- */

__attribute__((import_module("tests:things/things"), import_name("[method]thing.number"))) extern uint32_t
raw_number(uint32_t handle);
__attribute__((import_module("tests:things/things"), import_name("[resource-drop]thing"))) extern void
raw_drop(uint32_t handle);

static void after_the_end(void)
{
    struct tessera_handle_information information;
    things_own_thing_t thing = things_constructor_thing(1), result;
    things_problem_t problem;
    uint32_t answer;
    CHECK(!things_misbehave(1, &result, &problem) && problem == THINGS_PROBLEM_UNAVAILABLE);
    CHECK(tessera_wait_one((uint32_t)thing.__handle, TESSERA_SIGNAL_PEER_CLOSED, TESSERA_FOREVER) > 0);
    CHECK(tessera_handle_information((uint32_t)thing.__handle, &information, sizeof information) > 0);
    CHECK(!things_method_thing_ask(lend(thing), &answer, &problem) && problem == THINGS_PROBLEM_UNAVAILABLE);
    things_thing_drop_own(thing);
}

static void race(void)
{
    for (;;) {
        things_problem_t problem;
        uint32_t answer;
        things_own_thing_t a = things_constructor_thing(1), b = things_constructor_thing(2);
        things_keep(things_method_thing_sum(lend(a), b));
        things_fetch(&b);
        things_method_thing_linger(lend(a), 1, &answer, &problem);
        things_thing_drop_own(a);
        things_thing_drop_own(b);
    }
}

static void end_badly(const char *how)
{
    things_own_thing_t thing = {0}, result;
    things_problem_t problem;
    uint32_t answer = 0;
    bool good = false;
    if (strcmp(how, "race") == 0)
        race();
    if (strcmp(how, "leave") == 0) { /* with things that it has */
        things_constructor_thing(1);
        thing = things_constructor_thing(2);
        things_keep(thing);
    } else if (strcmp(how, "type") == 0) {
        raw_number((uint32_t)things_constructor_other().__handle);
    } else if (strcmp(how, "event") == 0) {
        raw_number((uint32_t)tessera_event_create(0));
    } else if (strcmp(how, "number") == 0) {
        raw_number(12345);
    } else if (strcmp(how, "right") == 0) {
        thing = things_constructor_thing(1);
        raw_number((uint32_t)tessera_handle_duplicate((uint32_t)thing.__handle, TESSERA_RIGHT_TRANSFER));
    } else if (strcmp(how, "drop") == 0) {
        raw_drop((uint32_t)tessera_event_create(0));
    } else if (strcmp(how, "late") == 0) { /* has no error to say so */
        thing = things_constructor_thing(1);
        tessera_service_deadline(1);
        number(thing);
    } else if (strcmp(how, "twice") == 0) {
        thing = things_constructor_thing(1);
        things_keep(thing);
        number(thing);
    } else if (strcmp(how, "own") == 0) { /* named twice */
        things_list_own_thing_t all;
        things_many(2, &all);
        all.ptr[1] = all.ptr[0];
        things_total(&all);
    } else if (strcmp(how, "many") == 0) {
        things_list_own_thing_t all;
        things_many(17, &all);
    } else if (strcmp(how, "end") == 0) {
        after_the_end();
    } else if (strcmp(how, "forget") == 0) {
        thing = things_constructor_thing(4);
        good = visitor_forget(lend(thing), &answer, &problem);
    } else {
        things_own_thing_t before = things_constructor_thing(1);
        good = things_misbehave((uint32_t)how[0] - '0', &result, &problem);
        things_thing_drop_own(before);
        good = things_misbehave(9, &result, &problem);
    }
    printf("%s %s\n", how,
           failed                                  ? "failed"
           : good                                  ? "good"
           : problem == THINGS_PROBLEM_UNAVAILABLE ? "unavailable"
                                                   : "refused");
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) {
        end_badly(arguments[1]);
        return failed > 0;
    }
    for (int i = 0; i < 20; i++) {
        check_own();
        check_lists();
        check_types();
        check_handles();
        check_visitor();
    }
    check_deadline();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
