/* The whole interface "tessera" at random: many programs at once call every function of abi/tessera/functions.def,
 * mostly with arguments that make sense, on objects that they have in common, while they are killed and handles are
 * revoked.
 *
 *     driver SEED PROGRAMS        starts PROGRAMS children, CHILDREN_AT_ONCE at a time, and says what was seen
 *     driver SEED PROGRAMS any    the same, and nothing is missed
 *     driver child SEED           one of them
 *     driver quick                ends at once; for process_run and process_create
 *
 * Children count what each function returned in a memory object that all map. At the end the table of functions and
 * results is printed, and checked: each function worked at least once; each that takes a handle was refused with
 * EHANDLE, with ERIGHT if it needs a right; each error of the interface was seen, but for those in `not_here`. A new
 * row of the table is called without further ado. It offers the interface tessera:log/log, so that there is something
 * to serve. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/log_service.h"
#include "sdk/tessera.h"

#define CHILDREN_AT_ONCE 5
#define STEPS            400 /* of a child */
#define MILLISECOND      UINT64_C(1000000)
#define CHILD_TIME       "150000000" /* nanoseconds, as a text */
#define TABLE_BYTES      16384

/* ---- The table ---- */

#define CALLER                     0
#define WITHOUT_CALLER(first, ...) (__VA_ARGS__)
#define FUNCTION(name, result, signature, parameters, type, rights)                                                    \
    TESSERA_IMPORT(name) result raw_##name WITHOUT_CALLER parameters;
#include "abi/tessera/functions.def"
#undef FUNCTION

#define COUNT_OF_(a, b, c, d, e, f, g, h, count, ...) count
#define COUNT_OF(...)                                 COUNT_OF_(__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define PASS_0(a)
#define PASS_1(a)         a[0]
#define PASS_2(a)         PASS_1(a), a[1]
#define PASS_3(a)         PASS_2(a), a[2]
#define PASS_4(a)         PASS_3(a), a[3]
#define PASS_5(a)         PASS_4(a), a[4]
#define PASS_6(a)         PASS_5(a), a[5]
#define PASS_7(a)         PASS_6(a), a[6]
#define PASS__(count, a)  PASS_##count(a)
#define PASS_(count, a)   PASS__(count, a)
#define ARGUMENTS_MAXIMUM 7
/* The arguments as 64-bit numbers, which become those of the function as assignments do. */
#define FUNCTION(name, result, signature, parameters, type, rights)                                                    \
    static int64_t call_##name(const uint64_t *arguments)                                                              \
    {                                                                                                                  \
        (void)arguments;                                                                                               \
        return raw_##name(PASS_(COUNT_OF parameters, arguments));                                                      \
    }
#pragma clang diagnostic ignored "-Wshorten-64-to-32"
#include "abi/tessera/functions.def"
#undef FUNCTION

enum {
#define FUNCTION(name, result, signature, parameters, type, rights) F_##name,
#include "abi/tessera/functions.def"
#undef FUNCTION
    FUNCTION_COUNT
};

/* The kernel's names in the table's last two columns. */
enum { OBJECT_NONE = -1, OBJECT_ANY = 0 };
#define OBJECT(NAME, name, text, rights) OBJECT_##NAME = TESSERA_OBJECT_##NAME,
enum {
#include "kernel/objects.def"
    OBJECT_TYPES
};
#undef OBJECT
enum {
    RIGHT_READ = TESSERA_RIGHT_READ,
    RIGHT_WRITE = TESSERA_RIGHT_WRITE,
    RIGHT_EXECUTE = TESSERA_RIGHT_EXECUTE,
    RIGHT_WAIT = TESSERA_RIGHT_WAIT,
    RIGHT_SIGNAL = TESSERA_RIGHT_SIGNAL,
    RIGHT_DUPLICATE = TESSERA_RIGHT_DUPLICATE,
    RIGHT_MANAGE = TESSERA_RIGHT_MANAGE,
    RIGHT_INSPECT = TESSERA_RIGHT_INSPECT,
    RIGHT_MAP = TESSERA_RIGHT_MAP,
};

