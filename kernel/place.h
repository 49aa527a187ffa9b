/* Places: where in the address space an instance lies. From low to high addresses a reservation holds
 *
 *     guard, wasm stack, payload of exceptions     when the place was made with a stack
 *     instance header                              ends at the base
 *     linear memory 0, room to grow, guard         nothing of it for an instance without memory
 *
 * The base lies PLACE_BELOW_BYTES behind a multiple of 2 MiB, so that the header, the top of the stack and the first
 * pages of a small program share one page table, and what is committed for the stack begins at such a multiple, so that
 * it needs no other one: the stack is a little larger than WASM_STACK_BYTES.
 *
 * A place that is given back is brought to its first state and kept in a pool, that of the compiled module that it was
 * made for, where the next instance of that module finds it with the pages that such a program touches. */
#ifndef KERNEL_PLACE_H
#define KERNEL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/image.h"
#include "kernel/lock.h"
#include "kernel/status.h"

/* What a place is to be. Sizes in bytes; not page-aligned. */
struct place_shape {
    size_t header_bytes;
    uint64_t memory_bytes;     /* committed at the base */
    uint64_t capacity;         /* room at the base; 0: no memory, and no guard */
    const struct image *image; /* what the memory starts with; NULL: zeros */
    bool stack;
};

#define PLACE_BELOW_BYTES (UINT64_C(256) << 10)

struct place {
    struct place *next; /* in the pool */
    struct place_pool *pool;
    struct place_shape shape;
    uint8_t *reservation;
    size_t reservation_bytes;
    uint8_t *base;
    uint8_t *stack;      /* lowest usable address; NULL: none */
    uint8_t *stack_end;  /* there lies the payload */
    bool shown;          /* its memory is, or was, seen elsewhere: not used again */
    uint32_t references; /* the owner of the memory or instance, and the thread that uses the stack */
    uint32_t stack_used; /* 1: by a thread */
    uint64_t memory_bytes; /* as grown, when given back */
};

/* Idle places of one compiled module, and the image that its memories start with. Lives until the module and all places
 * that were taken from it are gone. */
struct place_pool {
    struct spinlock lock; /* guards the three members below */
    struct place *idle;
    uint32_t count;
    bool closed;
    uint32_t references; /* of the module, and of each place in use */
    uint32_t uses;       /* of place_pool_image */
    uint32_t image_state;
    struct image image;
};

/* NULL: no memory. */
struct place_pool *place_pool_create(void);
/* The module is gone. */
void place_pool_close(struct place_pool *pool);
/* Give all idle places back to the platform. */
void place_pool_trim(struct place_pool *pool);
/* The image of the module's memory 0, made when it is asked for a second time: a program that is started once is better
 * off without. NULL: there is none (yet). */
const struct image *place_pool_image(struct place_pool *pool, const struct module *module);

/* A place of this shape from the pool (NULL: none), or a new one; with one reference. The header's bytes are arbitrary.
 * NULL: no memory. */
struct place *place_take(struct place_pool *pool, const struct place_shape *shape);
/* Drop a reference. The last one ends the place, or puts it in its pool. */
void place_release(struct place *place);
/* The owner of the memory is done with it: `memory_bytes` bytes are committed at the base now. Drops its reference. */
void place_return(struct place *place, uint64_t memory_bytes);

/* Use the stack of the place, as one more reference. False: it has none, or it is used. */
bool place_take_stack(struct place *place);
void place_leave_stack(struct place *place);
/* For who uses the stack: what a header of less than a page leaves of it, if that is `bytes` or more; else NULL.
 * Page-aligned; zeros at first, later what the user before left there. */
void *place_spare(const struct place *place, size_t bytes);

/* From the lowest byte of the header to the end of the guard. */
static inline bool place_contains(const struct place *place, uint64_t address)
{
    uint64_t start = (uint64_t)(uintptr_t)place->base - place->shape.header_bytes;
    return address >= start && address < (uint64_t)(uintptr_t)place->reservation + place->reservation_bytes;
}

#endif
