/* The end of a guest call: what happened and where, noted at the time of the trap, and printed when somebody wants it.
 */
#include "engine/base.h"
#include "engine/format.h"
#include "engine/x64/enter.h"
#include "engine/x64/tail.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/sanitizer.h"

/* ---- Noting ---- */

static void add_frame(struct trap_report *report, const struct compiled_module *module, uint32_t function,
                      uint32_t text_offset)
{
    if (report->frame_count < TRAP_FRAMES) {
        report->frames[report->frame_count++] = (struct trap_frame){module, function, text_offset};
    }
    report->frame_total++;
}

static void add_host_frame(struct trap_report *report, uint32_t number)
{
    if (number >= BUILTIN_COUNT) { /* a builtin is an instruction of the frame that called it */
        add_frame(report, NULL, number, 0);
    }
}

/* One run of wasm frames, from the innermost one outwards. */
static void add_wasm_frames(struct trap_report *report, const struct thread *thread, uintptr_t pc, uintptr_t rsp,
                            bool at_call)
{
    for (;; at_call = true) {
        uint32_t function;
        while (at_call && tail_frame_unwind(&pc, &rsp, NULL)) {
        }
        const struct compiled_module *module = text_find(pc - at_call);
        if (!module || !code_find_function(module->code, pc - at_call, &function)) {
            return;
        }
        const struct code_function *code = &module->code->functions[function - module->module->function_import_count];
        add_frame(report, module, function, (uint32_t)(pc - (uintptr_t)module->code->text - code->offset));
        if (!code_unwind(module->code, &pc, &rsp, at_call) || rsp > thread->area.stack_base) {
            return;
        }
    }
}

/* Wasm frames above a host call: the return address is where the host function left it. */
static void add_wasm_frames_at(struct trap_report *report, const struct thread *thread, uint64_t wasm_rsp)
{
    uintptr_t pc = *(const uint64_t *)wasm_rsp;
    add_wasm_frames(report, thread, pc, wasm_rsp + sizeof(uint64_t), true);
}

static void add_backtrace(struct trap_report *report, const struct thread *thread, enum guest_position position)
{
    if (position == GUEST_IN_HOST) {
        if (!thread->area.wasm_rsp) { /* wasm_enter did not get as far as its first frame */
            return;
        }
        add_host_frame(report, thread->area.host_function);
        add_wasm_frames_at(report, thread, thread->area.wasm_rsp);
    } else {
        add_wasm_frames(report, thread, thread->interrupted.rip, thread->interrupted.registers[RSP], false);
    }
    const struct enter_record *record = (const struct enter_record *)thread->area.kernel_rsp;
    for (const struct activation *inner = thread->activation; inner->outer; inner = inner->outer) {
        add_host_frame(report, inner->outer_host_function);
        add_wasm_frames_at(report, thread, record->wasm_rsp);
        record = (const struct enter_record *)record->kernel_rsp;
    }
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
        add_backtrace(report, thread, position);
    }
}

_Noreturn void thread_end_guest(enum trap trap, const char *detail, enum guest_position position)
{
    struct thread *thread = thread_current();
    if (!thread->activation->process->ended) { /* else another of its threads ended it: that one counts */
        fill_report(&thread->activation->process->report, thread, trap, detail, position);
    }
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
#define NAME_BYTES 120

/* The wasm instruction of a frame, as an offset in the module; 0 when it cannot be told. */
static uint32_t module_offset(const struct trap_frame *frame, bool at_call)
{
    struct arena arena;
    struct code_position *positions;
    struct engine_error error = {0};
    uint32_t count, offset = 0;
    arena_initialize(&arena, &kernel_engine_allocator);
    if (code_positions(frame->module->code, frame->function, compiled_module_cpu_features(), &kernel_engine_allocator,
                       &arena, &positions, &count, &error) == ENGINE_OK) {
        for (uint32_t i = 0; i < count && positions[i].text_offset <= frame->text_offset - at_call; i++) {
            offset = positions[i].module_offset;
        }
    }
    arena_release(&arena);
    return offset;
}

/* Names are of the guest's choosing: control characters are shown as '?'. */
static void function_name(const struct trap_frame *frame, char name[NAME_BYTES])
{
    struct name given = module_function_name(frame->module->module, frame->function);
    if (!given.length) {
        format_text(name, NAME_BYTES, "func[%u]", frame->function);
        return;
    }
    size_t length = min_u64(given.length, NAME_BYTES - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)given.text[i];
        name[i] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
    }
    name[length] = 0;
}

static void print_frame(const struct trap_report *report, uint32_t index, const struct trap_frame *previous,
                        uint32_t *offset)
{
    char line[LINE_BYTES], name[NAME_BYTES];
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
        function_name(frame, name);
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
