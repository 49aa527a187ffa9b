/* Memory objects: pages that several processes show in their linear memories.
 *
 * A mapping puts pages of an object in place of pages of memory 0 of an instance, whose contents are lost. It is made
 * through a handle and ends with it: when the handle is revoked the pages are gone at once, and the guest that touches
 * their place ends with TRAP_MAPPING, until it unmaps the place. A memory that other instances show, too, takes no
 * mappings. */
#ifndef KERNEL_SHARED_MEMORY_H
#define KERNEL_SHARED_MEMORY_H

#include "kernel/object.h"

struct grant;
struct instance;
struct process;

#define SHARED_MEMORY_BYTES_MAXIMUM (UINT64_C(1) << 32)
#define MAPPINGS_MAXIMUM            64 /* of a process */

/* `bytes` zero bytes, in whole pages, which `account` pays for. STATUS_INVALID, STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status shared_memory_create(struct account *account, uint64_t bytes, struct object **result);
uint64_t shared_memory_bytes(struct object *object);

/* Read-only; stores are seen by all; stores stay here (and what others store may be seen until then). */
enum mapping_mode { MAPPING_READ, MAPPING_SHARED, MAPPING_COPY };

/* Show [offset, offset + bytes) of the object behind `grant` at `address` of memory 0; all in whole pages. STATUS_INVALID:
 * not inside of both, or this memory takes none; STATUS_EXISTS: another mapping is there; STATUS_LIMIT,
 * STATUS_NO_MEMORY; STATUS_BAD_HANDLE: revoked by now. */
enum status mapping_create(struct instance *instance, struct grant *grant, uint64_t address, uint64_t offset,
                           uint64_t bytes, enum mapping_mode mode);
/* The place of the mapping that begins at `address` becomes zero pages of the memory's own. STATUS_NOT_FOUND (also
 * while another thread is at it); STATUS_NO_MEMORY: the mapping is gone, and the place can still not be touched. */
enum status mapping_remove(struct instance *instance, uint64_t address);

/* Is the address in a mapping (one that was revoked, too)? At any time, on any CPU. */
bool mapping_contains(const struct process *process, uint64_t address);
/* All mappings of a process that ends. */
void mappings_release(struct process *process);

#endif
