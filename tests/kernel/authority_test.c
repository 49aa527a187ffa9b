/* No authority without a handle: every function of every table is called by a process that was given nothing, with
 * arguments of all kinds, and nothing happens outside of it. Then every function that needs rights, with a handle that has
 * all rights but one of these: refused. A module is made for each function, which imports it and passes its own arguments
 * on. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/tessera/interface.h"
#include "abi/tessera/tessera.h"
#include "kernel/event.h"
#include "kernel/host.h"
#include "kernel/host_call.h"
#include "kernel/object.h"
#include "kernel/platform.h"
#include "kernel/system.h"
#include "tests/kernel/call_module.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define CALLS       64
#define WAIT_NS     UINT64_C(3000000) /* a call that waits is ended then */
#define MILLISECOND UINT64_C(1000000)

/* ---- What must stay as it is ---- */

static struct object *other; /* of somebody else */
static int streams;          /* where standard output and error go */
static uint64_t state;

static uint64_t random_number(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state >> 17;
}

static uint64_t plausible(bool first)
{
    static const uint64_t numbers[] = {0,  1,   2,    3,    7,     8,      9,          16,
                                       64, 100, 1000, 4096, 65536, 131071, UINT32_MAX, UINT64_MAX};
    if (first && random_number() % 2)
        return random_number() % 20;
    return random_number() % 8 ? numbers[random_number() % (sizeof numbers / sizeof *numbers)] : random_number();
}

/* The type of the first parameter of a function of the table "tessera". */
static bool needs_handle(const struct host_interface *interface, const char *name)
{
#define FUNCTION(function, result, signature, parameters, type, rights)                                                \
    if (interface == &tessera_interface && !strcmp(name, #function))                                                   \
        return OBJECT_##type != OBJECT_NONE;
#include "abi/tessera/functions.def"
#undef FUNCTION
    return false;
}

#define MEMORY_BYTES (2 * 65536)
static uint8_t before[MEMORY_BYTES];

/* Small numbers: what lies there makes sense as vectors of buffers, handles, lengths. */
static void fill(uint8_t *memory)
{
    for (size_t at = 0; at < MEMORY_BYTES; at += sizeof(uint32_t)) {
        uint32_t word = (uint32_t)(random_number() % 40);
        memcpy(memory + at, &word, sizeof word);
    }
    memcpy(before, memory, MEMORY_BYTES);
}

/* What functions write of the small numbers in memory, a copy at an odd address for example, can be like a time of this
 * very second (39 << 40 is eleven hours). But it has at most two bytes in its lower half that are not 0; of the times,
 * one in ten thousand has so few. */
static bool may_be_of_small_numbers(uint64_t word)
{
    int bytes = 0;
    for (int i = 0; i < 4; i++)
        bytes += (word >> 8 * i & 0xff) != 0;
    return bytes <= 2;
}

/* Is it a recent time that is finer than it may be? */
static bool is_fine_time(uint64_t word, uint64_t from_monotonic, uint64_t from_realtime)
{
    bool recent = (word >= from_monotonic && word < from_monotonic + 10000 * MILLISECOND) ||
                  (word >= from_realtime && word < from_realtime + 10000 * MILLISECOND);
    return recent && word % MILLISECOND && !may_be_of_small_numbers(word);
}

/* Was one written? */
static bool tells_time(const uint8_t *memory, uint64_t from_monotonic, uint64_t from_realtime)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= MEMORY_BYTES; at += 4) {
        uint64_t word;
        memcpy(&word, memory + at, sizeof word);
        if (is_fine_time(word, from_monotonic, from_realtime) && memcmp(&word, before + at, sizeof word) != 0)
            return true;
    }
    return false;
}

static void call_once(const struct host_interface *interface, const char *name, struct process *process,
                      uint32_t function, uint8_t *memory, bool zero)
{
    const struct function_type *type = function_reference_type(process, function);
    union value arguments[HOST_SIGNATURE_VALUES], result = {.i64 = 0};
    uint64_t monotonic = platform_monotonic_nanoseconds(), realtime = platform_realtime_nanoseconds();
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        uint64_t value = zero ? 0 : plausible(i == 0);
        arguments[i].i64 = type->types[i] == VALUE_I32 ? (uint32_t)value : value;
    }
    fill(memory);
    process->end_request = 0;
    process->deadline = monotonic + WAIT_NS;
    enum trap trap = function_call(process, function, arguments, &result);
    bool good = true;
    if (trap == TRAP_NONE && needs_handle(interface, name)) {
        int64_t number = type->types[type->parameter_count] == VALUE_I32 ? (int32_t)result.i32 : (int64_t)result.i64;
        good = number < 0;
    }
    bool is_random = !strcmp(name, "random_get");
    good = good && (is_random || !tells_time(memory, monotonic, realtime));
    good = good && !is_fine_time(result.i64, monotonic, realtime);
    good = good && !other->signals && other->references == 2 && other->handle_count == 1;
    good =
        good && object_count(OBJECT_SYSTEM) == 1 && system_object()->references == 1 && clock_object()->references == 1;
    if (!good) {
        checks_failed++;
        fprintf(stdout, "FAIL %s.%s did something: trap %d, result %lld\n", interface->module, name, (int)trap,
                (long long)result.i64);
    } else {
        checks_passed++;
    }
}

