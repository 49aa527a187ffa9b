/* Rings of a trace: what is noted is read whole and in order, also while the ring goes round. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/trace.h"
#include "platform/linux/linux.h"
#include "tests/kernel/check.h"

#define RING_BYTES   4096
#define RING_RECORDS (RING_BYTES / sizeof(struct trace_record))
#define CONCURRENT   3000000u

static struct trace_record records[2 * RING_RECORDS];
static uint64_t told_events, told_chunks, told_names, told_lost;
static char told_name[TRACE_NAME_BYTES + 1];

static void receive(enum record_stream stream, const void *record, size_t bytes)
{
    struct trace_chunk chunk;
    CHECK(stream == RECORD_TRACE && bytes >= sizeof(chunk) && bytes <= PLATFORM_RECORD_BYTES);
    memcpy(&chunk, record, sizeof(chunk));
    CHECK(chunk.magic == TRACE_MAGIC);
    CHECK((told_chunks == 0) == (chunk.kind == TRACE_CHUNK_START));
    told_chunks++;
    if (chunk.kind == TRACE_CHUNK_EVENTS) {
        CHECK(bytes == sizeof(chunk) + chunk.count * sizeof(struct trace_record));
        told_events += chunk.count;
        told_lost += chunk.lost;
    } else if (chunk.kind == TRACE_CHUNK_NAMES) {
        CHECK(bytes == sizeof(chunk) + chunk.count * sizeof(struct trace_name));
        const struct trace_name *names = (const void *)((const uint8_t *)record + sizeof(chunk));
        memcpy(told_name, names[chunk.count - 1].text, TRACE_NAME_BYTES);
        told_names += chunk.count;
    }
}

static void sizes(void)
{
    CHECK(trace_start(RING_BYTES - 1) == STATUS_INVALID);
    CHECK(trace_start(RING_BYTES + 32) == STATUS_INVALID);
    CHECK(trace_start(RING_BYTES / 2) == STATUS_INVALID);
    CHECK(trace_start(2 * TRACE_BYTES_MAXIMUM) == STATUS_INVALID);
    CHECK(!trace_enabled);
    TRACE(SLEEP, 1, 2); /* nobody listens */
    CHECK(trace_start(RING_BYTES) == STATUS_OK);
    CHECK(trace_enabled && trace_start(RING_BYTES) == STATUS_INVALID);
}

static void one_round(void)
{
    uint64_t next = 0, lost;
    for (uint32_t i = 0; i < 10; i++) {
        TRACE(SLEEP, i, ~i);
    }
    CHECK(trace_read(0, &next, records, 4, &lost) == 4 && next == 4 && !lost);
    CHECK(trace_read(0, &next, records + 4, 100, &lost) == 6 && next == 10 && !lost);
    CHECK(trace_read(0, &next, records, 100, &lost) == 0 && next == 10 && !lost);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(records[i].event == TRACE_SLEEP && records[i].argument == i && records[i].second == ~i);
        CHECK(i == 0 || records[i].time >= records[i - 1].time);
    }
    CHECK(trace_read(1000, &next, records, 1, &lost) == 0 && !lost);
}

/* More than fits: the newest are there, the others counted. */
static void several_rounds(void)
{
    uint64_t next = 10, lost;
    for (uint32_t i = 10; i < 1000; i++) {
        TRACE(SLEEP, i, ~i);
    }
    CHECK(trace_read(0, &next, records, 2 * RING_RECORDS, &lost) == RING_RECORDS);
    CHECK(next == 1000 && lost == 990 - RING_RECORDS);
    CHECK(records[0].argument == 1000 - RING_RECORDS && records[RING_RECORDS - 1].argument == 999);
}

static bool done;

/* Every record that it gets is the one with its number, and no number is left out without being counted. */
static void *read_all(void *argument)
{
    uint64_t next = 1000, expected = 1000, lost, missing = 0, seen = 0;
    bool last;
    (void)argument;
    do {
        last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
        size_t count = trace_read(0, &next, records, RING_RECORDS, &lost);
        expected += lost;
        missing += lost;
        seen += count;
        for (size_t i = 0; i < count; i++, expected++) {
            if (records[i].argument != expected || records[i].second != (uint32_t)~expected) {
                CHECK(records[i].argument == expected && records[i].second == (uint32_t)~expected);
                return NULL;
            }
        }
        CHECK(expected == next);
    } while (!last);
    CHECK(next == CONCURRENT && seen + missing == CONCURRENT - 1000 && seen > 0);
    printf("read while written: %llu, overwritten before: %llu\n", (unsigned long long)seen,
           (unsigned long long)missing);
    return NULL;
}

static void read_while_written(void)
{
    pthread_t reader;
    CHECK(pthread_create(&reader, NULL, read_all, NULL) == 0);
    for (uint32_t i = 1000; i < CONCURRENT; i++) {
        TRACE(SLEEP, i, ~i);
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    pthread_join(reader, NULL);
}

static void telling(void)
{
    char name[100] = "/a/very/long/path/of/which/only/the/end/is/kept/and/that/is/the/name/of/it.wasm";
    struct process *process;
    CHECK(process_create("short", 0, &process) == STATUS_OK);
    process_destroy(process);
    CHECK(process_create(name, 0, &process) == STATUS_OK);
    process_destroy(process);
    linux_set_record_receiver(receive);
    trace_stop();
    CHECK(!trace_enabled && told_names == 2 && told_events == RING_RECORDS && told_chunks >= 3);
    CHECK(told_lost == CONCURRENT + 4 - RING_RECORDS);
    CHECK(strcmp(told_name, name + strlen(name) - TRACE_NAME_BYTES) == 0);
    told_chunks = told_events = 0;
    CHECK(trace_start(2 * RING_BYTES) == STATUS_OK);
    TRACE(SLEEP, 0, 0);
    trace_stop();
    CHECK(told_events == 1);
}

/* ---- A panic tells it, too ---- */

static int panic_pipe[2];

static void receive_in_pipe(enum record_stream stream, const void *record, size_t bytes)
{
    if (stream == RECORD_TRACE) {
        CHECK(write(panic_pipe[1], record, bytes) == (ssize_t)bytes);
    }
}

static void panic(void)
{
    uint8_t told[PLATFORM_RECORD_BYTES];
    int status = 0;
    size_t length = 0;
    CHECK(pipe(panic_pipe) == 0);
    pid_t child = fork();
    if (child == 0) {
        linux_set_record_receiver(receive_in_pipe);
        CHECK(trace_start(RING_BYTES) == STATUS_OK);
        TRACE(SLEEP, 77, 78);
        platform_panic("as wanted by the test");
    }
    close(panic_pipe[1]);
    for (ssize_t got; length < sizeof told && (got = read(panic_pipe[0], told + length, sizeof told - length)) > 0;) {
        length += (size_t)got;
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 125);
    CHECK(length == 2 * sizeof(struct trace_chunk) + sizeof(struct trace_record));
    struct trace_record record;
    memcpy(&record, told + 2 * sizeof(struct trace_chunk), sizeof record);
    CHECK(record.event == TRACE_SLEEP && record.argument == 77 && record.second == 78);
}

int main(void)
{
    linux_platform_initialize();
    cpu_initialize();
    sizes();
    one_round();
    several_rounds();
    read_while_written();
    telling();
    panic();
    return checks_report();
}
