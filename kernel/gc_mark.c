/* Marking: from the roots through all objects, with an explicit stack. When that is full, a marked object may be left
 * untraced: then the heap is walked for marked objects with unmarked ones below them, as often as it takes. */
#include "engine/base.h"
#include "engine/x64/enter.h"
#include "kernel/cpu.h"
#include "kernel/exceptions.h"
#include "kernel/gc_heap.h"
#include "kernel/stack.h"
#include "kernel/type_registry.h"

/* Compiled code that calls nothing has its frame below rsp, up to so far (engine/baseline/frame.c). */
#define BELOW_STACK_POINTER 4096

/* Scanning stacks word by word goes through what the address sanitizer marks around locals. */
#define UNCHECKED __attribute__((no_sanitize("address")))

/* Between two preemption points. */
#define PIECE_OBJECTS 64
#define PIECE_WORDS   4096

/* ---- Objects ---- */

static void push(struct gc_heap *heap, uint32_t reference)
{
    if (heap->stack_count == heap->stack_capacity && (heap->stack_overflowed || !gc_mark_stack_grow(heap))) {
        heap->stack_overflowed = true;
        return;
    }
    heap->stack[heap->stack_count++] = reference;
}

static bool holds_references(uint32_t type)
{
    return type >= GC_RECORD_TYPES || type_of_number(type)->holds_references;
}

/* A reference, or null, or something that is no object. */
static inline void mark(struct gc_heap *heap, uint32_t reference)
{
    if (reference == 0 || reference & 7) {
        return;
    }
    uint64_t *word = &heap->marks[reference >> 9], bit = UINT64_C(1) << (reference >> 3 & 63);
    if (*word & bit) {
        return;
    }
    *word |= bit;
    if (holds_references(*(const uint32_t *)gc_object(heap->base, reference))) {
        push(heap, reference);
    }
}

static void mark_words(struct gc_heap *heap, const uint32_t *words, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        mark(heap, words[i]);
        if (i % PIECE_WORDS == PIECE_WORDS - 1) {
            gc_preemption_point();
        }
    }
}

static void trace(struct gc_heap *heap, uint32_t reference)
{
    const uint8_t *object = gc_object(heap->base, reference);
    uint32_t header[2];
    memcpy(header, object, sizeof(header));
    if (header[0] >= GC_RECORD_TYPES) {
        mark_words(heap, (const uint32_t *)(object + OBJECT_HEADER_BYTES), header[1]);
        return;
    }
    const struct runtime_type *type = type_of_number(header[0]);
    if (type->kind == DEFINED_ARRAY) {
        mark_words(heap, (const uint32_t *)(object + OBJECT_HEADER_BYTES), header[1]);
        return;
    }
    for (uint32_t i = 0; i < type->reference_count; i++) {
        mark(heap, *(const uint32_t *)(object + type->references[i]));
    }
}

static void trace_all(struct gc_heap *heap)
{
    for (uint32_t traced = 1; heap->stack_count; traced++) {
        trace(heap, heap->stack[--heap->stack_count]);
        if (traced % PIECE_OBJECTS == 0) {
            gc_preemption_point();
        }
    }
}

/* ---- After an overflow ---- */

static void retrace(struct gc_heap *heap, uint32_t reference)
{
    if (gc_is_marked(heap, reference) && holds_references(*(const uint32_t *)gc_object(heap->base, reference))) {
        trace(heap, reference);
        trace_all(heap);
    }
}

static void walk_heap(struct gc_heap *heap)
{
    for (uint32_t block = GC_FIRST_BLOCK; block < heap->frontier; block++) {
        const struct gc_block *entry = &heap->blocks[block];
        uint32_t reference = block * GC_BLOCK_BYTES;
        if (entry->state == GC_BLOCK_LARGE) {
            retrace(heap, reference);
        } else if (entry->state == GC_BLOCK_CELLS) {
            const struct gc_class *class = &heap->classes[entry->class];
            for (uint32_t i = 0; i < class->cells; i++, reference += class->bytes) {
                retrace(heap, reference);
            }
        }
        gc_preemption_point();
    }
}

/* ---- Roots ---- */

/* Whether an object starts there. */
static bool is_object(const struct gc_heap *heap, uint32_t word)
{
    uint32_t block = word / GC_BLOCK_BYTES, offset = word % GC_BLOCK_BYTES;
    if (word & 7 || block < GC_FIRST_BLOCK || block >= heap->frontier) {
        return false;
    }
    const struct gc_block *entry = &heap->blocks[block];
    if (entry->state == GC_BLOCK_LARGE) {
        return offset == 0 && *(const uint32_t *)gc_object(heap->base, word) != 0;
    }
    if (entry->state != GC_BLOCK_CELLS) {
        return false;
    }
    const struct gc_class *class = &heap->classes[entry->class];
    uint32_t cell = (uint32_t)((uint64_t)offset * class->reciprocal >> 32);
    return cell * class->bytes == offset && cell < class->cells && *(const uint32_t *)gc_object(heap->base, word) != 0;
}

static void mark_word(struct gc_heap *heap, uint32_t word)
{
    if (is_object(heap, word)) {
        mark(heap, word);
    }
}

