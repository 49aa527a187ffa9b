/* Allocation and sweeping. */
#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/gc_heap.h"
#include "kernel/heap.h"
#include "kernel/pieces.h"
#include "kernel/platform.h"
#include "kernel/process_lock.h"
#include "kernel/type_registry.h"

#define MARKS_BYTES       (GC_BLOCKS * GC_MARK_WORDS * sizeof(uint64_t))
#define BLOCK_TABLE_BYTES align_up(GC_BLOCKS * sizeof(struct gc_block), PLATFORM_PAGE_BYTES)
#define STACK_BYTES       (UINT64_C(64) << 20)
#define SIDE_BYTES        (MARKS_BYTES + BLOCK_TABLE_BYTES + STACK_BYTES)
/* Side arrays are committed for so many blocks at a time: whole pages of each. */
#define SIDE_STEP       1024
#define SIDE_STEP_MARKS (SIDE_STEP * GC_MARK_WORDS * sizeof(uint64_t))
#define SIDE_STEP_TABLE (SIDE_STEP * sizeof(struct gc_block))
_Static_assert(SIDE_STEP_TABLE % PLATFORM_PAGE_BYTES == 0 && SIDE_STEP_MARKS % PLATFORM_PAGE_BYTES == 0, "whole pages");

#define STACK_FIRST_BYTES      UINT64_C(65536)
#define BUDGET_MINIMUM         (UINT64_C(4) << 20)
#define CLEARED_BLOCKS_MAXIMUM 1024 /* of one object */
#define PIECE_BLOCKS           64   /* between two preemption points */

static const uint16_t class_bytes[GC_CLASSES] = {
    16,   24,   32,   40,   48,   56,   64,   80,   96,    112,   128,   160,   192,
    224,  256,  320,  384,  448,  512,  640,  768,  896,   1024,  1280,  1536,  1792,
    2048, 2560, 3072, 3584, 4096, 5120, 6144, 8192, 10920, 13104, 16384, 21840, 32768,
};

/* ---- Life ---- */

static void prepare_classes(struct gc_heap *heap)
{
    uint32_t class = 0;
    for (uint32_t i = 0; i < GC_CLASSES; i++) {
        heap->classes[i].bytes = class_bytes[i];
        heap->classes[i].cells = GC_BLOCK_BYTES / class_bytes[i];
        heap->classes[i].reciprocal = (uint32_t)((UINT64_C(1) << 32) / class_bytes[i]) + 1;
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(heap->class_of); i++) {
        class += i * 8 > class_bytes[class];
        heap->class_of[i] = (uint8_t)class;
    }
}

static bool commit_side(struct gc_heap *heap, uint32_t blocks)
{
    while (heap->side_blocks < blocks) {
        uint32_t at = heap->side_blocks;
        if (platform_commit(heap->marks + (size_t)at * GC_MARK_WORDS, SIDE_STEP_MARKS, PROTECTION_READ_WRITE) !=
                STATUS_OK ||
            platform_commit(heap->blocks + at, SIDE_STEP_TABLE, PROTECTION_READ_WRITE) != STATUS_OK) {
            return false;
        }
        heap->side_blocks += SIDE_STEP;
    }
    return true;
}

static void heap_release(struct gc_heap *heap)
{
    if (heap->base) {
        empty_before_release((void *)(uintptr_t)heap->base, (uint64_t)heap->frontier * GC_BLOCK_BYTES);
        platform_release((void *)(uintptr_t)heap->base, HEAP_BYTES);
    }
    if (heap->side) {
        platform_release(heap->side, SIDE_BYTES);
    }
    kernel_free(heap, sizeof(*heap));
}

static struct gc_heap *heap_create(struct process *process)
{
    struct gc_heap *heap = kernel_allocate_zeroed(sizeof(*heap));
    if (!heap) {
        return NULL;
    }
    heap->process = process;
    heap->base = (uintptr_t)platform_reserve_for_guest(HEAP_BYTES);
    heap->side = platform_reserve(SIDE_BYTES);
    if (!heap->base || !heap->side) {
        heap_release(heap);
        return NULL;
    }
    heap->marks = (void *)heap->side;
    heap->blocks = (void *)(heap->side + MARKS_BYTES);
    heap->stack = (void *)(heap->side + MARKS_BYTES + BLOCK_TABLE_BYTES);
    heap->frontier = heap->search = GC_FIRST_BLOCK;
    heap->budget = BUDGET_MINIMUM;
    prepare_classes(heap);
    return heap;
}

