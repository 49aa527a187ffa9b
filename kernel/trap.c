/* The end of a guest call: what happened and where, noted at the time of the trap, and printed when somebody wants it.
 */
#include "engine/base.h"
#include "engine/format.h"
#include "engine/x64/enter.h"
#include "kernel/backtrace.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/mutex.h"
#include "kernel/process_lock.h"
#include "kernel/profile_hooks.h"
#include "kernel/sanitizer.h"
#include "kernel/service.h"
#include "kernel/stack.h"
#include "kernel/trace.h"

/* ---- Noting ---- */

/* `context` is the struct trap_report. */
static bool note_frame(void *context, const struct trap_frame *frame)
{
    struct trap_report *report = context;
    if (!frame->module && frame->function < BUILTIN_COUNT) { /* an instruction of the frame that called it */
        return true;
    }
    if (report->frame_count < TRAP_FRAMES) {
        report->frames[report->frame_count++] = *frame;
    }
    report->frame_total++;
    return true;
}

static void fill_report(struct trap_report *report, const struct thread *thread, enum trap trap, const char *detail,
                        enum guest_position position)
{
    *report = (struct trap_report){.trap = trap, .in_host = position == GUEST_IN_HOST};
    if (detail) {
        format_text(report->detail, sizeof(report->detail), "%s", detail);
    } else if (thread->number) {
        format_text(report->detail, sizeof(report->detail), "thread %u", thread->number);
    }
    if (trap != TRAP_EXIT) {
        backtrace_walk(thread, position, note_frame, report);
    }
}

/* What a trace says beside the trap. */
static uint32_t traced_detail(const struct process *process, enum trap trap)
{
    const struct trap_report *report = &process->report;
    return trap == TRAP_EXIT ? process->exit_status : report->frame_count ? report->frames[0].function : UINT32_MAX;
}

_Noreturn void thread_end_guest(enum trap trap, const char *detail, enum guest_position position)
{
    struct thread *thread = thread_current();
    process_lock_enter(); /* until process_finish */
    profile_sample(thread, position);
    if (!thread->activation->process->ended) { /* else another of its threads ended it: that one counts */
        fill_report(&thread->activation->process->report, thread, trap, detail, position);
    }
    TRACE(TRAP, trap, traced_detail(thread->activation->process, trap));
    mutexes_release_all(thread->shares ? &thread->shares->kernel_lock : NULL);
    service_abandon(thread->activation);
    SANITIZER_ALLOW(__builtin_frame_address(0), thread->area.kernel_rsp - (uintptr_t)__builtin_frame_address(0));
    wasm_abandon(&thread->area, trap);
}

_Noreturn void thread_pass_trap_on(enum trap trap)
{
    struct thread *thread = thread_current();
    SANITIZER_ALLOW(__builtin_frame_address(0), thread->area.kernel_rsp - (uintptr_t)__builtin_frame_address(0));
    wasm_abandon(&thread->area, trap);
}

_Noreturn void instance_trap(struct instance *instance, enum trap trap, const char *detail)
{
    (void)instance;
    thread_end_guest(trap, detail, GUEST_IN_HOST);
}

/* ---- Printing ---- */

#define LINE_BYTES 320

struct offset_search {
    const struct trap_frame *frame;
    bool at_call;
    uint32_t offset; /* 0: not found */
};

static void find_offset(void *argument, void *stack)
{
    struct offset_search *search = argument;
    const struct trap_frame *frame = search->frame;
    (void)stack;
    struct arena arena;
    struct code_position *positions;
    struct engine_error error = {0};
    uint32_t count;
    arena_initialize(&arena, &kernel_engine_allocator);
    if (code_positions(frame->module->code, frame->function, compiled_module_cpu_features(), &kernel_engine_allocator,
                       &arena, &positions, &count, &error) == ENGINE_OK) {
        for (uint32_t i = 0; i < count && positions[i].text_offset <= frame->text_offset - search->at_call; i++) {
            search->offset = positions[i].module_offset;
        }
    }
    arena_release(&arena);
}

/* The wasm instruction of a frame, as an offset in the module; 0 when it cannot be told. */
static uint32_t module_offset(const struct trap_frame *frame, bool at_call)
{
    struct offset_search search = {frame, at_call, 0};
    kernel_stack_call_large(find_offset, &search);
    return search.offset;
}

static void print_frame(const struct trap_report *report, uint32_t index, const struct trap_frame *previous,
                        uint32_t *offset)
{
    char line[LINE_BYTES], name[BACKTRACE_NAME_BYTES];
    const struct trap_frame *frame = &report->frames[index];
    size_t length;
    if (!frame->module) {
        const struct host_entry *entry = host_function_entry(frame->function);
        length = format_text(line, sizeof(line), "%5u  host function %s.%s\n", index, entry->module, entry->name);
    } else {
        /* In a recursion most frames are alike; each offset costs the compilation of a function. */
        if (!previous || previous->module != frame->module || previous->function != frame->function ||
            previous->text_offset != frame->text_offset) {
            *offset = module_offset(frame, index > 0 || report->in_host);
        }
        backtrace_function_name(frame, name);
        length = *offset
                     ? format_text(line, sizeof(line), "%5u  %s (%s+0x%x)\n", index, name, frame->module->name, *offset)
                     : format_text(line, sizeof(line), "%5u  %s (%s)\n", index, name, frame->module->name);
    }
    platform_log(line, min_u64(length, sizeof(line) - 1));
}

void trap_report_print(const struct trap_report *report)
{
    char line[LINE_BYTES];
    size_t length = format_text(line, sizeof(line), "trap: %s%s%s%s\n", trap_text(report->trap),
                                report->detail[0] ? " (" : "", report->detail, report->detail[0] ? ")" : "");
    platform_log(line, min_u64(length, sizeof(line) - 1));
    uint32_t offset = 0;
    for (uint32_t i = 0; i < report->frame_count; i++) {
        print_frame(report, i, i ? &report->frames[i - 1] : NULL, &offset);
    }
    if (report->frame_total > report->frame_count) {
        length = format_text(line, sizeof(line), "       ... %llu more\n",
                             (unsigned long long)(report->frame_total - report->frame_count));
        platform_log(line, length);
    }
}
