/* What the CPUs remember of the page tables, and how they are made to forget it.
 *
 * Needed only where a mapping was taken away or lost a right; whoever finds that an access is allowed by now forgets by
 * himself (page_fault.c). The asker publishes the range in its own record, marks its bit in the record of every CPU
 * that may remember it (of guests' addresses: upper_tables.h; else every one that runs), interrupts those, and waits
 * until all have forgotten. An idle CPU is not woken: it is noted that it must forget everything before it does
 * anything else.
 *
 * Two CPUs that ask each other, or one that waits for a lock of the other, do not wait for ever: all waiting in this
 * folder (spin), and platform_relax, looks at what is asked of this CPU. All else that runs with interrupts off is
 * short and waits for nothing; kernel code and guests have them on and are interrupted. So the asker may hold locks. */
#ifndef PLATFORM_PC_TLB_H
#define PLATFORM_PC_TLB_H

#include <stdbool.h>
#include <stdint.h>

/* Part of struct pc_cpu. */
struct tlb_state {
    uint64_t asked_by; /* a bit for each CPU whose request this one has still to serve; atomic */
    uint32_t idle;     /* enum tlb_idle; atomic */
    uint32_t left;     /* CPUs that have not served this one's request yet; atomic */
    uint32_t served;   /* how many requests of others this one has served; others read it */
    uint64_t start, bytes;
};

/* Forget [start, start + bytes) on all CPUs; when it returns nobody uses what the tables said before. */
void tlb_flush(uint64_t start, uint64_t bytes);
#define TLB_EVERYTHING UINT64_MAX /* as `bytes` */

/* Do what other CPUs asked of this one. At any time. */
void tlb_serve(void);

/* This CPU takes part from now on. */
void tlb_join(void);
/* All other CPUs stand still, in the middle of whatever they did: from now on nobody is asked, and spinlocks that they
 * hold are taken all the same. For the last words of the machine. */
void tlb_be_alone(void);
bool tlb_is_alone(void);
/* Around `hlt`, with interrupts off; leaving is also the first that an interrupt does. Between them nothing is touched
 * that can be unmapped. */
void tlb_idle_begin(void);
void tlb_idle_end(void);

#endif
