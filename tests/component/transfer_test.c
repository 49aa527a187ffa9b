/* What vectors cannot say: exact statuses, a cabi_realloc that fails, lies or grows the memory, handles, limits, memory
 * that changes while it is read. */
#include <stdint.h>

#include "engine/component/transfer.h"
#include "tests/component/every.h"
#include "tests/engine/support.h"

#define MEMORY_BYTES 4096

/* A destination that misbehaves: what `allocate` gives. */
struct guest {
    struct component_side side;
    uint8_t *memories[2]; /* the second is taken when it grows */
    uint32_t next;
    uint32_t calls, fail_at; /* that call fails; 0: none */
    uint32_t lie_at, lie;    /* that call gives this address */
    bool grows;
};

static struct component_types *types;
static struct component_call calls[16];
static struct guest source, destination;
static struct component_planner *planner;

static enum component_status allocate(struct component_side *side, uint32_t alignment, uint32_t bytes,
                                      uint32_t *address)
{
    struct guest *guest = (struct guest *)side;
    CHECK(bytes > 0);
    guest->calls++;
    if (guest->calls == guest->fail_at) {
        return COMPONENT_ALLOCATION;
    }
    guest->next = (uint32_t)align_up(guest->next, alignment);
    *address = guest->calls == guest->lie_at ? guest->lie : guest->next;
    guest->next += bytes;
    if (guest->grows && side->base == guest->memories[0]) {
        memcpy(guest->memories[1], side->base, side->bytes);
        memset(side->base, 0xee, side->bytes);
        side->base = guest->memories[1];
        side->bytes *= 2;
    }
    return COMPONENT_OK;
}

static void guest_reset(struct guest *guest)
{
    static _Alignas(16) uint8_t memories[2][2][MEMORY_BYTES * 2];
    unsigned which = guest == &source;
    *guest = (struct guest){.next = 64};
    guest->memories[0] = memories[which][0];
    guest->memories[1] = memories[which][1];
    memset(memories[which], 0, sizeof(memories[which]));
    guest->side = (struct component_side){.base = guest->memories[0], .bytes = MEMORY_BYTES, .allocate = allocate};
}

static const struct component_call *plan(const char *name)
{
    static uint32_t count;
    const struct component_function *function =
        component_find_function(types->imports, types->import_count, (struct name){"tests:every/every@0.1.0", 23},
                                (struct name){name, (uint32_t)strlen(name)});
    struct component_call *call = &calls[count++ % ARRAY_COUNT(calls)];
    CHECK(function && component_call_plan(planner, function, &types->arena, call) == ENGINE_OK);
    return call;
}

static struct component_transfer begin(void)
{
    guest_reset(&source);
    guest_reset(&destination);
    return (struct component_transfer){
        .source = &source.side, .destination = &destination.side, .bytes_left = UINT32_MAX};
}

static void put(struct guest *guest, uint32_t address, const void *bytes, size_t size)
{
    memcpy(guest->side.base + address, bytes, size);
}

static void put_words(struct guest *guest, uint32_t address, const uint32_t *words, size_t count)
{
    put(guest, address, words, count * sizeof(*words));
}

static bool holds(const struct guest *guest, uint64_t address, const void *bytes, size_t size)
{
    return address + size <= guest->side.bytes && memcmp(guest->side.base + address, bytes, size) == 0;
}

/* ---- Bytes ---- */
static void test_bytes(void)
{
    const struct component_plan *bytes = &plan("bytes")->parameters;
    struct component_transfer transfer = begin();
    uint64_t to[2];
    put(&source, 100, "hello", 5);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){100, 5}, to) == COMPONENT_OK);
    CHECK(to[1] == 5 && holds(&destination, to[0], "hello", 5) && destination.calls == 1);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){MEMORY_BYTES, 0}, to) == COMPONENT_OK);
    CHECK(to[1] == 0 && destination.calls == 1);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, MEMORY_BYTES}, to) == COMPONENT_OK ||
          destination.next > MEMORY_BYTES);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){1, MEMORY_BYTES}, to) == COMPONENT_BOUNDS);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){MEMORY_BYTES + 1, 0}, to) == COMPONENT_BOUNDS);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){UINT32_MAX, 2}, to) == COMPONENT_BOUNDS);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){2, UINT32_MAX}, to) == COMPONENT_BOUNDS);
    /* the upper halves of i32 values mean nothing */
    uint64_t dirty[2] = {100 | UINT64_C(7) << 32, 5 | UINT64_C(9) << 40};
    transfer = begin();
    CHECK(component_transfer_parameters(&transfer, bytes, dirty, to) == COMPONENT_OK && to[1] == 5 &&
          to[0] < MEMORY_BYTES);
}

