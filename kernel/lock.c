#include "kernel/lock.h"

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/cpu.h"

bool kernel_has_cpus;

void spinlock_contended(struct spinlock *lock)
{
    if (!kernel_has_cpus) {
        platform_panic("a lock is taken twice");
    }
    uint32_t round = 0;
    do {
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED)) {
            platform_relax(round++);
        }
    } while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE));
}

#if KERNEL_CHECKS

static const char *const rank_texts[] = {
#define RANK_TEXT(NAME, text) #NAME " (" text ")",
    LOCK_RANKS(RANK_TEXT)
#undef RANK_TEXT
};

void lock_check_order(const struct spinlock *lock)
{
    const struct cpu *cpu = platform_cpu();
    for (uint32_t i = 0; cpu && i < cpu->held_count; i++) {
        if (cpu->held[i]->rank >= lock->rank) {
            char message[256];
            format_text(message, sizeof(message), "lock order: %s while %s is held", rank_texts[lock->rank],
                        rank_texts[cpu->held[i]->rank]);
            platform_panic(message);
        }
    }
}

void lock_check_acquired(const struct spinlock *lock)
{
    struct cpu *cpu = platform_cpu();
    if (cpu) {
        if (cpu->held_count == ARRAY_COUNT(cpu->held)) {
            platform_panic("lock order: too many locks are held");
        }
        cpu->held[cpu->held_count++] = lock;
    }
}

void lock_check_released(const struct spinlock *lock)
{
    struct cpu *cpu = platform_cpu();
    for (uint32_t i = cpu ? cpu->held_count : 0; i-- > 0;) {
        if (cpu->held[i] == lock) {
            memmove(&cpu->held[i], &cpu->held[i + 1], (--cpu->held_count - i) * sizeof(cpu->held[0]));
            return;
        }
    }
    if (cpu) {
        platform_panic("a lock is given back that this CPU does not hold");
    }
}

void lock_check_none(const char *what)
{
    const struct cpu *cpu = platform_cpu();
    if (cpu && cpu->held_count) {
        char message[256];
        format_text(message, sizeof(message), "%s while %s is held", what, rank_texts[cpu->held[0]->rank]);
        platform_panic(message);
    }
}

#endif
