/* The client of tests/services/run. Without arguments it calls every function of the interface and looks at what comes
 * back; with one, it does the thing that is named, which may end badly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"
#include "tests/services/check.h"
#include "tests/services/generated/exchange_client.h"

/* In place of the tool's: what it does wrong, 1: trap, 2: exit, 3: memory that is none, 4: memory that is not aligned.
 */
static int realloc_how;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t alignment,
                                                                size_t size)
{
    (void)old_size, (void)alignment;
    if (realloc_how == 1)
        __builtin_trap();
    if (realloc_how == 2)
        exit(9);
    return realloc_how == 3 ? (void *)0xfffffff0 : (char *)realloc(old, size) + (realloc_how == 4);
}

static exchange_client_string_t text(const char *bytes)
{
    exchange_client_string_t string;
    exchange_client_string_set(&string, bytes);
    return string;
}

static bool is(const exchange_client_string_t *string, const char *expected)
{
    return string->len == strlen(expected) && memcmp(string->ptr, expected, string->len) == 0;
}

static void check_scalars(void)
{
    exchange_numbers_t numbers;
    exchange_scalars(true, 255, -128, 65535, -32768, UINT32_MAX, INT32_MIN, UINT64_MAX, INT64_MIN, -0.5f, 1e300,
                     0x10ffff, &numbers);
    CHECK(numbers.a && numbers.b == 255 && numbers.c == -128 && numbers.d == 65535 && numbers.e == -32768);
    CHECK(numbers.f == UINT32_MAX && numbers.g == INT32_MIN && numbers.h == UINT64_MAX && numbers.i == INT64_MIN);
    CHECK(numbers.j == -0.5f && numbers.k == 1e300 && numbers.l == 0x10ffff);
    CHECK(exchange_mixed(1, 2, 3, 4, -5, 6, 7, 8, -9, 10, 11, 12, 13, 14, 15, 16) ==
          1 + 4 + 9 + 16 - 25 + 36 + 49 + 64 - 81 + 100 + 121 + 144 + 169 + 196 + 225 + 256);
    CHECK(exchange_single(7) == 3.5f && exchange_negate(false) && !exchange_negate(true));
    exchange_nothing();
}

static void check_texts(void)
{
    exchange_client_string_t parts[9], joined;
    static const char *const words[9] = {"\xc3\xa4", "b", "", "\xe2\x82\xac", "e", "f", "g", "h", "\xf0\x9f\x98\x80"};
    for (unsigned i = 0; i < 9; i++)
        parts[i] = text(words[i]);
    exchange_join(&parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5], &parts[6], &parts[7], &parts[8],
                  &joined);
    CHECK(is(&joined, "\xc3\xa4"
                      "b\xe2\x82\xac"
                      "efgh\xf0\x9f\x98\x80"));
    exchange_client_string_free(&joined);
}

static void check_values(void)
{
    uint16_t numbers[] = {1, 2, 65535};
    exchange_value_t values[] = {
        {.tag = EXCHANGE_VALUE_NOTHING},
        {.tag = EXCHANGE_VALUE_INTEGER, .val.integer = -5},
        {.tag = EXCHANGE_VALUE_REAL, .val.real = 1.5f},
        {.tag = EXCHANGE_VALUE_TEXT, .val.text = text("text")},
        {.tag = EXCHANGE_VALUE_PLACE, .val.place = {-1, 2.25}},
        {.tag = EXCHANGE_VALUE_MANY, .val.many = {numbers, 3}},
    };
    exchange_list_value_t list = {values, 6};
    exchange_tuple3_list_value_color_mode_t back;
    exchange_values(&list, EXCHANGE_COLOR_BLUE, EXCHANGE_MODE_READ | EXCHANGE_MODE_EXECUTE, &back);
    CHECK(back.f1 == EXCHANGE_COLOR_BLUE && back.f2 == (EXCHANGE_MODE_READ | EXCHANGE_MODE_EXECUTE) &&
          back.f0.len == 6);
    exchange_value_t *got = back.f0.ptr;
    for (unsigned i = 0; i < 6; i++)
        CHECK(got[i].tag == values[i].tag);
    CHECK(got[1].val.integer == -5 && got[2].val.real == 1.5f && is(&got[3].val.text, "text"));
    CHECK(got[4].val.place.x == -1 && got[4].val.place.y == 2.25);
    CHECK(got[5].val.many.len == 3 && memcmp(got[5].val.many.ptr, numbers, sizeof numbers) == 0);
    exchange_tuple3_list_value_color_mode_free(&back);
}

