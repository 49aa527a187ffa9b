#include "kernel/profile_hooks.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/backtrace.h"
#include "kernel/heap.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"

static uint64_t period;     /* nanoseconds; 0: off. Atomic */
static uint32_t no_process; /* samples in kernel code that works for none; counted at interrupt time */

/* ---- When ---- */

SANITIZER_AT_INTERRUPT static uint64_t current_period(void)
{
    return __atomic_load_n(&period, __ATOMIC_RELAXED);
}

/* Of a CPU that may be another one; it looks when it arms its timer next. */
SANITIZER_AT_INTERRUPT static void set_next(struct cpu *cpu, uint64_t next)
{
    __atomic_store_n(&cpu->profile_next, next, __ATOMIC_RELAXED);
}

void profile_cpu_begin(struct cpu *cpu)
{
    set_next(cpu, current_period() ? platform_monotonic_nanoseconds() + current_period() : UINT64_MAX);
}

/* The period has changed. */
static void begin_on_all(void)
{
    struct cpu *cpu;
    for (uint32_t i = 0; (cpu = cpu_if_started(i)); i++) {
        profile_cpu_begin(cpu);
    }
}

void profile_start(uint32_t hertz)
{
    no_process = 0;
    __atomic_store_n(&period, UINT64_C(1000000000) / hertz, __ATOMIC_RELAXED);
    begin_on_all();
    scheduler_arm_timer();
}

