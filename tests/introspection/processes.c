/* What a program with the system's handle sees of processes and traces: itself. Prints what is wrong; its status is the
 * number of that. With the argument "trace" it runs under --trace. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sdk/tessera.h"
#include "tests/support/guest.h"

#define MILLISECOND INT64_C(1000000)

static volatile uint32_t work;

static struct tessera_process_information find_self(void)
{
    struct tessera_process_information all[8] = {0}, self = {0};
    uint64_t position = 0;
    int32_t count;
    while ((count = tessera_process_list(TESSERA_SYSTEM, &position, all, 8)) > 0) {
        for (int32_t i = 0; i < count; i++) {
            if (strstr(all[i].name, "processes.wasm")) {
                EXPECT(self.id == 0);
                self = all[i];
            }
        }
    }
    EXPECT(count == 0 && self.id != 0);
    return self;
}

static void spin(int64_t nanoseconds)
{
    int64_t end = tessera_time_coarse() + nanoseconds;
    while (tessera_time_coarse() < end) {
        for (uint32_t i = 0; i < 10000; i++) {
            work += i;
        }
    }
}

static void processes(void)
{
    struct tessera_process_information first = find_self();
    EXPECT(first.threads == 1);
    EXPECT(first.handles >= 1 && first.handles <= first.handle_limit);
    EXPECT(first.memory_bytes >= 65536 && first.memory_bytes % 65536 == 0);
    EXPECT(first.memory_limit == 100 << 20);
    EXPECT(first.cpu_nanoseconds <= first.age_nanoseconds && first.switches >= 1);

    spin(40 * MILLISECOND);
    struct tessera_process_information later = find_self();
    EXPECT(later.id == first.id);
    EXPECT(later.cpu_nanoseconds >= first.cpu_nanoseconds + 35 * MILLISECOND);
    EXPECT(later.age_nanoseconds >= first.age_nanoseconds + 39 * MILLISECOND);

    nanosleep(&(struct timespec){.tv_nsec = 200 * MILLISECOND}, NULL);
    struct tessera_process_information rested = find_self();
    EXPECT(rested.cpu_nanoseconds - later.cpu_nanoseconds < 100 * MILLISECOND);
    EXPECT(rested.age_nanoseconds >= later.age_nanoseconds + 199 * MILLISECOND);
    EXPECT(rested.switches > later.switches);

    int32_t event = tessera_event_create(0);
    struct tessera_process_information richer = find_self();
    EXPECT(event > 0 && richer.handles == rested.handles + 1 && richer.object_bytes > rested.object_bytes);
    EXPECT(tessera_handle_close((uint32_t)event) == 0);
    struct tessera_process_information again = find_self();
    EXPECT(again.handles == rested.handles && again.object_bytes == rested.object_bytes);

    int32_t memory = __builtin_wasm_memory_grow(0, 16) < 0;
    struct tessera_process_information larger = find_self();
    EXPECT(!memory && larger.memory_bytes == again.memory_bytes + 16 * 65536);
}

/* Three messages, of which two are read. */
static void messages(void)
{
    struct tessera_process_information before = find_self();
    char buffer[16];
    uint32_t ends[2];
    EXPECT(tessera_channel_create(0, 0, ends) == 0);
    for (int i = 0; i < 3; i++) {
        EXPECT(tessera_channel_write(ends[0], "message", 7, NULL, 0, 0) == 0);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT(tessera_channel_read(ends[1], buffer, sizeof buffer, NULL, 0, 0) == 7);
    }
    EXPECT(tessera_channel_read(ends[0], buffer, sizeof buffer, NULL, 0, 0) < 0);
    struct tessera_process_information after = find_self();
    EXPECT(after.messages_sent == before.messages_sent + 3);
    EXPECT(after.messages_received == before.messages_received + 2);
}

static void refusals(void)
{
    struct tessera_process_information one;
    struct tessera_trace_record record;
    struct tessera_trace_position place = {0};
    uint64_t position = 0;
    int32_t weak = tessera_handle_duplicate(TESSERA_SYSTEM, TESSERA_RIGHT_EXECUTE);
    int32_t event = tessera_event_create(0);
    EXPECT(tessera_process_list(TESSERA_SYSTEM, &position, &one, 0) == 0 && position == 0);
    EXPECT(tessera_process_list((uint32_t)weak, &position, &one, 1) == -TESSERA_ERIGHT && position == 0);
    EXPECT(tessera_trace_read((uint32_t)weak, 0, &place, &record, 1) == -TESSERA_ERIGHT);
    EXPECT(tessera_process_list((uint32_t)event, &position, &one, 1) == -TESSERA_EHANDLE);
    EXPECT(tessera_trace_read(0, 0, &place, &record, 1) == -TESSERA_EHANDLE);
    position = UINT64_MAX;
    EXPECT(tessera_process_list(TESSERA_SYSTEM, &position, &one, 1) == 0);
    EXPECT(tessera_trace_read(TESSERA_SYSTEM, 0, &place, &record, 1) == -TESSERA_ENOTFOUND); /* nothing is traced */
}

/* The marks that it makes itself: memory.grow is an event with the new size. */
static void traces(void)
{
    messages();
    static struct tessera_trace_record records[512];
    struct tessera_trace_position place = {0};
    uint32_t self = find_self().id;
    uint64_t wanted = (__builtin_wasm_memory_size(0) + 1) * UINT64_C(65536), last = 0;
    EXPECT(__builtin_wasm_memory_grow(0, 1) >= 0);
    int32_t count, found = 0, all = 0;
    for (uint32_t cpu = 0; cpu < 64; cpu++) {
        for (place.next = last = 0; (count = tessera_trace_read(TESSERA_SYSTEM, cpu, &place, records, 512)) > 0;) {
            for (int32_t i = 0; i < count; i++, all++) {
                EXPECT(records[i].time >= last && records[i].event != 0 && records[i].reserved == 0);
                last = records[i].time;
                found += records[i].process == self && records[i].argument == wanted;
            }
        }
        EXPECT(count == 0);
    }
    EXPECT(found == 1 && all > 5 && place.lost == 0);
    EXPECT(tessera_trace_read(TESSERA_SYSTEM, 1000, &place, records, 1) == 0);
}

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], "trace") == 0) {
        traces();
    } else {
        processes();
        messages();
        refusals();
    }
    return failures;
}
