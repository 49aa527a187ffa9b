/* Random calls of the whole interface "tessera" by several processes at once, that have channels and each other's
 * handles in common: nothing may happen but what a result says, and nothing is left. Handles, pointers, lengths and
 * times are made up, most of them plausible. TESSERA_SEED chooses another run, TESSERA_CALLS its length. */
#include <stdlib.h>

#include "abi/tessera/interface.h"
#include "abi/tessera/tessera.h"
#include "engine/base.h"
#include "kernel/channel.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/platform.h"
#include "kernel/port.h"
#include "kernel/system.h"
#include "tests/kernel/call_module.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

#define PROCESSES     3
#define HANDLES_KEPT  64 /* also the limit of a process: so the same objects are used again and again */
#define ROUNDS        24
#define CALLS_DEFAULT 2500 /* of each process in a round */
#define WAIT_NS       UINT64_C(2000000)

struct caller {
    struct process *process;
    struct instance *instance;
    struct thread *thread;
    uint8_t *memory;
    uint64_t state;
    uint64_t calls, traps, errors;
    uint32_t handles[HANDLES_KEPT]; /* that calls gave, some of them closed by now */
};

static struct compiled_module *module;
static uint32_t calls_of_each;
static uint64_t worked[HOST_FUNCTIONS_MAXIMUM]; /* by function: calls without an error */

static uint32_t below(struct caller *caller, uint32_t limit)
{
    caller->state = caller->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(caller->state >> 33) % limit;
}

/* One that works, if there is one to an object of this type (OBJECT_ANY: any). */
static uint32_t live_handle(struct caller *caller, uint32_t type)
{
    struct handle_table *table = process_handles(caller->process);
    uint32_t number = 0;
    spinlock_acquire(&table->lock);
    uint32_t start = below(caller, table->mask + 1);
    for (uint32_t i = 0; i <= table->mask && !number; i++) {
        uint32_t candidate = table->slots[(start + i) & table->mask].number;
        struct grant *grant = handle_grant(table, candidate);
        number = grant && (type == OBJECT_ANY || grant->object->type == type) ? candidate : 0;
    }
    spinlock_release(&table->lock);
    return number;
}

static uint32_t some_handle(struct caller *caller, uint32_t type)
{
    switch (below(caller, 24)) {
    case 0:
        return below(caller, 1u << 31);
    case 1:
        return below(caller, 48);
    case 2:
        return live_handle(caller, OBJECT_ANY);
    case 3:
    case 4:
        return caller->handles[below(caller, HANDLES_KEPT)]; /* maybe closed */
    default:
        return live_handle(caller, type);
    }
}

static uint32_t word(struct caller *caller)
{
    static const uint32_t numbers[] = {0, 1, 2, 4, 8, 16, 64, 255, 1024, 4096, 65535, 131071, 131072, UINT32_MAX};
    switch (below(caller, 16)) {
    case 0:
        return numbers[below(caller, ARRAY_COUNT(numbers))];
    case 1:
        return 1u << below(caller, 32);
    case 2:
    case 3:
    case 4:
        return some_handle(caller, OBJECT_ANY);
    case 5:
    case 6:
    case 7:
    case 8:
        return below(caller, 4);
    case 9:
    case 10:
        return below(caller, 20);
    default:
        return below(caller, CALL_MODULE_MEMORY_BYTES / 8) * 8;
    }
}

static uint64_t long_word(struct caller *caller)
{
    uint64_t now = platform_monotonic_nanoseconds();
    switch (below(caller, 8)) {
    case 0:
        return word(caller);
    case 1:
        return UINT64_MAX - below(caller, 2);
    case 2:
        return now + WAIT_NS;
    case 3:
    case 4:
        return now + below(caller, 200000);
    default:
        return 0;
    }
}

/* What lies in the memory makes sense: handles; what is to be waited for; or pointers and lengths in turn. */
static void fill(struct caller *caller)
{
    enum { WORDS = 32 };
    uint32_t at = below(caller, CALL_MODULE_MEMORY_BYTES / 4 / WORDS) * 4 * WORDS;
    uint32_t kind = below(caller, 3);
    for (uint32_t i = 0; i < WORDS; i++) {
        uint32_t value = below(caller, 16) == 0                 ? word(caller)
                         : kind == 0 || (kind == 1 && !(i % 3)) ? some_handle(caller, OBJECT_ANY)
                         : kind == 1 || i % 2                   ? below(caller, 12)
                                                                : below(caller, CALL_MODULE_MEMORY_BYTES / 128) * 128;
        memcpy(caller->memory + at + i * sizeof value, &value, sizeof value);
    }
}

