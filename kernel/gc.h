/* The collected heap of a process: objects of WebAssembly's structure and array types, and of the kernel's own.
 *
 * A heap is made when the first instance that needs it is, lives as long as the process, and counts against its memory
 * limit. References are those of engine/x64/abi.h. The collector is mark and sweep and moves nothing; it runs within an
 * allocation, when as much was allocated as lived after the last time, or when the limit is reached. What lies on wasm
 * and kernel stacks and in registers is scanned conservatively (any aligned 32-bit word there may be a reference);
 * globals, tables, element segments and objects are scanned exactly.
 *
 * For kernel code that means: a reference in a local variable is safe across an allocation; one in memory that is
 * neither on a stack nor in an object is not (and a call's results are nobody's until they are stored). */
#ifndef KERNEL_GC_H
#define KERNEL_GC_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/x64/abi.h"
#include "kernel/status.h"

struct process;
struct gc_heap;

/* Make the process's heap if it has none, and tell the instances that are there. */
enum status gc_heap_require(struct process *process);
void gc_heap_destroy(struct process *process);
/* Where objects lie: reference -> address. */
static inline void *gc_object(uint64_t base, uint32_t reference)
{
    return (void *)(uintptr_t)(base + reference);
}
uint64_t gc_heap_base(const struct process *process);
bool gc_heap_contains(const struct process *process, uint64_t address); /* allowed at interrupt time */

/* A new object of a registered type, all zero but for its header: `bytes` is its whole size, `length` that of an array
 * or OBJECT_NO_LENGTH. 0 when there is no room even after a collection. The current thread runs in the process, or
 * collections are held off. */
uint32_t gc_allocate(struct process *process, uint32_t type, uint32_t length, uint64_t bytes);

/* A kernel-defined object: `references` words that are references or null, then `bytes` bytes of anything, 8-byte
 * aligned. All zero at first. No anyref ever refers to one: only hierarchies that know the kind do. */
enum gc_record_kind { GC_RECORD_EXCEPTION };
uint32_t gc_allocate_record(struct process *process, enum gc_record_kind kind, uint32_t references, uint64_t bytes);
uint32_t *gc_record_references(struct process *process, uint32_t record);
void *gc_record_bytes(struct process *process, uint32_t record);

/* Between these two, nothing is collected: for kernel code that makes several objects where no thread runs. */
void gc_hold(struct process *process);
void gc_release_hold(struct process *process);

struct gc_statistics {
    uint64_t collections;
    uint64_t live_bytes;      /* found by the last one */
    uint64_t committed_bytes; /* charged to the process */
};
void gc_statistics(const struct process *process, struct gc_statistics *statistics);

#endif
