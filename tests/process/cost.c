/* What processes cost on platform/linux: time of instantiation and of a process's life, memory of many that are alive.
 *
 *     cost [PROCESSES [CYCLES]]
 *
 * PROCESSES are alive at once (10,000), CYCLES are created and ended one after another (20,000). One line for each figure,
 * `name<TAB>value<TAB>unit`, times as the best of several rounds. The exit status is not 0 when memory grew over the
 * cycles. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance.h"
#include "kernel/process.h"
#include "platform/linux/linux.h"

#define ROUNDS   20
#define PER_ROUND 200

/* ---- A module in bytes: memory of two pages of 64 KiB or more, `data` bytes at 1024, an exported function that stores
 * to some pages ---- */

struct bytes {
    uint8_t *at;
    size_t size;
};

static void put(struct bytes *bytes, const void *from, size_t size)
{
    memcpy(bytes->at + bytes->size, from, size);
    bytes->size += size;
}
static void put_byte(struct bytes *bytes, uint8_t value)
{
    put(bytes, &value, 1);
}
static void put_number(struct bytes *bytes, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put_byte(bytes, (uint8_t)(value | 0x80));
    put_byte(bytes, (uint8_t)value);
}
static void put_section(struct bytes *bytes, uint8_t id, const struct bytes *contents)
{
    put_byte(bytes, id);
    put_number(bytes, contents->size);
    put(bytes, contents->at, contents->size);
}
static void put_signed(struct bytes *bytes, int64_t value)
{
    for (;;) {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        if ((value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40))) {
            put_byte(bytes, byte);
            return;
        }
        put_byte(bytes, byte | 0x80);
    }
}

static struct bytes make_module(size_t data)
{
    struct bytes module = {malloc(data + 4096), 0}, part = {malloc(data + 2048), 0}, body = {malloc(2048), 0};
    put(&module, "\0asm\1\0\0\0", 8);
    put(&part, "\1\x60\0\0", 4); /* type () -> () */
    put_section(&module, 1, &part);
    part.size = 0;
    put(&part, "\1\0", 2);
    put_section(&module, 3, &part);
    part.size = 0;
    put(&part, "\1\0", 2);
    put_number(&part, data / 65536 + 2);
    put_section(&module, 5, &part);
    part.size = 0;
    put(&part, "\1\6_start\0\0", 10);
    put_section(&module, 7, &part);
    part.size = 0;
    put_byte(&body, 0); /* no locals */
    for (int i = 0; i < 4; i++) {
        put_byte(&body, 0x41);
        put_signed(&body, i * 16384);
        put(&body, "\x41\1\x36\2\0", 5); /* i32.store */
    }
    put_byte(&body, 0x0b);
    put_byte(&part, 1);
    put_number(&part, body.size);
    put(&part, body.at, body.size);
    put_section(&module, 10, &part);
    part.size = 0;
    put(&part, "\1\0\x41\x80\x08\x0b", 6); /* active, memory 0, i32.const 1024 */
    put_number(&part, data);
    memset(part.at + part.size, 0x55, data);
    part.size += data;
    put_section(&module, 11, &part);
    free(part.at);
    free(body.at);
    return module;
}

static struct compiled_module *compile(size_t data)
{
    struct bytes bytes = make_module(data);
    struct compiled_module *module;
    struct engine_error error;
    if (compiled_module_create(bytes.at, bytes.size, "cost", &module, &error) != STATUS_OK) {
        printf("FAIL %s\n", error.message);
        exit(1);
    }
    return module;
}

/* ---- Figures ---- */

static void print(const char *name, double value, const char *unit)
{
    printf("%s\t%.1f\t%s\n", name, value, unit);
}

static void *required(enum status status, void *result)
{
    if (status != STATUS_OK) {
        printf("FAIL %s\n", status_text(status));
        exit(1);
    }
    return result;
}

static struct instance *instantiate(struct process *process, struct compiled_module *module)
{
    struct instance *instance = NULL;
    struct link_error error;
    enum trap trap;
    enum status status = instance_create_with_host(process, module, &instance, &trap, &error);
    return required(status, instance);
}

static struct process *create(void)
{
    struct process *process = NULL;
    enum status status = process_create("cost", 0, &process);
    return required(status, process);
}

