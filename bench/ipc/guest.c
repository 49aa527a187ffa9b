/* The guest side of bench/ipc: loops around what is measured. One module, in a process for each side. */
#include "bench/ipc/generated/probe_both.h"
#include "sdk/tessera.h"

#define EXPORT(function_name) __attribute__((export_name(#function_name)))
#define BYTES                 4096
#define NO_DEADLINE           UINT64_MAX
#define FAR_DEADLINE          (UINT64_MAX / 2)

__attribute__((import_module("bench"), import_name("null"))) void bench_null(void);

static uint8_t bytes[BYTES];

EXPORT(null_host_calls) void null_host_calls(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bench_null();
}

EXPORT(checked_host_calls) void checked_host_calls(uint32_t count, uint32_t event)
{
    for (uint32_t i = 0; i < count; i++)
        if (tessera_event_signal(event) != 0)
            __builtin_trap();
}

/* With a deadline that does not come, or none. */
EXPORT(calls) void calls(uint32_t count, uint32_t client, uint32_t size, uint32_t has_deadline)
{
    struct tessera_call call = {.request = bytes,
                                .request_bytes = size,
                                .answer = bytes,
                                .answer_capacity = BYTES,
                                .deadline = has_deadline ? FAR_DEADLINE : NO_DEADLINE};
    for (uint32_t i = 0; i < count; i++)
        if (tessera_port_call(client, &call) != 0)
            __builtin_trap();
}

/* Answers with no bytes, until nobody can call any more. */
EXPORT(serve) void serve(uint32_t port)
{
    struct tessera_request request = {.bytes = bytes, .capacity = BYTES, .deadline = NO_DEADLINE};
    struct tessera_answer answer = {.bytes = bytes};
    int32_t status = tessera_port_receive(port, &request);
    while (status == 0)
        status = tessera_port_reply_receive(port, &answer, &request);
    if (status != -TESSERA_EPEER)
        __builtin_trap();
}

/* Signals one exclusive event and waits for the other one. */
EXPORT(exchange) void exchange(uint32_t count, uint32_t mine, uint32_t yours, uint32_t first)
{
    for (uint32_t i = 0; i < count; i++) {
        if (first && tessera_event_signal(yours) != 0)
            __builtin_trap();
        if (tessera_wait_one(mine, TESSERA_SIGNAL_SIGNALED, NO_DEADLINE) < 0)
            __builtin_trap();
        if (!first && tessera_event_signal(yours) != 0)
            __builtin_trap();
    }
}

/* Writes a message of four bytes and reads the answer, or the other way round. */
EXPORT(talk) void talk(uint32_t count, uint32_t channel, uint32_t first)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (first && tessera_channel_write(channel, &i, sizeof(i), 0, 0, NO_DEADLINE) != 0)
            __builtin_trap();
        if (tessera_channel_read(channel, &number, sizeof(number), 0, 0, NO_DEADLINE) != sizeof(number))
            __builtin_trap();
        if (!first && tessera_channel_write(channel, &i, sizeof(i), 0, 0, NO_DEADLINE) != 0)
            __builtin_trap();
    }
}

EXPORT(nothing) void nothing(void) {}

static volatile uint8_t data[1 << 20] = {1, [sizeof(data) - 1] = 2};

EXPORT(check_data) void check_data(void)
{
    if (data[0] != 1 || data[sizeof(data) - 1] != 2)
        __builtin_trap();
}

/* ---- The same through an interface: bench/ipc/probe.wit ---- */

/* Nothing is kept longer than a call. */
EXPORT(cabi_realloc) void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size)
{
    (void)old, (void)old_size, (void)alignment, (void)size;
    return bytes;
}

uint64_t exports_probe_add(uint32_t a, uint64_t b)
{
    return a + b;
}

uint32_t exports_probe_length(probe_both_string_t *text)
{
    return (uint32_t)text->len;
}

EXPORT(service_calls_numbers) void service_calls_numbers(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (probe_add(i, 7) != i + UINT64_C(7))
            __builtin_trap();
}

static void call_with_text(uint32_t count, const char *text, uint32_t length)
{
    probe_both_string_t string = {(uint8_t *)text, length};
    for (uint32_t i = 0; i < count; i++)
        if (probe_length(&string) != length)
            __builtin_trap();
}

EXPORT(service_calls_text) void service_calls_text(uint32_t count)
{
    static const char text[] = "twenty bytes of text";
    call_with_text(count, text, sizeof text - 1);
}

EXPORT(service_calls_text_4096) void service_calls_text_4096(uint32_t count)
{
    static char text[BYTES];
    for (uint32_t i = 0; i < BYTES; i++)
        text[i] = 'a' + (char)(i % 26);
    call_with_text(count, text, BYTES);
}

EXPORT(serve_service) void serve_service(uint32_t port)
{
    if (tessera_port_serve(port) != 0)
        __builtin_trap();
}
