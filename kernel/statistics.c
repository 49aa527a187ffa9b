#include "kernel/statistics.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"

/* ---- The table: chunks of places, the lowest free place is taken first ---- */

#define CHUNK_PLACES   256
#define CHUNKS_MAXIMUM 4096
#define MAP_BITS       64
#define MAP_WORDS      (CHUNK_PLACES / MAP_BITS)

struct chunk {
    uint32_t used;
    uint64_t map[MAP_WORDS]; /* places in use */
    struct process *places[CHUNK_PLACES];
};

static struct spinlock table_lock = SPINLOCK(LOCK_PROCESS_TABLE);
static struct chunk first_chunk;
static struct chunk *chunks[CHUNKS_MAXIMUM] GUARDED_BY(table_lock) = {&first_chunk};
static uint32_t chunk_count GUARDED_BY(table_lock) = 1;
static uint32_t full_below GUARDED_BY(table_lock); /* chunks below are full */
static uint32_t last_id GUARDED_BY(table_lock);

/* The first chunk with a free place, or NULL. */
static struct chunk *chunk_with_room(void) REQUIRES(table_lock)
{
    while (full_below < chunk_count && chunks[full_below]->used == CHUNK_PLACES) {
        full_below++;
    }
    if (full_below == chunk_count && chunk_count < CHUNKS_MAXIMUM) {
        chunks[chunk_count] = kernel_allocate_zeroed(sizeof(struct chunk));
        chunk_count += chunks[chunk_count] != NULL;
    }
    return full_below < chunk_count ? chunks[full_below] : NULL;
}

static uint32_t take_place(struct chunk *chunk)
{
    uint32_t word = 0;
    while (!~chunk->map[word]) {
        word++;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(~chunk->map[word]);
    chunk->map[word] |= UINT64_C(1) << bit;
    chunk->used++;
    return word * MAP_BITS + bit;
}

enum status process_table_enter(struct process *process)
{
    spinlock_acquire(&table_lock);
    struct chunk *chunk = chunk_with_room();
    if (chunk) {
        uint32_t place = take_place(chunk);
        chunk->places[place] = process;
        process->id = ++last_id;
        process->table_place = full_below * CHUNK_PLACES + place;
    }
    spinlock_release(&table_lock);
    return chunk ? STATUS_OK : STATUS_NO_MEMORY;
}

void process_table_leave(struct process *process)
{
    if (!process->id) { /* it never was there */
        return;
    }
    spinlock_acquire(&table_lock);
    uint32_t index = process->table_place / CHUNK_PLACES, place = process->table_place % CHUNK_PLACES;
    chunks[index]->map[place / MAP_BITS] &= ~(UINT64_C(1) << place % MAP_BITS);
    chunks[index]->used--;
    full_below = (uint32_t)min_u64(full_below, index);
    while (chunk_count > 1 && !chunks[chunk_count - 1]->used) {
        kernel_free(chunks[--chunk_count], sizeof(struct chunk));
    }
    spinlock_release(&table_lock);
}

/* The process with this number in the chunk, or NULL. */
static struct process *find_in_chunk(const struct chunk *chunk, uint32_t id)
{
    for (uint32_t word = 0; word < MAP_WORDS; word++) {
        for (uint64_t map = chunk->map[word]; map; map &= map - 1) {
            struct process *process = chunk->places[word * MAP_BITS + (uint32_t)__builtin_ctzll(map)];
            if (process->id == id) {
                return process;
            }
        }
    }
    return NULL;
}

/* The lock is given back after each chunk. A process does not change its place. */
void process_table_find(uint32_t id, void (*function)(struct process *process, void *context), void *context)
{
    struct process *process = NULL;
    bool more = true;
    for (uint32_t i = 0; more && !process; i++) {
        spinlock_acquire(&table_lock);
        more = i < chunk_count;
        process = more ? find_in_chunk(chunks[i], id) : NULL;
        if (process) {
            function(process, context);
        }
        spinlock_release(&table_lock);
    }
}

/* ---- Reading ---- */

static void add_counters(struct thread_counters *sum, const struct thread_counters *counters)
{
#define ADD_COUNTER(name, text) sum->name += __atomic_load_n(&counters->name, __ATOMIC_RELAXED);
    COUNTERS(ADD_COUNTER)
#undef ADD_COUNTER
}

void statistics_thread_left(struct process *process, struct thread *thread)
{
    add_counters(&process->counters, &thread->counters);
    thread->counters = (struct thread_counters){0};
}

/* How long a thread runs that has not been charged to its process yet. */
static uint64_t running_time(const struct thread *thread, uint64_t now)
{
    const struct cpu *cpu = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED);
    if (!cpu || __atomic_load_n(&thread->state, __ATOMIC_RELAXED) != THREAD_RUNNING ||
        __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != thread) {
        return 0;
    }
    if (__atomic_load_n(&cpu->handed_over, __ATOMIC_RELAXED)) {
        int64_t ticks = (int64_t)(__builtin_ia32_rdtsc() - __atomic_load_n(&cpu->run_ticks, __ATOMIC_RELAXED));
        return ticks > 0 ? scheduler_tick_time((uint64_t)ticks) : 0;
    }
    uint64_t since = __atomic_load_n(&cpu->run_start, __ATOMIC_RELAXED);
    return now > since ? now - since : 0;
}