static void measure_instantiation(const char *name, struct compiled_module *module)
{
    uint64_t best[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    double scale = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t times[3] = {0}, start_ns = platform_monotonic_nanoseconds(), start = __rdtsc();
        for (int i = 0; i < PER_ROUND; i++) {
            uint64_t t0 = __rdtsc();
            struct process *process = create();
            uint64_t t1 = __rdtsc();
            instantiate(process, module);
            uint64_t t2 = __rdtsc();
            process_destroy(process);
            uint64_t t3 = __rdtsc();
            times[0] += t1 - t0;
            times[1] += t2 - t1;
            times[2] += t3 - t2;
        }
        scale = (double)(platform_monotonic_nanoseconds() - start_ns) / (double)(__rdtsc() - start);
        for (int i = 0; i < 3; i++)
            best[i] = times[i] < best[i] ? times[i] : best[i];
    }
    static const char *const parts[] = {"process_create", "instance_create", "process_destroy"};
    for (int i = 0; i < 3; i++) {
        char text[80];
        snprintf(text, sizeof text, "%s, %s", name, parts[i]);
        print(text, (double)best[i] / PER_ROUND, "cycles");
        if (i == 1)
            print(text, (double)best[i] / PER_ROUND * scale, "ns");
    }
}

struct life {
    struct compiled_module *module;
    struct process *process;
    bool stay, run;
};

static uint32_t waiting, released;

/* A whole process on a thread of its own, as launch_run has it. */
static void live(void *argument)
{
    struct life *life = argument;
    life->process = create();
    thread_current()->process = life->process;
    struct instance *instance = instantiate(life->process, life->module);
    struct external entry;
    if (life->run && instance_find_export(instance, "_start", 6, &entry) &&
        function_call(life->process, entry.function, NULL, NULL) != TRAP_NONE)
        printf("FAIL trap\n");
    if (life->stay)
        __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
    while (life->stay && !__atomic_load_n(&released, __ATOMIC_RELAXED))
        thread_sleep_until(platform_monotonic_nanoseconds() + 3600 * UINT64_C(1000000000));
    thread_current()->process = NULL;
    process_destroy(life->process);
}

static struct thread *begin(struct life *life)
{
    struct thread *thread = NULL;
    enum status status = thread_start(live, life, &thread);
    return required(status, thread);
}

static void measure_lives(const char *name, struct compiled_module *module, bool run)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = __rdtsc();
        for (int i = 0; i < PER_ROUND; i++)
            thread_join(begin(&(struct life){module, NULL, false, run}));
        uint64_t time = __rdtsc() - start;
        best = time < best ? time : best;
    }
    print(name, (double)best / PER_ROUND, "cycles");
}

/* VmPTE and VmRSS of /proc/self/status, in KiB. */
static void read_status(uint64_t *page_tables, uint64_t *resident)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "VmPTE: %" SCNu64, page_tables);
        sscanf(line, "VmRSS: %" SCNu64, resident);
    }
    if (file)
        fclose(file);
}

static void measure_density(struct compiled_module *module, uint32_t count)
{
    struct life *lives = calloc(count, sizeof *lives);
    struct thread **threads = calloc(count, sizeof(struct thread *));
    struct heap_statistics heap[2];
    uint64_t tables[2] = {0}, resident[2] = {0};
    kernel_heap_statistics(&heap[0]);
    read_status(&tables[0], &resident[0]);
    for (uint32_t i = 0; i < count; i++) {
        lives[i] = (struct life){module, NULL, true, true};
        threads[i] = begin(&lives[i]);
    }
    while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < count)
        thread_yield();
    kernel_heap_statistics(&heap[1]);
    read_status(&tables[1], &resident[1]);
    print("alive, kernel heap", (double)(heap[1].bytes - heap[0].bytes) / count, "bytes each");
    print("alive, page tables", (double)(tables[1] - tables[0]) * 1024 / count, "bytes each");
    print("alive, resident", (double)(resident[1] - resident[0]) * 1024 / count, "bytes each");
    __atomic_store_n(&released, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < count; i++) {
        thread_wake(threads[i]);
        thread_join(threads[i]);
    }
    free(lives);
    free(threads);
}

static uint64_t resident_now(void)
{
    uint64_t tables = 0, resident = 0;
    read_status(&tables, &resident);
    return tables + resident;
}

static int measure_flatness(struct compiled_module *module, uint32_t cycles)
{
    uint64_t first = 0, last = 0;
    for (uint32_t i = 0; i < cycles; i++) {
        thread_join(begin(&(struct life){module, NULL, false, true}));
        if (i == cycles / 10)
            first = resident_now();
    }
    last = resident_now();
    print("memory after a tenth of the cycles", (double)first, "KiB");
    print("memory after all of them", (double)last, "KiB");
    return last > first + 1024;
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000, cycles = argc > 2 ? (uint32_t)atoi(argv[2]) : 20000;
    linux_platform_initialize();
    cpu_initialize();
    struct compiled_module *small = compile(2048), *large = compile(1 << 20);
    measure_instantiation("2 KiB of data", small);
    measure_instantiation("1 MiB of data", large);
    measure_lives("create and exit, 2 KiB of data", small, false);
    measure_lives("create, run, exit, 2 KiB of data", small, true);
    measure_lives("create, run, exit, 1 MiB of data", large, true);
    measure_density(small, count);
    return measure_flatness(small, cycles);
}
