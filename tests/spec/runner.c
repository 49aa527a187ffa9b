/* The commands of the official suite: see runner.h. One function for each command of SCRIPT_COMMANDS. */
#include "tests/spec/runner.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/platform.h"
#include "kernel/process_lock.h"
#include "kernel/stack.h"
#include "kernel/system.h"
#include "kernel/thread.h"
#include "tests/spec/modules.h"
#include "tests/spec/report.h"
#include "tests/spec/script.h"
#include "tests/spec/value.h"

#define VALUES_MAXIMUM 512

struct run {
    struct report report;
    uint64_t memory_limit;
    struct suite_process suite;
};

static bool has_prefix(const char *text, size_t length, const char *prefix, size_t prefix_length)
{
    return length >= prefix_length && memcmp(text, prefix, prefix_length) == 0;
}

/* As in the reference interpreter what happened must begin with what the script says; the other way round, too, since
 * scripts may add a detail ("uninitialized element 2") that this kernel reports elsewhere. */
static bool trap_matches(enum trap trap, struct name message)
{
    const char *text = trap_text(trap);
    return trap != TRAP_NONE && (has_prefix(text, strlen(text), message.text, message.length) ||
                                 has_prefix(message.text, message.length, text, strlen(text)));
}

static const char *engine_status_name(enum engine_status status)
{
    static const char *const names[] = {
        [ENGINE_OK] = "ok",           [ENGINE_MALFORMED] = "malformed",
        [ENGINE_INVALID] = "invalid", [ENGINE_UNSUPPORTED] = "unsupported",
        [ENGINE_LIMIT] = "limit",     [ENGINE_NO_MEMORY] = "no memory",
    };
    return names[status];
}

/* What became of a module, in words. */
static const char *outcome_text(const struct suite_outcome *outcome, char text[600])
{
    switch (outcome->kind) {
    case SUITE_OK:
        return "accepted";
    case SUITE_FEATURE:
        format_text(text, 600, "needs %s", outcome->feature);
        break;
    case SUITE_REFUSED:
        format_text(text, 600, "%s: %s", engine_status_name(outcome->status), outcome->message);
        break;
    case SUITE_TRAPPED:
        format_text(text, 600, "trap: %s", trap_text(outcome->trap));
        break;
    case SUITE_UNLINKABLE:
    case SUITE_BROKEN:
        format_text(text, 600, "%s", outcome->message);
        break;
    }
    return text;
}

/* Compile and instantiate a module that an assertion expects not to work. */
static void try_module(struct run *run, struct name bytes, bool instantiate, struct suite_outcome *outcome)
{
    struct suite_module *module = suite_compile(&run->suite, (struct name){"", 0}, bytes, outcome);
    if (outcome->kind == SUITE_OK && instantiate)
        suite_instantiate(&run->suite, module, outcome);
}

static void run_module(struct run *run, struct script_reader *body)
{
    struct name name = script_text(body);
    struct suite_outcome outcome;
    char text[600];
    struct suite_module *module = suite_compile(&run->suite, name, script_text(body), &outcome);
    run->suite.current = module;
    if (outcome.kind == SUITE_OK)
        suite_instantiate(&run->suite, module, &outcome);
    if (outcome.kind == SUITE_OK)
        run->report.modules++;
    else if (outcome.kind != SUITE_FEATURE)
        report_fail(&run->report, "%s", outcome_text(&outcome, text));
}

static void run_module_definition(struct run *run, struct script_reader *body)
{
    struct name name = script_text(body);
    struct suite_outcome outcome;
    char text[600];
    run->suite.current = suite_compile(&run->suite, name, script_text(body), &outcome);
    if (outcome.kind != SUITE_OK && outcome.kind != SUITE_FEATURE)
        report_fail(&run->report, "%s", outcome_text(&outcome, text));
}

static void run_module_instance(struct run *run, struct script_reader *body)
{
    struct name name = script_text(body);
    struct suite_module *definition = suite_find(&run->suite, script_text(body));
    if (!definition || (!definition->compiled && !definition->feature) ||
        run->suite.module_count == SUITE_MODULES_MAXIMUM) {
        report_fail(&run->report, "no such definition");
        return;
    }
    struct suite_module *module = &run->suite.modules[run->suite.module_count++];
    *module = (struct suite_module){.name = name, .compiled = definition->compiled, .feature = definition->feature};
    run->suite.current = module;
    if (module->feature)
        return;
    compiled_module_acquire(module->compiled);
    struct suite_outcome outcome;
    char text[600];
    suite_instantiate(&run->suite, module, &outcome);
    if (outcome.kind == SUITE_OK)
        run->report.modules++;
    else if (outcome.kind != SUITE_FEATURE)
        report_fail(&run->report, "%s", outcome_text(&outcome, text));
}