static void keep(struct caller *caller, uint32_t handle)
{
    caller->handles[below(caller, HANDLES_KEPT)] = handle;
}

/* The results of some calls are handles, or lie where one of its arguments says. */
static void learn(struct caller *caller, const char *name, const struct function_type *type,
                  const union value *arguments, union value result)
{
    if (type->result_count && (int32_t)result.i32 > 0)
        keep(caller, result.i32);
    bool makes = strstr(name, "create") || strstr(name, "read") || strstr(name, "receive");
    for (uint32_t i = 0; makes && i < type->parameter_count; i++)
        if (arguments[i].i32 < CALL_MODULE_MEMORY_BYTES - 8) {
            uint32_t words[2];
            memcpy(words, caller->memory + arguments[i].i32, sizeof words);
            keep(caller, words[0]);
            keep(caller, words[1]);
        }
}

/* What the first parameter of each function has to be, and the names of all. */
static const struct {
    uint32_t first_type;
    const char *parameters;
} rows[] = {
#define FUNCTION(name, result, signature, parameters, type, rights) {NEEDED_TYPE_##name, #parameters},
#include "abi/tessera/functions.def"
#undef FUNCTION
};

/* Does the parameter's name begin with one of these, which are ended by spaces? */
static bool named(const char *parameter, const char *names)
{
    for (const char *name = names; *name; name = strchr(name, ' ') + 1)
        if (!strncmp(parameter, name, strcspn(name, " ")))
            return true;
    return false;
}

/* By name and number of the parameter, most of the time. */
static uint32_t argument_for(struct caller *caller, const char *parameter, uint32_t index, uint32_t first_type)
{
    if (index == 0 && first_type != OBJECT_NONE)
        return some_handle(caller, first_type);
    if (below(caller, 12) == 0)
        return word(caller);
    if (named(parameter, "object "))
        return some_handle(caller, OBJECT_ANY);
    if (named(parameter, "length count maximum messages entry capacity "))
        return below(caller, 12);
    if (named(parameter, "flags "))
        return below(caller, 2);
    if (named(parameter, "signals rights "))
        return below(caller, 4) ? 1u << below(caller, 5) : below(caller, 2048);
    return below(caller, CALL_MODULE_MEMORY_BYTES / 128) * 128;
}

/* Those that make objects and take handles away come less often, so that there are some to be used. */
static uint32_t choose_function(struct caller *caller)
{
    for (;;) {
        uint32_t number = below(caller, tessera_interface.count);
        const char *name = tessera_interface.functions[number].name;
        bool rare = !strcmp(name, "handle_close") || !strcmp(name, "handle_revoke") || strstr(name, "create");
        if (!rare || below(caller, 8) == 0)
            return number;
    }
}

static void call_once(struct caller *caller)
{
    uint32_t number = choose_function(caller);
    const char *name = tessera_interface.functions[number].name;
    char export[12];
    snprintf(export, sizeof export, "f%u", number);
    uint32_t function = guest_function(caller->instance, export);
    const struct function_type *type = function_reference_type(caller->process, function);
    union value arguments[HOST_SIGNATURE_VALUES], result = {.i64 = 0};
    const char *parameter = rows[number].parameters;
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        parameter = strstr(parameter, "_t ") + 3;
        arguments[i].i64 = type->types[i] == VALUE_I64 ? long_word(caller)
                                                       : argument_for(caller, parameter, i, rows[number].first_type);
    }
    caller->process->deadline = platform_monotonic_nanoseconds() + WAIT_NS;
    enum trap trap = function_call(caller->process, function, arguments, &result);
    caller->process->end_request = 0;
    caller->traps += trap != TRAP_NONE;
    caller->errors += trap == TRAP_NONE && (int32_t)result.i32 < 0;
    caller->calls++;
    if (trap == TRAP_NONE && (int32_t)result.i32 >= 0)
        __atomic_fetch_add(&worked[number], 1, __ATOMIC_RELAXED);
    if (trap == TRAP_NONE)
        learn(caller, name, type, arguments, result);
}

static void run_caller(void *argument)
{
    struct caller *caller = argument;
    thread_set_process(thread_current(), caller->process);
    for (uint32_t i = 0; i < calls_of_each; i++) {
        if (i % 8 == 0)
            fill(caller);
        call_once(caller);
    }
    caller->process->deadline = UINT64_MAX;
    thread_set_process(thread_current(), NULL);
}