/* One sample at most for an interrupt that came late: nobody knows whose the time was that the machine stood still. */
SANITIZER_AT_INTERRUPT void profile_interrupt_due(struct cpu *cpu, const struct machine_state *state)
{
    uint64_t now = platform_monotonic_nanoseconds();
    struct thread *thread = cpu->current;
    if (!current_period()) { /* it ended, while this CPU came out of idling */
        set_next(cpu, UINT64_MAX);
        return;
    }
    if (now < cpu->profile_next || cpu->idle) {
        return;
    }
    set_next(cpu, now + current_period());
    uint32_t *count = &no_process;
    bool has_frames = thread->activation && (thread->area.wasm_rsp || text_find(state->rip));
    if (has_frames && thread->profile_phase == PROFILE_KERNEL) {
        count = &thread->profile_samples;
    } else if (thread->process) {
        count = &thread->process->profile.phases[thread->profile_phase];
    }
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

void profile_idle_begin(struct cpu *cpu)
{
    if (cpu->profile_next != UINT64_MAX) {
        uint64_t now = platform_monotonic_nanoseconds();
        cpu->profile_rest = cpu->profile_next > now ? cpu->profile_next - now : 0;
    }
}

void profile_idle_end(struct cpu *cpu)
{
    if (cpu->profile_next != UINT64_MAX) {
        set_next(cpu, platform_monotonic_nanoseconds() + min_u64(cpu->profile_rest, current_period()));
    }
}

/* ---- The tree of stacks of a process ----
 * Nodes lie in an array and are found by (parent, function) through a hash with chains. */

#define NODES_INITIAL 64
#define NODES_MAXIMUM 16384
#define ROOT          0 /* the process */

struct node {
    const struct compiled_module
        *module; /* NULL: a host function; FRAMES_CUT is its number where frames are left out */
    uint32_t function;
    uint32_t parent;
    uint32_t next; /* with the same hash; 0: none */
    uint32_t samples;
};
#define FRAMES_CUT UINT32_MAX

struct profile_tree {
    uint32_t count, capacity; /* a power of two, which is the number of chains too */
    struct node *nodes;
    uint32_t *chains; /* first node, 0: none */
};

static size_t tree_bytes(uint32_t capacity)
{
    return sizeof(struct profile_tree) + capacity * (sizeof(struct node) + sizeof(uint32_t));
}

static uint32_t hash_of(const struct profile_tree *tree, const struct node *node)
{
    uint64_t hash = (uintptr_t)node->module ^ (uint64_t)node->function << 32 ^ node->parent;
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (tree->capacity - 1);
}

static uint32_t tree_append(struct profile_tree *tree, const struct node *node)
{
    uint32_t index = tree->count++;
    tree->nodes[index] = *node;
    if (index != ROOT) {
        uint32_t *chain = &tree->chains[hash_of(tree, node)];
        tree->nodes[index].next = *chain;
        *chain = index;
    }
    return index;
}

static struct profile_tree *tree_create(uint32_t capacity)
{
    struct profile_tree *tree = kernel_allocate_zeroed(tree_bytes(capacity));
    if (tree) {
        tree->capacity = capacity;
        tree->nodes = (struct node *)(tree + 1);
        tree->chains = (uint32_t *)(tree->nodes + capacity);
        tree_append(tree, &(struct node){0});
    }
    return tree;
}

static void tree_free(struct profile_tree *tree)
{
    if (tree) {
        kernel_free(tree, tree_bytes(tree->capacity));
    }
}

/* The same with room for one more node, or NULL, and then `tree` is as it was. */
static struct profile_tree *tree_grow(struct profile_tree *tree)
{
    struct profile_tree *larger = tree->capacity < NODES_MAXIMUM ? tree_create(2 * tree->capacity) : NULL;
    if (larger) {
        larger->nodes[ROOT] = tree->nodes[ROOT];
        for (uint32_t i = ROOT + 1; i < tree->count; i++) {
            tree_append(larger, &tree->nodes[i]);
        }
        tree_free(tree);
    }
    return larger;
}

/* The child of a node, made when there is none; ROOT: no room. */
static uint32_t tree_child(struct profile_tree **tree, uint32_t parent, const struct trap_frame *frame)
{
    const struct node wanted = {.module = frame->module, .function = frame->function, .parent = parent};
    for (uint32_t i = (*tree)->chains[hash_of(*tree, &wanted)]; i; i = (*tree)->nodes[i].next) {
        const struct node *node = &(*tree)->nodes[i];
        if (node->module == wanted.module && node->function == wanted.function && node->parent == parent) {
            return i;
        }
    }
    if ((*tree)->count == (*tree)->capacity) {
        struct profile_tree *larger = tree_grow(*tree);
        if (!larger) {
            return ROOT;
        }
        *tree = larger;
    }
    return tree_append(*tree, &wanted);
}

/* ---- Samples ---- */

struct stack {
    uint32_t count;
    struct trap_frame frames[PROFILE_DEPTH + 1]; /* innermost first; the last one says that there are more */
};

static bool keep_frame(void *context, const struct trap_frame *frame)
{
    struct stack *stack = context;
    bool room = stack->count < PROFILE_DEPTH;
    stack->frames[stack->count++] = room ? *frame : (struct trap_frame){NULL, FRAMES_CUT, 0};
    return room;
}

/* The node of the stack; ROOT: no room. */
static uint32_t tree_find(struct profile_tree **tree, const struct stack *stack)
{
    uint32_t node = ROOT;
    for (uint32_t i = stack->count; i > 0; i--) {
        node = tree_child(tree, node, &stack->frames[i - 1]);
        if (node == ROOT) {
            break;
        }
    }
    return node;
}

static void count_stack(struct profile *profile, const struct stack *stack, uint32_t samples)
{
    spinlock_acquire(&profile->lock);
    profile->tree = profile->tree ? profile->tree : tree_create(NODES_INITIAL);
    uint32_t node = profile->tree && stack ? tree_find(&profile->tree, stack) : ROOT;
    if (node != ROOT) {
        profile->tree->nodes[node].samples += samples;
    } else {
        profile->lost += samples;
    }
    spinlock_release(&profile->lock);
}

void profile_sample_due(struct thread *thread, enum guest_position position)
{
    uint32_t samples = __atomic_exchange_n(&thread->profile_samples, 0, __ATOMIC_RELAXED);
    if (!thread->activation) { /* its last host call ended before anybody looked */
        return;
    }
    struct stack *stack = kernel_allocate(sizeof(*stack)); /* too much for the kernel stack of a host function */
    if (stack) {
        stack->count = 0;
        backtrace_walk(thread, position, keep_frame, stack);
    }
    count_stack(&thread->activation->process->profile, stack, samples);
    kernel_free(stack, sizeof(*stack));
}

/* ---- Telling ----
 * A line is written from its end, for a node knows its parent; and when there is no room, what is left out are the
 * outermost functions. */

#define CUT_TEXT      "[...]"
#define NAMES         256 /* names that are kept; a power of two */
#define PROCESS_BYTES 64  /* of a process's name */
#define LINE_RESERVED (PROCESS_BYTES + sizeof(";" CUT_TEXT))

struct known_name {
    const struct compiled_module *module;
    uint32_t function;
    uint32_t length; /* 0: none */
    char text[BACKTRACE_NAME_BYTES];
};

struct report {
    char process[PROCESS_BYTES];
    size_t start; /* of the line in `line` */
    char line[PLATFORM_RECORD_BYTES];
    struct known_name names[NAMES];
};

/* A semicolon is what lies between two functions. */
static void replace_separators(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        text[i] = text[i] == ';' || (unsigned char)text[i] < ' ' ? ':' : text[i];
    }
}

static void line_prepend(struct report *report, const char *text, size_t length)
{
    report->start -= length;
    memcpy(report->line + report->start, text, length);
}

