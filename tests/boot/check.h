/* What the parts of the kernel that checks platform/pc share. */
#ifndef TESTS_BOOT_CHECK_H
#define TESTS_BOOT_CHECK_H

#include "engine/base.h"
#include "engine/format.h"
#include "kernel/platform.h"

#define PAGE     UINT64_C(4096)
#define MEGABYTE UINT64_C(0x100000)
#define GIGABYTE UINT64_C(0x40000000)
#define MEMORY   (6 * GIGABYTE + 65536 + PAGE) /* as much as an instance reserves */

/* This kernel's record of a CPU. */
struct cpu {
    uint32_t number;
    volatile uint32_t exceptions[EXCEPTION_OTHER + 1];
    volatile uint64_t fault_address;
    volatile uint64_t resume; /* where to go on after an exception; 0: it is a mistake */
    volatile uint32_t timer_interrupts, interrupts;
    void (*job)(struct cpu *cpu); /* to be done; NULL: none. Atomic */
};

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check(bool holds, uint32_t line, const char *what);
#define CHECK(condition) check(condition, __LINE__, #condition)

uint64_t frames_used(void);
/* On the running CPU; true if it worked. */
bool can_read(void *address);
bool can_write(void *address);
bool read_word(const uint32_t *address, uint32_t *value);

/* smp_check.c */
void check_several_cpus(void);
_Noreturn void panic_elsewhere(void);

#endif