static void give(struct caller *caller, struct grant *grant)
{
    uint32_t number = 0;
    CHECK(handle_insert(process_handles(caller->process), grant, &number) == STATUS_OK);
    keep(caller, number);
}

/* A handle to the object, whose reference it takes over. */
static void give_new(struct caller *caller, struct object *object, uint32_t rights)
{
    struct grant *grant;
    CHECK(grant_create(object, rights, &grant) == STATUS_OK);
    give(caller, grant);
    object_release(object);
}

/* A channel and a port from each process to the next one; the clock; the system, for information only. */
static void connect(struct caller *callers)
{
    for (uint32_t i = 0; i < PROCESSES; i++) {
        struct caller *caller = &callers[i], *next = &callers[(i + 1) % PROCESSES];
        struct object *ends[2], *port = NULL, *client = NULL;
        CHECK(channel_create(16, 65536, NULL, ends) == STATUS_OK);
        give_new(caller, ends[0], RIGHTS_ALL);
        give_new(next, ends[1], RIGHTS_ALL);
        CHECK(port_create(NULL, &port) == STATUS_OK && port_client_create(port, i, NULL, &client) == STATUS_OK);
        give_new(caller, port, RIGHTS_ALL & ~RIGHT_TRANSFER);
        give_new(next, client, RIGHTS_ALL & ~RIGHT_TRANSFER);
        object_acquire(system_object());
        give_new(caller, system_object(), RIGHT_INSPECT | RIGHT_DUPLICATE | RIGHT_TRANSFER);
        object_acquire(clock_object());
        give_new(caller, clock_object(), RIGHTS_ALL);
    }
}

static void round_of(uint64_t seed)
{
    static struct caller callers[PROCESSES];
    struct link_error link_error;
    enum trap trap;
    memset(callers, 0, sizeof callers);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        struct caller *caller = &callers[i];
        caller->state = seed * PROCESSES + i;
        CHECK(process_create("random", 64 << 20, &caller->process) == STATUS_OK);
        CHECK(instance_create_with_host(caller->process, module, &caller->instance, &trap, &link_error) == STATUS_OK);
        process_handles(caller->process)->limit = HANDLES_KEPT;
        caller->memory = instance_memory(caller->instance, 0, CALL_MODULE_MEMORY_BYTES);
    }
    connect(callers);
    for (uint32_t i = 0; i < PROCESSES; i++)
        CHECK(thread_start(run_caller, &callers[i], &callers[i].thread) == STATUS_OK);
    for (uint32_t i = 0; i < PROCESSES; i++)
        thread_join(callers[i].thread);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        struct caller *caller = &callers[i];
        CHECK(caller->calls == calls_of_each && caller->errors < caller->calls * 9 / 10);
        process_destroy(caller->process);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *seed = getenv("TESSERA_SEED"), *calls = getenv("TESSERA_CALLS");
    uint64_t first = seed ? strtoull(seed, NULL, 0) : 1;
    struct engine_error error;
    struct heap_statistics heap[ROUNDS];
    calls_of_each = calls ? (uint32_t)strtoul(calls, NULL, 0) : CALLS_DEFAULT;
    guest_cpus = PROCESSES;
    guest_initialize(argv);
    call_module_make(&tessera_interface, tessera_interface.functions, tessera_interface.count);
    if (compiled_module_create(call_module_bytes, call_module_size, "random", &module, &error) != STATUS_OK) {
        printf("FAIL %s\n", error.message);
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        printf("seed %llu, %u calls\n", (unsigned long long)(first + (uint64_t)round), calls_of_each);
        fflush(stdout);
        round_of(first + (uint64_t)round);
        for (enum object_type type = 1; type < OBJECT_TYPE_COUNT; type++)
            if (object_count(type) != (type == OBJECT_SYSTEM || type == OBJECT_CLOCK)) {
                CHECK(!"objects are left");
                printf("%llu of type %s\n", (unsigned long long)object_count(type), object_types[type].name);
            }
        kernel_heap_trim();
        kernel_heap_statistics(&heap[round]);
    }
    CHECK(heap[1].blocks == heap[ROUNDS - 1].blocks && heap[1].bytes == heap[ROUNDS - 1].bytes);
    for (uint32_t i = 0; i < tessera_interface.count; i++)
        printf("%8llu %s\n", (unsigned long long)worked[i], tessera_interface.functions[i].name);
    compiled_module_release(module);
    return checks_report();
}
