#include "kernel/stack.h"

#include "engine/base.h"
#include "kernel/lock.h"
#include "kernel/platform.h"
#include "kernel/sanitizer.h"

/* Of each kind are kept at most this many. */
#define IDLE_SMALL_MAXIMUM 64
#define IDLE_LARGE_MAXIMUM 4

/* At the highest bytes of a stack that nobody uses. */
struct idle_stack {
    struct idle_stack *next;
    uint8_t *stack;
};

/* Stacks of one size. */
struct stack_pool {
    struct spinlock lock; /* guards the two members below */
    struct idle_stack *idle;
    uint32_t count;
    uint32_t maximum;
    bool large;
};

static struct stack_pool small_stacks = {.lock = SPINLOCK(LOCK_LEAF), .maximum = IDLE_SMALL_MAXIMUM};
static struct stack_pool large_stacks = {.lock = SPINLOCK(LOCK_LEAF), .maximum = IDLE_LARGE_MAXIMUM, .large = true};

static size_t bytes_of(const struct stack_pool *pool)
{
    return pool->large ? KERNEL_LARGE_STACK_BYTES : platform_kernel_stack_bytes();
}

static uint8_t *stack_create(size_t bytes)
{
    uint8_t *reservation = platform_reserve(PLATFORM_PAGE_BYTES + bytes);
    if (!reservation) {
        return NULL;
    }
    uint8_t *stack = reservation + PLATFORM_PAGE_BYTES;
    if (platform_commit(stack, bytes, PROTECTION_READ_WRITE) != STATUS_OK ||
        platform_populate(stack, bytes) != STATUS_OK) {
        platform_release(reservation, PLATFORM_PAGE_BYTES + bytes);
        return NULL;
    }
    return stack;
}

static void stack_destroy(uint8_t *stack, size_t bytes)
{
    platform_release(stack - PLATFORM_PAGE_BYTES, PLATFORM_PAGE_BYTES + bytes);
}

static uint8_t *pool_take_idle(struct stack_pool *pool)
{
    spinlock_acquire(&pool->lock);
    struct idle_stack *idle = pool->idle;
    if (idle) {
        pool->idle = idle->next;
        pool->count--;
    }
    spinlock_release(&pool->lock);
    return idle ? idle->stack : NULL;
}

static uint8_t *pool_take(struct stack_pool *pool)
{
    uint8_t *stack = pool_take_idle(pool);
    return stack ? stack : stack_create(bytes_of(pool));
}

static void pool_give(struct stack_pool *pool, uint8_t *stack)
{
    size_t bytes = bytes_of(pool);
    SANITIZER_ALLOW(stack, bytes);
    struct idle_stack *idle = (struct idle_stack *)(stack + bytes) - 1;
    *idle = (struct idle_stack){.stack = stack};
    spinlock_acquire(&pool->lock);
    bool kept = pool->count < pool->maximum;
    if (kept) {
        idle->next = pool->idle;
        pool->idle = idle;
        pool->count++;
    }
    spinlock_release(&pool->lock);
    if (!kept) {
        stack_destroy(stack, bytes);
    }
}

static void pool_trim(struct stack_pool *pool)
{
    for (uint8_t *stack; (stack = pool_take_idle(pool));) {
        stack_destroy(stack, bytes_of(pool));
    }
}

void *kernel_stack_take(void)
{
    return pool_take(&small_stacks);
}

void kernel_stack_give(void *stack)
{
    pool_give(&small_stacks, stack);
}

void kernel_stacks_trim(void)
{
    pool_trim(&small_stacks);
    pool_trim(&large_stacks);
}

/* rsp = top, function(argument, stack), rsp as before. */
__attribute__((naked)) static void call_on(__attribute__((unused)) void *argument, __attribute__((unused)) void *stack,
                                           __attribute__((unused)) void *top,
                                           __attribute__((unused)) void (*function)(void *argument, void *stack))
{
    __asm__("pushq %rbp\n"
            "movq %rsp, %rbp\n"
            "movq %rdx, %rsp\n"
            "callq *%rcx\n"
            "movq %rbp, %rsp\n"
            "popq %rbp\n"
            "retq\n");
}

bool kernel_stack_call_large(void (*function)(void *argument, void *stack), void *argument)
{
    uint8_t *stack = pool_take(&large_stacks);
    if (stack) {
        call_on(argument, stack, stack + KERNEL_LARGE_STACK_BYTES, function);
        pool_give(&large_stacks, stack);
    }
    return stack != NULL;
}