enum status gc_heap_require(struct process *process)
{
    if (!process->heap) {
        if (thread_current()->shares == process) {
            process_keep_together(process);
        }
        process->heap = heap_create(process);
        if (!process->heap) {
            return STATUS_NO_MEMORY;
        }
        if (!commit_side(process->heap, GC_FIRST_BLOCK + 1) ||
            platform_commit(process->heap->stack, STACK_FIRST_BYTES, PROTECTION_READ_WRITE) != STATUS_OK) {
            gc_heap_destroy(process);
            return STATUS_NO_MEMORY;
        }
        process->heap->stack_capacity = STACK_FIRST_BYTES / sizeof(uint32_t);
    }
    for (struct instance *instance = process->instances; instance; instance = instance->next) {
        if (instance->header) {
            instance->header->heap = process->heap->base;
        }
    }
    return STATUS_OK;
}

void gc_heap_destroy(struct process *process)
{
    if (process->heap) {
        heap_release(process->heap);
        process->heap = NULL;
    }
}

uint64_t gc_heap_base(const struct process *process)
{
    return process->heap->base;
}

bool gc_heap_contains(const struct process *process, uint64_t address)
{
    return process->heap && address - process->heap->base < HEAP_BYTES;
}

void gc_hold(struct process *process)
{
    process->heap_holds++;
}

void gc_release_hold(struct process *process)
{
    process->heap_holds--;
}

void gc_statistics(const struct process *process, struct gc_statistics *statistics)
{
    const struct gc_heap *heap = process->heap;
    *statistics = (struct gc_statistics){0};
    if (heap) {
        *statistics = (struct gc_statistics){heap->collections, heap->live, (uint64_t)heap->committed * GC_BLOCK_BYTES};
    }
}

/* Not charged: it goes when the collection ends. */
bool gc_mark_stack_grow(struct gc_heap *heap)
{
    uint64_t bytes = heap->stack_capacity * sizeof(uint32_t);
    if (bytes == STACK_BYTES ||
        platform_commit((uint8_t *)heap->stack + bytes, bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        return false;
    }
    heap->stack_capacity *= 2;
    return true;
}

static void mark_stack_shrink(struct gc_heap *heap)
{
    uint64_t more = heap->stack_capacity * sizeof(uint32_t) - STACK_FIRST_BYTES;
    if (more) {
        platform_decommit((uint8_t *)heap->stack + STACK_FIRST_BYTES, more);
        heap->stack_capacity = STACK_FIRST_BYTES / sizeof(uint32_t);
    }
}

/* ---- Blocks ---- */

static uint8_t *block_address(const struct gc_heap *heap, uint32_t block)
{
    return (uint8_t *)(uintptr_t)heap->base + (uint64_t)block * GC_BLOCK_BYTES;
}

static bool block_is_available(const struct gc_heap *heap, uint32_t block)
{
    return block >= heap->frontier || heap->blocks[block].state <= GC_BLOCK_FREE;
}

/* Where `count` blocks in a row are available, the lowest place; 0 when there is none. */
static uint32_t find_blocks(struct gc_heap *heap, uint32_t count)
{
    while (heap->search < heap->frontier && !block_is_available(heap, heap->search)) {
        heap->search++;
    }
    uint32_t found = 0;
    for (uint32_t block = heap->search; block < GC_BLOCKS; block++) {
        found = block_is_available(heap, block) ? found + 1 : 0;
        if (found == count) {
            return block + 1 - count;
        }
        if (block >= heap->frontier && block - found + 1 + count <= GC_BLOCKS) {
            return block - found + 1; /* all behind is available */
        }
    }
    return 0;
}

/* The frames of free blocks in a row go back. */
static void discard_blocks(struct gc_heap *heap, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        heap->blocks[i].state = GC_BLOCK_UNUSED;
    }
    uint64_t bytes = (uint64_t)count * GC_BLOCK_BYTES;
    if (thread_current()->shares) { /* other threads could take them meanwhile */
        platform_decommit(block_address(heap, first), bytes);
    } else {
        decommit_in_pieces(block_address(heap, first), bytes);
    }
    heap->free_blocks -= count;
    heap->committed -= count;
    process_credit_memory(heap->process, (uint64_t)count * GC_BLOCK_BYTES);
}

