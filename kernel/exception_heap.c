/* Exceptions that guests refer to, and which of them nobody refers to any more.
 *
 * The entries are cells of one reservation that never moves. A few values fit in a cell; more are a block of the kernel
 * heap, of which a process gets only so much. Collection is mark and sweep, when the number of entries has doubled. What
 * looks like a reference is one: numbers start far away from what programs count with. */
#include "kernel/exception_heap.h"

#include "engine/base.h"
#include "engine/x64/enter.h"
#include "kernel/cpu.h"
#include "kernel/exceptions.h"
#include "kernel/heap.h"
#include "kernel/objects.h"
#include "kernel/signature.h"

#define FIRST_REFERENCE     UINT32_C(0xe7510001)
#define CELLS_MAXIMUM       (UINT32_C(1) << 20)
#define CELLS_COMMIT        UINT32_C(1024) /* cells that are committed at a time */
#define COLLECTION_MINIMUM  UINT32_C(4096) /* entries below which nothing is collected */
#define BLOCK_BYTES_MAXIMUM (UINT64_C(8) << 20)
#define CELL_VALUES         3
#define NO_CELL             UINT32_MAX
#define WORDS_PER_CHECKPOINT 65536

struct cell {
    const struct tag_object *tag; /* NULL: free */
    uint32_t next;                /* in the free list, or in the list of those whose values are to be looked at */
    uint16_t value_count;
    bool marked;
    union {
        uint64_t values[CELL_VALUES][2];
        uint64_t (*block)[2]; /* when there are more */
    };
};
_Static_assert(sizeof(struct cell) == 64, "a cache line");

#define HEAP_BYTES (CELLS_MAXIMUM * sizeof(struct cell))

struct exception_heap {
    struct cell *cells;  /* reservation */
    uint32_t committed;  /* cells that are usable memory */
    uint32_t used;       /* cells that have ever been in use */
    uint32_t free;       /* first of the free list */
    uint32_t live;       /* entries */
    uint32_t collect_at; /* entries */
    uint64_t block_bytes;
    uint32_t pending; /* while marking: cells whose values are to be looked at */
    uint32_t words;   /* looked at, for checkpoints */
    bool may_pause;
};

static uint32_t value_count(const struct tag_object *tag)
{
    return signature_type(tag->signature)->parameter_count;
}

static size_t block_bytes(uint32_t count)
{
    return (size_t)count * ABI_PAYLOAD_VALUE_BYTES;
}

static uint64_t (*cell_values(struct cell *cell))[2]
{
    return cell->value_count > CELL_VALUES ? cell->block : cell->values;
}

/* ---- Marking ---- */

/* The collection can be given up at any checkpoint, with its guest: it changes nothing but marks before it sweeps. Where
 * the process has further threads, none of them may run meanwhile. */
static void count_word(struct exception_heap *heap)
{
    if (++heap->words % WORDS_PER_CHECKPOINT == 0 && heap->may_pause) {
        thread_checkpoint();
    }
}

static void mark(struct exception_heap *heap, uint32_t word)
{
    uint32_t index = word - FIRST_REFERENCE;
    count_word(heap);
    if (index >= heap->used || !heap->cells[index].tag || heap->cells[index].marked) {
        return;
    }
    heap->cells[index].marked = true;
    heap->cells[index].next = heap->pending;
    heap->pending = index;
}

/* References are the low halves of words on stacks. Reads whole stacks, the gaps of the checking build included. */
__attribute__((no_sanitize("address"))) static void mark_words(struct exception_heap *heap, uint64_t from, uint64_t to)
{
    for (const uint64_t *word = (const uint64_t *)from; word < (const uint64_t *)to; word++) {
        mark(heap, (uint32_t)*word);
    }
}

static void mark_values(struct exception_heap *heap, const uint64_t (*values)[2], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mark(heap, (uint32_t)values[i][0]);
    }
}

/* The wasm stack, of the kernel stack what lies below the outermost entry, where the registers of frames are that called
 * host functions, and the registers of code that was interrupted. Such code may have its frame below rsp. */
static void mark_thread(void *context, const struct thread *thread)
{
    struct exception_heap *heap = context;
    bool running = thread == thread_current();
    if (!thread->area.kernel_rsp) { /* not in wasm */
        return;
    }
    uint64_t outermost = thread->area.kernel_rsp;
    for (;;) {
        const struct enter_record *record = (const struct enter_record *)outermost;
        if (!record->kernel_rsp) {
            break;
        }
        outermost = record->kernel_rsp;
    }
    uint64_t lowest = thread->area.wasm_rsp ? thread->area.wasm_rsp : thread->area.stack_base; /* 0: no host call yet */
    if (!running) { /* it was interrupted, or waits in a host function */
        uint64_t interrupted = thread->interrupted.registers[RSP] - PLATFORM_PAGE_BYTES;
        lowest = interrupted >= thread->area.stack_limit ? min_u64(lowest, interrupted) : thread->area.stack_limit;
        for (unsigned i = 0; i < ARRAY_COUNT(thread->interrupted.registers); i++) {
            mark(heap, (uint32_t)thread->interrupted.registers[i]);
        }
    }
    mark_words(heap, lowest, thread->area.stack_base);
    mark_words(heap, running ? (uintptr_t)__builtin_frame_address(0) : thread->saved_rsp, outermost);
}

static bool holds_exceptions(value_type type)
{
    return value_type_is_reference(type) && value_type_heap(type) == HEAP_EXN;
}