static void check_bytes(void)
{
    static uint8_t bytes[65000];
    for (size_t size = 0; size <= sizeof bytes; size = size * 3 + 1) {
        exchange_client_list_u8_t data = {bytes, size}, back;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i * 7 + size);
        exchange_bytes(&data, &back);
        CHECK(back.len == size && memcmp(back.ptr, bytes, size) == 0);
        exchange_client_list_u8_free(&back);
    }
}

static void check_maybe(void)
{
    exchange_tuple2_option_string_result_u32_color_t back;
    exchange_result_u32_color_t good = {.is_err = false, .val.ok = 7}, bad = {.is_err = true, .val.err = 1};
    exchange_client_string_t some = text("some");
    exchange_maybe(&some, &good, &back);
    CHECK(back.f0.is_some && is(&back.f0.val, "some") && !back.f1.is_err && back.f1.val.ok == 7);
    exchange_tuple2_option_string_result_u32_color_free(&back);
    exchange_maybe(NULL, &bad, &back);
    CHECK(!back.f0.is_some && back.f1.is_err && back.f1.val.err == EXCHANGE_COLOR_GREEN);
}

/* ---- Handles ---- */

static void check_handles(void)
{
    struct tessera_handle_information information;
    exchange_own_handle_t back;
    exchange_problem_t problem;
    int32_t event = tessera_event_create(0);
    CHECK(event > 0);
    exchange_borrow_handle_t lent = {event};
    CHECK(exchange_look(lent) == 100 + TESSERA_OBJECT_EVENT);
    CHECK(exchange_look(lent) == 100 + TESSERA_OBJECT_EVENT); /* the copy that the service made is revoked */
    CHECK(tessera_handle_information((uint32_t)event, &information, sizeof information) > 0);
    CHECK(!exchange_fetch(&back, &problem) && problem == EXCHANGE_PROBLEM_REFUSED);
    exchange_own_handle_t given = {event};
    CHECK(exchange_keep(given) == TESSERA_OBJECT_EVENT);
    CHECK(tessera_handle_information((uint32_t)event, &information, sizeof information) == -TESSERA_EHANDLE);
    CHECK(exchange_fetch(&back, &problem) && back.__handle > 0);
    CHECK(tessera_event_signal((uint32_t)back.__handle) == 0);
    handles_handle_drop_own(back);
    CHECK(tessera_event_signal((uint32_t)back.__handle) == -TESSERA_EHANDLE);
}

/* ---- What no client of a tool's does ---- */

/* The handle of the binding: the only one to a client end. */
static uint32_t find_client_end(void)
{
    struct tessera_handle_information information;
    for (uint32_t handle = 1; handle < 100000; handle++)
        if (tessera_handle_information(handle, &information, sizeof information) > 0 &&
            information.type == TESSERA_OBJECT_PORT_CLIENT)
            return handle;
    return 0;
}

/* A request that no binding wrote, to a client end. What tessera_port_call said; *answer_bytes: how long the answer is.
 */
static int32_t call_raw(uint32_t client, const void *request, size_t request_bytes, void *answer, size_t capacity,
                        uint32_t *answer_bytes)
{
    struct tessera_call call = {.request = request,
                                .request_bytes = request_bytes,
                                .answer = answer,
                                .answer_capacity = capacity,
                                .deadline = UINT64_MAX};
    int32_t status = tessera_port_call(client, &call);
    *answer_bytes = call.answer_bytes;
    return status;
}

