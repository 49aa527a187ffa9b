#include "kernel/backtrace.h"

#include "engine/base.h"
#include "engine/format.h"
#include "engine/x64/enter.h"
#include "engine/x64/tail.h"
#include "kernel/instance_parts.h"

struct walk {
    const struct thread *thread;
    backtrace_visitor *visit;
    void *context;
};

static bool visit_host(const struct walk *walk, uint32_t number)
{
    return walk->visit(walk->context, &(struct trap_frame){NULL, number, 0});
}

/* One run of wasm frames, from the innermost one outwards. False: enough. */
static bool visit_wasm(const struct walk *walk, uintptr_t pc, uintptr_t rsp, bool at_call)
{
    for (;; at_call = true) {
        uint32_t function;
        while (at_call && tail_frame_unwind(&pc, &rsp, NULL)) {
        }
        const struct compiled_module *module = text_find(pc - at_call);
        if (!module || !code_find_function(module->code, pc - at_call, &function)) {
            return true;
        }
        const struct code_function *code = &module->code->functions[function - module->module->function_import_count];
        uint32_t text_offset = (uint32_t)(pc - (uintptr_t)module->code->text - code->offset);
        if (!walk->visit(walk->context, &(struct trap_frame){module, function, text_offset})) {
            return false;
        }
        if (!code_unwind(module->code, &pc, &rsp, at_call) || rsp > walk->thread->area.stack_base) {
            return true;
        }
    }
}

/* Wasm frames above a host call: the return address is where the host function left it. */
static bool visit_wasm_at(const struct walk *walk, uint64_t wasm_rsp)
{
    uintptr_t pc = *(const uint64_t *)wasm_rsp;
    return visit_wasm(walk, pc, wasm_rsp + sizeof(uint64_t), true);
}

static bool visit_innermost(const struct walk *walk, enum guest_position position)
{
    const struct thread *thread = walk->thread;
    if (position == GUEST_INTERRUPTED) {
        return visit_wasm(walk, thread->interrupted.rip, thread->interrupted.registers[RSP], false);
    }
    return thread->area.wasm_rsp && /* else wasm_enter did not get as far as its first frame */
           visit_host(walk, thread->area.host_function) && visit_wasm_at(walk, thread->area.wasm_rsp);
}

void backtrace_walk(const struct thread *thread, enum guest_position position, backtrace_visitor *visit, void *context)
{
    const struct walk walk = {thread, visit, context};
    if (!visit_innermost(&walk, position)) {
        return;
    }
    const struct enter_record *record = (const struct enter_record *)thread->area.kernel_rsp;
    for (const struct activation *inner = thread->activation; inner->outer; inner = inner->outer) {
        if (!visit_host(&walk, inner->outer_host_function) || !visit_wasm_at(&walk, record->wasm_rsp)) {
            return;
        }
        record = (const struct enter_record *)record->kernel_rsp;
    }
}

size_t backtrace_function_name(const struct trap_frame *frame, char name[BACKTRACE_NAME_BYTES])
{
    struct name given = module_function_name(frame->module->module, frame->function);
    if (!given.length) {
        return format_text(name, BACKTRACE_NAME_BYTES, "func[%u]", frame->function);
    }
    size_t length = min_u64(given.length, BACKTRACE_NAME_BYTES - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)given.text[i];
        name[i] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
    }
    name[length] = 0;
    return length;
}