static void mark_parts(struct exception_heap *heap, const struct process *process)
{
    for (const struct instance *instance = process->instances; instance; instance = instance->next) {
        for (uint32_t i = 0; instance->header && i < instance->types->global_count; i++) {
            const struct global_object *global = instance->globals[i];
            if (global && holds_exceptions(global->type.value)) {
                mark(heap, (uint32_t)*global->cell);
            }
        }
    }
    for (const struct table_object *table = process->tables; table; table = table->next) {
        for (uint64_t i = 0; holds_exceptions(table->type.element) && i < table->slot->length; i++) {
            mark(heap, table_entries(table)[i]);
        }
    }
}

/* `values` are of an exception that has no entry yet. */
static void mark_all(struct exception_heap *heap, const struct process *process, const uint64_t (*values)[2],
                     uint32_t count)
{
    heap->may_pause = !process->threads;
    for (uint32_t i = 0; i < heap->used; i++) {
        heap->cells[i].marked = false;
        count_word(heap);
    }
    heap->pending = NO_CELL;
    mark_values(heap, values, count);
    process_visit_threads(process, mark_thread, heap);
    mark_parts(heap, process);
    while (heap->pending != NO_CELL) {
        struct cell *cell = &heap->cells[heap->pending];
        heap->pending = cell->next;
        mark_values(heap, (const uint64_t(*)[2])cell_values(cell), cell->value_count);
    }
}

/* ---- Freeing ---- */

static void cell_free(struct exception_heap *heap, uint32_t index)
{
    struct cell *cell = &heap->cells[index];
    if (cell->value_count > CELL_VALUES) {
        kernel_free(cell->block, block_bytes(cell->value_count));
        heap->block_bytes -= block_bytes(cell->value_count);
    }
    cell->tag = NULL;
    cell->next = heap->free;
    heap->free = index;
    heap->live--;
}

static void sweep(struct exception_heap *heap)
{
    for (uint32_t i = heap->used; i-- > 0;) {
        if (heap->cells[i].tag && !heap->cells[i].marked) {
            cell_free(heap, i);
        }
    }
    heap->collect_at = (uint32_t)max_u64(COLLECTION_MINIMUM, heap->live * UINT64_C(2));
}

/* ---- Adding ---- */

static struct exception_heap *heap_of(struct process *process)
{
    struct exception_heap *heap = process->exceptions;
    if (heap) {
        return heap;
    }
    heap = arena_allocate(&process->arena, sizeof(*heap));
    if (!heap) {
        return NULL;
    }
    heap->cells = platform_reserve_for_guest(HEAP_BYTES);
    heap->free = NO_CELL;
    heap->collect_at = COLLECTION_MINIMUM;
    process->exceptions = heap->cells ? heap : NULL;
    return process->exceptions;
}

/* A cell that is not in use, or NO_CELL. */
static uint32_t take_cell(struct exception_heap *heap, struct process *process)
{
    if (heap->free != NO_CELL) {
        uint32_t index = heap->free;
        heap->free = heap->cells[index].next;
        return index;
    }
    if (heap->used == heap->committed) {
        size_t bytes = CELLS_COMMIT * sizeof(struct cell);
        if (heap->committed == CELLS_MAXIMUM || !process_charge_memory(process, bytes)) {
            return NO_CELL;
        }
        if (platform_commit(&heap->cells[heap->committed], bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
            return NO_CELL;
        }
        heap->committed += CELLS_COMMIT;
    }
    return heap->used++;
}

static bool is_full(const struct exception_heap *heap, uint32_t count)
{
    bool no_block = count > CELL_VALUES && heap->block_bytes + block_bytes(count) > BLOCK_BYTES_MAXIMUM;
    return heap->live >= heap->collect_at || no_block || (heap->free == NO_CELL && heap->used == CELLS_MAXIMUM);
}

uint32_t exception_heap_add(struct process *process, const struct tag_object *tag, const uint64_t (*values)[2])
{
    struct exception_heap *heap = heap_of(process);
    uint32_t count = value_count(tag);
    if (!heap) {
        return 0;
    }
    if (is_full(heap, count)) {
        mark_all(heap, process, values, count);
        sweep(heap);
    }
    if (count > CELL_VALUES && heap->block_bytes + block_bytes(count) > BLOCK_BYTES_MAXIMUM) {
        return 0;
    }
    uint64_t(*block)[2] = count > CELL_VALUES ? kernel_allocate(block_bytes(count)) : NULL;
    uint32_t index = count > CELL_VALUES && !block ? NO_CELL : take_cell(heap, process);
    if (index == NO_CELL) {
        kernel_free(block, block_bytes(count));
        return 0;
    }
    struct cell *cell = &heap->cells[index];
    cell->tag = tag;
    cell->value_count = (uint16_t)count;
    if (block) {
        cell->block = block;
        heap->block_bytes += block_bytes(count);
    }
    memcpy(cell_values(cell), values, block_bytes(count));
    heap->live++;
    return FIRST_REFERENCE + index;
}

const uint64_t (*exception_heap_values(const struct process *process, uint32_t reference,
                                       const struct tag_object **tag))[2]
{
    struct cell *cell = &process->exceptions->cells[reference - FIRST_REFERENCE];
    *tag = cell->tag;
    return (const uint64_t(*)[2])cell_values(cell);
}

void exceptions_destroy(struct process *process)
{
    struct exception_heap *heap = process->exceptions;
    if (!heap) {
        return;
    }
    for (uint32_t i = 0; i < heap->used; i++) {
        if (heap->cells[i].tag) {
            cell_free(heap, i);
        }
    }
    platform_release(heap->cells, HEAP_BYTES);
}
