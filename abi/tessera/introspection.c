/* What runs: the list of processes, and the rings of a trace. */
#include "abi/tessera/tessera.h"

#include "engine/base.h"
#include "kernel/process.h"
#include "kernel/program.h"
#include "kernel/statistics.h"
#include "kernel/trace.h"

/* ---- process_list ---- */

#define LIST_PART 4 /* processes that are looked at together; on the stack */

static void describe(struct process *caller, const struct process_statistics *statistics,
                     struct tessera_process_information *information)
{
    *information = (struct tessera_process_information){
        .id = statistics->id,
        .threads = statistics->threads,
        .handles = statistics->handles,
        .handle_limit = statistics->handle_limit,
        .age_nanoseconds = process_visible_time(caller, statistics->age),
        .cpu_nanoseconds = process_visible_time(caller, statistics->cpu_time),
        .memory_bytes = statistics->memory_bytes,
        .memory_limit = statistics->memory_limit,
        .object_bytes = statistics->object_bytes,
        .object_limit = statistics->object_limit,
    };
#define COPY_COUNTER(counter, text) information->counter = statistics->counters.counter;
    COUNTERS(COPY_COUNTER)
#undef COPY_COUNTER
    _Static_assert(sizeof(information->name) == sizeof(statistics->name), "names fit");
    memcpy(information->name, statistics->name, sizeof(information->name));
}

int32_t host_process_list(struct instance *instance, uint32_t handle, uint32_t position, uint32_t buffer,
                          uint32_t count)
{
    struct process_statistics part[LIST_PART];
    count = (uint32_t)min_u64(count, TESSERA_PROCESS_LIST_MAXIMUM);
    void *place = instance_memory_required(instance, position, sizeof(uint64_t), "process_list: position");
    uint8_t *to = instance_memory_required(instance, buffer, count * sizeof(struct tessera_process_information),
                                           "process_list: buffer");
    enum status status = caller_check(instance, handle, NEEDS(process_list));
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    uint64_t next;
    uint32_t done = 0;
    memcpy(&next, place, sizeof(next));
    for (size_t found = 1; found && done < count;) {
        found = process_statistics_list(&next, part, min_u64(count - done, LIST_PART));
        for (size_t i = 0; i < found; i++, done++) {
            struct tessera_process_information information;
            describe(instance->process, &part[i], &information);
            memcpy(to + done * sizeof(information), &information, sizeof(information));
        }
    }
    memcpy(place, &next, sizeof(next));
    return (int32_t)done;
}

int32_t host_process_information(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t bytes)
{
    struct process_statistics statistics;
    struct tessera_process_information information;
    struct object *program;
    bytes = (uint32_t)min_u64(bytes, sizeof(information));
    void *to = instance_memory_required(instance, buffer, bytes, "process_information: buffer");
    enum status status = handle_find(caller_handles(instance), handle, NEEDS(process_information), &program);
    if (status == STATUS_OK) {
        status = program_statistics(program, &statistics);
        object_release(program);
    }
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    describe(instance->process, &statistics, &information);
    memcpy(to, &information, bytes);
    return (int32_t)bytes;
}

/* ---- trace_read ---- */

#define TRACE_PART 16

_Static_assert(sizeof(struct tessera_trace_record) == sizeof(struct trace_record) &&
                   offsetof(struct tessera_trace_record, event) == offsetof(struct trace_record, event),
               "the same but for the lap, which is nobody's business");

int32_t host_trace_read(struct instance *instance, uint32_t handle, uint32_t cpu, uint32_t position, uint32_t buffer,
                        uint32_t count)
{
    struct trace_record part[TRACE_PART];
    struct tessera_trace_position next;
    count = (uint32_t)min_u64(count, TESSERA_TRACE_READ_MAXIMUM);
    void *place = instance_memory_required(instance, position, sizeof(next), "trace_read: position");
    uint8_t *to = instance_memory_required(instance, buffer, count * sizeof(part[0]), "trace_read: buffer");
    enum status status = caller_check(instance, handle, NEEDS(trace_read));
    if (status == STATUS_OK && process_time_step(instance->process) != PROCESS_TIME_FINE) {
        status = STATUS_DENIED;
    }
    if (status == STATUS_OK && !__atomic_load_n(&trace_enabled, __ATOMIC_RELAXED)) {
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    uint32_t done = 0;
    memcpy(&next, place, sizeof(next));
    for (size_t found = 1; found && done < count; done += (uint32_t)found) {
        uint64_t lost;
        found = trace_read(cpu, &next.next, part, min_u64(count - done, TRACE_PART), &lost);
        next.lost += lost;
        for (size_t i = 0; i < found; i++) {
            part[i].lap = 0;
        }
        memcpy(to + done * sizeof(part[0]), part, found * sizeof(part[0]));
    }
    memcpy(place, &next, sizeof(next));
    return (int32_t)done;
}