static void run_register(struct run *run, struct script_reader *body)
{
    struct suite_module *module = suite_find(&run->suite, script_text(body));
    if (!module || !suite_register(&run->suite, script_text(body), module))
        report_fail(&run->report, "no such module, or too many registrations");
}

/* ---- Actions ---- */
struct result {
    enum trap trap;
    uint32_t count;
    value_type types[VALUES_MAXIMUM]; /* VALUE_BOTTOM: not known */
    union value values[VALUES_MAXIMUM];
};

/* Do what the script's action says. False when that is not possible: then a failure or a skip is already counted. */
static bool perform(struct run *run, struct script_reader *body, struct result *result)
{
    struct script_action action = script_action(body);
    union value arguments[VALUES_MAXIMUM];
    for (uint32_t i = 0; i < action.argument_count; i++) {
        struct script_value constant = script_value(body);
        if (i < VALUES_MAXIMUM)
            arguments[i] = value_constant(&constant);
    }
    memset(result, 0, sizeof(*result));
    struct suite_module *module = suite_find(&run->suite, action.module);
    if (module && module->feature) {
        report_skip_feature(&run->report, module->feature);
        return false;
    }
    struct external external;
    if (!module || !module->instance) {
        report_fail(&run->report, "%.*s: the module was not loaded", (int)action.field.length, action.field.text);
        return false;
    }
    if (!instance_find_export(module->instance, action.field.text, action.field.length, &external) ||
        external.kind != (action.invoke ? EXTERNAL_FUNCTION : EXTERNAL_GLOBAL)) {
        report_fail(&run->report, "%.*s is not exported", (int)action.field.length, action.field.text);
        return false;
    }
    if (!action.invoke) {
        result->count = 1;
        result->types[0] = VALUE_BOTTOM;
        result->values[0] = global_read(&external);
        return true;
    }
    const struct function_type *type = function_reference_type(run->suite.process, external.function);
    if (type->parameter_count != action.argument_count || type->parameter_count > VALUES_MAXIMUM ||
        type->result_count > VALUES_MAXIMUM) {
        report_fail(&run->report, "%.*s takes %u arguments", (int)action.field.length, action.field.text,
                    (unsigned)type->parameter_count);
        return false;
    }
    result->count = type->result_count;
    for (uint32_t i = 0; i < type->result_count; i++)
        result->types[i] = function_type_results(type)[i];
    result->trap = function_call(run->suite.process, external.function, arguments, result->values);
    return true;
}

static void run_action(struct run *run, struct script_reader *body)
{
    struct result result;
    if (perform(run, body, &result) && result.trap != TRAP_NONE)
        report_fail(&run->report, "trap: %s", trap_text(result.trap));
}