/* Texts are copied and looked at in words of several sizes: a letter that is none of ASCII, good or bad, at every
 * place. */
static void test_texts(void)
{
    const struct component_plan *many = &plan("many")->parameters;
    for (uint32_t length = 1; length < 160; length++) {
        struct component_transfer transfer = begin();
        uint8_t *text = source.side.base + 101;
        uint64_t to[1];
        put_words(&source, 1024, (uint32_t[]){101, length}, 2);
        memset(text, 'a', length);
        for (uint32_t i = 0; i <= length; i++) {
            static const struct {
                uint8_t bytes[2];
                enum component_status status;
            } letters[] = {{{0xc3, 0xa4}, COMPONENT_OK}, {{0xff, 'a'}, COMPONENT_UTF8}, {{'a', 0x80}, COMPONENT_UTF8}};
            for (uint32_t j = 0; j < 3 && i + 2 <= length; j++) {
                memcpy(text + i, letters[j].bytes, 2);
                destination.next = 64;
                transfer.bytes_left = 1000;
                CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){1024}, to) == letters[j].status);
                CHECK(j > 0 || holds(&destination, destination.next - length, text, length));
                memset(text + i, 'a', 2);
            }
        }
        destination.next = 64;
        text[length] = 0xff; /* behind it */
        CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){1024}, to) == COMPONENT_OK);
        CHECK(holds(&destination, destination.next - length, text, length));
        text[length - 1] = 0xff;
        CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){1024}, to) == COMPONENT_UTF8);
    }
}

static void test_large(void)
{
    const struct component_plan *bytes = &plan("bytes")->parameters;
    struct component_transfer transfer = begin();
    uint64_t to[2];
    transfer.bytes_left = 10;
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, 6}, to) == COMPONENT_OK);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, 5}, to) == COMPONENT_LARGE);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, 4}, to) == COMPONENT_OK);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, 1}, to) == COMPONENT_LARGE);
    CHECK(component_transfer_parameters(&transfer, bytes, (uint64_t[]){0, 0}, to) == COMPONENT_OK);
}

/* ---- cabi_realloc ---- */
/* people(list<person>, tuple<u8, u64>): one person with a name, two tags, a place. */
static const uint64_t people_flat[4] = {256, 1, 300, UINT64_MAX};

static void put_people(void)
{
    put_words(&source, 256, (uint32_t[]){512, 3, 0x2a, 520, 2, 1, 10, (uint32_t)-20}, 8);
    put_words(&source, 520, (uint32_t[]){600, 1, 601, 2}, 4);
    put(&source, 512, "Ada", 3);
    put(&source, 600, "xyz", 3);
}

static enum component_status transfer_people(struct component_transfer *transfer, uint64_t *to)
{
    return component_transfer_parameters(transfer, &plan("people")->parameters, people_flat, to);
}

static void check_people(const uint64_t *to)
{
    uint32_t person[8], tags[4];
    CHECK(to[1] == 1 && to[2] == (300 & 0xff) && to[3] == UINT64_MAX);
    memcpy(person, destination.side.base + to[0], sizeof(person));
    CHECK(person[1] == 3 && holds(&destination, person[0], "Ada", 3) && (person[2] & 0xff) == 0x2a && person[4] == 2);
    CHECK((person[5] & 0xff) == 1 && person[6] == 10 && person[7] == (uint32_t)-20);
    memcpy(tags, destination.side.base + person[3], sizeof(tags));
    CHECK(tags[1] == 1 && holds(&destination, tags[0], "x", 1) && tags[3] == 2 &&
          holds(&destination, tags[2], "yz", 2));
}

static void test_people(void)
{
    uint64_t to[4];
    struct component_transfer transfer = begin();
    put_people();
    CHECK(transfer_people(&transfer, to) == COMPONENT_OK && destination.calls == 5);
    check_people(to);
    transfer = begin();
    put_people();
    destination.grows = true; /* and moves */
    CHECK(transfer_people(&transfer, to) == COMPONENT_OK);
    CHECK(destination.side.base == destination.memories[1]);
    check_people(to);
}

