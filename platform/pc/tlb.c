#include "platform/pc/tlb.h"

#include "platform/pc/apic.h"
#include "platform/pc/cpu.h"
#include "platform/pc/instructions.h"
#include "platform/pc/spinlock.h"
#include "platform/pc/upper_tables.h"

enum tlb_idle {
    TLB_RUNNING,
    TLB_IDLE,
    TLB_IDLE_STALE, /* must forget everything before it goes on */
};

/* More single pages than this are forgotten by forgetting everything. */
#define SINGLE_PAGES_MAXIMUM 32

static uint64_t taking_part = 1; /* a bit for each CPU; atomic */

static void forget(uint64_t start, uint64_t bytes, bool asked)
{
    if (is_guest_address(start) && !upper_tables_forget(start, bytes, asked))
        return;
    if (bytes > SINGLE_PAGES_MAXIMUM * FRAME_BYTES) {
        write_cr3(read_cr3()); /* no page is global */
    } else {
        for (uint64_t done = 0; done < bytes; done += FRAME_BYTES)
            invalidate_page(start + done);
    }
}

void tlb_serve(void)
{
    struct tlb_state *own = &pc_cpu()->tlb;
    if (__atomic_load_n(&own->asked_by, __ATOMIC_RELAXED) == 0)
        return;
    bool interrupts = interrupts_disable();
    for (uint64_t bits = __atomic_exchange_n(&own->asked_by, 0, __ATOMIC_ACQUIRE); bits; bits &= bits - 1) {
        struct tlb_state *asker = &cpus[__builtin_ctzll(bits)]->tlb;
        forget(asker->start, asker->bytes, true);
        __atomic_store_n(&own->served, own->served + 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&asker->left, 1, __ATOMIC_RELEASE);
    }
    interrupts_restore(interrupts);
}

/* Is it idle, and going to forget everything when it wakes? */
static bool note_for_idle(struct tlb_state *other)
{
    uint32_t idle = TLB_IDLE;
    return __atomic_compare_exchange_n(&other->idle, &idle, TLB_IDLE_STALE, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST) ||
           idle == TLB_IDLE_STALE;
}

static void ask_others(struct pc_cpu *cpu, uint64_t others)
{
    struct tlb_state *own = &cpu->tlb;
    __atomic_store_n(&own->left, (uint32_t)__builtin_popcountll(others), __ATOMIC_RELAXED);
    for (; others; others &= others - 1) {
        struct pc_cpu *other = cpus[__builtin_ctzll(others)];
        if (note_for_idle(&other->tlb)) {
            __atomic_sub_fetch(&own->left, 1, __ATOMIC_RELAXED);
        } else if (__atomic_fetch_or(&other->tlb.asked_by, UINT64_C(1) << cpu->number, __ATOMIC_SEQ_CST) == 0) {
            apic_interrupt(other->apic_id, VECTOR_TLB); /* else one is on its way */
        }
    }
    while (__atomic_load_n(&own->left, __ATOMIC_ACQUIRE) > 0)
        spin();
}

void tlb_flush(uint64_t start, uint64_t bytes)
{
    bool interrupts = interrupts_disable(); /* what an interrupt touches may ask as well */
    struct pc_cpu *cpu = pc_cpu();
    forget(start, bytes, false);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the tables are written before anybody is found idle, or not there */
    uint64_t others = __atomic_load_n(&taking_part, __ATOMIC_SEQ_CST) & ~(UINT64_C(1) << cpu->number);
    if (others && is_guest_address(start))
        others &= upper_tables_users(start, bytes);
    if (others) {
        cpu->tlb.start = start;
        cpu->tlb.bytes = bytes;
        ask_others(cpu, others);
    }
    interrupts_restore(interrupts);
}

void tlb_join(void)
{
    __atomic_fetch_or(&taking_part, UINT64_C(1) << pc_cpu()->number, __ATOMIC_SEQ_CST);
    forget(0, TLB_EVERYTHING, false);
}

static bool alone; /* atomic */

void tlb_be_alone(void)
{
    __atomic_store_n(&alone, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&taking_part, 0, __ATOMIC_SEQ_CST);
}

bool tlb_is_alone(void)
{
    return __atomic_load_n(&alone, __ATOMIC_RELAXED);
}

void tlb_idle_begin(void)
{
    __atomic_exchange_n(&pc_cpu()->tlb.idle, TLB_IDLE, __ATOMIC_SEQ_CST);
    tlb_serve(); /* who asked before that waits for an answer */
}

void tlb_idle_end(void)
{
    struct tlb_state *own = &pc_cpu()->tlb;
    if (__atomic_load_n(&own->idle, __ATOMIC_RELAXED) != TLB_RUNNING &&
        __atomic_exchange_n(&own->idle, TLB_RUNNING, __ATOMIC_SEQ_CST) == TLB_IDLE_STALE)
        forget(0, TLB_EVERYTHING, false);
}