/* Both halves of each word: C code puts references where it likes. */
UNCHECKED static void mark_range(struct gc_heap *heap, uint64_t from, uint64_t to)
{
    for (const volatile uint64_t *at = (const uint64_t *)align_up(from, 8); (uint64_t)(at + 1) <= to; at++) {
        uint64_t word = *at;
        mark_word(heap, (uint32_t)word);
        mark_word(heap, (uint32_t)(word >> 32));
        if ((uintptr_t)at / sizeof(word) % PIECE_WORDS == 0) {
            gc_preemption_point();
        }
    }
}

/* The kernel stack from `rsp` to what the outermost wasm_enter saved there. Inner calls may be on a large stack. */
static void mark_kernel_stack(struct gc_heap *heap, const struct thread *thread, uint64_t rsp)
{
    uint64_t record = thread->area.kernel_rsp;
    while (record && ((const struct enter_record *)record)->kernel_rsp) {
        record = ((const struct enter_record *)record)->kernel_rsp;
    }
    if (thread->large_stack && rsp - (uintptr_t)thread->large_stack < KERNEL_LARGE_STACK_BYTES) {
        mark_range(heap, rsp, (uintptr_t)thread->large_stack + KERNEL_LARGE_STACK_BYTES);
        rsp = thread->small_stack_rsp;
    }
    if (record) {
        mark_range(heap, rsp, record + sizeof(struct enter_record));
    }
}

/* The values of an exception that is being thrown, and of a constant expression. */
static void mark_values(struct gc_heap *heap, const struct thread *thread)
{
    if (thread->scratch) {
        mark_range(heap, (uintptr_t)thread->scratch, (uintptr_t)thread->scratch + thread->scratch_bytes);
    }
    if (thread->area.payload) {
        mark_range(heap, thread->area.payload, thread->area.payload + PAYLOAD_BYTES);
    }
}

/* A thread that does not run: it was interrupted in wasm code, or it waits in a host call. */
static void mark_thread(struct gc_heap *heap, const struct thread *thread)
{
    uint64_t lowest = thread->area.wasm_rsp ? thread->area.wasm_rsp : thread->area.stack_base;
    uint64_t interrupted = thread->interrupted.registers[RSP];
    if (interrupted - thread->area.stack_limit <= thread->area.stack_base - thread->area.stack_limit) {
        lowest = max_u64(min_u64(lowest, interrupted - BELOW_STACK_POINTER), thread->area.stack_limit);
    }
    mark_range(heap, lowest, thread->area.stack_base);
    mark_range(heap, (uintptr_t)thread->interrupted.registers, (uintptr_t)(thread->interrupted.registers + 16));
    mark_values(heap, thread);
    mark_kernel_stack(heap, thread, thread->saved_rsp);
}

/* All that have an activation of this process: a program that starts another one waits for a thread of that one. The
 * list does not change meanwhile: threads of a process with a heap are all of one CPU. */
static void mark_other_threads(struct gc_heap *heap)
{
    for (const struct thread *thread = heap->process->running; thread; thread = thread->process_next) {
        if (thread != thread_current() && thread->activation) {
            mark_thread(heap, thread);
        }
    }
}

/* The running thread is in a builtin that allocates: its callee-saved registers are here or on the kernel stack. */
__attribute__((noinline)) static void mark_running_thread(struct gc_heap *heap)
{
    const struct thread *thread = thread_current();
    uint64_t saved[6], stack_pointer;
    __asm__ volatile("movq %%rbx, 0(%1)\n movq %%rbp, 8(%1)\n movq %%r12, 16(%1)\n movq %%r13, 24(%1)\n"
                     "movq %%r14, 32(%1)\n movq %%r15, 40(%1)\n"
                     "movq %%rsp, %0\n"
                     : "=&r"(stack_pointer)
                     : "r"(saved)
                     : "memory");
    mark_range(heap, (uintptr_t)saved, (uintptr_t)(saved + ARRAY_COUNT(saved)));
    mark_values(heap, thread);
    if (thread->area.wasm_rsp) {
        mark_range(heap, thread->area.wasm_rsp, thread->area.stack_base);
    }
    mark_kernel_stack(heap, thread, stack_pointer);
}

static void mark_instances(struct gc_heap *heap)
{
    for (const struct instance *instance = heap->process->instances; instance; instance = instance->next) {
        for (uint32_t i = 0; i < instance->types->element_segment_count; i++) {
            if (instance->elements[i] && !instance->dropped_elements[i]) {
                mark_words(heap, instance->elements[i], instance->types->element_segments[i].count);
            }
        }
    }
}

static void mark_objects_of_process(struct gc_heap *heap)
{
    for (const struct global_object *global = heap->process->globals; global; global = global->next) {
        mark(heap, (uint32_t)*global->cell);
    }
    for (const struct table_object *table = heap->process->tables; table; table = table->next) {
        if (type_may_refer_to_objects(table->type.element)) {
            mark_words(heap, table_entries(table), table->slot->length);
        }
    }
    mark_instances(heap);
}

void gc_mark(struct gc_heap *heap)
{
    heap->stack_count = 0;
    heap->stack_overflowed = false;
    mark_objects_of_process(heap);
    mark_running_thread(heap);
    mark_other_threads(heap);
    trace_all(heap);
    while (heap->stack_overflowed) {
        heap->stack_overflowed = false;
        walk_heap(heap);
    }
}
