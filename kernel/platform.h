/* The one header between kernel and machine: what platform/pc and platform/linux implement, and what they call.
 *
 * Threads of control: compiled code (wasm) runs with interrupts on, on a wasm stack; kernel C code runs on the kernel
 * stack of its thread, is short, and is not preempted. An interrupt (a signal on Linux) arrives on a stack of its own.
 * If it interrupted wasm code, the kernel may edit the saved machine state so that returning from the interrupt
 * continues in kernel code on the thread's kernel stack; if it interrupted kernel code, it only leaves a note.
 * Interrupt-time code uses no floating point and does not allocate. */
#ifndef KERNEL_PLATFORM_H
#define KERNEL_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

struct cpu; /* kernel/cpu.h: the running CPU's record */

/* ================= Implemented by the platform ================= */

/* ---- Address space ----
 * One address space. A reservation is inaccessible until parts of it are committed; committed pages read as zero and
 * take a frame on first touch (or at once; the kernel does not rely on either). Addresses and sizes are multiples of
 * PLATFORM_PAGE_BYTES. */
#define PLATFORM_PAGE_BYTES 4096

enum protection { PROTECTION_READ, PROTECTION_READ_WRITE, PROTECTION_READ_EXECUTE };

/* Reserve `bytes` of address space, or NULL. Any 4 KiB-aligned address. */
void *platform_reserve(size_t bytes);
/* The same for what a guest can fill at will (linear memories, stacks, tables): such pages never take the last frames,
 * which the kernel needs to end that guest in order. */
void *platform_reserve_for_guest(size_t bytes);
/* Give back a whole reservation with everything committed in it. */
void platform_release(void *address, size_t bytes);
enum status platform_commit(void *address, size_t bytes, enum protection protection);
/* Let committed pages that were never touched have their frames now, with arbitrary contents: for stacks, which must not
 * be touched for the first time at a moment when the platform cannot give a frame. No part of them is shown elsewhere. */
enum status platform_populate(void *address, size_t bytes);
/* Frames go back; the range stays reserved and becomes inaccessible. */
void platform_decommit(void *address, size_t bytes);
/* Change committed pages. Never both writable and executable (invariant 1). */
enum status platform_protect(void *address, size_t bytes, enum protection protection);
/* Make the reserved, uncommitted range [window, window + bytes) show the same pages as the committed range at `source`,
 * for good: later stores through either are seen through both. `source` lies in the memory object's own reservation, not
 * in another window. Where the object grows, commit at the source first and then alias the new range into each window
 * (the range that a window shows already may be given again). Only the source's frames count in the statistics. */
enum status platform_alias(void *window, void *source, size_t bytes);
/* Make the reserved, uncommitted range [window, window + bytes) show the committed range at `source` copy-on-write: it
 * reads as the source does, and what is stored there stays there. Until nothing shows it any more, the source is neither
 * stored to nor decommitted nor released. */
enum status platform_map_copy(void *window, void *source, size_t bytes);
/* Bring a committed range, written to or not, back to what it was: its first `source_bytes` bytes are those of
 * platform_map_copy from `source`, all others zero. Some pages that were touched may keep their frames, so that the next
 * touch is quick. No part of the range is an alias, or the source of one. On STATUS_NO_MEMORY the range is in disorder,
 * and good for nothing but platform_release. */
enum status platform_reset(void *address, size_t bytes, const void *source, size_t source_bytes);
/* The frames of a committed range that is no alias go back; it stays committed and holds zeros. Errors as above. */
enum status platform_discard(void *address, size_t bytes);

struct platform_memory {
    uint64_t frames_total; /* of PLATFORM_PAGE_BYTES; on Linux what the process may use */
    /* Committed by the calls above, touched or not; what guests fill at will may count from its first touch. Page
     * tables included where the platform can count them. */
    uint64_t frames_used;
};
void platform_memory_statistics(struct platform_memory *statistics);

/* How large a kernel stack has to be, what runs on it in this platform included: a multiple of the page size that does
 * not change. */
size_t platform_kernel_stack_bytes(void);

/* ---- This CPU ---- */
struct cpu *platform_cpu(void);            /* the running CPU's record */
void platform_set_cpu(struct cpu *cpu);
uint32_t platform_cpu_features(void);      /* CPU_* of engine/compile.h; what is there, not what is wished */
const char *platform_cpu_name(void);
size_t platform_xsave_bytes(void);         /* size of an extended-state area for xsave64; 64-byte aligned */
uint64_t platform_xsave_mask(void);        /* its components; 0: no XSAVE on this CPU, use fxsave64 (512 bytes) */
void platform_set_gs(uint64_t base);
/* Address of the `switch_instance` stub for CPUs without FSGSBASE (engine/x64/abi.h): takes the new GS base in r11,
 * changes r11 and flags only. */
uint64_t platform_gs_stub(void);

/* ---- Several CPUs ----
 * The boot CPU is number 0. Further ones start when the kernel asks for them, which may be late or never. All functions
 * of this header may be called on every CPU at the same time. Interrupts of devices and of the machine's streams come to
 * CPU 0; its platform_idle alone waits for streams. */
