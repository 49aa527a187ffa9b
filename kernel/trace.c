/* The rings of a trace; see trace.h.
 *
 * A writer takes the next number by an atomic addition, since an interrupt may come in between, and writes event and
 * lap last: until then they are those of the record before, or none. A reader takes a record when its lap, which it reads
 * first, is the one of the number that it looks for, it has an event, and no number has been given out meanwhile that is
 * to lie in the same place. */
#include "kernel/trace.h"

#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/lock.h"
#include "kernel/sanitizer.h"

#define NAMES_MAXIMUM 1024 /* a power of two */

bool trace_enabled;

static struct trace_record *rings[PLATFORM_CPUS_MAXIMUM];
static uint64_t heads[PLATFORM_CPUS_MAXIMUM][8]; /* [cpu][0]: how many records were noted; atomic. A cache line each */
static uint64_t ring_count;                      /* records in each; a power of two */
static uint64_t start_time;

static struct spinlock names_lock = SPINLOCK(LOCK_LEAF);
static struct trace_name *names;
static uint64_t name_count; /* of all times; names_lock */

/* ---- Noting ---- */

/* All but lap and event; a record may be written while it is read. */
#define COPY_MEMBER(to, from, member)                                                                                  \
    __atomic_store_n(&(to)->member, __atomic_load_n(&(from)->member, __ATOMIC_RELAXED), __ATOMIC_RELAXED)
#define COPY_MEMBERS(to, from)                                                                                         \
    (COPY_MEMBER(to, from, time), COPY_MEMBER(to, from, argument), COPY_MEMBER(to, from, second),                      \
     COPY_MEMBER(to, from, thread), COPY_MEMBER(to, from, process))