static void run_assert_return(struct run *run, struct script_reader *body)
{
    struct result result;
    if (!perform(run, body, &result))
        return;
    if (result.trap != TRAP_NONE) {
        report_fail(&run->report, "trap: %s", trap_text(result.trap));
        return;
    }
    uint32_t count = script_number(body);
    if (count != result.count) {
        report_fail(&run->report, "expected %u results, got %u", (unsigned)count, (unsigned)result.count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct script_reader expectation = *body;
        if (value_expected(body, &result.values[i], result.types[i]))
            continue;
        char expected[96], actual[96];
        report_fail(&run->report, "result %u: expected %s, got %s", (unsigned)i,
                    expectation_text(expectation, expected), value_text(&result.values[i], result.types[i], actual));
        return;
    }
    report_pass(&run->report);
}

static void run_assert_trap(struct run *run, struct script_reader *body)
{
    struct result result;
    if (!perform(run, body, &result))
        return;
    struct name message = script_text(body);
    if (trap_matches(result.trap, message))
        report_pass(&run->report);
    else
        report_fail(&run->report, "expected trap \"%.*s\", got %s", (int)message.length, message.text,
                    result.trap == TRAP_NONE ? "none" : trap_text(result.trap));
}

static void run_assert_exhaustion(struct run *run, struct script_reader *body)
{
    run_assert_trap(run, body);
}

static void run_assert_exception(struct run *run, struct script_reader *body)
{
    struct result result;
    if (!perform(run, body, &result))
        return;
    if (result.trap == TRAP_EXCEPTION)
        report_pass(&run->report);
    else
        report_fail(&run->report, "expected an exception, got %s",
                    result.trap == TRAP_NONE ? "none" : trap_text(result.trap));
}

static void run_attempt(struct run *run, struct script_reader *body)
{
    struct result result;
    perform(run, body, &result);
}

/* ---- Modules that must not work ---- */
static void expect_refusal(struct run *run, struct script_reader *body, enum engine_status expected)
{
    struct name message = script_text(body);
    struct suite_outcome outcome;
    char text[600];
    try_module(run, script_text(body), false, &outcome);
    if (outcome.kind == SUITE_FEATURE)
        report_skip_feature(&run->report, outcome.feature);
    else if (outcome.kind == SUITE_REFUSED && outcome.status == expected)
        report_pass(&run->report);
    else
        report_fail(&run->report, "expected \"%.*s\", got %s", (int)message.length, message.text,
                    outcome_text(&outcome, text));
}

static void run_assert_invalid(struct run *run, struct script_reader *body)
{
    expect_refusal(run, body, ENGINE_INVALID);
}

static void run_assert_malformed(struct run *run, struct script_reader *body)
{
    expect_refusal(run, body, ENGINE_MALFORMED);
}

static void run_assert_unlinkable(struct run *run, struct script_reader *body)
{
    struct name message = script_text(body);
    struct suite_outcome outcome;
    char text[600];
    try_module(run, script_text(body), true, &outcome);
    if (outcome.kind == SUITE_FEATURE)
        report_skip_feature(&run->report, outcome.feature);
    else if (outcome.kind == SUITE_UNLINKABLE)
        report_pass(&run->report);
    else
        report_fail(&run->report, "expected \"%.*s\", got %s", (int)message.length, message.text,
                    outcome_text(&outcome, text));
}

static void run_assert_uninstantiable(struct run *run, struct script_reader *body)
{
    struct name message = script_text(body);
    struct suite_outcome outcome;
    char text[600];
    try_module(run, script_text(body), true, &outcome);
    if (outcome.kind == SUITE_FEATURE)
        report_skip_feature(&run->report, outcome.feature);
    else if (outcome.kind == SUITE_TRAPPED && trap_matches(outcome.trap, message))
        report_pass(&run->report);
    else
        report_fail(&run->report, "expected trap \"%.*s\", got %s", (int)message.length, message.text,
                    outcome_text(&outcome, text));
}

static void run_attempt_module(struct run *run, struct script_reader *body)
{
    struct suite_outcome outcome;
    try_module(run, script_text(body), true, &outcome);
}

static void run_text(struct run *run, struct script_reader *body)
{
    (void)body;
    report_skip(&run->report, (struct name){"text format", 11});
}

/* ---- Scripts ---- */
static void run_thread(struct run *run, struct script_reader *body);
static void run_wait(struct run *run, struct script_reader *body);

static const struct {
    const char *name;
    void (*run)(struct run *run, struct script_reader *body);
} commands[] = {
#define COMMAND_ROW(name, function) [COMMAND_##name] = {#function, run_##function},
    SCRIPT_COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

/* As many as there are commands, at most `count`. Returns how many are missing. */
static uint32_t run_commands(struct run *run, struct script_reader *reader, uint32_t count)
{
    struct script_command command = {0};
    for (; count > 0 && script_next(reader, &command); count--) {
        run->report.line = command.line;
        run->report.excuse = command.excuse;
        run->report.command = commands[command.kind].name;
        commands[command.kind].run(run, &command.body);
    }
    run->report.excuse.length = 0;
    return count;
}

/* ---- Threads of a script ----
 * Each is a kernel thread with names of its own, in the process of the script; it has one module in common with it. */
#define SCRIPT_THREADS_MAXIMUM 8
static struct script_thread {
    struct run run;
    struct thread *thread; /* NULL: not in use */
    struct name name;
    struct script_reader body;
    uint32_t shared; /* modules at the start that are the script's */
} script_threads[SCRIPT_THREADS_MAXIMUM];

/* Assertions have more on the stack than host calls. */
static void run_thread_commands(void *argument, void *stack)
{
    struct script_thread *self = argument;
    (void)stack;
    process_adopt_thread(self->run.suite.process);
    uint32_t count = script_number(&self->body);
    if (run_commands(&self->run, &self->body, count) > 0 || self->body.damaged)
        report_fail(&self->run.report, "the thread's commands are damaged");
    process_adopt_thread(NULL);
}

static void thread_entry(void *argument)
{
    struct script_thread *self = argument;
    if (!kernel_stack_call_large(run_thread_commands, self))
        report_fail(&self->run.report, "no memory for a thread's stack");
}

static void run_thread(struct run *run, struct script_reader *body)
{
    struct script_thread *thread = script_threads;
    while (thread < script_threads + SCRIPT_THREADS_MAXIMUM && thread->thread)
        thread++;
    if (thread == script_threads + SCRIPT_THREADS_MAXIMUM) {
        report_fail(&run->report, "too many threads");
        return;
    }
    memset(thread, 0, sizeof(*thread));
    thread->name = script_text(body);
    struct name shared = script_text(body);
    const struct suite_module *module = shared.length ? suite_find(&run->suite, shared) : NULL;
    thread->body = *body;
    thread->run.report.script = run->report.script;
    thread->run.suite.process = run->suite.process;
    thread->run.suite.spectest = run->suite.spectest;
    if (module)
        thread->run.suite.modules[thread->run.suite.module_count++] = *module;
    thread->shared = thread->run.suite.module_count;
    process_share(run->suite.process);
    if (thread_start(thread_entry, thread, &thread->thread) != STATUS_OK)
        report_fail(&run->report, "no memory for a thread");
}

static void join_thread(struct run *run, struct script_thread *thread)
{
    thread_join(thread->thread);
    thread->thread = NULL;
    report_add(&run->report, &thread->run.report);
    for (uint32_t i = thread->shared; i < thread->run.suite.module_count; i++)
        if (thread->run.suite.modules[i].compiled)
            compiled_module_release(thread->run.suite.modules[i].compiled);
}

static void run_wait(struct run *run, struct script_reader *body)
{
    struct name name = script_text(body);
    for (struct script_thread *thread = script_threads; thread < script_threads + SCRIPT_THREADS_MAXIMUM; thread++)
        if (thread->thread && thread->name.length == name.length &&
            memcmp(thread->name.text, name.text, name.length) == 0) {
            join_thread(run, thread);
            return;
        }
    report_fail(&run->report, "no such thread");
}

static void join_all(struct run *run)
{
    for (struct script_thread *thread = script_threads; thread < script_threads + SCRIPT_THREADS_MAXIMUM; thread++)
        if (thread->thread)
            join_thread(run, thread);
    process_unshare();
}

static void run_script(struct run *run, struct name name, struct name bytes)
{
    struct script_reader reader;
    run->report.script = name;
    run->report.command = "script";
    run->report.line = 0;
    uint32_t remaining = script_open(&reader, (const uint8_t *)bytes.text, bytes.length);
    bool started = suite_process_create(&run->suite, run->memory_limit);
    if (!started || remaining == 0)
        report_fail(&run->report, "cannot start");
    if (started) {
        remaining = run_commands(run, &reader, remaining);
        join_all(run);
    }
    if (started && (remaining > 0 || reader.damaged))
        report_fail(&run->report, "the script is damaged");
    suite_process_destroy(&run->suite);
    run->report.scripts++;
}

static void run_all(struct run *run, const uint8_t *file, size_t size, bool trace)
{
    run->report = (struct report){0};
    struct script_reader reader = {file, file + size, false};
    while (reader.cursor < reader.end && !reader.damaged) {
        struct name name = script_text(&reader);
        if (trace)
            report_print("%.*s\n", (int)name.length, name.text);
        run_script(run, name, script_text(&reader));
    }
}

/* ---- Memory ---- */
struct memory_use {
    uint64_t frames, heap_blocks;
};

static struct memory_use memory_use(void)
{
    struct platform_memory memory;
    struct heap_statistics heap;
    system_trim();
    platform_memory_statistics(&memory);
    kernel_heap_statistics(&heap);
    return (struct memory_use){memory.frames_used, heap.blocks};
}

static bool memory_grew(const struct memory_use *before, const struct memory_use *after)
{
    return after->frames > before->frames || after->heap_blocks > before->heap_blocks;
}

static void print_memory(const char *when, const struct memory_use *use)
{
    report_print("memory %s: %llu frames, %llu heap blocks\n", when, (unsigned long long)use->frames,
                 (unsigned long long)use->heap_blocks);
}

int suite_run(const uint8_t *file, size_t size, bool trace, uint64_t memory_limit)
{
    static struct run run;
    run.memory_limit = memory_limit;
    struct memory_use before = memory_use();
    run_all(&run, file, size, trace);
    struct memory_use after = memory_use();
    struct report report = run.report;
    report_totals(&report);
    print_memory("before", &before);
    print_memory("after", &after);
    if (memory_grew(&before, &after)) {
        /* The kernel may keep what all processes share (function types); but then only once. */
        run_all(&run, file, size, false);
        struct memory_use again = memory_use();
        print_memory("after the same again", &again);
        if (memory_grew(&after, &again)) {
            report.failed++;
            report_print("FAIL: memory leaks\n");
        }
    }
    report_print("%u passed, %u failed, %u skipped\n", (unsigned)report.passed, (unsigned)report.failed,
                 (unsigned)report.skipped);
    return report.failed != 0;
}