static void test_realloc(void)
{
    static const struct {
        uint32_t address;
        enum component_status status;
    } lies[] = {
        {MEMORY_BYTES, COMPONENT_ALLOCATION_BOUNDS},
        {UINT32_MAX, COMPONENT_ALLOCATION_BOUNDS},
        {MEMORY_BYTES - 16, COMPONENT_ALLOCATION_BOUNDS},
        {66, COMPONENT_ALLOCATION_ALIGNMENT},
        {0, COMPONENT_OK},
    };
    uint64_t to[4];
    for (uint32_t n = 1; n <= 5; n++) {
        struct component_transfer transfer = begin();
        put_people();
        destination.fail_at = n;
        CHECK(transfer_people(&transfer, to) == COMPONENT_ALLOCATION && destination.calls == n);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(lies); i++) {
        struct component_transfer transfer = begin();
        put_people();
        destination.lie_at = 1;
        destination.lie = lies[i].address;
        CHECK(transfer_people(&transfer, to) == lies[i].status);
        CHECK(!component_status_is_of_source(lies[i].status));
    }
}

static void test_damaged_people(void)
{
    static const struct {
        uint32_t place, value;
        enum component_status status;
    } damages[] = {
        {256, MEMORY_BYTES - 2, COMPONENT_BOUNDS}, {260, MEMORY_BYTES, COMPONENT_BOUNDS},
        {268, 521, COMPONENT_ALIGNMENT},           {272, 1 << 28, COMPONENT_BOUNDS},
        {272, 1 << 29, COMPONENT_BOUNDS},          {276, 2, COMPONENT_CASE},
        {512, 0x80808080, COMPONENT_UTF8},         {600, 0x00eda0ff, COMPONENT_UTF8},
    };
    uint64_t to[4];
    for (uint32_t i = 0; i < ARRAY_COUNT(damages); i++) {
        struct component_transfer transfer = begin();
        put_people();
        put_words(&source, damages[i].place, &damages[i].value, 1);
        enum component_status status = transfer_people(&transfer, to);
        if (status != damages[i].status) {
            printf("FAIL %u at %u: %s\n", damages[i].value, damages[i].place, component_status_text(status));
            checks_failed++;
        }
        CHECK(component_status_is_of_source(status));
    }
}

/* ---- Flat values ---- */
static void test_scalars(void)
{
    const struct component_call *call = plan("scalars");
    struct component_transfer transfer = begin();
    uint64_t from[12] = {5,          0x1ff,      0x180,      0x12345,    0x18000,    UINT64_MAX,
                         UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0x10ffff};
    uint64_t to[12];
    CHECK(call->parameters.scalars && call->result.scalars && call->parameters.flat_count == 12);
    CHECK(component_transfer_parameters(&transfer, &call->parameters, from, to) == COMPONENT_OK);
    CHECK(to[0] == 1 && to[1] == 0xff && to[2] == 0xffffff80 && to[3] == 0x2345 && to[4] == 0xffff8000);
    CHECK(to[5] == UINT32_MAX && to[6] == UINT32_MAX && to[7] == UINT64_MAX && to[8] == UINT64_MAX);
    CHECK(to[9] == UINT32_MAX && to[10] == UINT64_MAX && to[11] == 0x10ffff);
    static const uint32_t wrong[] = {0x110000, 0xd800, 0xdfff, UINT32_MAX};
    for (uint32_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        from[11] = wrong[i];
        CHECK(component_transfer_parameters(&transfer, &call->parameters, from, to) == COMPONENT_CHARACTER);
    }
    CHECK(component_transfer_result(&transfer, &call->result, 7, 0, to) == COMPONENT_OK && to[0] == 7);
    CHECK(component_transfer_result(&transfer, &plan("failing")->result, 1, 0, to) == COMPONENT_OK && to[0] == 1);
    CHECK(component_transfer_result(&transfer, &plan("failing")->result, 2, 0, to) == COMPONENT_CASE);
    CHECK(component_transfer_result(&transfer, &plan("nothing")->result, 2, 0, to) == COMPONENT_OK);
    CHECK(source.calls + destination.calls == 0);
}