/* Frames of free blocks in [first, end) go back, the highest first, as long as the heap has more than `keep` of them.
 */
static void trim_blocks(struct gc_heap *heap, uint32_t first, uint32_t end, uint64_t keep)
{
    while (end > first && heap->free_blocks > keep) {
        uint32_t above = end;
        while (end > first && heap->blocks[end - 1].state == GC_BLOCK_FREE &&
               heap->free_blocks - (above - end) > keep) {
            end--;
        }
        if (end < above) {
            discard_blocks(heap, end, above - end);
        } else {
            end--;
        }
    }
}

/* The number of blocks from `first` on that have no frames and so are to be committed together, at most `count`. */
static uint32_t unused_blocks(const struct gc_heap *heap, uint32_t first, uint32_t count)
{
    uint32_t found = 0;
    while (found < count && (first + found >= heap->frontier || heap->blocks[first + found].state == GC_BLOCK_UNUSED)) {
        found++;
    }
    return found;
}

/* Make blocks usable and zero; false without room: then blocks may have become free ones, or have lost their frames. */
static bool take_blocks(struct gc_heap *heap, uint32_t first, uint32_t count)
{
    uint32_t missing = 0, done = 0;
    if (count > CLEARED_BLOCKS_MAXIMUM) { /* new frames instead, so that the bytes take no time here */
        trim_blocks(heap, first, (uint32_t)min_u64(first + count, heap->frontier), 0);
    }
    for (uint32_t i = first; i < first + count; i++) {
        missing += i >= heap->frontier || heap->blocks[i].state == GC_BLOCK_UNUSED;
    }
    if (!commit_side(heap, first + count) ||
        !process_charge_memory(heap->process, (uint64_t)missing * GC_BLOCK_BYTES)) {
        return false;
    }
    while (done < count) {
        uint32_t block = first + done, unused = unused_blocks(heap, block, count - done);
        if (!unused) {
            memset(block_address(heap, block), 0, GC_BLOCK_BYTES);
            heap->free_blocks--;
            done++;
            gc_preemption_point();
            continue;
        }
        if (platform_commit(block_address(heap, block), (uint64_t)unused * GC_BLOCK_BYTES, PROTECTION_READ_WRITE) !=
            STATUS_OK) {
            break;
        }
        heap->committed += unused;
        missing -= unused;
        done += unused;
    }
    process_credit_memory(heap->process, (uint64_t)missing * GC_BLOCK_BYTES);
    heap->frontier = (uint32_t)max_u64(heap->frontier, first + done);
    if (done == count) {
        return true;
    }
    for (uint32_t i = 0; i < done; i++) {
        heap->blocks[first + i] = (struct gc_block){.state = GC_BLOCK_FREE};
        heap->free_blocks++;
    }
    return false;
}

static void clear_marks(struct gc_heap *heap, uint32_t block, uint32_t count)
{
    memset(heap->marks + (size_t)block * GC_MARK_WORDS, 0, (size_t)count * GC_MARK_WORDS * sizeof(uint64_t));
}

static void free_blocks(struct gc_heap *heap, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        heap->blocks[first + i] = (struct gc_block){.state = GC_BLOCK_FREE};
    }
    heap->free_blocks += count;
    heap->search = (uint32_t)min_u64(heap->search, first);
}

/* ---- Collection ---- */

/* Zero the headers of the dead cells from `position` on, which nobody will sweep any more. */
static void finish_block(struct gc_heap *heap, const struct gc_class *class, uint32_t block, uint32_t position)
{
    uint32_t reference = block * GC_BLOCK_BYTES + position * class->bytes;
    for (; position < class->cells; position++, reference += class->bytes) {
        if (!gc_is_marked(heap, reference)) {
            *(uint64_t *)gc_object(heap->base, reference) = 0;
        }
    }
}