static void check_garbage(void)
{
    static uint8_t request[4096], answer[65536];
    uint32_t client = find_client_end(), seed = 1, length;
    CHECK(client != 0);
    for (unsigned n = 0; n < 2000; n++) {
        size_t size = n < 200 ? n : seed % sizeof request;
        for (size_t i = 0; i < size; i++)
            request[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        int32_t status = call_raw(client, request, size, answer, sizeof answer, &length);
        if (status != 0 || length < 16 || answer[0] == 0)
            CHECK(!"an answer that says no");
    }
    check_texts();
}

/* How much the service has allocated until now. */
static int allocations(void)
{
    exchange_client_string_t string;
    char text[20] = "";
    exchange_misbehave(12, &string);
    memcpy(text, string.ptr, string.len < 19 ? string.len : 19);
    exchange_client_string_free(&string);
    return atoi(text);
}

/* Requests of `join` whose last argument is none, while the others are good: the service allocates nothing for them. */
static void leak(uint64_t identity)
{
    static struct {
        uint64_t identity, tuple;
        uint32_t strings[18];
        char text[30000];
    } request;
    static uint8_t answer[65536];
    request.identity = identity;
    request.tuple = 16;
    for (uint32_t i = 0; i < 9; i++) {
        request.strings[2 * i] = 16 + sizeof request.strings;
        request.strings[2 * i + 1] = 100;
    }
    memset(request.text, 'a', sizeof request.text);
    uint32_t client = find_client_end(), length;
    int before = allocations();
    CHECK(call_raw(client, &request, sizeof request, answer, sizeof answer, &length) == 0);
    CHECK(answer[0] == 0); /* a good one is answered */
    CHECK(allocations() - before > 9);
    before = allocations();
    request.text[9999] = (char)0xff;
    request.strings[17] = 10000;
    for (int i = 0; i < 100; i++)
        CHECK(call_raw(client, &request, sizeof request, answer, sizeof answer, &length) == 0 && answer[0] != 0);
    CHECK(allocations() - before < 5);
}

/* Requests of `scalars`, whose arguments are in no memory. */
static void scalars(uint64_t identity)
{
    struct {
        uint64_t identity, flat[12];
    } request = {identity, {7}};
    struct {
        uint64_t status, address;
        uint8_t bytes[112];
    } answer = {0};
    uint32_t client = find_client_end(), length;
    for (int i = 0; i < 20; i++) {
        size_t size = sizeof request - 8 * (i == 5); /* too short */
        memset(&answer, 0xff, sizeof answer);
        request.flat[11] = i == 6 ? 0xd800 : i == 7 ? 0x110000 : UINT64_C(0xffffffff00000000); /* chars */
        CHECK(call_raw(client, &request, size, &answer, sizeof answer, &length) == 0);
        CHECK((answer.status != 0) == (i >= 5 && i <= 7));
        CHECK(answer.status != 0 || (length == 16 + 56 && answer.address == 16 && answer.bytes[0] == 1 &&
                                     answer.bytes[3] == 0)); /* padding */
    }
}

/* A request of `maybe`: what of the answer nobody writes is nothing of the answer before. */
static void padding(uint64_t identity)
{
    struct {
        uint64_t identity, flat[5];
    } request = {identity, {0}};
    struct {
        uint64_t status, address;
        uint8_t bytes[240];
    } answer;
    exchange_client_list_u8_t data = {malloc(100), 100}, back;
    memset(data.ptr, 'a', 100);
    exchange_bytes(&data, &back);
    exchange_client_list_u8_free(&back);
    uint32_t length;
    CHECK(call_raw(find_client_end(), &request, sizeof request, &answer, sizeof answer, &length) == 0);
    CHECK(answer.status == 0 && length == 16 + 20);
    for (int i = 0; i < 20; i++)
        CHECK(answer.bytes[i] == 0);
}

static void without_authority(void)
{
    exchange_client_string_t string;
    exchange_problem_t problem;
    CHECK(tessera_handle_close(find_client_end()) == 0);
    CHECK(!exchange_misbehave_politely(9, &string, &problem) && problem == EXCHANGE_PROBLEM_UNAVAILABLE);
    exchange_nothing();
}

__attribute__((import_module("tests:exchange/exchange@1.0.0"), import_name("join"))) extern void
raw_join(const void *arguments, void *result);
__attribute__((import_module("tests:exchange/exchange@1.0.0"), import_name("bytes"))) extern void
raw_bytes(uint32_t data, uint32_t size, void *result);
__attribute__((import_module("tests:exchange/exchange@1.0.0"), import_name("scalars"))) extern void
raw_scalars(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f, uint32_t g, uint64_t h, uint64_t i,
            float j, double k, uint32_t l, void *result);

/* Memory that is this program's, but not to be touched: what was shown there was taken back. */
static uint8_t *lost_memory(void)
{
    static _Alignas(TESSERA_PAGE_BYTES) uint8_t place[8192];
    int32_t memory = tessera_memory_create(sizeof place);
    int32_t lent = tessera_handle_duplicate((uint32_t)memory, TESSERA_RIGHTS_SAME);
    tessera_memory_map((uint32_t)lent, place, 0, sizeof place, TESSERA_MAP_WRITE);
    tessera_handle_revoke((uint32_t)memory);
    return place;
}

static void end_badly(const char *how)
{
    exchange_client_string_t string = {NULL, 0};
    exchange_problem_t problem;
    char wild[] = "\xff\xfe", area[16];
    if (strcmp(how, "text") == 0) {
        exchange_client_string_t parts[9] = {{(uint8_t *)wild, 2}};
        raw_join(parts, area);
    } else if (strcmp(how, "pointer") == 0) {
        raw_bytes(0xfffffff0, 100, area);
    } else if (strcmp(how, "result") == 0) {
        raw_bytes(0, 0, (void *)0xfffffff0);
    } else if (strcmp(how, "char") == 0) {
        raw_scalars(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd800, calloc(56, 1));
    } else if (strcmp(how, "place") == 0) {
        raw_scalars(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (void *)0xfffffff8);
    } else if (strcmp(how, "lostplace") == 0) {
        raw_scalars(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, lost_memory());
    } else if (strcmp(how, "badchar") == 0) { /* the service's result */
        raw_scalars(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f4a5, calloc(56, 1));
    } else if (strcmp(how, "large") == 0) {
        exchange_client_list_u8_t data = {calloc(70000, 1), 70000}, back;
        exchange_bytes(&data, &back);
    } else if (strcmp(how, "handle") == 0) {
        exchange_keep((exchange_own_handle_t){12345});
    } else if (strcmp(how, "big") == 0) { /* for ever, until it is killed somewhere in it */
        for (;;)
            check_bytes();
    } else if (strcmp(how, "lost") == 0) { /* an argument, in a message that is not small */
        raw_bytes((uint32_t)lost_memory(), 8000, area);
    } else if (strcmp(how, "lostresult") == 0) {
        raw_bytes((uint32_t)calloc(8000, 1), 8000, lost_memory());
    } else if (strcmp(how, "authority") == 0) {
        without_authority();
    } else if (strncmp(how, "realloc", 7) == 0) { /* realloc1 ... */
        realloc_how = how[7] - '0';
        exchange_misbehave(9, &string);
    } else if (strncmp(how, "later", 5) == 0) { /* later4 ...: what the service does in the call after this one */
        exchange_misbehave((uint32_t)how[5] - '0', &string);
        check_values();
    } else if (strcmp(how, "servicelost") == 0) {
        exchange_misbehave(10, &string);
    } else if (strcmp(how, "servicelostresult") == 0) { /* and with handles on their way */
        exchange_misbehave(11, &string);
        exchange_values(&(exchange_list_value_t){malloc(3000), 60}, 0, 0,
                        &(exchange_tuple3_list_value_color_mode_t){0});
    } else if (strncmp(how, "polite", 6) == 0) { /* polite0 ... */
        bool good = exchange_misbehave_politely((uint32_t)how[6] - '0', &string, &problem);
        printf("%s\n", good ? "answered" : problem == EXCHANGE_PROBLEM_UNAVAILABLE ? "unavailable" : "refused");
        good = exchange_misbehave_politely(9, &string, &problem);
        printf("%s\n", good ? "answered" : problem == EXCHANGE_PROBLEM_UNAVAILABLE ? "unavailable" : "refused");
    } else {
        exchange_misbehave((uint32_t)how[0] - '0', &string);
        printf("answered: %.*s\n", (int)string.len, (char *)string.ptr);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 2) {
        uint64_t identity = strtoull(arguments[2], NULL, 10);
        (strcmp(arguments[1], "leak") == 0 ? leak : strcmp(arguments[1], "padding") == 0 ? padding : scalars)(identity);
        return failed > 0;
    }
    if (argument_count > 1) {
        end_badly(arguments[1]);
        return 0;
    }
    for (int i = 0; i < 20; i++) { /* what is not freed shows as a limit of memory */
        check_scalars();
        check_texts();
        check_values();
        check_bytes();
        check_maybe();
        check_handles();
    }
    check_garbage();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