static const struct function {
    const char *name, *signature, *parameters;
    int64_t (*call)(const uint64_t *arguments);
    int32_t first_type;
    uint32_t rights;
} functions[] = {
#define FUNCTION(name, result, signature, parameters, type, rights)                                                    \
    {#name, signature, #parameters, call_##name, OBJECT_##type, rights},
#include "abi/tessera/functions.def"
#undef FUNCTION
};

/* What came back: [0] worked, [n] error n. */
#define ERRORS 16
struct counts {
    uint32_t results[FUNCTION_COUNT][ERRORS];
    uint32_t steps, killed, last_process, weakened;
};
_Static_assert(sizeof(struct counts) <= TABLE_BYTES, "the memory object");
static _Alignas(4096) uint8_t counts_place[TABLE_BYTES];
static volatile struct counts *const counts = (volatile struct counts *)counts_place;

/* ---- Random values ---- */

static uint64_t state;

static uint32_t below(uint32_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

/* Handles that calls gave, by type; some are closed or revoked by now. */
#define KNOWN 8
static uint32_t known[OBJECT_TYPES][KNOWN];

static void keep(int64_t handle)
{
    struct tessera_handle_information information;
    if (handle > 0 && tessera_handle_information((uint32_t)handle, &information, sizeof information) > 0 &&
        information.type < OBJECT_TYPES)
        known[information.type][below(KNOWN)] = (uint32_t)handle;
}

static uint32_t some_handle(int32_t type)
{
    uint32_t chance = below(32);
    if (chance == 0)
        return below(1u << 31);
    if (chance == 1 || type <= OBJECT_ANY)
        type = 1 + (int32_t)below(OBJECT_TYPES - 1);
    for (int look = 0; look < 2 * KNOWN; look++) {
        uint32_t handle = known[type][below(KNOWN)];
        if (handle)
            return handle;
    }
    return below(48);
}

static uint64_t now(void)
{
    return (uint64_t)tessera_time_coarse();
}

static uint64_t soon(void)
{
    uint32_t chance = below(64);
    return chance == 0 ? TESSERA_FOREVER : chance < 16 ? 0 : now() + below(4) * MILLISECOND;
}

/* Memory that calls are given: pages, so that memory objects can be mapped there, too. */
#define ARENA_PAGES  16
#define MAPPED_PAGES 8 /* the last of them: so many may show memory objects */
/* Behind it room for what is written from there on, so that nothing else of this program is hit. */
static _Alignas(4096) uint8_t arena[ARENA_PAGES * 4096 + 80000];

static uint32_t place(uint32_t bytes)
{
    uint32_t pages = below(32) ? ARENA_PAGES - MAPPED_PAGES : ARENA_PAGES;
    return (uint32_t)(uintptr_t)arena + below((pages * 4096 - bytes) / 64) * 64;
}

static uint8_t *mapped_page(void)
{
    return arena + (ARENA_PAGES - 1 - below(MAPPED_PAGES)) * 4096;
}

/* A length of data, mostly small. */
static uint32_t length(void)
{
    return below(8) ? below(200) : below(70000);
}

/* ---- What pointers point to ---- */

static uint32_t text_length; /* of what was made last */

static uint32_t put(const void *bytes, uint32_t size)
{
    uint32_t address = (uint32_t)(uintptr_t)arena + below(14 * 64) * 32; /* below the pages that are mapped */
    memcpy((void *)(uintptr_t)address, bytes, size);
    text_length = size;
    return address;
}

static uint32_t make_handles(void)
{
    uint32_t handles[16];
    for (int i = 0; i < 16; i++)
        handles[i] = some_handle(OBJECT_ANY);
    return put(handles, sizeof handles);
}

static uint32_t handle_count(void)
{
    return below(4) ? 0 : below(16) ? below(3) : below(20);
}

static uint32_t make_call(void)
{
    struct tessera_call call = {
        .request = (void *)(uintptr_t)place(1024),
        .request_bytes = length(),
        .request_handles = (void *)(uintptr_t)make_handles(),
        .request_handle_count = handle_count(),
        .answer = (void *)(uintptr_t)place(1024),
        .answer_capacity = below(8) ? 1024 : below(8),
        .answer_handles = (void *)(uintptr_t)place(64),
        .answer_handle_capacity = below(4) ? 16 : below(4),
        .deadline = below(32) ? now() + (1 + below(4)) * MILLISECOND : TESSERA_FOREVER,
    };
    return put(&call, sizeof call);
}

static uint32_t make_request(void)
{
    struct tessera_request request = {
        .bytes = (void *)(uintptr_t)place(1024),
        .capacity = below(8) ? 1024 : below(8),
        .handles = (void *)(uintptr_t)place(64),
        .handle_capacity = below(4) ? 16 : below(4),
        .deadline = soon(),
    };
    return put(&request, sizeof request);
}

static uint32_t make_answer(void)
{
    struct tessera_answer answer = {
        .bytes = (void *)(uintptr_t)place(1024),
        .length = length(),
        .handles = (void *)(uintptr_t)make_handles(),
        .handle_count = handle_count(),
    };
    return put(&answer, sizeof answer);
}

static uint32_t some_signals(void)
{
    return below(3) ? 1u << below(5) : below(64);
}

static uint32_t make_items(void)
{
    struct tessera_wait_item items[TESSERA_WAIT_ITEMS];
    for (int i = 0; i < TESSERA_WAIT_ITEMS; i++)
        items[i] = (struct tessera_wait_item){some_handle(OBJECT_ANY), some_signals(), 0};
    return put(items, sizeof items);
}

static const char *const descriptions[] = {
    "argument=driver\0argument=quick\0handles=8\0threads=1\0timeout=20000000\0",
    "name=unknown\0argument=driver\0argument=quick\0objects=200000\0memory=4000000\0share=100\0handles=4\0threads=1\0",
    "argument=driver\0argument=nothing\0directory=/bin\0handles=8\0",
    "colour=red\0",
    "handles=100000000\0",
    "argument=driver\0argument=quick\0handle=one\0handle=two\0handles=8\0",
};
static const char *const run_descriptions[] = {
    "module=/bin/driver.wasm\0argument=driver\0argument=quick\0timeout=20000000\0clock=1\0",
    "module=/bin/nothing.wasm\0",
    "module=/bin/driver.wasm\0argument=driver\0argument=quick\0interface=tessera:log/log\0memory=3000000\0",
    "argument=x\0",
};

/* A text of fields, each ended by a zero byte, and by one more. */
static uint32_t put_fields(const char *text)
{
    uint32_t size = 0;
    while (text[size])
        size += (uint32_t)strlen(text + size) + 1;
    return put(text, size);
}

static uint32_t make_text(void)
{
    static const char *const texts[] = {
        "clock",           "system",           "port",         "table", "peer",
        "tessera:log/log", "/bin/driver.wasm", "/bin/nothing", "/bin",  "tessera:log/log"};
    const char *text = texts[below(sizeof texts / sizeof *texts)];
    return put(text, (uint32_t)strlen(text));
}

static uint32_t make_module(void)
{
    static const uint8_t modules[3][8] = {"\0asm\1\0\0", "\0asm\2\0\0", "\0asm\1\0\0"};
    uint32_t which = below(3), address = put(modules[which], 8);
    ((uint8_t *)(uintptr_t)address)[7] = 0;
    text_length = which == 2 ? below(9) : 8;
    return address;
}

static uint32_t make_position(void)
{
    uint64_t position[2] = {below(4) ? 0 : below(300), 0};
    return put(position, sizeof position);
}

/* ---- Arguments ---- */

/* By the function's name and the parameter's; "" is any function. */
static const struct maker {
    const char *function, *parameter;
    uint32_t (*make)(void);
} makers[] = {
    {"", "call", make_call},   {"", "request", make_request},   {"", "answer", make_answer},
    {"", "items", make_items}, {"", "handles", make_handles},   {"", "name", make_text},
    {"", "path", make_text},   {"", "position", make_position}, {"module_create", "bytes", make_module},
};

static uint32_t made_description(const char *function)
{
    if (!strcmp(function, "process_run"))
        return put_fields(run_descriptions[below(8) ? 0 : below(4)]);
    return put_fields(descriptions[below(4) ? below(2) : below(6)]);
}

/* Is it one of these, between spaces? */
static int is_one_of(const char *parameter, const char *names)
{
    char text[40];
    snprintf(text, sizeof text, " %s ", parameter);
    return strstr(names, text) != NULL;
}

/* Small numbers are no pointers, or this program's own data would be written to. */
static uint32_t wild(const char *parameter)
{
    static const uint32_t numbers[] = {1u << 20, (1u << 20) - 1, INT32_MAX, UINT32_MAX - 7, UINT32_MAX, 0, 1, 7, 64,
                                       255};
    return numbers[below(is_one_of(parameter, " handle object rights signals entry length count maximum bytes ") ? 10
                                                                                                                 : 5)];
}

static uint32_t small_argument(const char *function, const char *parameter, int first, int32_t first_type)
{
    if (first && first_type != OBJECT_NONE)
        return some_handle(first_type);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (!strcmp(makers[i].parameter, parameter) &&
            (!makers[i].function[0] || !strcmp(makers[i].function, function)))
            return makers[i].make();
    if (!strcmp(parameter, "description"))
        return made_description(function);
    if (is_one_of(parameter, " bytes length ") && text_length && strcmp(function, "channel_write") &&
        strcmp(function, "channel_read")) {
        uint32_t size = text_length;
        text_length = 0;
        return size;
    }
    if (!strcmp(parameter, "address"))
        return (uint32_t)(uintptr_t)mapped_page();
    if (!strcmp(function, "memory_map") && !strcmp(parameter, "bytes"))
        return 4096 * (1 + below(3));
    if (is_one_of(parameter, " object "))
        return some_handle(OBJECT_ANY);
    if (is_one_of(parameter, " rights "))
        return below(3) ? TESSERA_RIGHTS_SAME : below(2) ? below(1024) : 1u << below(12);
    if (is_one_of(parameter, " signals "))
        return some_signals();
    if (is_one_of(parameter, " id "))
        return below(4) ? counts->last_process : 1u << 30;
    if (is_one_of(parameter, " priority "))
        return below(6);
    if (is_one_of(parameter, " flags cpu "))
        return below(3);
    if (is_one_of(parameter, " count maximum messages entry "))
        return below(8) ? below(4) : below(300);
    return is_one_of(parameter, " length bytes ") && !strcmp(function, "channel_create") ? 0
           : is_one_of(parameter, " length bytes ") && strstr(function, "channel")       ? length()
           : is_one_of(parameter, " bytes ")                                             ? below(200)
                                                                                         : place(2048);
}

static uint64_t large_argument(const char *function, const char *parameter)
{
    if (!strcmp(function, "memory_create"))
        return below(8) ? 4096 * (1 + below(4)) : below(1u << 30);
    if (!strcmp(parameter, "offset"))
        return below(4) ? 0 : 4096 * below(4);
    if (!strcmp(parameter, "deadline"))
        return soon();
    return below(4) ? below(1000000) : UINT64_MAX - below(3);
}

/* The names of a function's parameters, one behind the other. */
static void parameter_names(const char *parameters, char names[ARGUMENTS_MAXIMUM][24])
{
    for (int i = 0; i < ARGUMENTS_MAXIMUM && (parameters = strstr(parameters, "_t ")); i++) {
        parameters += 3;
        size_t size = strcspn(parameters, ",)");
        snprintf(names[i], sizeof names[i], "%.*s", (int)size, parameters);
    }
}

static int64_t note(uint32_t number, int64_t result)
{
    uint32_t error = result >= 0 ? 0 : result > -ERRORS ? (uint32_t)-result : ERRORS - 1;
    counts->results[number][error]++;
    return result;
}

/* What a call gave, besides its result. */
static void learn(uint32_t number, const uint64_t *arguments, int64_t result)
{
    const uint32_t *words = (const uint32_t *)(uintptr_t)arguments[number == F_channel_create ? 2 : 3];
    switch (number) {
    case F_channel_create:
        keep(words[0]);
        keep(words[1]);
        break;
    case F_channel_read:
        for (uint32_t i = 0; i < arguments[4] && i < 16; i++)
            keep(words[i]);
        break;
    case F_process_status:
        words = (const uint32_t *)(uintptr_t)arguments[1];
        counts->last_process = result >= 16 && words[3] ? words[3] : counts->last_process;
        break;
    case F_process_list: {
        const struct tessera_process_information *list = (const void *)(uintptr_t)arguments[2];
        list += result > 0 ? below((uint32_t)result) : 0; /* not the parent, who must not be killed */
        counts->last_process = result > 0 && !strcmp(list->name, "child") ? list->id : counts->last_process;
        break;
    }
    default:
        if (strstr(functions[number].name, "create") || strstr(functions[number].name, "duplicate") ||
            number == F_process_open || number == F_thread_self || number == F_module_load || number == F_port_defer)
            keep(result);
    }
}

/* With `handle` as the first argument, if it is not 0. */
static int64_t call(uint32_t number, uint32_t handle)
{
    const struct function *function = &functions[number];
    char names[ARGUMENTS_MAXIMUM][24] = {{0}};
    uint64_t arguments[ARGUMENTS_MAXIMUM] = {0};
    parameter_names(function->parameters, names);
    text_length = 0;
    for (int i = 0; function->signature[i] != ':'; i++) {
        if (function->signature[i] == 'I')
            arguments[i] = large_argument(function->name, names[i]);
        else
            arguments[i] =
                below(300) ? small_argument(function->name, names[i], i == 0, function->first_type) : wild(names[i]);
    }
    if (handle)
        arguments[0] = handle;
    counts->steps++;
    int64_t result = note(number, function->call(arguments));
    if (result >= 0)
        learn(number, arguments, result);
    return result;
}

/* ---- Sequences: what hardly comes about by chance ---- */

static void serve(void)
{
    uint32_t port = below(4) ? TESSERA_PORT : some_handle(OBJECT_PORT);
    if (call(F_port_receive, port) < 0)
        return;
    for (int i = 0; i < 4; i++) {
        if (below(3) == 0)
            call(F_port_caller, port);
        switch (below(5)) {
        case 0:
            if (call(F_port_reply, port) >= 0)
                return;
            break;
        case 1: {
            int64_t reply = call(F_port_defer, port);
            int64_t weak = reply > 0 && below(4) == 0 ? tessera_handle_duplicate((uint32_t)reply, 0) : 0;
            if (weak > 0)
                call(F_reply_send, (uint32_t)weak);
            if (reply > 0 && below(4))
                call(F_reply_send, (uint32_t)reply);
            return;
        }
        case 2:
            call(F_port_serve_until, port); /* in a call: refused */
            break;
        default:
            call(F_port_reply_receive, port);
        }
    }
}

static void serve_interface(void)
{
    int64_t port = call(F_port_create, 0);
    if (port <= 0)
        return;
    int64_t client = call(F_port_client_create, (uint32_t)port);
    if (below(2))
        call(F_port_serve_until, (uint32_t)port);
    if (client > 0)
        tessera_handle_close((uint32_t)client);
    call(F_port_serve, (uint32_t)port);
    call(F_port_serve_until, (uint32_t)port);
    tessera_handle_close((uint32_t)port);
}

static void run_program(void)
{
    int64_t module = below(8) ? call(F_module_load, 0) : call(F_module_create, 0);
    module = module > 0 ? module : tessera_module_load("/bin/driver.wasm", 16);
    int64_t program = module > 0 ? call(F_process_create, (uint32_t)module) : 0;
    if (program > 0) {
        call(F_process_start, (uint32_t)program);
        call(F_process_status, (uint32_t)program);
        if (below(2))
            call(F_process_open, TESSERA_SYSTEM);
        if (below(2))
            call(F_process_kill, (uint32_t)program);
        tessera_wait_one((uint32_t)program, TESSERA_SIGNAL_EXITED, now() + 10 * MILLISECOND);
        call(F_process_status, (uint32_t)program);
        if (below(4))
            tessera_handle_close((uint32_t)program);
    }
    if (module > 0 && below(4))
        tessera_handle_close((uint32_t)module);
}

static void map_memory(void)
{
    int64_t memory = tessera_memory_create(4 * 4096);
    uint8_t *page = mapped_page();
    if (memory <= 0)
        return;
    int64_t copy = tessera_handle_duplicate((uint32_t)memory, TESSERA_RIGHTS_SAME);
    if (copy > 0)
        note(F_memory_map, tessera_memory_map((uint32_t)copy, page, 0, 4096, below(3)));
    call(F_memory_size, (uint32_t)memory);
    call(F_memory_map, (uint32_t)memory);
    if (below(8) == 0)
        tessera_handle_revoke((uint32_t)memory);
    note(F_memory_unmap, tessera_memory_unmap(page));
    for (uint32_t i = 0; i < MAPPED_PAGES; i++) /* what random calls mapped */
        tessera_memory_unmap(arena + (ARENA_PAGES - 1 - i) * 4096);
    keep(memory);
    tessera_handle_close((uint32_t)copy);
}

static void watch(void)
{
    int64_t set = call(F_wait_set_create, 0), event = call(F_event_create, 0);
    if (set > 0 && event > 0) {
        int64_t entry = tessera_wait_set_add((uint32_t)set, (uint32_t)event, TESSERA_SIGNAL_SIGNALED, 7);
        note(F_wait_set_add, entry);
        call(F_event_signal, (uint32_t)event);
        call(F_wait_set_wait, (uint32_t)set);
        call(F_wait_set_change, (uint32_t)set);
        if (below(2))
            note(F_wait_set_change, tessera_wait_set_change((uint32_t)set, (uint32_t)entry, below(2) * 8));
        if (below(2))
            note(F_wait_set_remove, tessera_wait_set_remove((uint32_t)set, (uint32_t)entry));
        call(F_wait_set_remove, (uint32_t)set);
    }
    if (below(4)) {
        tessera_handle_close((uint32_t)event);
        tessera_handle_close((uint32_t)set);
    }
}

static void handle_threads(void)
{
    int64_t thread = below(2) ? call(F_thread_self, 0) : call(F_thread_create, 0);
    if (thread > 0) {
        call(F_thread_information, (uint32_t)thread);
        call(F_thread_set_priority, (uint32_t)thread);
        call(F_thread_set_affinity, (uint32_t)thread);
    }
    uint32_t other = some_handle(OBJECT_THREAD); /* seldom, since it may be this thread, which then waits for somebody else */
    if (below(6) == 0)
        call(F_thread_suspend, other);
    call(F_thread_resume, other);
    if (below(4) == 0)
        call(F_thread_kill, other);
    if (below(2))
        tessera_handle_close((uint32_t)thread);
}

static void exchange(void)
{
    uint32_t channel = some_handle(OBJECT_CHANNEL);
    call(F_channel_write, channel);
    call(F_channel_next, below(2) ? channel : some_handle(OBJECT_CHANNEL));
    call(F_channel_read, below(2) ? 0 : channel);
}

/* A handle with fewer rights, for something that needs them: one function after the other. */
static void weaken(void)
{
    uint32_t number = counts->weakened++ % FUNCTION_COUNT;
    int64_t handle = 0;
    if (functions[number].first_type == OBJECT_NONE || !functions[number].rights)
        return;
    for (int i = 0; i < KNOWN && handle <= 0; i++)
        handle = tessera_handle_duplicate(some_handle(functions[number].first_type), 0);
    if (handle > 0) {
        call(number, (uint32_t)handle);
        tessera_handle_close((uint32_t)handle);
    }
}

static int is_rare(uint32_t number)
{
    return number == F_handle_close || number == F_handle_revoke || number == F_process_run || number == F_port_serve ||
           number == F_memory_map || number == F_thread_suspend || number == F_thread_kill || strstr(functions[number].name, "create");
}

static void step(void)
{
    static void (*const sequences[])(void) = {serve,  serve, exchange,        exchange,   weaken,
                                              weaken, watch, serve_interface, map_memory, run_program,
                                              handle_threads};
    uint32_t chance = below(16);
    if (chance < 4) {
        call(F_port_call, 0);
    } else if (chance < 8) {
        sequences[below(sizeof sequences / sizeof *sequences)]();
    } else {
        uint32_t number = below(FUNCTION_COUNT);
        if (!is_rare(number) || below(12) == 0)
            call(number, 0);
    }
}

static int child(uint64_t seed)
{
    static const char *const names[] = {"system", "clock", "port", "peer", "tessera:log/log", "other"};
    state = seed;
    uint32_t table = (uint32_t)tessera_handle_named("table", 5);
    if (tessera_memory_map(table, counts_place, 0, TABLE_BYTES, TESSERA_MAP_WRITE) != 0)
        return 3;
    tessera_handle_close(table);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        keep(note(F_handle_named, tessera_handle_named(names[i], (uint32_t)strlen(names[i]))));
    static const uint32_t first[] = {F_event_create,  F_timer_create, F_wait_set_create, F_channel_create,
                                     F_memory_create, F_port_create,  F_thread_self};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        call(first[i], 0);
    if (below(4) == 0)
        run_program();
    for (int i = 0; i < STEPS; i++)
        step();
    return 0;
}

/* A thread has a memory of its own here, where nothing is counted. */
__attribute__((export_name("wasi_thread_start"))) void thread_start(uint32_t number, uint32_t argument)
{
    state = number * UINT64_C(1000003) + argument;
    for (int i = 0; i < STEPS / 20; i++)
        step();
}

bool exports_log_write(exports_log_level_t level, log_service_string_t *message, exports_log_problem_t *problem)
{
    (void)level, (void)problem;
    log_service_string_free(message);
    return true;
}

/* ---- The parent ---- */

static int failures;

static uint32_t need(int64_t result, const char *what)
{
    if (result <= 0) {
        printf("FAIL %s: %d\n", what, (int)result);
        exit(1);
    }
    return (uint32_t)result;
}

struct parent {
    uint32_t module, table, ring[CHILDREN_AT_ONCE]; /* children */
    uint32_t ports[CHILDREN_AT_ONCE]; /* that child i serves and child i - 1 calls; the parent's own end */
    uint32_t channels[CHILDREN_AT_ONCE][2];
};

static uint32_t duplicate(uint32_t handle)
{
    return need(tessera_handle_duplicate(handle, TESSERA_RIGHTS_SAME), "handle_duplicate");
}

/* Its handles are duplicates of the parent's, who can revoke them. */
static void start_child(struct parent *parent, uint32_t place_in_ring, uint32_t seed)
{
    uint32_t next = (place_in_ring + 1) % CHILDREN_AT_ONCE;
    char text[400];
    int size = snprintf(text, sizeof text,
                        "name=child%cargument=driver%cargument=child%cargument=%u%cdirectory=/bin%chandle=table%c"
                        "handle=system%chandle=clock%chandle=port%chandle=tessera:log/log%chandle=peer%chandle=other%c"
                        "timeout=" CHILD_TIME "%chandles=200%cobjects=3000000%cmemory=6000000%cthreads=4%cshare=6000%c",
                        0, 0, 0, (unsigned)seed, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    uint32_t handles[] = {
        duplicate(parent->table),
        duplicate(TESSERA_SYSTEM),
        duplicate(TESSERA_CLOCK),
        duplicate(parent->ports[place_in_ring]),
        need(tessera_port_client_create(parent->ports[next], seed), "port_client_create"),
        duplicate(parent->channels[place_in_ring][0]),
        duplicate(parent->channels[next][1]),
    };
    parent->ring[place_in_ring] =
        need(tessera_process_create(parent->module, text, (uint32_t)size, handles, sizeof handles / sizeof *handles),
             "process_create");
    need(tessera_process_start(parent->ring[place_in_ring]) + 1, "process_start");
}

static void reap(struct parent *parent, uint32_t place_in_ring)
{
    struct tessera_process_status status;
    uint32_t process = parent->ring[place_in_ring];
    if (tessera_wait_one(process, TESSERA_SIGNAL_EXITED, now() + 2000 * MILLISECOND) < 0) {
        printf("FAIL a child does not end\n");
        failures++;
    }
    tessera_process_status(process, &status, sizeof status);
    if (status.state == TESSERA_PROCESS_REFUSED || (status.state == TESSERA_PROCESS_EXITED && status.exit_status)) {
        printf("FAIL a child: state %u, status %u, %s\n", (unsigned)status.state, (unsigned)status.exit_status,
               status.reason);
        failures++;
    }
    counts->killed += status.conventional_status == 137;
    tessera_handle_close(process);
}

/* Until `total` children were started: disturb them, and put a new one into the place of one that ended. */
static void drive(struct parent *parent, uint32_t total)
{
    uint32_t started = 0;
    for (; started < CHILDREN_AT_ONCE; started++)
        start_child(parent, started, below(1u << 30));
    while (started < total) {
        uint32_t chosen = below(CHILDREN_AT_ONCE);
        uint32_t chance = below(20);
        if (chance == 0)
            tessera_process_kill(parent->ring[chosen]);
        else if (chance == 1)
            tessera_handle_revoke(parent->channels[chosen][below(2)]);
        else if (chance == 2)
            tessera_handle_revoke(parent->ports[chosen]);
        if (tessera_wait_one(parent->ring[chosen], TESSERA_SIGNAL_EXITED, now() + 2 * MILLISECOND) > 0) {
            reap(parent, chosen);
            start_child(parent, chosen, below(1u << 30));
            started++;
        }
    }
    for (uint32_t i = 0; i < CHILDREN_AT_ONCE; i++)
        reap(parent, i);
}

/* ---- What was seen ---- */

static uint32_t sum(uint32_t error)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < FUNCTION_COUNT; i++)
        all += counts->results[i][error];
    return all;
}

static void report(int all)
{
    static const char *const errors[ERRORS] = {"ok",     "HANDLE", "INVALID",      "NOTFOUND", "NOMEMORY", "IO",
                                               "RIGHT",  "LIMIT",  "AGAIN",        "PEER",     "TIMEOUT",  "TOOLARGE",
                                               "EXISTS", "BUSY",   "NOTSUPPORTED", "MODULE"};
    /* Nothing of the interface says it; a machine without memory, and a disk that fails. */
    static const uint32_t not_here = 1u << TESSERA_ENOTSUPPORTED | 1u << TESSERA_ENOMEMORY | 1u << TESSERA_EIO;
    for (uint32_t i = 0; i < FUNCTION_COUNT; i++) {
        const struct function *function = &functions[i];
        const volatile uint32_t *results = counts->results[i];
        printf("%-20s", function->name);
        for (uint32_t error = 0; error < ERRORS; error++)
            if (results[error])
                printf(" %s %u", errors[error], (unsigned)results[error]);
        printf("\n");
        const char *missing = !results[0] ? "never worked"
                              : function->first_type != OBJECT_NONE && !results[TESSERA_EHANDLE]
                                  ? "was never refused a handle"
                              : function->first_type != OBJECT_NONE && function->rights && !results[TESSERA_ERIGHT]
                                  ? "was never refused for a right"
                                  : NULL;
        if (all && missing) {
            printf("FAIL %s %s\n", function->name, missing);
            failures++;
        }
    }
    for (uint32_t error = 0; all && error < ERRORS; error++)
        if (!sum(error) && !(not_here >> error & 1)) {
            printf("FAIL nothing said %s\n", errors[error]);
            failures++;
        }
}

int main(int argc, char **argv)
{
    if (argc >= 3 && !strcmp(argv[1], "child"))
        return child(strtoull(argv[2], NULL, 0));
    if (argc < 3)
        return 0;
    static struct parent parent;
    state = strtoull(argv[1], NULL, 0);
    uint32_t total = (uint32_t)strtoul(argv[2], NULL, 0);
    parent.module = need(tessera_module_load("/bin/driver.wasm", 16), "module_load");
    parent.table = need(tessera_memory_create(TABLE_BYTES), "memory_create");
    need(tessera_memory_map(parent.table, counts_place, 0, TABLE_BYTES, TESSERA_MAP_WRITE) + 1, "memory_map");
    for (uint32_t i = 0; i < CHILDREN_AT_ONCE; i++) {
        parent.ports[i] = need(tessera_port_create(), "port_create");
        need(tessera_channel_create(16, 65536, parent.channels[i]) + 1, "channel_create");
    }
    drive(&parent, total);
    report(argc == 3);
    printf("%u children, %u killed, %u calls\n", (unsigned)total, (unsigned)counts->killed, (unsigned)counts->steps);
    printf("%u functions, %d failures\n", (unsigned)FUNCTION_COUNT, failures);
    return failures > 0;
}