/* The collector has no way to stop the others: they would run. */
void gc_preemption_point(void)
{
    if (!thread_current()->shares) {
        thread_preemption_point();
    }
}

void gc_before_marking(struct gc_heap *heap)
{
    for (uint32_t i = 0; i < GC_CLASSES; i++) {
        struct gc_class *class = &heap->classes[i];
        if (class->block) {
            finish_block(heap, class, class->block, class->position);
        }
        for (uint32_t block = class->pending; block; block = heap->blocks[block].next) {
            finish_block(heap, class, block, 0);
            gc_preemption_point();
        }
        class->block = class->pending = class->first = 0;
        class->cursor = class->limit = 0;
    }
    for (uint32_t block = GC_FIRST_BLOCK; block < heap->frontier; block += PIECE_BLOCKS) {
        clear_marks(heap, block, (uint32_t)min_u64(heap->frontier - block, PIECE_BLOCKS));
        gc_preemption_point();
    }
}

static uint32_t marks_of_block(const struct gc_heap *heap, uint32_t block)
{
    const uint64_t *marks = heap->marks + (size_t)block * GC_MARK_WORDS;
    uint32_t count = 0;
    for (uint32_t i = 0; i < GC_MARK_WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(marks[i]);
    }
    return count;
}

void gc_after_marking(struct gc_heap *heap)
{
    heap->live = 0;
    for (uint32_t block = heap->frontier; block-- > GC_FIRST_BLOCK;) { /* so that the lists are in ascending order */
        if (block % PIECE_BLOCKS == 0) {
            gc_preemption_point();
        }
        struct gc_block *entry = &heap->blocks[block];
        if (entry->state == GC_BLOCK_CELLS) {
            uint32_t marks = marks_of_block(heap, block);
            struct gc_class *class = &heap->classes[entry->class];
            heap->live += (uint64_t)marks * class->bytes;
            if (!marks) {
                free_blocks(heap, block, 1);
                continue;
            }
            entry->next = class->pending;
            class->pending = block;
        } else if (entry->state == GC_BLOCK_LARGE) {
            if (gc_is_marked(heap, block * GC_BLOCK_BYTES)) {
                heap->live += (uint64_t)entry->count * GC_BLOCK_BYTES;
            } else {
                free_blocks(heap, block, entry->count);
            }
        }
    }
    heap->allocated = 0;
    heap->budget = max_u64(heap->live, BUDGET_MINIMUM);
    heap->collections++;
    mark_stack_shrink(heap);
    trim_blocks(heap, GC_FIRST_BLOCK, heap->frontier, heap->budget / GC_BLOCK_BYTES);
}

static void collect(struct gc_heap *heap)
{
    gc_before_marking(heap);
    gc_mark(heap);
    gc_after_marking(heap);
}

/* ---- Cells ---- */

/* The next row of dead cells of the block that is being swept becomes the class's run. False: there is none. */
static bool next_run(struct gc_heap *heap, struct gc_class *class)
{
    uint32_t start = class->block * GC_BLOCK_BYTES, first = class->position;
    if (!class->block) {
        return false;
    }
    while (first < class->cells && gc_is_marked(heap, start + first * class->bytes)) {
        first++;
    }
    uint32_t last = first;
    while (last < class->cells && !gc_is_marked(heap, start + last * class->bytes)) {
        last++;
    }
    class->position = last;
    if (first == last) {
        class->block = 0;
        return false;
    }
    class->cursor = start + first * class->bytes;
    class->limit = start + last * class->bytes;
    heap->allocated += class->limit - class->cursor;
    return true;
}

/* A new block for the class: it is zero already, and all of it is a run. */
static bool new_run(struct gc_heap *heap, struct gc_class *class)
{
    uint32_t block = find_blocks(heap, 1);
    if (!block || !take_blocks(heap, block, 1)) {
        return false;
    }
    heap->blocks[block] = (struct gc_block){.state = GC_BLOCK_CELLS, .class = (uint8_t)(class - heap->classes)};
    clear_marks(heap, block, 1);
    class->cursor = block * GC_BLOCK_BYTES;
    class->limit = class->cursor + class->cells * class->bytes;
    heap->allocated += class->limit - class->cursor;
    return true;
}