uint64_t thread_run_time(const struct thread *thread)
{
    return __atomic_load_n(&thread->run_time, __ATOMIC_RELAXED) +
           running_time(thread, platform_monotonic_nanoseconds());
}

static void read_threads(struct process *process, struct process_statistics *statistics)
{
    uint64_t now = platform_monotonic_nanoseconds();
    spinlock_acquire(&process->threads_lock);
    statistics->counters = process->counters;
    statistics->cpu_time = __atomic_load_n(&process->run_time, __ATOMIC_RELAXED);
    for (const struct thread *thread = process->running; thread; thread = thread->process_next) {
        statistics->threads++;
        uint64_t handed = __atomic_load_n(&thread->handed_ticks, __ATOMIC_RELAXED);
        statistics->cpu_time += running_time(thread, now) + scheduler_tick_time(handed);
        add_counters(&statistics->counters, &thread->counters);
    }
    spinlock_release(&process->threads_lock);
    statistics->age = now - process->start_time;
}

void process_statistics_read(struct process *process, struct process_statistics *statistics)
{
    *statistics = (struct process_statistics){
        .id = process->id,
        .handles = __atomic_load_n(&process->handles.count, __ATOMIC_RELAXED),
        .handle_limit = __atomic_load_n(&process->handles.limit, __ATOMIC_RELAXED),
        .memory_bytes = __atomic_load_n(&process->memory_bytes, __ATOMIC_RELAXED),
        .memory_limit = process->memory_limit,
        .object_bytes = account_used(process->account),
        .object_limit = __atomic_load_n(&process->account->limit, __ATOMIC_RELAXED),
    };
    read_threads(process, statistics);
    size_t length = strlen(process->name);
    format_text(statistics->name, sizeof(statistics->name), "%s",
                process->name + (length < sizeof(statistics->name) ? 0 : length - sizeof(statistics->name) + 1));
}

size_t process_statistics_list(uint64_t *position, struct process_statistics *statistics, size_t count)
{
    size_t found = 0;
    uint64_t at = *position;
    spinlock_acquire(&table_lock);
    for (; found < count && at < (uint64_t)chunk_count * CHUNK_PLACES; at++) {
        const struct chunk *chunk = chunks[at / CHUNK_PLACES];
        uint32_t place = at % CHUNK_PLACES;
        if (chunk->map[place / MAP_BITS] >> place % MAP_BITS & 1) {
            process_statistics_read(chunk->places[place], &statistics[found++]);
        } else if (!chunk->map[place / MAP_BITS]) {
            at |= MAP_BITS - 1; /* nor in the rest of the word */
        }
    }
    spinlock_release(&table_lock);
    *position = at;
    return found;
}

/* ---- At the end of a process ---- */

#define LINE_BYTES 400

static bool log_ends;

void statistics_log_ends(bool log)
{
    log_ends = log;
}

void statistics_process_end(struct process *process)
{
    struct process_statistics statistics;
    char line[LINE_BYTES];
    if (!log_ends || !process->id) {
        return;
    }
    process_statistics_read(process, &statistics);
    size_t length = format_text(
        line, sizeof(line),
        "process %u %s: %llu us, CPU %llu us, memory %llu bytes, kernel objects %llu bytes, handles %u", statistics.id,
        statistics.name, (unsigned long long)statistics.age / 1000, (unsigned long long)statistics.cpu_time / 1000,
        (unsigned long long)statistics.memory_bytes, (unsigned long long)statistics.object_bytes, statistics.handles);
#define PRINT_COUNTER(name, text)                                                                                      \
    length += format_text(line + length, sizeof(line) - length, ", " text " %llu",                                     \
                          (unsigned long long)statistics.counters.name);
    COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
    length += format_text(line + length, sizeof(line) - length, "\n");
    platform_log(line, length);
}