static void test_result_place(void)
{
    const struct component_plan *values = &plan("values")->result; /* result<value, color> */
    struct component_transfer transfer = begin();
    uint64_t to[1];
    put(&source, 64, "\1\0\0\0\0\0\0\0\2", 9);
    CHECK(values->in_memory && values->bytes == 24 && values->alignment == 8);
    CHECK(component_transfer_result(&transfer, values, 64, 128, to) == COMPONENT_OK);
    CHECK(holds(&destination, 128, "\1\0\0\0\0\0\0\0\2", 9));
    CHECK(component_transfer_result(&transfer, values, 68, 128, to) == COMPONENT_ALIGNMENT);
    CHECK(component_transfer_result(&transfer, values, MEMORY_BYTES - 16, 128, to) == COMPONENT_BOUNDS);
    CHECK(component_transfer_result(&transfer, values, 64, 132, to) == COMPONENT_RESULT_ALIGNMENT);
    CHECK(component_transfer_result(&transfer, values, 64, MEMORY_BYTES - 16, to) == COMPONENT_RESULT_BOUNDS);
    CHECK(component_transfer_result(&transfer, values, 64, UINT32_MAX - 7, to) == COMPONENT_RESULT_BOUNDS);
    CHECK(!component_status_is_of_source(COMPONENT_RESULT_BOUNDS) && component_status_is_of_source(COMPONENT_LARGE));
}

/* Parameters in memory, and values that must not be copied: what a padding or another case holds. */
static void test_padding(void)
{
    const struct component_plan *many = &plan("many")->parameters;
    struct component_transfer transfer = begin();
    uint64_t to[1];
    CHECK(many->in_memory && many->bytes == 72 && many->flat_count == 1);
    CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){256}, to) == COMPONENT_OK);
    CHECK(to[0] == 64 && destination.calls == 1);
    CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){258}, to) == COMPONENT_ALIGNMENT);
    CHECK(component_transfer_parameters(&transfer, many, (uint64_t[]){MEMORY_BYTES - 68}, to) == COMPONENT_BOUNDS);
    /* a person in which all that means nothing is 0xff */
    transfer = begin();
    memset(source.side.base + 256, 0xff, 32);
    put_words(&source, 256, (uint32_t[]){0, 0, 0xffffff2a, 0, 0, 0xffffff00}, 6);
    uint64_t flat[4];
    CHECK(transfer_people(&transfer, flat) == COMPONENT_OK);
    CHECK(holds(&destination, flat[0] + 8, "\x2a\0\0\0", 4) &&
          holds(&destination, flat[0] + 20, "\0\0\0\0\0\0\0\0\0\0\0\0", 12));
}

/* ---- Handles ---- */
static uint32_t handles_seen;

static enum component_status handle(struct component_transfer *transfer, const struct component_resource *resource,
                                    bool owned, uint32_t from, uint32_t *to)
{
    CHECK(transfer->context == &handles_seen);
    CHECK(component_name_equal(resource->name, (struct name){"counter", 7}));
    CHECK(owned == (handles_seen == 0));
    handles_seen++;
    *to = from + 1000;
    return from == 13 ? COMPONENT_HANDLE : COMPONENT_OK;
}

static void test_handles(void)
{
    const struct component_plan *merge = &plan("[static]counter.merge")->parameters;
    struct component_transfer transfer = begin();
    uint64_t to[2];
    CHECK(merge->has_handles && !merge->scalars);
    CHECK(component_transfer_parameters(&transfer, merge, (uint64_t[]){3, 4}, to) == COMPONENT_HANDLE);
    transfer.handle = handle;
    transfer.context = &handles_seen;
    CHECK(component_transfer_parameters(&transfer, merge, (uint64_t[]){3, 4}, to) == COMPONENT_OK);
    CHECK(handles_seen == 2 && to[0] == 1003 && to[1] == 1004);
    handles_seen = 0;
    CHECK(component_transfer_parameters(&transfer, merge, (uint64_t[]){3, 13}, to) == COMPONENT_HANDLE);
}

int main(void)
{
    struct engine_error error = {0};
    CHECK(component_types_decode_section(every_client, sizeof(every_client), &test_allocator, &types, &error) ==
          ENGINE_OK);
    planner = component_planner_create(&test_allocator);
    test_bytes();
    test_texts();
    test_large();
    test_people();
    test_realloc();
    test_damaged_people();
    test_scalars();
    test_result_place();
    test_padding();
    test_handles();
    component_planner_destroy(planner);
    component_types_release(types);
    CHECK(memory_outstanding == 0);
    return checks_report();
}