/* Finding a name takes a walk through the module's: so the last ones are kept. */
static const struct known_name *find_name(struct report *report, const struct node *node)
{
    uint64_t hash = ((uintptr_t)node->module ^ (uint64_t)node->function << 32) * UINT64_C(0x9e3779b97f4a7c15);
    struct known_name *known = &report->names[hash >> 40 & (NAMES - 1)];
    if (!known->length || known->module != node->module || known->function != node->function) {
        const struct trap_frame frame = {node->module, node->function, 0};
        known->module = node->module;
        known->function = node->function;
        known->length = (uint32_t)backtrace_function_name(&frame, known->text);
        replace_separators(known->text, known->length);
    }
    return known;
}

static void prepend_function(struct report *report, const struct node *node)
{
    char host_name[BACKTRACE_NAME_BYTES];
    if (node->module) {
        const struct known_name *name = find_name(report, node);
        line_prepend(report, name->text, name->length);
    } else if (node->function == FRAMES_CUT) {
        line_prepend(report, CUT_TEXT, strlen(CUT_TEXT));
    } else {
        const struct host_entry *entry = host_function_entry(node->function);
        size_t length = format_text(host_name, sizeof(host_name), "%s.%s", entry->module, entry->name);
        length = min_u64(length, sizeof(host_name) - 1);
        replace_separators(host_name, length);
        line_prepend(report, host_name, length);
    }
}

static void line_begin(struct report *report, uint32_t samples)
{
    char number[16];
    report->start = sizeof(report->line);
    line_prepend(report, number, format_text(number, sizeof(number), " %u\n", samples));
}

static void line_end(struct report *report)
{
    line_prepend(report, report->process, strlen(report->process));
    platform_record(RECORD_PROFILE, report->line + report->start, sizeof(report->line) - report->start);
}

static void tell_stack(struct report *report, const struct profile_tree *tree, const struct node *node)
{
    line_begin(report, node->samples);
    for (; node != &tree->nodes[ROOT]; node = &tree->nodes[node->parent]) {
        if (report->start < LINE_RESERVED + BACKTRACE_NAME_BYTES) {
            line_prepend(report, ";" CUT_TEXT, strlen(";" CUT_TEXT));
            break;
        }
        prepend_function(report, node);
        line_prepend(report, ";", 1);
    }
    line_end(report);
}

static void tell_other(struct report *report, const char *what, uint32_t samples)
{
    if (samples) {
        line_begin(report, samples);
        line_prepend(report, what, strlen(what));
        line_end(report);
    }
}

/* The end of the path that a process is called by. */
static void report_begin(struct report *report, const char *name)
{
    for (const char *at = name; *at; at++) {
        name = at[0] == '/' && at[1] ? at + 1 : name;
    }
    format_text(report->process, sizeof(report->process), "%s", name);
    replace_separators(report->process, strlen(report->process));
}

void profile_process_begin(struct process *process)
{
    spinlock_initialize(&process->profile.lock, LOCK_LEAF);
}

static void tell_process(struct report *report, const struct process *process, const struct profile_tree *tree,
                         uint32_t lost)
{
    report_begin(report, process->name);
    for (uint32_t i = ROOT + 1; tree && i < tree->count; i++) {
        if (tree->nodes[i].samples) {
            tell_stack(report, tree, &tree->nodes[i]);
        }
    }
    tell_other(report, ";[kernel]", process->profile.phases[PROFILE_KERNEL]);
    tell_other(report, ";[compile]", process->profile.phases[PROFILE_COMPILE]);
    tell_other(report, ";[lost]", lost);
}

void profile_process_end(struct process *process)
{
    struct profile *profile = &process->profile;
    spinlock_acquire(&profile->lock);
    struct profile_tree *tree = profile->tree;
    uint32_t lost = profile->lost;
    profile->tree = NULL;
    spinlock_release(&profile->lock);
    if (tree || lost || profile->phases[PROFILE_KERNEL] || profile->phases[PROFILE_COMPILE]) {
        struct report *report = kernel_allocate_zeroed(sizeof(*report));
        if (report) {
            tell_process(report, process, tree, lost);
            kernel_free(report, sizeof(*report));
        }
    }
    tree_free(tree);
}

void profile_stop(void)
{
    struct report *report = kernel_allocate_zeroed(sizeof(*report));
    __atomic_store_n(&period, 0, __ATOMIC_RELAXED);
    begin_on_all();
    if (report) {
        report_begin(report, "kernel");
        tell_other(report, ";[kernel]", no_process);
        kernel_free(report, sizeof(*report));
    }
}