static void try_function(const struct host_interface *interface, const struct host_function *entry)
{
    struct compiled_module *module;
    struct engine_error engine_error;
    struct link_error link_error;
    struct instance *instance;
    struct process *process;
    enum trap trap;
    call_module_make(interface, entry, 1);
    CHECK(compiled_module_create(call_module_bytes, call_module_size, "authority", &module, &engine_error) ==
          STATUS_OK);
    for (int call = 0; call < CALLS; call += 8) { /* what a call made may be there in the next ones, or not */
        CHECK(process_create("authority", 16 << 20, &process) == STATUS_OK);
        if (instance_create_with_host(process, module, &instance, &trap, &link_error) != STATUS_OK) {
            CHECK(!"links");
            printf("%s.%s: %s\n", interface->module, entry->name, link_error.message);
        } else {
            uint8_t *memory = instance_memory(instance, 0, MEMORY_BYTES);
            for (int i = 0; i < 8; i++)
                call_once(interface, entry->name, process, guest_function(instance, "f0"), memory, call + i == 0);
        }
        process_finish(process, TRAP_EXIT);
        process_join_threads(process);
        process_destroy(process);
    }
    compiled_module_release(module);
}

/* ---- A handle without one of the rights that a function needs ---- */

static const struct {
    const char *name;
    uint32_t type, rights;
} needs[] = {
#define FUNCTION(name, result, signature, parameters, type, rights) {#name, NEEDED_TYPE_##name, NEEDED_RIGHTS_##name},
#include "abi/tessera/functions.def"
#undef FUNCTION
};

/* The other arguments are 0, which all functions decode, or 1. The object is nothing but its type: nobody may touch it. */
static int64_t call_with(const struct compiled_module *module, struct object *object, uint32_t rights, uint64_t others)
{
    struct link_error link_error;
    struct instance *instance;
    struct process *process;
    struct grant *grant;
    enum trap trap;
    uint32_t number = 0;
    union value arguments[HOST_SIGNATURE_VALUES], result = {.i64 = 0};
    object->references++;
    CHECK(grant_create(object, rights, &grant) == STATUS_OK);
    CHECK(process_create("weak", 16 << 20, &process) == STATUS_OK);
    CHECK(handle_insert(process_handles(process), grant, &number) == STATUS_OK);
    CHECK(instance_create_with_host(process, (struct compiled_module *)module, &instance, &trap, &link_error) == STATUS_OK);
    uint32_t function = guest_function(instance, "f0");
    const struct function_type *type = function_reference_type(process, function);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        arguments[i].i64 = i == 0 ? number : others;
    process->deadline = platform_monotonic_nanoseconds() + WAIT_NS;
    trap = function_call(process, function, arguments, &result);
    bool is_short = type->types[type->parameter_count] == VALUE_I32;
    process_finish(process, TRAP_EXIT);
    process_join_threads(process);
    process_destroy(process);
    return trap != TRAP_NONE ? INT64_MIN : is_short ? (int32_t)result.i32 : (int64_t)result.i64;
}

static void weak_handles(void)
{
    static struct object objects[OBJECT_TYPE_COUNT];
    struct engine_error error;
    struct grant *kept; /* so that no handle is the last one, whose end is the type's business */
    for (enum object_type type = 1; type < OBJECT_TYPE_COUNT; type++) {
        object_initialize(&objects[type], type, 0);
        CHECK(grant_create(&objects[type], RIGHTS_ALL, &kept) == STATUS_OK);
    }
    for (uint32_t i = 0; i < tessera_interface.count; i++) {
        struct compiled_module *module;
        if (needs[i].type == OBJECT_NONE)
            continue;
        call_module_make(&tessera_interface, &tessera_interface.functions[i], 1);
        CHECK(compiled_module_create(call_module_bytes, call_module_size, "weak", &module, &error) == STATUS_OK);
        struct object *object = &objects[needs[i].type == OBJECT_ANY ? OBJECT_EVENT : needs[i].type];
        for (uint32_t right = 1; right <= RIGHTS_ALL; right <<= 1) {
            if (!(needs[i].rights & right))
                continue;
            int64_t zeros = call_with(module, object, RIGHTS_ALL & ~right, 0);
            int64_t ones = call_with(module, object, RIGHTS_ALL & ~right, 1);
            CHECK(zeros == -TESSERA_ERIGHT || ones == -TESSERA_ERIGHT);
            if (zeros != -TESSERA_ERIGHT && ones != -TESSERA_ERIGHT)
                fprintf(stdout, "%s without right %x: %lld, %lld\n", needs[i].name, right, (long long)zeros, (long long)ones);
        }
        compiled_module_release(module);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    struct grant *grant;
    uint64_t counts[OBJECT_TYPE_COUNT];
    /* The report goes where standard output went; what guests write would go to the file. */
    int report = dup(1);
    streams = memfd_create("streams", 0);
    CHECK(streams >= 0 && event_create(NULL, false, &other) == STATUS_OK);
    CHECK(grant_create(other, RIGHTS_ALL, &grant) == STATUS_OK);
    for (enum object_type type = 1; type < OBJECT_TYPE_COUNT; type++)
        counts[type] = object_count(type);
    fflush(stdout);
    dup2(streams, 1);
    dup2(streams, 2);
    stdout = fdopen(report, "w");
    uint32_t functions = 0;
    for (const struct host_interface *const *interface = host_interfaces; *interface; interface++)
        for (uint32_t i = 0; i < (*interface)->count; i++, functions++)
            try_function(*interface, &(*interface)->functions[i]);
    for (enum object_type type = 1; type < OBJECT_TYPE_COUNT; type++)
        CHECK(object_count(type) == counts[type]);
    CHECK(lseek(streams, 0, SEEK_END) == 0); /* nothing was written */
    weak_handles();
    grant_drop(grant);
    object_release(other);
    printf("%u functions\n", functions);
    return checks_report();
}