SANITIZER_AT_INTERRUPT static void write_record(struct trace_record *record, const struct trace_record *from)
{
    __atomic_store_n(&record->event, TRACE_NONE, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    COPY_MEMBERS(record, from);
    __atomic_store_n(&record->lap, from->lap, __ATOMIC_RELEASE);
    __atomic_store_n(&record->event, from->event, __ATOMIC_RELEASE);
}

SANITIZER_AT_INTERRUPT static uint16_t lap_of(uint64_t number)
{
    return (uint16_t)(number / ring_count + 1);
}

SANITIZER_AT_INTERRUPT void trace_note(enum trace_event event, uint64_t argument, uint32_t second)
{
    const struct cpu *cpu = platform_cpu();
    const struct thread *thread = cpu->current;
    struct trace_record *ring = rings[cpu->number];
    if (!ring) {
        return;
    }
    uint64_t number = __atomic_fetch_add(&heads[cpu->number][0], 1, __ATOMIC_RELAXED);
    write_record(&ring[number & (ring_count - 1)], &(struct trace_record){
                                                       .time = platform_monotonic_nanoseconds(),
                                                       .argument = argument,
                                                       .second = second,
                                                       .thread = thread->id,
                                                       .process = thread->process ? thread->process->id : 0,
                                                       .event = (uint16_t)event,
                                                       .lap = lap_of(number),
                                                   });
}

uint32_t trace_number(void)
{
    static uint32_t last; /* atomic */
    uint32_t number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    return number ? number : trace_number();
}

void trace_note_process(uint32_t process, const char *name)
{
    if (!__atomic_load_n(&trace_enabled, __ATOMIC_RELAXED)) {
        return;
    }
    size_t length = strlen(name);
    name += length > TRACE_NAME_BYTES ? length - TRACE_NAME_BYTES : 0;
    spinlock_acquire(&names_lock);
    struct trace_name *entry = &names[name_count++ % NAMES_MAXIMUM];
    *entry = (struct trace_name){.process = process};
    memcpy(entry->text, name, min_u64(length, TRACE_NAME_BYTES));
    spinlock_release(&names_lock);
}

/* ---- Reading ---- */

/* The record with this number, if it is whole and still there. */
static bool read_record(uint32_t cpu, uint64_t number, struct trace_record *record)
{
    const struct trace_record *place = &rings[cpu][number & (ring_count - 1)];
    record->lap = __atomic_load_n(&place->lap, __ATOMIC_ACQUIRE); /* first: the rest belongs to it */
    record->event = __atomic_load_n(&place->event, __ATOMIC_ACQUIRE);
    COPY_MEMBERS(record, place);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return record->event != TRACE_NONE && record->lap == lap_of(number) &&
           __atomic_load_n(&heads[cpu][0], __ATOMIC_RELAXED) - number <= ring_count;
}

size_t trace_read(uint32_t cpu, uint64_t *next, struct trace_record *records, size_t count, uint64_t *lost)
{
    size_t copied = 0;
    *lost = 0;
    if (cpu >= PLATFORM_CPUS_MAXIMUM || !rings[cpu]) {
        return 0;
    }
    while (copied < count) {
        uint64_t head = __atomic_load_n(&heads[cpu][0], __ATOMIC_ACQUIRE);
        if (*next >= head) {
            break;
        }
        if (head - *next > ring_count) { /* overwritten; before records that are copied nothing may be missing */
            if (copied) {
                break;
            }
            *lost += head - ring_count - *next;
            *next = head - ring_count;
        }
        if (read_record(cpu, *next, &records[copied])) {
            copied++;
            ++*next;
        } else if (__atomic_load_n(&heads[cpu][0], __ATOMIC_RELAXED) - *next <= ring_count) { /* being written */
            break;
        }
    }
    return copied;
}

/* ---- Start and end ---- */

/* Rings are made once and stay: a CPU may be about to note something when a trace ends. */
static enum status make_rings(uint64_t bytes)
{
    ring_count = ring_count ? ring_count : bytes / sizeof(struct trace_record);
    names = names ? names : kernel_allocate_zeroed(NAMES_MAXIMUM * sizeof(*names));
    for (uint32_t i = 0; i < platform_cpu_count(); i++) {
        struct trace_record *ring = rings[i] ? NULL : platform_reserve(ring_count * sizeof(*ring));
        if (ring && platform_commit(ring, ring_count * sizeof(*ring), PROTECTION_READ_WRITE) == STATUS_OK) {
            rings[i] = ring;
        } else if (ring) {
            platform_release(ring, ring_count * sizeof(*ring));
        }
        if (!rings[i]) {
            return STATUS_NO_MEMORY;
        }
        heads[i][0] = 0;
    }
    return names ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status trace_start(uint64_t bytes)
{
    if (bytes < TRACE_BYTES_MINIMUM || bytes > TRACE_BYTES_MAXIMUM || (bytes & (bytes - 1)) || trace_enabled) {
        return STATUS_INVALID;
    }
    enum status status = make_rings(bytes);
    name_count = 0;
    start_time = platform_monotonic_nanoseconds();
    __atomic_store_n(&trace_enabled, status == STATUS_OK, __ATOMIC_RELAXED);
    return status;
}

#define RECORD_PAYLOAD (PLATFORM_RECORD_BYTES - sizeof(struct trace_chunk))

struct told {
    struct trace_chunk chunk;
    union {
        struct trace_record records[RECORD_PAYLOAD / sizeof(struct trace_record)];
        struct trace_name names[RECORD_PAYLOAD / sizeof(struct trace_name)];
    };
};
_Static_assert(sizeof(struct told) <= PLATFORM_RECORD_BYTES, "a chunk is one record");

static struct told told; /* of who ends the trace; not allocated, as that may be a panic */

static void tell(enum trace_chunk_kind kind, uint32_t number, size_t count, size_t item_bytes)
{
    told.chunk.magic = TRACE_MAGIC;
    told.chunk.kind = kind;
    told.chunk.number = number;
    told.chunk.count = (uint32_t)count;
    platform_record(RECORD_TRACE, &told, sizeof(told.chunk) + count * item_bytes);
}

static void tell_names(void)
{
    told.chunk.lost = name_count > NAMES_MAXIMUM ? name_count - NAMES_MAXIMUM : 0;
    for (size_t i = 0, count, all = min_u64(name_count, NAMES_MAXIMUM); i < all; i += count) {
        count = min_u64(all - i, ARRAY_COUNT(told.names));
        memcpy(told.names, names + i, count * sizeof(*names));
        tell(TRACE_CHUNK_NAMES, 0, count, sizeof(*names));
    }
}

static void tell_ring(uint32_t cpu)
{
    size_t count;
    for (uint64_t next = 0;
         (count = trace_read(cpu, &next, told.records, ARRAY_COUNT(told.records), &told.chunk.lost));) {
        tell(TRACE_CHUNK_EVENTS, cpu, count, sizeof(struct trace_record));
    }
}

void trace_stop(void)
{
    __atomic_store_n(&trace_enabled, false, __ATOMIC_RELAXED);
    told.chunk.lost = start_time;
    tell(TRACE_CHUNK_START, TRACE_VERSION, 0, 0);
    tell_names();
    for (uint32_t i = 0; i < PLATFORM_CPUS_MAXIMUM; i++) {
        tell_ring(i);
    }
}

void kernel_panicked(void)
{
    if (trace_enabled) {
        trace_stop();
    }
}