#define PLATFORM_CPUS_MAXIMUM 64
/* How many there are, at least 1; does not change. */
uint32_t platform_cpu_count(void);
/* Start CPU `number` (1 to count - 1; once for each): it makes `cpu` what platform_cpu() gives there, takes the stack
 * that ends at `stack_top` (a multiple of 16; the platform may use one of its own instead), and calls
 * kernel_cpu_main(cpu) with interrupts on. Returns without waiting for that; an error when it cannot be started. */
enum status platform_start_cpu(uint32_t number, struct cpu *cpu, void *stack_top);
/* Make kernel_cpu_interrupt come on CPU `number`, which was started: soon, also when it is in platform_idle, and once at
 * least for what was done before this call. Allowed with locks held, and for the running CPU. */
void platform_interrupt_cpu(uint32_t number);
/* Between two looks at a lock that is taken: `round` counts the looks. A pause; where CPUs are threads of another system,
 * also a chance for others now and then. */
void platform_relax(uint32_t round);

/* ---- Time ---- */
uint64_t platform_monotonic_nanoseconds(void);
uint64_t platform_realtime_nanoseconds(void); /* since 1970-01-01 UTC */
/* Ask for kernel_timer_interrupt on this CPU at this monotonic time (one-shot, replaces the earlier request; UINT64_MAX: none). */
void platform_timer_arm(uint64_t monotonic_nanoseconds);
/* Wait until an interrupt (on CPU 0 also input) may have come to this CPU, at the latest at `deadline` (UINT64_MAX:
 * none). One that came since the last return ends it at once. Called only when no thread can run. */
void platform_idle(uint64_t deadline);
/* How long a CPU with nothing to do may poll for work, rather than be interrupted in platform_idle: about what both cost,
 * to sleep and to be woken. 0: not at all, for another one of this machine's CPUs could have the time. */
uint64_t platform_poll_nanoseconds(void);

/* ---- Streams of the machine: where the first process's stdio goes ---- */
enum stream { STREAM_INPUT, STREAM_OUTPUT, STREAM_ERROR, STREAM_COUNT };
/* Read at most `bytes`, `*done` tells how many; STATUS_OK with 0 is the end of input; STATUS_AGAIN: nothing there yet. */
enum status platform_stream_read(enum stream stream, void *buffer, size_t bytes, size_t *done);
/* Write as much as goes without waiting, `*done` tells how many; STATUS_AGAIN: nothing, platform_idle waits for room. */
enum status platform_stream_write(enum stream stream, const void *buffer, size_t bytes, size_t *done);
/* Whether reading the input (its end included), or writing to one of the others, does something at once. */
bool platform_stream_readable(enum stream stream);
bool platform_stream_is_terminal(enum stream stream);
/* Kernel messages (boot, panics, traps of guests): a diagnostic line, to STREAM_ERROR or the console. */
void platform_log(const char *text, size_t bytes);

/* ---- Records: data about the run for whoever started the machine ----
 * One record of at most PLATFORM_RECORD_BYTES, which stays together; nobody may want it, then it is dropped. Waits until
 * it is written. */
#define PLATFORM_RECORD_BYTES 4096
enum record_stream {
    RECORD_PROFILE, /* lines of text: kernel/profile.h */
    RECORD_TRACE,   /* chunks: kernel/trace.h */
    RECORD_COUNT
};
void platform_record(enum record_stream stream, const void *record, size_t bytes);

void platform_random(void *buffer, size_t bytes); /* cryptographically strong */

/* Stop the machine (the process) and hand `status` to whoever started it. */
_Noreturn void platform_power_off(int status);
_Noreturn void platform_panic(const char *message);

/* ================= Implemented by the kernel, called by the platform ================= */

/* Saved state of interrupted code, to be edited. Registers by hardware number (RSP = 4 included). */
struct machine_state {
    uint64_t registers[16];
    uint64_t rip;
    uint64_t rflags;
};

enum exception { EXCEPTION_DIVIDE, EXCEPTION_INVALID_OPCODE, EXCEPTION_PAGE_FAULT, EXCEPTION_OTHER };

/* A CPU exception. True: `state` was edited, resume it. False: not a guest's fault; the platform panics with a dump. */
bool kernel_exception(struct machine_state *state, enum exception exception, uint64_t address);
/* The armed timer has come. */
void kernel_timer_interrupt(struct machine_state *state);
/* On the CPU that platform_interrupt_cpu named. */
void kernel_cpu_interrupt(struct machine_state *state);
/* A further CPU starts: platform_start_cpu. */
_Noreturn void kernel_cpu_main(struct cpu *cpu);
/* Somebody asked for the running process to end (Ctrl-C). */
void kernel_interrupt_request(struct machine_state *state);

/* What the boot loader handed over. The bytes stay mapped for ever. */
struct boot_information {
    const uint8_t *archive; /* boot archive (cpio "newc"), or NULL */
    size_t archive_bytes;
    const char *command_line;   /* terminated; may be empty */
    const char *platform_name;  /* "pc", "microvm", "linux" */
    uint64_t entry_timestamp;   /* TSC at the platform's first instruction */
};

/* By platform_panic, when the reason was told: hands platform_record what may explain it. No other CPU runs any more, or
 * does harm; a panic in it is the end. */
void kernel_panicked(void);

/* Start of the portable kernel on the boot CPU, on a kernel stack, memory and interrupts working. */
_Noreturn void kernel_main(const struct boot_information *boot);

#endif