/* Next to nothing was found dead: another collection soon would be as useless, and so would each one after it. */
static bool exhausted(const struct gc_heap *heap)
{
    uint64_t committed = (uint64_t)heap->committed * GC_BLOCK_BYTES;
    return committed > BUDGET_MINIMUM && heap->live > committed - committed / 64;
}

/* A run with at least one cell. */
static bool refill(struct gc_heap *heap, struct gc_class *class)
{
    bool collected = heap->process->heap_holds != 0;
    for (;;) {
        if (next_run(heap, class)) {
            memset(gc_object(heap->base, class->cursor), 0, class->limit - class->cursor);
            return true;
        }
        if (!collected && heap->allocated >= heap->budget) {
            collect(heap);
            collected = true;
            continue;
        }
        if (class->pending) {
            class->block = class->pending;
            class->position = 0;
            class->pending = heap->blocks[class->block].next;
            gc_preemption_point(); /* there may be many without a dead cell */
            continue;
        }
        if (new_run(heap, class)) {
            return true;
        }
        if (collected) {
            return false;
        }
        collect(heap);
        collected = true;
        if (exhausted(heap)) {
            return false;
        }
    }
}

static uint32_t take_large(struct gc_heap *heap, uint32_t count)
{
    uint32_t block = find_blocks(heap, count);
    return block && take_blocks(heap, block, count) ? block : 0;
}

static uint32_t allocate_large(struct gc_heap *heap, uint64_t bytes)
{
    uint64_t count = align_up(bytes, GC_BLOCK_BYTES) / GC_BLOCK_BYTES;
    if (count >= GC_BLOCKS - GC_FIRST_BLOCK) {
        return 0;
    }
    bool collected = heap->process->heap_holds != 0;
    if (!collected && heap->allocated + bytes > heap->budget && heap->allocated) {
        collect(heap);
        collected = true;
    }
    uint32_t block = take_large(heap, (uint32_t)count);
    if (!block && !collected) {
        collect(heap);
        block = take_large(heap, (uint32_t)count);
    }
    if (!block) {
        return 0;
    }
    heap->blocks[block] = (struct gc_block){.state = GC_BLOCK_LARGE, .count = (uint32_t)count};
    for (uint32_t i = 1; i < count; i++) {
        heap->blocks[block + i] = (struct gc_block){.state = GC_BLOCK_CONTINUED};
    }
    clear_marks(heap, block, (uint32_t)count);
    heap->allocated += bytes;
    return block * GC_BLOCK_BYTES;
}

uint32_t gc_allocate(struct process *process, uint32_t type, uint32_t length, uint64_t bytes)
{
    struct gc_heap *heap = process->heap;
    uint32_t reference;
    if (bytes <= GC_SMALL_MAXIMUM) {
        struct gc_class *class = &heap->classes[heap->class_of[(bytes + 7) / 8]];
        if (UNLIKELY(class->cursor == class->limit) && !refill(heap, class)) {
            return 0;
        }
        reference = class->cursor;
        class->cursor += class->bytes;
    } else {
        reference = allocate_large(heap, bytes);
        if (!reference) {
            return 0;
        }
    }
    uint32_t *object = gc_object(heap->base, reference);
    object[0] = type;
    object[1] = length;
    return reference;
}

/* ---- Records of the kernel ---- */

static uint64_t record_bytes_offset(uint32_t references)
{
    return align_up(OBJECT_HEADER_BYTES + (uint64_t)references * sizeof(uint32_t), 8);
}

uint32_t gc_allocate_record(struct process *process, enum gc_record_kind kind, uint32_t references, uint64_t bytes)
{
    return gc_allocate(process, GC_RECORD_TYPES + kind, references, record_bytes_offset(references) + bytes);
}

uint32_t *gc_record_references(struct process *process, uint32_t record)
{
    return (uint32_t *)gc_object(process->heap->base, record) + OBJECT_HEADER_BYTES / sizeof(uint32_t);
}

void *gc_record_bytes(struct process *process, uint32_t record)
{
    uint8_t *object = gc_object(process->heap->base, record);
    uint32_t references;
    memcpy(&references, object + OBJECT_LENGTH_OFFSET, sizeof(references));
    return object + record_bytes_offset(references);
}
